//! Proof by signature: the nonce that a server offers, and the signature that comes back.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use ring::rand::{SecureRandom, SystemRandom};

use crate::nkey::{self, PublicKey};

/// Random bytes of a nonce.
const NONCE_BYTES: usize = 11;

/// Says whether `signature`, in any of the base64 forms that clients use, is the key's over the nonce.
pub(super) fn signed(key: &PublicKey, nonce: &str, signature: &str) -> bool {
    let text = signature.as_bytes();
    let decoded = [BASE64URL_NOPAD, BASE64URL, BASE64, BASE64_NOPAD]
        .iter()
        .find_map(|encoding| encoding.decode(text).ok());
    decoded.is_some_and(|signature| key.verify(nonce.as_bytes(), &signature))
}

/// Returns a fresh nonce, or nothing when the system has no randomness to give.
pub(crate) fn make_nonce() -> Option<String> {
    let mut bytes = [0; NONCE_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(BASE64URL_NOPAD.encode(&bytes))
}

/// Returns a fresh id for a server: the text of a public key whose private half nobody has.
pub(crate) fn make_server_id() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(nkey::server_text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nkey::KeyPair;

    fn pair() -> KeyPair {
        KeyPair::from_seed(&[7; 32]).expect("a key")
    }

    #[test]
    fn a_signature_over_the_nonce_is_accepted_in_each_base64() {
        let pair = pair();
        let (key, signature) = (pair.public(), pair.sign(b"nonce"));
        for encoding in [BASE64URL_NOPAD, BASE64URL, BASE64, BASE64_NOPAD] {
            let text = encoding.encode(&signature);
            assert!(signed(&key, "nonce", &text));
            assert!(!signed(&key, "other nonce", &text));
        }
        assert!(!signed(&key, "nonce", "") && !signed(&key, "nonce", "%%%"));
    }

    #[test]
    fn a_malleable_signature_is_refused() {
        let pair = pair();
        let mut bytes = pair.sign(b"nonce");
        // S + L: the same point, and the same signature to a verifier that does not look.
        let order: [u8; 16] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14,
        ];
        let mut carry = 0;
        for at in 0..32 {
            let add = match at {
                0..16 => u16::from(order[at]),
                31 => 0x10,
                _ => 0,
            };
            let sum = u16::from(bytes[32 + at]) + add + carry;
            bytes[32 + at] = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(!signed(
            &pair.public(),
            "nonce",
            &BASE64URL_NOPAD.encode(&bytes)
        ));
    }

    #[test]
    fn a_nonce_and_an_id_are_never_the_same_twice() {
        assert_eq!(make_nonce().expect("a nonce").len(), 15);
        assert_ne!(make_nonce(), make_nonce());
        let id = make_server_id().expect("an id");
        assert!(id.len() == 56 && id.starts_with('N'));
        assert_ne!(Some(id), make_server_id());
    }
}
