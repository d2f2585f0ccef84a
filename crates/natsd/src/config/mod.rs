//! The reference server's configuration file, as far as this server does what it says. A key that it does not know, or knows
//! of and does not do yet, is an error with its line: a setting that is silently without effect is worse than none.

mod section;
mod syntax;
mod users;
mod value;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::subject::Filter;
pub use users::Authorization;

/// What a file says. What it does not say is `None` or empty, and has the default of the server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Name of the server, shown to clients and peers.
    pub server_name: Option<String>,
    /// Where clients are accepted.
    pub listen: Listen,
    /// Longest message, in bytes.
    pub max_payload: Option<usize>,
    /// Most bytes that may wait for one client.
    pub max_pending: Option<usize>,
    /// Longest control line of a client, in bytes.
    pub max_control_line: Option<usize>,
    /// Most connections at a time.
    pub max_connections: Option<usize>,
    /// Most subscriptions of one client.
    pub max_subscriptions: Option<usize>,
    /// Time between two pings of a silent connection.
    pub ping_interval: Option<Duration>,
    /// Most unanswered pings.
    pub ping_max: Option<u32>,
    /// How long a write may make no progress.
    pub write_deadline: Option<Duration>,
    /// Over what time clients are sent away before a planned end.
    pub lame_duck_duration: Option<Duration>,
    /// How long they have to leave by themselves first.
    pub lame_duck_grace_period: Option<Duration>,
    /// Who may connect as a client.
    pub authorization: Option<Authorization>,
    /// The cluster that the server is a member of.
    pub cluster: Option<Cluster>,
    /// Leafnodes: accepted and dialled.
    pub leafnodes: Option<Leafnodes>,
    /// Whether to log more.
    pub debug: Option<bool>,
    /// Whether to log every operation.
    pub trace: Option<bool>,
    /// Where the log goes instead of standard error.
    pub log_file: Option<PathBuf>,
    /// Where the number of the process is written.
    pub pid_file: Option<PathBuf>,
    /// In which folder the ports are written.
    pub ports_file_dir: Option<PathBuf>,
}

/// An address to listen on, in the parts that a file may give one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Name or address of an interface of this machine.
    pub host: Option<String>,
    /// Port; 0 lets the system choose, which the file calls -1.
    pub port: Option<u16>,
}

/// The block `cluster`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Cluster {
    /// Name of the cluster; members with another are refused.
    pub name: Option<String>,
    /// Where members are accepted.
    pub listen: Listen,
    /// Members to dial, as URLs.
    pub routes: Vec<String>,
    /// What a member must show.
    pub authorization: Option<Authorization>,
    /// Whether to keep the addresses of members from clients.
    pub no_advertise: bool,
    /// The address that members and clients are told, when it is not the one listened on.
    pub advertise: Option<String>,
}

/// The block `leafnodes`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Leafnodes {
    /// Where leafnodes are accepted, when the block says so.
    pub listen: Option<Listen>,
    /// What a leafnode must show.
    pub authorization: Option<Authorization>,
    /// Servers to dial as a leafnode.
    pub remotes: Vec<Remote>,
    /// Whether to keep from each leafnode what the others want.
    pub isolate_leafnode_interest: bool,
    /// The address that leafnodes are told, when it is not the one listened on.
    pub advertise: Option<String>,
    /// Time between two attempts to reach a remote.
    pub reconnect: Option<Duration>,
}

/// A server to dial as a leafnode.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Remote {
    /// Its addresses, as URLs; any of them will do.
    pub urls: Vec<String>,
    /// A file with a signed identity and its seed.
    pub credentials: Option<PathBuf>,
    /// The seed of a key, or the file that holds it.
    pub nkey: Option<String>,
    /// Subjects that it shall not send here.
    pub deny_imports: Vec<Filter>,
    /// Subjects that are not sent there.
    pub deny_exports: Vec<Filter>,
    /// Whether this server acts as the hub although it dials.
    pub hub: bool,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Something is wrong at a line, counted from 1.
    #[error("line {line}: {what}")]
    At {
        /// Where.
        line: usize,
        /// What is wrong, for a person.
        what: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is wrong in this file.
    #[error("{}: {error}", path.display())]
    Within {
        /// Which file.
        path: PathBuf,
        /// What.
        error: Box<ConfigError>,
    },
}

impl ConfigError {
    fn at(line: usize, what: impl Into<String>) -> Self {
        Self::At {
            line,
            what: what.into(),
        }
    }

    fn within(self, path: &Path) -> Self {
        match self {
            // It names its file already.
            Self::Unreadable { .. } | Self::Within { .. } => self,
            error @ Self::At { .. } => Self::Within {
                path: path.to_owned(),
                error: Box::new(error),
            },
        }
    }
}

impl Config {
    /// Reads a file and those that it includes. `$NAME` may stand for a variable of the environment.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let environment = |name: &str| std::env::var(name).ok();
        Self::parse(&text, folder, &environment).map_err(|error| error.within(path))
    }

    /// Returns what a text says. Files that it includes are looked for in `folder`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        section::top(&syntax::parse(text, folder, environment)?)
    }
}
