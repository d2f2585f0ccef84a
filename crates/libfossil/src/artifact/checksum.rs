//! MD5 as artifacts use it: over their own text (`Z`) and over all files of a version (`R`). It guards against accidents
//! by other means than the hashes in names; it is no protection against malice.

mod lanes;

use std::fmt;

use md5::Digest;

use crate::name::{RepoPath, write_hex};

/// An MD5 checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Md5([u8; 16]);

impl Md5 {
    /// Returns the checksum of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(md5::Md5::digest(content).into())
    }

    /// Returns the checksum of each text, in less time than one after the other would take.
    pub(super) fn of_each(texts: &[&[u8]]) -> Vec<Self> {
        lanes::digests(texts).into_iter().map(Self).collect()
    }

    /// Reads a checksum: 32 hexadecimal digits of either case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = <&[u8; 32]>::try_from(text).ok()?;
        let mut sum = [0; 16];
        let (pairs, _) = digits.as_chunks::<2>();
        for (byte, [high, low]) in sum.iter_mut().zip(pairs) {
            *byte =
                u8::try_from(char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?)
                    .ok()?;
        }
        Some(Self(sum))
    }

    /// Returns the lower-case digits.
    #[must_use]
    pub fn to_hex(self) -> [u8; 32] {
        let mut digits = [0; 32];
        write_hex(&self.0, &mut digits);
        digits
    }
}

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Computes the checksum in the `R` card of a check-in: over the path, size and content of each of its files, in the order
/// of their paths. The content of a symbolic link is its target.
#[derive(Clone, Default)]
pub struct TreeDigest(md5::Md5);

impl TreeDigest {
    /// Adds a file, which must sort after those added before.
    pub fn add(&mut self, path: &RepoPath<'_>, content: &[u8]) {
        self.0.update(path.as_bytes());
        self.0.update(format!(" {}\n", content.len()));
        self.0.update(content);
    }

    /// Returns the checksum of what was added.
    #[must_use]
    pub fn finish(self) -> Md5 {
        Md5(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_nothing_is_the_published_one() {
        let empty = Md5::of(b"");
        assert_eq!(empty.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(TreeDigest::default().finish(), empty);
        assert_eq!(Md5::parse(b"D41D8CD98F00B204E9800998ECF8427E"), Some(empty));
        assert_eq!(Md5::parse(&empty.to_hex()), Some(empty));
    }

    #[test]
    fn other_lengths_and_digits_are_refused() {
        for text in [&b""[..], &[b'0'; 31], &[b'0'; 33], &[b'g'; 32], &[0xff; 32]] {
            assert_eq!(Md5::parse(text), None);
        }
    }
}
