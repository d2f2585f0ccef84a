//! Where the messages are: with the running agent, or in a file of which this command is the only user.

use std::path::{Path, PathBuf};

use clap::Args;
use edgesync_agent::Home;
use edgesync_agent::api::NotifyStatus;
use edgesync_agent::notify::{self, Alone, FILE_NAME};
use libfossil::name::ProjectCode;
use serde_json::json;

use crate::agent::api::AgentApi;
use crate::agent::start::machine_name;
use crate::agent::{home, runtime};
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// `-R`, for commands on messages.
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
}

/// Where the messages are.
pub(crate) enum Place {
    /// The running agent has them.
    Agent(AgentApi),
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
    pub(crate) fn agent(&self) -> Result<AgentApi, Failure> {
        let agent = answering_agent()?;
        let status: NotifyStatus = runtime()?.block_on(agent.get("notify"))?;
        if self.repo.is_none() || same(&status.repository, &self.file(&home()?)) {
            return Ok(agent);
        }
        let other = format!(
            "the running agent keeps its messages in {}",
            status.repository.display()
        );
        Err(Failure::new(Kind::NotFound, other).hint("leave out -R"))
    }

    /// Returns where the messages are.
    pub(crate) fn find(&self) -> Result<Place, Failure> {
        match self.agent() {
            Ok(agent) => return Ok(Place::Agent(agent)),
            Err(failure) if !matches!(failure.kind, Kind::Unreachable | Kind::NotFound) => {
                return Err(failure);
            }
            Err(_) => {}
        }
        let home = home()?;
        let name = machine_name().unwrap_or_else(|| "edgesync".to_owned());
        let alone = Alone::open(&self.file(&home), &home, &name)?;
        Ok(Place::Alone(Box::new(alone)))
    }
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
