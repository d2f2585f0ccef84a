//! The subscriptions whose filter is the same.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Changed, Class, Group, Matches, Subscription, Tally};

/// The subscriptions to one filter. One alone and without a queue group, which is most of them, takes no room of its own.
#[derive(Debug)]
pub(super) enum Ends<O> {
    None,
    One(Arc<Subscription<O>>),
    Many(Box<Many<O>>),
}

#[derive(Debug)]
pub(super) struct Many<O> {
    plain: Members<O>,
    groups: Vec<Members<O>>,
}

/// The subscriptions to one filter, without a queue group or of one of them.
#[derive(Debug)]
struct Members<O> {
    name: Option<Arc<[u8]>>,
    tally: Tally,
    list: Vec<Arc<Subscription<O>>>,
}

impl<O> Ends<O> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn insert(&mut self, sub: &Arc<Subscription<O>>) -> Tally {
        match self {
            Self::None if sub.queue.is_none() => {
                sub.slot.store(0, Ordering::Relaxed);
                *self = Self::One(Arc::clone(sub));
                return Tally::of(sub);
            }
            Self::Many(many) => return many.insert(sub),
            Self::None | Self::One(_) => {}
        }
        let mut many = Box::new(Many {
            plain: Members::new(None),
            groups: Vec::new(),
        });
        if let Self::One(first) = mem::replace(self, Self::None) {
            many.plain.insert(&first);
        }
        let tally = many.insert(sub);
        *self = Self::Many(many);
        tally
    }

    pub(super) fn remove(&mut self, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        match self {
            Self::None => None,
            Self::One(found) => {
                let same = Arc::ptr_eq(found, sub);
                same.then(|| {
                    *self = Self::None;
                    Tally::default()
                })
            }
            Self::Many(many) => {
                let tally = many.members(sub.queue.as_ref())?.remove(sub)?;
                many.groups.retain(|group| !group.list.is_empty());
                if many.groups.is_empty() {
                    match many.plain.list.as_slice() {
                        [] => *self = Self::None,
                        [last] => {
                            let last = Arc::clone(last);
                            *self = Self::One(last);
                        }
                        _ => {}
                    }
                }
                Some(tally)
            }
        }
    }

    pub(super) fn reweigh(&mut self, sub: &Arc<Subscription<O>>, weight: u32) -> Option<Tally> {
        match self {
            Self::None => None,
            Self::One(found) => Arc::ptr_eq(found, sub).then(|| {
                sub.set_weight(weight);
                Tally::of(sub)
            }),
            Self::Many(many) => many.members(sub.queue.as_ref())?.reweigh(sub, weight),
        }
    }

    pub(super) fn for_each(&self, each: &mut impl FnMut(&Changed<'_>)) {
        match self {
            Self::None => {}
            Self::One(sub) => each(&Changed {
                filter: &sub.filter,
                queue: None,
                tally: Tally::of(sub),
            }),
            Self::Many(many) => {
                for members in many.groups.iter().chain([&many.plain]) {
                    if let Some(first) = members.list.first() {
                        each(&Changed {
                            filter: &first.filter,
                            queue: first.queue.as_ref(),
                            tally: members.tally,
                        });
                    }
                }
            }
        }
    }

    /// Adds all of them.
    pub(super) fn take(&self, matches: &mut Matches<O>) {
        match self {
            Self::None => {}
            Self::One(sub) => matches.plain.push(Arc::clone(sub)),
            Self::Many(many) => many.take(matches),
        }
    }
}

impl<O> Many<O> {
    fn insert(&mut self, sub: &Arc<Subscription<O>>) -> Tally {
        let Some(queue) = &sub.queue else {
            return self.plain.insert(sub);
        };
        let of = |group: &&mut Members<O>| group.name.as_ref() == Some(queue);
        match self.groups.iter_mut().find(of) {
            Some(group) => group.insert(sub),
            None => {
                let group = Members::new(Some(Arc::clone(queue)));
                self.groups.push_mut(group).insert(sub)
            }
        }
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
