//! The address of another agent's listener, as `--join` takes it.

use std::fmt;
use std::str::FromStr;

/// How another server is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its leaf.
    Leaf,
    /// As a member of its cluster.
    Route,
}

/// `nats-leaf://HOST:PORT` or `nats-route://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinUrl {
    way: Way,
    address: String,
}

/// A text is no address of another agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinUrlError {
    /// The port for clients was given, or another scheme.
    #[error("{0}: agents are joined by nats-leaf://HOST:PORT or nats-route://HOST:PORT")]
    Scheme(String),
    /// There is no host or no port.
    #[error("{0}: HOST:PORT is expected; a running agent prints its own")]
    Address(String),
}

impl JoinUrl {
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for JoinUrl {
    type Err = JoinUrlError;

    fn from_str(text: &str) -> Result<Self, JoinUrlError> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| JoinUrlError::Scheme(text.to_owned()))?;
        let way = match scheme {
            "nats-leaf" => Way::Leaf,
            "nats-route" => Way::Route,
            _ => return Err(JoinUrlError::Scheme(text.to_owned())),
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        let good = |(host, port): (&str, &str)| {
            let host = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | '@' | '?' | '#');
            !host.is_empty()
                && !host.contains(odd)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if !address.rsplit_once(':').is_some_and(good) {
            return Err(JoinUrlError::Address(text.to_owned()));
        }
        Ok(Self {
            way,
            address: address.to_owned(),
        })
    }
}

impl fmt::Display for JoinUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.way {
            Way::Leaf => "nats-leaf",
            Way::Route => "nats-route",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "nats-leaf://127.0.0.1:7422",
            "nats-route://[::1]:6222",
            "nats-leaf://studio.local:1",
        ] {
            let url: JoinUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_right_form() {
        for text in ["", "h:1", "nats://h:4222", "http://h:1"] {
            assert_eq!(
                text.parse::<JoinUrl>(),
                Err(JoinUrlError::Scheme(text.to_owned()))
            );
        }
        for text in [
            "nats-leaf://",
            "nats-leaf://h",
            "nats-leaf://h:0",
            "nats-leaf://h:x",
            "nats-leaf://u@h:1",
            "nats-leaf://h:1/x",
        ] {
            assert_eq!(
                text.parse::<JoinUrl>(),
                Err(JoinUrlError::Address(text.to_owned()))
            );
        }
    }
}
