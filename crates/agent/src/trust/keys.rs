//! The identity key and what is derived from it.

use std::fmt;
use std::str::FromStr;

use ring::hkdf;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::text::{from_hex, to_hex};

/// Bytes of a public key.
pub(crate) const KEY_BYTES: usize = 32;

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// What the keys are derived with. Changing any of these three makes every agent a stranger to its peers.
const SALT: &[u8] = b"edgesync keys 1";
const NKEY_LABEL: &[u8] = b"nats nkey";
const MESSAGE_LABEL: &[u8] = b"message signing";

/// What the identity signs: this, the nkey's public half, the message key's public half.
const BINDING_LABEL: &[u8] = b"edgesync binding 1";

/// The public half of an agent's identity key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId([u8; KEY_BYTES]);

/// The text is no endpoint id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint id has 64 hexadecimal digits; `edgesync id` prints an agent's own")]
pub struct EndpointIdError;

impl EndpointId {
    /// Returns the key's bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Returns whether `signature` over `message` was made by this identity.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        verify(&self.0, message, signature)
    }
}

impl From<[u8; KEY_BYTES]> for EndpointId {
    fn from(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self).ok_or(EndpointIdError)
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The public halves of the derived keys, as the identity vouches for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) nkey: [u8; KEY_BYTES],
    pub(crate) message: [u8; KEY_BYTES],
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Binding {
    /// Returns whether `id` has vouched for these keys.
    pub(crate) fn is_of(&self, id: &EndpointId) -> bool {
        id.signed(&bound(&self.nkey, &self.message), &self.signature)
    }
}

/// All keys of an agent. Holds secrets; shows none.
pub(crate) struct Keys {
    secret: [u8; KEY_BYTES],
    id: EndpointId,
    nkey: Ed25519KeyPair,
    message: Ed25519KeyPair,
    binding: Binding,
}

impl Keys {
    /// Returns the keys that follow from the identity's secret half.
    pub(crate) fn from_secret(secret: &[u8; KEY_BYTES]) -> Option<Self> {
        let identity = Ed25519KeyPair::from_seed_unchecked(secret).ok()?;
        let nkey = derive(secret, NKEY_LABEL)?;
        let message = derive(secret, MESSAGE_LABEL)?;
        let (nkey_public, message_public) = (public(&nkey)?, public(&message)?);
        let signature = identity.sign(&bound(&nkey_public, &message_public));
        Some(Self {
            secret: *secret,
            id: EndpointId(public(&identity)?),
            nkey,
            message,
            binding: Binding {
                nkey: nkey_public,
                message: message_public,
                signature: signature.as_ref().try_into().ok()?,
            },
        })
    }

    /// The identity's secret half, for the tunnel, whose connections prove the identity itself.
    pub(crate) fn secret(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }

    pub(crate) fn id(&self) -> EndpointId {
        self.id
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Signs with the message key. Ed25519 signatures always have this length.
    pub(crate) fn sign_message(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        fixed(self.message.sign(message).as_ref())
    }

    /// Signs a NATS server's challenge.
    pub(crate) fn sign_challenge(&self, nonce: &[u8]) -> [u8; SIGNATURE_BYTES] {
        fixed(self.nkey.sign(nonce).as_ref())
    }

    /// Returns the nkey's public half in NATS's notation, `U…`.
    pub(crate) fn nkey(&self) -> String {
        natsd::nkey::PublicKey::from_bytes(self.binding.nkey).to_string()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.id).finish()
    }
}

/// Returns whether the owner of `key` signed `message`.
pub(crate) fn verify(
    key: &[u8; KEY_BYTES],
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> bool {
    UnparsedPublicKey::new(&ED25519, key)
        .verify(message, signature)
        .is_ok()
}

fn derive(secret: &[u8; KEY_BYTES], label: &[u8]) -> Option<Ed25519KeyPair> {
    let mut seed = [0; KEY_BYTES];
    hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
        .extract(secret)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|key| key.fill(&mut seed))
        .ok()?;
    Ed25519KeyPair::from_seed_unchecked(&seed).ok()
}

fn public(pair: &Ed25519KeyPair) -> Option<[u8; KEY_BYTES]> {
    pair.public_key().as_ref().try_into().ok()
}

fn fixed(signature: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut bytes = [0; SIGNATURE_BYTES];
    for (to, from) in bytes.iter_mut().zip(signature) {
        *to = *from;
    }
    bytes
}

fn bound(nkey: &[u8; KEY_BYTES], message: &[u8; KEY_BYTES]) -> Vec<u8> {
    [BINDING_LABEL, nkey, message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::from_secret(&[7; KEY_BYTES]).expect("keys")
    }

    #[test]
    fn the_derived_keys_are_the_same_for_ever() {
        let keys = keys();
        insta::assert_snapshot!(
            format!("{}\n{}\n{}", keys.id(), keys.nkey(), to_hex(&keys.binding().message)),
            @r"
        ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c
        UD7VFNDAH4OPDSYXJKCZU4I5JU2WPYN42ACVWNZC4QOS2QL3M5RWAIUL
        90013343755dbcd33519104dc4c0d7a9a313a2a2ade7a09d184e79788cf7113a
        "
        );
    }

    #[test]
    fn the_binding_holds_for_this_identity_and_these_keys_alone() {
        let keys = keys();
        let binding = *keys.binding();
        assert!(binding.is_of(&keys.id()));
        let other = Keys::from_secret(&[8; KEY_BYTES]).expect("keys");
        assert!(!binding.is_of(&other.id()));
        let swapped = Binding {
            nkey: binding.message,
            message: binding.nkey,
            ..binding
        };
        assert!(!swapped.is_of(&keys.id()));
    }

    #[test]
    fn the_three_keys_differ_and_no_purpose_can_be_taken_for_another() {
        let keys = keys();
        let Binding { nkey, message, .. } = *keys.binding();
        assert!(
            nkey != message && nkey != *keys.id().as_bytes() && message != *keys.id().as_bytes()
        );
        let challenge = keys.sign_challenge(b"nonce");
        assert!(verify(&nkey, b"nonce", &challenge));
        assert!(!verify(&message, b"nonce", &challenge) && !keys.id().signed(b"nonce", &challenge));
    }

    #[test]
    fn an_endpoint_id_is_64_digits() {
        let id = keys().id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(65)] {
            assert_eq!(bad.parse::<EndpointId>(), Err(EndpointIdError));
        }
    }
}
