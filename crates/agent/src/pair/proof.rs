//! What proves that somebody knows an offer's secret, and the six digits that people compare. Everything is SHA-256 or HMAC with it, so that a page
//! without any cryptography of its browser's can do it too.
//!
//! Each part of what is hashed is preceded by its length in four bytes, the purpose comes first. With `V` the verifier, `A` who offers and `B` who claims:
//!
//! ```text
//! V       = SHA-256("edgesync pair verifier 1", A, purpose, secret)
//! commit  = SHA-256("edgesync pair commit 1", B, nonce of B)
//! claim   = HMAC(V, "edgesync pair claim 1", A, B, commit)
//! hello   = HMAC(V, "edgesync pair hello 1", A, B, commit, nonce of A)
//! digits  = HMAC(V, "edgesync pair digits 1", A, B, nonce of A, nonce of B), its first eight bytes as a number, modulo a million
//! ```

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::hmac;
use subtle::ConstantTimeEq as _;

use super::code::{Secret, TypedCode};
use super::offer::Purpose;
use crate::text::{from_hex, to_hex};
use crate::trust::EndpointId;

/// Bytes of a hash.
pub(super) const HASH_BYTES: usize = 32;

/// One of the two sides: an agent's endpoint id, or the id that a phone made for itself.
pub(crate) type Party = EndpointId;

/// Random bytes that a side adds to the digits.
pub(crate) type Nonce = [u8; 32];

/// What is kept of an offer's secret. Who has it can claim the offer; it says nothing of the secret itself.
#[derive(Clone, Copy)]
pub(crate) struct Verifier([u8; HASH_BYTES]);

/// Six digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits(u32);

/// A text is not six digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the code that both sides show has six digits")]
pub(crate) struct DigitsError;

impl Verifier {
    /// Whether the two are of one secret.
    pub(crate) fn is(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }

    pub(crate) fn of_secret(host: &Party, purpose: Purpose, secret: &Secret) -> Self {
        Self::of(host, purpose, secret.bytes())
    }

    pub(crate) fn of_typed(host: &Party, purpose: Purpose, code: &TypedCode) -> Self {
        Self::of(host, purpose, code.bytes())
    }

    /// Returns what those prove who knock without an offer: that they speak the same language, no more.
    pub(super) fn of_nothing(host: &Party, purpose: Purpose) -> Self {
        Self::of(host, purpose, b"")
    }

    fn of(host: &Party, purpose: Purpose, secret: &[u8]) -> Self {
        let label = b"edgesync pair verifier 1";
        Self(hash(&[
            label,
            host.as_bytes(),
            purpose.as_str().as_bytes(),
            secret,
        ]))
    }

    pub(super) fn claim(
        &self,
        host: &Party,
        claimant: &Party,
        commit: &[u8; HASH_BYTES],
    ) -> [u8; HASH_BYTES] {
        self.sign(&[
            b"edgesync pair claim 1",
            host.as_bytes(),
            claimant.as_bytes(),
            commit,
        ])
    }

    pub(super) fn hello(
        &self,
        host: &Party,
        claimant: &Party,
        commit: &[u8; HASH_BYTES],
        nonce: &Nonce,
    ) -> [u8; HASH_BYTES] {
        self.sign(&[
            b"edgesync pair hello 1",
            host.as_bytes(),
            claimant.as_bytes(),
            commit,
            nonce,
        ])
    }

    pub(super) fn digits(
        &self,
        host: &Party,
        claimant: &Party,
        of_host: &Nonce,
        of_claimant: &Nonce,
    ) -> Digits {
        let label = b"edgesync pair digits 1";
        let hash = self.sign(&[
            label,
            host.as_bytes(),
            claimant.as_bytes(),
            of_host,
            of_claimant,
        ]);
        let number = hash
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // A remainder by a million is below 2^20.
        Digits(u32::try_from(number % 1_000_000).unwrap_or(0))
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        fixed(hmac::sign(&key, &framed(parts)).as_ref())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for Verifier {
    type Err = super::code::CodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self).ok_or(super::code::CodeError)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl FromStr for Digits {
    type Err = DigitsError;

    fn from_str(text: &str) -> Result<Self, DigitsError> {
        let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        if plain.len() != 6 || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DigitsError);
        }
        plain.parse().map(Self).map_err(|_| DigitsError)
    }
}

/// Returns what binds a claimant to its nonce before it sees the other's.
pub(super) fn commit(claimant: &Party, nonce: &Nonce) -> [u8; HASH_BYTES] {
    hash(&[b"edgesync pair commit 1", claimant.as_bytes(), nonce])
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(super) fn same(one: &[u8; HASH_BYTES], other: &[u8; HASH_BYTES]) -> bool {
    one.ct_eq(other).into()
}

fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    fixed(digest(&SHA256, &framed(parts)).as_ref())
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// SHA-256 has this length.
fn fixed(bytes: &[u8]) -> [u8; HASH_BYTES] {
    bytes.try_into().unwrap_or([0; HASH_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier() -> Verifier {
        let secret: Secret = "00112233445566778899aabbccddeeff"
            .parse()
            .expect("a secret");
        Verifier::of_secret(&Party::from([1; 32]), Purpose::Agent, &secret)
    }

    /// Other implementations compare themselves with these.
    #[test]
    fn the_hashes_are_the_same_for_ever() {
        let (host, claimant) = (Party::from([1; 32]), Party::from([2; 32]));
        let commit = commit(&claimant, &[4; 32]);
        let shown = [
            verifier().to_string(),
            to_hex(&commit),
            to_hex(&verifier().claim(&host, &claimant, &commit)),
            to_hex(&verifier().hello(&host, &claimant, &commit, &[3; 32])),
            verifier()
                .digits(&host, &claimant, &[3; 32], &[4; 32])
                .to_string(),
        ];
        insta::assert_snapshot!(shown.join("\n"), @r"
        c19824349795fb318a492cd2ede9380cf3ae7ae824d412fa6246638a5155241a
        51eb25307215487a4cc735aea898f4be798425977517da6e618e2eb6d65829db
        4b61b45409d9289ebb6926c2e4df8316f3a7aececdd319fea3dd8478d063b673
        382196cec045475ecde2d49c685bfd9ef106bb28a13d4cb40047c61cc60142e3
        975462
        ");
    }

    #[test]
    fn the_digits_depend_on_both_sides_both_nonces_and_the_secret() {
        let (host, claimant) = (Party::from([1; 32]), Party::from([2; 32]));
        let shown = |verifier: Verifier, host: &Party, claimant: &Party, nonces: [u8; 2]| {
            verifier.digits(host, claimant, &[nonces[0]; 32], &[nonces[1]; 32])
        };
        let right = shown(verifier(), &host, &claimant, [3, 4]);
        let other = Verifier::of_secret(&host, Purpose::Agent, &Secret::from([9; 16]));
        for wrong in [
            shown(other, &host, &claimant, [3, 4]),
            shown(verifier(), &claimant, &host, [3, 4]),
            shown(verifier(), &host, &Party::from([7; 32]), [3, 4]),
            shown(verifier(), &Party::from([7; 32]), &claimant, [3, 4]),
            shown(verifier(), &host, &claimant, [4, 4]),
            shown(verifier(), &host, &claimant, [3, 3]),
        ] {
            assert_ne!(wrong, right);
        }
    }

    #[test]
    fn digits_are_read_as_people_write_them() {
        for text in ["042917", "042 917", "042-917"] {
            assert_eq!(text.parse(), Ok(Digits(42_917)), "{text}");
        }
        assert_eq!(Digits(42_917).to_string(), "042917");
        for bad in ["", "12345", "1234567", "12345x", "+12345", "١٢٣٤٥٦"] {
            assert_eq!(bad.parse::<Digits>(), Err(DigitsError), "{bad}");
        }
    }
}
