//! Subjects: the names that messages are published to, and the filters that subscriptions are made with.
//!
//! A subject is tokens separated by dots. In a filter, `*` as a whole token stands for any token and `>` as the whole last
//! token for one or more; anywhere else both are ordinary characters. Subjects are bytes and case-sensitive.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::limits::MAX_SUBJECT_TOKENS;

/// A filter that is well formed: what a subscription is for. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<[u8]>);

impl Filter {
    /// Returns the filter that the bytes spell, or nothing when they are not one: an empty token, a blank or line end, more
    /// than [`MAX_SUBJECT_TOKENS`] tokens, or `>` as a token that is not the last.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        is_filter(bytes).then(|| Self(bytes.into()))
    }

    /// Returns the filter's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says whether a message to this literal subject is meant for this filter.
    #[must_use]
    pub fn matches(&self, subject: &[u8]) -> bool {
        matches(&self.0, subject)
    }
}

impl Borrow<[u8]> for Filter {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Returns the tokens of a subject or filter.
pub(crate) fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    subject.split(|byte| *byte == b'.')
}

/// Says whether the bytes are a well-formed filter, see [`Filter::parse`].
#[must_use]
pub fn is_filter(bytes: &[u8]) -> bool {
    let mut ended = false;
    let mut count = 0;
    for token in tokens(bytes) {
        count += 1;
        if ended || !is_token(token) || count > MAX_SUBJECT_TOKENS {
            return false;
        }
        ended = token == b">";
    }
    true
}

/// Says whether the bytes are a well-formed subject without wildcards, to which a message can be published.
#[must_use]
pub fn is_literal(bytes: &[u8]) -> bool {
    is_publishable(bytes) && tokens(bytes).all(|token| token != b"*" && token != b">")
}

/// Says whether a message to this subject can reach anybody: its tokens are well formed, wildcards among them stand for
/// themselves.
#[must_use]
pub fn is_publishable(bytes: &[u8]) -> bool {
    let mut count = 0;
    tokens(bytes).all(|token| {
        count += 1;
        is_token(token) && count <= MAX_SUBJECT_TOKENS
    })
}

fn is_token(token: &[u8]) -> bool {
    !token.is_empty()
        && !token
            .iter()
            .any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | b'\0'))
}

/// Says whether a message to `subject`, taken literally, is meant for `filter`.
#[must_use]
pub fn matches(filter: &[u8], subject: &[u8]) -> bool {
    let mut subject = tokens(subject);
    for token in tokens(filter) {
        match (token, subject.next()) {
            (b">", Some(_)) => return true,
            (b"*", Some(_)) => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

/// Says whether everything that `inner` matches is matched by `outer` too.
#[must_use]
pub fn covers(outer: &[u8], inner: &[u8]) -> bool {
    let mut inner = tokens(inner);
    for token in tokens(outer) {
        match (token, inner.next()) {
            (b">", Some(_)) => return true,
            (b"*", Some(other)) if other != b">" => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    inner.next().is_none()
}

/// Says whether some subject is matched by both filters.
#[must_use]
pub fn overlap(one: &[u8], other: &[u8]) -> bool {
    let mut other = tokens(other);
    for token in tokens(one) {
        match (token, other.next()) {
            (b">", Some(_)) | (_, Some(b">")) => return true,
            (b"*", Some(_)) | (_, Some(b"*")) => {}
            (token, Some(also)) if token == also => {}
            _ => return false,
        }
    }
    other.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_whole_tokens() {
        for good in ["a", "a.b", "*", ">", "a.*.b", "a.>", "a*", "a.b>", "a.>x"] {
            assert!(is_filter(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ".", "a.", ".a", "a..b", "a b", "a\tb", ">.a", "a.>.b", "a\x0cb",
        ] {
            assert!(!is_filter(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_literal(b"a*.b") && !is_literal(b"a.*") && !is_literal(b"a.>"));
        assert!(is_publishable(b"a.*") && !is_publishable(b"a..b"));
    }

    #[test]
    fn a_subject_has_so_many_tokens_and_no_more() {
        let longest = vec!["a"; MAX_SUBJECT_TOKENS].join(".");
        assert!(is_filter(longest.as_bytes()) && is_literal(longest.as_bytes()));
        let longer = format!("{longest}.a");
        assert!(!is_filter(longer.as_bytes()) && !is_literal(longer.as_bytes()));
    }

    #[test]
    fn a_filter_matches_by_tokens() {
        for (filter, subject, expected) in [
            ("foo", "foo", true),
            ("foo", "Foo", false),
            ("foo.>", "foo", false),
            ("foo.>", "foo.a.b", true),
            (">", "a", true),
            ("*", "a.b", false),
            ("a.*.c", "a.b.c", true),
            ("a.*", "a", false),
            ("a.*x", "a.bx", false),
            ("a.b", "a.b.c", false),
        ] {
            assert_eq!(
                matches(filter.as_bytes(), subject.as_bytes()),
                expected,
                "{filter} {subject}"
            );
        }
    }

    #[test]
    fn filters_are_compared() {
        for (one, other, covered, overlapping) in [
            ("a.>", "a.*", true, true),
            ("a.*", "a.>", false, true),
            ("a.*", "a.b", true, true),
            ("a.b", "a.*", false, true),
            ("*.b", "a.*", false, true),
            ("a.b", "a.c", false, false),
            ("a", "a.>", false, false),
            (">", "a.>", true, true),
            ("a.>", ">", false, true),
        ] {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!(covers(one, other), covered);
            assert_eq!(overlap(one, other), overlapping);
            assert_eq!(overlap(other, one), overlapping);
        }
    }
}
