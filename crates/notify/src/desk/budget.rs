//! How much one sender may put before people: a bucket for urgent messages, one for answers, one for the rest. What is over is
//! counted, and one notice stands for all of it.

use std::collections::BTreeMap;

use libfossil::time::Timestamp;

use super::Effect;
use crate::limits::{
    BUDGET_ANSWERS, BUDGET_MESSAGES, BUDGET_MS, BUDGET_URGENT, FOLD_TOLD_MS, MAX_SENDERS,
};
use crate::message::{Fields, Kind, Priority};

/// Which bucket a message is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// Urgent messages.
    Urgent,
    /// Answers and resolutions.
    Answers,
    /// Everything else.
    Rest,
}

impl Budget {
    fn of(message: &Fields) -> Self {
        let answer =
            matches!(message.kind, Kind::Answer | Kind::Resolution) || message.action_response;
        match message.urgency() {
            _ if answer => Self::Answers,
            Priority::Urgent => Self::Urgent,
            Priority::Info | Priority::ActionRequired => Self::Rest,
        }
    }

    fn size(self) -> u32 {
        match self {
            Self::Urgent => BUDGET_URGENT,
            Self::Answers => BUDGET_ANSWERS,
            Self::Rest => BUDGET_MESSAGES,
        }
    }
}

/// Whether a message may be shown by itself.
#[derive(Debug)]
pub(super) enum Spent {
    /// It may.
    Within,
    /// It may not.
    Over,
    /// It may not, and nobody was told yet.
    First(Box<Effect>),
}

/// A sender's share of the present stretch of time.
#[derive(Debug)]
struct Stretch {
    began: Timestamp,
    used: BTreeMap<Budget, u32>,
    folded: u64,
    /// How many notices spoke of, and when the last one did.
    told: u64,
    told_at: Option<Timestamp>,
    name: String,
}

/// The budgets of all senders.
#[derive(Debug, Default)]
pub(super) struct Budgets(BTreeMap<String, Stretch>);

impl Budgets {
    /// Takes a message from its sender's budget.
    pub(super) fn spend(&mut self, message: &Fields, now: Timestamp) -> Spent {
        if self.0.len() >= MAX_SENDERS && !self.0.contains_key(&message.from) {
            let oldest = self.0.iter().min_by_key(|(_, it)| it.began);
            if let Some(sender) = oldest.map(|(sender, _)| sender.clone()) {
                self.0.remove(&sender);
            }
        }
        let fresh = || Stretch {
            began: now,
            used: BTreeMap::new(),
            folded: 0,
            told: 0,
            told_at: None,
            name: message.sender().to_owned(),
        };
        let stretch = self.0.entry(message.from.clone()).or_insert_with(fresh);
        // A clock that was put back starts anew as well.
        if !(stretch.began..end(stretch.began)).contains(&now) {
            let untold = stretch.folded.saturating_sub(stretch.told);
            *stretch = fresh();
            stretch.folded = untold;
        }
        let budget = Budget::of(message);
        let used = stretch.used.entry(budget).or_default();
        if *used < budget.size() {
            *used += 1;
            return Spent::Within;
        }
        stretch.folded += 1;
        if stretch.told == 0 {
            Spent::First(Box::new(stretch.notice(&message.from, now)))
        } else {
            Spent::Over
        }
    }

    /// Returns the notices that are due, and begins anew for senders whose time is over.
    pub(super) fn notices(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut notices = Vec::new();
        self.0.retain(|sender, stretch| {
            let over = !(stretch.began..end(stretch.began)).contains(&now);
            if stretch.owed_at().is_some_and(|at| over || at <= now) {
                notices.push(stretch.notice(sender, now));
            }
            !over
        });
        notices
    }

    /// Returns when a notice is due next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.0.values().filter_map(Stretch::owed_at).min()
    }
}

impl Stretch {
    /// Returns when the next notice is due, if there is something to tell.
    fn owed_at(&self) -> Option<Timestamp> {
        let next = self
            .told_at
            .map(|at| at.saturating_add_millis(FOLD_TOLD_MS));
        let end = end(self.began);
        (self.folded > self.told).then(|| next.map_or(end, |next| next.min(end)))
    }

    fn notice(&mut self, sender: &str, now: Timestamp) -> Effect {
        let count = self.folded.saturating_sub(self.told);
        self.told = self.folded;
        self.told_at = Some(now);
        Effect::Folded {
            sender: sender.to_owned(),
            name: self.name.clone(),
            count,
        }
    }
}

fn end(began: Timestamp) -> Timestamp {
    began.saturating_add_millis(BUDGET_MS)
}
