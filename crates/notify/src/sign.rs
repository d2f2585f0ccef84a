//! Signatures over messages: Ed25519 over the compact form without the member `sig`, behind a line that says what it is, so that
//! no signature made for something else passes for one of these.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::name::{Key, from_hex, write_hex};

/// What is signed. Each has a line of its own before the signed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A message.
    Message,
    /// A record that messages go on elsewhere.
    Moved,
}

impl Context {
    /// Returns what stands before the signed text.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Message => "edgesync-notify-v1\n",
            Self::Moved => "edgesync-notify-moved-v1\n",
        }
    }
}

/// The one algorithm, as messages name it.
pub const ALGORITHM: &str = "ed25519";

/// Longest voucher, in bytes: two keys and a signature in hexadecimal digits, and room.
const MAX_VOUCHER_BYTES: usize = 512;

/// A signature and whose it is said to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key that is said to have made it.
    pub key: Key,
    /// What its sender says to prove that the key is its own; nobody here can read it. Not signed, because it proves itself.
    pub voucher: Option<String>,
    value: [u8; 64],
}

/// Not the seed of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the seed of a key")]
pub struct SeedError;

/// Makes the signature over some bytes.
type Sign = Box<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// A key that signs messages. The secret half cannot be got out again.
pub struct Signer {
    key: Key,
    voucher: Option<String>,
    sign: Sign,
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
        let sign = move |bytes: &[u8]| {
            let mut value = [0; 64];
            for (byte, made) in value.iter_mut().zip(pair.sign(bytes).as_ref()) {
                *byte = *made;
            }
            value
        };
        Ok(Self::new(Key::from_bytes(public), sign))
    }

    /// Returns the key whose public half is `key` and whose secret half `sign` has.
    pub fn new(key: Key, sign: impl Fn(&[u8]) -> [u8; 64] + Send + Sync + 'static) -> Self {
        Self {
            key,
            voucher: None,
            sign: Box::new(sign),
        }
    }

    /// Puts a proof of whose the key is beside each signature.
    #[must_use]
    pub fn vouched_for_by(mut self, voucher: String) -> Self {
        self.voucher = Some(voucher);
        self
    }

    /// Returns the public half.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Signs the compact form of something.
    #[must_use]
    pub fn sign(&self, context: Context, text: &str) -> Signature {
        Signature {
            key: self.key,
            voucher: self.voucher.clone(),
            value: (self.sign)(&signed_bytes(context, text)),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.key).finish()
    }
}

impl Signature {
    /// Reads the members of a signature.
    #[must_use]
    pub fn parse(key: &str, value: &str, voucher: Option<&str>) -> Option<Self> {
        if voucher.is_some_and(|voucher| voucher.len() > MAX_VOUCHER_BYTES) {
            return None;
        }
        Some(Self {
            voucher: voucher.map(str::to_owned),
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

    /// Returns whether the named key made this over the compact form of something.
    #[must_use]
    pub fn is_over(&self, context: Context, text: &str) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key.as_bytes())
            .verify(&signed_bytes(context, text), &self.value)
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

fn signed_bytes(context: Context, text: &str) -> Vec<u8> {
    [context.line().as_bytes(), text.as_bytes()].concat()
}
