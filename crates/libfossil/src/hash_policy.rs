//! Which hash names new content, and which names are still welcome: the `hash-policy` setting of a repository.

use crate::name::{HashAlgorithm, HashName};

/// What a repository does about SHA1. The numbers are those stored in the config entry `hash-policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HashPolicy {
    /// New content is named by SHA1.
    Sha1 = 0,
    /// New content is named by SHA1 until a SHA3 name arrives, which turns the policy into [`HashPolicy::Sha3`].
    Auto = 1,
    /// New content is named by SHA3, except content that is already present under its SHA1 name.
    #[default]
    Sha3 = 2,
    /// New content is named by SHA3 even if it is present under its SHA1 name.
    Sha3Only = 3,
    /// As [`HashPolicy::Sha3Only`], and every SHA1 name is treated as shunned.
    ShunSha1 = 4,
}

impl HashPolicy {
    /// Returns the policy that a config value stands for, if any.
    #[must_use]
    pub fn from_config(value: i64) -> Option<Self> {
        [
            Self::Sha1,
            Self::Auto,
            Self::Sha3,
            Self::Sha3Only,
            Self::ShunSha1,
        ]
        .into_iter()
        .find(|policy| policy.to_config() == value)
    }

    /// Returns the config value of this policy.
    #[must_use]
    pub const fn to_config(self) -> i64 {
        self as i64
    }

    /// Returns the hash that names content which is not yet present under any name.
    #[must_use]
    pub const fn algorithm(self) -> HashAlgorithm {
        match self {
            Self::Sha1 | Self::Auto => HashAlgorithm::Sha1,
            Self::Sha3 | Self::Sha3Only | Self::ShunSha1 => HashAlgorithm::Sha3,
        }
    }

    /// Returns whether content present under its other name is used instead of being stored again.
    #[must_use]
    pub const fn reuses_other_name(self) -> bool {
        matches!(self, Self::Sha1 | Self::Auto | Self::Sha3)
    }

    /// Returns whether artifacts of this name may be received and kept.
    #[must_use]
    pub const fn welcomes(self, name: &HashName) -> bool {
        !matches!(
            (self, name.algorithm()),
            (Self::ShunSha1, HashAlgorithm::Sha1)
        )
    }

    /// Returns the policy after an artifact called `name` was stored.
    #[must_use]
    pub const fn after_storing(self, name: &HashName) -> Self {
        match (self, name.algorithm()) {
            (Self::Auto, HashAlgorithm::Sha3) => Self::Sha3,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_values_are_those_of_stock() {
        for value in 0..=4 {
            assert_eq!(
                HashPolicy::from_config(value).map(HashPolicy::to_config),
                Some(value)
            );
        }
        assert_eq!(HashPolicy::from_config(5), None);
        assert_eq!(HashPolicy::from_config(-1), None);
    }

    #[test]
    fn auto_turns_into_sha3_with_the_first_sha3_name() {
        let (sha1, sha3) = (HashName::sha1_of(b"x"), HashName::sha3_of(b"x"));
        assert_eq!(HashPolicy::Auto.after_storing(&sha1), HashPolicy::Auto);
        assert_eq!(HashPolicy::Auto.after_storing(&sha3), HashPolicy::Sha3);
        assert_eq!(HashPolicy::Sha1.after_storing(&sha3), HashPolicy::Sha1);
    }

    #[test]
    fn only_shun_sha1_turns_sha1_away() {
        let sha1 = HashName::sha1_of(b"x");
        assert!(HashPolicy::Sha3Only.welcomes(&sha1));
        assert!(!HashPolicy::ShunSha1.welcomes(&sha1));
        assert!(HashPolicy::ShunSha1.welcomes(&HashName::sha3_of(b"x")));
    }
}
