//! Other agents that this one has unpaired, and those that have unpaired this one: how a join and a peer show it, and that nobody dials the first.

use std::collections::BTreeMap;

use edgesync_tunnel::UNPAIRED;
use natsd::Close;

use super::join::Way;
use super::{Mesh, locked};
use crate::api::{Code, Level, LinkState, Peer, Time};
use crate::members::Parting;
use crate::trust::EndpointId;

impl Mesh {
    /// Returns what a join shows of an agent that this mesh has unpaired, which is not dialled; nothing of another.
    pub(super) fn put_out(&self, id: &EndpointId) -> Option<LinkState> {
        let (parting, since) = self.parts.members.unpaired_here(id)?;
        Some(shown(parting, since))
    }

    /// Returns which of the two has unpaired the other, if that is why a link to this agent went down for this reason and with these words.
    pub(super) fn parted(
        &self,
        peer: &EndpointId,
        way: Way,
        why: &str,
        close: Close,
    ) -> Option<Parting> {
        let members = &self.parts.members;
        if let Some((parting, _)) = members.unpaired_here(peer) {
            return Some(parting);
        }
        let says_so = close == Close::RevokedThere || way == Way::Tunnel && why.contains(UNPAIRED);
        says_so.then(|| {
            self.unpaired_by(*peer);
            members.unpaired_there(peer)
        })
    }

    /// Notes that an agent says that it has unpaired this one. What somebody says who has no rights here changes nothing, and is not kept.
    pub(super) fn unpaired_by(&self, id: EndpointId) {
        if !self.was_known(&id) {
            return;
        }
        let mut all = locked(&self.unpaired_by);
        if all.contains_key(&id) {
            return;
        }
        all.insert(id, Time::now());
        drop(all);
        let Parting { message, .. } = self.parts.members.unpaired_there(&id);
        let words = format!("{message} ({id})");
        self.parts.events.log(Level::Warn, None, words);
        self.publish();
    }

    /// Notes that a link to this agent stands: whatever it said is over.
    pub(super) fn linked_with(&self, name: &str) {
        if let Ok(id) = name.parse() {
            locked(&self.unpaired_by).remove(&id);
        }
    }

    /// Whether an agent has rights here, or had them until this one heard that it was unpaired by it: who knows that knows no members any more.
    fn was_known(&self, id: &EndpointId) -> bool {
        let view = self.parts.members.view();
        let out = view.revoked.get(&self.parts.keys.id());
        self.parts.trust.register.knows(id) || out.is_some_and(|it| it.by == *id)
    }

    /// Shows those that have unpaired this agent.
    pub(super) fn show_unpaired(&self, peers: &mut BTreeMap<String, Peer>) {
        let all = locked(&self.unpaired_by).clone();
        for (id, since) in all.into_iter().filter(|(id, _)| self.was_known(id)) {
            let name = id.to_string();
            let unknown = || Peer {
                link: None,
                ..self.unknown(&name)
            };
            let peer = peers.entry(name.clone()).or_insert_with(unknown);
            peer.state = shown(self.parts.members.unpaired_there(&id), since);
        }
    }
}

fn shown(parting: Parting, since: Time) -> LinkState {
    LinkState::Error {
        code: Code::Unpaired,
        message: parting.message,
        hint: Some(parting.hint),
        since,
        retry_at: None,
    }
}
