//! `edgesync sync start`: the agent in the foreground, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{BoolishValueParser, FalseyValueParser};
use edgesync_agent::api::Level;
use edgesync_agent::log::Log;
use edgesync_agent::notify::FILE_NAME;
use edgesync_agent::sync::Remote;
use edgesync_agent::{
    Agent, Config, HOME_VARIABLE, Headless, MeshError, Runtime, StartError, hosting_folder,
};
use serde_json::json;

use crate::agent::bus_flags::list;
use crate::agent::mesh_flags::MeshFlags;
use crate::agent::signals::{Signal, Signals};
use crate::agent::{api, home, runtime};
use crate::error::{Failure, Kind, OrFail, chain};
use crate::locate::{current_dir, discover};
use crate::output::Output;
use crate::password::PasswordSource;
use crate::units::parse_duration;

/// Run the agent in the foreground
///
/// It keeps its repositories equal with their remotes and serves them. Each address is printed on a line of its own, then a
/// line that starts with `ready`. SIGUSR1 makes it sync now; Ctrl-C and SIGTERM end it.
#[derive(Args)]
pub(crate) struct Start {
    /// A repository to keep, or a folder with some; may be given again [env: EDGESYNC_REPO=, several separated as in PATH]
    ///
    /// Without it: that of the check-out around here, or the only *.fossil here, or else those that were added in the app.
    #[arg(
        short = 'R',
        long = "repo",
        visible_alias = "repository",
        value_name = "FILE"
    )]
    repositories: Vec<PathBuf>,

    /// Serve the repositories to Fossil clients at this address
    #[arg(long, value_name = "ADDR", env = "EDGESYNC_SERVE_HTTP")]
    serve_http: Option<SocketAddr>,

    /// How often to look at the remotes when nothing changes here
    #[arg(long, value_name = "DURATION", env = "EDGESYNC_POLL", default_value = "5s", value_parser = parse_duration)]
    poll: Duration,

    /// Send what is new here (this is so unless --no-push is given)
    #[arg(long, env = "EDGESYNC_PUSH", overrides_with = "no_push", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", hide_default_value = true, hide_possible_values = true,
          value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    push: bool,

    /// Send nothing
    #[arg(long, env = "EDGESYNC_NO_PUSH", value_parser = FalseyValueParser::new())]
    no_push: bool,

    /// Receive what is new there (this is so unless --no-pull is given)
    #[arg(long, env = "EDGESYNC_PULL", overrides_with = "no_pull", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", hide_default_value = true, hide_possible_values = true,
          value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pull: bool,

    /// Receive nothing
    #[arg(long, env = "EDGESYNC_NO_PULL", value_parser = FalseyValueParser::new())]
    no_pull: bool,

    /// Exchange unversioned files too
    #[arg(long, env = "EDGESYNC_UV", value_parser = FalseyValueParser::new())]
    uv: bool,

    /// Exchange private check-ins too
    #[arg(long, env = "EDGESYNC_PRIVATE", value_parser = FalseyValueParser::new())]
    private: bool,

    /// The name of this agent; otherwise that of the machine
    #[arg(long, value_name = "NAME", env = "EDGESYNC_PEER_ID")]
    peer_id: Option<String>,

    /// A Fossil server to stay equal with; may be given again [env: EDGESYNC_REMOTE=, several separated by spaces]
    ///
    /// The user stands in the URL: https://ada@example.org/project. With several repositories, give one remote for each in
    /// the same order.
    #[arg(long = "remote", value_name = "URL")]
    remotes: Vec<String>,

    /// Keep questions and answers, in notify.fossil beside the first repository or in the agent's folder
    #[arg(long, env = "EDGESYNC_NOTIFY", value_parser = FalseyValueParser::new())]
    notify: bool,

    /// Keep questions and answers in this file
    #[arg(long, value_name = "FILE", env = "EDGESYNC_NOTIFY_REPO")]
    notify_repo: Option<PathBuf>,

    #[command(flatten)]
    password: PasswordSource,

    #[command(flatten)]
    mesh: MeshFlags,

    /// The local address of the API and the page
    #[arg(
        long,
        value_name = "ADDR",
        env = "EDGESYNC_API",
        default_value = "127.0.0.1:0"
    )]
    api: SocketAddr,
}

impl Start {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        run(self.config()?, out)
    }

    /// Whether the agent was given a name.
    pub(crate) fn names_itself(&self) -> bool {
        self.peer_id.is_some()
    }

    /// Returns what the agent is told by these flags.
    pub(crate) fn config(self) -> Result<Config, Failure> {
        let mut config = Config::new(home()?);
        config.hosting = hosting_folder();
        config.repositories = match self.repositories {
            given if !given.is_empty() => given,
            _ => match std::env::var_os("EDGESYNC_REPO") {
                Some(list) => std::env::split_paths(&list)
                    .filter(|path| !path.as_os_str().is_empty())
                    .collect(),
                None => discover(&current_dir()?).ok().into_iter().collect(),
            },
        };
        config.repositories = files(&config.repositories)?;
        let password = self.password.read()?;
        for text in list(self.remotes, "EDGESYNC_REMOTE") {
            let remote: Remote = text.parse().or_fail(Kind::Usage, "--remote")?;
            let password = password.clone().filter(|_| remote.user().is_some());
            config.remotes.push(remote.with_login(None, password));
        }
        config.notify = match self.notify_repo {
            Some(file) => Some(file),
            None if !self.notify => None,
            None => Some(match config.repositories.first() {
                Some(first) => first.with_file_name(FILE_NAME),
                None => config.home.data().join(FILE_NAME),
            }),
        };
        config.serve_http = self.serve_http;
        config.api = self.api;
        config.poll = self.poll;
        config.push = self.push && !self.no_push;
        config.pull = self.pull && !self.no_pull;
        config.uv = self.uv;
        self.mesh.fill(&mut config)?;
        config.private = self.private;
        if let Some(name) = self.peer_id.or_else(machine_name) {
            config.peer_id = name;
        }
        Ok(config)
    }
}

/// Runs an agent until it is told to stop.
pub(crate) fn run(mut config: Config, out: Output) -> Result<(), Failure> {
    let shown = if out.quiet { Level::Warn } else { Level::Info };
    config.log = Some(Log::begin(shown));
    runtime()?.block_on(async {
        // Heard from here on, so that a request to stop that comes early still ends the agent cleanly.
        let mut signals = Signals::listen().or_fail(Kind::Failed, "signals")?;
        let plain = asks_for_no_more(&config);
        let agent = match Agent::start(config, Arc::new(Headless)).await {
            Ok(agent) => agent,
            Err(StartError::AlreadyRunning { runtime }) if plain => return runs(&runtime, out),
            Err(error) => return Err(not_started(&error)),
        };
        let ticket = agent.ticket().await;
        let announced = announce(&agent, ticket.as_deref(), out);
        while announced.is_ok() {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::SyncNow => {
                        // Of what comes of it the agent's log and status tell.
                        agent.sync_now(None).or_fail(Kind::Failed, "sync now")?;
                    }
                    Signal::Stop => break,
                },
                () = agent.quit_requested() => break,
            }
        }
        agent.stop().await;
        announced
    })
}

/// Returns whether nothing is asked for but that an agent runs: no flag, no variable, no repository around here. Then one that runs already is as good.
fn asks_for_no_more(config: &Config) -> bool {
    let words = std::env::args_os().skip(1);
    let flags = words.filter(|it| !["sync", "start", "--json"].iter().any(|word| it == word));
    let variables = std::env::vars_os().filter(|(name, _)| {
        name != HOME_VARIABLE && name.as_encoded_bytes().starts_with(b"EDGESYNC_")
    });
    config.repositories.is_empty() && flags.count() == 0 && variables.count() == 0
}

/// Says where the agent answers that runs already.
fn runs(runtime: &Runtime, out: Output) -> Result<(), Failure> {
    if out.json {
        return out.json_line(&json!({
            "event": "running",
            "pid": runtime.pid,
            "api": runtime.api,
            "token": runtime.token,
        }));
    }
    out.line(format!("page   {}", runtime.page_url()))?;
    out.line(format!(
        "runs already, process {}, with the flags that it was started with",
        runtime.pid
    ))
}

/// Returns the repositories that are meant, in whole paths: of a folder, all in it but that of messages.
fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in given {
        let path = std::path::absolute(path).or_fail(Kind::Usage, path.display())?;
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let entries = std::fs::read_dir(&path).or_fail(Kind::Failed, path.display())?;
        let inside = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut inside: Vec<PathBuf> = inside
            .filter(|path| path.extension().is_some_and(|it| it == "fossil"))
            .filter(|path| path.file_name().is_none_or(|name| name != FILE_NAME))
            .collect();
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// Says where the agent answers, and last that it is ready.
fn announce(agent: &Agent, ticket: Option<&str>, out: Output) -> Result<(), Failure> {
    let runtime = agent.runtime();
    let status = agent.status();
    if !out.json {
        out.line(format!("page   {}", agent.page_url()))?;
        if let Some(http) = &runtime.http {
            out.line(format!("http   {http}"))?;
        }
        for url in [&runtime.nats, &runtime.leaf, &runtime.route]
            .into_iter()
            .flatten()
        {
            let scheme = url.split("://").next().unwrap_or_default();
            let name = scheme.strip_prefix("nats-").unwrap_or(scheme);
            out.line(format!("{name:<6} {url}"))?;
        }
        out.line(format!("id     {}", agent.endpoint_id()))?;
        if let Some(ticket) = ticket {
            out.line(format!("ticket {ticket}"))?;
        }
        for repository in &status.repositories {
            if let Some(url) = &repository.clone_url {
                out.line(format!("clone  {url}"))?;
            }
        }
        let count = match status.repositories.len() {
            0 => "no repositories yet".to_owned(),
            1 => "1 repository".to_owned(),
            many => format!("{many} repositories"),
        };
        return out.line(format!("ready  {} with {count}", status.agent.peer_id));
    }
    let address = |name: &str, url: &str| {
        out.json_line(&json!({ "event": "address", "name": name, "url": url }))
    };
    address("api", &runtime.api)?;
    let others = [
        ("http", &runtime.http),
        ("nats", &runtime.nats),
        ("leaf", &runtime.leaf),
        ("route", &runtime.route),
    ];
    for (name, url) in others {
        if let Some(url) = url {
            address(name, url)?;
        }
    }
    out.json_line(&json!({
        "event": "ready",
        "peer_id": status.agent.peer_id,
        "endpoint_id": agent.endpoint_id(),
        "nats": runtime.nats,
        "leaf": runtime.leaf,
        "route": runtime.route,
        "http": runtime.http,
        "api": runtime.api,
        "token": runtime.token,
        "ticket": ticket,
    }))
}

fn not_started(error: &StartError) -> Failure {
    let failure = Failure::new(Kind::Failed, chain(error));
    match error {
        StartError::AlreadyRunning { runtime } => Failure {
            kind: Kind::Conflict,
            ..failure
        }
        .hint(format!(
            "it keeps the flags that it was started with, and its page is {}; stop it first, or give this one a place of its own with EDGESYNC_HOME=FOLDER",
            runtime.page_url()
        )),
        StartError::Listen { .. } | StartError::Mesh(MeshError::Server(_)) => {
            failure.hint("choose another port, or 0 for any free one")
        }
        StartError::NotLoopback(_) | StartError::Remotes { .. } => Failure {
            kind: Kind::Usage,
            ..failure
        },
        StartError::Repository(error) => Failure {
            kind: api::kind(error.code),
            hint: error.hint.clone(),
            ..failure
        },
        _ => failure.hint("edgesync doctor looks at the agent's folder"),
    }
}

pub(crate) fn machine_name() -> Option<String> {
    hostname::get()
        .ok()?
        .into_string()
        .ok()
        .filter(|name| !name.is_empty())
}
