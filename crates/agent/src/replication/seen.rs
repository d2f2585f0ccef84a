//! Who was heard, and when last: the machine forgets who is silent, people want to know since when.

use std::collections::BTreeMap;

use edgesync_replica::{Moment, Peer, PeerView};

use crate::api::Time;
use crate::limits;

/// One that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    heard: Moment,
    /// The time of day of that moment.
    pub(crate) at: Time,
    /// When the last exchange with it was completed.
    pub(crate) exchanged: Option<Time>,
    /// Whether it is a bridge wherever it was heard.
    pub(crate) is_bridge: bool,
}

/// Those who were heard not too long ago.
#[derive(Debug, Default)]
pub(super) struct SeenPeers(BTreeMap<Peer, Seen>);

impl SeenPeers {
    /// Takes note of whom the machine knows, and forgets who is silent for too long; `at` gives the time of day of a moment.
    pub(super) fn note<'a>(
        &mut self,
        views: impl Iterator<Item = &'a PeerView>,
        now: Time,
        at: impl Fn(Moment) -> Time,
    ) {
        for view in views {
            let exchanged = view.exchanged.map(&at);
            let known = self.0.get_mut(&view.peer);
            let exchanged = match known {
                Some(known) => {
                    known.exchanged = known.exchanged.max(exchanged);
                    if known.heard >= view.heard {
                        continue;
                    }
                    known.exchanged
                }
                None => exchanged,
            };
            let seen = Seen {
                heard: view.heard,
                at: at(view.heard),
                exchanged,
                is_bridge: view.bridge,
            };
            self.0.insert(view.peer.clone(), seen);
        }
        // By the time of day: the machine's own stands still while a laptop sleeps.
        let oldest = now.before(limits::GONE_SHOWN);
        self.0.retain(|_, seen| seen.at >= oldest);
        while self.0.len() > limits::SEEN {
            let oldest = self.0.iter().min_by_key(|(_, seen)| seen.heard);
            let Some(oldest) = oldest.map(|(peer, _)| peer.clone()) else {
                return;
            };
            self.0.remove(&oldest);
        }
    }

    /// Returns the time of day at which the machine heard a peer last.
    pub(super) fn time_of(&self, view: &PeerView) -> Option<Time> {
        let seen = self.0.get(&view.peer);
        seen.filter(|seen| seen.heard == view.heard)
            .map(|seen| seen.at)
    }

    /// Forgets all but those.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&Peer) -> bool) {
        self.0.retain(|peer, _| is_kept(peer));
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> BTreeMap<Peer, Seen> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn view(number: usize, heard: u64) -> PeerView {
        PeerView {
            peer: Peer::parse(&format!("peer-{number}")).expect("a name"),
            bridge: false,
            heard: Moment::from_millis(heard),
            equal: None,
            covered: false,
            pulling: None,
            exchanged: None,
            failures: 0,
            error: None,
            retry: None,
        }
    }

    fn time(millis: u64) -> Time {
        Time::from_unix_millis(i64::try_from(millis).expect("a time"))
    }

    fn note(seen: &mut SeenPeers, views: &[PeerView], now: u64) -> Vec<(String, i64)> {
        seen.note(views.iter(), time(now), |moment| time(moment.as_millis()));
        let all = seen.all().into_iter();
        all.map(|(peer, seen)| (peer.to_string(), seen.at.unix_millis()))
            .collect()
    }

    #[test]
    fn who_was_heard_is_remembered_for_a_day_with_the_last_time() {
        let mut seen = SeenPeers::default();
        let later = HOUR + 5;
        note(&mut seen, &[view(1, HOUR), view(2, HOUR)], HOUR);
        let told = note(&mut seen, &[view(1, later), view(2, HOUR)], later);
        assert_eq!(
            told,
            [("peer-1".into(), 3_600_005), ("peer-2".into(), 3_600_000)]
        );
        // The machine has forgotten both.
        let told = note(&mut seen, &[], 25 * HOUR + 5);
        assert_eq!(told, [("peer-1".into(), 3_600_005)]);
        assert_eq!(note(&mut seen, &[], 25 * HOUR + 6), []);
    }

    #[test]
    fn the_last_exchange_is_remembered_with_who_has_gone() {
        let mut seen = SeenPeers::default();
        let exchanged = |heard, at| PeerView {
            exchanged: Some(Moment::from_millis(at)),
            ..view(1, heard)
        };
        // It ends after the last word, and is in one project alone.
        note(&mut seen, &[view(1, HOUR)], HOUR);
        note(&mut seen, &[exchanged(HOUR, HOUR + 7)], HOUR);
        note(&mut seen, &[view(1, HOUR + 9)], HOUR);
        note(&mut seen, &[], HOUR);
        let all = seen.all().into_values();
        let times: Vec<_> = all.map(|it| it.exchanged).collect();
        assert_eq!(times, [Some(time(HOUR + 7))]);
    }

    #[test]
    fn of_a_crowd_those_heard_last_are_remembered() {
        let mut seen = SeenPeers::default();
        let crowd: Vec<PeerView> = (0..limits::SEEN + 2)
            .map(|number| view(number, HOUR + number as u64))
            .collect();
        let told = note(&mut seen, &crowd, 2 * HOUR);
        assert_eq!(told.len(), limits::SEEN);
        assert!(told.iter().all(|(_, at)| *at > 3_600_001));
        seen.keep(|peer| peer.as_str() == "peer-5");
        assert_eq!(
            note(&mut seen, &[], 2 * HOUR),
            [("peer-5".into(), 3_600_005)]
        );
    }
}
