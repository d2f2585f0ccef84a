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
            unversioned: false,
            poll: limits::BEAT,
            seed,
        }
    }
}
