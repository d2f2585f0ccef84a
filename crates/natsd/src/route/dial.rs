//! Dialling members: those that the embedder names, again and again; those that members tell of, once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Route;
use crate::auth::Credentials;
use crate::conn::Close;
use crate::conn::session::Peer;
use crate::limits::{ABSENCE, DIAL_PAUSE, LEARNED_ATTEMPTS, LEARNED_PAUSE_MAX};
use crate::link::dial::{Link, LinkStatus, Progress, Target, pause};
use crate::proto::Kind;
use crate::server::{Setup, Shared};

/// How a server is with the members that it dials.
#[derive(Clone, Debug)]
pub struct RouteOptions {
    /// How it shows them who it is. With a key it also proves itself to those that dial it, if they ask.
    pub credentials: Credentials,
    /// Whether members of which other members tell are dialled as well, which makes the mesh full.
    pub dial_learned: bool,
    /// How long a server that has lost its last route keeps the name of the cluster that it was in, unless it was given the name.
    pub keep_name: Duration,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::None,
            dial_learned: true,
            keep_name: ABSENCE,
        }
    }
}

/// Keeps a route up until the handle is dropped.
pub(crate) fn keep(shared: &Arc<Shared>, target: Target) -> Link {
    let progress = Progress::new();
    let stop = shared.stop.child_token();
    let link = Link::new(&progress, stop.clone());
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let mut member: Option<String> = None;
        loop {
            // While another connection is the route to the same server, there is nothing to do here.
            let standing = member.as_ref().and_then(|id| shared.members.status(id));
            match standing {
                Some(status) => progress.set(status),
                None => {
                    progress.set(LinkStatus::Connecting);
                    member = once(&shared, &target, &progress, &stop).await.or(member);
                    let twice = progress.close() == Some(Close::Duplicate);
                    if twice && member.as_ref().is_some_and(|id| shared.members.has(id)) {
                        continue;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause()) => {}
            }
        }
    });
    link
}

/// Dials a server of which a member told, and again when the route is lost: at most so often at one place while it does not answer, and as
/// long as there is a cluster while it answers but one of the two does not let the other in. Where it is may be told anew meanwhile.
pub(super) fn learned(
    shared: &Arc<Shared>,
    server_id: String,
    mut told: watch::Receiver<String>,
    stop: CancellationToken,
) {
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let (mut rest, mut failures) = (DIAL_PAUSE, 0);
        let mut member = server_id.clone();
        loop {
            let target = Target::Tcp(told.borrow_and_update().clone());
            let progress = Progress::new();
            let met = once(&shared, &target, &progress, &stop).await;
            if progress.was_up() {
                (rest, failures) = (DIAL_PAUSE, 0);
            }
            match progress.close() {
                Some(Close::Refused | Close::NotTrusted) => {}
                _ => failures += 1,
            }
            member = met.unwrap_or(member);
            let over = failures >= LEARNED_ATTEMPTS
                || shared.members.has(&member)
                || shared.members.is_empty();
            if over && shared.members.dialled(&server_id, &told) {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                _ = told.changed() => (rest, failures) = (DIAL_PAUSE, 0),
                () = shared.members.again.notified() => {}
                () = tokio::time::sleep(rest) => rest = (rest * 2).min(LEARNED_PAUSE_MAX),
            }
        }
        shared.members.forget(&server_id);
    });
}

/// Dials, and returns when the connection is over: with the id of the server that was met, if any was.
async fn once(
    shared: &Arc<Shared>,
    target: &Target,
    progress: &Progress,
    stop: &CancellationToken,
) -> Option<String> {
    let dialled = tokio::select! {
        () = stop.cancelled() => return None,
        dialled = target.dial() => dialled,
    };
    let dialled = match dialled {
        Ok(dialled) => dialled,
        Err(error) => {
            tracing::debug!(target: "natsd", %target, %error, "a route cannot be dialled");
            progress.because(&error.to_string());
            progress.end(Close::Hangup);
            return None;
        }
    };
    let setup = Setup {
        shared: Arc::clone(shared),
        kind: Kind::Route,
        remote: Some(dialled.remote().unwrap_or_else(|| target.to_string())),
        peer: Peer::Route(Route::dialled(progress.clone())),
        read: Bytes::new(),
    };
    let conn = setup.run(dialled);
    tokio::select! {
        () = stop.cancelled() => conn.close(Close::Closed),
        () = progress.down() => {}
    }
    let met = conn.link.as_ref().map(|link| link.remote().server_id);
    met.filter(|id| !id.is_empty())
}
