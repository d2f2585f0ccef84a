//! Who else is in the cluster, and what members tell of each other.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dial;
use crate::conn::{Close, Conn};
use crate::limits::{DIAL_TIMEOUT, MAX_LEARNED_DIALS, MAX_MEMBER_URLS};
use crate::link::dial::LinkStatus;
use crate::proto::{Info, Kind, write};
use crate::server::Shared;

/// The members that there is a route to.
#[derive(Debug)]
pub(crate) struct Members {
    state: Mutex<State>,
    /// Told when those may be let in now who were not.
    pub(crate) again: Notify,
    /// Ended with the server.
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// By server id.
    known: BTreeMap<String, Member>,
    /// Since when there is none of them, after there was one.
    alone_since: Option<Instant>,
    /// Ids of servers that were dialled and have yet to join, with the number of the connection.
    meeting: BTreeMap<String, u64>,
    /// Where servers are dialled because a member told of them, by their ids.
    learned: HashMap<String, watch::Sender<String>>,
    /// Ends their dialling.
    unlearn: CancellationToken,
}

#[derive(Debug)]
struct Member {
    conn: Arc<Conn>,
    server_name: String,
    /// Where clients can connect to it.
    connect_urls: Vec<String>,
    /// It takes over another name of the cluster that it is told.
    follows: bool,
    /// Where it is dialled when the route is lost, if members told of that and it is not being dialled already.
    place: Option<String>,
}

impl Members {
    /// Returns a cluster without other members, as long as `stop` is not cancelled.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        let state = State {
            known: BTreeMap::new(),
            alone_since: None,
            meeting: BTreeMap::new(),
            learned: HashMap::new(),
            unlearn: stop.child_token(),
        };
        Self {
            state: Mutex::new(state),
            again: Notify::new(),
            stop,
        }
    }

    /// Notes that a server was dialled, unless there is a route to it or another connection on the way to be one.
    pub(super) fn meet(&self, server_id: &str, conn: &Conn) -> Result<(), Close> {
        let mut state = self.state.lock();
        if state.known.contains_key(server_id) || state.meeting.contains_key(server_id) {
            return Err(Close::Duplicate);
        }
        state.meeting.insert(server_id.to_owned(), conn.id);
        Ok(())
    }

    /// Takes a member in, tells the others of it, and clients where it is. Of two routes to the same server one is refused.
    pub(crate) fn join(
        &self,
        shared: &Arc<Shared>,
        conn: &Arc<Conn>,
        info: &Info,
    ) -> Result<(), Close> {
        if info.server_id == shared.server_id {
            return Err(Close::Myself);
        }
        let gossip = url(conn, info).map(|ip| Info {
            ip: Some(ip),
            nonce: None,
            ..info.clone()
        });
        let mut state = self.state.lock();
        state.meeting.retain(|_, id| *id != conn.id);
        let (mut replaced, mut place) = (None, None);
        if let Some(member) = state.known.get(&info.server_id) {
            let (first, id) = (member.conn.id, conn.id);
            tracing::debug!(target: "natsd", server_id = info.server_id, first, id, "a second route to the same server");
            if !member.gives_way(conn, &shared.server_id, info) {
                return Err(Close::Duplicate);
            }
            replaced = Some(Arc::clone(&member.conn));
            place.clone_from(&member.place);
        }
        if let Some(gossip) = &gossip {
            let line = write::json_line("INFO", gossip);
            for member in state.known.values() {
                member.conn.send_now(&line);
            }
        }
        state.alone_since = None;
        state.known.insert(
            info.server_id.clone(),
            Member {
                conn: Arc::clone(conn),
                server_name: info.server_name.clone(),
                connect_urls: urls(info),
                follows: info.cluster_follows,
                place,
            },
        );
        drop(state);
        if let Some(replaced) = replaced {
            shared.part(&replaced, Close::Duplicate);
        }
        shared.tell_clients();
        Ok(())
    }

    /// Forgets the member that this connection was the route to, if it was, and dials it where others said that it is.
    pub(super) fn leave(&self, shared: &Arc<Shared>, conn: &Arc<Conn>) {
        let mut state = self.state.lock();
        state.meeting.retain(|_, id| *id != conn.id);
        let mut known = state.known.iter();
        let Some(id) = known.find_map(|(id, it)| Arc::ptr_eq(&it.conn, conn).then(|| id.clone()))
        else {
            return;
        };
        let place = state.known.remove(&id).and_then(|member| member.place);
        let last = state.known.is_empty();
        if last {
            state.alone_since = Some(Instant::now());
        }
        if let Some(place) = place {
            state.learn(shared, &id, place);
        }
        drop(state);
        if last {
            shared.await_members();
        }
        shared.tell_clients();
    }

    /// Takes what a member says later: something new about itself, or that there is another member.
    pub(super) fn hear(&self, shared: &Arc<Shared>, conn: &Arc<Conn>, info: &Info) {
        let mut state = self.state.lock();
        let own = state
            .known
            .values_mut()
            .find(|member| Arc::ptr_eq(&member.conn, conn));
        let Some(about) = own else { return };
        let remote = conn.link.as_ref().map(|link| link.remote().server_id);
        if remote.as_ref() == Some(&info.server_id) {
            let urls = if info.lame_duck {
                Vec::new()
            } else {
                urls(info)
            };
            let changed = std::mem::replace(&mut about.connect_urls, urls.clone()) != urls;
            if let Some(place) = url(conn, info).as_deref().and_then(address_of) {
                state.moved(&info.server_id, place);
            }
            drop(state);
            if changed {
                shared.tell_clients();
            }
            return;
        }
        let Some(address) = info.ip.as_deref().and_then(address_of) else {
            return;
        };
        if state.learned.contains_key(&info.server_id) {
            state.moved(&info.server_id, address);
        } else if let Some(member) = state.known.get_mut(&info.server_id) {
            member.place = Some(address);
        } else if info.server_id != shared.server_id {
            state.learn(shared, &info.server_id, address);
        }
    }

    /// Ends the dialling of servers that were told of, and the routes that came of it.
    pub(super) fn forget_learned(&self) {
        let mut state = self.state.lock();
        let next = self.stop.child_token();
        std::mem::replace(&mut state.unlearn, next).cancel();
        for member in state.known.values_mut() {
            member.place = None;
        }
    }

    /// Notes that dialling a server that was told of is over, unless it was told meanwhile that it is elsewhere, and says so.
    pub(super) fn dialled(&self, server_id: &str, told: &watch::Receiver<String>) -> bool {
        let mut state = self.state.lock();
        let over = !told.has_changed().unwrap_or(false);
        if over
            && let Some(place) = state.learned.remove(server_id)
            && let Some(member) = state.known.get_mut(server_id)
        {
            // The route is one that the other end dialled, or that this end keeps up.
            member.place = Some(place.borrow().clone());
        }
        over
    }

    /// Notes that a server that was told of is to be dialled no more.
    pub(super) fn forget(&self, server_id: &str) {
        self.state.lock().learned.remove(server_id);
    }

    /// Says whether there is a route to this server.
    pub(super) fn has(&self, server_id: &str) -> bool {
        self.state.lock().known.contains_key(server_id)
    }

    /// Returns how the link to this server is doing, if there is a route to it.
    pub(super) fn status(&self, server_id: &str) -> Option<LinkStatus> {
        let state = self.state.lock();
        let member = state.known.get(server_id)?;
        Some(LinkStatus::Up {
            connection: member.conn.id,
            server_id: server_id.to_owned(),
            server_name: member.server_name.clone(),
        })
    }

    /// Says whether there is no route, and was none for so long, after there was one.
    pub(super) fn alone_for(&self, patience: Duration) -> bool {
        let since = self.state.lock().alone_since;
        since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// Says whether there is no route.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().known.is_empty()
    }

    /// Returns the connections of all members.
    pub(super) fn routes(&self) -> Vec<Arc<Conn>> {
        let state = self.state.lock();
        let conns = state.known.values().map(|member| &member.conn);
        conns.cloned().collect()
    }

    /// Returns the connections of members that stay with the cluster's name that they were told first.
    pub(super) fn stubborn(&self) -> Vec<Arc<Conn>> {
        let state = self.state.lock();
        let stubborn = state.known.values().filter(|member| !member.follows);
        stubborn.map(|member| Arc::clone(&member.conn)).collect()
    }

    /// Where clients can connect to other members.
    pub(crate) fn connect_urls(&self) -> Vec<String> {
        let state = self.state.lock();
        state
            .known
            .values()
            .flat_map(|member| member.connect_urls.clone())
            .collect()
    }
}

impl State {
    /// Has a server dialled of which a member told, unless there are too many.
    fn learn(&mut self, shared: &Arc<Shared>, server_id: &str, address: String) {
        let few = self.learned.len() < MAX_LEARNED_DIALS && !self.learned.contains_key(server_id);
        if !few || !shared.route_options.dial_learned || self.unlearn.is_cancelled() {
            return;
        }
        let (place, told) = watch::channel(address);
        self.learned.insert(server_id.to_owned(), place);
        dial::learned(shared, server_id.to_owned(), told, self.unlearn.clone());
    }

    /// Notes that a server listens elsewhere, if there is a place where it is dialled. That is said once.
    fn moved(&mut self, server_id: &str, address: String) {
        if let Some(place) = self.learned.get(server_id) {
            place.send_if_modified(|known| std::mem::replace(known, address.clone()) != address);
        } else if let Some(member) = self.known.get_mut(server_id)
            && member.place.is_some()
        {
            member.place = Some(address);
        }
    }
}

impl Member {
    /// Says whether another route to the same server takes this one's place. The reference keeps the first. One of ours dials only
    /// while it has no route to us: either it has lost this one and we have not noticed, or both have just dialled each other.
    /// Then both ends keep what the one of the greater id dialled.
    fn gives_way(&self, other: &Conn, own_id: &str, info: &Info) -> bool {
        let dialled = |conn: &Conn| conn.link.as_ref().is_some_and(|link| link.dialled);
        // A member that takes another's id must not take its place.
        let owner = |conn: &Conn| conn.about().identity.and_then(|identity| identity.name());
        if !(owner(&self.conn) == owner(other) && self.follows && info.cluster_follows) {
            return false;
        }
        if dialled(&self.conn) == dialled(other) || self.conn.started.elapsed() > DIAL_TIMEOUT {
            return !dialled(other);
        }
        dialled(other) == (own_id > info.server_id.as_str())
    }
}

/// Returns the URL at which others can dial a member: at the address that it gave, else at the one that it has here with the
/// port that it listens on.
fn url(conn: &Conn, info: &Info) -> Option<String> {
    if let Some(ip) = &info.ip {
        return Some(ip.clone());
    }
    let remote: SocketAddr = conn.remote.as_deref()?.parse().ok()?;
    if info.port == 0 {
        return None;
    }
    Some(format!(
        "nats-route://{}/",
        SocketAddr::new(remote.ip(), info.port)
    ))
}

/// Returns the host and port of a route's URL.
fn address_of(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("nats-route://")
        .or_else(|| url.strip_prefix("nats://"))?;
    let authority = rest.split('/').next()?;
    let address = authority.rsplit('@').next()?;
    address.contains(':').then(|| address.to_owned())
}

fn urls(info: &Info) -> Vec<String> {
    let urls = info.connect_urls.iter().flatten();
    urls.take(MAX_MEMBER_URLS).cloned().collect()
}

impl Shared {
    /// Sends INFO again to clients that asked for it.
    pub(crate) fn tell_clients(&self) {
        let conns: Vec<_> = self.conns.lock().values().cloned().collect();
        for conn in conns {
            if conn.kind == Kind::Client && conn.inbox.is_none() && conn.about().wants_info {
                let line = write::json_line("INFO", &self.client_info(&conn, ""));
                conn.send_now(&line);
            }
        }
    }
}
