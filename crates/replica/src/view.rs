//! What the machine shows to people.

use crate::{Counters, Fingerprint, Moment, Peer, Project, Trigger};

/// A project, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectView {
    /// Which one.
    pub project: Project,
    /// Its counters.
    pub counters: Counters,
    /// What is here.
    pub held: Fingerprint,
    /// Its peers, by name.
    pub peers: Vec<PeerView>,
}

/// A peer, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Who.
    pub peer: Peer,
    /// Whether it is a bridge to a server.
    pub bridge: bool,
    /// When it was heard last.
    pub heard: Moment,
    /// Whether it holds what is here; `None` where it does not say.
    pub equal: Option<bool>,
    /// Whether all that it says it holds is here, as far as is known: what is not equal then is more here.
    pub covered: bool,
    /// Why it is being asked, if it is.
    pub pulling: Option<Trigger>,
    /// When the last exchange with it was completed.
    pub exchanged: Option<Moment>,
    /// How many tries failed since then.
    pub failures: u32,
    /// What the last of them said.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry: Option<Moment>,
}
