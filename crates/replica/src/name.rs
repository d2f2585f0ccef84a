//! The names that become parts of subjects. They are parsed once, so that no name from outside can reach another subject.

use std::fmt;
use std::sync::Arc;

use crate::limits;

/// A peer's name: the endpoint id of an agent, or what a foreign agent calls itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(Arc<str>);

/// A project code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Project(Arc<str>);

/// A text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a part of a subject")]
pub struct NameError(String);

impl Peer {
    /// Parses a peer's name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long, or not one token of a subject.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        token(text).map(Self)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Project {
    /// Parses a project code.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long, or not one token of a subject.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        token(text).map(Self)
    }

    /// Returns the code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn token(text: &str) -> Result<Arc<str>, NameError> {
    let fits = (1..=limits::NAME_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'.' | b'*' | b'>'));
    if fits {
        Ok(text.into())
    } else {
        Err(NameError(text.chars().take(limits::NAME_BYTES).collect()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_reach_another_subject_is_no_name() {
        for text in ["", "a.b", "*", ">", "a b", "a\n", "ä", &"a".repeat(129)] {
            assert!(Peer::parse(text).is_err(), "{text:?}");
            assert!(Project::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Peer::parse("alice-hub").expect("a name").as_str(),
            "alice-hub"
        );
    }
}
