//! Times as the desk is told them, and what it learns of other agents' clocks. A question waits for as long as its asker gave it, whatever
//! clocks show: its end is kept on a clock that nobody sets.

use std::collections::HashMap;

use libfossil::time::Timestamp;

use crate::limits::MAX_SENDERS;
use crate::message::Fields;

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
    /// Learns from a message that its sender has just sent.
    pub(super) fn learn(&mut self, message: &Fields, now: Now) {
        if self.0.len() < MAX_SENDERS || self.0.contains_key(&message.from) {
            let sent_ms = message.timestamp.unix_millis();
            let ahead_ms = sent_ms.saturating_sub(now.steady.unix_millis());
            self.0.insert(message.from.clone(), ahead_ms);
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
