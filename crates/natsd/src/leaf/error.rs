//! Why a leafnode link is not there, in words that say what to do, and how long to wait before the next attempt.

use std::time::Duration;

use crate::conn::Close;
use crate::limits::{DIAL_PAUSE, LEAF_LONG_DELAY, LEAF_VERSION_DELAY};

/// The port that leafnodes connect to unless a server is configured otherwise.
pub(crate) const DEFAULT_PORT: u16 = 7422;

/// Why a leafnode link did not come up, or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// The other end cannot be reached.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// What answers is no NATS server, or does not speak in clear.
    #[error(
        "what answers there is no NATS server in clear text: a web server or a TLS port, perhaps; leafnodes connect to port {DEFAULT_PORT} unless the server is configured otherwise"
    )]
    NotNats,
    /// Nothing was said in time.
    #[error(
        "connected, but no NATS server greeted us in time; leafnodes connect to port {DEFAULT_PORT} unless the server is configured otherwise"
    )]
    Silent,
    /// The port for clients was reached.
    #[error(
        "this is a client port; leafnodes connect to the server's leafnode port, {DEFAULT_PORT} unless it is configured otherwise"
    )]
    ClientPort,
    /// The port for members of the other end's cluster was reached.
    #[error(
        "this is a route port, for members of the server's own cluster; leafnodes connect to {}",
        .instead.as_deref().unwrap_or("its leafnode port")
    )]
    RoutePort {
        /// The leafnode address that the server told.
        instead: Option<String>,
    },
    /// The other end wants TLS, and this end has none.
    #[error("the server asks for TLS, which is not spoken here")]
    TlsRequired,
    /// The other end offers no TLS, and this end must have it.
    #[error("the server offers no TLS")]
    NoTls,
    /// TLS did not come about.
    #[error("no TLS with the server: {0}")]
    Tls(String),
    /// The other end has no nonce to sign, so the key cannot be shown.
    #[error("the server takes no keys; use a user and password, or a token")]
    NoNonce,
    /// The other end does not accept the credentials.
    #[error("the server did not accept the credentials: {0}")]
    Unauthorized(String),
    /// The other end has let this server's key in once, and does so no more.
    #[error("the server has revoked this server's key")]
    Revoked,
    /// The link would close a loop, along which messages would run for ever.
    #[error("the two servers are connected already over others: this link would make a loop")]
    Loop,
    /// Both ends are in clusters of one name.
    #[error(
        "both servers are in one cluster{}; members of one cluster are joined by routes, not as leafnodes",
        if .0.is_empty() { String::new() } else { format!(", \"{}\"", .0) }
    )]
    SameCluster(String),
    /// Our cluster has another name, which the other end is told by a new link.
    #[error("the cluster has another name now")]
    Renamed,
    /// The other end has this link already.
    #[error("the server has a leafnode link of this name already: {0}")]
    Duplicate(String),
    /// One of the ends wanted a subject that the other denies it.
    #[error("the server refused: {0}")]
    Permissions(String),
    /// One end is too old for the other.
    #[error("the server refused: {0}")]
    Version(String),
    /// The other end said something else.
    #[error("the server said: {0}")]
    Refused(String),
    /// The handshake did not get on, or pings were not answered.
    #[error("the server stopped answering")]
    Stale,
    /// The other end broke the protocol.
    #[error("the server does not follow the protocol: {0}")]
    Protocol(String),
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
}

impl LeafError {
    /// Returns what an `-ERR` of the other end means.
    pub(crate) fn from_text(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let says = |words: &str| lower.contains(words);
        if says("loop detected") {
            Self::Loop
        } else if says("same cluster name") {
            Self::SameCluster(String::new())
        } else if says("duplicate remote") {
            Self::Duplicate(text.to_owned())
        } else if says("permissions violation") {
            Self::Permissions(text.to_owned())
        } else if let Some(refused) = Close::of_refusal(text) {
            match refused {
                Close::RevokedThere => Self::Revoked,
                _ => Self::Unauthorized(text.to_owned()),
            }
        } else if says("minimum version") {
            Self::Version(text.to_owned())
        } else if says("stale") {
            Self::Stale
        } else {
            Self::Refused(text.to_owned())
        }
    }

    /// Returns how long to wait before the next attempt. `jitter` is a random number from 0 to 1, so that many servers do not
    /// come back at the same moment.
    pub(crate) fn delay(&self, reconnect: Option<Duration>, jitter: f64) -> Duration {
        let least = match self {
            Self::Loop
            | Self::SameCluster(_)
            | Self::Duplicate(_)
            | Self::Permissions(_)
            | Self::Revoked => LEAF_LONG_DELAY,
            Self::Version(_) => LEAF_VERSION_DELAY,
            Self::Renamed => return Duration::ZERO,
            _ => reconnect.unwrap_or(DIAL_PAUSE),
        };
        least + DIAL_PAUSE.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LeafError;

    #[test]
    fn refusals_are_known_by_their_words_and_have_their_delays() {
        for (text, error, seconds) in [
            (
                "Loop detected for leafnode account=\"$G\". Delaying attempt to reconnect for 30s",
                LeafError::Loop,
                30,
            ),
            (
                "remote leafnode has same cluster name",
                LeafError::SameCluster(String::new()),
                30,
            ),
            (
                "Permissions Violation for Subscription to \"a\"",
                LeafError::Permissions("Permissions Violation for Subscription to \"a\"".into()),
                30,
            ),
            (
                "Authorization Violation",
                LeafError::Unauthorized("Authorization Violation".into()),
                1,
            ),
            (
                "Authorization Violation: this key was revoked",
                LeafError::Revoked,
                30,
            ),
            (
                "connection rejected since minimum version required is \"2.10\"",
                LeafError::Version(
                    "connection rejected since minimum version required is \"2.10\"".into(),
                ),
                5,
            ),
            ("Stale Connection", LeafError::Stale, 1),
        ] {
            let found = LeafError::from_text(text);
            assert_eq!(found, error);
            assert_eq!(found.delay(None, 0.0), Duration::from_secs(seconds));
            let longest = found.delay(None, 1.0);
            assert_eq!(longest, Duration::from_secs(seconds + 1));
        }
        let own = LeafError::Closed.delay(Some(Duration::from_millis(50)), 0.0);
        assert_eq!(own, Duration::from_millis(50));
    }
}
