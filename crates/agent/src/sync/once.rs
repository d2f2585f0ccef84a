//! Exchanges outside of a running agent, for commands that work on a repository's file by themselves: on the caller's thread,
//! with a server, with another file on this machine, or over a bus.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;

use libfossil::auth::{AuthContext, Capabilities, Grant};
use libfossil::db::{self, Access, Repository};
use libfossil::xfer::Request;
use libfossil::xfer::client::{Client, Credentials, NewClone, Response, Step, Summary, SyncError};
use libfossil::xfer::server::Server;

use super::clone::Target;
use super::exchange::credentials;
use edgesync_bridge::http::{Answer, Post};

use super::{BusAddress, Goal, Remote, RemoteError, bus};
use super::{Http, HttpError};
use crate::api;
use crate::clock;
use crate::home::Home;
use crate::limits;
use crate::text;

/// The rights of who can open the other file anyway.
const OWNER: &str = "sgoixye";

/// The other side of an exchange.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A Fossil server.
    Server(Remote),
    /// A repository on this machine.
    File(PathBuf),
    /// A project on a bus.
    Bus(BusAddress),
}

/// Why an exchange did not come to its end. What had arrived before is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The server can't be reached, or answered with something else than a sync reply.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The protocol came to an early end.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The other repository did not answer.
    #[error("{}: {reason}", path.display())]
    File {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nobody on the bus answered, or not as one who is to be heard.
    #[error("{}", .0.message)]
    Bus(api::Error),
    /// The clone's place can't be used.
    #[error("{}", .0.message)]
    Place(api::Error),
    /// The system gives no threads, sockets or random bytes.
    #[error("{0}")]
    System(String),
}

impl From<db::Error> for ExchangeError {
    fn from(error: db::Error) -> Self {
        Self::Sync(error.into())
    }
}

impl FromStr for Peer {
    type Err = RemoteError;

    /// Takes an address with a scheme for a server, `file:` and everything else for a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self::File(path.into()));
        }
        if text.starts_with(bus::SCHEME) {
            return text.parse().map(Self::Bus);
        }
        if text.contains("://") {
            return text.parse().map(Self::Server);
        }
        Ok(Self::File(text.into()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(remote) => remote.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Bus(address) => address.fmt(f),
        }
    }
}

/// Makes one exchange. Reports how far it is after each round trip. Blocks.
///
/// # Errors
/// See [`ExchangeError`].
pub fn exchange(
    repository: &mut Repository,
    peer: &Peer,
    goal: Goal,
    progress: impl FnMut(&Summary),
) -> Result<Summary, ExchangeError> {
    if let Peer::Bus(address) = peer {
        let start = move |_: &mut Repository| Ok(Client::new(goal, None));
        let exchanged = bus::exchange_once(&home()?, repository.path(), address, start, progress);
        return exchanged.map_err(ExchangeError::Bus);
    }
    let start = |_: &mut Repository, login| Ok(Client::new(goal, login));
    converse(repository, peer, &start, progress)
}

/// Clones into a new file, which is there only once it is complete; a clone to the same place that was cut off goes on where it
/// was. Blocks.
///
/// # Errors
/// See [`ExchangeError`].
pub fn clone(
    path: &Path,
    peer: &Peer,
    goal: Goal,
    owner: &NewClone,
    progress: impl FnMut(&Summary),
) -> Result<Summary, ExchangeError> {
    let absolute =
        std::path::absolute(path).map_err(|error| ExchangeError::System(error.to_string()))?;
    let target = Target::new(absolute, &peer.to_string()).map_err(ExchangeError::Place)?;
    let (begun, _lock) = target.prepare().map_err(ExchangeError::Place)?;
    let cloned = if let Peer::Bus(address) = peer {
        let owner = owner.clone();
        let start = move |repository: &mut Repository| {
            Client::clone_into(repository, goal, None, owner, clock::now())
        };
        let cloned = bus::exchange_once(&home()?, target.partial(), address, start, progress);
        cloned.map_err(ExchangeError::Bus)
    } else {
        let mut repository = Repository::open(target.partial(), Access::ReadWrite)?;
        let start = |repository: &mut Repository, login| {
            Client::clone_into(repository, goal, login, owner.clone(), clock::now())
        };
        converse(&mut repository, peer, &start, progress)
    };
    if let Err(error) = &cloned {
        target.give_up(begun, is_refusal(error));
    }
    let summary = cloned?;
    target.publish().map_err(ExchangeError::Place)?;
    Ok(summary)
}

/// Whether the other side does not take the login.
fn is_refusal(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Http(HttpError::Unauthorized { .. })
        | ExchangeError::Sync(SyncError::LoginFailed | SyncError::NotAuthorized(_)) => true,
        ExchangeError::Bus(error) => error.code == api::Code::RemoteLogin,
        _ => false,
    }
}

fn home() -> Result<Home, ExchangeError> {
    Home::from_env().map_err(|error| ExchangeError::System(error.to_string()))
}

type Start<'a> = &'a dyn Fn(&mut Repository, Option<Credentials>) -> Result<Client, SyncError>;

fn converse(
    repository: &mut Repository,
    peer: &Peer,
    start: Start<'_>,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, ExchangeError> {
    match peer {
        Peer::File(path) => {
            let mut other = Repository::open(path, Access::ReadWrite)?;
            let mut client = start(repository, None)?;
            run(repository, &mut client, &mut progress, |request| {
                answer_of(&mut other, path, request).map(Some)
            })?
            .ok_or_else(|| ExchangeError::System("a file does not move".to_owned()))
        }
        Peer::Server(remote) => over_http(repository, remote, start, &mut progress),
        Peer::Bus(_) => Err(SyncError::Misuse("a bus is no server").into()),
    }
}

fn over_http(
    repository: &mut Repository,
    remote: &Remote,
    start: Start<'_>,
    progress: &mut impl FnMut(&Summary),
) -> Result<Summary, ExchangeError> {
    let system = |error: &dyn fmt::Display| ExchangeError::System(error.to_string());
    let http = Http::new().map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let mut place = remote.clone();
    for _ in 0..=limits::REDIRECTS {
        let mut client = start(repository, credentials(&place))?;
        let summary = run(repository, &mut client, progress, |request| {
            let post = Post {
                content_type: request.content_type.as_str(),
                cookie: request.cookie,
                body: request.body,
            };
            let (answer, url) = runtime.block_on(http.post(place.parsed(), &post))?;
            match answer {
                Answer::Reply { content_type, body } => {
                    place = place.moved_to(url);
                    Ok(Some(Response { content_type, body }))
                }
                Answer::Elsewhere => {
                    place = Remote::without_login(url);
                    Ok(None)
                }
            }
        })?;
        if let Some(summary) = summary {
            return Ok(summary);
        }
    }
    let host = edgesync_bridge::http::host_of(place.parsed());
    Err(HttpError::Redirects { host }.into())
}

/// Lets the client talk until it is done; returns nothing when `carry` finds that the other side is elsewhere.
fn run(
    repository: &mut Repository,
    client: &mut Client,
    progress: &mut impl FnMut(&Summary),
    mut carry: impl FnMut(Request) -> Result<Option<Response>, ExchangeError> + Send,
) -> Result<Option<Summary>, ExchangeError> {
    loop {
        let random = text::random().map_err(|error| ExchangeError::System(error.to_string()))?;
        let request = match client.next(repository, clock::now(), random)? {
            Step::Send(request) => request,
            Step::Done(summary) => return Ok(Some(summary)),
            Step::Wait => return Err(SyncError::Stalled.into()),
        };
        let answer = if client.is_behind(clock::now()) {
            thread::scope(|threads| -> Result<_, ExchangeError> {
                let asked = thread::Builder::new().spawn_scoped(threads, || carry(request));
                let asked = asked.map_err(|error| ExchangeError::System(error.to_string()))?;
                let caught_up = client.catch_up(repository, clock::now());
                let answer = asked.join();
                caught_up?;
                answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        } else {
            carry(request)
        };
        let Ok(Some(response)) = answer else {
            client.put_away(repository, clock::now())?;
            progress(client.progress());
            return answer.map(|_| None);
        };
        client.receive(repository, response, clock::now())?;
        progress(client.progress());
    }
}

/// Returns the answer of another file, whose owner asks.
fn answer_of(
    other: &mut Repository,
    path: &Path,
    request: Request,
) -> Result<Response, ExchangeError> {
    let auth = AuthContext {
        granted: Some(Grant {
            login: crate::repository::system_user(),
            capabilities: Capabilities::from_letters(OWNER),
        }),
        address: String::new(),
    };
    let reply = Server::default().exchange(other, &auth, request, clock::now);
    let reply = reply.map_err(|error| ExchangeError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Response {
        content_type: reply.content_type.as_str().to_owned(),
        body: reply.body,
    })
}
