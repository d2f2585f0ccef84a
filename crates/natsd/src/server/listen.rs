//! Listeners: bound before old ones go, each with a task that accepts until it is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Addresses, Setup, Shared, StartError};
use crate::options::Listeners;
use crate::proto::Kind;

/// How long accepting rests after it failed, which it does when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listeners that there are.
#[derive(Debug, Default)]
pub(super) struct Listening {
    clients: Option<One>,
    leaves: Option<One>,
    routes: Option<One>,
}

#[derive(Debug)]
struct One {
    requested: SocketAddr,
    actual: SocketAddr,
    _accepting: DropGuard,
}

/// What was bound for each kind.
#[derive(Debug, Default)]
pub(super) struct Bound {
    clients: Option<TcpListener>,
    leaves: Option<TcpListener>,
    routes: Option<TcpListener>,
}

/// Binds whatever is wanted and not there.
pub(super) async fn bind(wanted: &Listeners, current: &Listeners) -> Result<Bound, StartError> {
    let one =
        async |kind, wanted: Option<SocketAddr>, current| match wanted {
            Some(address) if wanted != current => TcpListener::bind(address)
                .await
                .map(Some)
                .map_err(|source| StartError::Listen {
                    kind,
                    address,
                    source,
                }),
            _ => Ok(None),
        };
    Ok(Bound {
        clients: one(Kind::Client, wanted.clients, current.clients).await?,
        leaves: one(Kind::Leaf, wanted.leaves, current.leaves).await?,
        routes: one(Kind::Route, wanted.routes, current.routes).await?,
    })
}

impl Listening {
    /// Ends all of them.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// What was asked for.
    pub(super) fn requested(&self) -> Listeners {
        let of = |one: &Option<One>| one.as_ref().map(|one| one.requested);
        Listeners {
            clients: of(&self.clients),
            leaves: of(&self.leaves),
            routes: of(&self.routes),
        }
    }

    /// What there is.
    pub(super) fn addresses(&self) -> Addresses {
        let of = |one: &Option<One>| one.as_ref().map(|one| one.actual);
        Addresses {
            clients: of(&self.clients),
            leaves: of(&self.leaves),
            routes: of(&self.routes),
        }
    }

    /// Begins to accept on what was bound, and ends what is not wanted any more.
    pub(super) fn replace(&mut self, shared: &Arc<Shared>, wanted: &Listeners, bound: Bound) {
        let replace = |one: &mut Option<One>, kind, wanted: Option<SocketAddr>, bound| match (
            wanted, bound,
        ) {
            (None, _) => *one = None,
            (Some(requested), Some(listener)) => {
                *one = begin(shared, kind, requested, listener);
            }
            (Some(_), None) => {}
        };
        replace(
            &mut self.clients,
            Kind::Client,
            wanted.clients,
            bound.clients,
        );
        replace(&mut self.leaves, Kind::Leaf, wanted.leaves, bound.leaves);
        replace(&mut self.routes, Kind::Route, wanted.routes, bound.routes);
    }
}

fn begin(
    shared: &Arc<Shared>,
    kind: Kind,
    requested: SocketAddr,
    listener: TcpListener,
) -> Option<One> {
    let actual = listener.local_addr().ok()?;
    let stop = shared.stop.child_token();
    shared
        .tasks
        .spawn(accept(Arc::clone(shared), kind, listener, stop.clone()));
    tracing::info!(target: "natsd", ?kind, %actual, "listening");
    Some(One {
        requested,
        actual,
        _accepting: stop.drop_guard(),
    })
}

async fn accept(shared: Arc<Shared>, kind: Kind, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                if let Some(setup) = Setup::accepted(&shared, kind, Some(remote.to_string())) {
                    setup.run_tcp(stream);
                }
            }
            Err(error) => {
                tracing::warn!(target: "natsd", ?kind, %error, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
