//! What is here, and what was here before: a peer that holds just what was here once holds nothing new.

use std::collections::VecDeque;

use crate::{Fingerprint, Tip, limits};

/// What a project holds, with its recent past.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    now: Fingerprint,
    tip: Tip,
    past: VecDeque<Fingerprint>,
}

impl Held {
    pub(crate) fn new(now: Fingerprint, tip: Tip) -> Self {
        Self {
            now,
            tip,
            past: VecDeque::new(),
        }
    }

    pub(crate) const fn now(&self) -> Fingerprint {
        self.now
    }

    pub(crate) const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Whether all of `theirs` is known to be here.
    pub(crate) fn covers(&self, theirs: Fingerprint) -> bool {
        self.now == theirs || self.past.contains(&theirs)
    }

    /// The content changed. Returns whether it did.
    pub(crate) fn change(&mut self, now: Fingerprint, tip: Tip) -> bool {
        let grew = tip.rid > self.tip.rid || now.artifacts == self.now.artifacts;
        self.tip = tip;
        if now == self.now {
            return false;
        }
        if grew {
            if self.past.len() == limits::PAST {
                self.past.pop_front();
            }
            self.past.push_back(self.now);
        } else {
            // Something may have gone, as when a person puts an older copy of the file in its place.
            self.past.clear();
        }
        self.now = now;
        true
    }

    /// Forgets what was here before.
    pub(crate) fn forget_past(&mut self) {
        self.past.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(byte: u8) -> Fingerprint {
        Fingerprint {
            artifacts: [byte; 32],
            unversioned: [0; 32],
        }
    }

    fn tip(rid: i64) -> Tip {
        Tip {
            rid,
            uuid: String::new(),
        }
    }

    #[test]
    fn what_was_here_is_covered_while_the_content_grows() {
        let mut held = Held::new(print(1), tip(1));
        assert!(held.change(print(2), tip(2)));
        assert!(!held.change(print(2), tip(2)));
        assert!(held.covers(print(1)) && held.covers(print(2)) && !held.covers(print(3)));
    }

    #[test]
    fn an_older_copy_of_the_file_covers_nothing_of_what_came_after() {
        let mut held = Held::new(print(1), tip(1));
        held.change(print(2), tip(2));
        held.change(print(1), tip(1));
        assert!(!held.covers(print(2)));
    }

    #[test]
    fn the_past_is_bounded() {
        let mut held = Held::new(print(0), tip(0));
        for step in 1..=u8::MAX {
            held.change(print(step), tip(step.into()));
        }
        assert_eq!(held.past.len(), limits::PAST);
        assert!(held.covers(print(u8::MAX - 1)) && !held.covers(print(0)));
    }
}
