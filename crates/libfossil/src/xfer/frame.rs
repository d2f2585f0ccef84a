//! The envelope of a message: its content type says whether the payload is packed, four bytes of length and a zlib stream, or plain.

use bytes::Bytes;

use crate::blob::codec::{self, CodecError};

/// What a message's content type says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/x-fossil`: packed.
    Packed,
    /// `application/x-fossil-uncompressed`: plain; the form of clone replies, whose payload is packed already.
    Plain,
    /// `application/x-fossil-debug`: plain, for people to read.
    Debug,
}

/// The prefix that all content types of the protocol share.
const FAMILY: &str = "application/x-fossil";

/// Longest message, packed or not, in bytes. A stock server takes 2^31; a push stays under 250,000 except for one large file, and a clone's
/// reply ends soon after 5,000,000, except for one large file.
pub const MAX_MESSAGE_BYTES: usize = crate::limits::MAX_CONTENT_BYTES + (16 << 20);

/// Messages up to this length may be packed as tightly as they like, in bytes.
const FREE_MESSAGE_BYTES: usize = 64 << 20;

/// Longer messages are at most this many times as long as their body: a stranger's small request must not take much memory.
const MAX_RATIO: usize = 20;

/// Bodies this short hold no message.
const EMPTY_BODY_BYTES: usize = 4;

/// Why a body is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The content type belongs to something else, such as a login page.
    #[error("the content type {0:?} is not Fossil's")]
    ContentType(String),
    /// The packed body does not unpack, or to more than is allowed.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The body is longer than any message.
    #[error("a message of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The most that is accepted.
        limit: usize,
    },
}

impl ContentType {
    /// Reads the value of a `Content-Type` header.
    ///
    /// # Errors
    /// It is none of the protocol's.
    pub fn parse(value: &str) -> Result<Self, FrameError> {
        let value = value.split(';').next().unwrap_or_default().trim();
        match value.strip_prefix(FAMILY) {
            Some("") => Ok(Self::Packed),
            Some("-debug") => Ok(Self::Debug),
            // As stock: whatever else has the prefix is plain.
            Some(suffix) if suffix.starts_with('-') => Ok(Self::Plain),
            _ => Err(FrameError::ContentType(value.chars().take(80).collect())),
        }
    }

    /// Returns the header's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Packed => FAMILY,
            Self::Plain => "application/x-fossil-uncompressed",
            Self::Debug => "application/x-fossil-debug",
        }
    }
}

/// Returns the message in `body`. A body of up to four bytes holds the empty message.
///
/// # Errors
/// The body is too long, or does not unpack, or to a length out of all proportion.
pub fn decode(content_type: ContentType, body: Bytes) -> Result<Bytes, FrameError> {
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(FrameError::TooLarge {
            bytes: body.len(),
            limit: MAX_MESSAGE_BYTES,
        });
    }
    match content_type {
        ContentType::Packed if body.len() <= EMPTY_BODY_BYTES => Ok(Bytes::new()),
        ContentType::Packed => {
            let fair = body.len().saturating_mul(MAX_RATIO).max(FREE_MESSAGE_BYTES);
            Ok(codec::unpack(&body, fair.min(MAX_MESSAGE_BYTES))?.into())
        }
        ContentType::Plain | ContentType::Debug => Ok(body),
    }
}

/// Returns how long the message in `body` says it is; nothing is checked.
#[must_use]
pub fn message_bytes(content_type: ContentType, body: &[u8]) -> usize {
    match content_type {
        ContentType::Packed => codec::declared_size(body).unwrap_or(0),
        ContentType::Plain | ContentType::Debug => body.len(),
    }
}

/// Returns the body that carries `message`.
#[must_use]
pub fn encode(content_type: ContentType, message: Vec<u8>) -> Bytes {
    match content_type {
        ContentType::Packed => codec::pack(&message).into(),
        ContentType::Plain | ContentType::Debug => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_types_are_told_apart_as_stock_does() {
        assert_eq!(
            ContentType::parse("application/x-fossil"),
            Ok(ContentType::Packed)
        );
        assert_eq!(
            ContentType::parse("application/x-fossil; charset=x"),
            Ok(ContentType::Packed)
        );
        assert_eq!(
            ContentType::parse("application/x-fossil-debug"),
            Ok(ContentType::Debug)
        );
        assert_eq!(
            ContentType::parse("application/x-fossil-uncompressed"),
            Ok(ContentType::Plain)
        );
        assert_eq!(
            ContentType::parse("application/x-fossil-other"),
            Ok(ContentType::Plain)
        );
        for other in ["text/html", "", "application/x-fossilised"] {
            assert!(ContentType::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_lying_length_is_refused_before_memory_is_taken() {
        let mut body = codec::pack(b"pull a b\n");
        body[..4].copy_from_slice(&[0xff; 4]);
        assert!(matches!(
            decode(ContentType::Packed, body.into()),
            Err(FrameError::Codec(CodecError::TooLarge { .. }))
        ));
    }

    #[test]
    fn a_small_body_does_not_become_a_huge_message() {
        let body = codec::pack(&vec![b'#'; FREE_MESSAGE_BYTES + 1]);
        assert!(body.len() * MAX_RATIO < FREE_MESSAGE_BYTES);
        let refused = decode(ContentType::Packed, body.into());
        assert!(matches!(
            refused,
            Err(FrameError::Codec(CodecError::TooLarge { .. }))
        ));
    }

    #[test]
    fn a_cut_body_is_refused() {
        let body = Bytes::from(codec::pack(&b"# comment\n".repeat(50)));
        for end in 5..body.len() {
            assert!(
                decode(ContentType::Packed, body.slice(..end)).is_err(),
                "cut at {end}"
            );
        }
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(message: Vec<u8>) {
            for content_type in [ContentType::Packed, ContentType::Plain, ContentType::Debug] {
                let body = encode(content_type, message.clone());
                prop_assert_eq!(ContentType::parse(content_type.as_str()), Ok(content_type));
                prop_assert_eq!(decode(content_type, body), Ok(Bytes::from(message.clone())));
            }
        }

        #[test]
        fn any_body_is_refused_or_decoded(body: Vec<u8>) {
            let _ = decode(ContentType::Packed, body.into());
        }
    }
}
