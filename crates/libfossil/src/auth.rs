//! Who may do what: Fossil's capability letters, what a user inherits, and the identity that a transport vouches for.
//!
//! Everyone has the letters of the user `nobody`; everyone but `nobody` also those of `anonymous`. The letter `v` adds the letters of the user
//! `developer`, `u` those of `reader`. Setup (`s`) and administrator (`a`) imply most letters, yet never `x` (private content) and `y`
//! (writing unversioned files): these are given explicitly or not at all.

use std::fmt;
use std::str::FromStr;

/// The letters that setup and administrator imply, as far as this crate looks at them.
const ADMIN_IMPLIES: &str = "aegioz";

/// A set of capability letters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// No rights at all.
    pub const NONE: Self = Self(0);

    /// Reads letters; characters that are no letter or digit are skipped, as stock does.
    #[must_use]
    pub fn from_letters(letters: &str) -> Self {
        Self(
            letters
                .bytes()
                .filter_map(bit)
                .fold(0, |set, bit| set | bit),
        )
    }

    /// Returns whether the letter itself is in the set.
    #[must_use]
    pub fn has(self, letter: char) -> bool {
        u8::try_from(letter)
            .ok()
            .and_then(bit)
            .is_some_and(|bit| self.0 & bit != 0)
    }

    /// Returns the letters of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the rights of the user `login` whose own letters are `own`, with all that is inherited.
    ///
    /// `letters_of` gives the letters stored for a login, or nothing when there is no such user.
    ///
    /// # Errors
    /// Those of `letters_of`.
    pub fn inherited<E>(
        login: &str,
        own: Self,
        mut letters_of: impl FnMut(&str) -> Result<Option<Self>, E>,
    ) -> Result<Self, E> {
        let mut all = own;
        let mut add = |all: Self, special: &str| {
            letters_of(special).map(|found| all.union(found.unwrap_or_default()))
        };
        all = add(all, "nobody")?;
        if login != "nobody" {
            all = add(all, "anonymous")?;
        }
        // `developer` may carry `u` and `reader` may carry `v`: the second pass settles that, a third can't add anything.
        for _ in 0..2 {
            if all.has('v') {
                all = add(all, "developer")?;
            }
            if all.has('u') {
                all = add(all, "reader")?;
            }
        }
        if all.has('s') || all.has('a') {
            all = all.union(Self::from_letters(ADMIN_IMPLIES));
        }
        Ok(all)
    }

    /// May fetch check-ins (`o`); writing and, as in Fossil since August 2026, cloning imply it.
    #[must_use]
    pub fn may_read(self) -> bool {
        self.has('o') || self.may_write() || self.may_clone()
    }

    /// May send check-ins (`i`).
    #[must_use]
    pub fn may_write(self) -> bool {
        self.has('i') || self.may_administer()
    }

    /// May clone (`g`).
    #[must_use]
    pub fn may_clone(self) -> bool {
        self.has('g') || self.may_administer()
    }

    /// May send and fetch private content (`x`), which no other letter implies.
    #[must_use]
    pub fn may_see_private(self) -> bool {
        self.has('x')
    }

    /// May write unversioned files (`y`), which no other letter implies.
    #[must_use]
    pub fn may_write_unversioned(self) -> bool {
        self.has('y')
    }

    /// May see concealed addresses (`e`).
    #[must_use]
    pub fn may_see_addresses(self) -> bool {
        self.has('e') || self.may_administer()
    }

    /// May change configuration (`a` or `s`).
    #[must_use]
    pub fn may_administer(self) -> bool {
        self.has('a') || self.has('s')
    }
}

/// Returns the bit of one letter or digit.
fn bit(letter: u8) -> Option<u64> {
    let index = match letter {
        b'a'..=b'z' => letter - b'a',
        b'A'..=b'Z' => letter - b'A' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        _ => return None,
    };
    Some(1 << index)
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ('0'..='9').chain('A'..='Z').chain('a'..='z');
        known
            .filter(|letter| self.has(*letter))
            .try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({self})")
    }
}

impl FromStr for Capabilities {
    type Err = std::convert::Infallible;

    fn from_str(letters: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_letters(letters))
    }
}

/// What the transport knows about a request before its content is read.
#[derive(Clone, Debug, Default)]
pub struct AuthContext {
    /// A user that the transport vouches for; without one the request is anonymous until a login card proves more.
    pub granted: Option<Grant>,
    /// Where the request comes from, as kept in `rcvfrom`; empty when unknown.
    pub address: String,
}

/// A user that a transport has authenticated by its own means.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The name under which received content is recorded.
    pub login: String,
    /// All rights of the request; nothing is inherited on top.
    pub capabilities: Capabilities,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn defaults(login: &str) -> Result<Option<Capabilities>, std::convert::Infallible> {
        let letters = match login {
            "nobody" => "gjorz",
            "anonymous" => "hz",
            "developer" => "ei",
            "reader" => "kptw",
            _ => return Ok(None),
        };
        Ok(Some(Capabilities::from_letters(letters)))
    }

    fn effective(login: &str, own: &str) -> Capabilities {
        Capabilities::inherited(login, Capabilities::from_letters(own), defaults)
            .unwrap_or_default()
    }

    #[test]
    fn nobody_has_only_its_own_letters() {
        assert_eq!(effective("nobody", "").to_string(), "gjorz");
    }

    #[test]
    fn a_user_inherits_nobody_anonymous_and_the_named_roles() {
        assert_eq!(effective("ada", "").to_string(), "ghjorz");
        assert!(!effective("ada", "").may_write());
        assert!(effective("ada", "v").may_write());
        assert_eq!(effective("ada", "u").to_string(), "ghjkoprtuwz");
    }

    #[test]
    fn setup_implies_neither_private_nor_unversioned() {
        for own in ["s", "a"] {
            let all = effective("ada", own);
            assert!(
                all.may_read()
                    && all.may_write()
                    && all.may_clone()
                    && all.may_administer()
                    && all.may_see_addresses()
            );
            assert!(!all.may_see_private());
            assert!(!all.may_write_unversioned());
        }
    }

    #[test]
    fn writing_and_cloning_imply_reading() {
        for letters in ["i", "g", "o"] {
            assert!(Capabilities::from_letters(letters).may_read(), "{letters}");
        }
        assert!(!Capabilities::from_letters("hjkxyz").may_read());
    }

    proptest! {
        #[test]
        fn letters_survive_being_printed(letters in "\\PC*") {
            let set = Capabilities::from_letters(&letters);
            prop_assert_eq!(Capabilities::from_letters(&set.to_string()), set);
        }
    }
}
