//! A server to be dialled as a leafnode: where it is, who we are to it, and what may cross the link.

use std::time::Duration;

use super::error::DEFAULT_PORT;
use crate::auth::Credentials;
use crate::link::dial::{Target, Upgrade};
use crate::options::Advertise;
use crate::subject::Filter;

/// A server to be dialled as a leafnode.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeafRemote {
    /// Where it can be reached: one of these at a time, in turn.
    pub targets: Vec<Target>,
    /// Who we are to it.
    pub credentials: Credentials,
    /// How TLS is spoken with it where it asks for that; without this, such a server cannot be joined.
    pub tls: Option<Upgrade>,
    /// Whether this end is to be the hub although it dials.
    pub hub: bool,
    /// Whether it shall not tell us what its other leafnodes want.
    pub isolate: bool,
    /// What it shall not send here.
    pub deny_imports: Vec<Filter>,
    /// What is not sent there.
    pub deny_exports: Vec<Filter>,
    /// Time between two attempts; a second and some chance unless set.
    pub reconnect: Option<Duration>,
}

/// An address is not one that can be dialled as a leafnode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Another scheme.
    #[error("{0}: leafnodes are dialled with nats-leaf://HOST:PORT")]
    Scheme(String),
    /// TLS or WebSocket.
    #[error("{0}: TLS and WebSocket are not supported yet; nats-leaf:// is")]
    NotSupported(String),
    /// No host, or no port where one is expected.
    #[error("{0}: HOST or HOST:PORT is expected")]
    Address(String),
    /// No address at all.
    #[error("no address is given")]
    None,
}

impl LeafRemote {
    /// Returns a server that can be reached here.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            targets: vec![target],
            credentials: Credentials::None,
            tls: None,
            hub: false,
            isolate: false,
            deny_imports: Vec::new(),
            deny_exports: Vec::new(),
            reconnect: None,
        }
    }

    /// Returns a server that is reached by TCP at any of these URLs. Credentials in the first that has some hold for all.
    ///
    /// # Errors
    /// When one of them is no address of a leafnode port.
    pub fn tcp<U: AsRef<str>>(urls: &[U]) -> Result<Self, RemoteError> {
        let mut targets = Vec::new();
        let mut credentials = Credentials::None;
        for url in urls {
            let (address, found) = parse(url.as_ref())?;
            targets.push(Target::Tcp(address));
            if matches!(credentials, Credentials::None) {
                credentials = found;
            }
        }
        let first = targets.first().cloned().ok_or(RemoteError::None)?;
        Ok(Self {
            targets,
            credentials,
            ..Self::new(first)
        })
    }
}

/// Returns `host:port` and the credentials of a URL; errors do not repeat what stands before the `@`.
fn parse(url: &str) -> Result<(String, Credentials), RemoteError> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats-leaf", url));
    let (login, address) = match rest.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, rest),
    };
    let address = address.split('/').next().unwrap_or_default();
    match scheme {
        "nats-leaf" | "nats" | "leaf" => {}
        "tls" | "ws" | "wss" => return Err(RemoteError::NotSupported(address.to_owned())),
        _ => return Err(RemoteError::Scheme(address.to_owned())),
    }
    let wrong = || RemoteError::Address(address.to_owned());
    let with_port = Advertise::with_port(address, DEFAULT_PORT);
    let (host, port) = with_port.rsplit_once(':').ok_or_else(wrong)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(wrong());
    }
    let credentials = match login.map(|login| login.split_once(':').ok_or(login)) {
        None => Credentials::None,
        Some(Ok((name, password))) => Credentials::User {
            name: name.to_owned(),
            password: password.to_owned(),
        },
        Some(Err(token)) => Credentials::Token(token.to_owned()),
    };
    Ok((with_port, credentials))
}

#[cfg(test)]
mod tests {
    use super::{LeafRemote, RemoteError, parse};

    #[test]
    fn an_address_may_leave_out_scheme_and_port() {
        for (url, address) in [
            ("nats-leaf://hub.example:7000", "hub.example:7000"),
            ("hub.example", "hub.example:7422"),
            ("nats://[::1]", "[::1]:7422"),
            ("nats-leaf://[::1]:7000/", "[::1]:7000"),
            ("nats-leaf://ann:secret@hub:1", "hub:1"),
        ] {
            assert_eq!(parse(url).expect(url).0, address);
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_named_without_its_password() {
        for url in [
            "http://ann:secret@hub:80",
            "wss://ann:secret@hub:443",
            "nats-leaf://ann:secret@:7422",
            "nats-leaf://ann:secret@hub:port",
        ] {
            let error = parse(url).map(|(address, _)| address).expect_err(url);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let none: [&str; 0] = [];
        assert_eq!(LeafRemote::tcp(&none).map(drop), Err(RemoteError::None));
        let remote = LeafRemote::tcp(&["ann:secret@hub"]).expect("an address");
        assert!(!format!("{remote:?}").contains("secret"));
    }
}
