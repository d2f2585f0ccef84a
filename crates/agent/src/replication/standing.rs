//! How a repository stands with its peers on the bus, told honestly: "up to date" is said when every peer that is there holds just what is
//! here, by its own signed word, and with the age of the last such word or exchange. When all have gone it stays so, with the same age, until something
//! changes here.

use edgesync_replica::{Fingerprint, Peer, PeerView, ProjectView};

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
    /// How it stood with the peers that were there last.
    last: Option<Last>,
    /// What the machine knew last.
    view: Option<ProjectView>,
}

/// How a repository stood with the peers that were there.
#[derive(Debug)]
struct Last {
    peers: Vec<Peer>,
    /// What was here.
    held: Fingerprint,
    /// Whether they all held the same.
    equal: bool,
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
            let state = self.state(&mut shown, &view);
            shown.view = Some(view);
            state
        };
        self.hosted.set_mesh(state);
    }

    fn state(&self, shown: &mut Shown, view: &ProjectView) -> Option<State> {
        let peers = &view.peers;
        if let Some(done) = shown.progress {
            return Some(State::Syncing {
                phase: Phase::Pull,
                done,
                total: None,
            });
        }
        if peers.is_empty() {
            return self.alone(shown, view.held);
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
        let equal = peers.iter().all(|peer| peer.equal != Some(false));
        if equal {
            // Where nobody has said or given anything there is nothing to tell.
            shown.equal = Some(peers.iter().filter_map(|it| self.proved_at(it)).max()?);
        }
        shown.last = Some(Last {
            peers: peers.iter().map(|it| it.peer.clone()).collect(),
            held: view.held,
            equal,
        });
        told(equal, shown.equal)
    }

    /// Says how it stands with peers of whom none is there: as when they went, as far as nothing has changed here since.
    fn alone(&self, shown: &Shown, held: Fingerprint) -> Option<State> {
        // With a remote, what it holds is what counts, and who has lost all rights is not waited for.
        let last = shown
            .last
            .as_ref()
            .filter(|_| self.hosted.remote().is_none())?;
        let waited_for = last.peers.iter().any(|peer| self.counts(peer));
        told(last.equal && last.held == held, shown.equal).filter(|_| waited_for)
    }

    /// Returns when it was last known of a peer that nothing was there which is not here: by its word, or at the end of an exchange.
    fn proved_at(&self, peer: &PeerView) -> Option<Time> {
        let word = (peer.equal == Some(true)).then(|| self.heard_at(peer));
        word.max(peer.exchanged.map(|at| self.time_of(at)))
    }
}

/// Returns the state of a repository that holds the same as the peers, or does not, and was found to at this time.
fn told(equal: bool, at: Option<Time>) -> Option<State> {
    match equal {
        true => at.map(|at| State::UpToDate { at }),
        false => Some(State::Pending { at }),
    }
}
