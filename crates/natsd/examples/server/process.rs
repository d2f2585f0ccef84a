//! What a server has to do with the system around it: files with its number and its ports, and signals to another server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde_json::json;

/// What `--signal` can ask for, and the signal that says it, as the reference server takes them.
const SIGNALS: &[(&str, &str)] = &[
    ("ldm", "USR2"),
    ("quit", "INT"),
    ("reload", "HUP"),
    ("stop", "KILL"),
    ("term", "TERM"),
];

/// Sends what `what=PID` asks for.
///
/// # Errors
/// When it asks for something else, or no such process can be reached.
pub(crate) fn signal(request: &str) -> anyhow::Result<()> {
    let (what, process) = request
        .split_once('=')
        .with_context(|| format!("--signal {request}: WHAT=PID is expected"))?;
    let Some((_, signal)) = SIGNALS.iter().find(|(name, _)| *name == what) else {
        let known: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
        bail!("--signal {what}: one of {} is expected", known.join(", "));
    };
    let number = if process.bytes().all(|digit| digit.is_ascii_digit()) {
        process.to_owned()
    } else {
        fs::read_to_string(process).with_context(|| format!("cannot read {process}"))?
    };
    let number: u32 = number.trim().parse().context("a process number")?;
    let sent = Command::new("kill")
        .args([format!("-{signal}"), number.to_string()])
        .status()
        .context("cannot run kill")?;
    ensure!(sent.success(), "process {number} cannot be reached");
    Ok(())
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) clients: Option<SocketAddr>,
    pub(crate) leafnodes: Option<SocketAddr>,
    pub(crate) routes: Option<SocketAddr>,
}

/// A file that says something about the running server and goes away with it.
pub(crate) struct Notice(PathBuf);

impl Notice {
    /// Writes the number of this process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn of_process(file: &Path) -> anyhow::Result<Self> {
        Self::write(file.to_owned(), &std::process::id().to_string())
    }

    /// Writes the addresses into a file of the folder that is named after the program and this process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn of_ports(folder: &Path, addresses: Addresses) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let program = program.file_stem().unwrap_or_default().to_string_lossy();
        let file = folder.join(format!("{program}_{}.ports", std::process::id()));
        let urls = |address: Option<SocketAddr>, scheme: &str| {
            let urls = address.map(|address| format!("{scheme}://{address}"));
            urls.into_iter().collect::<Vec<_>>()
        };
        let ports = json!({
            "nats": urls(addresses.clients, "nats"),
            "cluster": urls(addresses.routes, "nats"),
            "leafnodes": urls(addresses.leafnodes, "nats"),
        });
        Self::write(file, &ports.to_string())
    }

    fn write(file: PathBuf, text: &str) -> anyhow::Result<Self> {
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self(file))
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::remove_file(&self.0);
    }
}
