//! The connections that stand, and those that are being made: one at a time for each peer and protocol, so that who waits for one
//! peer waits for no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use iroh::endpoint::Connection;
use parking_lot::Mutex;

use crate::info::{LinkInfo, Path};
use crate::peer::PeerId;
use crate::protocol::Protocol;

type Key = (PeerId, Protocol);

/// The connections of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    live: Mutex<HashMap<u64, Live>>,
    dialling: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
    next: AtomicU64,
}

#[derive(Debug, Clone)]
struct Live {
    connection: Connection,
    key: Key,
    dialled: bool,
    since: Instant,
}

impl Connections {
    /// Takes in a connection, and returns its number.
    pub(crate) fn add(&self, connection: Connection, protocol: Protocol, dialled: bool) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let key = (connection.remote_id().into(), protocol);
        let live = Live {
            connection,
            key,
            dialled,
            since: Instant::now(),
        };
        self.live.lock().insert(number, live);
        number
    }

    /// Forgets a connection that has ended.
    pub(crate) fn remove(&self, number: u64) {
        self.live.lock().remove(&number);
    }

    /// Returns the connection to this peer that was made from here, if it stands.
    pub(crate) fn dialled(&self, peer: PeerId, protocol: Protocol) -> Option<Connection> {
        let live = self.live.lock();
        let mut fitting = live
            .values()
            .filter(|it| it.dialled && it.key == (peer, protocol));
        let standing = fitting.find(|it| it.connection.close_reason().is_none());
        standing.map(|it| it.connection.clone())
    }

    /// Returns what is to be held while a connection to this peer is made.
    pub(crate) fn turn(&self, peer: PeerId, protocol: Protocol) -> Arc<tokio::sync::Mutex<()>> {
        let mut dialling = self.dialling.lock();
        dialling.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(dialling.entry((peer, protocol)).or_default())
    }

    /// Returns the connections of which `fits` says so: of whom, for what, and whether it was made from here.
    pub(crate) fn matching(
        &self,
        fits: impl Fn(PeerId, Protocol, bool) -> bool,
    ) -> Vec<Connection> {
        let live = self.live.lock();
        let fitting = live
            .values()
            .filter(|it| fits(it.key.0, it.key.1, it.dialled));
        fitting.map(|it| it.connection.clone()).collect()
    }

    /// Returns those connections of this peer that the one with this number replaces: a peer that dials again has lost what it had.
    pub(crate) fn replaced_by(&self, number: u64) -> Vec<Connection> {
        let live = self.live.lock();
        let Some(key) = live.get(&number).map(|it| it.key) else {
            return Vec::new();
        };
        let older = live
            .iter()
            .filter(|(at, it)| **at < number && !it.dialled && it.key == key);
        older.map(|(_, it)| it.connection.clone()).collect()
    }

    /// Returns all of them as they are now.
    pub(crate) fn show(&self) -> Vec<LinkInfo> {
        let mut live: Vec<(u64, Live)> = self
            .live
            .lock()
            .iter()
            .map(|(number, it)| (*number, it.clone()))
            .collect();
        live.sort_by_key(|(number, _)| *number);
        live.iter().map(|(_, it)| it.show()).collect()
    }
}

impl Live {
    fn show(&self) -> LinkInfo {
        let paths = self.connection.paths();
        let chosen = paths.iter().find(iroh::endpoint::Path::is_selected);
        let way = chosen.as_ref().and_then(|path| match path.remote_addr() {
            iroh::TransportAddr::Ip(address) => Some(Path::Direct(*address)),
            iroh::TransportAddr::Relay(url) => Some(Path::Relay(url.to_string())),
            _ => None,
        });
        LinkInfo {
            peer: self.key.0,
            protocol: self.key.1,
            dialled: self.dialled,
            since: self.since,
            path: way,
            round_trip: chosen.map(|path| path.rtt()),
        }
    }
}
