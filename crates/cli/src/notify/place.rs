//! Where the messages are: with the running agent, or in a file of which this command is the only user.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use edgesync_agent::Home;
use edgesync_agent::api::{
    self, NotifyConversation, NotifyMessage, NotifyStatus, NotifyThread, NotifyTrace, ReplyNotify,
    SendNotify,
};
use edgesync_agent::notify::text::shown_on_a_line;
use edgesync_agent::notify::{self, Alone, FILE_NAME};
use edgesync_agent::sync::BusServer;
use libfossil::name::ProjectCode;
use serde_json::json;

use crate::agent::api::AgentApi;
use crate::agent::start::machine_name;
use crate::agent::{home, runtime};
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// How often it is looked whether an agent runs again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// `-R` and `--nats`, for commands on messages.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlaceArg {
    /// The repository of messages is notify.fossil beside this file; otherwise the running agent's, or that of the agent's folder
    #[arg(
        short = 'R',
        long = "repo",
        visible_alias = "repository",
        value_name = "FILE"
    )]
    repo: Option<PathBuf>,

    /// Where no agent runs, the bus to speak and listen on: nats://TOKEN@HOST:PORT
    #[arg(
        long,
        value_name = "URL",
        env = "EDGESYNC_NATS",
        hide_env_values = true
    )]
    nats: Option<String>,
}

/// Where the messages are.
pub(crate) enum Place {
    /// The running agent has them.
    Agent(Box<AgentApi>),
    /// Nobody else has them open.
    Alone(Box<Alone>),
}

impl PlaceArg {
    /// Returns the file that is meant: beside the one that was named, else in the agent's folder.
    fn file(&self, home: &Home) -> PathBuf {
        match &self.repo {
            Some(repo) if repo.file_name().is_some_and(|name| name == FILE_NAME) => repo.clone(),
            Some(repo) => repo.with_file_name(FILE_NAME),
            None => home.data().join(FILE_NAME),
        }
    }

    /// Returns the running agent, if it has notify, and the messages that are meant.
    async fn agent(&self) -> Result<AgentApi, Failure> {
        let agent = answering_agent()?;
        let status: NotifyStatus = agent.get("notify").await?;
        if self.repo.is_none() || same(&status.repository, &self.file(&home()?)) {
            return Ok(agent);
        }
        let other = format!(
            "the running agent keeps its messages in {}",
            status.repository.display()
        );
        Err(Failure::new(Kind::NotFound, other).hint("leave out -R"))
    }

    /// Returns the agent that runs, as soon as there is one again, and says once that it is waited for.
    pub(super) async fn agent_again(&self, out: Output) -> Result<AgentApi, Failure> {
        if !out.quiet {
            out.aside("the agent has stopped; waiting until it runs again");
        }
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            match self.agent().await {
                Err(failure) if is_gone(&failure) => {}
                found => return found,
            }
        }
    }

    /// Returns where the messages are.
    pub(super) async fn find(&self) -> Result<Place, Failure> {
        match self.agent().await {
            Ok(agent) => Ok(Place::Agent(Box::new(agent))),
            Err(failure) if matches!(failure.kind, Kind::Unreachable | Kind::NotFound) => {
                self.alone().await
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns where the messages are, if others can be heard from there.
    pub(super) async fn find_listening(&self) -> Result<Place, Failure> {
        match self.agent().await {
            Ok(agent) => Ok(Place::Agent(Box::new(agent))),
            Err(failure) if self.nats.is_none() => Err(failure),
            Err(failure) if !matches!(failure.kind, Kind::Unreachable | Kind::NotFound) => {
                Err(failure)
            }
            Err(_) => self.alone().await,
        }
    }

    async fn alone(&self) -> Result<Place, Failure> {
        let home = home()?;
        let name = machine_name().unwrap_or_else(|| "edgesync".to_owned());
        let bus: Option<BusServer> =
            (self.nats.as_deref().map(str::parse).transpose()).or_fail(Kind::Usage, "--nats")?;
        let alone = Alone::open(&self.file(&home), &home, &name, bus.as_ref()).await?;
        Ok(Place::Alone(Box::new(alone)))
    }
}

impl Place {
    pub(super) async fn send(&self, wish: SendNotify) -> Result<NotifyMessage, Failure> {
        match self {
            Self::Agent(agent) => agent.post_json("notify/send", &wish).await,
            Self::Alone(alone) => Ok(alone.send(wish).await?),
        }
    }

    pub(super) async fn reply(
        &self,
        thread: &str,
        wish: ReplyNotify,
    ) -> Result<NotifyMessage, Failure> {
        let thread = part("thread", thread)?;
        match self {
            Self::Agent(agent) => {
                let path = format!("notify/threads/{thread}/reply");
                agent.post_json(&path, &wish).await
            }
            Self::Alone(alone) => Ok(alone.reply(thread, wish).await?),
        }
    }

    /// Returns a question as soon as it is decided, or as it is after `wait_ms`.
    pub(super) async fn answer(&self, id: &str, wait_ms: u64) -> Result<NotifyMessage, Failure> {
        match self {
            Self::Agent(agent) => {
                let path = format!("notify/messages/{id}/answer?wait_ms={wait_ms}");
                agent.get(&path).await
            }
            Self::Alone(alone) => Ok(alone.answer(id, Duration::from_millis(wait_ms)).await?),
        }
    }

    pub(super) async fn threads(&self) -> Result<Vec<NotifyThread>, Failure> {
        match self {
            Self::Agent(agent) => agent.get("notify/threads").await,
            Self::Alone(alone) => Ok(alone.threads(None).await?),
        }
    }

    pub(super) async fn conversation(&self, thread: &str) -> Result<NotifyConversation, Failure> {
        let thread = part("thread", thread)?;
        match self {
            Self::Agent(agent) => agent.get(&format!("notify/threads/{thread}")).await,
            Self::Alone(alone) => Ok(alone.conversation(thread).await?),
        }
    }

    pub(super) async fn trace(&self, id: &str) -> Result<NotifyTrace, Failure> {
        let id = part("message", id)?;
        match self {
            Self::Agent(agent) => agent.get(&format!("notify/messages/{id}/trace")).await,
            Self::Alone(alone) => Ok(alone.trace(id).await?),
        }
    }

    pub(super) async fn status(&self) -> Result<NotifyStatus, Failure> {
        match self {
            Self::Agent(agent) => agent.get("notify").await,
            Self::Alone(alone) => Ok(alone.status().await?),
        }
    }

    /// Whether people see a question right here: a desktop is attached to the agent, or a phone was there since it was asked.
    pub(super) async fn shows(&self, question: &NotifyMessage) -> Result<bool, Failure> {
        let Self::Agent(agent) = self else {
            return Ok(false);
        };
        let status: api::Status = agent.get("status").await?;
        let devices: api::Devices = agent.get("devices").await?;
        let has_it = |phone: &api::Device| {
            let projects = phone.projects.as_ref();
            let was_there = phone.used_at.is_some_and(|at| at >= question.time);
            (phone.connected || was_there)
                && projects.is_none_or(|them| them.contains(&question.project))
        };
        Ok(status.agent.shell || devices.devices.iter().any(has_it))
    }

    /// Takes back a question that was asked from here.
    pub(super) async fn cancel(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Agent(agent) => agent
                .post(&format!("notify/messages/{id}/cancel"))
                .await
                .map(drop),
            Self::Alone(alone) => Ok(alone.cancel(id).await.map(drop)?),
        }
    }

    /// Ends it, when what was said has left. Who was here alone must say so, or what it said may not be heard.
    pub(super) async fn close(self) {
        if let Self::Alone(alone) = self {
            alone.close().await;
        }
    }
}

/// Whether a failure is that of an agent that stops, or has stopped.
pub(super) fn is_gone(failure: &Failure) -> bool {
    // What it still answers while it closes its files is a conflict.
    matches!(failure.kind, Kind::Unreachable | Kind::Conflict)
}

/// Finds the messages, does `work`, and closes them, whatever came of it.
pub(super) fn with<T>(
    place: &PlaceArg,
    work: impl AsyncFnOnce(&Place) -> Result<T, Failure>,
) -> Result<T, Failure> {
    runtime()?.block_on(async {
        let place = place.find().await?;
        let done = work(&place).await;
        place.close().await;
        done
    })
}

/// Returns `text` if it can stand in a path of the API as one of its parts.
pub(crate) fn part<'a>(what: &str, text: &'a str) -> Result<&'a str, Failure> {
    if text.is_empty() {
        let missing = format!("the {what} is missing: its text is empty");
        return Err(Failure::new(Kind::Usage, missing));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.bytes().all(plain) {
        return Ok(text);
    }
    let shown = shown_on_a_line(text);
    Err(Failure::new(
        Kind::NotFound,
        format!("there is no {what} {shown}"),
    ))
}

/// Returns the running agent, which questions go through.
pub(crate) fn answering_agent() -> Result<AgentApi, Failure> {
    AgentApi::find().map_err(|failure| {
        failure.hint("start one that answers come to: edgesync sync start --notify -R FILE")
    })
}

fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Make a repository of messages and print where it is
#[derive(Args)]
pub(crate) struct Init {
    #[command(flatten)]
    place: PlaceArg,

    /// The project code of the repository; agents exchange messages when they share it
    #[arg(long, value_name = "HEX40", value_parser = project_code)]
    project_code: Option<ProjectCode>,
}

fn project_code(text: &str) -> Result<ProjectCode, String> {
    ProjectCode::parse(text.as_bytes()).map_err(|error| error.to_string())
}

impl Init {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let home = home()?;
        home.create().or_fail(Kind::Failed, "the agent's folder")?;
        let path = self.place.file(&home);
        let path = std::path::absolute(&path).or_fail(Kind::Usage, path.display())?;
        let repository = notify::create(&path, self.project_code)?;
        let code = repository
            .project_code()
            .or_fail(Kind::Repository, path.display())?;
        let made = json!({ "repository": path, "project_code": code.to_string() });
        out.print(&made, |_| format!("{}\n", path.display()))
    }
}
