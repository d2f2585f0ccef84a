//! Signatures over messages: Ed25519 over the compact form without the member `sig`, behind a line that says what it is, so that
//! no signature made for something else passes for one of these.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::name::{Key, from_hex, write_hex};

/// What stands before the signed text.
pub const CONTEXT: &str = "edgesync-notify-v1\n";

/// The one algorithm, as messages name it.
pub const ALGORITHM: &str = "ed25519";

/// A signature and whose it is said to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key that is said to have made it.
    pub key: Key,
    value: [u8; 64],
}

/// Not the seed of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the seed of a key")]
pub struct SeedError;

/// A key that signs messages. The secret half cannot be got out again.
pub struct Signer {
    pair: Ed25519KeyPair,
    key: Key,
}

impl Signer {
    /// Returns the key that `seed` is the secret of.
    ///
    /// # Errors
    /// [`SeedError`].
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SeedError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SeedError)?;
        let public = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| SeedError)?;
        Ok(Self {
            pair,
            key: Key::from_bytes(public),
        })
    }

    /// Returns the public half.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Signs a message's compact form.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        let mut value = [0; 64];
        let signature = self.pair.sign(&signed_bytes(text));
        for (byte, made) in value.iter_mut().zip(signature.as_ref()) {
            *byte = *made;
        }
        Signature {
            key: self.key,
            value,
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.key).finish()
    }
}

impl Signature {
    /// Reads the two members of a signature.
    #[must_use]
    pub fn parse(key: &str, value: &str) -> Option<Self> {
        Some(Self {
            key: Key::parse(key).ok()?,
            value: from_hex(value)?,
        })
    }

    /// Returns the signature as hexadecimal digits.
    #[must_use]
    pub fn value(&self) -> String {
        let mut text = String::with_capacity(128);
        // Writing into a string cannot fail.
        let _ = write_hex(&mut text, &self.value);
        text
    }

    /// Returns whether the named key made this over a message's compact form.
    #[must_use]
    pub fn is_over(&self, text: &str) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key.as_bytes())
            .verify(&signed_bytes(text), &self.value)
            .is_ok()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn signed_bytes(text: &str) -> Vec<u8> {
    [CONTEXT.as_bytes(), text.as_bytes()].concat()
}
