//! Two agents of one identity: a home that was copied, or brought back from a backup while its agent ran on elsewhere. They answer for each other
//! and are one to everybody else, which only a person can put right, so that everybody who notices says it.

use std::collections::BTreeMap;

use natsd::ConnectionStats;

use super::{Mesh, locked};
use crate::api::{Code, LinkState, Peer, PeerError, Time};
use crate::limits;

/// What to do about it.
pub(super) const HINT: &str = "An identity is one agent's alone. Stop one of the two, and start it with a home of its own: EDGESYNC_HOME.";

/// Two servers of one name: the name, and the ids that they made up at their starts.
type Twins<'a> = (&'a str, [&'a str; 2]);

/// Returns who is there more than once among servers, given by name and id.
fn twins<'a>(servers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Twins<'a>> {
    let mut known = BTreeMap::new();
    let mut twins = Vec::new();
    for (name, id) in servers {
        let first = *known.entry(name).or_insert(id);
        // One server may have two links, as while a leaf becomes a member.
        if first != id {
            twins.push((name, [first, id]));
        }
    }
    twins
}

/// Notes at peers that they are two.
pub(super) fn mark(peers: &mut BTreeMap<String, Peer>, links: &[&ConnectionStats], now: Time) {
    let servers = links
        .iter()
        .filter_map(|link| link.server_name.as_deref().zip(link.server_id.as_deref()));
    for (name, [one, other]) in twins(servers) {
        let theirs = links
            .iter()
            .filter(|link| link.server_name.as_deref() == Some(name));
        let youngest = theirs.map(|link| now.before(link.age)).max();
        let Some(peer) = peers.get_mut(name) else {
            continue;
        };
        peer.error = Some(PeerError {
            code: Code::Conflict,
            message: format!("two agents say that they are {name}: the servers {one} and {other}"),
            hint: Some(HINT.to_owned()),
            since: youngest.unwrap_or(now),
            retry_at: None,
        });
    }
}

impl Mesh {
    /// Adds one that has this agent's identity and wanted a link not long ago.
    pub(super) fn show_own_twin(&self, peers: &mut BTreeMap<String, Peer>, now: Time) {
        let seen = *locked(&self.twin);
        let Some(since) = seen.filter(|at| *at > now.before(limits::TWIN_SHOWN)) else {
            return;
        };
        let own = self.parts.keys.id().to_string();
        let state = LinkState::Error {
            code: Code::Conflict,
            message: format!(
                "another agent has this agent's identity, {own}: it wanted a link to {}",
                self.server.id()
            ),
            hint: Some(HINT.to_owned()),
            since,
            retry_at: None,
        };
        let twin = Peer {
            state,
            heard_at: seen,
            link: None,
            ..self.unknown(&own)
        };
        peers.insert(own, twin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_name_are_twins_and_links_of_one_server_are_not() {
        let servers = [("one", "N1"), ("two", "N2"), ("two", "N3"), ("one", "N1")];
        assert_eq!(twins(servers.into_iter()), [("two", ["N2", "N3"])]);
    }
}
