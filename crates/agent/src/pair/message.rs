//! What the two sides say to each other, as JSON. A phone says the first three by HTTP, agents all of them over a stream.
//!
//! ```text
//! B claims            {"say":"claim","version":1,"commit":…,"proof":…}
//! A answers           {"say":"hello","nonce":…,"proof":…,"name":…}
//! B reveals           {"say":"reveal","nonce":…,"name":…}                both show the digits
//! A's person accepts  {"say":"accept"}
//! B's person accepts  {"say":"done","records":[…]}
//! A closes the deal   {"say":"paired","records":[…]}
//! B has understood    {"say":"bye"}                                      A keeps what it got, and closes; then B does
//! either              {"say":"refuse","why":…}
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::proof::{HASH_BYTES, Nonce};
use crate::limits;
use crate::text::{from_hex, to_hex};

/// The version of all this. It is part of what is signed, so that nobody can have two sides speak an older one.
pub(super) const VERSION: u32 = 1;

/// Anything that is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(crate) enum Message {
    /// I know the secret.
    Claim(Claim),
    /// So do I.
    Hello(Hello),
    /// This is what I bound myself to.
    Reveal(Reveal),
    /// A person here has said that the digits are the same.
    Accept,
    /// So has one here.
    Done {
        /// Signed records that the claimant has.
        records: Vec<String>,
    },
    /// Then we are paired.
    Paired {
        /// Signed records that the host has.
        records: Vec<String>,
    },
    /// I have got everything.
    Bye,
    /// It ends here.
    Refuse {
        /// Why.
        why: Why,
    },
}

/// Why a side ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// There is no such offer, or none any more. It is not said which.
    Offer,
    /// A person said that the digits differ.
    Differ,
    /// A person did not want.
    Cancelled,
    /// Nobody said anything in time.
    Late,
    /// The other side speaks another version.
    Version,
    /// What the other side said makes no sense.
    Nonsense,
    /// The link broke before both had agreed.
    Lost,
    /// It was revoked in this mesh.
    Revoked,
    /// What this version does not know.
    #[serde(other)]
    Other,
}

/// Who claims proves that it knows the secret, and binds itself to its part of the digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) version: u32,
    pub(crate) commit: Hex<HASH_BYTES>,
    pub(crate) proof: Hex<HASH_BYTES>,
}

/// Who offers proves the same, and shows its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) nonce: Hex<{ size_of::<Nonce>() }>,
    pub(crate) proof: Hex<HASH_BYTES>,
    pub(crate) name: DeviceName,
}

/// Who claims shows its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reveal {
    pub(crate) nonce: Hex<{ size_of::<Nonce>() }>,
    pub(crate) name: DeviceName,
}

/// Bytes, written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        from_hex(&text)
            .map(Self)
            .ok_or_else(|| format!("{} hexadecimal digits are expected", N * 2))
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(bytes: Hex<N>) -> Self {
        to_hex(&bytes.0)
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

/// What a device calls itself: a short line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct DeviceName(String);

/// A text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a device's name is a line of at most {} bytes",
    limits::DEVICE_NAME_BYTES
)]
pub(crate) struct DeviceNameError;

impl DeviceName {
    /// Returns the name that a text comes nearest to.
    pub(crate) fn of(text: &str) -> Self {
        let mut name: String = text.chars().filter(|c| !c.is_control()).collect();
        let fits = |end: &usize| name.is_char_boundary(*end);
        let end = (0..=name.len().min(limits::DEVICE_NAME_BYTES))
            .rev()
            .find(fits);
        name.truncate(end.unwrap_or(0));
        name.parse().unwrap_or_else(|_| Self("unnamed".to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, DeviceNameError> {
        let name = text.trim();
        let fits = (1..=limits::DEVICE_NAME_BYTES).contains(&name.len());
        if fits && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(DeviceNameError)
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceNameError;

    fn try_from(text: String) -> Result<Self, DeviceNameError> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written() {
        let claim = Message::Claim(Claim {
            version: 1,
            commit: Hex([1; 32]),
            proof: Hex([2; 32]),
        });
        let text = serde_json::to_string(&claim).expect("JSON");
        assert!(
            text.starts_with(r#"{"say":"claim","version":1,"commit":"0101"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Message>(&text).expect("read"), claim);
        let later: Message =
            serde_json::from_str(r#"{"say":"refuse","why":"a_new_reason"}"#).expect("read");
        assert_eq!(later, Message::Refuse { why: Why::Other });
    }

    #[test]
    fn a_name_is_one_short_line() {
        assert_eq!(
            "  Ada’s laptop "
                .parse::<DeviceName>()
                .expect("a name")
                .as_str(),
            "Ada’s laptop"
        );
        for bad in ["", "   ", "a\nb", "a\u{1b}[31mb", &"x".repeat(65)] {
            assert_eq!(bad.parse::<DeviceName>(), Err(DeviceNameError), "{bad:?}");
        }
    }
}
