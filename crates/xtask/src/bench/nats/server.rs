//! The servers under measurement: started on ports of their own, asked for their processor time and memory, ended when
//! dropped.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::super::{build, process};
use super::wire::Connection;

/// How long a server may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Stock,
    Ours,
}

/// Where the two programs are.
pub(super) struct Servers {
    stock: PathBuf,
    ours: PathBuf,
}

impl Servers {
    /// Finds the programs; builds ours when none is named.
    ///
    /// # Errors
    /// When ours does not build or the stock one is not installed.
    pub(super) fn find(ours: Option<&Path>) -> anyhow::Result<Self> {
        let ours = match ours {
            Some(program) => {
                fs::canonicalize(program).with_context(|| format!("no {}", program.display()))?
            }
            None => build::release(&["--package", "natsd", "--example", "server"])?,
        };
        // Debian keeps it where only root's PATH looks.
        let debian = Path::new("/usr/sbin/nats-server");
        let stock = if debian.exists() {
            debian
        } else {
            Path::new("nats-server")
        };
        Ok(Self {
            stock: stock.to_owned(),
            ours,
        })
    }

    /// Returns one line on what the figures were taken with.
    ///
    /// # Errors
    /// When the stock server does not tell its version.
    pub(super) fn machine(&self) -> anyhow::Result<String> {
        let told = Command::new(&self.stock)
            .arg("--version")
            .output()
            .context("cannot run nats-server (scripts/setup.sh test installs it)")?;
        let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        Ok(format!("{}, {told}", build::machine()?))
    }

    /// Starts a server with these lines of configuration and waits until it answers.
    ///
    /// # Errors
    /// When it ends instead, or says nothing in time: what it logged is in the error.
    pub(super) fn start(&self, side: Side, config: &str) -> anyhow::Result<Node> {
        let program = match side {
            Side::Stock => &self.stock,
            Side::Ours => &self.ours,
        };
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(config.as_bytes())?;
        let log = tempfile::NamedTempFile::new()?;
        let port = free_port()?;
        let child = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"])
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut node = Node { child, port };
        let started = Instant::now();
        loop {
            if Connection::open(port).is_ok() {
                return Ok(node);
            }
            let ended = node.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START_WITHIN {
                let said = fs::read_to_string(log.path()).unwrap_or_default();
                bail!("{} did not start ({ended:?}):\n{said}", program.display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A running server; it ends when this is dropped.
pub(super) struct Node {
    child: Child,
    pub(super) port: u16,
}

impl Node {
    /// Returns the processor time it has taken so far, in steps of 10 ms.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    /// Returns the memory it holds now, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn memory_kib(&self) -> anyhow::Result<f64> {
        process::memory_kib(self.child.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port on which nothing listens.
///
/// # Errors
/// When this machine has none left.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    ensure!(port != 0, "a port has a number");
    Ok(port)
}
