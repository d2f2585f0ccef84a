//! Sync messages on the bus: where they go, how they are wrapped, and who signed them.
//!
//! A project's requests go to `<prefix>.<project-code>.sync`, where any one of the agents that have it answers, or to
//! `<prefix>.<project-code>.sync.<peer>`, where that peer does. A message is one sync message as over HTTP; without a content type it is packed
//! (four bytes of length and a zlib stream), which is all that the Go product sends and reads. A failure is told twice: in the header [`STATUS`],
//! and as an `error` card in the body for those who look only there. An empty answer is an error.

use bytes::Bytes;
use edgesync_bus::{Headers, Message, SharedBus};
use libfossil::xfer::Budget;
use libfossil::xfer::card::Card;
use libfossil::xfer::frame::{self, ContentType};

use crate::api::Time;
use crate::limits;
use crate::trust::auth::{NONCE_BYTES, sign};
use crate::trust::{Context, HEADER, Keys, Statement, Trust};

use std::sync::Arc;

/// What subjects begin with unless told otherwise; the Go product's.
pub(crate) const PREFIX: &str = "fossil";

/// The header with the kind of body.
pub(crate) const CONTENT_TYPE: &str = "Content-Type";

/// The header of an answer that is a failure.
pub(crate) const STATUS: &str = "Edgesync-Status";

/// The part of a subject between the project's code and the peer.
const SYNC: &str = "sync";

/// Longest text of a failure, in bytes.
const STATUS_BYTES: usize = 200;

/// An agent's place on the bus, for sync.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) bus: SharedBus,
    pub(crate) prefix: String,
    pub(crate) keys: Arc<Keys>,
    pub(crate) trust: Arc<Trust>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("prefix", &self.prefix)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// A message without its place on the bus.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) content_type: ContentType,
    pub(crate) status: Option<String>,
    pub(crate) payload: Bytes,
}

impl Wire {
    /// Returns the subject at which anyone who has the project answers.
    pub(crate) fn subject(&self, project: &str) -> String {
        format!("{}.{project}.{SYNC}", self.prefix)
    }

    /// Returns the subject at which this peer answers for the project.
    pub(crate) fn subject_of(&self, project: &str, peer: &str) -> String {
        format!("{}.{project}.{SYNC}.{peer}", self.prefix)
    }

    /// Returns the queue in which those who have the project share its requests.
    pub(crate) fn queue(project: &str) -> String {
        format!("{SYNC}-{project}")
    }

    /// Returns how long the body of a message may be: what the server takes, less the headers; and no more than keeps the bus quick for others
    /// where the other side can do with less.
    pub(crate) fn budget(&self) -> Budget {
        let most = self.bus.max_payload();
        let most = most.saturating_sub(limits::BUS_HEADERS_BYTES);
        Budget {
            usual: most.min(limits::BUS_BODY_BYTES),
            most,
        }
    }

    /// Returns the headers of a message, signed.
    pub(crate) fn headers(
        &self,
        context: Context,
        subject: &str,
        reply: Option<&str>,
        nonce: &[u8; NONCE_BYTES],
        envelope: &Envelope,
    ) -> Headers {
        let statement = statement(context, subject, reply, envelope);
        let signature = sign(&self.keys, &statement, nonce, Time::now());
        envelope.headers().with(HEADER, signature)
    }
}

impl Envelope {
    /// Returns the envelope of a sync message.
    pub(crate) fn new(content_type: ContentType, payload: Bytes) -> Self {
        Self {
            content_type,
            status: None,
            payload,
        }
    }

    /// Returns the answer that tells of a failure.
    pub(crate) fn failure(text: &str) -> Self {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(STATUS_BYTES)
            .collect();
        let text = text.trim().to_owned();
        let message = Card::Error(text.clone()).to_bytes();
        // A header is ASCII for every client that may read it.
        let status = text.chars().map(|c| if c.is_ascii() { c } else { '?' });
        Self {
            content_type: ContentType::Packed,
            status: Some(status.collect()),
            payload: frame::encode(ContentType::Packed, message),
        }
    }

    /// Returns the headers without a signature.
    pub(crate) fn headers(&self) -> Headers {
        let headers = Headers::new().with(CONTENT_TYPE, self.content_type.as_str());
        match &self.status {
            Some(status) => headers.with(STATUS, status.clone()),
            None => headers,
        }
    }
}

/// Returns what the signature of a message that we send is over.
fn statement<'a>(
    context: Context,
    subject: &'a str,
    reply: Option<&'a str>,
    envelope: &'a Envelope,
) -> Statement<'a> {
    Statement {
        context,
        subject,
        reply,
        content_type: Some(envelope.content_type.as_str()),
        status: envelope.status.as_deref(),
        payload: &envelope.payload,
    }
}

/// Returns what the signature of a message that was heard is over.
pub(crate) fn heard<'a>(context: Context, message: &'a Message) -> Statement<'a> {
    Statement {
        context,
        subject: &message.subject,
        reply: message.reply.as_deref(),
        content_type: message.headers.get(CONTENT_TYPE),
        status: message.headers.get(STATUS),
        payload: &message.payload,
    }
}

/// Returns the kind of body that a message says it has.
///
/// # Errors
/// [`frame::FrameError`] when it is none of the sync protocol's.
pub(crate) fn content_type(message: &Message) -> Result<ContentType, frame::FrameError> {
    message
        .headers
        .get(CONTENT_TYPE)
        .map_or(Ok(ContentType::Packed), ContentType::parse)
}
