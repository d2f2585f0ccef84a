//! What all connections of a server share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Identity, Policy};
use crate::conn::{Batch, Close, Conn, Spawner, Sub};
use crate::link::{self, Interest};
use crate::options::{Advertise, Limits};
use crate::proto::{Connect, Info, Kind, write};
use crate::route::{Members, RouteOptions};
use crate::stats::{ByKind, Event};
use crate::sublist::Sublist;

/// The version that is told to clients, which decide by it what they may use. It is that of the reference server whose core
/// protocol this one speaks.
pub const VERSION: &str = "2.10.29";

/// What all connections of a server share. Locks are taken in this order: tree, links, interest, gone, a connection's subscriptions, a
/// connection's output; of the others, connections are taken within gone, what leafnodes were told before links, and the rest are never held together
/// with one of them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server_id: String,
    pub(crate) server_name: String,
    pub(crate) limits: Limits,
    pub(crate) isolate_leaves: bool,
    pub(crate) advertise: Advertise,
    pub(crate) tree: Sublist<Arc<Conn>>,
    /// Routes and leafnodes that are told of changed interest.
    pub(crate) links: RwLock<Vec<Arc<Conn>>>,
    /// What they were told.
    pub(crate) interest: Mutex<Interest<Arc<Conn>>>,
    pub(crate) policy: RwLock<Policy>,
    pub(crate) cluster: RwLock<Option<Cluster>>,
    pub(crate) route_options: RouteOptions,
    pub(crate) members: Members,
    /// Told when the cluster has another name.
    pub(crate) renamed: Notify,
    pub(crate) conns: Mutex<HashMap<u64, Arc<Conn>>>,
    /// What went over connections that left.
    pub(crate) gone: Mutex<ByKind>,
    /// Connections that have not authenticated, the oldest first.
    waiting: Mutex<VecDeque<Arc<Conn>>>,
    /// Where clients and leafnodes of the cluster can connect; own listeners first.
    pub(crate) addresses: RwLock<super::Addresses>,
    /// It is about to go away.
    pub(crate) lame_duck: AtomicBool,
    next_id: AtomicU64,
    slow_consumers: AtomicU64,
    violations: AtomicU64,
    /// What leafnodes were told last that the longest message may be.
    told_max_payload: Mutex<usize>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

/// The cluster that a server is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// The embedder gave the name, so that it stands.
    pub(crate) given: bool,
    /// A server made the name up.
    pub(crate) dynamic: bool,
    /// Others may call their cluster so as well: it was given, or there was a route since.
    pub(crate) shared: bool,
}

impl Shared {
    pub(crate) fn new(server_id: String, options: crate::Options) -> Self {
        let named = |name| Cluster {
            name,
            given: true,
            dynamic: false,
            shared: true,
        };
        let stop = CancellationToken::new();
        Self {
            server_name: options.server_name.unwrap_or_else(|| server_id.clone()),
            server_id,
            told_max_payload: Mutex::new(options.limits.max_payload),
            limits: options.limits,
            isolate_leaves: options.isolate_leaves,
            advertise: options.advertise,
            tree: Sublist::new(),
            links: RwLock::default(),
            interest: Mutex::new(Interest::new()),
            policy: RwLock::new(options.policy),
            cluster: RwLock::new(options.cluster_name.map(named)),
            route_options: options.routes,
            members: Members::new(stop.child_token()),
            renamed: Notify::new(),
            conns: Mutex::default(),
            gone: Mutex::default(),
            waiting: Mutex::default(),
            addresses: RwLock::default(),
            lame_duck: AtomicBool::new(false),
            next_id: AtomicU64::new(1),
            slow_consumers: AtomicU64::new(0),
            violations: AtomicU64::new(0),
            events: broadcast::Sender::new(256),
            stop,
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// Starts tasks of the server from any thread.
    pub(crate) fn spawner(&self) -> Spawner {
        Spawner {
            tasks: self.tasks.clone(),
            runtime: self.runtime.clone(),
        }
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Connections since the start.
    pub(crate) fn connections_total(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed) - 1
    }

    pub(crate) fn slow_consumers(&self) -> u64 {
        self.slow_consumers.load(Ordering::Relaxed)
    }

    pub(crate) fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    pub(crate) fn count_violation(&self) {
        self.violations.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the length of the longest message that this server and every server that it is a leafnode of takes.
    pub(crate) fn max_payload(&self) -> usize {
        let links = self.links.read();
        let told = links.iter().filter_map(|conn| conn.link.as_ref());
        let told = told.filter_map(|link| link.remote().max_payload);
        told.min()
            .unwrap_or(usize::MAX)
            .min(self.limits.max_payload)
    }

    /// Tells leafnodes and the embedder if the longest message has another length since a link came, went or said so.
    pub(crate) fn note_max_payload(&self) {
        // Held until all are told, so that nobody hears the older one last.
        let mut told = self.told_max_payload.lock();
        let bytes = self.max_payload();
        if std::mem::replace(&mut *told, bytes) != bytes {
            self.tell_leaves();
            // Nobody may be listening.
            let _ = self.events.send(Event::MaxPayload { bytes });
        }
    }

    /// Sends INFO again to the leafnodes that dialled, as the reference does when they could dial elsewhere.
    pub(crate) fn tell_leaves(&self) {
        let links = self.links.read().clone();
        for conn in links {
            let dialled_us = conn.link.as_ref().is_some_and(|link| !link.dialled);
            if conn.kind == Kind::Leaf && dialled_us {
                conn.send_now(&write::json_line("INFO", &self.leaf_info(&conn, "")));
            }
        }
    }

    /// Returns INFO with what is the same for every connection.
    pub(crate) fn info(&self, kind: Kind, nonce: &str) -> Info {
        let address = match kind {
            Kind::Client => self.addresses.read().clients,
            Kind::Leaf => self.addresses.read().leaves,
            Kind::Route => self.addresses.read().routes,
        };
        let cluster = self.cluster.read().clone();
        let policy = self.policy.read();
        let rules = policy.rules(kind);
        let signs = kind != Kind::Client || rules.wants_signature();
        Info {
            server_id: self.server_id.clone(),
            server_name: self.server_name.clone(),
            version: VERSION.to_owned(),
            proto: 1,
            host: address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.ip().to_string()),
            port: address.map_or(0, |address| address.port()),
            headers: true,
            auth_required: rules.required(),
            max_payload: self.limits.max_payload,
            nonce: signs.then(|| nonce.to_owned()),
            lame_duck: self.lame_duck.load(Ordering::Relaxed),
            cluster_dynamic: cluster.as_ref().is_some_and(|cluster| cluster.dynamic),
            cluster: cluster.map(|cluster| cluster.name),
            ..Info::default()
        }
    }

    /// Returns the INFO for a client.
    pub(crate) fn client_info(&self, conn: &Conn, nonce: &str) -> Info {
        let members = self.members.connect_urls();
        let own = self.addresses.read().clients;
        let own = own.filter(|address| !address.ip().is_unspecified());
        let urls = own
            .map(|address| address.to_string())
            .into_iter()
            .chain(members.iter().cloned());
        Info {
            connect_urls: (!members.is_empty() && !self.advertise.no_clients)
                .then(|| urls.collect()),
            client_id: Some(conn.id),
            client_ip: conn.remote.as_deref().map(|remote| {
                let address = remote.parse::<std::net::SocketAddr>();
                address.map_or_else(|_| remote.to_owned(), |address| address.ip().to_string())
            }),
            ..self.info(Kind::Client, nonce)
        }
    }

    /// Returns the INFO for a leafnode.
    pub(crate) fn leaf_info(&self, conn: &Conn, nonce: &str) -> Info {
        let info = Info {
            max_payload: self.max_payload(),
            ..self.info(Kind::Leaf, nonce)
        };
        let host = self.advertise.leaves.as_ref().unwrap_or(&info.host);
        Info {
            client_id: Some(conn.id),
            // Whoever dials takes it as the sign of a leafnode port, even if empty.
            leafnode_urls: Some(vec![Advertise::with_port(host, info.port)]),
            info_on_connect: true,
            ..info
        }
    }

    /// Lets a connection in, `ready` if it need not authenticate.
    pub(crate) fn enter(&self, conn: &Arc<Conn>, ready: bool) -> Result<(), Close> {
        {
            let mut conns = self.conns.lock();
            if conns.len() >= self.limits.max_connections {
                return Err(Close::TooManyConnections);
            }
            if self.stop.is_cancelled() {
                return Err(Close::Shutdown);
            }
            conns.insert(conn.id, Arc::clone(conn));
        }
        if !ready {
            let mut waiting = self.waiting.lock();
            waiting.push_back(Arc::clone(conn));
            // Whoever knows the credentials sends them at once; of the others, those who have been silent longest go.
            let too_many = waiting.len() > self.limits.max_unauthenticated;
            let oldest = if too_many { waiting.pop_front() } else { None };
            drop(waiting);
            if let Some(oldest) = oldest {
                oldest.close(Close::AuthTimeout);
            }
        }
        let event = Event::Connected {
            id: conn.id,
            kind: conn.kind,
        };
        // Nobody may be listening.
        let _ = self.events.send(event);
        tracing::debug!(target: "natsd", id = conn.id, kind = ?conn.kind, remote = conn.remote, "connected");
        Ok(())
    }

    /// Tells that a link can be used.
    pub(crate) fn link_is_up(&self, conn: &Conn, server_id: &str, server_name: &str) {
        tracing::info!(target: "natsd", id = conn.id, kind = ?conn.kind, server_id, server_name, "link up");
        let same_name = |link: &Arc<Conn>| {
            let other = link.link.as_ref()?.remote();
            (other.server_name == server_name && other.server_id != server_id)
                .then_some(other.server_id)
        };
        let other = self.links.read().iter().find_map(same_name);
        if let Some(other) = other.filter(|_| !server_name.is_empty()) {
            tracing::warn!(target: "natsd", "two servers call themselves \"{server_name}\": {server_id} and {other}");
        }
        let event = Event::LinkUp {
            id: conn.id,
            kind: conn.kind,
            server_id: server_id.to_owned(),
            server_name: server_name.to_owned(),
        };
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Returns who a connection is, or why it may not be here.
    pub(crate) fn authenticate(
        &self,
        conn: &Arc<Conn>,
        connect: &Connect,
        nonce: &str,
    ) -> Result<Identity, Close> {
        let identity = self
            .policy
            .read()
            .rules(conn.kind)
            .authenticate(connect, nonce);
        self.waiting
            .lock()
            .retain(|waiting| !Arc::ptr_eq(waiting, conn));
        identity
    }

    /// Says whether whoever is at the other end may call their server so.
    pub(crate) fn may_be_called(&self, conn: &Conn, server_name: &str) -> bool {
        let identity = conn.about().identity;
        let policy = self.policy.read();
        let rules = policy.rules(conn.kind);
        identity.is_none_or(|identity| rules.may_be_called(&identity, server_name))
    }

    /// Forgets a connection.
    pub(crate) fn leave(&self, conn: &Arc<Conn>, why: Close) {
        link::close(self, conn);
        self.waiting
            .lock()
            .retain(|waiting| !Arc::ptr_eq(waiting, conn));
        {
            let mut gone = self.gone.lock();
            if self.conns.lock().remove(&conn.id).is_none() {
                return;
            }
            gone.add(conn);
        }
        if matches!(why, Close::SlowConsumer | Close::WriteDeadline) {
            self.slow_consumers.fetch_add(1, Ordering::Relaxed);
        }
        if why.is_violation() {
            self.count_violation();
        }
        tracing::debug!(target: "natsd", id = conn.id, kind = ?conn.kind, remote = conn.remote, %why, "disconnected");
        let event = Event::Disconnected {
            id: conn.id,
            kind: conn.kind,
            why,
            server_name: conn.link.as_ref().map(|link| link.remote().server_name),
        };
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    pub(crate) fn add_subscription(&self, sub: &Arc<Sub>) {
        let mut batch = Batch::default();
        self.tree.insert(sub, |changed| {
            link::announce_change(self, changed, sub, sub.weight(), &mut batch);
        });
    }

    pub(crate) fn remove_subscription(&self, sub: &Arc<Sub>) {
        let conn = &sub.owner;
        {
            let mut subs = conn.subs.lock();
            // A newer subscription may have the name by now.
            if subs
                .get(&sub.sid)
                .is_some_and(|found| Arc::ptr_eq(found, sub))
            {
                subs.remove(&sub.sid);
            }
        }
        if let Some(inbox) = &conn.inbox {
            inbox.forget(&sub.sid);
        }
        let mut batch = Batch::default();
        self.tree.remove(sub, |changed| {
            link::announce_change(self, changed, sub, 0, &mut batch);
        });
    }

    pub(crate) fn reweigh_subscription(&self, sub: &Arc<Sub>, weight: u32) {
        let mut batch = Batch::default();
        self.tree.reweigh(sub, weight, |changed| {
            link::announce_change(self, changed, sub, weight, &mut batch);
        });
    }

    /// Ends all subscriptions of a connection.
    pub(crate) fn drop_subscriptions(&self, conn: &Arc<Conn>) {
        let subs: Vec<_> = conn.subs.lock().drain().map(|(_, sub)| sub).collect();
        for sub in &subs {
            self.remove_subscription(sub);
        }
    }

    /// Ends what a batch showed to be over.
    pub(crate) fn retire(&self, batch: &mut Batch) {
        for sub in batch.finished.drain(..) {
            self.remove_subscription(&sub);
        }
        for conn in batch.cut.drain(..) {
            self.leave(&conn, Close::SlowConsumer);
        }
    }

    /// Closes everybody who is not let in by the policy any more, and gives the others their new permissions.
    pub(crate) fn recheck(&self) {
        let conns: Vec<_> = self.conns.lock().values().cloned().collect();
        for conn in conns.iter().filter(|conn| conn.inbox.is_none()) {
            let Some(identity) = conn.about().identity else {
                continue;
            };
            let still = self.policy.read().rules(conn.kind).still(&identity);
            match still {
                Ok(identity) => conn.set_identity(identity),
                Err(why) => conn.close(why),
            }
        }
    }
}
