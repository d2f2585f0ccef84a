//! Commands to the running agent: `sync now`, `sync status`, `open`.

use std::path::Path;

use clap::Args;
use edgesync_agent::api::{self, Event, Phase, Repository, State, Time};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::agent::api::{AgentApi, kind, stopped};
use crate::agent::peers;
use crate::agent::runtime;
use crate::error::{Failure, Kind, OrFail, hint_from_page};
use crate::locate::OneArg;
use crate::output::{Output, printable};
use crate::units::{format_age, format_clock, format_size};

/// Make the running agent sync now, and wait until it has
#[derive(Args)]
pub(crate) struct Now {
    #[command(flatten)]
    only: OneArg,
}

/// Show what the running agent does
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    only: OneArg,
}

/// Show the app: open its window, or print the address of its page where there is no desktop
#[derive(Args)]
pub(crate) struct Open {}

impl Now {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        runtime()?.block_on(async {
            let started = Time::now();
            // Subscribed before the request, so that no change falls between the two.
            let mut events = agent.lines("events").await?;
            let asked: Vec<Repository> = match &self.only.repo {
                Some(path) => {
                    let status: api::Status = agent.get("status").await?;
                    let name = named(&status, path)?.name.clone();
                    let answer = agent.post(&format!("repositories/{name}/sync")).await?;
                    vec![
                        answer
                            .json()
                            .await
                            .or_fail(Kind::Remote, "the agent's answer")?,
                    ]
                }
                None => agent
                    .post("sync")
                    .await?
                    .json()
                    .await
                    .or_fail(Kind::Remote, "the agent's answer")?,
            };
            let mut done = asked;
            let mut waiting: Vec<String> = done
                .iter()
                .filter(|it| it.remote.is_some())
                .map(|it| it.name.clone())
                .collect();
            while !waiting.is_empty() {
                let Some(event) = events.next::<Event>().await? else {
                    return Err(stopped());
                };
                let Event::Repository { repository } = event else {
                    continue;
                };
                if !waiting.contains(&repository.name) || !is_over(&repository.state, started) {
                    continue;
                }
                waiting.retain(|name| *name != repository.name);
                if let Some(place) = done.iter_mut().find(|it| it.name == repository.name) {
                    *place = repository;
                }
            }
            out.print(&done, |done| {
                done.iter()
                    .map(|it| repository_line(it, Time::now()))
                    .collect()
            })?;
            let failed = done.iter().try_for_each(|it| failed(&it.state));
            // In JSON the states have it, and a second document would be none.
            failed.map_err(|it| if out.json { it.already_told() } else { it })
        })
    }
}

impl Status {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        let (mut status, mesh) = runtime()?.block_on(async {
            let status: api::Status = agent.get("status").await?;
            Ok::<_, Failure>((status, peers::mesh(&agent).await?))
        })?;
        if let Some(path) = &self.only.repo {
            let name = named(&status, path)?.name.clone();
            status.repositories.retain(|it| it.name == name);
        }
        if out.json {
            let mut value = serde_json::to_value(&status).or_fail(Kind::Failed, "the status")?;
            value["api"] = json!(agent.runtime.api);
            value["token"] = json!(agent.runtime.token);
            value["http"] = json!(agent.runtime.http);
            value["mesh"] = json!(mesh);
            return out.json(&value);
        }
        let now = Time::now();
        let mut text = format!("{}\n", state_words(&status.state, now));
        text.push_str(&format!(
            "agent:  {} (version {}, process {})\n",
            status.agent.peer_id, status.agent.version, status.agent.pid
        ));
        text.push_str(&format!("page:   {}\n", agent.runtime.api));
        if let Some(http) = &agent.runtime.http {
            text.push_str(&format!("serves: {http}\n"));
        }
        if let Some(mesh) = &mesh {
            text.push_str(&peers::mesh_lines(mesh, now));
        }
        for repository in &status.repositories {
            text.push('\n');
            text.push_str(&repository_paragraph(repository, now));
        }
        out.bytes(text.as_bytes())
    }
}

impl Open {
    #[expect(clippy::unused_self, reason = "every command runs itself")]
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        let window = runtime()?.block_on(async {
            let status: api::Status = agent.get("status").await?;
            if status.agent.shell {
                agent.post("shell/open-window").await?;
            }
            Ok::<_, Failure>(status.agent.shell)
        })?;
        let url = agent.runtime.page_url();
        out.print(&json!({ "url": url, "window": window }), |_| {
            if window {
                "the window is open\n".to_owned()
            } else {
                format!("{url}\n")
            }
        })
    }
}

/// Returns the agent's repository at this path.
pub(crate) fn named<'a>(status: &'a api::Status, path: &Path) -> Result<&'a Repository, Failure> {
    let wanted = path
        .canonicalize()
        .or_fail(Kind::NotFound, path.display())?;
    status
        .repositories
        .iter()
        .find(|it| it.path.canonicalize().is_ok_and(|known| known == wanted))
        .ok_or_else(|| {
            Failure::new(
                Kind::NotFound,
                format!("the running agent does not have {}", path.display()),
            )
            .hint("add it in the app, or start the agent with -R for it")
        })
}

/// Whether an exchange asked for at `started` has ended in this state.
fn is_over(state: &State, started: Time) -> bool {
    match state {
        State::UpToDate { at } => *at >= started,
        State::Pending { at } | State::Paused { at, .. } => at.is_some_and(|at| at >= started),
        State::Never | State::Syncing { .. } => false,
        _ => true,
    }
}

fn failed(state: &State) -> Result<(), Failure> {
    match state {
        State::Error {
            code,
            message,
            hint,
            ..
        } => Err(Failure {
            kind: kind(*code),
            message: message.clone(),
            hint: hint.as_deref().map(hint_from_page),
        }),
        State::Missing { message, hint } => Err(Failure {
            kind: Kind::Repository,
            message: message.clone(),
            hint: hint.as_deref().map(hint_from_page),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn repository_line(repository: &Repository, now: Time) -> String {
    format!(
        "{}: {}\n",
        repository.name,
        state_words(&repository.state, now)
    )
}

fn repository_paragraph(repository: &Repository, now: Time) -> String {
    let mut text = repository_line(repository, now);
    text.push_str(&format!(
        "  file:      {} ({})\n",
        repository.path.display(),
        format_size(repository.size)
    ));
    if let Some(remote) = &repository.remote {
        let user = remote
            .user
            .as_ref()
            .map_or_else(String::new, |user| format!(" as {user}"));
        text.push_str(&format!("  remote:    {}{user}\n", remote.url));
    }
    if let Some(url) = &repository.clone_url {
        text.push_str(&format!("  served at: {url}\n"));
    }
    text.push_str(&format!("  check-ins: {}\n", repository.check_ins));
    if let Some(last) = &repository.last_check_in {
        text.push_str(&format!(
            "  last:      {}\n",
            printable(last.comment.lines().next().unwrap_or_default())
        ));
    }
    if let State::Error {
        hint: Some(hint), ..
    }
    | State::Missing {
        hint: Some(hint), ..
    }
    | State::Kept { hint, .. } = &repository.state
    {
        text.push_str(&format!("  hint:      {hint}\n"));
    }
    text
}

/// Returns a state in words, with the age of what it tells.
pub(crate) fn state_words(state: &State, now: Time) -> String {
    let ago = |at: &Time| format!("{} ago", format_age(at.age(now)));
    match state {
        State::Local => "local only".to_owned(),
        State::Never => "not synced yet".to_owned(),
        State::UpToDate { at } => format!("up to date, {}", ago(at)),
        State::Pending { at: Some(at) } => format!("changes wait, last exchange {}", ago(at)),
        State::Pending { at: None } => "changes wait for the first exchange".to_owned(),
        State::Kept { at, message, .. } => {
            let last = at.as_ref().map_or_else(
                || "no exchange yet".to_owned(),
                |at| format!("last exchange {}", ago(at)),
            );
            format!("changes stay here: {} ({last})", printable(message))
        }
        State::Paused { until, .. } => match until {
            Some(until) => format!(
                "paused until {}",
                format_clock(*until, now, &TimeZone::system())
            ),
            None => "paused".to_owned(),
        },
        State::Syncing { phase, done, total } => {
            let verb = match phase {
                Phase::Clone => "cloning",
                Phase::Pull => "receiving",
                Phase::Push => "sending",
                Phase::Rebuild => "rebuilding",
                _ => "syncing",
            };
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            format!("{verb}, {done}{of} artifacts")
        }
        State::Error {
            message, last_ok, ..
        } => {
            let last = last_ok.as_ref().map_or_else(
                || "never up to date".to_owned(),
                |at| format!("up to date {}", ago(at)),
            );
            format!("error: {} ({last})", printable(message))
        }
        State::Missing { message, .. } => format!("missing: {}", printable(message)),
        _ => "unknown".to_owned(),
    }
}
