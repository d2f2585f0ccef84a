//! The address of a project on a bus, `nats://TOKEN@HOST:PORT/PROJECT-CODE`, and exchanges with it outside of a running agent. What is shown never
//! holds the token.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use edgesync_bus::{ConnectError, Connection, Login, Nats};
use libfossil::db::Repository;
use libfossil::name::ProjectCode;
use libfossil::xfer::client::{Client, Summary, SyncError};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::{Accepts, Line};
use crate::api::{Code, Error};
use crate::home::Home;
use crate::identity::Identity;
use crate::mesh::no_bus;
use crate::repository::Writer;
use crate::runtime::Runtime;
use crate::sync::RemoteError;
use crate::trust::{Register, Trust};
use crate::wire::{PREFIX, Wire};

/// The scheme of these addresses.
pub(in crate::sync) const SCHEME: &str = "nats://";

/// The port of a NATS server unless the address names another.
const PORT: u16 = 4222;

/// A server of a bus, `nats://TOKEN@HOST:PORT`, or with `USER:PASSWORD@` where a server has users.
#[derive(Clone, PartialEq, Eq)]
pub struct BusServer {
    /// `nats://HOST:PORT`.
    url: String,
    login: Login,
}

/// A project on a bus.
#[derive(Clone, PartialEq, Eq)]
pub struct BusAddress {
    server: BusServer,
    project: ProjectCode,
}

impl BusServer {
    fn of(url: &Url) -> Result<Self, RemoteError> {
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(RemoteError::NoHost)?;
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(Cow::into_owned).map_err(|_| RemoteError::Login)
        };
        let name = decode(url.username())?;
        let login = match url.password() {
            Some(password) => Login::User {
                name,
                password: decode(password)?,
            },
            None if name.is_empty() => Login::None,
            None => Login::Token(name),
        };
        Ok(Self {
            url: format!("{SCHEME}{host}:{}", url.port().unwrap_or(PORT)),
            login,
        })
    }

    /// Returns the bus of a running agent.
    pub(crate) fn of_agent(runtime: &Runtime) -> Option<Self> {
        Some(Self {
            url: runtime.nats.clone()?,
            login: Login::Token(runtime.nats_token.clone()),
        })
    }

    /// Joins the bus under this name.
    ///
    /// # Errors
    /// `remote_login` when the server does not take the login, `remote_address` when something else answers, `unreachable` when nobody does.
    pub(crate) async fn connect(&self, name: &str) -> Result<Nats, Error> {
        let connection = Connection {
            urls: vec![self.url.clone()],
            login: self.login.clone(),
            tls: None,
            name: name.to_owned(),
        };
        match Nats::connect(&connection).await {
            Ok(bus) => Ok(bus),
            Err(error) => Err(self.not_connected(&error).await),
        }
    }

    async fn not_connected(&self, error: &ConnectError) -> Error {
        let address = self.url.trim_start_matches(SCHEME);
        if let Some((message, hint)) = no_bus(address).await {
            return Error::new(Code::RemoteAddress, message).with_hint(hint);
        }
        let (code, hint) = match error {
            ConnectError::Unauthorized { .. } => (
                Code::RemoteLogin,
                "Put the token, or USER:PASSWORD, before the host: nats://TOKEN@HOST:PORT",
            ),
            _ => (
                Code::Unreachable,
                "Check the address, and that an agent or NATS server runs there.",
            ),
        };
        Error::new(code, error.to_string())
            .with_hint(hint)
            .retryable()
    }
}

impl FromStr for BusServer {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |words: String| RemoteError::Malformed(words);
        let url = Url::parse(text.trim()).map_err(|error| malformed(error.to_string()))?;
        if url.scheme() != "nats" || !matches!(url.path(), "" | "/") {
            return Err(malformed("a bus is nats://TOKEN@HOST:PORT".to_owned()));
        }
        Self::of(&url)
    }
}

impl fmt::Display for BusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for BusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BusAddress {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url =
            Url::parse(text.trim()).map_err(|error| RemoteError::Malformed(error.to_string()))?;
        let server = BusServer::of(&url)?;
        let project = url.path().trim_matches('/');
        let project = ProjectCode::parse(project.as_bytes()).map_err(|_| {
            RemoteError::Malformed("the project's code is missing; it has 40 digits".to_owned())
        })?;
        Ok(Self { server, project })
    }
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.project)
    }
}

impl fmt::Debug for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes one exchange between the repository at `path` and whoever has the project on the bus, in the name of `home`'s agent. Blocks.
pub(in crate::sync) fn exchange(
    home: &Home,
    path: &Path,
    address: &BusAddress,
    start: impl FnOnce(&mut Repository) -> Result<Client, SyncError> + Send + 'static,
    progress: impl FnMut(&Summary),
) -> Result<Summary, Error> {
    let system = |error: &dyn fmt::Display| Error::internal(error.to_string());
    home.create().map_err(|error| system(&error))?;
    let identity = Identity::of(home).map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let writer = Writer::start("sync", path).map_err(|error| system(&error))?;
    let exchanged = runtime.block_on(async {
        let bus = address.server.connect("edgesync").await?;
        let wire = Wire {
            bus: Arc::new(bus),
            prefix: PREFIX.to_owned(),
            keys: Arc::clone(identity.keys()),
            trust: Arc::new(Trust::new(Register::of_run([], []))),
        };
        let line = Line::new(wire, address.project.to_string(), None, Accepts::First);
        line.exchange(&writer, start, progress).await
    });
    if let Some(thread) = writer.close()
        && thread.join().is_err()
    {
        return Err(Error::internal("the thread of the repository panicked"));
    }
    exchanged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_server_token_and_project() {
        let code = "0123456789abcdef0123456789abcdef01234567";
        let address: BusAddress = format!("nats://se%2Fcret@host:4333/{code}")
            .parse()
            .expect("an address");
        assert_eq!(address.server.login, Login::Token("se/cret".to_owned()));
        assert_eq!(address.to_string(), format!("nats://host:4333/{code}"));
        assert!(!format!("{address:?}").contains("cret"));
        let address: BusAddress = format!("nats://[::1]/{code}/").parse().expect("an address");
        assert_eq!(address.to_string(), format!("nats://[::1]:4222/{code}"));
        assert_eq!(address.server.login, Login::None);
        let address: BusAddress = format!("nats://ada:s%40cret@host/{code}")
            .parse()
            .expect("an address");
        let user = Login::User {
            name: "ada".to_owned(),
            password: "s@cret".to_owned(),
        };
        assert_eq!(address.server.login, user);
        assert!(!format!("{address} {address:?}").contains("cret"));
    }

    #[test]
    fn what_names_no_project_is_refused_without_repeating_the_token() {
        for bad in [
            "nats://secret@host:1",
            "nats://secret@host/abc",
            "nats://secret@/x",
            "nats://secret:x@host/x",
        ] {
            let error = bad.parse::<BusAddress>().expect_err(bad).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
