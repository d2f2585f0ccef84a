//! The tunnel of this agent: its endpoint, the links that others make over it, and those that this agent makes. Streams run straight into
//! the NATS server inside. Who may come is who is trusted; everybody else is turned away by its key and remembered for people to see.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use edgesync_tunnel::{Admission, Arrivals, Event, NOT_PAIRED, OpenError, Path, PeerId, Protocol};
use edgesync_tunnel::{Relay, Stream, StreamError, Ticket, Tunnel as Endpoint, UNPAIRED, Verdict};
use natsd::Target;
use natsd::proto::Kind;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::lan::{Lan, Near};
use super::{Mesh, Parts, locked};
use crate::api::{self, Level, Role, Time};
use crate::frames;
use crate::limits;
use crate::members::Place;
use crate::serve::tunnel::Door;
use crate::streams;
use crate::trust::{EndpointId, Trust};

/// What the tunnel is told by flags and environment.
#[derive(Debug, Clone, Default)]
pub struct TunnelConfig {
    /// The UDP addresses to listen on; all interfaces when there are none.
    pub listen: Vec<SocketAddr>,
    /// The relays at which peers can be met.
    pub relays: Vec<Relay>,
    /// Use iroh's public relays and lookup.
    pub public: bool,
    /// Tell the local network of this agent, and look for trusted ones there.
    pub lan: bool,
}

/// The agent's endpoint.
#[derive(Debug)]
pub(super) struct Tunnel {
    endpoint: Endpoint,
    /// What others open, until somebody takes it in hand.
    arrivals: Mutex<Option<Arrivals>>,
    /// Who was turned away, and when last.
    refused: Mutex<BTreeMap<EndpointId, Time>>,
    /// What is heard on the local network, where somebody listens.
    lan: Option<Arc<Lan>>,
    /// Done when it is to be closed, with the agent or before.
    closing: CancellationToken,
}

impl Tunnel {
    /// Opens the endpoint.
    pub(super) async fn open(config: &TunnelConfig, parts: &Parts) -> Result<Self, OpenError> {
        let (keys, state) = (&parts.keys, &parts.state);
        let (trust, members) = (Arc::clone(&parts.trust), Arc::clone(&parts.members));
        let admits: Admission = Arc::new(move |peer, protocol| {
            let id = endpoint_id(peer);
            if trust.register.has_revoked(&id) {
                return Verdict::Unpaired;
            }
            Verdict::from(match protocol {
                Protocol::Leaf | Protocol::Route | Protocol::Xfer => trust.register.knows(&id),
                Protocol::Members => members.listens_to(&id),
                Protocol::Pair => false,
            })
        });
        let lan = config.lan.then(Arc::default);
        let config = edgesync_tunnel::Config {
            secret: *keys.secret(),
            listen: config.listen.clone(),
            // A number that cannot be read costs old tickets, nothing else.
            preferred_port: state.tunnel_port().ok().flatten(),
            relays: config.relays.clone(),
            public: config.public,
        };
        let (endpoint, arrivals) = Endpoint::open(config, admits).await?;
        if let Some(port) = endpoint.ports().first()
            && let Err(error) = state.set_tunnel_port(*port)
        {
            tracing::warn!(%error, "the tunnel's port is not remembered");
        }
        Ok(Self {
            endpoint,
            arrivals: Mutex::new(Some(arrivals)),
            refused: Mutex::default(),
            lan,
            closing: parts.stopped.child_token(),
        })
    }

    /// Done when the tunnel is to be closed.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Returns what is heard on the local network.
    pub(super) fn lan(&self) -> Option<Arc<Lan>> {
        self.lan.clone()
    }

    /// Closes the endpoint; who has links to it is told.
    pub(super) async fn shut(&self) {
        self.closing.cancel();
        self.endpoint.close().await;
    }

    /// Returns a handle of the endpoint.
    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// How others reach this agent.
    pub(super) fn ticket(&self) -> Ticket {
        self.endpoint.ticket()
    }

    /// The UDP addresses that are listened on.
    pub(super) fn listens(&self) -> Vec<SocketAddr> {
        self.endpoint.listens()
    }

    /// Looks again at who may have connections.
    pub(super) fn trust_changed(&self, trust: &Trust) {
        self.endpoint.recheck();
        for link in self.endpoint.links() {
            // Who is only being paired is known to nobody yet.
            let counts = link.dialled && link.protocol != Protocol::Pair;
            if counts && !trust.register.knows(&endpoint_id(&link.peer)) {
                self.endpoint.cut(link.peer);
            }
        }
    }

    /// Returns who was turned away and is still not trusted, and when last.
    pub(super) fn refused(&self, trust: &Trust) -> Vec<(EndpointId, Time)> {
        let mut refused = locked(&self.refused);
        refused.retain(|id, _| !trust.register.knows(id));
        refused.iter().map(|(id, at)| (*id, *at)).collect()
    }

    fn remember(&self, id: EndpointId) {
        let mut refused = locked(&self.refused);
        if refused.len() >= limits::STRANGERS && !refused.contains_key(&id) {
            let oldest = refused.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id);
            oldest.map(|id| refused.remove(&id));
        }
        refused.insert(id, Time::now());
    }

    /// Returns the way to a peer over the tunnel, if a link of the bus stands on it.
    pub(super) fn way(&self, peer: &EndpointId) -> Option<api::TunnelWay> {
        let links = self.endpoint.links();
        let link = links
            .into_iter()
            .rev()
            .filter(|link| matches!(link.protocol, Protocol::Leaf | Protocol::Route))
            .find(|link| endpoint_id(&link.peer) == *peer)?;
        let (path, address) = match link.path? {
            Path::Direct(address) => (api::TunnelPath::Direct, address.to_string()),
            Path::Relay(url) => (api::TunnelPath::Relay, url),
        };
        Some(api::TunnelWay {
            path,
            address,
            round_trip_ms: link.round_trip.map(|it| it.as_secs_f64() * 1000.0),
        })
    }

    /// Remembers where a peer says on the local network that it is.
    pub(super) fn hint(&self, id: &EndpointId, near: Option<&Near>) {
        let mut hint = Ticket::of(PeerId::from(*id.as_bytes()));
        hint.addresses
            .extend(near.into_iter().flat_map(|it| &it.addresses));
        self.endpoint.hint(hint);
    }

    /// Remembers where a peer is, by the ticket that is known of it and by what it says itself as a member.
    pub(super) fn know(&self, ticket: &Ticket, place: Option<&Place>) {
        let mut known = ticket.clone();
        if let Some(Place { ticket, .. }) = place {
            known.addresses.extend(&ticket.addresses);
            known.relay = ticket.relay.clone().or(known.relay);
        }
        if !known.addresses.is_empty() || known.relay.is_some() {
            self.endpoint.know(known);
        }
    }

    /// Returns how a link to the agent of this ticket is opened: as its leaf, or as a member of the same cluster.
    pub(super) fn target(&self, ticket: &Ticket, role: Role) -> Target {
        let protocol = match role {
            Role::Leaf => Protocol::Leaf,
            Role::Peer | Role::Hub => Protocol::Route,
        };
        let (endpoint, peer) = (self.endpoint.clone(), ticket.peer);
        Target::stream(name(&peer), move || {
            let endpoint = endpoint.clone();
            async move {
                let stream = endpoint.stream(peer, protocol).await;
                stream.map_err(io::Error::other)
            }
        })
    }
}

impl Mesh {
    /// Hands the streams that others open to the server, and requests on them to their door, until the agent stops and everybody was told.
    async fn serve_tunnel(self: Arc<Self>, tunnel: Arc<Tunnel>) {
        let arrivals = locked(&tunnel.arrivals).take();
        let Some(mut arrivals) = arrivals else { return };
        let door = Door::new(Arc::clone(&self.replication), Arc::clone(&self.parts.trust));
        loop {
            let arrival = tokio::select! {
                () = tunnel.closing.cancelled() => break,
                arrival = arrivals.recv() => arrival,
            };
            let Some(arrival) = arrival else { break };
            let kind = match arrival.protocol {
                Protocol::Leaf => Kind::Leaf,
                Protocol::Route => Kind::Route,
                Protocol::Pair => {
                    let pairings = Arc::clone(&self.pairings);
                    let party = endpoint_id(&arrival.peer);
                    self.spawn(pairings.host(party, arrival.stream));
                    continue;
                }
                Protocol::Members => {
                    self.exchange_members(endpoint_id(&arrival.peer), arrival.stream);
                    continue;
                }
                Protocol::Xfer => {
                    let id = endpoint_id(&arrival.peer);
                    // A leaf answers those whom it has joined, and nobody else.
                    if locked(&self.role).0 != Role::Leaf || streams::stands(&tunnel.endpoint, &id)
                    {
                        // It ends by itself: each of its waits has a limit.
                        match arrival.ours {
                            true => tokio::spawn(door.clone().answer(id, arrival.stream)),
                            false => tokio::spawn(door.clone().answer_bare(id, arrival.stream)),
                        };
                    }
                    continue;
                }
            };
            if locked(&self.role).0 != Role::Leaf {
                let remote = Some(name(&arrival.peer));
                self.server.accept(kind, arrival.stream, remote);
            }
        }
        if self.parts.stopped.is_cancelled() {
            self.farewell().await;
        }
        tunnel.endpoint.close().await;
    }

    /// Tells the mesh where this agent is, and again whenever that is another place, until the agent stops.
    pub(super) async fn watch_place(self: Arc<Self>) {
        let mut changes = self.parts.members.changes();
        self.ticket_soon().await;
        loop {
            changes.mark_unchanged();
            let ticket = self.tunnel.now().map(|it| it.ticket());
            // One that is made anew has no address for a moment, and is soon where it was.
            let nowhere = |it: &Ticket| it.addresses.is_empty() && it.relay.is_none();
            if !ticket.as_ref().is_some_and(nowhere) {
                let ticket = ticket.map(|it| it.to_string()).unwrap_or_default();
                let (members, role) = (Arc::clone(&self.parts.members), locked(&self.role).0);
                let told = tokio::task::spawn_blocking(move || members.be_at(&ticket, role)).await;
                if let Ok(Err(error)) = told {
                    tracing::warn!(%error, "the mesh is not told where this agent is");
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(limits::PLACE_LOOK) => {}
            }
        }
    }

    /// Remembers who is turned away, and tells everyone of connections that come and go.
    async fn watch_tunnel(
        self: Arc<Self>,
        tunnel: Arc<Tunnel>,
        mut events: broadcast::Receiver<Event>,
    ) {
        loop {
            let event = tokio::select! {
                () = tunnel.closing.cancelled() => return,
                event = events.recv() => event,
            };
            match event {
                Ok(Event::Refused { peer, .. }) => {
                    let id = endpoint_id(&peer);
                    // One that was unpaired is no news, and dials for as long as it runs.
                    if self.parts.trust.register.has_revoked(&id) {
                        tracing::debug!(%id, "an agent that was unpaired wanted a link");
                        continue;
                    }
                    tunnel.remember(id);
                    let text = format!("{id} wanted a link over the tunnel and is not trusted");
                    self.parts.events.log(Level::Warn, None, text);
                }
                Ok(Event::Rebuilt { why }) => {
                    let text = format!("the tunnel was made anew: {why}");
                    self.parts.events.log(Level::Info, None, text);
                }
                Ok(Event::Down { peer, why, .. }) if why.contains(UNPAIRED) => {
                    self.unpaired_by(endpoint_id(&peer));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
            self.publish();
        }
    }

    /// Begins to take in what others open over this tunnel, and to follow it.
    pub(super) fn begin_tunnel(self: &Arc<Self>, tunnel: &Arc<Tunnel>) {
        self.replication.use_tunnel(Some(tunnel.endpoint()));
        let events = tunnel.endpoint.events();
        let tasks = &self.parts.tasks;
        tasks.spawn(Arc::clone(self).serve_tunnel(Arc::clone(tunnel)));
        tasks.spawn(Arc::clone(self).watch_tunnel(Arc::clone(tunnel), events));
        if let Some(lan) = tunnel.lan() {
            tasks.spawn(Arc::clone(self).watch_lan(Arc::clone(tunnel), lan));
        }
    }

    /// Runs something until it is done or the agent stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.parts.stopped.clone();
        self.parts.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Tells a member over a stream what it lacks, and hears from it.
    fn exchange_members(self: &Arc<Self>, peer: EndpointId, mut stream: Stream) {
        let (mesh, spread) = (Arc::clone(self), Arc::clone(&self.spread));
        self.spawn(async move {
            mesh.pairings.hears_from(&mesh, peer).await;
            let exchanged = spread.exchange(peer, &mut stream).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
            if let Err(error) = exchanged {
                tracing::debug!(%peer, %error, "records were not exchanged");
            }
        });
    }

    /// Exchanges records with an agent that was just paired, over the tunnel.
    pub(crate) async fn meet_member(self: &Arc<Self>, ticket: &Ticket) {
        let Some(tunnel) = self.tunnel.now() else {
            return;
        };
        let stream = tunnel.endpoint.stream(ticket.peer, Protocol::Members).await;
        match stream {
            Ok(stream) => self.exchange_members(endpoint_id(&ticket.peer), stream),
            Err(error) => tracing::debug!(%error, "records are exchanged when a link stands"),
        }
    }

    /// Asks the agent of this ticket whether this one is a member there; nothing when it cannot be asked.
    pub(crate) async fn is_member_of(&self, ticket: &Ticket) -> Option<bool> {
        let tunnel = self.tunnel.now()?;
        tunnel.know(ticket, None);
        let stream = tunnel.endpoint.stream(ticket.peer, Protocol::Members).await;
        let refused = |why: &str| why.contains(NOT_PAIRED).then_some(false);
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return refused(&error.to_string()),
        };
        // Who lets members alone come to this says something at once.
        let heard = frames::read::<serde_json::Value>(&mut stream, limits::MEMBER_FRAME_BYTES);
        match heard.await {
            Ok(_) => Some(true),
            Err(error) => refused(&error.to_string()),
        }
    }

    /// Opens a stream to the agent of this ticket, which need not know this one.
    ///
    /// # Errors
    /// When nobody answers there.
    pub(crate) async fn pair_stream(&self, ticket: &Ticket) -> Result<Stream, StreamError> {
        let tunnel = self.tunnel.now().ok_or(StreamError::Closed)?;
        tunnel.know(ticket, None);
        tunnel.endpoint.stream(ticket.peer, Protocol::Pair).await
    }

    /// Closes what [`pair_stream`](Self::pair_stream) opened.
    pub(crate) fn pair_over(&self, ticket: &Ticket) {
        if let Some(tunnel) = self.tunnel.now() {
            tunnel.endpoint.hang_up(ticket.peer, Protocol::Pair);
        }
    }

    /// Returns this agent's ticket once it says where the agent is, or what is known of that in a few seconds; nothing without a tunnel.
    pub(crate) async fn ticket_soon(&self) -> Option<String> {
        let tunnel = self.tunnel.now()?;
        let ticket = tunnel.endpoint.ticket_soon(limits::OWN_ADDRESS).await;
        Some(ticket.to_string())
    }
}

/// How the server and its log call a peer at the other end of the tunnel.
fn name(peer: &PeerId) -> String {
    format!("iroh:{peer}")
}

pub(super) fn endpoint_id(peer: &PeerId) -> EndpointId {
    EndpointId::from(*peer.as_bytes())
}
