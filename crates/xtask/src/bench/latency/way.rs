//! A way from one repository to another: commits with stock at its beginning, and how soon they are at its end.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::super::programs::{PASSWORD, Programs, Server, Side, USER};
use super::agents::{Agent, Home};
use super::presence::Presence;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// How long a commit may take until it has arrived.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// What carries a commit; it ends with the way.
enum Carrier {
    Agents { _source: Agent, _target: Agent },
    Stock { _server: Server },
}

/// A way from one repository to another.
pub(super) struct Way {
    pub(super) title: &'static str,
    checkout: PathBuf,
    source: Presence,
    target: Presence,
    check_ins: u64,
    _carrier: Carrier,
}

/// How long one commit took.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// From the moment the first file held it until the second did.
    pub(super) way: Duration,
    /// From the start of `fossil commit` until the second file held it.
    pub(super) whole: Duration,
}

impl Way {
    /// A leaf's repository to its hub's.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn leaf_to_hub(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("leaf-hub");
        let files = files(programs, &folder)?;
        Self::between("leaf to hub", programs, &folder, &files)
    }

    /// A peer's repository to another peer's, over a route.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn peer_to_peer(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("peer-peer");
        let files = files(programs, &folder)?;
        let (source, target) = agents(programs, &folder, &files, &[], ("peer", "route"))?;
        let carrier = Carrier::Agents {
            _source: source,
            _target: target,
        };
        Self::new("peer to peer", programs, &folder, &files, carrier)
    }

    /// A leaf's repository, of whatever size, to its hub's.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn between(
        title: &'static str,
        programs: &Programs,
        folder: &Path,
        files: &[PathBuf; 2],
    ) -> anyhow::Result<Self> {
        let hub = ["--nats-role", "hub"];
        let (source, target) = agents(programs, folder, files, &hub, ("leaf", "leaf"))?;
        let carrier = Carrier::Agents {
            _source: source,
            _target: target,
        };
        Self::new(title, programs, folder, files, carrier)
    }

    /// A clone to its stock server, by autosync.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn autosync(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("autosync");
        let files = files(programs, &folder)?;
        let words = ["user", "password", USER, PASSWORD, "-R"].map(Path::new);
        programs.fossil(words.iter().chain([&files[1].as_path()]))?;
        let server = programs.serve(Side::Stock, &files[1])?;
        fs::remove_file(&files[0])?;
        let url = server.url_with_login();
        let words = ["clone", "--no-open", "--save-http-password", &url].map(Path::new);
        programs.fossil(words.iter().chain([&files[0].as_path()]))?;
        let carrier = Carrier::Stock { _server: server };
        let title = "stock's autosync, clone to server";
        Self::new(title, programs, &folder, &files, carrier)
    }

    fn new(
        title: &'static str,
        programs: &Programs,
        folder: &Path,
        [source, target]: &[PathBuf; 2],
        carrier: Carrier,
    ) -> anyhow::Result<Self> {
        let checkout = folder.join("checkout");
        fs::create_dir(&checkout)?;
        fs::write(checkout.join("changing.txt"), "")?;
        let open = [Path::new("open"), Path::new("--force"), source];
        for words in [&open[..], &["add", "changing.txt"].map(Path::new)] {
            done(programs.command(Side::Stock, words).current_dir(&checkout))?;
        }
        let mut source = Presence::of(source)?;
        Ok(Self {
            title,
            checkout,
            check_ins: source.check_ins()?,
            source,
            target: Presence::of(target)?,
            _carrier: carrier,
        })
    }

    /// The processes of the agents that carry, where there are any.
    pub(super) fn processes(&self) -> Vec<u32> {
        match &self._carrier {
            Carrier::Agents { _source, _target } => vec![_source.process(), _target.process()],
            Carrier::Stock { .. } => Vec::new(),
        }
    }

    /// Commits a change with stock and waits until it has arrived.
    ///
    /// # Errors
    /// When stock fails or the commit does not arrive.
    pub(super) fn commit(&mut self, programs: &Programs) -> anyhow::Result<Sample> {
        self.check_ins += 1;
        let text = format!("line {}\n", self.check_ins);
        // It grows, because stock looks at a file's size and at its time in seconds.
        let mut file = File::options()
            .append(true)
            .open(self.checkout.join("changing.txt"))?;
        file.write_all(text.as_bytes())?;
        let log = tempfile::NamedTempFile::new()?;
        let mut command = programs.command(Side::Stock, ["commit", "--no-warnings", "-m", &text]);
        command
            .current_dir(&self.checkout)
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?);
        let start = Instant::now();
        let mut child = command.spawn().context("cannot run fossil")?;
        let mut left_at = None;
        let arrived = loop {
            if left_at.is_none() && self.source.check_ins()? >= self.check_ins {
                left_at = Some(start.elapsed());
            }
            if self.target.check_ins()? >= self.check_ins {
                break start.elapsed();
            }
            if start.elapsed() > ARRIVES_WITHIN {
                bail!(
                    "{}: a commit did not arrive ({:?})",
                    self.title,
                    child.wait()?
                );
            }
            std::thread::sleep(LOOK_EVERY);
        };
        let ended = child.wait()?;
        ensure!(ended.success(), "{command:?} failed");
        let left = left_at.context("a commit arrived before it was made")?;
        Ok(Sample {
            way: arrived - left,
            whole: arrived,
        })
    }
}

/// Makes a folder with a repository and a copy of it.
fn files(programs: &Programs, folder: &Path) -> anyhow::Result<[PathBuf; 2]> {
    fs::create_dir(folder)?;
    // Each in a folder of its own, because an agent watches the folder.
    let files = ["source", "target"].map(|name| folder.join(name).join("project.fossil"));
    for file in &files {
        fs::create_dir(file.parent().context("a file is in a folder")?)?;
    }
    let words = ["init", "--admin-user", USER].map(Path::new);
    programs.fossil(words.iter().chain([&files[0].as_path()]))?;
    fs::copy(&files[0], &files[1])?;
    Ok(files)
}

/// Starts two agents, of which the first joins the second.
fn agents(
    programs: &Programs,
    folder: &Path,
    [source, target]: &[PathBuf; 2],
    flags: &[&str],
    (role, link): (&str, &str),
) -> anyhow::Result<(Agent, Agent)> {
    let home = |name| Home::new(programs, folder.join(name));
    let (first, second) = (home("source-home")?, home("target-home")?);
    let end = second.start(target, &first.id, flags)?;
    let flags = ["--nats-role", role, "--join", end.address(link)?];
    Ok((first.start(source, &second.id, &flags)?, end))
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
