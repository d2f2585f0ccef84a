//! The two forms of an offer's secret: 128 bits for machines to read, twelve letters for people to type.

use std::fmt;
use std::str::FromStr;

use crate::text::{LETTERS, from_hex, letters, to_hex};

/// Letters of a typed code: 59 bits, which nobody finds with five tries.
const TYPED_LETTERS: usize = 12;

/// The secret in a QR code.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; 16]);

/// The secret that a person types. It is shown in groups, and taken with or without them, in either case.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TypedCode(String);

/// A text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is written XXXX-XXXX-XXXX")]
pub(crate) struct CodeError;

impl Secret {
    /// Returns a new secret.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        crate::text::random().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 16]> for Secret {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Secret {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        from_hex(text).map(Self).ok_or(CodeError)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl TypedCode {
    /// Returns a new code.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(letters(TYPED_LETTERS)?.to_ascii_uppercase()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the letters without strokes.
    pub(crate) fn plain(&self) -> &str {
        &self.0
    }
}

impl FromStr for TypedCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let plain: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| c.to_ascii_uppercase())
            .take(TYPED_LETTERS + 1)
            .collect();
        let known = |c: char| LETTERS.contains(&c.to_ascii_lowercase());
        if plain.len() == TYPED_LETTERS && plain.chars().all(known) {
            Ok(Self(plain))
        } else {
            Err(CodeError)
        }
    }
}

impl fmt::Display for TypedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{letter}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TypedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_code_is_read_as_people_write_it() {
        let code: TypedCode = "ABCD-EFGH-2345".parse().expect("a code");
        assert_eq!(code.to_string(), "ABCD-EFGH-2345");
        for same in ["abcdefgh2345", " abcd efgh 2345 ", "AbCd-EfGh2345"] {
            assert_eq!(same.parse(), Ok(code.clone()), "{same}");
        }
        // Neither of the letters that are mistaken for others, nor a length that is not theirs.
        for bad in [
            "",
            "ABCD-EFGH-234",
            "ABCD-EFGH-23456",
            "ABCD-EFGH-234O",
            "ABCD-EFGH-2341",
            "ABCD-EFGH-234é",
        ] {
            assert_eq!(bad.parse::<TypedCode>(), Err(CodeError), "{bad}");
        }
    }

    #[test]
    fn new_secrets_differ_and_are_read_as_they_are_written() {
        let (one, other) = (
            TypedCode::random().expect("random"),
            TypedCode::random().expect("random"),
        );
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        let secret = Secret::random().expect("random");
        assert_eq!(secret.to_string().parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)", "no secret is in a log");
    }
}
