//! Programs that a test starts: they end with the test, and their lines can be waited for.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;

/// How long anything that must happen may take. It bounds a failing test, nothing waits for it to pass.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// How often to look at what the system does not announce.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running program, killed and reaped when this is dropped.
pub(crate) struct Program {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Program {
    /// Starts `command` and collects the lines of its standard output.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
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
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that starts with `start`, and returns it.
    pub(crate) async fn line(&self, start: &str) -> Result<String> {
        self.nth_line(1, start).await
    }

    /// Waits for the `n`th line, from 1, that starts with `start`, and returns it.
    pub(crate) async fn nth_line(&self, n: usize, start: &str) -> Result<String> {
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
    pub(crate) fn has_line(&self, start: &str) -> bool {
        self.lines
            .borrow()
            .iter()
            .any(|line| line.starts_with(start))
    }

    /// Asks the program to end, as the system does.
    pub(crate) fn terminate(&self) -> Result<()> {
        signal("-TERM", self.pid())
    }

    /// Waits for the program's end.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
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
        // Once it has been waited for, its number may be somebody else's.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // What it started would end by itself a little later; a test leaves nothing behind.
        let started = descendants(self.pid());
        let _ = self.child.kill();
        for (process, _) in started {
            // It may have ended already.
            let _ = signal("-KILL", process);
        }
        let _ = self.child.wait();
    }
}

fn collect(output: impl Read, sender: &watch::Sender<Vec<String>>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        sender.send_modify(|lines| lines.push(line));
    }
}

/// Waits until `holds`, which is something that the system does not announce (a process that ends, a port that opens).
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let look = async {
        while !holds() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(GRACE, look)
        .await
        .with_context(|| format!("in vain: {what}"))
}

/// Returns the processes that `pid` started, directly or not, each with its name.
pub(crate) fn descendants(pid: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            for child in children.unwrap_or_default().split_whitespace() {
                let Ok(child) = child.parse() else { continue };
                let name = std::fs::read_to_string(format!("/proc/{child}/comm"));
                found.push((child, name.unwrap_or_default().trim_end().to_owned()));
                open.push(child);
            }
        }
    }
    found
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let sent = Command::new("kill")
        .args([name, &pid.to_string()])
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(sent.success(), "kill failed: {sent}");
    Ok(())
}
