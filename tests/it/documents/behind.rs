//! Programs that a document starts with `&` and that run on behind its other commands.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a program may be silent before what it should say is missed.
const SILENCE: Duration = Duration::from_secs(60);

/// A program that runs behind. It and what it started end with the document.
pub(crate) struct Behind {
    child: Child,
    lines: Receiver<String>,
}

impl Behind {
    /// Starts it in a process group of its own.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let output = child.stdout.take().expect("its output");
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens any more once the document is over.
                if said.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Returns what it prints until that is `enough`, or until it ends or is silent for too long.
    pub(crate) fn lines_until(&self, enough: impl Fn(&[&str]) -> bool) -> Vec<String> {
        let mut came: Vec<String> = Vec::new();
        while !enough(&came.iter().map(String::as_str).collect::<Vec<_>>()) {
            match self.lines.recv_timeout(SILENCE) {
                Ok(line) => came.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        came
    }

    /// Waits until it has ended, and returns the rest of what it printed and how it ended.
    pub(crate) fn wait(mut self) -> (Vec<String>, Option<i32>) {
        let rest = self.lines_until(|_| false);
        let status = self.child.wait().expect("it ends");
        (rest, status.code())
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = format!("-{}", self.child.id());
            // It may end at this moment by itself.
            let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
            let _ = self.child.wait();
        }
    }
}
