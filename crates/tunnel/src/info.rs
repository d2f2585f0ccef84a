//! What an endpoint tells of itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::peer::PeerId;
use crate::protocol::Protocol;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection stands.
    Up {
        /// With whom.
        peer: PeerId,
        /// For what.
        protocol: Protocol,
        /// Whether it was made from here.
        dialled: bool,
    },
    /// A connection has ended.
    Down {
        /// With whom.
        peer: PeerId,
        /// For what.
        protocol: Protocol,
        /// Why, for people.
        why: String,
    },
    /// Somebody dialled who may not come.
    Refused {
        /// Who, by its key.
        peer: PeerId,
        /// What it wanted.
        protocol: Protocol,
    },
    /// The endpoint was made anew; every connection of the old one has ended.
    Rebuilt {
        /// Why, for people.
        why: String,
    },
}

/// The way that packets take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// From machine to machine.
    Direct(SocketAddr),
    /// Through this relay.
    Relay(String),
}

/// A connection as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// With whom.
    pub peer: PeerId,
    /// For what.
    pub protocol: Protocol,
    /// Whether it was made from here.
    pub dialled: bool,
    /// Since when it stands.
    pub since: Instant,
    /// Its way, once one is chosen.
    pub path: Option<Path>,
    /// The round trip on that way, estimated.
    pub round_trip: Option<Duration>,
}

/// A relay as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayState {
    /// Its address.
    pub url: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Why not, when it failed.
    pub error: Option<String>,
}
