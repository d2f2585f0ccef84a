//! Agents with homes of their own that trust each other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::super::programs::{Programs, Side};

/// An agent that may be started: it has an identity.
pub(super) struct Home<'a> {
    programs: &'a Programs,
    path: PathBuf,
    pub(super) id: String,
}

/// A running agent; it ends when this is dropped.
pub(super) struct Agent {
    child: Child,
    ready: Value,
}

impl<'a> Home<'a> {
    /// Makes the home of an agent.
    ///
    /// # Errors
    /// When the agent's identity cannot be made.
    pub(super) fn new(programs: &'a Programs, path: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir(&path)?;
        let mut home = Self {
            programs,
            path,
            id: String::new(),
        };
        let told = home.command(&["id"]).output()?;
        ensure!(told.status.success(), "`edgesync id` failed");
        String::from_utf8(told.stdout)?
            .trim()
            .clone_into(&mut home.id);
        Ok(home)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.programs.command(Side::Ours, words);
        command.env("EDGESYNC_HOME", &self.path);
        command
    }

    /// Starts the agent with a repository. It trusts one other, and polls nobody: what arrives has been told.
    ///
    /// # Errors
    /// When it ends instead of getting ready.
    pub(super) fn start(
        &self,
        repository: &Path,
        trusted: &str,
        flags: &[&str],
    ) -> anyhow::Result<Agent> {
        let words = [
            "sync", "start", "--json", "--poll", "1h", "--trust", trusted,
        ];
        let mut command = self.command(&words);
        command.args(flags).arg("-R").arg(repository);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run edgesync")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut agent = Agent {
            child,
            ready: Value::Null,
        };
        let mut lines = BufReader::new(output).lines();
        while agent.ready["event"] != "ready" {
            let line = lines
                .next()
                .context("the agent ended before it was ready")??;
            agent.ready = serde_json::from_str(&line)?;
        }
        // Whatever it says later is read and forgotten, so that it never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(agent)
    }
}

impl Agent {
    /// Returns where it lets in links of this kind, `leaf` or `route`.
    ///
    /// # Errors
    /// When it lets in none.
    pub(super) fn address(&self, kind: &str) -> anyhow::Result<&str> {
        let address = self.ready[kind].as_str();
        address.with_context(|| format!("the agent has no {kind} address"))
    }

    /// Returns the number of its process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
