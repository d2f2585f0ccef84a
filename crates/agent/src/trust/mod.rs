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
//! - [`register`]: which identities have which rights.

pub(crate) mod auth;
pub(crate) mod keys;
mod register;
mod replay;

use libfossil::auth::Capabilities;

pub(crate) use auth::{AuthError, Context, HEADER, Statement};
pub(crate) use keys::Keys;
pub use keys::{EndpointId, EndpointIdError};
pub(crate) use register::{Register, TrustedId};

use crate::api::Time;
use auth::Proof;
use replay::Seen;

/// The rights of an identity that `--trust` names, and of unsigned messages where those are accepted: clone, read, write.
pub(crate) const TRUSTED: &str = "gio";

/// Judges messages by who signed them.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) register: Register,
    seen: Seen,
}

impl Trust {
    /// Returns a judge who knows the identities of `register`.
    pub(crate) fn new(register: Register) -> Self {
        Self {
            register,
            seen: Seen::default(),
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
        let proof = auth::verify(header, statement, now)?;
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
