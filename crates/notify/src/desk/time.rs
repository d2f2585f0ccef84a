//! Times as the desk is told them, and what it learns of other agents' clocks. A question waits for as long as its asker gave it, whatever
//! clocks show: its end is kept on a clock that nobody sets.

use std::collections::{BTreeMap, HashMap};

use libfossil::time::Timestamp;

use super::{Desk, Effect};
use crate::keyring::Author;
use crate::limits::MAX_SENDERS;
use crate::message::Fields;

/// By how many milliseconds clocks may differ and still be taken to agree: what a message needs to get here.
pub const CLOCKS_AGREE_MS: u64 = 5_000;

/// The present, on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// What the clock on the wall shows; people and other programs may set it. It is what messages say.
    pub wall: Timestamp,
    /// What a clock shows that nobody sets and that begins anywhere. Waits go by it.
    pub steady: Timestamp,
}

impl From<Timestamp> for Now {
    /// Returns the present where nobody ever sets the clock.
    fn from(now: Timestamp) -> Self {
        Self {
            wall: now,
            steady: now,
        }
    }
}

impl Now {
    /// Returns what the steady clock shows when a clock that shows `present` now shows `then`.
    fn steady_at(self, then: Timestamp, present: Timestamp) -> Timestamp {
        let left_ms = then.unix_millis().saturating_sub(present.unix_millis());
        self.steady.saturating_add_millis(left_ms)
    }
}

/// What the clocks of others show, as far as their messages told when they came: each by how much it is ahead of the steady clock.
#[derive(Debug, Default)]
pub(super) struct Clocks(HashMap<String, i64>);

impl Clocks {
    /// Learns that the clock of the agent `from` shows this now.
    pub(super) fn learn(&mut self, from: &str, shows: Timestamp, now: Now) {
        if self.0.len() < MAX_SENDERS || self.0.contains_key(from) {
            let shows_ms = shows.unix_millis();
            let ahead_ms = shows_ms.saturating_sub(now.steady.unix_millis());
            self.0.insert(from.to_owned(), ahead_ms);
        }
    }

    /// Returns when a question ends, on the steady clock. Its asker may be another agent; where nothing is known of its clock, that is
    /// taken to show what ours does.
    pub(super) fn end_of(&self, question: &Fields, own: bool, now: Now) -> Option<Timestamp> {
        let ahead = self.0.get(&question.from).filter(|_| !own);
        let present = ahead.map_or(now.wall, |ms| now.steady.saturating_add_millis(*ms));
        question.expires_at.map(|end| now.steady_at(end, present))
    }
}

impl Desk {
    /// Learns what the clock of the agent `from` shows now, because it has just said so. Its questions end by that.
    pub fn learn_clock(
        &mut self,
        from: &str,
        shows: Timestamp,
        now: impl Into<Now>,
    ) -> Vec<Effect> {
        let now = now.into();
        self.clocks.learn(from, shows, now);
        let me = Author::Key(self.me.signer.key());
        let mut effects = Vec::new();
        for (id, question) in &mut self.waiting {
            if question.fields.from != from || question.author == me {
                continue;
            }
            let ends = self.clocks.end_of(&question.fields, false, now);
            let moved = question.end.zip(ends).is_some_and(|(old, new)| {
                old.unix_millis().abs_diff(new.unix_millis()) > CLOCKS_AGREE_MS
            });
            if moved {
                question.end = ends;
                effects.push(Effect::EndMoved(*id));
            }
        }
        effects
    }

    /// Returns by how many milliseconds the clock of each agent is ahead of the one on the wall here, as far as is known; those that agree
    /// are left out.
    #[must_use]
    pub fn clocks(&self, now: Now) -> BTreeMap<String, i64> {
        let wall_ms = now
            .wall
            .unix_millis()
            .saturating_sub(now.steady.unix_millis());
        let ahead = self.clocks.0.iter().map(|(from, ahead_ms)| {
            let ms = ahead_ms.saturating_sub(wall_ms);
            (from.clone(), ms)
        });
        ahead
            .filter(|(_, ms)| ms.unsigned_abs() > CLOCKS_AGREE_MS)
            .collect()
    }

    /// Goes on with what a former desk of this agent learned of others' clocks.
    pub fn keep_clocks_of(&mut self, former: &mut Self) {
        self.clocks = std::mem::take(&mut former.clocks);
    }
}
