//! `edgesync sync pause` and `sync resume`: for a while the running agent pulls and pushes nothing by itself.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use edgesync_agent::api::{self, Repository, SetPause, Time};

use crate::agent::api::AgentApi;
use crate::agent::control::{named, repository_line, state_words};
use crate::agent::runtime;
use crate::error::Failure;
use crate::locate::OneArg;
use crate::output::Output;
use crate::units::parse_duration;

/// Have the running agent pull and push nothing for a while
///
/// It still answers others, takes what they push, and does what `sync now` asks for. The end of the pause makes up for it. A restart of
/// the agent does not end it.
#[derive(Args)]
pub(crate) struct Pause {
    /// How long, like 30m or 8h; without it until `sync resume`
    #[arg(value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    #[command(flatten)]
    only: OneArg,
}

/// End a pause of the running agent
#[derive(Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    only: OneArg,
}

impl Pause {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let millis = self.duration.map(|duration| duration.as_millis());
        let wish = SetPause {
            for_ms: millis.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
            until: None,
        };
        act("pause", self.only.repo.as_deref(), wish, out)
    }
}

impl Resume {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        act(
            "resume",
            self.only.repo.as_deref(),
            SetPause::default(),
            out,
        )
    }
}

/// Asks for it, and prints how the agent or the repository is now.
fn act(verb: &str, repo: Option<&Path>, body: SetPause, out: Output) -> Result<(), Failure> {
    let agent = AgentApi::find()?;
    runtime()?.block_on(async {
        let Some(path) = repo else {
            let status: api::Status = agent.post_json(verb, &body).await?;
            return out.print(&status, |status| words(status, Time::now()));
        };
        let status: api::Status = agent.get("status").await?;
        let name = &named(&status, path)?.name;
        let path = format!("repositories/{name}/{verb}");
        let repository: Repository = agent.post_json(&path, &body).await?;
        out.print(&repository, |it| repository_line(it, Time::now()))
    })
}

fn words(status: &api::Status, now: Time) -> String {
    let head = match status.pause {
        Some(api::Pause { until }) => state_words(&api::State::Paused { until, at: None }, now),
        None => "not paused".to_owned(),
    };
    let lines = status.repositories.iter();
    let lines: String = lines.map(|it| repository_line(it, now)).collect();
    format!("{head}\n{lines}")
}
