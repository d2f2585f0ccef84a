//! The endpoint: made from a [`Config`], dials and is dialled, and is made anew when it no longer works.

mod bind;
mod serve;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iroh::endpoint::{Connection, ConnectionError, VarInt};
use iroh::{Endpoint, EndpointAddr};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::connections::Connections;
use crate::gate::{Admission, NOT_ADMITTED, Verdict, judge};
use crate::info::{Event, LinkInfo, Path, RelayState};
use crate::limits;
use crate::peer::PeerId;
use crate::preamble::PREAMBLE;
use crate::protocol::Protocol;
use crate::stream::Stream;
use crate::ticket::Ticket;
use crate::wake::{self, Sleep, Witness};

/// The code of an orderly end.
const DONE: u32 = 0;

/// A stream that a peer has opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Arrival {
    /// Who, by its proved key.
    pub peer: PeerId,
    /// For what.
    pub protocol: Protocol,
    /// Whether it began as streams of this crate do; one of another make begins with its protocol's own bytes.
    pub ours: bool,
    /// The stream.
    pub stream: Stream,
}

/// The streams that peers open, in the order of their coming.
pub type Arrivals = mpsc::Receiver<Arrival>;

/// The endpoint cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An address cannot be listened on.
    #[error("cannot listen for peers: {0}")]
    Listen(String),
}

/// A stream cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Nobody has said where the peer is.
    #[error("it is not known where {0} is; a ticket tells, or a relay that both use")]
    NoAddress(PeerId),
    /// The id is the public half of no key.
    #[error("{0} is no peer's id")]
    NoKey(PeerId),
    /// Nobody answered.
    #[error("{0} does not answer")]
    TimedOut(PeerId),
    /// The peer, or somebody at its address, does not want us.
    #[error("{peer} refused the connection: {why}")]
    Refused {
        /// Who.
        peer: PeerId,
        /// Why, in its words.
        why: String,
    },
    /// Something else went wrong.
    #[error("no connection to {peer}: {why}")]
    Failed {
        /// With whom.
        peer: PeerId,
        /// What.
        why: String,
    },
    /// This endpoint has ended.
    #[error("the tunnel is closed")]
    Closed,
}

/// An endpoint. Copies are handles of the same one; it ends with [`Tunnel::close`].
#[derive(Debug, Clone)]
pub struct Tunnel(Arc<Inner>);

pub(crate) struct Inner {
    config: Config,
    admits: Admission,
    /// None while it is made anew.
    endpoint: RwLock<Option<Endpoint>>,
    id: PeerId,
    /// The port that the last endpoint had, to have it again.
    last_port: Mutex<Option<u16>>,
    /// Where peers are, as tickets said.
    known: Mutex<HashMap<PeerId, Ticket>>,
    /// Where somebody says that they are who need not be right.
    hints: Mutex<HashMap<PeerId, Ticket>>,
    connections: Connections,
    events: broadcast::Sender<Event>,
    arrivals: mpsc::Sender<Arrival>,
    handshakes: Arc<Semaphore>,
    /// One making anew at a time.
    rebuilding: tokio::sync::Mutex<()>,
    /// The last sleep that was told of.
    slept: Mutex<Option<Sleep>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Makes an endpoint that lets in whom `admits` says. Returns it and the streams that peers open on it.
    ///
    /// # Errors
    /// [`OpenError`] when an address cannot be listened on.
    pub async fn open(config: Config, admits: Admission) -> Result<(Self, Arrivals), OpenError> {
        let events = broadcast::Sender::new(limits::EVENTS);
        let endpoint = bind::bind(&config, &admits, &events).await?;
        let (arrivals, arriving) = mpsc::channel(limits::ARRIVALS);
        let inner = Arc::new(Inner {
            config,
            admits,
            id: endpoint.id().into(),
            endpoint: RwLock::new(Some(endpoint.clone())),
            last_port: Mutex::default(),
            known: Mutex::default(),
            hints: Mutex::default(),
            connections: Connections::default(),
            events,
            arrivals,
            handshakes: Arc::new(Semaphore::new(limits::MAX_HANDSHAKES)),
            rebuilding: tokio::sync::Mutex::default(),
            slept: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let tunnel = Self(inner);
        tunnel
            .0
            .tasks
            .spawn(serve::accept(Arc::clone(&tunnel.0), endpoint));
        tunnel.0.tasks.spawn(wake::look_after(tunnel.clone()));
        Ok((tunnel, arriving))
    }

    /// Returns this endpoint's own id.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// Returns how others reach this endpoint, as far as it is known: addresses are found out in the first moments, and change.
    pub fn ticket(&self) -> Ticket {
        match self.endpoint() {
            Some(endpoint) => Ticket::of_endpoint(&endpoint.addr()),
            None => Ticket::of(self.0.id),
        }
    }

    /// Waits until the ticket has an address or a relay, or this time is over, and returns it.
    pub async fn ticket_soon(&self, patience: std::time::Duration) -> Ticket {
        if let Some(endpoint) = self.endpoint() {
            bind::addressed(&endpoint, patience).await;
        }
        self.ticket()
    }

    /// The UDP ports on which it listens.
    pub fn ports(&self) -> Vec<u16> {
        self.endpoint()
            .as_ref()
            .map(bind::ports)
            .unwrap_or_default()
    }

    /// Returns the UDP addresses that it listens on.
    pub fn listens(&self) -> Vec<SocketAddr> {
        let endpoint = self.endpoint();
        let endpoint = endpoint.as_ref();
        endpoint
            .map(iroh::Endpoint::bound_sockets)
            .unwrap_or_default()
    }

    /// Remembers where a peer is. What was known of it before is forgotten.
    pub fn know(&self, ticket: Ticket) {
        self.0.known.lock().insert(ticket.peer, ticket);
    }

    /// Remembers where a peer may be, as somebody says of whom nothing is known. The peer is looked for there once what is known of it has
    /// led nowhere, so that a lie delays nobody who can be reached otherwise; its key decides who is there. What was said of it before is forgotten.
    pub fn hint(&self, ticket: Ticket) {
        self.0.hints.lock().insert(ticket.peer, ticket);
    }

    /// Opens a stream to a peer, over the connection that stands or a new one.
    ///
    /// # Errors
    /// [`StreamError`]; who may not come to the peer often learns so only when reading from the stream.
    pub async fn stream(&self, peer: PeerId, protocol: Protocol) -> Result<Stream, StreamError> {
        let failed = |why: ConnectionError| explain(peer, &why);
        if let Some(connection) = self.0.connections.dialled(peer, protocol)
            && let Ok(stream) = open(&connection).await
        {
            return Ok(stream);
        }
        // What stood has just ended.
        let connection = self.connect(peer, protocol).await?;
        open(&connection).await.map_err(failed)
    }

    /// What happens from now on. A reader that is slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Returns the connections as they are now, the oldest first.
    pub fn links(&self) -> Vec<LinkInfo> {
        self.0.connections.show()
    }

    /// Returns the relays as they are now.
    pub fn relays(&self) -> Vec<RelayState> {
        self.endpoint()
            .as_ref()
            .map(bind::relays)
            .unwrap_or_default()
    }

    /// Ends every connection with this peer, whoever made it. It is told what it would be told if it dialled.
    pub fn cut(&self, peer: PeerId) {
        self.close_those(|of, _, _| of == peer);
    }

    /// Ends the connections for one purpose that were made from here to this peer, in order.
    pub fn hang_up(&self, peer: PeerId, protocol: Protocol) {
        let mine = |of, what, dialled| dialled && of == peer && what == protocol;
        for connection in self.0.connections.matching(mine) {
            connection.close(VarInt::from_u32(DONE), b"done");
        }
    }

    /// Ends the connections of those who may not come any more.
    pub fn recheck(&self) {
        let admits = Arc::clone(&self.0.admits);
        let may_come = |peer, protocol| judge(&admits, &peer, protocol) == Verdict::Welcome;
        self.close_those(|peer, protocol, dialled| !dialled && !may_come(peer, protocol));
    }

    /// Makes the endpoint anew because the machine has slept, once for each sleep: the system may say so, and the clocks show it as well.
    pub async fn has_slept(&self, by: Witness) {
        let is_news = Sleep::is_news(&mut self.0.slept.lock(), by, Instant::now());
        if is_news {
            self.rebuild(by.words()).await;
        }
    }

    /// Makes the endpoint anew, as after sleep or when it is stuck. Connections end; whoever needs them asks again.
    pub async fn rebuild(&self, why: &str) {
        let inner = &self.0;
        let _alone = inner.rebuilding.lock().await;
        if inner.stop.is_cancelled() {
            return;
        }
        let mut config = inner.config.clone();
        // Taken out, so that its port is free when it has ended.
        let old = inner.endpoint.write().take();
        if let Some(old) = old {
            *inner.last_port.lock() = bind::ports(&old).first().copied();
            let _ = timeout(limits::CLOSE, old.close()).await;
        }
        config.preferred_port = inner.last_port.lock().or(config.preferred_port);
        match bind::bind_patiently(&config, &inner.admits, &inner.events).await {
            Ok(endpoint) => {
                *inner.endpoint.write() = Some(endpoint.clone());
                inner
                    .tasks
                    .spawn(serve::accept(Arc::clone(inner), endpoint));
                tracing::info!(target: "edgesync_tunnel", why, "endpoint made anew");
                inner.tell(Event::Rebuilt {
                    why: why.to_owned(),
                });
            }
            // The next look finds none, and tries again.
            Err(error) => {
                tracing::warn!(target: "edgesync_tunnel", %error, "the endpoint cannot be made anew");
            }
        }
    }

    /// Ends the endpoint in order; peers are told.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.close_those(|_, _, _| true);
        let endpoint = self.0.endpoint.write().take();
        if let Some(endpoint) = endpoint {
            let _ = timeout(limits::CLOSE, endpoint.close()).await;
        }
        self.0.tasks.close();
        let _ = timeout(limits::CLOSE, self.0.tasks.wait()).await;
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.0.endpoint.read().clone()
    }

    /// Done when the endpoint is to end.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.0.stop
    }

    fn close_those(&self, fits: impl Fn(PeerId, Protocol, bool) -> bool) {
        let reason_for = |connection: &Connection| {
            let peer = PeerId::from(connection.remote_id());
            match Protocol::of_alpn(connection.alpn()) {
                Some(protocol) => (self.0.admits)(&peer, protocol).reason(),
                None => Verdict::Stranger.reason(),
            }
        };
        for connection in self.0.connections.matching(fits) {
            match self.0.stop.is_cancelled() {
                true => connection.close(VarInt::from_u32(DONE), b"closed"),
                false => {
                    connection.close(VarInt::from_u32(NOT_ADMITTED), reason_for(&connection));
                }
            }
        }
    }

    /// Returns where a peer is, as its ticket said and as the connections with it that stand show.
    fn whereabouts(&self, peer: PeerId) -> Ticket {
        let known = self.0.known.lock().get(&peer).cloned();
        let mut ticket = known.unwrap_or_else(|| Ticket::of(peer));
        for link in self.links().into_iter().filter(|link| link.peer == peer) {
            match link.path {
                Some(Path::Direct(address)) => {
                    ticket.addresses.insert(address);
                }
                Some(Path::Relay(url)) => {
                    ticket.relay = ticket.relay.or_else(|| url.parse().ok());
                }
                None => {}
            }
        }
        ticket
    }

    /// Connects to a peer, unless somebody else has just done so.
    async fn connect(&self, peer: PeerId, protocol: Protocol) -> Result<Connection, StreamError> {
        let turn = self.0.connections.turn(peer, protocol);
        let _alone = turn.lock().await;
        if let Some(connection) = self.0.connections.dialled(peer, protocol) {
            return Ok(connection);
        }
        if self.0.stop.is_cancelled() {
            return Err(StreamError::Closed);
        }
        let mut address = self
            .whereabouts(peer)
            .endpoint_addr()
            .ok_or(StreamError::NoKey(peer))?;
        if address.relay_urls().next().is_none() {
            // A relay that both use is enough to meet.
            for relay in &self.0.config.relays {
                address = address.with_relay_url(relay.url().clone());
            }
        }
        let nowhere = address.is_empty() && !self.0.config.public;
        let endpoint = self.endpoint().ok_or(StreamError::Closed)?;
        let mut dialled = dial(&endpoint, address, protocol, limits::CONNECT).await;
        if nowhere && matches!(dialled, Err(StreamError::Failed { .. })) {
            dialled = Err(StreamError::NoAddress(peer));
        }
        let hint = self.0.hints.lock().get(&peer).cloned();
        if dialled.is_err()
            && let Some(address) = hint.and_then(|it| it.endpoint_addr())
            && !address.is_empty()
        {
            dialled = dial(&endpoint, address, protocol, limits::CONNECT_HINTED).await;
        }
        let connection = dialled?;
        let number = self.0.connections.add(connection.clone(), protocol, true);
        self.0.tell(Event::Up {
            peer,
            protocol,
            dialled: true,
        });
        let (inner, ended) = (Arc::clone(&self.0), connection.clone());
        self.0.tasks.spawn(async move {
            let why = ended.closed().await;
            inner.ended(number, peer, protocol, &why);
        });
        Ok(connection)
    }
}

impl Inner {
    fn tell(&self, event: Event) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    fn ended(&self, number: u64, peer: PeerId, protocol: Protocol, why: &ConnectionError) {
        self.connections.remove(number);
        self.tell(Event::Down {
            peer,
            protocol,
            why: why.to_string(),
        });
    }
}

/// Connects to a peer at these addresses, for as long as this.
async fn dial(
    endpoint: &Endpoint,
    address: EndpointAddr,
    protocol: Protocol,
    patience: Duration,
) -> Result<Connection, StreamError> {
    let peer = PeerId::from(address.id);
    match timeout(patience, endpoint.connect(address, protocol.alpn())).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(StreamError::Failed {
            peer,
            why: format!("{error:#}"),
        }),
        Err(_) => Err(StreamError::TimedOut(peer)),
    }
}

async fn open(connection: &Connection) -> Result<Stream, ConnectionError> {
    let (mut send, receive) = connection.open_bi().await?;
    if send.write_all(&PREAMBLE).await.is_err() {
        return Err(connection.closed().await);
    }
    Ok(Stream::new(connection.clone(), send, receive, Vec::new()))
}

/// Says why a connection that stood a moment ago does not any more.
pub(crate) fn explain(peer: PeerId, why: &ConnectionError) -> StreamError {
    match why {
        ConnectionError::ApplicationClosed(close)
            if close.error_code == VarInt::from_u32(NOT_ADMITTED) =>
        {
            let why = String::from_utf8_lossy(&close.reason)
                .chars()
                .filter(|c| !c.is_control())
                .take(100)
                .collect();
            StreamError::Refused { peer, why }
        }
        why => StreamError::Failed {
            peer,
            why: why.to_string(),
        },
    }
}
