//! What leafnodes and routes have in common: interest of others that is kept as subscriptions here, and interest from here
//! that is announced there.
//!
//! Each link remembers what it has announced. A change of the tree is compared with that while the tree is still locked, so
//! lines leave in the order of the changes and nothing is announced twice.

pub(crate) mod dial;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::conn::router::Message;
use crate::conn::{Batch, Conn, Sub};
use crate::proto::{Interest, Kind, write};
use crate::server::Shared;
use crate::subject::Filter;
use crate::sublist::{Changed, Class, Subscription, Tally};

/// The part of a connection that is a link to another server.
#[derive(Debug)]
pub(crate) struct LinkState {
    /// This side dialled.
    pub(crate) dialled: bool,
    /// What the other server said about itself.
    remote: RwLock<Remote>,
    audience: Mutex<Option<Audience>>,
    announced: Mutex<HashMap<Key, u32>>,
    /// Some messages must not go out, so each has to be looked at.
    restricted: AtomicBool,
    deny_out: RwLock<Vec<Filter>>,
}

/// What the server at the other end said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) server_id: String,
    pub(crate) server_name: String,
    pub(crate) cluster: Option<String>,
}

/// Whose interest is announced on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A member of the cluster hears of clients and of leafnodes behind this server.
    Route,
    /// A hub hears the same.
    Hub,
    /// A leafnode hears of everybody but itself; if it is isolated, not of other leafnodes.
    Spoke { isolated: bool },
}

/// A filter, and the queue group if it is one's.
type Key = (Filter, Option<Arc<[u8]>>);

impl Audience {
    /// The class of what comes over such a link.
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Route => Class::Route,
            Self::Hub => Class::Hub,
            Self::Spoke { .. } => Class::Spoke,
        }
    }

    /// How many subscriptions the other end hears of, `own` of which are its own.
    fn weight(self, tally: Tally, own: u32) -> u32 {
        let local = tally.clients.saturating_add(tally.spokes);
        match self {
            Self::Route | Self::Hub => local,
            Self::Spoke { isolated } => {
                let beyond = tally.hubs.saturating_add(tally.routes);
                if isolated {
                    tally.clients.saturating_add(beyond)
                } else {
                    local.saturating_add(beyond).saturating_sub(own)
                }
            }
        }
    }
}

impl LinkState {
    pub(crate) fn new(dialled: bool) -> Self {
        Self {
            dialled,
            remote: RwLock::default(),
            audience: Mutex::new(None),
            announced: Mutex::default(),
            restricted: AtomicBool::new(false),
            deny_out: RwLock::default(),
        }
    }

    pub(crate) fn remote(&self) -> Remote {
        self.remote.read().clone()
    }

    pub(crate) fn set_remote(&self, remote: Remote) {
        *self.remote.write() = remote;
        self.restrict();
    }

    /// Sets subjects that must not be sent over this link.
    pub(crate) fn set_deny_out(&self, deny: Vec<Filter>) {
        *self.deny_out.write() = deny;
        self.restrict();
    }

    fn restrict(&self) {
        let restricted = !self.deny_out.read().is_empty() || self.remote.read().cluster.is_some();
        self.restricted.store(restricted, Ordering::Relaxed);
    }

    /// Says whether a message may go out here.
    pub(crate) fn lets_out(&self, message: &Message<'_>) -> bool {
        if !self.restricted.load(Ordering::Relaxed) {
            return true;
        }
        if let Some(origin) = message.origin
            && self.remote.read().cluster.as_deref().map(str::as_bytes) == Some(origin)
        {
            return false;
        }
        !self
            .deny_out
            .read()
            .iter()
            .any(|denied| denied.matches(message.subject))
    }

    /// Notes and writes a change, if the other end hears of it.
    fn announce(&self, conn: &Arc<Conn>, changed: &Changed<'_>, out: &mut Vec<u8>) {
        let Some(audience) = *self.audience.lock() else {
            return;
        };
        if conn.kind == Kind::Leaf && self.denies_all_of(changed.filter) {
            return;
        }
        let own = match audience {
            Audience::Spoke { .. } => own_weight(conn, changed),
            Audience::Route | Audience::Hub => 0,
        };
        let mut weight = audience.weight(changed.tally, own);
        if changed.queue.is_none() {
            weight = weight.min(1);
        }
        let key = (changed.filter.clone(), changed.queue.cloned());
        let mut announced = self.announced.lock();
        let before = match weight {
            0 => announced.remove(&key),
            weight => announced.insert(key, weight),
        };
        drop(announced);
        if before.unwrap_or(0) != weight {
            let account = (conn.kind == Kind::Route).then_some(write::ACCOUNT);
            let queue = changed.queue.map(AsRef::as_ref);
            write::interest(out, account, changed.filter.as_bytes(), queue, weight);
        }
    }

    /// Says whether nothing that the filter matches may go out, so that announcing it would be in vain.
    fn denies_all_of(&self, filter: &Filter) -> bool {
        let denied = self.deny_out.read();
        denied
            .iter()
            .any(|deny| crate::subject::covers(deny.as_bytes(), filter.as_bytes()))
    }
}

/// How much of the interest in something is the link's own.
fn own_weight(conn: &Arc<Conn>, changed: &Changed<'_>) -> u32 {
    let sid = sid(changed.filter.as_bytes(), changed.queue.map(AsRef::as_ref));
    conn.subs.lock().get(&*sid).map_or(0, |sub| sub.weight())
}

/// The name of a link's subscription: its filter and queue group.
fn sid(filter: &[u8], queue: Option<&[u8]>) -> Vec<u8> {
    let mut sid = filter.to_vec();
    if let Some(queue) = queue {
        sid.push(b' ');
        sid.extend_from_slice(queue);
    }
    sid
}

/// Tells links of a change of the tree. Called while the tree is locked.
pub(crate) fn announce_change(links: &RwLock<Vec<Arc<Conn>>>, changed: &Changed<'_>) {
    let links = links.read();
    for conn in links.iter() {
        if let Some(link) = &conn.link {
            let mut line = Vec::new();
            link.announce(conn, changed, &mut line);
            if !line.is_empty() {
                conn.send_now(&line);
            }
        }
    }
}

/// Announces everything there is on a link, and from now on every change.
pub(crate) fn open(shared: &Shared, conn: &Arc<Conn>, audience: Audience, batch: &mut Batch) {
    let Some(link) = &conn.link else { return };
    *link.audience.lock() = Some(audience);
    let mut lines = Vec::new();
    shared.tree.for_each(
        || {
            // Under the tree's lock: whatever changes later is announced as a change.
            shared.links.write().push(Arc::clone(conn));
        },
        |changed| link.announce(conn, changed, &mut lines),
    );
    conn.send(&lines, batch);
}

/// Takes a link out of those that are told of changes, and its interest out of the tree.
pub(crate) fn close(shared: &Shared, conn: &Arc<Conn>) {
    shared.links.write().retain(|link| !Arc::ptr_eq(link, conn));
    shared.drop_subscriptions(conn);
    if let Some(link) = &conn.link {
        link.announced.lock().clear();
    }
}

/// Keeps or forgets interest that the other end announced, and says whether the line made sense.
pub(crate) fn take_interest(
    shared: &Arc<Shared>,
    conn: &Arc<Conn>,
    class: Class,
    interest: &Interest<'_>,
) -> bool {
    let Some(filter) = Filter::parse(interest.filter) else {
        return false;
    };
    let sid = sid(interest.filter, interest.queue);
    if interest.weight == 0 {
        let removed = conn.subs.lock().get(&*sid).cloned();
        if let Some(sub) = removed {
            shared.remove_subscription(&sub);
        }
        return true;
    }
    let known = conn.subs.lock().get(&*sid).cloned();
    match known {
        Some(sub) => shared.reweigh_subscription(&sub, interest.weight),
        None => {
            let queue = interest.queue.map(Arc::from);
            let mut sub = Subscription::new(Arc::clone(conn), class, filter, queue, &sid);
            sub.origin = interest.origin.map(Arc::from);
            sub.set_weight(interest.weight);
            let sub: Arc<Sub> = Arc::new(sub);
            conn.subs.lock().insert(sid.into(), Arc::clone(&sub));
            shared.add_subscription(&sub);
        }
    }
    true
}
