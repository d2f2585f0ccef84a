//! The tree of subscriptions: who gets a message to this subject?
//!
//! Filters without wildcards are found whole, in one step. Those with wildcards are in a tree with one level per token: a lookup walks
//! the branches for the token itself, for `*` and for `>`, so it costs the depth of the subject and the number of branches that
//! fit, not the number of subscriptions. [`Sublist::generation`] changes with every change, so that answers can be kept for as long
//! as it stays the same.

mod ends;
mod node;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::subject::{self, Filter};
use ends::Ends;
use node::Node;
pub(crate) use subscription::{Class, Delivery, Subscription, Tally};

/// A filter, the queue group if it is one's, and how many there are now: what a change of the tree is told with.
pub(crate) struct Changed<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) queue: Option<&'a Arc<[u8]>>,
    pub(crate) tally: Tally,
}

/// Who gets a message to one subject.
#[derive(Debug)]
pub(crate) struct Matches<O> {
    /// Each of these.
    pub(crate) plain: Vec<Arc<Subscription<O>>>,
    /// One member of each of these. Groups of the same name are one, whatever filters their members have.
    pub(crate) groups: Vec<Group<O>>,
}

/// The members of one queue group that match.
#[derive(Debug)]
pub(crate) struct Group<O> {
    pub(crate) name: Arc<[u8]>,
    /// Clients of this server.
    pub(crate) local: Vec<Arc<Subscription<O>>>,
    /// Links with members behind them.
    pub(crate) remote: Vec<Arc<Subscription<O>>>,
}

impl<O> Matches<O> {
    /// Forgets everybody, and keeps the room for others.
    pub(crate) fn clear(&mut self) {
        self.plain.clear();
        self.groups.clear();
    }
}

impl<O> Default for Matches<O> {
    fn default() -> Self {
        Self {
            plain: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// The tree. All methods may be called from any thread.
#[derive(Debug)]
pub(crate) struct Sublist<O> {
    filters: RwLock<Filters<O>>,
    generation: AtomicU64,
    len: AtomicUsize,
}

/// All filters.
#[derive(Debug)]
struct Filters<O> {
    /// Those without wildcards. The hasher is keyed at random, since whoever may subscribe chooses them.
    literal: HashMap<Filter, Ends<O>>,
    /// Those with wildcards.
    wild: Node<O>,
}

impl<O> Filters<O> {
    fn insert(&mut self, sub: &Arc<Subscription<O>>) -> Tally {
        if !subject::is_literal(sub.filter.as_bytes()) {
            return self.wild.insert(sub);
        }
        let ends = self.literal.entry(sub.filter.clone());
        ends.or_insert(Ends::None).insert(sub)
    }

    fn remove(&mut self, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        let Some(ends) = self.literal.get_mut(&sub.filter) else {
            return self.wild.remove(sub);
        };
        let tally = ends.remove(sub)?;
        if ends.is_empty() {
            self.literal.remove(&sub.filter);
            // As much as half of the room is given back when most of those are gone who needed it.
            if self.literal.len() * 8 < self.literal.capacity() {
                self.literal.shrink_to(self.literal.len() * 4);
            }
        }
        Some(tally)
    }

    fn reweigh(&mut self, sub: &Arc<Subscription<O>>, weight: u32) -> Option<Tally> {
        match self.literal.get_mut(&sub.filter) {
            Some(ends) => ends.reweigh(sub, weight),
            None => self.wild.reweigh(sub, weight),
        }
    }
}

impl<O> Sublist<O> {
    pub(crate) fn new() -> Self {
        Self {
            filters: RwLock::new(Filters {
                literal: HashMap::new(),
                wild: Node::new(),
            }),
            generation: AtomicU64::new(1),
            len: AtomicUsize::new(0),
        }
    }

    /// A number that is another one after each change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// How many subscriptions there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Adds a subscription, and calls `changed` before anybody else can change the tree.
    pub(crate) fn insert(&self, sub: &Arc<Subscription<O>>, changed: impl FnOnce(&Changed<'_>)) {
        let mut filters = self.filters.write();
        let tally = filters.insert(sub);
        self.len.fetch_add(1, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
        changed(&Changed {
            filter: &sub.filter,
            queue: sub.queue.as_ref(),
            tally,
        });
    }

    /// Takes a subscription out if it is in, and calls `changed` before anybody else can change the tree.
    pub(crate) fn remove(&self, sub: &Arc<Subscription<O>>, changed: impl FnOnce(&Changed<'_>)) {
        sub.end();
        let mut filters = self.filters.write();
        let Some(tally) = filters.remove(sub) else {
            return;
        };
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
        changed(&Changed {
            filter: &sub.filter,
            queue: sub.queue.as_ref(),
            tally,
        });
    }

    /// Changes the weight of a subscription that is in the tree.
    pub(crate) fn reweigh(
        &self,
        sub: &Arc<Subscription<O>>,
        weight: u32,
        changed: impl FnOnce(&Changed<'_>),
    ) {
        let mut filters = self.filters.write();
        if let Some(tally) = filters.reweigh(sub, weight) {
            changed(&Changed {
                filter: &sub.filter,
                queue: sub.queue.as_ref(),
                tally,
            });
        }
    }

    /// Calls `first`, and then `each` for every filter and queue group there is; nobody can change the tree meanwhile.
    pub(crate) fn for_each(&self, first: impl FnOnce(), mut each: impl FnMut(&Changed<'_>)) {
        let filters = self.filters.write();
        first();
        for ends in filters.literal.values() {
            ends.for_each(&mut each);
        }
        filters.wild.for_each(&mut each);
    }

    /// Adds whoever gets a message to this subject: nobody if it is malformed.
    pub(crate) fn collect(&self, subject: &[u8], matches: &mut Matches<O>) {
        if !subject::is_publishable(subject) {
            return;
        }
        let filters = self.filters.read();
        if let Some(ends) = filters.literal.get(subject) {
            ends.take(matches);
        }
        filters.wild.collect(Some(subject), matches);
    }
}
