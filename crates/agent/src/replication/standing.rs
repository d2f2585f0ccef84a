//! How a repository stands with its peers on the bus, told honestly: "up to date" is said when every peer that is there holds just what is
//! here, by its own signed word, and with the age of the last such word or exchange.

use edgesync_replica::{PeerView, ProjectView};

use super::locked;
use super::member::Member;
use crate::api::{Phase, State, Time};

/// What was last to be shown of a repository.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Artifacts received by the exchange that takes long enough to be shown.
    progress: Option<u64>,
    /// When it was last heard from one, or found by an exchange, that all hold the same.
    equal: Option<Time>,
    /// What the machine knew last.
    view: Option<ProjectView>,
}

impl Member {
    /// Shows what the machine knows now.
    pub(super) fn show(&self, view: Option<&ProjectView>) {
        locked(&self.shown).view = view.cloned();
        self.show_again();
    }

    /// Shows how far an exchange is, `None` at its end.
    pub(super) fn show_progress(&self, progress: Option<u64>) {
        let before = std::mem::replace(&mut locked(&self.shown).progress, progress);
        if before != progress {
            self.show_again();
        }
    }

    fn show_again(&self) {
        let state = {
            let mut shown = locked(&self.shown);
            let Some(view) = shown.view.take() else {
                return;
            };
            let state = self.state(&mut shown, &view.peers);
            shown.view = Some(view);
            state
        };
        self.hosted.set_mesh(state);
    }

    fn state(&self, shown: &mut Shown, peers: &[PeerView]) -> Option<State> {
        if let Some(done) = shown.progress {
            return Some(State::Syncing {
                phase: Phase::Pull,
                done,
                total: None,
            });
        }
        if peers.is_empty() {
            return None;
        }
        let failures = self.failures();
        let failing = peers.iter().filter(|peer| peer.failures > 0);
        let mut failing = failing.filter_map(|peer| Some((peer, failures.get(&peer.peer)?)));
        if let Some((peer, (error, since))) = failing.next() {
            return Some(State::Error {
                code: error.code,
                message: error.message.clone(),
                hint: error.hint.clone(),
                since: *since,
                retry_at: peer.retry.map(|retry| self.time_of(retry)),
                last_ok: shown.equal,
            });
        }
        if peers.iter().any(|peer| peer.equal == Some(false)) {
            return Some(State::Pending { at: shown.equal });
        }
        // Where nobody has said or given anything there is nothing to tell.
        shown.equal = Some(peers.iter().filter_map(|it| self.proved_at(it)).max()?);
        shown.equal.map(|at| State::UpToDate { at })
    }

    /// Returns when it was last known of a peer that nothing was there which is not here: by its word, or at the end of an exchange.
    fn proved_at(&self, peer: &PeerView) -> Option<Time> {
        let word = (peer.equal == Some(true)).then(|| self.heard_at(peer));
        word.max(peer.exchanged.map(|at| self.time_of(at)))
    }
}
