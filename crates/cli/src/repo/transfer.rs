//! `edgesync sync`, `push`, `pull`: one exchange of a repository with a server or another file.

use clap::Args;
use edgesync_agent::sync::{Peer, Remote, RemoteError, check_private, exchange_once};
use libfossil::db::{Access, RememberedRemote, Repository};
use libfossil::xfer::client::{Goal, Summary};
use serde_json::json;

use crate::error::{Failure, Kind, OrFail};
use crate::locate::RepositoryArg;
use crate::output::{Output, printable};
use crate::password::PasswordSource;
use crate::repo::failure::{database, exchange};
use crate::repo::{now, random};
use crate::units::format_size;

/// The other side, and how to talk to it.
#[derive(Args)]
pub(crate) struct PeerArgs {
    /// The server, the project on a bus, or the path of a repository; otherwise that of the last time
    pub(crate) url: Option<String>,

    /// Do not remember the server for the next time
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) password: PasswordSource,

    #[command(flatten)]
    pub(crate) repository: RepositoryArg,
}

/// What to exchange beyond the usual.
#[derive(Args, Clone, Copy)]
pub(crate) struct Extent {
    /// Private check-ins too
    #[arg(long)]
    private: bool,

    /// Compare every name instead of trusting what was said before
    #[arg(long)]
    verily: bool,
}

/// What `sync` takes behind `repo`, and at the top level without a verb of the agent.
#[derive(Args)]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    peer: PeerArgs,

    #[command(flatten)]
    extent: Extent,

    /// Unversioned files too
    #[arg(short, long)]
    unversioned: bool,
}

/// Send and receive everything that is new
#[derive(Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    args: SyncArgs,
}

/// Send everything that is new here
#[derive(Args)]
pub(crate) struct Push {
    #[command(flatten)]
    peer: PeerArgs,

    #[command(flatten)]
    extent: Extent,
}

/// Receive everything that is new there
#[derive(Args)]
pub(crate) struct Pull {
    #[command(flatten)]
    peer: PeerArgs,

    #[command(flatten)]
    extent: Extent,
}

impl SyncArgs {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let goal = Goal {
            pull: true,
            push: true,
            unversioned: self.unversioned,
            ..self.extent.goal()
        };
        self.peer.exchange("Sync", goal, out)
    }
}

impl Sync {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        self.args.run(out)
    }
}

impl Push {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        self.peer.exchange(
            "Push",
            Goal {
                push: true,
                ..self.extent.goal()
            },
            out,
        )
    }
}

impl Pull {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        self.peer.exchange(
            "Pull",
            Goal {
                pull: true,
                ..self.extent.goal()
            },
            out,
        )
    }
}

impl Extent {
    fn goal(self) -> Goal {
        Goal {
            private: self.private,
            thorough: self.verily,
            ..Goal::default()
        }
    }
}

impl PeerArgs {
    /// Makes the exchange and says how it went. What it did is named by `what`.
    pub(crate) fn exchange(&self, what: &str, goal: Goal, out: Output) -> Result<(), Failure> {
        let mut repository = self.repository.open(Access::ReadWrite)?;
        let peer = self.peer(&repository, &verb(what, goal))?;
        let mut progress = out.progress(what);
        let summary = exchange_once(&mut repository, &peer, goal, |summary| {
            progress.update_exchange(summary);
        })
        .map_err(exchange)?;
        drop(progress);
        if self.url.is_some() && !self.once {
            remember(&mut repository, &peer)?;
        }
        if summary.push_refused && !goal.pull {
            return Err(
                Failure::new(Kind::Refused, format!("{peer} does not let you push"))
                    .hint("log in as a user with the right to write: put the user into the URL"),
            );
        }
        check_private(&summary)?;
        report(what, &peer, &summary, out)
    }

    fn peer(&self, repository: &Repository, verb: &str) -> Result<Peer, Failure> {
        match &self.url {
            Some(url) => parse_peer(url, &self.password),
            None => {
                let last = repository
                    .remembered_remote()
                    .map_err(database)?
                    .ok_or_else(|| {
                        Failure::new(Kind::Usage, "no server is remembered")
                            .hint(format!("name it: edgesync {verb} URL -R FILE"))
                    })?;
                let peer: Peer = last
                    .url
                    .parse()
                    .or_fail(Kind::Failed, "the remembered server")?;
                match peer {
                    Peer::Server(remote) => Ok(Peer::Server(match last.password {
                        Some(password) if remote.user().is_some() => {
                            remote.with_login(None, Some(password))
                        }
                        _ => with_password(remote, &self.password)?,
                    })),
                    other => Ok(other),
                }
            }
        }
    }
}

/// Returns the words that ask for this exchange on the command line.
fn verb(what: &str, goal: Goal) -> String {
    if goal.pull || goal.push {
        what.to_lowercase()
    } else {
        format!("uv {}", what.to_lowercase())
    }
}

/// Returns the other side that is meant, with a password where its user needs one.
pub(crate) fn parse_peer(url: &str, source: &PasswordSource) -> Result<Peer, Failure> {
    match url.parse::<Peer>() {
        Ok(Peer::Server(remote)) => Ok(Peer::Server(with_password(remote, source)?)),
        Ok(other) => Ok(other),
        Err(error) => Err(Failure::new(Kind::Usage, unusable(&error))
            .hint("it looks like https://USER@HOST/PATH or nats://TOKEN@HOST:PORT/PROJECT-CODE")),
    }
}

/// Returns what is wrong with an address. The command line takes more kinds of them than a server has.
fn unusable(error: &RemoteError) -> String {
    match error {
        RemoteError::Scheme(scheme) => {
            format!("addresses that begin with {scheme}: are not supported")
        }
        _ => error.to_string(),
    }
}

fn with_password(remote: Remote, source: &PasswordSource) -> Result<Remote, Failure> {
    let Some(user) = remote.user().filter(|_| remote.password().is_none()) else {
        return Ok(remote);
    };
    let prompt = format!("Password for {user} at {}", remote.url());
    match source.read_or_ask(&prompt)? {
        Some(password) => Ok(remote.with_login(None, Some(password))),
        None => Err(Failure::new(
            Kind::Refused,
            format!("{user} needs a password at {remote}"),
        )
        .hint("give it with --password-file FILE, or run the command in a terminal")),
    }
}

/// Notes the server for the next time, unless it is one that only we can reach.
pub(crate) fn remember(repository: &mut Repository, peer: &Peer) -> Result<(), Failure> {
    let remote = match peer {
        Peer::Server(remote) => RememberedRemote {
            url: remote.url_with_user(),
            password: remote
                .password()
                .filter(|_| remote.user().is_some())
                .map(str::to_owned),
        },
        // A stock program that syncs by itself would stumble over it.
        Peer::Bus(_) => return Ok(()),
        Peer::File(path) => {
            let path = std::path::absolute(path).or_fail(Kind::Failed, path.display())?;
            RememberedRemote {
                url: format!("file://{}", path.display()),
                password: None,
            }
        }
    };
    let [salt] = random()?;
    repository
        .write(now(), |tx| tx.remember_remote(&remote, salt))
        .map_err(database)
}

/// Says how an exchange went, in stock's words.
pub(crate) fn report(
    what: &str,
    peer: &Peer,
    summary: &Summary,
    out: Output,
) -> Result<(), Failure> {
    for message in &summary.messages {
        out.note(printable(message));
    }
    if summary.push_refused {
        out.note("pull only - not authorized to push");
    }
    out.print(&shape(peer, summary), |_| {
        format!(
            "Round-trips: {}   Artifacts sent: {}  received: {}\n{what} done, wire bytes sent: {}  received: {}  remote: {peer}\n",
            summary.rounds, summary.artifacts_sent, summary.artifacts_received, summary.sent_bytes, summary.received_bytes,
        )
    })
}

/// Returns the JSON form of how an exchange went.
pub(crate) fn shape(peer: &Peer, summary: &Summary) -> serde_json::Value {
    json!({
        "url": peer.to_string(),
        "round_trips": summary.rounds,
        "artifacts_sent": summary.artifacts_sent,
        "artifacts_received": summary.artifacts_received,
        "unversioned_sent": summary.unversioned_sent,
        "unversioned_received": summary.unversioned_received,
        "bytes_sent": summary.sent_bytes,
        "bytes_received": summary.received_bytes,
        "push_refused": summary.push_refused,
        "clock_skew_s": summary.clock_skew_s,
        "messages": summary.messages,
    })
}

impl crate::progress::Progress {
    /// Shows how far an exchange is.
    pub(crate) fn update_exchange(&mut self, summary: &Summary) {
        let done =
            u64::try_from(summary.artifacts_received + summary.artifacts_sent).unwrap_or(u64::MAX);
        let bytes = format_size(summary.received_bytes + summary.sent_bytes);
        self.update(
            done,
            None,
            &format!("{} round trips, {done} artifacts, {bytes}", summary.rounds),
        );
    }
}
