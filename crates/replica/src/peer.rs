//! What a project knows of one peer: what it holds, whether to ask it, and how the last tries went.

use crate::event::{PullId, Trigger};
use crate::held::Held;
use crate::random::Random;
use crate::{Fingerprint, Moment, Peer, PeerView, Stamp, limits};

/// What a project knows of one peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerState {
    /// When it was heard last.
    pub(crate) heard: Moment,
    /// Whether it is a bridge.
    pub(crate) bridge: bool,
    /// Whether it said that it goes, and nothing since.
    pub(crate) gone: bool,
    /// What it holds, where it says so.
    pub(crate) theirs: Option<Fingerprint>,
    /// Why it should be asked.
    pub(crate) wanted: Option<Trigger>,
    /// The exchange that is under way.
    pub(crate) running: Option<Running>,
    /// What was here and there when an exchange brought all that may be had. While both stand, another would bring nothing.
    settled: Option<(Fingerprint, Fingerprint)>,
    /// The last of its messages.
    stamp: Option<Stamp>,
    exchanged: Option<Moment>,
    failures: u32,
    error: Option<String>,
    retry: Option<Moment>,
    /// A person wants it asked, and when it would have been asked again without that.
    insisted: Option<Option<Moment>>,
}

/// An exchange that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) pull: PullId,
    pub(crate) trigger: Trigger,
    /// What was here when it began.
    mine: Fingerprint,
    /// What the peer held, as far as was known, when it began.
    pub(crate) theirs: Option<Fingerprint>,
    /// A person wanted it, and when the peer would have been asked again without that.
    insisted: Option<Option<Moment>>,
}

impl PeerState {
    /// Takes note of a message. Returns whether it is news: neither doubled nor overtaken by a later one.
    pub(crate) fn hear(&mut self, now: Moment, stamp: Option<Stamp>) -> bool {
        self.heard = now;
        self.gone = false;
        let Some(stamp) = stamp else { return true };
        let old = self
            .stamp
            .is_some_and(|last| last.run == stamp.run && last.seq >= stamp.seq);
        if !old {
            self.stamp = Some(stamp);
        }
        !old
    }

    /// Whether the peer, as far as is known, holds just what is here.
    pub(crate) fn equals(&self, mine: Fingerprint) -> bool {
        self.theirs == Some(mine)
    }

    /// Whether it holds what is here; `None` where that is not known. What a bridge holds is told in its own way: after an exchange both hold
    /// the same.
    fn stands_with(&self, mine: Fingerprint) -> Option<bool> {
        let theirs = self.theirs?;
        Some(theirs == mine || (self.bridge && self.settled == Some((mine, theirs))))
    }

    /// Whether asking it may bring something. To a bridge things are brought, too.
    pub(crate) fn promises(&self, held: &Held) -> bool {
        let known = |theirs| {
            let covered = !self.bridge && held.covers(theirs);
            covered || self.settled == Some((held.now(), theirs))
        };
        self.theirs.is_none_or(|theirs| !known(theirs))
    }

    /// Has the peer asked for this reason, unless there is one already.
    pub(crate) fn want(&mut self, trigger: Trigger) {
        self.wanted.get_or_insert(trigger);
    }

    /// Forgets why it should be asked where that would bring nothing. Returns whether it should be asked now.
    pub(crate) fn is_due(&mut self, now: Moment, held: &Held) -> bool {
        if self.running.is_some() || self.wanted.is_none() {
            return false;
        }
        if !self.promises(held) {
            (self.wanted, self.insisted) = (None, None);
            return false;
        }
        // What has passed wakes nobody again.
        self.retry = self.retry.filter(|retry| *retry > now);
        self.retry.is_none()
    }

    /// An exchange begins; `mine` is what is here.
    pub(crate) fn begin(&mut self, pull: PullId, mine: Fingerprint) -> Trigger {
        let trigger = self.wanted.take().unwrap_or(Trigger::Poll);
        self.running = Some(Running {
            pull,
            trigger,
            mine,
            theirs: self.theirs,
            insisted: self.insisted.take(),
        });
        trigger
    }

    /// The exchange brought all that may be had; `mine` is what is here now. What came to be here during an exchange with a bridge may not have been
    /// brought to it: then there is one more.
    pub(crate) fn complete(&mut self, now: Moment, mine: Fingerprint) {
        if let Some(running) = self.running.take()
            && let Some(theirs) = running.theirs
        {
            let settled = if self.bridge { running.mine } else { mine };
            self.settled = Some((settled, theirs));
            if settled != mine {
                self.want(Trigger::Change);
            }
        }
        self.exchanged = Some(now);
        self.failures = 0;
        self.error = None;
        self.retry = None;
        if let Some(planned) = &mut self.insisted {
            *planned = None;
        }
    }

    /// The exchange failed; it is tried again after a while. One that a person wanted does not put that off.
    pub(crate) fn fail(&mut self, now: Moment, error: String, random: &mut Random) {
        let running = self.running.take();
        if let Some(running) = running {
            self.want(running.trigger);
        }
        let insisted = running.and_then(|it| it.insisted);
        if insisted.is_none() || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
        }
        let earlier = self.failures.saturating_sub(1);
        let doubled = limits::BACKOFF_MIN.saturating_mul(1 << earlier.min(16));
        let wait = random.around(doubled.min(limits::BACKOFF_MAX));
        self.error = Some(error);
        let planned = insisted.flatten().filter(|at| *at > now);
        self.retry = Some(planned.unwrap_or(now + wait));
    }

    /// The exchange was with nobody; that is no failure where nobody has to be there.
    pub(crate) fn give_up(&mut self) {
        self.running = None;
    }

    /// A person wants it asked now, whatever happened before.
    pub(crate) fn insist(&mut self) {
        let planned = self.retry.take();
        // A person who asks twice before anything happens has asked once.
        self.insisted.get_or_insert(planned);
        self.settled = None;
        self.wanted = Some(Trigger::Person);
    }

    /// Whether a person wants it asked.
    pub(crate) fn is_wish(&self) -> bool {
        self.wanted == Some(Trigger::Person)
    }

    /// Returns when something about this peer is due by itself.
    pub(crate) fn wake(&self) -> Option<Moment> {
        let waits = self.wanted.is_some() && self.running.is_none();
        self.retry.filter(|_| waits)
    }

    /// Returns when the peer is forgotten unless it is heard again.
    pub(crate) fn forgotten_at(&self) -> Option<Moment> {
        // What runs ends first.
        let idle = self.running.is_none();
        idle.then(|| self.heard + limits::PEER_PATIENCE)
    }

    /// Where it stands among peers that may be asked: fewest failures first, then the one heard last.
    pub(crate) fn rank(&self) -> (u32, std::cmp::Reverse<Moment>) {
        (self.failures, std::cmp::Reverse(self.heard))
    }

    pub(crate) fn view(&self, peer: &Peer, held: &Held) -> PeerView {
        PeerView {
            peer: peer.clone(),
            bridge: self.bridge,
            heard: self.heard,
            equal: self.stands_with(held.now()),
            covered: self.theirs.is_some() && !self.promises(held),
            pulling: self.running.map(|running| running.trigger),
            exchanged: self.exchanged,
            failures: self.failures,
            error: self.error.clone(),
            retry: self.retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn print(byte: u8) -> Fingerprint {
        Fingerprint {
            artifacts: [byte; 32],
            unversioned: [0; 32],
        }
    }

    fn held(byte: u8) -> Held {
        Held::new(print(byte), crate::Tip::default())
    }

    const NOW: Moment = Moment::from_millis(1_000_000);

    #[test]
    fn a_settled_pair_is_left_alone_until_one_side_changes() {
        let mut peer = PeerState {
            theirs: Some(print(2)),
            ..PeerState::default()
        };
        peer.want(Trigger::Hello);
        assert!(peer.is_due(NOW, &held(1)));
        peer.begin(PullId(1), print(1));
        peer.complete(NOW, print(1));
        peer.want(Trigger::Hello);
        assert!(!peer.is_due(NOW, &held(1)));
        peer.want(Trigger::Hello);
        assert!(peer.is_due(NOW, &held(3)), "this side changed");
        peer.theirs = Some(print(4));
        assert!(peer.is_due(NOW, &held(1)), "their side changed");
    }

    #[test]
    fn what_came_during_an_exchange_with_a_bridge_is_brought_by_the_next() {
        let mut peer = PeerState {
            bridge: true,
            theirs: Some(print(2)),
            ..PeerState::default()
        };
        peer.want(Trigger::Hello);
        peer.begin(PullId(1), print(1));
        peer.complete(NOW, print(3));
        assert!(peer.is_due(NOW, &held(3)));
        assert_eq!(peer.begin(PullId(2), print(3)), Trigger::Change);
        peer.complete(NOW, print(3));
        assert!(!peer.is_due(NOW, &held(3)));
    }

    #[test]
    fn what_changes_there_during_an_exchange_is_asked_for_after_it() {
        let mut peer = PeerState {
            theirs: Some(print(2)),
            ..PeerState::default()
        };
        peer.want(Trigger::Announce);
        peer.begin(PullId(1), print(1));
        peer.theirs = Some(print(3));
        peer.want(Trigger::Announce);
        assert!(!peer.is_due(NOW, &held(1)), "one exchange at a time");
        peer.complete(NOW, print(2));
        assert!(peer.is_due(NOW, &held(2)));
    }

    #[test]
    fn waits_grow_to_their_limit_and_end_with_success() {
        let mut random = Random::new(1);
        let mut peer = PeerState::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            peer.want(Trigger::Announce);
            peer.begin(PullId(1), print(1));
            peer.fail(NOW, "no".to_owned(), &mut random);
            let retry = peer.wake().expect("a time to try again");
            assert!(!peer.is_due(NOW, &held(1)));
            assert!(peer.is_due(retry, &held(1)));
            waits.push(retry.since(NOW));
        }
        let most = limits::BACKOFF_MAX.mul_f64(1.25);
        assert!(
            waits
                .iter()
                .all(|wait| (Duration::from_millis(750)..=most).contains(wait))
        );
        assert!(waits.last() > waits.first().map(|wait| *wait * 100).as_ref());
        peer.begin(PullId(1), print(1));
        peer.complete(NOW, print(1));
        assert_eq!((peer.wake(), peer.failures, &peer.error), (None, 0, &None));
    }

    #[test]
    fn what_a_person_asks_for_in_vain_does_not_put_off_the_next_try_by_itself() {
        let mut random = Random::new(1);
        let mut peer = PeerState::default();
        let fails = |peer: &mut PeerState, random: &mut Random, now| {
            peer.begin(PullId(1), print(1));
            peer.fail(now, "no".to_owned(), random);
            peer.wake().expect("a time to try again")
        };
        let mut retry = NOW;
        for _ in 0..5 {
            peer.want(Trigger::Announce);
            retry = fails(&mut peer, &mut random, retry);
        }
        let (planned, failures) = (retry, peer.failures);
        let mut now = NOW;
        while now < planned {
            peer.insist();
            peer.insist();
            assert!(peer.is_due(now, &held(1)));
            assert_eq!(fails(&mut peer, &mut random, now), planned);
            now = now + Duration::from_millis(500);
        }
        assert_eq!(peer.failures, failures);
        // By itself, it goes on where it was.
        let next = fails(&mut peer, &mut random, planned);
        assert_eq!(peer.failures, failures + 1);
        assert!(next.since(planned) > limits::BACKOFF_MIN.mul_f64(16.0));
    }

    #[test]
    fn doubled_and_overtaken_messages_are_no_news_and_a_new_run_is() {
        let stamp = |run, seq| Some(Stamp { run, seq });
        let mut peer = PeerState::default();
        assert!(peer.hear(NOW, stamp(1, 5)));
        assert!(!peer.hear(NOW, stamp(1, 5)));
        assert!(!peer.hear(NOW, stamp(1, 4)));
        assert!(peer.hear(NOW, stamp(2, 1)));
        assert!(peer.hear(NOW, None), "foreign peers count nothing");
    }
}
