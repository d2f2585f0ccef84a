//! `edgesync bridge`: stock Fossil servers on a bus, without an agent.

use std::time::Duration;

use clap::{Args, Subcommand};
use edgesync_agent::AcceptUnsigned;
use edgesync_agent::api::Level;
use edgesync_agent::bridges::{Alone, Options, endpoint_id};
use edgesync_agent::log::Log;
use edgesync_agent::sync::{BusServer, Remote};
use libfossil::name::ProjectCode;
use serde_json::json;

use crate::agent::bus_flags::{BusFlags, OnBus, list};
use crate::agent::signals::{Signal, Signals};
use crate::agent::{home, runtime};
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::password::PasswordSource;
use crate::units::parse_duration;

/// Have stock Fossil servers on the bus
///
/// Agents then clone from them, and their commits and the servers' go both ways. An agent can do the same from its page.
#[derive(Args)]
pub(crate) struct Bridge {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Serve(Box<Serve>),

    /// Print the id in whose name bridges sign, making its key on first use
    Id,
}

/// Answer for Fossil servers on a bus, in the foreground
///
/// The bridges are printed one a line, then a line that starts with `ready`. Agents that use them have to trust the printed id
/// (--trust ID). Whom --trust names may use the bridges, and whom the agent of this folder trusts. SIGUSR1 makes them look at the servers now; Ctrl-C and SIGTERM end them.
#[derive(Args)]
struct Serve {
    /// A Fossil server; may be given again [env: EDGESYNC_FOSSIL_URL=, several separated by spaces]
    ///
    /// A user may stand in the URL: https://ada@example.org/project. In that name requests are made which have no login of
    /// their own.
    #[arg(long = "fossil-url", value_name = "URL")]
    servers: Vec<String>,

    /// The code of the project there, for each server in the same order; otherwise the servers are asked [env: EDGESYNC_PROJECT=, several separated by spaces]
    #[arg(long = "project", value_name = "CODE")]
    projects: Vec<String>,

    /// The bus, nats://TOKEN@HOST:PORT; otherwise that of the agent that runs here
    #[arg(
        long,
        value_name = "URL",
        env = "EDGESYNC_NATS_URL",
        hide_env_values = true
    )]
    nats_url: Option<String>,

    /// How often to look what changed on the servers
    #[arg(long, value_name = "DURATION", env = "EDGESYNC_POLL", default_value = "5s", value_parser = parse_duration)]
    poll: Duration,

    #[command(flatten)]
    on_bus: BusFlags,

    #[command(flatten)]
    password: PasswordSource,
}

impl Bridge {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.verb {
            Verb::Serve(serve) => serve.run(out),
            Verb::Id => {
                let id = endpoint_id(&home()?)?;
                out.print(&json!({ "endpoint_id": id }), |_| format!("{id}\n"))
            }
        }
    }
}

impl Serve {
    fn run(self, out: Output) -> Result<(), Failure> {
        // What it says goes to standard error alone: the log file is the agent's.
        let _log = Log::begin(if out.quiet { Level::Warn } else { Level::Info });
        let options = self.options()?;
        runtime()?.block_on(async {
            let mut signals = Signals::listen().or_fail(Kind::Failed, "signals")?;
            let bridges = Alone::start(&home()?, options).await?;
            let mut done = announce(&bridges, out);
            while done.is_ok() {
                tokio::select! {
                    signal = signals.next() => match signal {
                        Signal::SyncNow => bridges.look(),
                        Signal::Stop => break,
                    },
                    error = bridges.ended() => done = Err(error.into()),
                }
            }
            bridges.stop().await;
            done
        })
    }

    fn options(self) -> Result<Options, Failure> {
        let servers = list(self.servers, "EDGESYNC_FOSSIL_URL");
        if servers.is_empty() {
            return Err(Failure::new(Kind::Usage, "no Fossil server is named")
                .hint("add --fossil-url URL, the address that fossil clone takes"));
        }
        let codes = list(self.projects, "EDGESYNC_PROJECT");
        if !codes.is_empty() && codes.len() != servers.len() {
            let count = format!("{} servers and {} projects", servers.len(), codes.len());
            return Err(Failure::new(Kind::Usage, count)
                .hint("give one --project for each --fossil-url in the same order, or none"));
        }
        let mut projects = Vec::new();
        for text in codes {
            let code: ProjectCode = text.parse().or_fail(Kind::Usage, "--project")?;
            projects.push(code);
        }
        let bus: Option<BusServer> = (self.nats_url.as_deref().map(str::parse).transpose())
            .or_fail(Kind::Usage, "--nats-url")?;
        let password = self.password.read()?;
        let OnBus {
            trust,
            accept_unsigned,
            prefix,
        } = self.on_bus.read()?;
        let codes = accept_unsigned.into_iter().map(|accepted| match accepted {
            AcceptUnsigned::Repository(code) => Ok(code),
            AcceptUnsigned::Notify(name) => Err(Failure::new(
                Kind::Usage,
                format!("--accept-unsigned: a bridge carries no messages, so {name} has to be a project code"),
            )),
        });
        let accept_unsigned = codes.collect::<Result<_, _>>()?;
        let mut options = Options {
            servers: Vec::new(),
            bus,
            prefix,
            poll: self.poll,
            trust,
            accept_unsigned,
        };
        for (index, text) in servers.iter().enumerate() {
            let remote: Remote = text.parse().or_fail(Kind::Usage, "--fossil-url")?;
            let password = password.clone().filter(|_| remote.user().is_some());
            let project = projects.get(index).copied();
            options
                .servers
                .push((remote.with_login(None, password), project));
        }
        Ok(options)
    }
}

/// Says what is bridged, and last that all are ready.
fn announce(bridges: &Alone, out: Output) -> Result<(), Failure> {
    let all = bridges.bridges();
    if out.json {
        return out.json_line(&json!({
            "event": "ready", "endpoint_id": bridges.endpoint_id(), "nats": bridges.bus(), "bridges": all,
        }));
    }
    for bridge in &all {
        out.line(format!("bridge {} {}", bridge.project_code, bridge.url))?;
    }
    out.line(format!("nats   {}", bridges.bus()))?;
    out.line(format!("id     {}", bridges.endpoint_id()))?;
    let count = match all.len() {
        1 => "1 server".to_owned(),
        many => format!("{many} servers"),
    };
    out.line(format!("ready  with {count}"))
}
