//! The name of an artifact: the SHA1 or SHA3-256 of its content, in lower-case hexadecimal.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use sha1::{Digest, Sha1};
use sha3::Sha3_256;

use super::{is_lower_hex, write_hex};

/// Digits of a SHA1 name.
const SHA1_DIGITS: usize = 40;
/// Digits of a SHA3-256 name.
const SHA3_DIGITS: usize = 64;

/// The hashes that name artifacts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HashAlgorithm {
    /// SHA1, 40 digits.
    Sha1,
    /// SHA3-256, 64 digits.
    Sha3,
}

/// The name of an artifact, kept inline. Orders and compares like its text.
#[derive(Clone, Copy)]
pub struct HashName {
    /// The digits; a SHA1 name leaves the rest zero.
    digits: [u8; SHA3_DIGITS],
    algorithm: HashAlgorithm,
}

/// The text is no artifact name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashNameError {
    /// Neither 40 nor 64 bytes.
    #[error("an artifact name has 40 or 64 digits, not {0}")]
    Length(usize),
    /// A byte that is no lower-case hexadecimal digit.
    #[error("an artifact name has only the digits 0-9 and a-f")]
    Digit,
}

impl HashName {
    /// Reads a name: 40 or 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// Any other length or byte. Upper case is refused too: content is never filed under it.
    pub fn parse(text: &[u8]) -> Result<Self, HashNameError> {
        let algorithm = match text.len() {
            SHA1_DIGITS => HashAlgorithm::Sha1,
            SHA3_DIGITS => HashAlgorithm::Sha3,
            length => return Err(HashNameError::Length(length)),
        };
        if !is_lower_hex(text) {
            return Err(HashNameError::Digit);
        }
        let mut digits = [0; SHA3_DIGITS];
        for (to, from) in digits.iter_mut().zip(text) {
            *to = *from;
        }
        Ok(Self { digits, algorithm })
    }

    /// Returns the name that `content` is filed under with `algorithm`. For content that was made to have the SHA1 of another,
    /// that is not its SHA1 but one that looking for such attacks gives, the same as stock's; the looking takes a few times as long.
    #[must_use]
    pub fn of(algorithm: HashAlgorithm, content: &[u8]) -> Self {
        match algorithm {
            HashAlgorithm::Sha1 => Self::hardened_sha1_of(content),
            HashAlgorithm::Sha3 => Self::sha3_of(content),
        }
    }

    /// Returns the SHA1 name of `content`.
    #[must_use]
    pub fn sha1_of(content: &[u8]) -> Self {
        Self::from_raw(HashAlgorithm::Sha1, &Sha1::digest(content))
    }

    fn hardened_sha1_of(content: &[u8]) -> Self {
        let result = sha1_checked::Sha1::try_digest(content);
        Self::from_raw(HashAlgorithm::Sha1, result.hash())
    }

    /// Returns the SHA3-256 name of `content`.
    #[must_use]
    pub fn sha3_of(content: &[u8]) -> Self {
        Self::from_raw(HashAlgorithm::Sha3, &Sha3_256::digest(content))
    }

    fn from_raw(algorithm: HashAlgorithm, raw: &[u8]) -> Self {
        let mut digits = [0; SHA3_DIGITS];
        write_hex(raw, &mut digits);
        Self { digits, algorithm }
    }

    /// Returns whether this is the name of `content`, by hashing it again. Of content that has just come from elsewhere
    /// [`of`](Self::of) tells more: here any content with the right SHA1 will do, which is much faster.
    #[must_use]
    pub fn names(&self, content: &[u8]) -> bool {
        match self.algorithm {
            HashAlgorithm::Sha1 => {
                Self::sha1_of(content) == *self || Self::hardened_sha1_of(content) == *self
            }
            HashAlgorithm::Sha3 => Self::sha3_of(content) == *self,
        }
    }

    /// Returns for each name whether it is that of the content beside it, in less time than one after the other would take.
    pub(crate) fn each_names(pairs: &[(Self, &[u8])]) -> Vec<bool> {
        let mut named = vec![false; pairs.len()];
        // Neighbours in length are hashed together.
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&position| {
            let pair = pairs.get(position);
            pair.map(|(name, content)| (name.algorithm, content.len()))
        });
        let (fours, rest) = order.as_chunks::<4>();
        for four in fours {
            let [a, b, c, d] = four.map(|position| pairs.get(position));
            let (Some(a), Some(b), Some(c), Some(d)) = (a, b, c, d) else {
                continue;
            };
            let are_named = Self::four_names([*a, *b, *c, *d]);
            for (position, is_named) in four.iter().zip(are_named) {
                if let Some(named) = named.get_mut(*position) {
                    *named = is_named;
                }
            }
        }
        for position in rest {
            if let (Some(named), Some((name, content))) =
                (named.get_mut(*position), pairs.get(*position))
            {
                *named = name.names(content);
            }
        }
        named
    }

    fn four_names(pairs: [(Self, &[u8]); 4]) -> [bool; 4] {
        #[cfg(target_arch = "x86_64")]
        if pairs
            .iter()
            .all(|(name, _)| name.algorithm == HashAlgorithm::Sha3)
            && let Some(hashes) = super::sha3_lanes::digests(pairs.map(|(_, content)| content))
        {
            let mut hashes = hashes.iter();
            return pairs.map(|(name, _)| {
                let hash = hashes.next();
                hash.is_some_and(|hash| name == Self::from_raw(HashAlgorithm::Sha3, hash))
            });
        }
        pairs.map(|(name, content)| name.names(content))
    }

    /// Returns the hash that this name is made with.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let (sha1, _) = self.digits.split_at(SHA1_DIGITS);
        match self.algorithm {
            HashAlgorithm::Sha1 => sha1,
            HashAlgorithm::Sha3 => &self.digits,
        }
    }

    /// Returns the digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits are ASCII by construction, so the default is never taken.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the first ten digits, the short form that people read.
    #[must_use]
    pub fn short(&self) -> &str {
        self.as_str().get(..10).unwrap_or_default()
    }
}

/// The name of content that comes in pieces.
#[derive(Clone, Debug)]
pub(crate) enum HashInProgress {
    Sha1(Sha1),
    Sha3(Sha3_256),
}

impl HashInProgress {
    /// Starts a name.
    pub(crate) fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha1 => Self::Sha1(Sha1::new()),
            HashAlgorithm::Sha3 => Self::Sha3(Sha3_256::new()),
        }
    }

    /// Takes the next piece.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha1(hash) => hash.update(piece),
            Self::Sha3(hash) => hash.update(piece),
        }
    }

    /// Returns the name of all pieces together.
    pub(crate) fn finish(self) -> HashName {
        match self {
            Self::Sha1(hash) => HashName::from_raw(HashAlgorithm::Sha1, &hash.finalize()),
            Self::Sha3(hash) => HashName::from_raw(HashAlgorithm::Sha3, &hash.finalize()),
        }
    }
}

impl PartialEq for HashName {
    fn eq(&self, other: &Self) -> bool {
        self.digits == other.digits
    }
}

impl Eq for HashName {}

impl PartialOrd for HashName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HashName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.digits.cmp(&other.digits)
    }
}

impl Hash for HashName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for HashName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for HashName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for HashName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for HashName {
    type Err = HashNameError;

    fn from_str(text: &str) -> Result<Self, HashNameError> {
        Self::parse(text.as_bytes())
    }
}

impl ToSql for HashName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for HashName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_bytes()?).map_err(FromSqlError::other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_the_published_hashes_of_nothing() {
        assert_eq!(
            HashName::sha1_of(b"").as_str(),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
        assert_eq!(
            HashName::sha3_of(b"").as_str(),
            "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
        );
    }

    #[test]
    fn wrong_lengths_cases_and_digits_are_refused() {
        let good = HashName::sha1_of(b"x").to_string();
        assert_eq!(
            HashName::parse(good.to_uppercase().as_bytes()),
            Err(HashNameError::Digit)
        );
        assert_eq!(
            HashName::parse(&good.as_bytes()[1..]),
            Err(HashNameError::Length(39))
        );
        assert_eq!(HashName::parse(b""), Err(HashNameError::Length(0)));
        assert_eq!(HashName::parse(&[b'g'; 40]), Err(HashNameError::Digit));
    }

    #[test]
    fn other_content_has_another_name() {
        let name = HashName::sha3_of(b"content");
        assert!(name.names(b"content"));
        assert!(!name.names(b"Content"));
    }

    #[test]
    fn many_names_are_compared_as_each_is_alone() {
        let contents: Vec<Vec<u8>> = (0..23_u8).map(|n| vec![n; usize::from(n) * 40]).collect();
        let pairs: Vec<(HashName, &[u8])> = contents
            .iter()
            .enumerate()
            .map(|(position, content)| {
                let name = match position % 5 {
                    0 => HashName::sha1_of(content),
                    1 => HashName::sha3_of(b"something else"),
                    _ => HashName::sha3_of(content),
                };
                (name, content.as_slice())
            })
            .collect();
        let expected: Vec<bool> = (0..pairs.len()).map(|position| position % 5 != 1).collect();
        assert_eq!(HashName::each_names(&pairs), expected);
    }

    proptest! {
        #[test]
        fn names_order_like_their_text(a: Vec<u8>, b: Vec<u8>, sha3: bool) {
            let a = if sha3 { HashName::sha3_of(&a) } else { HashName::sha1_of(&a) };
            let b = HashName::sha1_of(&b);
            prop_assert_eq!(a.cmp(&b), a.as_str().cmp(b.as_str()));
            prop_assert_eq!(a.as_str().parse::<HashName>(), Ok(a));
        }
    }
}
