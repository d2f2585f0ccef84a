//! The operations of all kinds of connections, as they come out of the parser: views into the bytes that were read.

use std::fmt;

use super::line::Tokens;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op<'a> {
    /// `CONNECT`, with its JSON.
    Connect(&'a [u8]),
    /// `INFO`, with its JSON.
    Info(&'a [u8]),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`.
    Ok,
    /// `-ERR`, with its text without the quotes.
    Err(&'a [u8]),
    /// `PUB` or `HPUB` of a client.
    Publish(Publish<'a>),
    /// `SUB` of a client.
    Subscribe {
        /// The filter as sent; not checked.
        filter: &'a [u8],
        /// The queue group.
        queue: Option<&'a [u8]>,
        /// The client's own name for the subscription.
        sid: &'a [u8],
    },
    /// `UNSUB` of a client.
    Unsubscribe {
        /// The client's own name for the subscription.
        sid: &'a [u8],
        /// Deliveries after which the subscription ends, counted from its beginning; at once if there is none, or none that can be read.
        max: Option<usize>,
    },
    /// `LMSG`, `RMSG` or `HMSG` of a leafnode or route.
    Message(LinkMessage<'a>),
    /// `LS+`, `LS-`, `RS+` or `RS-` of a leafnode or route.
    Interest(Interest<'a>),
    /// `A+` or `A-` of an old route: no meaning any more.
    Account,
}

impl<'a> Op<'a> {
    /// Returns the same message with its payload.
    pub(super) fn with_payload(self, payload: &'a [u8]) -> Self {
        match self {
            Self::Publish(publish) => Self::Publish(Publish { payload, ..publish }),
            Self::Message(message) => Self::Message(LinkMessage { payload, ..message }),
            other => other,
        }
    }
}

/// For the log: without payloads, and without what CONNECT and INFO say, which may be secret.
impl fmt::Display for Op<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(_) => f.write_str("CONNECT"),
            Self::Info(_) => f.write_str("INFO"),
            Self::Ping => f.write_str("PING"),
            Self::Pong => f.write_str("PONG"),
            Self::Ok => f.write_str("+OK"),
            Self::Err(text) => write!(f, "-ERR '{}'", text.escape_ascii()),
            Self::Publish(it) => {
                let (subject, size) = (it.subject.escape_ascii(), it.payload.len());
                write!(f, "PUB {subject} {size}")
            }
            Self::Subscribe { filter, queue, sid } => {
                let queue = queue.unwrap_or_default().escape_ascii();
                let (filter, sid) = (filter.escape_ascii(), sid.escape_ascii());
                write!(f, "SUB {filter} {queue} {sid}")
            }
            Self::Unsubscribe { sid, .. } => write!(f, "UNSUB {}", sid.escape_ascii()),
            Self::Message(it) => {
                let (subject, size) = (it.subject.escape_ascii(), it.payload.len());
                write!(f, "MSG {subject} {size}")
            }
            Self::Interest(it) => {
                let queue = it.queue.unwrap_or_default().escape_ascii();
                let filter = it.filter.escape_ascii();
                write!(f, "interest {filter} {queue} {}", it.weight)
            }
            Self::Account => f.write_str("A"),
        }
    }
}

/// A message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Where it goes; not checked.
    pub subject: &'a [u8],
    /// Where answers go.
    pub reply: Option<&'a [u8]>,
    /// How many bytes of the payload are the header block; nothing for `PUB`.
    pub header_len: Option<usize>,
    /// Header block and payload.
    pub payload: &'a [u8],
}

/// A message of a leafnode or route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMessage<'a> {
    /// The cluster of the leafnode that it came from, if told.
    pub origin: Option<&'a [u8]>,
    /// The account; nothing on leafnodes.
    pub account: Option<&'a [u8]>,
    /// Where it goes.
    pub subject: &'a [u8],
    /// Where answers go.
    pub reply: Option<&'a [u8]>,
    /// The queue groups that the receiver is to serve.
    pub queues: Tokens<'a>,
    /// How many bytes of the payload are the header block.
    pub header_len: usize,
    /// Header block and payload.
    pub payload: &'a [u8],
}

/// What a leafnode or route wants, or no longer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest<'a> {
    /// The cluster of the leafnode that it came from, if told.
    pub origin: Option<&'a [u8]>,
    /// The account; nothing on leafnodes.
    pub account: Option<&'a [u8]>,
    /// The filter as sent; not checked.
    pub filter: &'a [u8],
    /// The queue group.
    pub queue: Option<&'a [u8]>,
    /// How many members the queue group has; 0 when the interest ends, 1 for plain interest.
    pub weight: u32,
}
