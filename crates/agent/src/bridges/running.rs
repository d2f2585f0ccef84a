//! A bridge that runs: to the bus it answers and speaks, to people it shows how it stands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edgesync_bridge::http::HttpError;
use edgesync_bridge::{
    Account, Bridge, Fault, FossilServer, ServerError, Setup, Standing, limits as bridge_limits,
    project_at,
};
use libfossil::name::ProjectCode;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::Doorkeeper;
use super::voice::Voice;
use crate::api::{self, Code, Error, LinkState, Time};
use crate::sync::{Http, Remote};
use crate::text;
use crate::wire::Wire;

/// A server and the project there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) remote: Remote,
    pub(crate) project: ProjectCode,
}

/// What a bridge takes from its host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) wire: Wire,
    pub(crate) http: Http,
    /// How often to look at the server.
    pub(crate) poll: Duration,
    /// Changes when there is a new way to others on the bus; whether there is any.
    pub(crate) ways: watch::Receiver<bool>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopped: CancellationToken,
}

/// A bridge that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) place: Place,
    bridge: Arc<Bridge>,
    seen: Arc<Mutex<Seen>>,
    /// Notified once no request is missed any more.
    pub(crate) ready: Arc<Notify>,
    /// Cancelled when it ended by itself.
    pub(crate) ended: CancellationToken,
    stop: CancellationToken,
}

/// What was seen of it.
#[derive(Debug)]
struct Seen {
    state: LinkState,
    last_request: Option<Time>,
}

impl Place {
    /// Returns the server at `remote`, with the project that it names itself.
    ///
    /// # Errors
    /// `unreachable` or one of the `remote` codes when it does not.
    pub(crate) async fn find(remote: Remote, http: &Http) -> Result<Self, Error> {
        let random = text::random().map_err(|error| Error::internal(error.to_string()))?;
        let found = project_at(http, remote.parsed(), random).await;
        let project = found.map_err(|fault| fault_error(&fault))?;
        Ok(Self { remote, project })
    }
}

impl Running {
    /// Begins a bridge. `news` is called when something about it changed that people see.
    ///
    /// # Errors
    /// `internal` when the system has no random bytes.
    pub(crate) fn start(
        place: Place,
        host: &Host,
        news: impl Fn(&LinkState) + Send + 'static,
    ) -> Result<Self, Error> {
        let project = place.project.to_string();
        let wire = host.wire.clone();
        let account = place.remote.user().map(|user| Account {
            user: user.to_owned(),
            password: place.remote.password().unwrap_or_default().to_owned(),
        });
        let voice = Voice::new(wire.clone(), &project)?;
        let bridge = Bridge::new(Setup {
            bus: Arc::clone(&wire.bus),
            prefix: wire.prefix.clone(),
            server: FossilServer {
                url: place.remote.parsed().clone(),
                account,
                project: place.project,
                http: host.http.clone(),
            },
            gate: Arc::new(Doorkeeper {
                wire: wire.clone(),
                project,
            }),
            poll: host.poll,
            promise: bridge_limits::PROMISE,
        });
        let stop = host.stopped.child_token();
        let running = Self {
            place,
            seen: Arc::new(Mutex::new(Seen {
                state: LinkState::Connecting { since: Time::now() },
                last_request: None,
            })),
            ready: Arc::new(Notify::new()),
            ended: CancellationToken::new(),
            bridge,
            stop,
        };
        running.spawn(host, voice, news);
        Ok(running)
    }

    fn spawn(&self, host: &Host, voice: Voice, news: impl Fn(&LinkState) + Send + 'static) {
        let (bridge, stop) = (Arc::clone(&self.bridge), self.stop.clone());
        let standing = bridge.standing();
        let (seen, watched) = (Arc::clone(&self.seen), Arc::clone(&self.bridge));
        let watch = async move { follow(&watched, &seen, news).await };
        let run = Arc::clone(&bridge).run(Arc::clone(&self.ready), stop.clone());
        let speak = voice.speak(standing, host.ways.clone(), stop);
        let ended = self.ended.clone().drop_guard();
        host.tasks.spawn(async move {
            let _ended = ended;
            let on_bus = async { tokio::join!(run, speak) };
            let done = tokio::select! {
                done = on_bus => done,
                () = watch => return,
            };
            if let (Err(error), _) | (_, Err(error)) = done {
                tracing::warn!(%error, "a bridge is not on the bus");
            }
        });
    }

    /// Returns once the server was looked at, whatever came of it.
    pub(crate) async fn looked(&self) {
        let mut standing = self.bridge.standing();
        let _ = standing.wait_for(|it| *it != Standing::Starting).await;
    }

    /// Returns when the server's first answer is that it has another project. What it once had, it may have again.
    pub(crate) async fn is_foreign(&self) {
        let mut standing = self.bridge.standing();
        let answered = |it: &Standing| {
            matches!(
                it,
                Standing::Up(_) | Standing::Blind(_) | Standing::Down(Fault::Project(_))
            )
        };
        let first = standing.wait_for(answered).await;
        let is_foreign = matches!(first.as_deref(), Ok(Standing::Down(_)));
        drop(first);
        if !is_foreign {
            std::future::pending::<()>().await;
        }
    }

    /// Looks at the server soon.
    pub(crate) fn look(&self) {
        self.bridge.look();
    }

    /// Returns what people see.
    pub(crate) fn show(&self, id: String, from: api::Chosen) -> api::Bridge {
        let counts = *self.bridge.counts().borrow();
        let mut seen = locked(&self.seen);
        // Whoever follows the bridge may not have come to it yet.
        seen.state = state_of(&self.bridge.standing().borrow(), &seen.state, Time::now());
        let shown = self.place.remote.shown();
        api::Bridge {
            id,
            url: shown.url,
            user: shown.user,
            project_code: self.place.project.to_string(),
            from,
            state: seen.state.clone(),
            answered: counts.answered,
            failed: counts.failed,
            last_request: seen.last_request,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Takes note of what happens on a bridge. Never returns while the bridge is there.
async fn follow(bridge: &Bridge, seen: &Mutex<Seen>, news: impl Fn(&LinkState)) {
    let (mut standing, mut counts) = (bridge.standing(), bridge.counts());
    standing.mark_changed();
    loop {
        tokio::select! {
            changed = standing.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = Time::now();
                let state = {
                    let mut seen = locked(seen);
                    seen.state = state_of(&standing.borrow_and_update(), &seen.state, now);
                    seen.state.clone()
                };
                news(&state);
            }
            changed = counts.changed() => {
                if changed.is_err() {
                    return;
                }
                counts.mark_unchanged();
                let state = {
                    let mut seen = locked(seen);
                    seen.last_request = Some(Time::now());
                    seen.state.clone()
                };
                news(&state);
            }
        }
    }
}

/// Returns how a bridge stands in the API's words; what stays keeps its time.
fn state_of(standing: &Standing, before: &LinkState, now: Time) -> LinkState {
    let error = match standing {
        Standing::Starting => return before.clone(),
        Standing::Up(_) => {
            return LinkState::Connected {
                since: match before {
                    LinkState::Connected { since } => *since,
                    _ => now,
                },
            };
        }
        Standing::Blind(text) => {
            let message = format!(
                "the Fossil server says “{text}”, so agents do not hear what changes there"
            );
            Error::new(Code::RemoteLogin, message)
                .with_hint("Remove the bridge, and add it with a user who may read there.")
        }
        Standing::Down(fault) => fault_error(fault),
    };
    LinkState::Error {
        since: match before {
            LinkState::Error { since, .. } => *since,
            _ => now,
        },
        code: error.code,
        message: error.message,
        hint: error.hint,
        retry_at: None,
    }
}

/// Returns a fault as the API shows it.
pub(crate) fn fault_error(fault: &Fault) -> Error {
    let code = match fault {
        Fault::Server(ServerError::Http(HttpError::Unauthorized { .. })) | Fault::Login => {
            Code::RemoteLogin
        }
        Fault::Server(
            ServerError::Slow { .. }
            | ServerError::Http(HttpError::Unreachable { .. } | HttpError::Slow { .. }),
        ) => Code::Unreachable,
        Fault::Server(
            ServerError::Elsewhere { .. }
            | ServerError::Http(
                HttpError::NotFossil { .. }
                | HttpError::Redirects { .. }
                | HttpError::Redirect { .. },
            ),
        )
        | Fault::Project(_) => Code::RemoteAddress,
        _ => Code::Remote,
    };
    let error = Error::new(code, fault.to_string()).retryable();
    match fault.hint() {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // It changes by single assignments.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
