//! One exchange with a remote: round trips until both sides hold the same. The protocol is libfossil's and runs on the
//! repository's own thread; here bytes go back and forth between it and the network.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use libfossil::db::Repository;
use libfossil::xfer::client::{Client, Credentials, Response, Step, Summary, SyncError};
use libfossil::xfer::{Budget, Request};

use super::Remote;
use edgesync_bridge::http::{Answer, Post};

use super::{Http, HttpError};
use crate::api::{Code, Error};
use crate::clock;
use crate::limits;
use crate::repository::{Writer, file_error};
use crate::text;

/// What helps who lacks a right.
pub(super) const MORE_RIGHTS: &str =
    "Ask the server's administrator for the right, or use another user.";

/// Makes one exchange between the repository of `writer` and `remote` with the client that `start` makes; when the repository
/// turns out to be at another host, one more client without the login. Reports how far it is after each round trip.
///
/// # Errors
/// `unreachable` or one of the `remote` codes when the remote can't be reached or refuses, `repository` when the file cannot be used. What had arrived before is
/// stored.
pub(super) async fn run<S>(
    writer: &Writer,
    http: &Http,
    remote: &Remote,
    start: S,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, Error>
where
    S: Fn(&mut Repository, Option<Credentials>) -> Result<Client, SyncError>
        + Clone
        + Send
        + 'static,
{
    let mut place = remote.clone();
    for _ in 0..=limits::REDIRECTS {
        match converse(writer, http, &mut place, start.clone(), &mut progress).await? {
            Ending::Complete(summary) => return Ok(*summary),
            Ending::Elsewhere(moved) => place = moved,
        }
    }
    let host = edgesync_bridge::http::host_of(place.parsed());
    Err(http_error(&HttpError::Redirects { host }))
}

/// How a conversation with one host ends.
enum Ending {
    Complete(Box<Summary>),
    Elsewhere(Remote),
}

async fn converse<S>(
    writer: &Writer,
    http: &Http,
    place: &mut Remote,
    start: S,
    progress: &mut impl FnMut(&Summary),
) -> Result<Ending, Error>
where
    S: Fn(&mut Repository, Option<Credentials>) -> Result<Client, SyncError> + Send + 'static,
{
    let login = credentials(place);
    let mut client = on_thread(writer, move |repository| start(repository, login)).await?;
    loop {
        let random = text::random().map_err(|error| Error::internal(error.to_string()))?;
        let (back, step) = on_thread(writer, move |repository| {
            let step = client.next(repository, clock::now(), random)?;
            Ok((client, step))
        })
        .await?;
        client = back;
        let request = match step {
            Step::Send(request) => request,
            Step::Done(summary) => return Ok(Ending::Complete(Box::new(summary))),
            Step::Wait => return Err(sync_error(&SyncError::Stalled)),
        };
        let post = Post {
            content_type: request.content_type.as_str(),
            cookie: request.cookie,
            body: request.body,
        };
        let asked = http.post(place.parsed(), &post);
        let (back, answered) = while_catching_up(writer, client, asked).await?;
        client = back;
        let (response, url) = match answered {
            Ok((Answer::Reply { content_type, body }, url)) => {
                (Response { content_type, body }, url)
            }
            Ok((Answer::Elsewhere, url)) => {
                put_away(writer, client, progress).await?;
                return Ok(Ending::Elsewhere(Remote::without_login(url)));
            }
            Err(error) => {
                put_away(writer, client, progress).await?;
                return Err(http_error(&error));
            }
        };
        *place = place.moved_to(url);
        client = on_thread(writer, move |repository| {
            client.receive(repository, response, clock::now())?;
            Ok(client)
        })
        .await?;
        progress(client.progress());
    }
}

/// Waits for an answer, and has the client store meanwhile what came with earlier ones.
async fn while_catching_up<T>(
    writer: &Writer,
    mut client: Client,
    answer: impl Future<Output = T>,
) -> Result<(Client, T), Error> {
    if !client.is_behind(clock::now()) {
        return Ok((client, answer.await));
    }
    let caught_up = on_thread(writer, move |repository| {
        client.catch_up(repository, clock::now())?;
        Ok(client)
    });
    let (client, answer) = tokio::join!(caught_up, answer);
    Ok((client?, answer))
}

/// Has the client store all that has come, when nothing more does.
async fn put_away(
    writer: &Writer,
    mut client: Client,
    progress: &mut impl FnMut(&Summary),
) -> Result<(), Error> {
    let client = on_thread(writer, move |repository| {
        client.put_away(repository, clock::now())?;
        Ok(client)
    })
    .await?;
    progress(client.progress());
    Ok(())
}

/// What another agent answered.
pub(super) struct Came {
    pub(super) response: Response,
    /// How long requests to it may become, where that is more than the budget's.
    pub(super) takes_bytes: Option<usize>,
}

/// Makes one exchange between the repository of `writer` and another agent with the client that `start` makes, with as many requests under
/// way as the protocol allows. `ask` carries each there and brings the answer. Reports how far it is after each round trip.
///
/// # Errors
/// Those of `ask`; `repository` when the file cannot be used, a `remote` code when the other side refuses. What had arrived before is stored.
pub(super) async fn with_agent<F: Future<Output = Result<Came, Error>>>(
    writer: &Writer,
    budget: Option<Budget>,
    start: impl FnOnce(&mut Repository) -> Result<Client, SyncError> + Send + 'static,
    ask: impl Fn(Request) -> F,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, Error> {
    let mut client = on_thread(writer, move |repository| {
        let client = start(repository)?;
        Ok(match budget {
            Some(budget) => client.within(budget),
            None => client,
        })
    })
    .await?;
    let mut under_way = FuturesUnordered::new();
    loop {
        if under_way.is_empty() || !client.awaits_answer() {
            let random = text::random().map_err(|error| Error::internal(error.to_string()))?;
            let (back, step) = on_thread(writer, move |repository| {
                let step = client.next(repository, clock::now(), random)?;
                Ok((client, step))
            })
            .await?;
            client = back;
            match step {
                Step::Send(request) => {
                    under_way.push(ask(request));
                    continue;
                }
                Step::Done(summary) => return Ok(summary),
                _ => {}
            }
        }
        let (back, answer) = while_catching_up(writer, client, under_way.next()).await?;
        client = back;
        let Some(answer) = answer else {
            return Err(sync_error(&SyncError::Stalled));
        };
        let Came {
            response,
            takes_bytes,
        } = match answer {
            Ok(came) => came,
            Err(error) => {
                put_away(writer, client, &mut progress).await?;
                return Err(error);
            }
        };
        if let Some(most) = takes_bytes {
            client.allow(most);
        }
        client = on_thread(writer, move |repository| {
            client.receive(repository, response, clock::now())?;
            Ok(client)
        })
        .await?;
        progress(client.progress());
    }
}

/// Does a step of the protocol on the repository's thread.
pub(super) async fn on_thread<T: Send + 'static>(
    writer: &Writer,
    step: impl FnOnce(&mut Repository) -> Result<T, SyncError> + Send + 'static,
) -> Result<T, Error> {
    match writer.run(step).await {
        Ok(done) => done.map_err(|error| sync_error(&error)),
        Err(error) => Err(error.into_api()),
    }
}

pub(super) fn credentials(remote: &Remote) -> Option<Credentials> {
    let user = remote.user()?.to_owned();
    let password = remote.password().unwrap_or_default().to_owned();
    Some(Credentials { user, password })
}

fn http_error(error: &HttpError) -> Error {
    let hint = error.hint().map(ToOwned::to_owned);
    let code = match error {
        HttpError::Unauthorized { .. } => Code::RemoteLogin,
        HttpError::Status {
            status: 404 | 405, ..
        }
        | HttpError::NotFossil { .. }
        | HttpError::Redirects { .. }
        | HttpError::Redirect { .. } => Code::RemoteAddress,
        HttpError::Unreachable { .. } | HttpError::Slow { .. } => Code::Unreachable,
        _ => Code::Remote,
    };
    Error {
        hint,
        retryable: error.may_pass(),
        ..Error::new(code, error.to_string())
    }
}

pub(super) fn sync_error(error: &SyncError) -> Error {
    let coded = |code| Error::new(code, error.to_string());
    match error {
        SyncError::Repository(error) => file_error(error),
        SyncError::Misuse(_) => Error::internal(error.to_string()),
        SyncError::LoginFailed => {
            coded(Code::RemoteLogin).with_hint("Check the remote's user and password.")
        }
        SyncError::WrongProject => coded(Code::RemoteAddress)
            .with_hint("The address is that of another repository; check it."),
        SyncError::NotAuthorized(_) => coded(Code::RemoteLogin).with_hint(MORE_RIGHTS),
        SyncError::WebPage(_) => coded(Code::RemoteAddress)
            .with_hint("Check the address; a network's login page answers like this too.")
            .retryable(),
        _ => coded(Code::Remote).retryable(),
    }
}
