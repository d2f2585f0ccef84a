//! Dialling members: those that the embedder names, again and again; those that members tell of, once.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Route;
use crate::auth::Secret;
use crate::conn::Close;
use crate::conn::session::Peer;
use crate::link::dial::{Link, LinkStatus, Progress, Target, pause};
use crate::proto::Kind;
use crate::server::{Setup, Shared};

/// How a server is with the members that it dials.
#[derive(Clone, Debug)]
pub struct RouteOptions {
    /// User and password that are shown to them.
    pub credentials: Option<(String, Secret)>,
    /// Whether members of which other members tell are dialled as well, which makes the mesh full.
    pub dial_learned: bool,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            dial_learned: true,
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
        let mut member = None;
        loop {
            // While another connection is the route to the same server, there is nothing to do here.
            let covered = member
                .as_ref()
                .is_some_and(|id: &String| shared.members.has(id));
            if !covered {
                progress.set(LinkStatus::Connecting);
                member = once(&shared, &target, &progress, &stop).await.or(member);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause()) => {}
            }
        }
    });
    link
}

/// Dials a server of which a member told.
pub(super) fn learned(shared: &Arc<Shared>, server_id: String, address: String) {
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let stop = shared.stop.child_token();
        let target = Target::Tcp(address);
        once(&shared, &target, &Progress::new(), &stop).await;
        shared.members.dialled(&server_id);
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
