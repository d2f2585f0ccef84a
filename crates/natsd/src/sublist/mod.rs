//! The tree of subscriptions: who gets a message to this subject?
//!
//! One level per token. A lookup walks the branches for the token itself, for `*` and for `>`, so it costs the depth of the
//! subject and the number of branches that fit, not the number of subscriptions. [`Sublist::generation`] changes with every
//! change of the tree, so that answers can be kept for as long as it stays the same.

mod node;
mod subscription;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::subject::{self, Filter};
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
    fn none() -> Self {
        Self {
            plain: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// The tree. All methods may be called from any thread.
#[derive(Debug)]
pub(crate) struct Sublist<O> {
    root: RwLock<Node<O>>,
    generation: AtomicU64,
    len: AtomicUsize,
}

impl<O> Sublist<O> {
    pub(crate) fn new() -> Self {
        Self {
            root: RwLock::new(Node::new()),
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
        let mut root = self.root.write();
        let tally = root.insert(sub);
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
        let mut root = self.root.write();
        let Some(tally) = root.remove(sub) else {
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
        let mut root = self.root.write();
        if let Some(tally) = root.reweigh(sub, weight) {
            changed(&Changed {
                filter: &sub.filter,
                queue: sub.queue.as_ref(),
                tally,
            });
        }
    }

    /// Calls `first`, and then `each` for every filter and queue group there is; nobody can change the tree meanwhile.
    pub(crate) fn for_each(&self, first: impl FnOnce(), mut each: impl FnMut(&Changed<'_>)) {
        let root = self.root.write();
        first();
        root.for_each(&mut each);
    }

    /// Returns who gets a message to this subject: nobody if it is malformed.
    pub(crate) fn matches(&self, subject: &[u8]) -> Matches<O> {
        let mut matches = Matches::none();
        if subject::is_publishable(subject) {
            self.root.read().collect(Some(subject), &mut matches);
        }
        matches
    }
}
