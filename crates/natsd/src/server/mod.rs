//! The server as its embedder sees it.

mod listen;
mod shared;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::broadcast;

use crate::auth::{Policy, make_nonce, make_server_id};
use crate::conn::client::Client;
use crate::conn::session::{Peer, Session};
use crate::conn::{Close, Conn, Outbound, Parts};
use crate::leaf::{self, Leaf, LeafRemote};
use crate::link::dial::{Link, Target};
use crate::local::{Inbox, LocalClient};
use crate::options::{Listeners, Options};
use crate::proto::Kind;
use crate::route::{self, Route};
use crate::stats::{ConnectionStats, Event, Stats};
use listen::Listening;
pub use shared::VERSION;
pub(crate) use shared::{Cluster, Shared};

/// Longest pause between two clients that a server which goes away closes; the reference's number.
const LAME_DUCK_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Where a server listens, with the ports that it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// For clients.
    pub clients: Option<SocketAddr>,
    /// For leafnodes.
    pub leaves: Option<SocketAddr>,
    /// For members of the cluster.
    pub routes: Option<SocketAddr>,
}

/// Why a server could not start, or not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen for {kind:?} connections on {address}: {source}")]
    Listen {
        /// For what.
        kind: Kind,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// A running server. Dropping it stops it without waiting; [`Server::shutdown`] waits.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listening: Mutex<Listening>,
}

impl Server {
    /// Starts a server on the current runtime.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the system gives no randomness.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let server_id = make_server_id().ok_or(StartError::NoRandomness)?;
        let listeners = options.listeners;
        let server = Self {
            shared: Arc::new(Shared::new(server_id, options)),
            listening: Mutex::default(),
        };
        server.set_listeners(listeners).await?;
        tracing::info!(target: "natsd", server_id = server.shared.server_id, name = server.shared.server_name, "started");
        Ok(server)
    }

    /// The server's id, which is another one after each start.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.server_id
    }

    /// What people call the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.server_name
    }

    /// Where the server listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        *self.shared.addresses.read()
    }

    /// Listens elsewhere. What stays the same is not touched; new listeners are there before old ones go. Connections stay, and members
    /// of the cluster hear of it.
    ///
    /// # Errors
    /// When an address cannot be listened on; then nothing has changed.
    pub async fn set_listeners(&self, listeners: Listeners) -> Result<(), StartError> {
        let current = self.listening.lock().requested();
        let wanted = listen::bind(&listeners, &current).await?;
        let mut listening = self.listening.lock();
        listening.replace(&self.shared, &listeners, wanted);
        let now = listening.addresses();
        let before = std::mem::replace(&mut *self.shared.addresses.write(), now);
        drop(listening);
        if listeners.routes.is_some() {
            // A member of a cluster says to leafnodes and hubs which one, from the beginning.
            self.shared.enter_cluster();
        }
        if now != before {
            self.shared.tell_members();
            self.shared.tell_clients();
        }
        Ok(())
    }

    /// Changes who may connect, and cuts those who may not any more.
    pub fn set_policy(&self, policy: Policy) {
        *self.shared.policy.write() = policy;
        self.shared.recheck();
        self.shared.members.again.notify_waiters();
    }

    /// Takes in a connection that came some other way than by a listener.
    pub fn accept(
        &self,
        kind: Kind,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        remote: Option<String>,
    ) {
        if kind == Kind::Route {
            self.shared.enter_cluster();
        }
        if let Some(setup) = Setup::accepted(&self.shared, kind, remote) {
            setup.run_stream(stream);
        }
    }

    /// Keeps a route to a member of the cluster up, until the handle is dropped.
    #[must_use = "dropping the handle closes the route"]
    pub fn dial_route(&self, target: Target) -> Link {
        self.shared.enter_cluster();
        route::keep(&self.shared, target)
    }

    /// Gives the cluster another name. Routes that others dialled, and those to members of which others told, are closed; for those
    /// that this server keeps up, dial the new ones and then drop the old handles. With no name the server leaves its cluster: all
    /// routes are closed at once. Subscriptions stay.
    pub fn set_cluster_name(&self, name: Option<&str>) {
        self.shared.rename_cluster(name);
    }

    /// The name of the cluster, if the server is in one.
    #[must_use]
    pub fn cluster_name(&self) -> Option<String> {
        self.shared
            .cluster
            .read()
            .as_ref()
            .map(|cluster| cluster.name.clone())
    }

    /// Keeps a link to another server, of which this one is a leafnode, until the handle is dropped.
    #[must_use = "dropping the handle closes the link"]
    pub fn dial_leaf(&self, remote: LeafRemote) -> Link {
        leaf::keep(&self.shared, remote)
    }

    /// Returns a new client in this process.
    #[must_use]
    pub fn local(&self) -> LocalClient {
        let limits = &self.shared.limits;
        let conn = Conn::new(Parts {
            id: self.shared.next_id(),
            kind: Kind::Client,
            remote: None,
            out: Outbound::stream(
                limits.max_pending,
                limits.write_deadline,
                self.shared.spawner(),
            ),
            inbox: Some(Inbox::new(limits.max_pending)),
            link: None,
        });
        if let Err(why) = self.shared.enter(&conn, true) {
            conn.close(why);
        }
        LocalClient::new(Arc::clone(&self.shared), conn)
    }

    /// The longest message, in bytes, that this server and every server that it is a leafnode of takes now. A longer one does not leave by a
    /// link that would end of it. [`Event`]s tell when links come and go.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.shared.max_payload()
    }

    /// Returns counters and connections as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        // Nobody leaves meanwhile: each connection is counted once, as one that is here or as one that is gone.
        let gone = self.shared.gone.lock();
        let mut traffic = *gone;
        let mut conns: Vec<_> = self.shared.conns.lock().values().cloned().collect();
        conns.iter().for_each(|conn| traffic.add(conn));
        drop(gone);
        conns.sort_by_key(|conn| conn.id);
        Stats {
            traffic,
            connections: conns.iter().map(ConnectionStats::of).collect(),
            connections_total: self.shared.connections_total(),
            subscriptions: self.shared.tree.len(),
            slow_consumers: self.shared.slow_consumers(),
            violations: self.shared.violations(),
        }
    }

    /// Returns what happens from now on. A reader that is slow misses the oldest.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Closes a connection by its number, and says whether there was one.
    pub fn disconnect(&self, id: u64) -> bool {
        let conn = self.shared.conns.lock().get(&id).cloned();
        conn.as_ref()
            .inspect(|conn| conn.close(Close::Closed))
            .is_some()
    }

    /// Goes away without hurry: stops listening, tells clients and members to look elsewhere, and after `grace` closes the
    /// clients one by one over `duration`, so that they do not all come to another server at once. Then shuts down.
    pub async fn lame_duck(self, grace: Duration, duration: Duration) {
        self.listening.lock().stop();
        *self.shared.addresses.write() = Addresses::default();
        self.shared.lame_duck.store(true, Ordering::Relaxed);
        self.shared.tell_clients();
        self.shared.tell_members();
        tokio::time::sleep(grace).await;
        let conns: Vec<_> = self.shared.conns.lock().values().cloned().collect();
        let clients = conns
            .iter()
            .filter(|conn| conn.kind == Kind::Client && conn.inbox.is_none());
        let each = duration / u32::try_from(conns.len()).unwrap_or(u32::MAX).max(1);
        for conn in clients {
            conn.close(Close::Shutdown);
            tokio::time::sleep(each.min(LAME_DUCK_PAUSE_MAX)).await;
        }
        self.shutdown().await;
    }

    /// Stops listening, closes every connection, and returns when the last task has ended. What waits is written, for as long
    /// as the write deadline.
    pub async fn shutdown(self) {
        self.stop();
        self.shared.tasks.wait().await;
    }

    fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let conns: Vec<_> = self.shared.conns.lock().values().cloned().collect();
        for conn in conns {
            conn.close(Close::Shutdown);
            if let Some(inbox) = &conn.inbox {
                inbox.forget_all();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A connection that is about to begin.
pub(crate) struct Setup {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kind: Kind,
    pub(crate) remote: Option<String>,
    pub(crate) peer: Peer,
    /// What was read from it already and comes first.
    pub(crate) read: Bytes,
}

impl Setup {
    /// Returns a connection that the other end opened; nothing when the system gives no randomness.
    pub(crate) fn accepted(
        shared: &Arc<Shared>,
        kind: Kind,
        remote: Option<String>,
    ) -> Option<Self> {
        let nonce = make_nonce()?;
        let required = shared.policy.read().rules(kind).required();
        let peer = match kind {
            Kind::Client => Peer::Client(Client::new(nonce, required)),
            Kind::Route => Peer::Route(Route::accepted(nonce)),
            Kind::Leaf => Peer::Leaf(Leaf::accepted(nonce)),
        };
        Some(Self {
            shared: Arc::clone(shared),
            kind,
            remote,
            peer,
            read: Bytes::new(),
        })
    }

    /// Runs it on a TCP socket.
    pub(crate) fn run_tcp(self, stream: tokio::net::TcpStream) -> Arc<Conn> {
        // Batching is done here, so the system's would only delay; without the option it is merely slower.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let limits = &self.shared.limits;
        let spawner = self.shared.spawner();
        let out = Outbound::tcp(writer, self.max_pending(), limits.write_deadline, spawner);
        let read = std::io::Cursor::new(self.read.clone());
        let (shared, conn, session) = self.session(out);
        if read.get_ref().is_empty() {
            shared.tasks.spawn_on(session.run(reader), &shared.runtime);
        } else {
            shared
                .tasks
                .spawn_on(session.run(read.chain(reader)), &shared.runtime);
        }
        conn
    }

    /// Runs it on any other stream.
    pub(crate) fn run_stream(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> Arc<Conn> {
        let (reader, writer) = tokio::io::split(Box::pin(stream) as std::pin::Pin<Box<dyn Duplex>>);
        let limits = &self.shared.limits;
        let spawner = self.shared.spawner();
        let out = Outbound::stream(self.max_pending(), limits.write_deadline, spawner);
        let read = std::io::Cursor::new(self.read.clone());
        let (shared, conn, session) = self.session(out);
        let writing = Outbound::write_stream(writer, Arc::clone(&conn));
        shared.tasks.spawn_on(writing, &shared.runtime);
        shared
            .tasks
            .spawn_on(session.run(read.chain(reader)), &shared.runtime);
        conn
    }

    fn max_pending(&self) -> usize {
        match self.kind {
            Kind::Client => self.shared.limits.max_pending,
            Kind::Leaf | Kind::Route => crate::limits::MAX_LINK_PENDING_BYTES,
        }
    }

    fn session(self, out: Outbound) -> (Arc<Shared>, Arc<Conn>, Session) {
        let conn = Conn::new(Parts {
            id: self.shared.next_id(),
            kind: self.kind,
            remote: self.remote,
            out,
            inbox: None,
            link: self.peer.link(),
        });
        let session = Session::new(Arc::clone(&self.shared), Arc::clone(&conn), self.peer);
        (self.shared, conn, session)
    }
}

/// A stream in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}
