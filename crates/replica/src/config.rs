//! What a machine is told at its beginning.

use std::time::Duration;

use crate::{Peer, limits};

/// What a machine is told at its beginning.
#[derive(Debug, Clone)]
pub struct Config {
    /// This agent's own name.
    pub me: Peer,
    /// Receive from peers.
    pub pull: bool,
    /// Tell peers what is here, so that they pull it.
    pub push: bool,
    /// Bring to bridges what is new here: they store nothing, and so never pull.
    pub bring: bool,
    /// This is a bridge: it stores nothing, so what is new at peers they bring to it.
    pub bridge: bool,
    /// Unversioned files count too.
    pub unversioned: bool,
    /// How often to ask all peers how they stand.
    pub poll: Duration,
    /// Where this machine's randomness begins; no two runs should begin alike.
    pub seed: u64,
}

impl Config {
    /// Returns what an agent of this name does unless told otherwise.
    pub fn new(me: Peer, seed: u64) -> Self {
        Self {
            me,
            pull: true,
            push: true,
            bring: true,
            bridge: false,
            unversioned: false,
            poll: limits::BEAT,
            seed,
        }
    }
}
