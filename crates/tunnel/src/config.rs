//! How an endpoint is made.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use iroh::RelayUrl;

use crate::limits::MAX_RELAY_URL_BYTES;

/// How an endpoint is made.
#[derive(Clone, Default)]
pub struct Config {
    /// The secret half of the identity key.
    pub secret: [u8; 32],
    /// The UDP addresses to listen on; all interfaces, on any port, when there are none. One that is taken is an error.
    pub listen: Vec<SocketAddr>,
    /// The UDP port to have if it is free, so that tickets stay good after a restart: on all interfaces, or where `listen` names port 0.
    pub preferred_port: Option<u16>,
    /// The relays through which peers meet that cannot reach each other. None: only direct connections.
    pub relays: Vec<Relay>,
    /// Publish this endpoint's addresses in iroh's public lookup, look peers up there, and use its public relays when `relays` is empty.
    pub public: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("preferred_port", &self.preferred_port)
            .field("relays", &self.relays)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// The address of a relay, `https://HOST[:PORT]` or, for one on the same island, `http://HOST[:PORT]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay(RelayUrl);

/// The text is no relay's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: a relay's address is https://HOST or https://HOST:PORT")]
pub struct RelayUrlError(String);

impl Relay {
    /// Whether the relay speaks TLS; one that does also tells endpoints how they look from outside, which makes direct
    /// connections through NATs possible.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn url(&self) -> &RelayUrl {
        &self.0
    }
}

impl FromStr for Relay {
    type Err = RelayUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || RelayUrlError(text.chars().take(MAX_RELAY_URL_BYTES).collect());
        if text.len() > MAX_RELAY_URL_BYTES {
            return Err(refused());
        }
        let url: RelayUrl = text.parse().map_err(|_| refused())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain && url.has_host() && matches!(url.scheme(), "https" | "http") {
            Ok(Self(url))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_a_host_and_nothing_secret() {
        for good in ["https://relay.example.org", "http://127.0.0.1:3340/"] {
            assert!(good.parse::<Relay>().is_ok(), "{good}");
        }
        let long = format!("https://{}.example", "a".repeat(MAX_RELAY_URL_BYTES));
        for bad in [
            "",
            "relay.example.org",
            "ftp://h",
            "https://",
            "https://user:secret@h",
            "https://h/?token=1",
            &long,
        ] {
            assert!(bad.parse::<Relay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_config_shows_no_secret() {
        let config = Config {
            secret: [0xab; 32],
            ..Config::default()
        };
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("171") && !shown.contains("ab, ab"),
            "{shown}"
        );
    }
}
