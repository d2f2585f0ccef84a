//! One subscription: of a client, or of a link on behalf of those behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::subject::Filter;

/// Where a subscription or message comes from, as far as passing it on to links goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A client of this server.
    Client,
    /// A leafnode for which this server is the hub.
    Spoke,
    /// The hub to which this server is a leafnode.
    Hub,
    /// A member of this server's cluster.
    Route,
}

impl Class {
    /// Says whether a message from one may be handed to the other. What a hub sent stays away from routes, and what a route
    /// sent away from routes and hubs: everyone there has its own link, and would get it twice.
    pub(crate) fn may_reach(self, receiver: Self) -> bool {
        match (self, receiver) {
            (Self::Route, Self::Route | Self::Hub) | (Self::Hub, Self::Route) => false,
            (Self::Client | Self::Spoke | Self::Hub | Self::Route, _) => true,
        }
    }
}

/// How many subscriptions of each class there are for one filter, or how many members of one queue group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) clients: u32,
    pub(crate) spokes: u32,
    pub(crate) hubs: u32,
    pub(crate) routes: u32,
}

impl Tally {
    /// Returns the tally of one subscription alone.
    pub(super) fn of<O>(sub: &Subscription<O>) -> Self {
        let mut tally = Self::default();
        *tally.count(sub.class) = sub.weight();
        tally
    }

    pub(super) fn count(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Client => &mut self.clients,
            Class::Spoke => &mut self.spokes,
            Class::Hub => &mut self.hubs,
            Class::Route => &mut self.routes,
        }
    }
}

/// One subscription, held by its owner and by the tree.
#[derive(Debug)]
pub(crate) struct Subscription<O> {
    pub(crate) filter: Filter,
    pub(crate) queue: Option<Arc<[u8]>>,
    /// The owner's own name for it.
    pub(crate) sid: Box<[u8]>,
    pub(crate) owner: O,
    pub(crate) class: Class,
    /// Some messages that match are denied to the owner, so each has to be looked at.
    pub(crate) filtered: bool,
    /// The cluster of the leafnode that the interest came from, if known.
    pub(crate) origin: Option<Arc<[u8]>>,
    weight: AtomicU32,
    delivered: AtomicU64,
    max: AtomicU64,
    live: AtomicBool,
    /// Its place in the list of the tree that holds it; written under the tree's lock only.
    pub(super) slot: AtomicUsize,
}

impl<O> Subscription<O> {
    pub(crate) fn new(
        owner: O,
        class: Class,
        filter: Filter,
        queue: Option<Arc<[u8]>>,
        sid: &[u8],
    ) -> Self {
        Self {
            filter,
            queue,
            sid: sid.into(),
            owner,
            class,
            filtered: false,
            origin: None,
            weight: AtomicU32::new(1),
            delivered: AtomicU64::new(0),
            max: AtomicU64::new(u64::MAX),
            live: AtomicBool::new(true),
            slot: AtomicUsize::new(0),
        }
    }

    /// How many members of the queue group it stands for; 1 for plain subscriptions.
    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Sets the weight; before the subscription is in the tree, or through [`Sublist::reweigh`](super::Sublist::reweigh).
    pub(crate) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Ends it for deliveries; its owner takes it out of the tree.
    pub(crate) fn end(&self) {
        self.live.store(false, Ordering::Release);
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Sets after how many deliveries it ends, and says whether there were as many already.
    pub(crate) fn limit(&self, max: u64) -> bool {
        self.max.store(max, Ordering::Relaxed);
        self.delivered.load(Ordering::Relaxed) >= max
    }

    /// Counts a delivery. Only called while the owner's output is locked, so that counting needs no atomic addition.
    pub(crate) fn count_delivery(&self) -> Delivery {
        let delivered = self.delivered.load(Ordering::Relaxed);
        let max = self.max.load(Ordering::Relaxed);
        if delivered >= max || !self.is_live() {
            return Delivery::Refused;
        }
        self.delivered.store(delivered + 1, Ordering::Relaxed);
        if delivered + 1 == max {
            Delivery::Last
        } else {
            Delivery::Counted
        }
    }
}

/// What became of one delivery to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The subscription has had what it wanted.
    Refused,
    /// Go on.
    Counted,
    /// Go on, and take the subscription out of the tree.
    Last,
}
