//! The address of a NATS server that is no agent, as `--nats-upstream` takes it. What is shown never holds a secret.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use edgesync_bus::Login;
use natsd::auth::Credentials;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::tls;

/// How a server beside the mesh is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamWay {
    /// Our server is a leafnode of it.
    Leaf,
    /// The agent is a client of it.
    Client,
}

impl UpstreamWay {
    /// The port that servers listen on for this unless they are configured otherwise.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Leaf => 7422,
            Self::Client => 4222,
        }
    }

    /// What stands before the address.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Leaf => "nats-leaf",
            Self::Client => "nats",
        }
    }
}

/// `nats-leaf://HOST:7422` or `nats://HOST:4222`, with `USER:PASSWORD@` or `TOKEN@` before the host perhaps, and with commas between several
/// servers of one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    way: UpstreamWay,
    /// Whether nothing is said before TLS.
    tls: bool,
    /// `HOST:PORT`.
    servers: Vec<String>,
    login: Login,
    /// The authorities of which one has to have signed the server's certificate; the system's, where none is given.
    authorities: Vec<CertificateDer<'static>>,
}

/// A text is no address of a NATS server, or a file holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamUrlError {
    /// A scheme of something else.
    #[error("{0}:// is not how a NATS server is given")]
    Scheme(String),
    /// The address of an agent.
    #[error("nats-route:// leads to another agent")]
    Route,
    /// There is no scheme.
    #[error("the address does not say which port it is")]
    NoScheme,
    /// There is no host, or something behind the port.
    #[error("{0:?}: HOST or HOST:PORT is expected")]
    Address(String),
    /// Two schemes.
    #[error("all servers of an upstream are joined in the same way")]
    Mixed,
    /// A user in the URL and a file.
    #[error("the address holds a login and a file was given as well")]
    TwoLogins,
    /// The text of a file is none.
    #[error(
        "it holds no credentials: a JWT and its seed are expected, as `nsc generate creds` writes them"
    )]
    Creds,
    /// The bytes of a file are no certificates.
    #[error("it holds no certificate: PEM text is expected")]
    Authority,
}

impl UpstreamUrlError {
    /// Returns what to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Route => "agents join each other: --join nats-route://HOST:PORT",
            Self::TwoLogins => "give one of the two",
            Self::Creds => "nsc generate creds --account A --name U > FILE",
            Self::Authority => "it begins with -----BEGIN CERTIFICATE-----",
            _ => {
                "nats-leaf://HOST:7422 joins a server's leafnode port, nats://HOST:4222 its port for clients"
            }
        }
    }
}

impl UpstreamUrl {
    pub(crate) fn way(&self) -> UpstreamWay {
        self.way
    }

    /// `HOST:PORT` of each server.
    pub(crate) fn servers(&self) -> &[String] {
        &self.servers
    }

    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// The addresses as clients of the bus take them.
    pub(crate) fn urls(&self) -> Vec<String> {
        let scheme = self.scheme();
        let url = |server| format!("{scheme}://{server}");
        self.servers.iter().map(url).collect()
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "tls" } else { self.way.scheme() }
    }

    /// Returns the address with the credentials in the text of a `.creds` file.
    ///
    /// # Errors
    /// [`UpstreamUrlError`] when there are none in it, or the address has a login.
    pub fn with_creds(mut self, text: String) -> Result<Self, UpstreamUrlError> {
        if self.login != Login::None {
            return Err(UpstreamUrlError::TwoLogins);
        }
        Credentials::from_creds(&text).map_err(|_| UpstreamUrlError::Creds)?;
        self.login = Login::Creds(text);
        Ok(self)
    }

    /// Returns the address of a server that has to prove itself by a certificate of one of the authorities in the text of a PEM file.
    ///
    /// # Errors
    /// [`UpstreamUrlError::Authority`] when there are none in it.
    pub fn with_authorities(mut self, pem: &[u8]) -> Result<Self, UpstreamUrlError> {
        self.authorities = tls::authorities(pem).ok_or(UpstreamUrlError::Authority)?;
        Ok(self)
    }

    /// Whether the server has to speak TLS.
    pub(super) fn wants_tls(&self) -> bool {
        self.tls || self.has_authorities()
    }

    /// Whether authorities were given.
    pub(crate) fn has_authorities(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// What TLS is spoken with; nothing where the system's authorities count, and the server says whether it is spoken.
    pub(super) fn tls(&self) -> Option<Arc<ClientConfig>> {
        let given = self.has_authorities();
        given.then(|| tls::of_authorities(self.authorities.iter().cloned()))?
    }

    /// Who we are to a server whose leafnode we are.
    pub(crate) fn credentials(&self) -> Credentials {
        match self.login.clone() {
            // Looked at when it was given.
            Login::Creds(text) => Credentials::from_creds(&text).unwrap_or_default(),
            Login::Token(token) => Credentials::Token(token),
            Login::User { name, password } => Credentials::User { name, password },
            _ => Credentials::None,
        }
    }
}

impl FromStr for UpstreamUrl {
    type Err = UpstreamUrlError;

    fn from_str(text: &str) -> Result<Self, UpstreamUrlError> {
        let mut servers = Vec::new();
        let mut login = Login::None;
        let mut scheme: Option<&str> = None;
        for part in text.trim().split(',') {
            let (own, rest) = match part.split_once("://") {
                Some((own, rest)) => (own, rest),
                // Those behind the first may leave it out.
                None => (scheme.ok_or(UpstreamUrlError::NoScheme)?, part),
            };
            if scheme.is_some_and(|before| before != own) {
                return Err(UpstreamUrlError::Mixed);
            }
            scheme = Some(own);
            let (way, _) = way(own)?;
            let (user, address) = match rest.rsplit_once('@') {
                Some((user, address)) => (Some(user), address),
                None => (None, rest),
            };
            if let Some(user) = user.filter(|_| login == Login::None) {
                login = read_login(user)
                    .ok_or_else(|| UpstreamUrlError::Address(address.to_owned()))?;
            }
            servers.push(host_and_port(address, way.port())?);
        }
        let (way, tls) = way(scheme.ok_or(UpstreamUrlError::NoScheme)?)?;
        Ok(Self {
            way,
            tls,
            servers,
            login,
            authorities: Vec::new(),
        })
    }
}

/// Returns how a server with this scheme is joined, and whether with TLS from the first byte on.
fn way(scheme: &str) -> Result<(UpstreamWay, bool), UpstreamUrlError> {
    match scheme {
        "nats-leaf" => Ok((UpstreamWay::Leaf, false)),
        "nats" => Ok((UpstreamWay::Client, false)),
        "tls" => Ok((UpstreamWay::Client, true)),
        "nats-route" => Err(UpstreamUrlError::Route),
        other => Err(UpstreamUrlError::Scheme(other.to_owned())),
    }
}

fn read_login(text: &str) -> Option<Login> {
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    match text.split_once(':') {
        Some((name, password)) => Some(Login::User {
            name: decode(name)?,
            password: decode(password)?,
        }),
        None => Some(Login::Token(decode(text)?)),
    }
}

fn host_and_port(address: &str, default: u16) -> Result<String, UpstreamUrlError> {
    let wrong = || UpstreamUrlError::Address(address.to_owned());
    let address = address.strip_suffix('/').unwrap_or(address);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (address, default),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | '?' | '#' | '[' | ']');
    let six = inner.is_some() || !host.contains(':');
    let name = inner.unwrap_or(host);
    if name.is_empty() || name.contains(odd) || !six || port == 0 {
        return Err(wrong());
    }
    Ok(format!("{host}:{port}"))
}

/// The address without the login.
impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urls().join(","))
    }
}

impl fmt::Debug for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} as {:?}", self.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> UpstreamUrl {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_may_leave_out_the_port_and_name_several_servers() {
        for (text, shown) in [
            ("nats-leaf://hub.example", "nats-leaf://hub.example:7422"),
            ("nats://hub.example", "nats://hub.example:4222"),
            ("nats://[::1]/", "nats://[::1]:4222"),
            ("nats://[::1]:7", "nats://[::1]:7"),
            ("nats://a,b:7", "nats://a:4222,nats://b:7"),
            ("nats://a,nats://b", "nats://a:4222,nats://b:4222"),
            ("tls://a", "tls://a:4222"),
        ] {
            assert_eq!(url(text).to_string(), shown);
            assert_eq!(*url(text).login(), Login::None);
        }
    }

    #[test]
    fn a_login_is_read_and_never_shown() {
        let user = |password: &str| Login::User {
            name: "ann".to_owned(),
            password: password.to_owned(),
        };
        for (text, login) in [
            ("nats://ann:s3cret@h", user("s3cret")),
            ("nats-leaf://ann:s3cret%40%2F@h,i", user("s3cret@/")),
            ("nats://s3cret@h", Login::Token("s3cret".to_owned())),
        ] {
            assert_eq!(*url(text).login(), login);
            let shown = format!("{0} {0:?}", url(text));
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        let both = url("nats://ann:s3cret@h").with_creds("x".to_owned());
        assert_eq!(both, Err(UpstreamUrlError::TwoLogins));
        let none = url("nats-leaf://h").with_creds("x".to_owned());
        assert_eq!(none, Err(UpstreamUrlError::Creds));
        let client = url("nats://h").with_creds("x".to_owned());
        assert_eq!(client, Err(UpstreamUrlError::Creds));
        for pem in [
            "",
            "x",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let none = url("nats://h").with_authorities(pem.as_bytes());
            assert_eq!(none, Err(UpstreamUrlError::Authority));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in [
            "",
            "h:4222",
            "http://ann:s3cret@h:8222",
            "wss://h",
            "nats-route://h:6222",
            "nats://ann:s3cret@",
            "nats://ann:s3cret@h:port",
            "nats://h:0",
            "nats://h/x",
            "nats://::1:4222",
            "nats://a,nats-leaf://b",
        ] {
            let error = text.parse::<UpstreamUrl>().expect_err(text);
            let told = format!("{error} {}", error.hint());
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
