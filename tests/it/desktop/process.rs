//! Programs that a test starts: they end with the test, and their lines can be waited for.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;

/// How long anything that must happen may take. It bounds a failing test, nothing waits for it to pass.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// How often to look at what the system does not announce.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running program, killed and reaped when this is dropped.
pub(super) struct Program {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Program {
    /// Starts `command` and collects the lines of its standard output.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?} does not start"))?;
        let (sender, lines) = watch::channel(Vec::new());
        let output = child.stdout.take().context("its output is piped")?;
        std::thread::spawn(move || collect(output, &sender));
        Ok(Self { child, lines })
    }

    /// The process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that starts with `start`, and returns it.
    pub(super) async fn line(&self, start: &str) -> Result<String> {
        self.nth_line(1, start).await
    }

    /// Waits for the `n`th line, from 1, that starts with `start`, and returns it.
    pub(super) async fn nth_line(&self, n: usize, start: &str) -> Result<String> {
        let find = |lines: &Vec<String>| {
            lines
                .iter()
                .filter(|line| line.starts_with(start))
                .nth(n - 1)
                .cloned()
        };
        let mut lines = self.lines.clone();
        let seen = tokio::time::timeout(GRACE, lines.wait_for(|lines| find(lines).is_some())).await;
        match seen {
            Ok(Ok(lines)) => find(&lines).context("it was seen"),
            _ => anyhow::bail!("no line {n} {start:?} in {:#?}", *self.lines.borrow()),
        }
    }

    /// Returns whether a line that starts with `start` was printed until now.
    pub(super) fn has_line(&self, start: &str) -> bool {
        self.lines
            .borrow()
            .iter()
            .any(|line| line.starts_with(start))
    }

    /// Asks the program to end, as the system does.
    pub(super) fn terminate(&self) -> Result<()> {
        let sent = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()?;
        anyhow::ensure!(sent.success(), "kill failed: {sent}");
        Ok(())
    }

    /// Waits for the program's end.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        })
        .await?;
        status.context("it has ended")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when the program has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(output: impl Read, sender: &watch::Sender<Vec<String>>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        sender.send_modify(|lines| lines.push(line));
    }
}

/// Waits until `holds`, which is something that the system does not announce (a process that ends, a port that opens).
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let look = async {
        while !holds() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(GRACE, look)
        .await
        .with_context(|| format!("in vain: {what}"))
}

/// Returns the names of all processes that `pid` started, directly or not.
pub(super) fn descendants(pid: u32) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        for task in std::fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            open.extend(
                children
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
        if parent != pid {
            let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
            names.push(name.trim_end().to_owned());
        }
    }
    names
}

/// Returns a port of this machine that nobody listened on a moment ago, for programs that can't choose one themselves.
pub(super) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}
