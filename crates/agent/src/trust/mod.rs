//! Who says what on the bus, and what they may do here.
//!
//! Every agent has one identity key. From it come two more by HKDF, each for one purpose: the NATS nkey, so that no foreign server's challenge
//! is ever signed by the identity, and the key that signs messages. The identity signs once that these two are its own. A message's header
//! [`HEADER`] names the identity, shows that binding, and signs what was said where, when and to whom; replies are signed as well, because
//! a hash proves that content is whole, not that its sender may write here.
//!
//! - [`keys`]: the keys and the binding.
//! - [`auth`]: the header, written and checked.
//! - [`replay`]: requests that were seen already.
//! - [`clocks`]: what others' clocks show.
//! - [`register`]: which identities have which rights.

pub(crate) mod auth;
mod clocks;
pub(crate) mod keys;
mod register;
mod replay;

use libfossil::auth::Capabilities;

pub(crate) use auth::{AuthError, Context, HEADER, Statement};
pub(crate) use keys::Keys;
pub use keys::{EndpointId, EndpointIdError};
pub use register::{AcceptUnsigned, AcceptUnsignedError};
pub(crate) use register::{Register, TrustedId};

use crate::api::Time;
use auth::Proof;
use clocks::Clocks;
use replay::Seen;

/// The rights of an identity that `--trust` names, and of unsigned messages where those are accepted: clone, read, write.
pub(crate) const TRUSTED: &str = "gio";

/// Judges messages by who signed them.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) register: Register,
    seen: Seen,
    pub(crate) clocks: Clocks,
}

impl Trust {
    /// Returns a judge who knows the identities of `register`.
    pub(crate) fn new(register: Register) -> Self {
        Self {
            register,
            seen: Seen::default(),
            clocks: Clocks::default(),
        }
    }

    /// Returns who made a request or announcement, `None` when it is not signed. What was heard before is refused.
    ///
    /// # Errors
    /// [`AuthError`] when the header is not what it has to be.
    pub(crate) fn identify(
        &self,
        header: Option<&str>,
        statement: &Statement<'_>,
        now: Time,
    ) -> Result<Option<Proof>, AuthError> {
        let Some(header) = header else {
            return Ok(None);
        };
        let proof = auth::read(header, statement)?;
        let timely = proof.check_time(self.clocks.there(&proof.id, now));
        if timely.is_err() && self.register.knows(&proof.id) {
            self.clocks.doubt(proof.id);
        }
        timely?;
        // Strangers have no rights to gain by saying things twice, and must not fill the memory.
        if self.register.knows(&proof.id) && !self.seen.first_time(&proof, now) {
            return Err(AuthError::Replayed);
        }
        Ok(Some(proof))
    }

    /// Returns what the signer of a message may do in the project of this code; `None` is who did not sign.
    pub(crate) fn rights(&self, id: Option<&EndpointId>, project: &str) -> Capabilities {
        let letters = match id {
            Some(id) => self.register.letters(id, project),
            None if self.register.accepts_unsigned(project) => Some(TRUSTED.to_owned()),
            None => None,
        };
        letters.map_or(Capabilities::NONE, |letters| {
            Capabilities::from_letters(&letters)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::auth::{NONCE_BYTES, sign};
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn at(ms: i64) -> Time {
        Time::from_unix_millis(1_700_000_000_000 + ms)
    }

    #[tokio::test]
    async fn who_is_refused_for_its_time_alone_is_asked_and_then_heard_by_its_own_clock() {
        let keys = Keys::from_secret(&[1; 32]).expect("keys");
        let stranger = Keys::from_secret(&[2; 32]).expect("keys");
        let trust = Trust::new(Register::of_run([keys.id()], None));
        let statement = Statement {
            context: Context::Announcement,
            subject: "fossil.abc.hello",
            reply: None,
            content_type: None,
            status: None,
            payload: b"{}",
        };
        let say =
            |keys: &Keys, nonce: u8, ms: i64| sign(keys, &statement, &[nonce; NONCE_BYTES], at(ms));
        let hear = |header: &str, ms: i64| {
            let proof = trust.identify(Some(header), &statement, at(ms));
            proof.map(|proof| proof.map(|it| it.id))
        };
        let early = say(&keys, 1, 3 * HOUR_MS);
        assert!(matches!(hear(&early, 0), Err(AuthError::Time { .. })));
        let strange = say(&stranger, 1, 3 * HOUR_MS);
        assert!(matches!(hear(&strange, 0), Err(AuthError::Time { .. })));
        assert_eq!(trust.clocks.doubted().await, keys.id(), "and no stranger");
        let news = trust.clocks.learn(keys.id(), at(3 * HOUR_MS + 40), at(0));
        assert_eq!(news, Some(3 * HOUR_MS + 40));
        assert_eq!(hear(&early, 100), Ok(Some(keys.id())));
        assert_eq!(hear(&early, 200), Err(AuthError::Replayed));
        // What it signed before, by its own clock, is as old as it would be by a right one.
        let old = say(&keys, 2, 3 * HOUR_MS - 301_000);
        assert!(matches!(hear(&old, 300), Err(AuthError::Time { .. })));
        // It was set right.
        let right = say(&keys, 3, 400);
        assert!(matches!(hear(&right, 400), Err(AuthError::Time { .. })));
        assert_eq!(trust.clocks.doubted().await, keys.id());
        trust.clocks.learn(keys.id(), at(410), at(400));
        assert_eq!(hear(&right, 500), Ok(Some(keys.id())));
    }
}
