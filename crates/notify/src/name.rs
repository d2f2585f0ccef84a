//! Names that go into subjects, paths and branches. None of these types can hold a value that means something else there.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_PROJECT_BYTES;

/// Digits of an id, after its prefix.
const ID_DIGITS: usize = 32;

/// Digits of an id that stand for it in subjects and paths.
const SHORT_DIGITS: usize = 8;

/// Names of subjects that stand where the short name of a thread does, and so cannot be that of a project's child.
const RESERVED_PROJECT_START: char = '_';

/// A name was not what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No name of a project.
    #[error(
        "a project's name has 1 to {MAX_PROJECT_BYTES} letters, digits, `-` and `_`, and does not start with `_`"
    )]
    Project,
    /// No id.
    #[error("the id is not `{prefix}` and {ID_DIGITS} hexadecimal digits in lower case")]
    Id {
        /// What this kind of id starts with.
        prefix: &'static str,
    },
    /// No public key.
    #[error("the key is not 64 hexadecimal digits in lower case")]
    Key,
}

/// A project: a token of a subject and a part of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Project(Box<str>);

impl Project {
    /// Takes `name` if it can be a project's.
    ///
    /// # Errors
    /// [`NameError::Project`].
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let fits = (1..=MAX_PROJECT_BYTES).contains(&name.len());
        if fits && name.chars().all(good) && !name.starts_with(RESERVED_PROJECT_START) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::Project)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Project {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// Makes a type for ids: a prefix and 32 hexadecimal digits.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_DIGITS / 2]);

        impl $name {
            /// What the text of such an id starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Returns the id of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; ID_DIGITS / 2]) -> Self {
                Self(bytes)
            }

            /// Takes `text` if it is such an id.
            ///
            /// # Errors
            /// [`NameError::Id`].
            pub fn parse(text: &str) -> Result<Self, NameError> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(from_hex)
                    .map(Self)
                    .ok_or(NameError::Id { prefix: Self::PREFIX })
            }

            /// Returns the first eight digits, which stand for the id in subjects, paths and lists.
            #[must_use]
            pub fn short(&self) -> Short {
                let [a, b, c, d, ..] = self.0;
                Short([a, b, c, d])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::PREFIX)?;
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

id! {
    /// The id of a message: `msg-` and 32 hexadecimal digits.
    MessageId, "msg-"
}

id! {
    /// The id of a thread: `thread-` and 32 hexadecimal digits.
    ThreadId, "thread-"
}

/// The first eight digits of an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Short([u8; SHORT_DIGITS / 2]);

impl Short {
    /// Takes `text` if it is eight hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An Ed25519 public key: that of a device, or the one that it signs messages with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// Returns the key of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes `text` if it is 64 hexadecimal digits in lower case.
    ///
    /// # Errors
    /// [`NameError::Key`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        from_hex(text).map(Self).ok_or(NameError::Key)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn write_hex(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Returns the bytes that exactly `2 * N` hexadecimal digits in lower case mean.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = pair
            .iter()
            .try_fold(0, |value, it| Some(value * 16 + digit(it)?))?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_that_mean_something_else_elsewhere_are_refused() {
        let long = "p".repeat(MAX_PROJECT_BYTES + 1);
        let bad = [
            "",
            ".",
            "..",
            "a.b",
            "*",
            ">",
            "a/b",
            "../a",
            "a b",
            "a\n",
            "_notify",
            "ä",
            "a\u{202e}b",
            &long,
        ];
        for name in bad {
            assert_eq!(Project::parse(name), Err(NameError::Project), "{name:?}");
        }
        for name in ["demo", "Demo-1_x", &long[1..], &"0".repeat(40)] {
            assert_eq!(Project::parse(name).expect("good").as_str(), name);
        }
    }

    #[test]
    fn ids_are_read_whole_and_in_lower_case() {
        let text = "msg-00112233445566778899aabbccddeeff";
        let id = MessageId::parse(text).expect("an id");
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short().to_string(), "00112233");
        for bad in [
            "",
            "msg-",
            "msg-00112233445566778899aabbccddeef",
            "msg-00112233445566778899AABBCCDDEEFF",
            "thread-00112233445566778899aabbccddeeff",
            "msg-0011223344556677889 aabbccddeeff",
        ] {
            assert!(MessageId::parse(bad).is_err(), "{bad}");
        }
    }
}
