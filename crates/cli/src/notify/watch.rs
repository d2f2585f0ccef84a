//! `notify watch`: prints messages as they come, or runs a command for each.

use std::collections::{HashSet, VecDeque};
use std::io::Write as _;
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;
use edgesync_agent::api::{Event, NotifyMessage};
use edgesync_agent::notify::Alone;

use super::place::{Place, PlaceArg, is_gone};
use super::words::{is_thread, line, short, text_line};
use crate::agent::api::AgentApi;
use crate::agent::runtime;
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// Messages of which is remembered that they were told; more never come twice.
const REMEMBERED: usize = 10_000;

/// So many messages before the last one that was told, it is looked anew for what came: the agent may tell of two in another order than it
/// stored them.
const OVERLAP: usize = 100;

/// The longest that a command is named in words, in bytes.
const COMMAND_BYTES: usize = 80;

/// Print messages as they come
///
/// When the agent stops, it is waited for; what came meanwhile is then printed first, and nothing twice.
#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    place: PlaceArg,

    /// Only those of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,

    /// Only those of this thread, which is there already, by its id or first digits
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
            let place = self.place.find_listening().await?;
            if let Some(thread) = &self.thread
                && let Err(failure) = place.conversation(thread).await
            {
                place.close().await;
                return Err(failure);
            }
            match place {
                Place::Agent(agent) => self.watch_agent(*agent, out).await,
                Place::Alone(alone) => self.watch_bus(*alone, out).await,
            }
        })
    }

    async fn watch_agent(&self, mut agent: AgentApi, out: Output) -> Result<(), Failure> {
        let mut told = Told::default();
        loop {
            match self.follow(&agent, &mut told, out).await {
                Err(failure) if !is_gone(&failure) => return Err(failure),
                _ => agent = self.place.agent_again(out).await?,
            }
        }
    }

    /// Tells of messages until the agent stops.
    async fn follow(&self, agent: &AgentApi, told: &mut Told, out: Output) -> Result<(), Failure> {
        let mut events = agent.lines("events").await?;
        if told.began.is_none() {
            let last: Vec<NotifyMessage> = agent.get("notify/messages?limit=1").await?;
            told.began = Some(last.first().map_or_else(String::new, |it| it.id.clone()));
        }
        while let Some(event) = events.next::<Event>().await? {
            match event {
                Event::Message { message, .. } => self.tell_new(&message, told, out)?,
                // The first event, and what is told instead of events that were too many.
                Event::Status(_) => self.catch_up(agent, told, out).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Tells of what was stored since the last message.
    async fn catch_up(
        &self,
        agent: &AgentApi,
        told: &mut Told,
        out: Output,
    ) -> Result<(), Failure> {
        let mut after = told.place();
        loop {
            let path = format!("notify/messages?after={after}");
            let messages: Vec<NotifyMessage> = match agent.get(&path).await {
                // It is another repository now, in which nothing was missed.
                Err(failure) if failure.kind == Kind::NotFound => return Ok(()),
                messages => messages?,
            };
            for message in &messages {
                self.tell_new(message, told, out)?;
            }
            match messages.last() {
                Some(last) => after.clone_from(&last.id),
                None => return Ok(()),
            }
        }
    }

    /// Tells of a message, unless it was told.
    fn tell_new(
        &self,
        message: &NotifyMessage,
        told: &mut Told,
        out: Output,
    ) -> Result<(), Failure> {
        if told.note(&message.id) && self.wants(message) {
            self.tell(out, message)?;
        }
        Ok(())
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
        let of_thread = |text: &String| is_thread(&message.thread, text);
        self.project
            .as_ref()
            .is_none_or(|project| message.project == *project)
            && self.thread.as_ref().is_none_or(of_thread)
    }

    fn tell(&self, out: Output, message: &NotifyMessage) -> Result<(), Failure> {
        match &self.exec {
            Some(command) => {
                let ended = run(command, message)?;
                if !ended.success() {
                    let command = text_line(command, COMMAND_BYTES);
                    out.aside(format!("{}: {command}: {}", message.id, words(ended)));
                }
                Ok(())
            }
            None if out.json => out.json_line(message),
            None => out.bytes(line(message).as_bytes()),
        }
    }
}

/// What was told.
#[derive(Default)]
struct Told {
    /// The message that was there last when listening began; empty where there was none.
    began: Option<String>,
    /// Those since, oldest first, also those that are not wanted.
    order: VecDeque<String>,
    all: HashSet<String>,
}

impl Told {
    /// Takes that a message is told. Returns whether it was not before.
    fn note(&mut self, id: &str) -> bool {
        if self.began.as_deref() == Some(id) || !self.all.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }

    /// Returns the message behind which to look for others.
    fn place(&self) -> String {
        let before = self.order.len().checked_sub(OVERLAP + 1);
        let known = before.and_then(|place| self.order.get(place));
        known.or(self.began.as_ref()).cloned().unwrap_or_default()
    }
}

/// Returns how a command ended.
fn words(ended: ExitStatus) -> String {
    match ended.code() {
        Some(code) => format!("ended with exit code {code}"),
        // It names the signal.
        None => format!("was ended by {ended}"),
    }
}

/// Runs the command, and waits for it.
fn run(command: &str, message: &NotifyMessage) -> Result<ExitStatus, Failure> {
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
    child.wait().or_fail(Kind::Failed, shell)
}
