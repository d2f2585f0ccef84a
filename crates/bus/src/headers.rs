//! The headers of a message: few, in order, names compared without regard to case, as NATS clients differ in how they write
//! them.

use crate::SendError;

/// Bytes of the line that opens the headers, and of the empty line that ends them.
const FRAME: usize = "NATS/1.0\r\n".len() + "\r\n".len();

/// The headers of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Returns no headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the headers with one more; one of the same name before it stays.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// Returns the first value of the named header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is no header.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes that the headers take in a message.
    pub fn wire_len(&self) -> usize {
        if self.0.is_empty() {
            return 0;
        }
        let line = |(name, value): &(String, String)| name.len() + value.len() + ": \r\n".len();
        FRAME + self.0.iter().map(line).sum::<usize>()
    }

    /// Makes sure that no name or value holds what would end it early.
    pub(crate) fn check(&self) -> Result<(), SendError> {
        let bad_name = |name: &str| {
            name.is_empty()
                || name
                    .bytes()
                    .any(|byte| byte == b':' || !byte.is_ascii_graphic())
        };
        let bad_value = |value: &str| value.contains(['\r', '\n']) || value.trim() != value;
        match self
            .iter()
            .find(|(name, value)| bad_name(name) || bad_value(value))
        {
            Some((name, _)) => Err(SendError::Header(name.to_owned())),
            None => Ok(()),
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(
            headers
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let headers = Headers::new()
            .with("Edgesync-Auth", "a")
            .with("edgesync-auth", "b");
        assert_eq!(headers.get("EDGESYNC-AUTH"), Some("a"));
        assert_eq!(headers.get("Edgesync"), None);
    }

    #[test]
    fn a_header_that_would_smuggle_another_is_refused() {
        for (name, value) in [
            ("a", "b\r\nc: d"),
            ("a:", "b"),
            ("a b", "c"),
            ("", "b"),
            ("a", " b"),
        ] {
            let headers = Headers::new().with(name, value);
            assert_eq!(headers.check(), Err(SendError::Header(name.to_owned())));
        }
        assert_eq!(Headers::new().with("a", "b: c").check(), Ok(()));
    }

    #[test]
    fn the_length_is_that_of_the_wire() {
        assert_eq!(Headers::new().wire_len(), 0);
        let headers = Headers::new().with("a", "bc").with("d", "");
        assert_eq!(headers.wire_len(), "NATS/1.0\r\na: bc\r\nd: \r\n\r\n".len());
    }
}
