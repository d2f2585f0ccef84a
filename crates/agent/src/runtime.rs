//! The runtime file: where the running agent of a home answers, and the token that its API wants. It is there exactly while
//! the agent runs; a file left by a killed agent is told apart by the lock, which died with it.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::files::write_private;
use crate::home::Home;
use crate::lock::Lock;

/// What others need to know in order to talk to the running agent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// The API's address, `http://127.0.0.1:PORT`.
    pub api: String,
    /// The bearer token of the API.
    pub token: String,
    /// The agent's process.
    pub pid: u32,
    /// The address at which repositories are served, `http://HOST:PORT`.
    pub http: Option<String>,
    /// What is listened on for that: an IP address and port.
    #[serde(default)]
    pub http_listen: Option<String>,
    /// The address for clients of the bus, `nats://127.0.0.1:PORT`.
    pub nats: Option<String>,
    /// The token that clients of the bus show.
    pub nats_token: String,
    /// The address for leaves at the agent's start.
    pub leaf: Option<String>,
    /// The address for peers and hubs at the agent's start.
    pub route: Option<String>,
    /// The agent's version.
    pub version: String,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token must not reach a log by way of `{:?}`.
        f.debug_struct("Runtime")
            .field("api", &self.api)
            .field("pid", &self.pid)
            .field("http", &self.http)
            .field("nats", &self.nats)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Returns what the running agent of `home` wrote, or `None` when none runs.
    ///
    /// # Errors
    /// When the files cannot be read. A malformed file is an error of kind `InvalidData`.
    pub fn read(home: &Home) -> io::Result<Option<Self>> {
        if !home.lock_file().exists() {
            return Ok(None);
        }
        if Lock::take(&home.lock_file())?.is_some() {
            // Nobody holds the lock: what the file says is of the past.
            return Ok(None);
        }
        Self::read_file(home)
    }

    /// Returns the file's content without asking whether its agent lives.
    pub(crate) fn read_file(home: &Home) -> io::Result<Option<Self>> {
        let text = match fs::read(home.runtime_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Removes the file that a killed agent left. To be called by the holder of the lock.
    pub(crate) fn remove_stale(home: &Home) -> io::Result<()> {
        match fs::remove_file(home.runtime_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the address of the agent's page, token included.
    pub fn page_url(&self) -> String {
        format!("{}/#token={}", self.api, self.token)
    }
}

/// The runtime file of the running agent, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeFile {
    home: Home,
}

impl RuntimeFile {
    pub(crate) fn write(home: &Home, runtime: &Runtime) -> io::Result<Self> {
        let mut text = serde_json::to_vec_pretty(runtime)?;
        text.push(b'\n');
        write_private(&home.runtime_file(), &text)?;
        Ok(Self { home: home.clone() })
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.home.runtime_file()) {
            tracing::warn!(%error, "the runtime file cannot be removed");
        }
    }
}
