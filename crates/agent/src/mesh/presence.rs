//! Whether a peer is there, as far as can be told here: what was heard of it and not long ago counts as long as any way leads to others. Where the
//! last way has gone, nobody can be there, however short ago they spoke.

use edgesync_replica::limits::PEER_PATIENCE;
use natsd::ConnectionStats;
use natsd::proto::Kind;

use super::upstream::Upstream;
use super::{Mesh, OWN_CLIENT};
use crate::api::{LinkState, Peer, Time};

/// Returns how it stands with a peer that was heard last at `heard`; `is_way` tells whether any way leads to where it spoke.
pub(super) fn state(heard: Time, now: Time, is_way: bool) -> LinkState {
    match is_way && heard >= now.before(PEER_PATIENCE) {
        true => LinkState::Connected { since: heard },
        false => LinkState::Gone { since: heard },
    }
}

/// Takes back what is not so of a peer that has gone: nothing of it comes by any way, and nothing can be cloned from it.
pub(super) fn leave(peer: &mut Peer) {
    if matches!(peer.state, LinkState::Gone { .. }) {
        peer.link = None;
        peer.available.clear();
    }
}

impl Mesh {
    /// Whether any way leads to other agents: a link that stands, the server beside the mesh, or a client of this agent's bus that is an agent.
    pub(super) fn has_way(&self, connections: &[ConnectionStats]) -> bool {
        // One that has not introduced itself leads nowhere yet.
        let is_link = |it: &ConnectionStats| it.kind != Kind::Client && it.server_name.is_some();
        let is_agent = |it: &&ConnectionStats| {
            it.kind == Kind::Client && it.name.as_deref() == Some(OWN_CLIENT)
        };
        // One of these is this agent's own.
        connections.iter().any(is_link)
            || connections.iter().filter(is_agent).count() > 1
            || self.upstream.as_ref().is_some_and(Upstream::is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_millis(seconds * 1000)
    }

    #[test]
    fn a_peer_is_there_while_a_way_stands_and_it_was_heard_not_long_ago() {
        let patience = i64::try_from(PEER_PATIENCE.as_secs()).expect("seconds");
        let here = LinkState::Connected { since: at(1000) };
        let gone = LinkState::Gone { since: at(1000) };
        assert_eq!(state(at(1000), at(1000), true), here);
        assert_eq!(state(at(1000), at(1000 + patience), true), here);
        assert_eq!(state(at(1000), at(1001 + patience), true), gone);
        assert_eq!(state(at(1000), at(1000), false), gone);
        // A clock that was put back makes nobody go.
        assert_eq!(state(at(1000), at(990), true), here);
    }
}
