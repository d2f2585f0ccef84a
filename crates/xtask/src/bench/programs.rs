//! The two programs under measurement, each with its own home, and the servers they make.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use wait4::Wait4;

use super::build;
use super::measure::Cost;
use super::process;

/// The account that may push.
pub(crate) const USER: &str = "bench";
/// Its password.
pub(crate) const PASSWORD: &str = "bench-password";

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Stock,
    Ours,
}

/// Where the programs are and the home they share.
pub(crate) struct Programs {
    edgesync: PathBuf,
    home: TempDir,
}

impl Programs {
    /// Finds the programs; builds ours when none is named.
    ///
    /// # Errors
    /// When ours does not build, or either does not run.
    pub(crate) fn find(edgesync: Option<&Path>) -> anyhow::Result<Self> {
        let edgesync = match edgesync {
            Some(program) => {
                fs::canonicalize(program).with_context(|| format!("no {}", program.display()))?
            }
            None => build::release(&["--package", "edgesync"])?,
        };
        Ok(Self {
            edgesync,
            home: tempfile::Builder::new()
                .prefix("edgesync-bench-home-")
                .tempdir()?,
        })
    }

    /// Returns a command of one side, with a home that no other use of it shares.
    pub(crate) fn command<I, S>(&self, side: Side, arguments: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let program = match side {
            Side::Stock => Path::new("fossil"),
            Side::Ours => &self.edgesync,
        };
        let mut command = Command::new(program);
        command.args(arguments);
        let home = self.home.path();
        command
            .env("HOME", home)
            .env("FOSSIL_HOME", home)
            .env("EDGESYNC_HOME", home.join("agent"));
        command
            .env("USER", USER)
            .env("FOSSIL_USER", USER)
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Runs stock Fossil on work that is not measured and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn fossil<I, S>(&self, arguments: I) -> anyhow::Result<String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command(Side::Stock, arguments);
        let done = command
            .stdin(Stdio::null())
            .output()
            .context("cannot run fossil")?;
        ensure!(
            done.status.success(),
            "{command:?} failed:\n{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(String::from_utf8(done.stdout)?)
    }

    /// Returns how many rows there are in `rows`, a table with an optional condition, as stock reads the file.
    ///
    /// # Errors
    /// When stock cannot read it.
    pub(crate) fn count(&self, repository: &Path, rows: &str) -> anyhow::Result<u64> {
        let query = format!("SELECT 'rows='||count(*) FROM {rows};");
        let words = [
            Path::new("sql"),
            Path::new("--readonly"),
            Path::new("-R"),
            repository,
            Path::new(&query),
        ];
        let answer = self.fossil(words)?;
        let number: String = answer.chars().filter(char::is_ascii_digit).collect();
        number
            .parse()
            .with_context(|| format!("stock answered {answer:?}"))
    }

    /// Serves a repository over HTTP on a port of this machine.
    ///
    /// # Errors
    /// When the server does not say that it listens.
    pub(crate) fn serve(&self, side: Side, repository: &Path) -> anyhow::Result<Server> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port()
            .to_string();
        let address = format!("127.0.0.1:{port}");
        let repository = repository.as_os_str();
        let word = OsStr::new;
        let (mut command, listening) = match side {
            Side::Stock => {
                let words = [
                    word("server"),
                    word("--localhost"),
                    word("--port"),
                    word(&port),
                    repository,
                ];
                (self.command(side, words), "Listening")
            }
            Side::Ours => {
                let words = [
                    word("sync"),
                    word("start"),
                    word("-R"),
                    repository,
                    word("--serve-http"),
                    word(&address),
                ];
                (self.command(side, words), "ready")
            }
        };
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {shown}"))?;
        let output = child
            .stdout
            .take()
            .context("the server's output is a pipe")?;
        let mut lines = BufReader::new(output).lines();
        loop {
            match lines.next() {
                Some(line) if line.as_ref().is_ok_and(|line| line.starts_with(listening)) => break,
                Some(line) => drop(line?),
                None => bail!(
                    "{shown} ended ({}) without saying `{listening}`",
                    child.wait()?
                ),
            }
        }
        // Whatever it says later is read and forgotten, so that it never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Server {
            start: process::cpu(child.id())?,
            child: Some(child),
            address,
        })
    }

    /// Returns one line on what the figures were taken with.
    ///
    /// # Errors
    /// When stock Fossil does not tell its version.
    pub(crate) fn machine(&self) -> anyhow::Result<String> {
        let version = self.fossil(["version"])?;
        let version = version
            .split_whitespace()
            .skip_while(|word| *word != "version")
            .nth(1)
            .unwrap_or("?");
        Ok(format!("{}, Fossil {version}", build::machine()?))
    }
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Option<Child>,
    address: String,
    /// The processor time it took until it was ready.
    start: Duration,
}

impl Server {
    /// Returns the address of the repository, for anybody.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Returns the address of the repository with the account that may push.
    pub(crate) fn url_with_login(&self) -> String {
        format!("http://{USER}:{PASSWORD}@{}/", self.address)
    }

    /// Ends the server and returns `client`'s time with what the server took since it was ready.
    ///
    /// # Errors
    /// When the server cannot be ended.
    pub(crate) fn end(mut self, client: Cost) -> anyhow::Result<Cost> {
        // A server that forks counts a child's work when it buries it, which stock does as the next request comes.
        for _ in 0..2 {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
            stream.read_to_end(&mut Vec::new())?;
        }
        let mut child = self.child.take().context("the server runs")?;
        child.kill()?;
        let used = child.wait4()?.rusage;
        Ok(Cost {
            wall: client.wall,
            cpu: (used.utime + used.stime).saturating_sub(self.start),
            peak: used.maxrss,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; there is nothing left to do then.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
