//! `notify watch`: prints messages as they come, or runs a command for each.

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::Args;
use edgesync_agent::api::{Event, NotifyMessage};
use edgesync_agent::notify::Alone;

use super::place::{Place, PlaceArg};
use super::words::{line, short};
use crate::agent::api::AgentApi;
use crate::agent::runtime;
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// Print messages as they come
#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    place: PlaceArg,

    /// Only those of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,

    /// Only those of this thread, by its id or first digits
    #[arg(long, value_name = "THREAD")]
    thread: Option<String>,

    /// Run this for each message instead, with the message as JSON on its standard input
    ///
    /// It is run by the system's shell. The message's parts are in EDGESYNC_ID, EDGESYNC_THREAD, EDGESYNC_PROJECT,
    /// EDGESYNC_FROM_NAME, EDGESYNC_PRIORITY, EDGESYNC_KIND and EDGESYNC_BODY; nothing of it becomes part of the command.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
}

impl Watch {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        runtime()?.block_on(async {
            match self.place.find_listening().await? {
                Place::Agent(agent) => self.watch_agent(&agent, out).await,
                Place::Alone(alone) => self.watch_bus(*alone, out).await,
            }
        })
    }

    async fn watch_agent(&self, agent: &AgentApi, out: Output) -> Result<(), Failure> {
        let mut events = agent.lines("events").await?;
        while let Some(event) = events.next::<Event>().await? {
            match event {
                Event::Message { message, .. } if self.wants(&message) => {
                    self.tell(out, &message)?;
                }
                _ => {}
            }
        }
        Err(Failure::new(Kind::Unreachable, "the agent stopped"))
    }

    async fn watch_bus(&self, mut alone: Alone, out: Output) -> Result<(), Failure> {
        let watched = async {
            while let Some(message) = alone.heard().await {
                if self.wants(&message) {
                    self.tell(out, &message)?;
                }
            }
            Ok(())
        };
        let watched = watched.await;
        alone.close().await;
        watched
    }

    fn wants(&self, message: &NotifyMessage) -> bool {
        let of_thread = |text: &String| {
            message.thread == *text
                || message
                    .thread
                    .strip_prefix("thread-")
                    .is_some_and(|digits| digits.starts_with(text))
        };
        self.project
            .as_ref()
            .is_none_or(|project| message.project == *project)
            && self.thread.as_ref().is_none_or(of_thread)
    }

    fn tell(&self, out: Output, message: &NotifyMessage) -> Result<(), Failure> {
        match &self.exec {
            Some(command) => run(command, message),
            None if out.json => out.json_line(message),
            None => out.bytes(line(message).as_bytes()),
        }
    }
}

/// Runs the command, and waits for it. That it fails is its own affair.
fn run(command: &str, message: &NotifyMessage) -> Result<(), Failure> {
    let (shell, flag) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let json = serde_json::to_vec(message).or_fail(Kind::Failed, "the message")?;
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let value: serde_json::Value =
        serde_json::from_slice(&json).or_fail(Kind::Failed, "the message")?;
    // A NUL ends a variable, so none goes in.
    let body = message.body.replace('\0', "\u{fffd}");
    let mut child = Command::new(shell)
        .args([flag, command])
        .env("EDGESYNC_ID", &message.id)
        .env("EDGESYNC_THREAD", short(&message.thread))
        .env("EDGESYNC_PROJECT", &message.project)
        .env(
            "EDGESYNC_FROM_NAME",
            message.from_name.replace('\0', "\u{fffd}"),
        )
        .env("EDGESYNC_PRIORITY", word(&value["priority"]))
        .env("EDGESYNC_KIND", word(&value["kind"]))
        .env("EDGESYNC_BODY", body)
        .stdin(Stdio::piped())
        .spawn()
        .or_fail(Kind::Failed, shell)?;
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read it is as good.
        let _ = input.write_all(&json);
    }
    child.wait().or_fail(Kind::Failed, shell)?;
    Ok(())
}
