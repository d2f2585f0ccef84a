//! What an embedder decides before a server starts.

use std::net::SocketAddr;
use std::time::Duration;

use crate::auth::Policy;
use crate::limits;
use crate::route::RouteOptions;

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What people call it; its id if not set.
    pub server_name: Option<String>,
    /// Where it listens.
    pub listeners: Listeners,
    /// The name of its cluster. A server that has routes and no name makes one up, and takes over the name of whom it meets.
    pub cluster_name: Option<String>,
    /// How it is with the members that it dials.
    pub routes: RouteOptions,
    /// Who may connect.
    pub policy: Policy,
    /// What connections may cost.
    pub limits: Limits,
    /// Whether no leafnode is told what the others want.
    pub isolate_leaves: bool,
    /// Where others are told that it can be reached.
    pub advertise: Advertise,
}

/// Where others are told that a server can be reached, if that is elsewhere than where it listens. Without a port, the one that it listens on
/// is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertise {
    /// By leafnodes: `HOST` or `HOST:PORT`.
    pub leaves: Option<String>,
    /// By members of the cluster that are told of it: `HOST` or `HOST:PORT`.
    pub routes: Option<String>,
    /// Not at all by clients of the cluster: they are told of no member, and members not where this one has clients.
    pub no_clients: bool,
}

impl Advertise {
    /// Returns `HOST:PORT` for an address that may have no port.
    pub(crate) fn with_port(address: &str, port: u16) -> String {
        let has_port = address
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        if has_port {
            address.to_owned()
        } else {
            format!("{address}:{port}")
        }
    }
}

/// Where a server listens; port 0 picks a free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// For clients.
    pub clients: Option<SocketAddr>,
    /// For leafnodes.
    pub leaves: Option<SocketAddr>,
    /// For members of the cluster.
    pub routes: Option<SocketAddr>,
}

/// What connections may cost. The defaults are those of [`limits`](crate::limits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message, in bytes.
    pub max_payload: usize,
    /// Longest control line of a client, in bytes; routes and leafnodes may have 16 times as much.
    pub max_control_line: usize,
    /// Most bytes that wait for a client.
    pub max_pending: usize,
    /// Most connections of all kinds.
    pub max_connections: usize,
    /// Most connections that have not authenticated yet, where that is asked.
    pub max_unauthenticated: usize,
    /// Most subscriptions of one client.
    pub max_subscriptions: usize,
    /// How long a new client has to authenticate.
    pub auth_timeout: Duration,
    /// How long a new leafnode has to.
    pub leaf_auth_timeout: Duration,
    /// How long a new route has to.
    pub route_auth_timeout: Duration,
    /// How long a connection may be silent before it is pinged.
    pub ping_interval: Duration,
    /// Most unanswered pings.
    pub ping_max: u32,
    /// How long a write may make no progress.
    pub write_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: limits::MAX_PAYLOAD_BYTES,
            max_control_line: limits::MAX_CONTROL_LINE_BYTES,
            max_pending: limits::MAX_PENDING_BYTES,
            max_connections: limits::MAX_CONNECTIONS,
            max_unauthenticated: limits::MAX_UNAUTHENTICATED,
            max_subscriptions: limits::MAX_SUBSCRIPTIONS,
            auth_timeout: limits::AUTH_TIMEOUT,
            leaf_auth_timeout: limits::AUTH_TIMEOUT,
            route_auth_timeout: limits::AUTH_TIMEOUT,
            ping_interval: limits::PING_INTERVAL,
            ping_max: limits::PINGS_OUTSTANDING_MAX,
            write_deadline: limits::WRITE_DEADLINE,
        }
    }
}
