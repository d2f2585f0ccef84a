//! The header [`HEADER`]: who says something on the bus, proven.
//!
//! It holds eight words: the version `1`; identity, nkey and message key with the identity's signature that binds them, in
//! hexadecimal digits; the time in milliseconds since 1970; a nonce of 16 bytes; and the signature. Signed is, each part preceded by its
//! length in four bytes: `edgesync-auth 1`, the context, subject, reply subject, content type, status, time, nonce, and the SHA-256 of the body.
//! So nothing that was signed for one place, purpose or time counts for another.

use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::keys::{Binding, EndpointId, Keys, verify as verify_signature};
use crate::api::Time;
use crate::text::{from_hex, to_hex};

/// The header's name.
pub(crate) const HEADER: &str = "Edgesync-Auth";

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 16;

/// How much a signature's time may differ from ours: clocks that differ by minutes are common, and what was signed earlier is not accepted again
/// while it is remembered.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);

/// The form of the header.
const VERSION: &str = "1";

/// The first part of what is signed.
const DOMAIN: &[u8] = b"edgesync-auth 1";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// A request.
    Request,
    /// The answer to one; its nonce is the request's.
    Reply,
    /// An announcement, which nobody answers.
    Announcement,
    /// What a clock shows; its nonce is that of who asked.
    Clock,
}

impl Context {
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Announcement => "announcement",
            Self::Clock => "clock",
        }
    }
}

/// What is signed beside time and nonce.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub(crate) context: Context,
    /// What the message is published to.
    pub(crate) subject: &'a str,
    /// Where its answer goes.
    pub(crate) reply: Option<&'a str>,
    /// Its content type, where it has one.
    pub(crate) content_type: Option<&'a str>,
    /// Its status, where it has one.
    pub(crate) status: Option<&'a str>,
    pub(crate) payload: &'a [u8],
}

/// What a good header proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) id: EndpointId,
    pub(crate) nonce: [u8; NONCE_BYTES],
    /// When it was signed, by the signer's clock.
    pub(crate) time: Time,
}

impl Proof {
    /// Checks that it was signed within minutes of `now`, which is what the signer's clock shows.
    ///
    /// # Errors
    /// [`AuthError::Time`].
    pub(crate) fn check_time(&self, now: Time) -> Result<(), AuthError> {
        let difference = now.unix_millis().saturating_sub(self.time.unix_millis());
        if u128::from(difference.unsigned_abs()) > WINDOW.as_millis() {
            return Err(AuthError::Time {
                seconds: difference.saturating_abs() / 1000,
            });
        }
        Ok(())
    }
}

/// A signature that does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AuthError {
    /// The header is not of the form.
    #[error("the signature is malformed")]
    Malformed,
    /// It is not the signer's, or not over this message.
    #[error("the signature is wrong")]
    Wrong,
    /// It was made too long ago, or in the future.
    #[error("the signature's time differs from ours by {seconds} s; are both clocks right?")]
    Time {
        /// How much.
        seconds: i64,
    },
    /// The message was heard before.
    #[error("the message was replayed")]
    Replayed,
}

impl Statement<'_> {
    fn signed_bytes(&self, time: i64, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
        let hash = digest(&SHA256, self.payload);
        let text = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
        let parts = [
            DOMAIN.to_vec(),
            text(Some(self.context.as_str())),
            text(Some(self.subject)),
            text(self.reply),
            text(self.content_type),
            text(self.status),
            time.to_be_bytes().to_vec(),
            nonce.to_vec(),
            hash.as_ref().to_vec(),
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(&part);
        }
        bytes
    }
}

/// Returns the header for a message.
pub(crate) fn sign(
    keys: &Keys,
    statement: &Statement<'_>,
    nonce: &[u8; NONCE_BYTES],
    now: Time,
) -> String {
    let time = now.unix_millis();
    let signature = keys.sign_message(&statement.signed_bytes(time, nonce));
    let Binding {
        nkey,
        message,
        signature: binding,
    } = keys.binding();
    [
        VERSION.to_owned(),
        keys.id().to_string(),
        to_hex(nkey),
        to_hex(message),
        to_hex(binding),
        time.to_string(),
        to_hex(nonce),
        to_hex(&signature),
    ]
    .join(" ")
}

/// Returns what a header proves about a message, whenever that was signed.
///
/// # Errors
/// [`AuthError::Malformed`], [`AuthError::Wrong`].
pub(crate) fn read(header: &str, statement: &Statement<'_>) -> Result<Proof, AuthError> {
    let words: Vec<&str> = header.split(' ').collect();
    let [VERSION, id, nkey, message, binding, time, nonce, signature] = words.as_slice() else {
        return Err(AuthError::Malformed);
    };
    let parse = || {
        let binding = Binding {
            nkey: from_hex(nkey)?,
            message: from_hex(message)?,
            signature: from_hex(binding)?,
        };
        let (time, nonce) = (time.parse::<i64>().ok()?, from_hex(nonce)?);
        Some((
            id.parse::<EndpointId>().ok()?,
            binding,
            time,
            nonce,
            from_hex(signature)?,
        ))
    };
    let (id, binding, time, nonce, signature) = parse().ok_or(AuthError::Malformed)?;
    let signed = statement.signed_bytes(time, &nonce);
    if binding.is_of(&id) && verify_signature(&binding.message, &signed, &signature) {
        let time = Time::from_unix_millis(time);
        Ok(Proof { id, nonce, time })
    } else {
        Err(AuthError::Wrong)
    }
}

/// Returns who answered a request with this `nonce`, `None` when the answer is not signed. When it was signed does not matter: the nonce was made
/// for this request, so it cannot have been before.
///
/// # Errors
/// [`AuthError`] when the header is not what it has to be.
pub(crate) fn verify_reply(
    header: Option<&str>,
    statement: &Statement<'_>,
    nonce: &[u8; NONCE_BYTES],
) -> Result<Option<EndpointId>, AuthError> {
    let Some(header) = header else {
        return Ok(None);
    };
    let proof = read(header, statement)?;
    if proof.nonce == *nonce {
        Ok(Some(proof.id))
    } else {
        Err(AuthError::Replayed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::keys;

    const NOW: i64 = 1_700_000_000_000;

    fn verify(header: &str, statement: &Statement<'_>, now: Time) -> Result<Proof, AuthError> {
        let proof = read(header, statement)?;
        proof.check_time(now).map(|()| proof)
    }

    fn statement() -> Statement<'static> {
        Statement {
            context: Context::Request,
            subject: "fossil.abc.sync",
            reply: Some("_INBOX.1"),
            content_type: Some("application/x-fossil"),
            status: None,
            payload: b"payload",
        }
    }

    fn at(millis: i64) -> Time {
        Time::from_unix_millis(millis)
    }

    #[test]
    fn a_signed_message_proves_its_sender() {
        let header = sign(&keys(1), &statement(), &[5; NONCE_BYTES], at(NOW));
        let proof = Proof {
            id: keys(1).id(),
            nonce: [5; NONCE_BYTES],
            time: at(NOW),
        };
        assert_eq!(verify(&header, &statement(), at(NOW + 1000)), Ok(proof));
        assert!(
            header.len() < crate::limits::BUS_HEADERS_BYTES / 2,
            "{}",
            header.len()
        );
    }

    #[test]
    fn what_was_signed_for_one_message_counts_for_no_other() {
        let header = sign(&keys(1), &statement(), &[5; NONCE_BYTES], at(NOW));
        let same = statement();
        for other in [
            Statement {
                context: Context::Reply,
                ..same
            },
            Statement {
                subject: "fossil.abd.sync",
                ..same
            },
            Statement {
                reply: None,
                ..same
            },
            Statement {
                reply: Some("_INBOX.2"),
                ..same
            },
            Statement {
                content_type: None,
                ..same
            },
            Statement {
                status: Some("application/x-fossil"),
                content_type: None,
                ..same
            },
            Statement {
                payload: b"payloae",
                ..same
            },
        ] {
            assert_eq!(
                verify(&header, &other, at(NOW)),
                Err(AuthError::Wrong),
                "{other:?}"
            );
        }
    }

    #[test]
    fn keys_of_another_identity_are_refused() {
        let mine = sign(&keys(1), &statement(), &[5; NONCE_BYTES], at(NOW));
        let theirs = keys(2).id().to_string();
        let mut words: Vec<&str> = mine.split(' ').collect();
        words[1] = &theirs;
        assert_eq!(
            verify(&words.join(" "), &statement(), at(NOW)),
            Err(AuthError::Wrong)
        );
    }

    #[test]
    fn old_and_future_signatures_are_refused() {
        let header = sign(&keys(1), &statement(), &[5; NONCE_BYTES], at(NOW));
        for shift in [-301_000, 301_000] {
            let judged = verify(&header, &statement(), at(NOW + shift));
            assert_eq!(judged, Err(AuthError::Time { seconds: 301 }));
        }
    }

    #[test]
    fn an_answer_counts_by_its_nonce_whatever_the_clock_of_its_signer_shows() {
        let nonce = [5; NONCE_BYTES];
        let reply = Statement {
            context: Context::Reply,
            ..statement()
        };
        let header = sign(&keys(1), &reply, &nonce, at(0));
        let judged = |nonce| verify_reply(Some(&header), &reply, nonce);
        assert_eq!(judged(&nonce), Ok(Some(keys(1).id())));
        assert_eq!(judged(&[6; NONCE_BYTES]), Err(AuthError::Replayed));
    }

    #[test]
    fn every_cut_or_changed_header_is_refused() {
        let header = sign(&keys(1), &statement(), &[5; NONCE_BYTES], at(NOW));
        for at_byte in 0..header.len() {
            let (head, tail) = header.split_at(at_byte);
            assert!(verify(head, &statement(), at(NOW)).is_err());
            let flipped = if tail.starts_with('0') { "1" } else { "0" };
            let changed = format!("{head}{flipped}{}", &tail[1..]);
            assert!(
                verify(&changed, &statement(), at(NOW)).is_err(),
                "{at_byte}"
            );
        }
    }
}
