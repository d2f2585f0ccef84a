//! The code that tells projects (and servers) apart.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::{is_lower_hex, write_hex};

/// Digits of a code.
const DIGITS: usize = 40;

/// A project code or server code: 40 lower-case hexadecimal digits, random, with no further meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectCode([u8; DIGITS]);

/// The text is no project code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a project code has 40 digits out of 0-9 and a-f")]
pub struct ProjectCodeError;

impl ProjectCode {
    /// Reads a code.
    ///
    /// # Errors
    /// Anything but 40 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Result<Self, ProjectCodeError> {
        let digits = <[u8; DIGITS]>::try_from(text).map_err(|_| ProjectCodeError)?;
        if is_lower_hex(&digits) {
            Ok(Self(digits))
        } else {
            Err(ProjectCodeError)
        }
    }

    /// Returns a new code made from 20 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; DIGITS / 2]) -> Self {
        let mut digits = [0; DIGITS];
        write_hex(&random, &mut digits);
        Self(digits)
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits are ASCII by construction, so the default is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ProjectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ProjectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for ProjectCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for ProjectCode {
    type Err = ProjectCodeError;

    fn from_str(text: &str) -> Result<Self, ProjectCodeError> {
        Self::parse(text.as_bytes())
    }
}

impl ToSql for ProjectCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for ProjectCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_bytes()?).map_err(FromSqlError::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_made_of_random_bytes_reads_back() {
        let code = ProjectCode::from_random([0xab; 20]);
        assert_eq!(code.as_str(), "ab".repeat(20));
        assert_eq!(code.as_str().parse(), Ok(code));
    }

    #[test]
    fn other_lengths_and_digits_are_refused() {
        for text in [&b""[..], &[b'0'; 39], &[b'0'; 41], &[b'G'; 40], &[b'A'; 40]] {
            assert_eq!(ProjectCode::parse(text), Err(ProjectCodeError));
        }
    }
}
