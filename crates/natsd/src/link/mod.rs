//! What leafnodes and routes have in common: interest of others that is kept as subscriptions here, and interest from here
//! that is announced there.
//!
//! A change of the tree is compared with what each link was told last while the tree is still locked, so lines leave in the
//! order of the changes and nothing is announced twice.

pub(crate) mod dial;
mod interest;
mod terms;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::conn::router::Message;
use crate::conn::{Batch, Conn, Sub};
use crate::proto;
use crate::server::Shared;
use crate::subject::Filter;
use crate::sublist::{Changed, Class, Subscription};
pub(crate) use interest::Interest;
use interest::{By, Other};
pub(crate) use terms::{LOOP_PREFIX, Terms, finds_loops};

/// The part of a connection that is a link to another server.
#[derive(Debug)]
pub(crate) struct LinkState {
    /// This side dialled.
    pub(crate) dialled: bool,
    /// What the other server said about itself.
    remote: RwLock<Remote>,
    /// The name of our cluster that the other server was told.
    told_cluster: RwLock<Option<String>>,
    terms: RwLock<Arc<Terms>>,
    /// Some messages must not go out, so each has to be looked at.
    restricted: AtomicBool,
    /// Both ends have introduced themselves.
    up: AtomicBool,
}

/// What the server at the other end said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) server_id: String,
    pub(crate) server_name: String,
    pub(crate) cluster: Option<String>,
    /// A member of our cluster that leaves a message out where the cluster of the leafnode that it came from has it already.
    pub(crate) takes_origin: bool,
    /// A member that tells of each origin when it wants no more. One that does not says at the end only that nobody does.
    pub(crate) tells_origins: bool,
    /// The longest message that it takes, in bytes, if it said so: a longer one would end the link.
    pub(crate) max_payload: Option<usize>,
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

impl LinkState {
    pub(crate) fn new(dialled: bool) -> Self {
        Self {
            dialled,
            remote: RwLock::default(),
            told_cluster: RwLock::default(),
            terms: RwLock::default(),
            restricted: AtomicBool::new(false),
            up: AtomicBool::new(false),
        }
    }

    /// Returns what the other server calls itself, once the link is up.
    pub(crate) fn server_name(&self) -> Option<String> {
        let up = self.up.load(Ordering::Relaxed);
        up.then(|| self.remote.read().server_name.clone())
    }

    /// Returns the other server's id, once the link is up.
    pub(crate) fn server_id(&self) -> Option<String> {
        let up = self.up.load(Ordering::Relaxed);
        up.then(|| self.remote.read().server_id.clone())
    }

    pub(crate) fn remote(&self) -> Remote {
        self.remote.read().clone()
    }

    pub(crate) fn set_remote(&self, remote: Remote) {
        *self.remote.write() = remote;
        self.restrict();
    }

    /// Notes that the other server takes messages of another length from now on.
    pub(crate) fn set_max_payload(&self, bytes: Option<usize>) {
        self.remote.write().max_payload = bytes;
        self.restrict();
    }

    pub(crate) fn told_cluster(&self) -> Option<String> {
        self.told_cluster.read().clone()
    }

    pub(crate) fn set_told_cluster(&self, name: Option<String>) {
        *self.told_cluster.write() = name;
    }

    /// Sets what may cross this link.
    pub(crate) fn set_terms(&self, terms: Arc<Terms>) {
        *self.terms.write() = terms;
        self.restrict();
    }

    fn restrict(&self) {
        let remote = self.remote.read();
        let restricted = !self.terms.read().out.is_open()
            || remote.cluster.is_some()
            || remote.max_payload.is_some();
        drop(remote);
        self.restricted.store(restricted, Ordering::Relaxed);
    }

    /// Says whether the other end is told which leafnode's cluster a message came from.
    pub(crate) fn takes_origin(&self) -> bool {
        self.remote.read().takes_origin
    }

    /// Says whether a message may go out here.
    pub(crate) fn lets_out(&self, message: &Message<'_>) -> bool {
        if !self.restricted.load(Ordering::Relaxed) {
            return true;
        }
        let remote = self.remote.read();
        if remote
            .max_payload
            .is_some_and(|most| message.payload.len() > most)
        {
            tracing::warn!(target: "natsd", bytes = message.payload.len(), server = remote.server_name, "a message is longer than the server at the other end of a link takes");
            return false;
        }
        if let Some(origin) = message.origin
            && remote.cluster.as_deref().map(str::as_bytes) == Some(origin)
        {
            return false;
        }
        drop(remote);
        finds_loops(message.subject) || self.terms.read().out.lets_message(message.subject)
    }
}

/// The name of a link's subscription: its filter and queue group, behind the origin that it counts for, if any.
fn sid(filter: &[u8], queue: Option<&[u8]>, origin: Option<&[u8]>) -> Vec<u8> {
    let mut sid = Vec::new();
    if let Some(origin) = origin {
        sid.extend_from_slice(origin);
        sid.push(b'\t');
    }
    sid.extend_from_slice(filter);
    if let Some(queue) = queue {
        sid.push(b' ');
        sid.extend_from_slice(queue);
    }
    sid
}

/// Tells links of a change of the tree, which a subscription brought about that now counts for so many. Called while the tree
/// is locked; the lines go out when the batch is flushed.
pub(crate) fn announce_change(
    shared: &Shared,
    changed: &Changed<'_>,
    sub: &Sub,
    weight: u32,
    batch: &mut Batch,
) {
    let by = matches!(sub.class, Class::Spoke | Class::Hub).then(|| By {
        link: sub.owner.id,
        class: sub.class,
        cluster: sub.origin.as_ref(),
        weight,
    });
    let mut interest = shared.interest.lock();
    if by.is_some() || !interest.is_empty() {
        interest.changed(changed, by, |conn, line| conn.send(line, batch));
    }
}

/// Announces everything there is on a link, and from now on every change.
pub(crate) fn open(shared: &Shared, conn: &Arc<Conn>, audience: Audience, batch: &mut Batch) {
    let Some(link) = &conn.link else { return };
    link.up.store(true, Ordering::Relaxed);
    let cluster = link.remote().cluster;
    let other = Other {
        audience,
        cluster: cluster.map(|name| name.into_bytes().into()),
        terms: Arc::clone(&link.terms.read()),
    };
    shared.tree.for_each(
        || {
            // Under the tree's lock: whatever changes later is announced as a change.
            shared.links.write().push(Arc::clone(conn));
            let mut interest = shared.interest.lock();
            interest.join(conn.id, Arc::clone(conn), other);
        },
        |changed| {
            let mut interest = shared.interest.lock();
            interest.tell(conn.id, changed, |conn, line| conn.send(line, batch));
        },
    );
}

/// Takes a link out of those that are told of changes, and its interest out of the tree.
pub(crate) fn close(shared: &Shared, conn: &Arc<Conn>) {
    shared.links.write().retain(|link| !Arc::ptr_eq(link, conn));
    shared.interest.lock().leave(conn.id);
    shared.drop_subscriptions(conn);
    shared.note_max_payload();
}

/// Keeps or forgets interest that the other end announced, and says whether the line made sense.
pub(crate) fn take_interest(
    shared: &Arc<Shared>,
    conn: &Arc<Conn>,
    class: Class,
    interest: &proto::Interest<'_>,
) -> bool {
    let Some(filter) = Filter::parse(interest.filter) else {
        return false;
    };
    let tells_origins = class == Class::Route
        && conn
            .link
            .as_ref()
            .is_some_and(|link| link.remote.read().tells_origins);
    let origin = interest.origin.filter(|_| tells_origins);
    let sid = sid(interest.filter, interest.queue, origin);
    let known = conn.subs.lock().get(&*sid).cloned();
    match known {
        Some(sub) if interest.weight == 0 => shared.remove_subscription(&sub),
        None if interest.weight == 0 => {}
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
