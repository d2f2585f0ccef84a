//! What peers tell each other, as JSON.
//!
//! The announcement has the three members that the Go product reads, `rid`, `uuid` and `peer_id`; it ignores the others. Neither message
//! has a signature of its own: a header beside it signs subject and body.

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, NameError, Peer, Tip, limits};

/// "I stored something new", published to `.commit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The newest artifact here: its row, and its name. A row number means something to its own repository only.
    #[serde(flatten)]
    pub tip: Tip,
    /// Who holds it and answers for it.
    pub peer_id: String,
    /// All that is here. Foreign agents do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The sender is a bridge: it stores nothing and asks nobody, and its fingerprint can be compared with its former ones alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bridge: bool,
    /// Puts the sender's messages in order.
    #[serde(flatten)]
    pub stamp: Option<Stamp>,
}

/// "I am here, and this is what I hold", published to `.hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who is there.
    pub peer_id: String,
    /// All that is here; missing where the peer does not give it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The sender is a bridge, as in an [`Announcement`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bridge: bool,
    /// Why it says so.
    pub why: Why,
    /// Puts the sender's messages in order.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// Why a peer says hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is time again.
    Beat,
    /// It asks how everyone stands.
    Poll,
    /// It has just come, or has a new way to others, and asks who is there.
    Start,
    /// It answers another's hello.
    Reply,
    /// As [`Why::Reply`], to a hello that polled.
    PollReply,
    /// It goes.
    Bye,
}

/// Puts the messages of one run of a peer in order: a later one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Which run.
    pub run: u64,
    /// Which message of it.
    pub seq: u64,
}

/// Bytes are no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// They are more than any message has.
    #[error("a message of {0} bytes")]
    TooLarge(usize),
    /// They are no JSON of the right shape.
    #[error("not a message: {0}")]
    Shape(#[from] serde_json::Error),
    /// The peer's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Why {
    /// Whether a peer that holds something else should say so.
    pub(crate) const fn asks(self) -> bool {
        matches!(self, Self::Beat | Self::Poll | Self::Start)
    }
}

impl Announcement {
    /// Parses an announcement and its sender's name.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, Peer), MessageError> {
        let message: Self = parse(bytes)?;
        let peer = Peer::parse(&message.peer_id)?;
        Ok((message, peer))
    }

    /// Returns the announcement as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Its members are text and numbers.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Hello {
    /// Parses a hello and its sender's name.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, Peer), MessageError> {
        let message: Self = parse(bytes)?;
        let peer = Peer::parse(&message.peer_id)?;
        Ok((message, peer))
    }

    /// Returns the hello as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Its members are text and numbers.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, MessageError> {
    if bytes.len() > limits::MESSAGE_BYTES {
        return Err(MessageError::TooLarge(bytes.len()));
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_go_products_announcement_is_read() {
        let bytes = br#"{"rid":17,"uuid":"ab12","peer_id":"office-hub"}"#;
        let (message, peer) = Announcement::parse(bytes).expect("an announcement");
        assert_eq!(peer.as_str(), "office-hub");
        assert_eq!(
            message.tip,
            Tip {
                rid: 17,
                uuid: "ab12".to_owned()
            }
        );
        assert_eq!((message.fingerprint, message.stamp), (None, None));
    }

    #[test]
    fn ours_begins_with_what_the_go_product_reads_and_comes_back_whole() {
        let message = Announcement {
            tip: Tip {
                rid: 17,
                uuid: "ab12".to_owned(),
            },
            peer_id: "me".to_owned(),
            fingerprint: Some(Fingerprint::default()),
            bridge: true,
            stamp: Some(Stamp {
                run: u64::MAX,
                seq: 2,
            }),
        };
        let text = String::from_utf8(message.to_bytes()).expect("text");
        assert!(
            text.starts_with(r#"{"rid":17,"uuid":"ab12","peer_id":"me","#),
            "{text}"
        );
        assert_eq!(
            Announcement::parse(text.as_bytes()).expect("parsed").0,
            message
        );
    }

    #[test]
    fn a_hello_comes_back_whole_and_may_know_more_than_we_do() {
        let hello = Hello {
            peer_id: "me".to_owned(),
            fingerprint: None,
            bridge: false,
            why: Why::PollReply,
            stamp: Stamp { run: 1, seq: 2 },
        };
        let text = String::from_utf8(hello.to_bytes()).expect("text");
        assert_eq!(
            text,
            r#"{"peer_id":"me","why":"poll_reply","run":1,"seq":2}"#
        );
        let more = text.replace('}', r#","colour":"blue"}"#);
        assert_eq!(Hello::parse(more.as_bytes()).expect("parsed").0, hello);
    }

    #[test]
    fn bad_messages_are_named() {
        let foreign = br#"{"rid":1,"uuid":"a","peer_id":"a.>"}"#;
        assert!(matches!(
            Announcement::parse(foreign),
            Err(MessageError::Name(_))
        ));
        let large = vec![b' '; limits::MESSAGE_BYTES + 1];
        assert!(matches!(
            Hello::parse(&large),
            Err(MessageError::TooLarge(_))
        ));
        assert!(matches!(Hello::parse(b"{}"), Err(MessageError::Shape(_))));
    }
}
