//! How far the lists were read that do not fit in one message, the server's and our own.

use std::collections::BTreeMap;

use super::Goal;
use crate::name::HashName;
use crate::xfer::Outbox;
use crate::xfer::card::{Card, Pragma};
use crate::xfer::extension::{Extension, List, Place};

/// Requests in a row that may bring no list any further.
const MAX_STANDSTILL: u8 = 4;

/// How far lists were read.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Those of the server that go on.
    theirs: BTreeMap<List, Place>,
    /// Where the server's lists were asked to go on with the last request.
    asked: BTreeMap<List, Place>,
    standstill: u8,
    /// The last name that we told of each of our lists; a list that is not here was told to its end.
    ours: BTreeMap<List, Option<HashName>>,
}

impl Lists {
    /// Returns our lists for a goal, none of which was told.
    pub(super) fn of(goal: Goal) -> Self {
        let mut lists = Self::default();
        if goal.push {
            lists.ours.insert(List::Unclustered, None);
            if goal.private {
                lists.ours.insert(List::Private, None);
            }
        }
        lists
    }

    /// Asks for the server's lists one part after the other.
    pub(super) fn read_in_parts(&mut self, goal: Goal) {
        if goal.pull {
            self.want(if goal.thorough {
                List::Catalog
            } else {
                List::Unclustered
            });
            if goal.private {
                self.want(List::Private);
            }
        }
    }

    /// Returns whether every list was read to its end.
    pub(super) fn is_idle(&self) -> bool {
        self.theirs.is_empty() && self.ours.is_empty()
    }

    /// Asks for a list from its start.
    pub(super) fn want(&mut self, list: List) {
        self.theirs.insert(list, Place::Start);
    }

    /// Asks for what was not read.
    pub(super) fn ask(&mut self, outbox: &mut Outbox) {
        self.asked = std::mem::take(&mut self.theirs);
        for (list, place) in &self.asked {
            let from = Extension::From(*list, *place);
            outbox.push(&Card::Pragma(Pragma::Extension(from)));
        }
    }

    /// Returns whether the rest of a list is asked for with the next request.
    pub(super) fn goes_on(&self, list: List) -> bool {
        self.theirs.contains_key(&list)
    }

    /// Takes note that a list goes on.
    pub(super) fn more(&mut self, list: List, place: Place) {
        let before = self.asked.get(&list).copied().unwrap_or_default();
        // A list that goes back would go on for ever.
        if place >= before {
            self.theirs.insert(list, place);
        }
    }

    /// Ends a reply. `progress` says that it brought anything. A server that brings nothing and never ends a list is not asked again.
    pub(super) fn end_reply(&mut self, progress: bool) {
        let onward = |(list, place): (&List, &Place)| self.asked.get(list) != Some(place);
        if progress || self.theirs.iter().any(onward) {
            self.standstill = 0;
            return;
        }
        self.standstill = self.standstill.saturating_add(1);
        if self.standstill > MAX_STANDSTILL {
            self.theirs.clear();
        }
    }

    /// Returns our lists that were not told to their end, with the last name that was told.
    pub(super) fn ours(&self) -> Vec<(List, Option<HashName>)> {
        self.ours
            .iter()
            .map(|(list, last)| (*list, *last))
            .collect()
    }

    /// Takes note of how far one of our lists was told: to its end, or to a name.
    pub(super) fn told(&mut self, list: List, last: Option<Option<HashName>>) {
        match last {
            Some(last) => drop(self.ours.insert(list, last)),
            None => drop(self.ours.remove(&list)),
        }
    }

    /// Tells nothing more: we may not push.
    pub(super) fn stop_telling(&mut self) {
        self.ours.clear();
    }
}
