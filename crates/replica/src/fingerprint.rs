//! What a repository holds, in 32 bytes for its artifacts and 32 for its unversioned files. How they come about is the library's matter;
//! here they are compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a repository holds: written as 128 hexadecimal digits, artifacts first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint {
    /// Of the artifacts.
    pub artifacts: [u8; 32],
    /// Of the unversioned files.
    pub unversioned: [u8; 32],
}

/// A text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 128 hexadecimal digits")]
pub struct FingerprintError;

impl Fingerprint {
    /// Returns what counts of it where unversioned files do, or do not, travel.
    #[must_use]
    pub(crate) const fn seen(self, unversioned: bool) -> Self {
        if unversioned {
            return self;
        }
        Self {
            artifacts: self.artifacts,
            unversioned: [0; 32],
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.artifacts
            .iter()
            .chain(&self.unversioned)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = |bytes: &[u8; 32]| {
            bytes
                .iter()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        write!(f, "{}+{}", start(&self.artifacts), start(&self.unversioned))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let (artifacts, unversioned) = text.split_at_checked(64).ok_or(FingerprintError)?;
        Ok(Self {
            artifacts: digits(artifacts)?,
            unversioned: digits(unversioned)?,
        })
    }
}

fn digits(text: &str) -> Result<[u8; 32], FingerprintError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return Err(FingerprintError);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(FingerprintError);
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let value = digit(*high)? * 16 + digit(*low)?;
        *byte = u8::try_from(value).map_err(|_| FingerprintError)?;
    }
    Ok(bytes)
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written_and_nothing_else_is() {
        let fingerprint = Fingerprint {
            artifacts: [0xa5; 32],
            unversioned: [0x0f; 32],
        };
        let text = fingerprint.to_string();
        assert_eq!(text.parse(), Ok(fingerprint));
        let cut = text.get(1..).unwrap_or_default();
        for bad in [
            "",
            cut,
            &format!("{text}0"),
            &text.replace('f', "g"),
            &"ä".repeat(64),
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad:?}");
        }
    }
}
