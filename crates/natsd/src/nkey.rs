//! NATS's keys in their text form: Ed25519 keys in base32 behind a letter for what they are (`U` a user, `SU` the seed of one),
//! with a CRC-16 at the end, <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth>.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Length of a public key and of a seed, in bytes.
const KEY_BYTES: usize = 32;

/// First byte of a user's public key: the letter `U`.
const USER: u8 = 20 << 3;

/// First byte of a server's public key: the letter `N`.
const SERVER: u8 = 13 << 3;

/// First byte of a seed: the letter `S`; what it is the seed of follows in the next byte.
const SEED: u8 = 18 << 3;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The text is no key of the kind that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NkeyError {
    /// Not base32 of the right length, or the check sum is wrong.
    #[error("this is no nkey: a character is wrong or missing")]
    Malformed,
    /// A key of a server, account or operator, or a seed where a public key is expected or the other way round.
    #[error("this nkey is of another kind: {expected}")]
    OtherKind {
        /// How the right kind begins.
        expected: &'static str,
    },
}

/// The public key of a user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Returns the key that a text such as `UABC…` names.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NkeyError> {
        match decode(text).ok_or(NkeyError::Malformed)?.as_slice() {
            [USER, key @ ..] => Ok(Self(key.try_into().map_err(|_| NkeyError::Malformed)?)),
            _ => Err(NkeyError::OtherKind {
                expected: "a user's public key begins with U",
            }),
        }
    }

    /// Returns the key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Says whether the owner of the key has signed a message. A key of small order would sign anything, and is refused.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        !SMALL_ORDER.contains(&self.0) && key.verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![USER];
        bytes.extend_from_slice(&self.0);
        f.write_str(&encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Both halves of a user's key. Shows only the public one.
pub struct KeyPair(Ed25519KeyPair);

impl KeyPair {
    /// Returns the keys that a seed such as `SUABC…` stands for.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_seed_text(text: &str) -> Result<Self, NkeyError> {
        match decode(text).ok_or(NkeyError::Malformed)?.as_slice() {
            // The letter of the kind lies across both bytes; `U` leaves a first byte of its own.
            [first, second, seed @ ..] if first & 0xf8 == SEED && kind(*first, *second) == USER => {
                Self::from_seed(seed.try_into().map_err(|_| NkeyError::Malformed)?)
            }
            _ => Err(NkeyError::OtherKind {
                expected: "a user's seed begins with SU",
            }),
        }
    }

    /// Returns the keys that 32 secret bytes stand for.
    ///
    /// # Errors
    /// Never for bytes that are random.
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Result<Self, NkeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(Self)
            .map_err(|_| NkeyError::Malformed)
    }

    /// Returns the public half.
    ///
    /// # Panics
    /// Never: the library's public keys have the one length that there is.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public())
    }
}

/// Returns the text form of a server's public key.
pub(crate) fn server_text(key: [u8; KEY_BYTES]) -> String {
    let mut bytes = vec![SERVER];
    bytes.extend_from_slice(&key);
    encode(bytes)
}

/// Returns the letter for what a seed is of, in the upper five bits.
fn kind(first: u8, second: u8) -> u8 {
    (first & 0x07) << 5 | (second & 0xf8) >> 3
}

/// Returns the bytes of a text without the check sum, if that is right.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let mut waiting = 0_u16;
    let mut bits = 0;
    // Nothing that we read is longer; a stranger's text is not looked through to its end.
    if text.len() > 64 {
        return None;
    }
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == character)?;
        waiting = waiting << 5 | u16::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(waiting >> bits).ok()?);
            waiting &= (1 << bits) - 1;
        }
    }
    let check = bytes.split_off(bytes.len().checked_sub(2)?);
    (waiting == 0 && check == crc(&bytes).to_le_bytes()).then_some(bytes)
}

/// Returns the text of some bytes, with their check sum at the end.
fn encode(mut bytes: Vec<u8>) -> String {
    let check = crc(&bytes).to_le_bytes();
    bytes.extend_from_slice(&check);
    let letter = |value: u16| char::from(ALPHABET[usize::from(value & 31)]);
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let mut waiting = 0_u16;
    let mut bits = 0;
    for byte in bytes {
        waiting = waiting << 8 | u16::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(waiting >> bits));
            waiting &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        text.push(letter(waiting << (5 - bits)));
    }
    text
}

/// CRC-16 with the polynomial 0x1021, from 0, the highest bit first.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            };
        }
        crc
    })
}

/// The encodings of points of small order (as listed in the paper Taming the Many `EdDSAs`, table 6): with such a key some signatures
/// verify for every message.
const SMALL_ORDER: [[u8; 32]; 8] = {
    const fn filled(first: u8, middle: u8, last: u8) -> [u8; 32] {
        let mut bytes = [middle; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    }
    const EIGHT: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    const OTHER_EIGHT: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    const fn negated(mut point: [u8; 32]) -> [u8; 32] {
        point[31] |= 0x80;
        point
    }
    [
        filled(0x01, 0, 0),
        filled(0xec, 0xff, 0x7f),
        filled(0, 0, 0),
        filled(0, 0, 0x80),
        EIGHT,
        negated(EIGHT),
        OTHER_EIGHT,
        negated(OTHER_EIGHT),
    ]
};

#[cfg(test)]
mod tests {
    use super::{KeyPair, NkeyError, PublicKey};

    /// A pair that the reference's tool made, and its signature over `nonce`.
    const SEED: &str = "SUAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6IC5CQ";
    const PUBLIC: &str = "UB43KVROR7TFJ6KAPCYRF2FJROTZAH4FHLTJLPWX4DRZCC5NASLGJBFE";
    const SIGNATURE: [u8; 64] = [
        0x21, 0x2f, 0xee, 0xc6, 0xab, 0xeb, 0x24, 0x40, 0x1c, 0x29, 0x11, 0xf0, 0xb1, 0x7f, 0x3d,
        0x6b, 0x9b, 0x2e, 0xd3, 0x5c, 0xdb, 0xc3, 0x42, 0x3b, 0xde, 0xab, 0x29, 0x55, 0xd5, 0x34,
        0x56, 0x08, 0x8b, 0x32, 0xac, 0x33, 0xc9, 0x61, 0xea, 0x19, 0x2e, 0x7e, 0x92, 0x39, 0x05,
        0x39, 0xf7, 0x9e, 0x0b, 0x28, 0xa4, 0xc0, 0x26, 0x94, 0x99, 0x78, 0x71, 0xc5, 0xf5, 0xef,
        0x72, 0x2c, 0x9c, 0x0c,
    ];

    #[test]
    fn keys_and_signatures_are_those_of_the_reference() {
        let keys = KeyPair::from_seed_text(SEED).expect("a seed");
        assert_eq!(keys.public().to_string(), PUBLIC);
        assert_eq!(keys.sign(b"nonce"), SIGNATURE);
        let public = PublicKey::parse(PUBLIC).expect("a key");
        assert!(public.verify(b"nonce", &SIGNATURE));
        assert!(!public.verify(b"other", &SIGNATURE));
        assert!(!public.verify(b"nonce", &SIGNATURE[1..]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let wrong = PUBLIC.replacen('A', "B", 1);
        let lower = PUBLIC.to_lowercase();
        let long = PUBLIC.repeat(40);
        for text in ["", "U", "A", &PUBLIC[1..], &wrong, &lower, &long, "UÄ"] {
            assert_eq!(PublicKey::parse(text), Err(NkeyError::Malformed), "{text}");
        }
        assert!(matches!(
            PublicKey::parse(SEED),
            Err(NkeyError::OtherKind { .. })
        ));
        assert!(KeyPair::from_seed_text(PUBLIC).is_err());
    }

    /// The order of the curve's group, the lowest byte first: RFC 8032, section 5.1.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    #[test]
    fn a_signature_has_one_form() {
        // The same number but for the order, which is the same to arithmetic.
        let mut other = SIGNATURE;
        let mut carry = 0;
        for (byte, order) in other[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        let public = PublicKey::parse(PUBLIC).expect("a key");
        assert!(!public.verify(b"nonce", &other));
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let mut identity = [0; 64];
        identity[0] = 1;
        for point in super::SMALL_ORDER {
            for signature in [[0; 64], identity] {
                assert!(!PublicKey::from_bytes(point).verify(b"nonce", &signature));
            }
        }
    }

    #[test]
    fn a_pair_does_not_show_its_secret() {
        let keys = KeyPair::from_seed(&[7; 32]).expect("keys");
        assert_eq!(format!("{keys:?}"), format!("KeyPair({})", keys.public()));
    }
}
