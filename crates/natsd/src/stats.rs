//! What a server tells about itself: counters and connections at one moment, and events as they happen.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::conn::{Close, Conn};
use crate::link::LinkState;
use crate::proto::Kind;

/// A server at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The connections of all kinds, in the order in which they came.
    pub connections: Vec<ConnectionStats>,
    /// Connections since the start.
    pub connections_total: u64,
    /// Subscriptions of clients and links.
    pub subscriptions: usize,
    /// Connections that were cut because they read too slowly.
    pub slow_consumers: u64,
    /// Rules that other ends broke: unknown operations, exceeded limits, missing permissions.
    pub violations: u64,
    pub(crate) traffic: ByKind,
}

impl Stats {
    /// Returns what went over all connections of a kind since the start, those that are gone among them: it never falls.
    #[must_use]
    pub fn traffic(&self, kind: Kind) -> Traffic {
        self.traffic.of(kind)
    }
}

/// Messages over connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages that came.
    pub in_messages: u64,
    /// Bytes of messages that came.
    pub in_bytes: u64,
    /// Messages that were sent.
    pub out_messages: u64,
    /// Bytes of messages that were sent.
    pub out_bytes: u64,
}

impl Traffic {
    fn of(conn: &Conn) -> Self {
        let (out_messages, out_bytes) = conn.out.totals();
        Self {
            in_messages: conn.received.messages.load(Ordering::Relaxed),
            in_bytes: conn.received.bytes.load(Ordering::Relaxed),
            out_messages,
            out_bytes,
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.in_messages += other.in_messages;
        self.in_bytes += other.in_bytes;
        self.out_messages += other.out_messages;
        self.out_bytes += other.out_bytes;
    }
}

/// Traffic of each kind of connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByKind {
    clients: Traffic,
    leaves: Traffic,
    routes: Traffic,
}

impl ByKind {
    /// Adds what went over a connection so far.
    pub(crate) fn add(&mut self, conn: &Conn) {
        let of_kind = match conn.kind {
            Kind::Client => &mut self.clients,
            Kind::Leaf => &mut self.leaves,
            Kind::Route => &mut self.routes,
        };
        *of_kind += Traffic::of(conn);
    }

    const fn of(&self, kind: Kind) -> Traffic {
        match kind {
            Kind::Client => self.clients,
            Kind::Leaf => self.leaves,
            Kind::Route => self.routes,
        }
    }
}

/// One connection at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Its number.
    pub id: u64,
    /// What is at the other end.
    pub kind: Kind,
    /// The address that it comes from.
    pub remote: Option<String>,
    /// What the other end calls itself.
    pub name: Option<String>,
    /// What the server at the other end of a link calls itself, once the link is up.
    pub server_name: Option<String>,
    /// The id of that server, which it made up at its start.
    pub server_id: Option<String>,
    /// The client's language.
    pub lang: Option<String>,
    /// The client's version.
    pub version: Option<String>,
    /// Who it proved to be: user name or public key.
    pub user: Option<String>,
    /// The last round trip that was measured.
    pub rtt: Option<Duration>,
    /// How long it has been there.
    pub age: Duration,
    /// Whether this side dialled.
    pub dialled: bool,
    /// Messages that came from it.
    pub in_messages: u64,
    /// Bytes of messages that came from it.
    pub in_bytes: u64,
    /// Messages that were sent to it.
    pub out_messages: u64,
    /// Bytes of messages that were sent to it.
    pub out_bytes: u64,
    /// Bytes that wait for it.
    pub pending: usize,
    /// Its subscriptions.
    pub subscriptions: usize,
}

impl ConnectionStats {
    pub(crate) fn of(conn: &Arc<Conn>) -> Self {
        let about = conn.about();
        let traffic = Traffic::of(conn);
        Self {
            id: conn.id,
            kind: conn.kind,
            remote: conn.remote.clone(),
            name: about.name,
            server_name: conn.link.as_ref().and_then(LinkState::server_name),
            server_id: conn.link.as_ref().and_then(LinkState::server_id),
            lang: about.lang,
            version: about.version,
            user: about.identity.and_then(|identity| identity.name()),
            rtt: about.rtt,
            age: conn.started.elapsed(),
            dialled: conn.link.as_ref().is_some_and(|link| link.dialled),
            in_messages: traffic.in_messages,
            in_bytes: traffic.in_bytes,
            out_messages: traffic.out_messages,
            out_bytes: traffic.out_bytes,
            pending: conn.out.pending(),
            subscriptions: conn.subs.lock().len(),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection came.
    Connected {
        /// Its number.
        id: u64,
        /// What is at the other end.
        kind: Kind,
    },
    /// A route or leafnode can be used.
    LinkUp {
        /// The connection's number.
        id: u64,
        /// Route or leafnode.
        kind: Kind,
        /// The id of the server at the other end.
        server_id: String,
        /// Its name.
        server_name: String,
    },
    /// The longest message that this server and those that it is a leafnode of take is another.
    MaxPayload {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A connection is gone.
    Disconnected {
        /// Its number.
        id: u64,
        /// What was at the other end.
        kind: Kind,
        /// Why.
        why: Close,
        /// The name of the server at the other end of a route or leafnode; empty when it has not told it.
        server_name: Option<String>,
    },
}
