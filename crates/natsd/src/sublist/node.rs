//! One level of the tree.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Changed, Class, Group, Matches, Subscription, Tally};
use crate::subject::tokens;

/// The subscriptions whose filters end here, and the branches by the next token.
#[derive(Debug)]
pub(super) struct Node<O> {
    /// Branches by literal tokens. Its hasher is keyed at random, since whoever may subscribe chooses the tokens.
    literal: Option<Box<Branches<O>>>,
    /// The branch of `*`.
    any: Option<Box<Node<O>>>,
    /// The branch of `>`, which has no further branches.
    rest: Option<Box<Node<O>>>,
    plain: Members<O>,
    groups: Vec<Members<O>>,
}

type Branches<O> = HashMap<Box<[u8]>, Node<O>>;

/// The subscriptions to one filter, without a queue group or of one of them.
#[derive(Debug)]
struct Members<O> {
    name: Option<Arc<[u8]>>,
    tally: Tally,
    list: Vec<Arc<Subscription<O>>>,
}

impl<O> Members<O> {
    fn new(name: Option<Arc<[u8]>>) -> Self {
        Self {
            name,
            tally: Tally::default(),
            list: Vec::new(),
        }
    }

    fn insert(&mut self, sub: &Arc<Subscription<O>>) -> Tally {
        sub.slot.store(self.list.len(), Ordering::Relaxed);
        self.list.push(Arc::clone(sub));
        let count = self.tally.count(sub.class);
        *count = count.saturating_add(sub.weight());
        self.tally
    }

    fn remove(&mut self, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        let slot = sub.slot.load(Ordering::Relaxed);
        if !self
            .list
            .get(slot)
            .is_some_and(|found| Arc::ptr_eq(found, sub))
        {
            return None;
        }
        self.list.swap_remove(slot);
        if let Some(moved) = self.list.get(slot) {
            moved.slot.store(slot, Ordering::Relaxed);
        }
        if self.list.len() * 4 < self.list.capacity() {
            self.list.shrink_to(self.list.len() * 2);
        }
        let count = self.tally.count(sub.class);
        *count = count.saturating_sub(sub.weight());
        Some(self.tally)
    }

    fn reweigh(&mut self, sub: &Arc<Subscription<O>>, weight: u32) -> Option<Tally> {
        let slot = sub.slot.load(Ordering::Relaxed);
        if !self
            .list
            .get(slot)
            .is_some_and(|found| Arc::ptr_eq(found, sub))
        {
            return None;
        }
        let count = self.tally.count(sub.class);
        *count = count.saturating_sub(sub.weight()).saturating_add(weight);
        sub.set_weight(weight);
        Some(self.tally)
    }
}

impl<O> Node<O> {
    pub(super) fn new() -> Self {
        Self {
            literal: None,
            any: None,
            rest: None,
            plain: Members::new(None),
            groups: Vec::new(),
        }
    }

    /// Says whether nothing ends here and nothing goes on.
    fn is_empty(&self) -> bool {
        self.plain.list.is_empty()
            && self.groups.is_empty()
            && self.literal.is_none()
            && self.any.is_none()
            && self.rest.is_none()
    }

    pub(super) fn insert(&mut self, sub: &Arc<Subscription<O>>) -> Tally {
        let mut node = self;
        for token in tokens(sub.filter.as_bytes()) {
            node = match token {
                b"*" => node.any.get_or_insert_with(|| Box::new(Self::new())),
                b">" => node.rest.get_or_insert_with(|| Box::new(Self::new())),
                token => {
                    let branches = node.literal.get_or_insert_default();
                    if !branches.contains_key(token) {
                        branches.insert(token.into(), Self::new());
                    }
                    match branches.get_mut(token) {
                        Some(branch) => branch,
                        None => return Tally::default(),
                    }
                }
            };
        }
        node.members_or_new(sub.queue.as_ref()).insert(sub)
    }

    fn members_or_new(&mut self, queue: Option<&Arc<[u8]>>) -> &mut Members<O> {
        let Some(queue) = queue else {
            return &mut self.plain;
        };
        let found = self
            .groups
            .iter()
            .position(|group| group.name.as_ref() == Some(queue));
        let at = found.unwrap_or(self.groups.len());
        if found.is_none() {
            self.groups.push(Members::new(Some(Arc::clone(queue))));
        }
        // The position was found or just made; the plain list stands in for "cannot be".
        self.groups.get_mut(at).unwrap_or(&mut self.plain)
    }

    fn members(&mut self, queue: Option<&Arc<[u8]>>) -> Option<&mut Members<O>> {
        match queue {
            None => Some(&mut self.plain),
            queue => self
                .groups
                .iter_mut()
                .find(|group| group.name.as_ref() == queue),
        }
    }

    pub(super) fn remove(&mut self, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        self.remove_below(Some(sub.filter.as_bytes()), sub)
    }

    fn remove_below(&mut self, left: Option<&[u8]>, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        let Some(left) = left else {
            let tally = self.members(sub.queue.as_ref())?.remove(sub)?;
            self.groups.retain(|group| !group.list.is_empty());
            return Some(tally);
        };
        let (token, left) = first_token(left);
        match token {
            b"*" => remove_branch(&mut self.any, left, sub),
            b">" => remove_branch(&mut self.rest, left, sub),
            token => {
                let branches = self.literal.as_mut()?;
                let branch = branches.get_mut(token)?;
                let tally = branch.remove_below(left, sub)?;
                if branch.is_empty() {
                    branches.remove(token);
                }
                if branches.is_empty() {
                    self.literal = None;
                }
                Some(tally)
            }
        }
    }

    pub(super) fn reweigh(&mut self, sub: &Arc<Subscription<O>>, weight: u32) -> Option<Tally> {
        let mut node = self;
        for token in tokens(sub.filter.as_bytes()) {
            node = match token {
                b"*" => node.any.as_mut()?,
                b">" => node.rest.as_mut()?,
                token => node.literal.as_mut()?.get_mut(token)?,
            };
        }
        node.members(sub.queue.as_ref())?.reweigh(sub, weight)
    }

    pub(super) fn for_each(&self, each: &mut impl FnMut(&Changed<'_>)) {
        for members in self.groups.iter().chain([&self.plain]) {
            if let Some(first) = members.list.first() {
                each(&Changed {
                    filter: &first.filter,
                    queue: first.queue.as_ref(),
                    tally: members.tally,
                });
            }
        }
        let literal = self.literal.iter().flat_map(|branches| branches.values());
        let wild = self.any.iter().chain(&self.rest).map(AsRef::as_ref);
        for branch in literal.chain(wild) {
            branch.for_each(each);
        }
    }

    /// Adds whoever gets a message to a subject of which these tokens are left.
    pub(super) fn collect(&self, left: Option<&[u8]>, matches: &mut Matches<O>) {
        let Some(left) = left else {
            self.take(matches);
            return;
        };
        if let Some(rest) = &self.rest {
            rest.take(matches);
        }
        if self.any.is_none() && self.literal.is_none() {
            return;
        }
        let (token, left) = first_token(left);
        if let Some(any) = &self.any {
            any.collect(left, matches);
        }
        if let Some(branch) = self
            .literal
            .as_ref()
            .and_then(|branches| branches.get(token))
        {
            branch.collect(left, matches);
        }
    }

    /// Adds those whose filters end here.
    fn take(&self, matches: &mut Matches<O>) {
        matches.plain.extend_from_slice(&self.plain.list);
        for members in &self.groups {
            let Some(name) = &members.name else { continue };
            let found = matches.groups.iter_mut().find(|group| group.name == *name);
            let group = match found {
                Some(group) => group,
                None => matches.groups.push_mut(Group {
                    name: Arc::clone(name),
                    local: Vec::new(),
                    remote: Vec::new(),
                }),
            };
            for sub in &members.list {
                let list = match sub.class {
                    Class::Client => &mut group.local,
                    Class::Spoke | Class::Hub | Class::Route => &mut group.remote,
                };
                list.push(Arc::clone(sub));
            }
        }
    }
}

/// Removes from a branch of a wildcard, and the branch when nothing is left of it.
fn remove_branch<O>(
    branch: &mut Option<Box<Node<O>>>,
    left: Option<&[u8]>,
    sub: &Arc<Subscription<O>>,
) -> Option<Tally> {
    let node = branch.as_mut()?;
    let tally = node.remove_below(left, sub)?;
    if node.is_empty() {
        *branch = None;
    }
    Some(tally)
}

/// Splits the first token off; nothing is left after the last one.
fn first_token(subject: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'.', subject) {
        Some(dot) => {
            let (token, left) = subject.split_at(dot);
            (token, left.get(1..))
        }
        None => (subject, None),
    }
}
