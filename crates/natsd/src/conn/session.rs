//! The loop of one connection: reads, parses, handles, flushes, and watches the clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::client::Client;
use super::router::Router;
use super::{Close, Conn, Outbound};
use crate::leaf::Leaf;
use crate::limits::{
    FIRST_CLIENT_PING, FIRST_LINK_PING, LINK_CONTROL_LINE_FACTOR, MAX_ROUTE_PAYLOAD_BYTES,
    READ_BUFFER_MAX_BYTES, READ_BUFFER_MIN_BYTES, ROUTE_PING_INTERVAL_MAX,
};
use crate::link::LinkState;
use crate::proto::{Kind, Op, Parser, write};
use crate::route::Route;
use crate::server::Shared;

/// How long what the other end still sends is read after an error was sent, so that the error arrives: closing a socket with
/// unread bytes throws away what was written to it.
const LINGER: Duration = Duration::from_millis(250);

/// Most bytes read while lingering.
const LINGER_BYTES: usize = 4 << 20;

/// What a connection does by its kind.
pub(crate) enum Peer {
    Client(Client),
    Route(Route),
    Leaf(Leaf),
}

/// What handling an operation may use.
pub(crate) struct Context<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) conn: &'a Arc<Conn>,
    pub(crate) router: &'a mut Router,
}

impl Context<'_> {
    /// Answers on the connection itself.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.conn.send(bytes, &mut self.router.batch);
    }

    /// Sends an error that does not end the connection.
    pub(crate) fn error(&mut self, text: &str) {
        self.send(&write::error_line(text));
    }
}

/// One connection's task.
pub(crate) struct Session {
    shared: Arc<Shared>,
    conn: Arc<Conn>,
    peer: Peer,
    parser: Parser,
    router: Router,
    buffer: BytesMut,
    /// How many bytes the next read asks for.
    read_size: usize,
    pulse: Pulse,
}

/// Pings and deadlines.
struct Pulse {
    /// When to look next.
    next: Instant,
    interval: Duration,
    /// When it has to have authenticated, while it has not.
    authenticate_by: Option<Instant>,
    /// Something came since the last look.
    active: bool,
    unanswered: u32,
    sent: Option<Instant>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, conn: Arc<Conn>, peer: Peer) -> Self {
        let limits = &shared.limits;
        let (max_line, max_payload) = match conn.kind {
            Kind::Client => (limits.max_control_line, limits.max_payload),
            Kind::Leaf => (
                limits.max_control_line * LINK_CONTROL_LINE_FACTOR,
                limits.max_payload,
            ),
            Kind::Route => {
                let payload = limits.max_payload.max(MAX_ROUTE_PAYLOAD_BYTES);
                (limits.max_control_line * LINK_CONTROL_LINE_FACTOR, payload)
            }
        };
        let (first, interval) = match conn.kind {
            Kind::Client => (FIRST_CLIENT_PING, limits.ping_interval),
            Kind::Leaf => (FIRST_LINK_PING, limits.ping_interval),
            Kind::Route => (
                FIRST_LINK_PING,
                limits.ping_interval.min(ROUTE_PING_INTERVAL_MAX),
            ),
        };
        let now = Instant::now();
        let auth_timeout = match conn.kind {
            Kind::Client => limits.auth_timeout,
            Kind::Leaf => limits.leaf_auth_timeout,
            Kind::Route => limits.route_auth_timeout,
        };
        let authenticate_by = (!peer.is_ready()).then(|| now + auth_timeout);
        let pulse = Pulse {
            next: authenticate_by.unwrap_or(now + first.min(interval)),
            interval,
            authenticate_by,
            active: false,
            unanswered: 0,
            sent: None,
        };
        Self {
            parser: Parser::new(conn.kind, max_line, max_payload),
            router: Router::new(conn.id),
            buffer: BytesMut::new(),
            read_size: READ_BUFFER_MIN_BYTES,
            shared,
            conn,
            peer,
            pulse,
        }
    }

    /// Runs until the connection ends, and cleans up after it.
    pub(crate) async fn run(mut self, mut reader: impl AsyncRead + Unpin) {
        let mut context = Context {
            shared: &self.shared,
            conn: &self.conn,
            router: &mut self.router,
        };
        let opened = self.peer.open(&mut context);
        self.router.batch.flush();
        let why = match opened {
            Ok(()) => self.serve(&mut reader).await,
            Err(why) => why,
        };
        self.conn.close(why);
        let why = self.conn.close_reason().unwrap_or(why);
        let told = why.told();
        if let Some(text) = &told {
            self.conn
                .send(&write::error_line(text), &mut self.router.batch);
        }
        self.router.batch.flush();
        self.shared.leave(&self.conn, why);
        self.peer.ended(&self.shared, &self.conn, why);
        Outbound::close(&self.conn, why.discards());
        if why.is_told() {
            // The other end has had its chance when this is over, however it ended.
            let _ = tokio::time::timeout(LINGER, linger(&mut reader)).await;
        }
    }

    async fn serve(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> Close {
        let conn = Arc::clone(&self.conn);
        let closed = conn.close_signal.notified();
        tokio::pin!(closed);
        let clock = tokio::time::sleep_until(self.pulse.next);
        tokio::pin!(clock);
        loop {
            self.make_room();
            let read = tokio::select! {
                biased;
                read = reader.read_buf(&mut self.buffer) => read,
                () = &mut closed => return Close::Closed,
                () = &mut clock => {
                    if let Err(why) = self.tick() {
                        return why;
                    }
                    clock.as_mut().reset(self.pulse.next);
                    continue;
                }
            };
            match read {
                Ok(0) => return Close::Hangup,
                Ok(count) => self.adapt(count),
                Err(error) => {
                    // A link over another transport knows more than that.
                    match &self.peer {
                        Peer::Client(_) => {}
                        Peer::Route(route) => route.report(&error.to_string()),
                        Peer::Leaf(leaf) => leaf.report(&error.to_string()),
                    }
                    return Close::ReadFailed;
                }
            }
            if conn.is_closed() {
                // Whoever closed it counts on nothing more coming this way.
                return Close::Closed;
            }
            if let Err(why) = self.handle_all() {
                return why;
            }
            self.router.batch.flush();
            self.shared.retire(&mut self.router.batch);
            self.router.batch.stall().await;
            if conn.is_closed() {
                return Close::Closed;
            }
        }
    }

    /// Makes room for the next read: more after reads that filled it, and for the rest of a long payload in steps, so that
    /// announcing one costs nothing.
    fn make_room(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > READ_BUFFER_MAX_BYTES * 2 {
            self.buffer = BytesMut::new();
        }
        let missing = self.parser.needed().saturating_sub(self.buffer.len());
        let step = self.buffer.len().max(READ_BUFFER_MAX_BYTES);
        self.buffer.reserve(missing.min(step).max(self.read_size));
    }

    fn adapt(&mut self, count: usize) {
        self.pulse.active = true;
        if count >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_BUFFER_MAX_BYTES);
        } else if count < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(READ_BUFFER_MIN_BYTES);
        }
    }

    /// Handles every whole operation that has been read.
    fn handle_all(&mut self) -> Result<(), Close> {
        let mut context = Context {
            shared: &self.shared,
            conn: &self.conn,
            router: &mut self.router,
        };
        let mut done = 0;
        let result = loop {
            let left = self.buffer.get(done..).unwrap_or_default();
            match self.parser.next(left) {
                Ok(Some((op, used))) => {
                    done += used;
                    tracing::trace!(target: "natsd", id = context.conn.id, "{op}");
                    if let Err(why) = dispatch(&mut self.peer, &mut self.pulse, &mut context, op) {
                        break Err(why);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Close::Protocol(error)),
            }
        };
        self.buffer.advance(done);
        self.peer.batch_ends(&context);
        if self.pulse.authenticate_by.is_some() && self.peer.is_ready() {
            self.pulse.authenticate_by = None;
        }
        match self.pulse.authenticate_by {
            Some(by) if Instant::now() >= by => Err(Close::AuthTimeout),
            _ => result,
        }
    }

    /// Looks at the clock: authentication that is late, pings that are due, pongs that did not come.
    fn tick(&mut self) -> Result<(), Close> {
        let now = Instant::now();
        if self.pulse.authenticate_by.is_some_and(|by| now >= by) {
            return Err(Close::AuthTimeout);
        }
        self.pulse.next = now + self.pulse.interval;
        let active = std::mem::take(&mut self.pulse.active);
        let first = self.pulse.sent.is_none();
        if active && !first && self.conn.kind == Kind::Client {
            return Ok(());
        }
        if !active {
            self.rest();
        }
        if self.pulse.unanswered >= self.shared.limits.ping_max {
            return Err(Close::Stale);
        }
        self.pulse.unanswered += 1;
        self.pulse.sent = Some(now);
        self.conn.send_now(write::PING);
        Ok(())
    }

    /// Gives back what a quiet connection does not need.
    fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.read_size = READ_BUFFER_MIN_BYTES;
        }
        self.router.trim();
        self.conn.out.trim();
    }
}

/// Handles one operation.
fn dispatch(
    peer: &mut Peer,
    pulse: &mut Pulse,
    context: &mut Context<'_>,
    op: Op<'_>,
) -> Result<(), Close> {
    match op {
        Op::Ping if peer.is_ready() => context.send(write::PONG),
        Op::Pong if peer.is_ready() => {
            pulse.unanswered = 0;
            if let Some(sent) = pulse.sent {
                context.conn.set_rtt(sent.elapsed());
            }
        }
        op => {
            return match peer {
                Peer::Client(client) => client.handle(&op, context),
                Peer::Route(route) => route.handle(&op, context),
                Peer::Leaf(leaf) => leaf.handle(&op, context),
            };
        }
    }
    Ok(())
}

impl Peer {
    /// Says what there is to say before anything is read.
    fn open(&mut self, context: &mut Context<'_>) -> Result<(), Close> {
        match self {
            Self::Client(client) => client.open(context),
            Self::Route(route) => route.open(context),
            Self::Leaf(leaf) => leaf.open(context),
        }
    }

    /// Says whether the connection may do more than introduce itself.
    fn is_ready(&self) -> bool {
        match self {
            Self::Client(client) => client.is_ready(),
            Self::Route(route) => route.is_ready(),
            Self::Leaf(leaf) => leaf.is_ready(),
        }
    }

    /// Adds up what one read brought.
    fn batch_ends(&mut self, context: &Context<'_>) {
        match self {
            Self::Client(client) => client.batch_ends(context),
            Self::Route(_) => {}
            Self::Leaf(leaf) => leaf.batch_ends(context),
        }
    }

    /// The state of a link, if it is one.
    pub(crate) fn link(&self) -> Option<LinkState> {
        match self {
            Self::Client(_) => None,
            Self::Route(route) => Some(LinkState::new(route.dials())),
            Self::Leaf(leaf) => Some(LinkState::new(leaf.dials())),
        }
    }

    /// Cleans up after the connection.
    fn ended(self, shared: &Arc<Shared>, conn: &Arc<Conn>, why: Close) {
        match self {
            Self::Client(_) => {}
            Self::Route(route) => route.ended(shared, conn, why),
            Self::Leaf(leaf) => leaf.ended(why),
        }
    }
}

/// Reads and throws away until the other end closes.
async fn linger(reader: &mut (impl AsyncRead + Unpin)) {
    let mut waste = BytesMut::with_capacity(READ_BUFFER_MAX_BYTES);
    let mut total = 0;
    while let Ok(count @ 1..) = reader.read_buf(&mut waste).await {
        waste.clear();
        total += count;
        if total > LINGER_BYTES {
            return;
        }
    }
}
