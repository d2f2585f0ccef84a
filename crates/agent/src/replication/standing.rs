//! How a repository stands with its peers on the bus, told honestly: "up to date" is said when every peer that is there holds just what is
//! here, by its own signed word, and with the age of the last such word or exchange. When all have gone it stays so, with the same age, until something
//! changes here. What nobody who is there takes from here is said to stay here.

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
    /// When the last exchange was completed.
    exchanged: Option<Time>,
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
        let exchanged = peers.iter().filter_map(|it| it.exchanged).max();
        let exchanged = exchanged.map(|at| self.time_of(at));
        shown.exchanged = shown.exchanged.max(exchanged);
        if equal {
            // Where nobody has said or given anything there is nothing to tell.
            shown.equal = Some(peers.iter().filter_map(|it| self.proved_at(it)).max()?);
        }
        shown.last = Some(Last {
            peers: peers.iter().map(|it| it.peer.clone()).collect(),
            held: view.held,
            equal,
        });
        let lacking = peers.iter().filter(|it| it.equal == Some(false));
        // What one of them has is pulled first.
        let is_more_here = lacking.clone().all(|it| it.covered);
        let refusal = self
            .refusal(peers.iter().map(|it| &it.peer), lacking.map(|it| &it.peer))
            .filter(|_| is_more_here);
        told(equal, shown, refusal)
    }

    /// Says how it stands with peers of whom none is there: as when they went, as far as nothing has changed here since.
    fn alone(&self, shown: &Shown, held: Fingerprint) -> Option<State> {
        // With a remote, what it holds is what counts, and who has lost all rights is not waited for.
        let last = shown
            .last
            .as_ref()
            .filter(|_| self.hosted.remote().is_none())?;
        let waited_for = || last.peers.iter().filter(|peer| self.counts(peer));
        waited_for().next()?;
        let refusal = self.refusal(waited_for(), waited_for());
        told(last.equal && last.held == held, shown, refusal)
    }

    /// Returns who of those that lack something does not take it from here, and what to do about it; nothing while one of `all` does, or may do so.
    fn refusal<'a>(
        &self,
        mut all: impl Iterator<Item = &'a Peer>,
        mut lacking: impl Iterator<Item = &'a Peer>,
    ) -> Option<(String, String)> {
        let project = self.project()?;
        let refuses = |peer: &Peer| {
            let id = peer.as_str().parse().ok();
            id.is_some_and(|id| self.takes(&id, project.as_str()) == Some(false))
        };
        if !all.all(refuses) {
            return None;
        }
        let name = self.name_of(lacking.next()?);
        let own = self.own_id();
        Some((
            format!("they are not taken by {name}, where this agent may only read"),
            format!(
                "Ask there for the right to write: edgesync sync start --trust {own}, or trust it there on the page Mesh."
            ),
        ))
    }

    /// Returns when it was last known of a peer that nothing was there which is not here: by its word, or at the end of an exchange.
    fn proved_at(&self, peer: &PeerView) -> Option<Time> {
        let word = (peer.equal == Some(true)).then(|| self.heard_at(peer));
        word.max(peer.exchanged.map(|at| self.time_of(at)))
    }
}

/// Returns the state of a repository that holds the same as the peers, or does not and perhaps cannot.
fn told(equal: bool, shown: &Shown, refusal: Option<(String, String)>) -> Option<State> {
    let at = shown.equal.max(shown.exchanged);
    match (equal, refusal) {
        (true, _) => shown.equal.map(|at| State::UpToDate { at }),
        (false, Some((message, hint))) => Some(State::Kept { at, message, hint }),
        (false, None) => Some(State::Pending { at }),
    }
}
