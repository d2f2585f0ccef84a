//! The incremental parser: finds the next whole operation at the start of the bytes, and remembers how far it looked.

use super::op::Op;
use super::{client, leaf, line, route};
use line::Tokens;

/// What is on the other end of a connection, which decides the verbs that it may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A client.
    Client,
    /// A leafnode: a server that is joined to ours as to a hub, or the other way round.
    Leaf,
    /// A member of our cluster.
    Route,
}

/// Why the bytes are not the protocol. Its text is what the other end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// An unknown verb, a malformed argument list, or a payload without its line end.
    #[error("Unknown Protocol Operation")]
    Unknown,
    /// A line longer than allowed.
    #[error("maximum control line exceeded")]
    LineTooLong,
    /// A payload larger than allowed.
    #[error("Maximum Payload Violation")]
    PayloadTooLong,
}

/// What a control line turned out to be.
pub(super) enum Line<'a> {
    /// An operation.
    Whole(Op<'a>),
    /// An operation that so many bytes of payload follow.
    BeforePayload(Op<'a>, usize),
}

/// The verbs that every kind of connection knows.
const COMMON_VERBS: &[&[u8]] = &[b"PING", b"PONG", b"CONNECT", b"INFO", b"+OK", b"-ERR"];

fn common<'a>(verb: &[u8], fields: Tokens<'a>) -> Option<Op<'a>> {
    let is = |word: &[u8]| verb.eq_ignore_ascii_case(word);
    Some(if is(b"PING") {
        Op::Ping
    } else if is(b"PONG") {
        Op::Pong
    } else if is(b"CONNECT") {
        Op::Connect(fields.rest())
    } else if is(b"INFO") {
        Op::Info(fields.rest())
    } else if is(b"+OK") {
        Op::Ok
    } else if is(b"-ERR") {
        let text = fields.rest();
        let unquoted = text
            .strip_prefix(b"'")
            .and_then(|text| text.strip_suffix(b"'"));
        Op::Err(unquoted.unwrap_or(text))
    } else {
        return None;
    })
}

/// A parser of one connection's incoming bytes.
#[derive(Clone, Debug)]
pub struct Parser {
    kind: Kind,
    max_line: usize,
    max_payload: usize,
    /// Bytes of an unfinished line that hold no line end.
    scanned: usize,
    /// Bytes that have to be there before looking again is worth while.
    needed: usize,
}

impl Parser {
    /// Returns a parser for a connection of this kind, with its limits in bytes.
    #[must_use]
    pub fn new(kind: Kind, max_line: usize, max_payload: usize) -> Self {
        Self {
            kind,
            max_line,
            max_payload,
            scanned: 0,
            needed: 1,
        }
    }

    /// Changes the limits, in bytes, from the next operation on.
    pub fn set_limits(&mut self, max_line: usize, max_payload: usize) {
        self.max_line = max_line;
        self.max_payload = max_payload;
    }

    /// Returns how many bytes, counted from the start of the unfinished operation, are needed before the next call can tell
    /// more.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Returns the operation that the bytes begin with and how many bytes it takes, or nothing when more bytes are needed.
    /// The next call is to be shown the bytes from there on.
    ///
    /// # Errors
    /// See [`ParseError`]; the connection cannot go on then.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(Op<'a>, usize)>, ParseError> {
        if bytes.len() < self.needed {
            return Ok(None);
        }
        let unseen = bytes.get(self.scanned..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', unseen) else {
            return self.unfinished_line(bytes);
        };
        let end = self.scanned + end;
        let line = bytes.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_line {
            return Err(self.too_long(line));
        }
        let parsed = self.line(line, bytes, end + 1)?;
        match parsed {
            Some(_) => {
                self.scanned = 0;
                self.needed = 1;
            }
            None => self.scanned = end,
        }
        Ok(parsed)
    }

    fn unfinished_line<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(Op<'a>, usize)>, ParseError> {
        if !self.may_become_a_verb(bytes) {
            return Err(ParseError::Unknown);
        }
        // The last byte may be the CR of the line end, which does not count.
        if bytes.len() > self.max_line + 1 {
            return Err(ParseError::LineTooLong);
        }
        self.scanned = bytes.len();
        self.needed = bytes.len() + 1;
        Ok(None)
    }

    /// Returns what is wrong with a line over the limit: its verb if that is unknown, which is seen first when it comes in
    /// pieces.
    fn too_long(&self, line: &[u8]) -> ParseError {
        if self.may_become_a_verb(line) {
            ParseError::LineTooLong
        } else {
            ParseError::Unknown
        }
    }

    /// Says whether a verb may begin with the first field of an unfinished line, so that a peer that speaks another protocol
    /// is found out at once and not when it sends a line end.
    fn may_become_a_verb(&self, bytes: &[u8]) -> bool {
        let start = bytes.get(..bytes.len().min(8)).unwrap_or(bytes);
        let end = start
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        let word = start.get(..end.unwrap_or(start.len())).unwrap_or(start);
        let verbs = match self.kind {
            Kind::Client => client::VERBS,
            Kind::Leaf => leaf::VERBS,
            Kind::Route => route::VERBS,
        };
        verbs.iter().chain(COMMON_VERBS).any(|verb| {
            let beginning = verb.get(..word.len()).unwrap_or_default();
            (end.is_none() || verb.len() == word.len())
                && !word.is_empty()
                && beginning.eq_ignore_ascii_case(word)
        })
    }

    fn line<'a>(
        &mut self,
        line: &'a [u8],
        bytes: &'a [u8],
        after: usize,
    ) -> Result<Option<(Op<'a>, usize)>, ParseError> {
        let verb_end = line
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t'))
            .unwrap_or(line.len());
        let (verb, fields) = line.split_at(verb_end);
        let fields = Tokens::new(fields);
        let parsed = match self.kind {
            Kind::Client => client::parse(verb, fields),
            Kind::Leaf => leaf::parse(verb, fields),
            Kind::Route => route::parse(verb, fields),
        };
        let (op, total) = match parsed {
            Some(Line::Whole(op)) => return Ok(Some((op, after))),
            Some(Line::BeforePayload(op, total)) => (op, total),
            None => {
                let op = common(verb, fields).ok_or(ParseError::Unknown)?;
                return Ok(Some((op, after)));
            }
        };
        if total > self.max_payload {
            return Err(ParseError::PayloadTooLong);
        }
        let end = after + total;
        let (payload, line_end) = (bytes.get(after..end), bytes.get(end..).unwrap_or_default());
        match (payload, line_end) {
            (Some(payload), [b'\r', b'\n', ..]) => Ok(Some((op.with_payload(payload), end + 2))),
            (_, [] | [b'\r']) => {
                self.needed = end + line_end.len() + 1;
                Ok(None)
            }
            _ => Err(ParseError::Unknown),
        }
    }
}
