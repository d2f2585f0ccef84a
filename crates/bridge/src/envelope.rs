//! Sync messages on the bus: where they go, how they are wrapped, and how one that is too long for the bus travels.
//!
//! A project's requests go to `<prefix>.<project-code>.sync`, where any one of those who have it answers, or to
//! `<prefix>.<project-code>.sync.<peer>`, where that peer does. A message is one sync message as over HTTP; without a content type it is packed
//! (four bytes of length and a zlib stream), which is all that the Go product sends and reads. A failure is told twice: in the header [`STATUS`],
//! and as an `error` card in the body for those who look only there. An empty answer is an error.
//!
//! A bridge cannot have a stock server cut its replies short, so between it and those who say that they can, long messages travel in parts. The
//! content type says so, because it is signed: `; edgesync-parts` of who can, `; edgesync-part=KEY/OFFSET/TOTAL` of a part, and
//! `; edgesync-more=KEY/OFFSET` of the question for the next. A key names one message between two ends. An answer that takes longer than anybody
//! waits for a message is promised, `; edgesync-later=KEY`, and asked for as its first part is.

use std::fmt;

use bytes::Bytes;
use edgesync_bus::{Headers, Message};
use libfossil::xfer::card::Card;
use libfossil::xfer::frame::{self, ContentType, FrameError};

/// What subjects begin with unless told otherwise; the Go product's.
pub const PREFIX: &str = "fossil";

/// The header with the kind of body.
pub const CONTENT_TYPE: &str = "Content-Type";

/// The header of an answer that is a failure.
pub const STATUS: &str = "Edgesync-Status";

/// The part of a subject between the project's code and the peer.
const SYNC: &str = "sync";

/// Longest text of a failure, in bytes.
const STATUS_BYTES: usize = 200;

/// Digits of a key.
const KEY_DIGITS: usize = 32;

const PARTS: &str = "edgesync-parts";
const PART: &str = "edgesync-part=";
const MORE: &str = "edgesync-more=";
const LATER: &str = "edgesync-later=";

/// Returns the subject at which anyone who has the project answers.
#[must_use]
pub fn subject(prefix: &str, project: &str) -> String {
    format!("{prefix}.{project}.{SYNC}")
}

/// Returns the subject at which this peer answers for the project.
#[must_use]
pub fn subject_of(prefix: &str, project: &str, peer: &str) -> String {
    format!("{prefix}.{project}.{SYNC}.{peer}")
}

/// Returns the queue in which those who have the project share its requests.
#[must_use]
pub fn queue(project: &str) -> String {
    format!("{SYNC}-{project}")
}

/// A message without its place on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The kind of body.
    pub content_type: ContentType,
    /// What is said of long messages.
    pub note: Option<Note>,
    /// Why there is no answer.
    pub status: Option<String>,
    /// The body.
    pub payload: Bytes,
}

/// What a content type says of long messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The sender takes messages in parts.
    Parts,
    /// The body is a part.
    Part {
        /// Which message it belongs to.
        key: Key,
        /// Where the part begins, in bytes.
        offset: usize,
        /// How long the message is, in bytes.
        total: usize,
    },
    /// Asks for the part that begins at `offset`.
    More {
        /// Of which message.
        key: Key,
        /// Where the part begins, in bytes.
        offset: usize,
    },
    /// The answer is being made: who asks for its part at 0 gets it, or this again.
    Later {
        /// Of which message.
        key: Key,
    },
}

/// Names a message that travels in parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Returns the key of these random bytes.
    #[must_use]
    pub fn from_random(random: [u8; KEY_DIGITS / 2]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn parse(text: &str) -> Option<Self> {
        let good = text.len() == KEY_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        good.then(|| Self(text.to_owned()))
    }
}

impl Note {
    fn parse(text: &str) -> Option<Self> {
        if text == PARTS {
            return Some(Self::Parts);
        }
        let number = |text: &str| text.parse::<usize>().ok();
        if let Some(rest) = text.strip_prefix(MORE) {
            let (key, offset) = rest.split_once('/')?;
            return Some(Self::More {
                key: Key::parse(key)?,
                offset: number(offset)?,
            });
        }
        if let Some(key) = text.strip_prefix(LATER) {
            return Some(Self::Later {
                key: Key::parse(key)?,
            });
        }
        let (key, rest) = text.strip_prefix(PART)?.split_once('/')?;
        let (offset, total) = rest.split_once('/')?;
        Some(Self::Part {
            key: Key::parse(key)?,
            offset: number(offset)?,
            total: number(total)?,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts => f.write_str(PARTS),
            Self::Part { key, offset, total } => write!(f, "{PART}{}/{offset}/{total}", key.0),
            Self::More { key, offset } => write!(f, "{MORE}{}/{offset}", key.0),
            Self::Later { key } => write!(f, "{LATER}{}", key.0),
        }
    }
}

impl Envelope {
    /// Returns the envelope of a sync message.
    #[must_use]
    pub fn new(content_type: ContentType, payload: Bytes) -> Self {
        Self {
            content_type,
            note: None,
            status: None,
            payload,
        }
    }

    /// Returns the envelope with something said of long messages.
    #[must_use]
    pub fn with_note(self, note: Note) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }

    /// Returns the answer that tells of a failure.
    #[must_use]
    pub fn failure(text: &str) -> Self {
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
            status: Some(status.collect()),
            ..Self::new(
                ContentType::Packed,
                frame::encode(ContentType::Packed, message),
            )
        }
    }

    /// Returns the value of the header [`CONTENT_TYPE`].
    #[must_use]
    pub fn content_type(&self) -> String {
        match &self.note {
            Some(note) => format!("{}; {note}", self.content_type.as_str()),
            None => self.content_type.as_str().to_owned(),
        }
    }

    /// Returns the headers without a signature.
    #[must_use]
    pub fn headers(&self) -> Headers {
        let headers = Headers::new().with(CONTENT_TYPE, self.content_type());
        match &self.status {
            Some(status) => headers.with(STATUS, status.clone()),
            None => headers,
        }
    }
}

/// Returns the kind of body that a message says it has.
///
/// # Errors
/// [`FrameError`] when it is none of the sync protocol's.
pub fn content_type(message: &Message) -> Result<ContentType, FrameError> {
    message
        .headers
        .get(CONTENT_TYPE)
        .map_or(Ok(ContentType::Packed), ContentType::parse)
}

/// Returns what a message says of long messages.
#[must_use]
pub fn note(message: &Message) -> Option<Note> {
    let content_type = message.headers.get(CONTENT_TYPE)?;
    content_type
        .split(';')
        .skip(1)
        .find_map(|parameter| Note::parse(parameter.trim()))
}

/// Returns a body in the form that the sender of `request` reads: the Go product, which names no content type, reads packed ones only.
#[must_use]
pub fn for_sender_of(request: &Message, content_type: ContentType, body: Bytes) -> Envelope {
    if content_type != ContentType::Packed && request.headers.get(CONTENT_TYPE).is_none() {
        let packed = frame::encode(ContentType::Packed, body.into());
        return Envelope::new(ContentType::Packed, packed);
    }
    Envelope::new(content_type, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(envelope: &Envelope) -> Message {
        Message {
            subject: "s".to_owned(),
            reply: None,
            headers: envelope.headers(),
            payload: envelope.payload.clone(),
        }
    }

    #[test]
    fn what_is_said_of_long_messages_is_read_as_it_was_written() {
        let key = Key::from_random([0xa5; 16]);
        for said in [
            Note::Parts,
            Note::Part {
                key: key.clone(),
                offset: 7,
                total: 9_000_000,
            },
            Note::More {
                key: key.clone(),
                offset: 0,
            },
            Note::Later { key },
        ] {
            let envelope = Envelope::new(ContentType::Plain, Bytes::new()).with_note(said.clone());
            let message = heard(&envelope);
            assert_eq!(note(&message), Some(said));
            assert_eq!(content_type(&message), Ok(ContentType::Plain));
        }
        assert_eq!(note(&heard(&Envelope::failure("no"))), None);
    }

    #[test]
    fn odd_notes_say_nothing() {
        let digits = "0".repeat(KEY_DIGITS);
        for odd in [
            "edgesync-part=".to_owned(),
            format!("edgesync-part={digits}/1"),
            format!("edgesync-part={digits}/-1/2"),
            format!("edgesync-part={digits}/1/2/3"),
            format!("edgesync-part={digits}0/1/2"),
            format!("edgesync-more={digits}/99999999999999999999999"),
            "edgesync-more=../../etc/0".to_owned(),
            format!("edgesync-later={digits}/0"),
            "charset=utf-8".to_owned(),
        ] {
            assert_eq!(Note::parse(&odd), None, "{odd}");
        }
    }

    #[test]
    fn a_failure_is_one_line_of_ascii_and_a_card() {
        let failure = Envelope::failure("no\r\nway: é");
        assert_eq!(failure.status.as_deref(), Some("no  way: ?"));
        let message = frame::decode(failure.content_type, failure.payload).expect("a message");
        assert_eq!(&message[..], "error no\\s\\sway:\\sé\n".as_bytes());
    }

    #[test]
    fn who_names_no_content_type_gets_packed_answers() {
        let body = Bytes::from_static(b"clone_seqno 0\n");
        let go = Message {
            headers: Headers::new(),
            ..heard(&Envelope::failure(""))
        };
        let answer = for_sender_of(&go, ContentType::Plain, body.clone());
        assert_eq!(answer.content_type, ContentType::Packed);
        assert_eq!(
            frame::decode(ContentType::Packed, answer.payload),
            Ok(body.clone())
        );
        let ours = heard(&Envelope::new(ContentType::Packed, Bytes::new()));
        assert_eq!(
            for_sender_of(&ours, ContentType::Plain, body.clone()),
            Envelope::new(ContentType::Plain, body)
        );
    }
}
