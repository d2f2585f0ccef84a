//! This agent's part of the mesh: the NATS server inside it, the links to other agents, and the replication that runs over them.
//!
//! The [`role`] says what is listened on and dialled; it and the [joins](dial) can change while traffic flows. The [`gate`] lets those in
//! over links whom this agent trusts, by the key that their identity vouched for; clients want the token of the runtime file.

mod amiss;
mod clocks;
mod dial;
mod follow;
mod gate;
mod join;
mod lan;
mod neighbours;
mod offered;
mod parted;
mod presence;
mod role;
mod show;
mod switch;
mod tunnel;
mod twins;
mod upstream;
#[cfg(target_os = "linux")]
mod wake;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edgesync_bus::{Connection, Login, Nats, SharedBus};
use natsd::auth::Policy;
use natsd::{Addresses, Limits, Options, RouteOptions, Server};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Chosen, Error, Role, Time};
use crate::bridges::{Bridges, Host};
use crate::events::{Events, Telling};
use crate::limits;
use crate::members::{Members, Spread};
use crate::pairing::{self, Pairings};
use crate::replication::{Replication, Setup};
use crate::repository::Hosted;
use crate::state::StateDb;
use crate::sync::{Http, Wishes};
use crate::trust::{EndpointId, Keys, Trust};
use crate::wire::Wire;
use dial::Dialler;
use join::Way;
pub use join::{JoinUrl, JoinUrlError};
use neighbours::Neighbours;
pub use neighbours::neighbours_folder;
pub(crate) use offered::SCHEME as AGENT_SCHEME;
use switch::Switch;
pub use tunnel::TunnelConfig;
use upstream::Upstream;
pub(crate) use upstream::no_bus;
pub use upstream::{UpstreamUrl, UpstreamUrlError};

/// The name of the agent's own connection to its server.
const OWN_CLIENT: &str = "edgesync-agent";

/// What the mesh is told by flags and environment.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// The role; the one that was chosen in the app, or else `peer`, when it is not given.
    pub role: Option<Role>,
    /// Where clients connect.
    pub nats_listen: SocketAddr,
    /// Where leaves connect, in roles that accept them.
    pub leaf_listen: SocketAddr,
    /// Where peers and hubs connect, in roles that accept them.
    pub route_listen: SocketAddr,
    /// Whom to dial.
    pub joins: Vec<JoinUrl>,
    /// The tunnel; without it only addresses are dialled.
    pub tunnel: Option<TunnelConfig>,
    /// Where agents of one user on one machine tell of themselves; without it this one neither tells nor looks.
    pub neighbours: Option<PathBuf>,
    /// A NATS server beside the mesh to join as well.
    pub upstream: Option<UpstreamUrl>,
    /// What subjects begin with.
    pub prefix: String,
    /// Answer sync requests.
    pub serve: bool,
}

impl Default for MeshConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            role: None,
            nats_listen: loopback,
            leaf_listen: loopback,
            route_listen: loopback,
            joins: Vec::new(),
            tunnel: None,
            neighbours: None,
            upstream: None,
            prefix: crate::wire::PREFIX.to_owned(),
            serve: true,
        }
    }
}

/// What the mesh takes from the rest of the agent.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) peer_id: String,
    pub(crate) keys: Arc<Keys>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) state: Arc<StateDb>,
    pub(crate) members: Arc<Members>,
    pub(crate) events: Arc<Events>,
    pub(crate) http: Http,
    pub(crate) wishes: Wishes,
    pub(crate) poll: Duration,
    pub(crate) tasks: TaskTracker,
    /// Held by who still has to say good-bye when the agent stops.
    pub(crate) farewells: TaskTracker,
    pub(crate) stopped: CancellationToken,
}

/// This agent's part of the mesh.
#[derive(Debug)]
pub(crate) struct Mesh {
    config: MeshConfig,
    parts: Parts,
    server: Server,
    token: String,
    policy: Policy,
    twin: gate::Twin,
    /// Who says that it has unpaired this agent, and since when.
    unpaired_by: Mutex<BTreeMap<EndpointId, Time>>,
    role: Arc<Mutex<(Role, Chosen)>>,
    /// One change of the role at a time.
    changing: tokio::sync::Mutex<()>,
    dialler: Dialler,
    tunnel: Switch,
    neighbours: Option<Arc<Neighbours>>,
    upstream: Option<Upstream>,
    /// Where the bus is told how long a message may be for the servers that this one is a leafnode of.
    most: Arc<AtomicUsize>,
    replication: Arc<Replication>,
    bridges: Arc<Bridges>,
    /// Told when there is a new way to others, and when there is none.
    ways: tokio::sync::watch::Sender<bool>,
    spread: Arc<Spread>,
    pairings: Arc<Pairings>,
    telling: Telling,
    since: Time,
}

/// The mesh did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// The server did not start.
    #[error(transparent)]
    Server(#[from] natsd::StartError),
    /// The tunnel did not open.
    #[error(transparent)]
    Tunnel(#[from] edgesync_tunnel::OpenError),
    /// The agent's own connection to its server failed.
    #[error("the agent cannot use its own NATS server: {0}")]
    Client(#[from] edgesync_bus::ConnectError),
    /// `agent.db` cannot be used.
    #[error("agent.db: {0}")]
    State(#[from] rusqlite::Error),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// Replication, or a bridge, did not begin.
    #[error("{}", .0.message)]
    Replication(Error),
}

impl Mesh {
    /// Starts the server, joins it, and begins to dial and replicate. Repositories are handed over later.
    ///
    /// # Errors
    /// [`MeshError`]; nothing of it is left running then.
    pub(crate) async fn start(config: MeshConfig, parts: Parts) -> Result<Arc<Self>, MeshError> {
        let role = match (config.role, parts.state.role()?) {
            (Some(role), _) => (role, Chosen::Flag),
            (None, Some(role)) => (role, Chosen::App),
            (None, None) => (Role::Peer, Chosen::Default),
        };
        let token = crate::text::to_hex(&crate::text::random::<32>()?);
        let twin = gate::Twin::default();
        let policy = gate::policy(&parts.trust, parts.keys.id(), &twin, &token);
        let server = Server::start(options(role.0, &config, &parts, &policy));
        let server = server.await?;
        let bus = own_client(&server, &token).await?;
        let (connected, most) = (bus.connected(), bus.most());
        let (upstream, bus): (_, SharedBus) = match &config.upstream {
            Some(url) => {
                let (upstream, bus) = Upstream::open(url, bus).await?;
                (Some(upstream), bus)
            }
            None => (None, Arc::new(bus)),
        };
        let wire = Wire {
            bus,
            prefix: config.prefix.clone(),
            keys: Arc::clone(&parts.keys),
            trust: Arc::clone(&parts.trust),
        };
        // Before anybody comes who is asked about there.
        let pairings = pairings(&parts)?;
        let tunnel = Switch::at_start(config.tunnel.as_ref(), &parts).await?;
        let replication = Replication::start(Setup {
            wire: wire.clone(),
            wishes: parts.wishes,
            serve: config.serve,
            poll: parts.poll,
            tasks: parts.tasks.clone(),
            farewells: parts.farewells.clone(),
            stopped: parts.stopped.clone(),
            events: Arc::clone(&parts.events),
        });
        let replication = replication.map_err(MeshError::Replication)?;
        let role = Arc::new(Mutex::new(role));
        let ways = tokio::sync::watch::Sender::new(true);
        let bridges = bridges(&parts, &wire, &ways)?;
        replication.beside(&bridges);
        replication.heed(&parts.members);
        let spread = spread(&parts, &replication, wire, &role);
        let dialler = Dialler::new(&config.joins, &parts.state.joins()?);
        let neighbours = config.neighbours.clone();
        let neighbours = neighbours.map(|it| Arc::new(Neighbours::new(it, parts.keys.id())));
        let mesh = Arc::new(Self {
            neighbours,
            config,
            parts,
            server,
            token,
            policy,
            twin,
            unpaired_by: Mutex::default(),
            role,
            changing: tokio::sync::Mutex::default(),
            dialler,
            tunnel,
            upstream,
            most,
            replication,
            bridges,
            ways,
            spread,
            pairings,
            telling: Telling::default(),
            since: Time::now(),
        });
        mesh.begin(connected);
        Ok(mesh)
    }

    /// Begins to dial, and to follow what happens.
    fn begin(self: &Arc<Self>, connected: tokio::sync::watch::Receiver<bool>) {
        // Before anything is dialled, so that no link comes up unseen.
        let events = self.server.events();
        self.parts.tasks.spawn(Arc::clone(self).watch_links(events));
        if let Some(tunnel) = self.tunnel.now() {
            self.begin_tunnel(&tunnel);
        }
        let (role, _) = *locked(&self.role);
        self.begin_upstream();
        self.dial(role);
        // Whoever runs a NATS server can let this key in.
        tracing::info!(
            role = role.as_str(),
            nkey = self.parts.keys.nkey(),
            "on the bus"
        );
        self.parts
            .tasks
            .spawn(Arc::clone(self).watch_bus(connected));
        self.parts.tasks.spawn(Arc::clone(self).watch_peers());
        self.parts.tasks.spawn(Arc::clone(self).watch_bridges());
        self.parts.tasks.spawn(Arc::clone(self).watch_members());
        self.parts.tasks.spawn(Arc::clone(self).watch_told());
        self.parts.tasks.spawn(Arc::clone(self).tell_time());
        self.parts.tasks.spawn(Arc::clone(self).ask_times());
        self.parts.tasks.spawn(Arc::clone(self).watch_neighbours());
        self.parts.tasks.spawn(Arc::clone(&self.pairings).keep());
        self.spawn(Arc::clone(self).watch_place());
        #[cfg(target_os = "linux")]
        self.spawn(Arc::clone(self).watch_sleep());
        self.spawn(Arc::clone(&self.pairings).resume(Arc::clone(self)));
        self.spawn(Arc::clone(&self.pairings).ask_unconfirmed(Arc::clone(self)));
    }

    /// Who keeps the repositories equal.
    pub(crate) fn replication(&self) -> &Arc<Replication> {
        &self.replication
    }

    /// Has the mesh keep a repository equal, and tells the others that it is here.
    pub(crate) fn host(&self, hosted: &Arc<Hosted>) {
        self.replication.host(hosted);
        self.spread.greet();
    }

    /// Takes a repository from the mesh, and tells the others.
    pub(crate) fn unhost(&self, name: &str) {
        self.replication.unhost(name);
        self.spread.greet();
    }

    /// The stock servers that this agent has on the bus.
    pub(crate) fn bridges(&self) -> &Arc<Bridges> {
        &self.bridges
    }

    /// Has a stock server on the bus, now and after each start.
    ///
    /// # Errors
    /// Those of [`Bridges::add`].
    pub(crate) async fn add_bridge(&self, wish: api::AddBridge) -> Result<api::Bridge, Error> {
        let hosted = self.replication.hosted().into_iter();
        let hosted = hosted.filter_map(|it| Some((it.project_code()?, it.name().to_owned())));
        self.bridges.add(wish, &hosted.collect()).await
    }

    /// Who is being paired.
    pub(crate) fn pairings(&self) -> &Arc<Pairings> {
        &self.pairings
    }

    /// Returns what the server counted.
    pub(crate) fn stats(&self) -> natsd::Stats {
        self.server.stats()
    }

    /// The bus.
    pub(crate) fn bus(&self) -> SharedBus {
        self.replication.bus()
    }

    /// What clients of the bus have to know.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Where the server listens.
    pub(crate) fn addresses(&self) -> Addresses {
        self.server.addresses()
    }

    /// Takes another role while traffic flows: the new listeners and links are made first, the old ones end then. Only routes end before
    /// a leaf's link begins: both at once, everything would arrive twice.
    ///
    /// # Errors
    /// `conflict` when an address cannot be listened on; the role is as it was then.
    pub(crate) async fn set_role(self: &Arc<Self>, role: Role) -> Result<(), Error> {
        let _alone = self.changing.lock().await;
        let listeners = role::listeners(role, &self.config);
        let listening = self.server.set_listeners(listeners).await;
        listening.map_err(|error| Error::new(api::Code::Conflict, error.to_string()))?;
        let state = Arc::clone(&self.parts.state);
        let kept = tokio::task::spawn_blocking(move || state.set_role(role)).await;
        kept.map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| Error::internal(format!("agent.db: {error}")))?;
        *locked(&self.role) = (role, Chosen::App);
        if role == Role::Leaf {
            self.server.set_cluster_name(None);
        }
        self.dial(role);
        if role == Role::Leaf {
            self.hang_up_accepted();
        }
        self.publish();
        Ok(())
    }

    /// Looks again at whom this agent dials, and tells everyone.
    async fn dial_again(self: &Arc<Self>) {
        let alone = self.changing.lock().await;
        self.dial(locked(&self.role).0);
        drop(alone);
        self.publish();
    }

    /// Dials what an agent in this role dials, and hangs up what it does not.
    fn dial(self: &Arc<Self>, role: Role) {
        self.retire_upstream(role);
        self.dialler.dial(self, role);
        self.dial_upstream(role);
        self.stir();
    }

    /// Has those on this machine and its network looked at anew: who is trusted, or where this agent listens, has changed perhaps.
    fn stir(&self) {
        if let Some(neighbours) = &self.neighbours {
            neighbours.stir();
        }
        if let Some(lan) = self.tunnel.now().and_then(|it| it.lan()) {
            lan.stir();
        }
    }

    /// Ends the links that others made to this server, which accepts none any more.
    fn hang_up_accepted(&self) {
        for link in self.server.stats().connections {
            if link.kind != natsd::proto::Kind::Client && !link.dialled {
                self.server.disconnect(link.id);
            }
        }
    }

    /// Looks again at who may have a link: rights were given or taken.
    pub(crate) fn trust_changed(&self) {
        self.server.set_policy(self.policy.clone());
        self.spread.greet();
        self.replication.forget_unknown();
        if let Some(tunnel) = self.tunnel.now() {
            tunnel.trust_changed(&self.parts.trust);
        }
        self.stir();
        self.publish();
    }

    /// Dials one more address, now and after each start.
    ///
    /// # Errors
    /// `conflict` when it is there already, or leads to an agent of this machine that is joined by itself; `internal` when `agent.db` cannot be written.
    pub(crate) async fn add_join(self: &Arc<Self>, url: JoinUrl) -> Result<api::Join, Error> {
        if self.neighbours.as_ref().is_some_and(|it| it.has(&url)) {
            let message =
                format!("{url} is an agent of yours on this machine, which is joined already");
            let hint = "Nothing is left to do. To have it joined at this address alone, start this agent with --no-neighbours.";
            return Err(Error::new(api::Code::Conflict, message).with_hint(hint));
        }
        let id = self.dialler.add(&url)?;
        let (state, kept) = (Arc::clone(&self.parts.state), url.to_string());
        let kept = tokio::task::spawn_blocking(move || state.add_join(&kept)).await;
        kept.map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| Error::internal(format!("agent.db: {error}")))?;
        self.dial_again().await;
        let join = self.dialler.show().into_iter().find(|join| join.id == id);
        join.ok_or_else(|| Error::not_found("the join was removed meanwhile"))
    }

    /// Hangs up and forgets the addresses of an agent that is no longer paired. Those that flags gave stay, and are refused.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) async fn remove_joins_of(self: &Arc<Self>, id: &EndpointId) -> Result<(), Error> {
        for join in self.dialler.chosen_joins_of(id) {
            self.remove_join(&join).await?;
        }
        Ok(())
    }

    /// Hangs up and forgets an address.
    ///
    /// # Errors
    /// `not_found` when there is none of this id, `internal` when `agent.db` cannot be written.
    pub(crate) async fn remove_join(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let url = self.dialler.remove(id)?;
        let state = Arc::clone(&self.parts.state);
        let forgotten = tokio::task::spawn_blocking(move || state.remove_join(&url)).await;
        forgotten
            .map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| Error::internal(format!("agent.db: {error}")))?;
        self.dial_again().await;
        Ok(())
    }

    /// Returns why this agent cannot dial an address in any role.
    fn cannot_dial(&self, url: &JoinUrl) -> Option<&'static str> {
        let off = url.way() == Way::Tunnel && self.tunnel.now().is_none();
        off.then_some("the tunnel is off")
    }

    /// Waits until who has to was told that this agent stops. Who is not told in time finds out by its silence.
    async fn farewell(&self) {
        self.parts.farewells.close();
        let told = self.parts.farewells.wait();
        let _ = timeout(limits::BUS_FAREWELL.saturating_mul(2), told).await;
    }

    /// Tells everyone how the mesh is now.
    pub(crate) fn publish(&self) {
        self.parts.events.publish_now(&self.telling, || {
            let mesh = Box::new(self.show());
            api::Event::Mesh { mesh }
        });
    }
}

/// Returns how the server is made that is inside the agent.
fn options(role: Role, config: &MeshConfig, parts: &Parts, policy: &Policy) -> Options {
    Options {
        server_name: Some(parts.keys.id().to_string()),
        listeners: role::listeners(role, config),
        policy: policy.clone(),
        limits: Limits {
            ping_interval: limits::BUS_PING,
            ..Limits::default()
        },
        routes: RouteOptions {
            credentials: gate::credentials(&parts.keys),
            ..RouteOptions::default()
        },
        ..Options::default()
    }
}

/// Begins the bridges that `agent.db` remembers.
fn bridges(
    parts: &Parts,
    wire: &Wire,
    ways: &tokio::sync::watch::Sender<bool>,
) -> Result<Arc<Bridges>, MeshError> {
    let host = Host {
        wire: wire.clone(),
        http: parts.http.clone(),
        poll: parts.poll,
        ways: ways.subscribe(),
        tasks: parts.tasks.clone(),
        stopped: parts.stopped.clone(),
    };
    Bridges::open(host, Arc::clone(&parts.state)).map_err(MeshError::Replication)
}

/// Begins to spread the mesh's records.
fn spread(
    parts: &Parts,
    replication: &Arc<Replication>,
    wire: Wire,
    role: &Arc<Mutex<(Role, Chosen)>>,
) -> Arc<Spread> {
    let (replication, role) = (Arc::clone(replication), Arc::clone(role));
    Spread::start(
        Arc::clone(&parts.members),
        move || replication.hosted(),
        wire,
        move || locked(&role).0,
        &parts.tasks,
        &parts.stopped,
    )
}

/// Opens the room in which agents are paired.
fn pairings(parts: &Parts) -> rusqlite::Result<Arc<Pairings>> {
    let parts = pairing::Parts {
        host: parts.keys.id(),
        state: Arc::clone(&parts.state),
        events: Arc::clone(&parts.events),
        members: Arc::clone(&parts.members),
        stopped: parts.stopped.clone(),
    };
    Pairings::open(parts)
}

/// Connects to the agent's own server, as any client does.
async fn own_client(server: &Server, token: &str) -> Result<Nats, edgesync_bus::ConnectError> {
    let address = server.addresses().clients.map(crate::net::reachable);
    let address = address.map(|address| address.to_string());
    Nats::connect(&Connection {
        urls: vec![format!("nats://{}", address.unwrap_or_default())],
        login: Login::Token(token.to_owned()),
        tls: None,
        name: OWN_CLIENT.to_owned(),
    })
    .await
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single calls that leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
