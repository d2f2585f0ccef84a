//! Who else is in the cluster, and what members tell of each other.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::dial;
use crate::conn::{Close, Conn};
use crate::limits::{MAX_LEARNED_DIALS, MAX_MEMBER_URLS};
use crate::proto::{Info, Kind, write};
use crate::server::Shared;

/// The members that there is a route to.
#[derive(Debug, Default)]
pub(crate) struct Members(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By server id.
    known: BTreeMap<String, Member>,
    /// Ids of servers that are dialled because a member told of them.
    learned: HashSet<String>,
}

#[derive(Debug)]
struct Member {
    conn: Arc<Conn>,
    /// Where clients can connect to it.
    connect_urls: Vec<String>,
}

impl Members {
    /// Takes a member in, tells the others of it, and clients where it is. A second route to the same server is refused.
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
        let mut state = self.0.lock();
        if let Some(member) = state.known.get(&info.server_id) {
            tracing::debug!(target: "natsd", server_id = info.server_id, kept = member.conn.id, id = conn.id, "a second route to the same server");
            return Err(Close::Duplicate);
        }
        if let Some(gossip) = &gossip {
            let line = write::json_line("INFO", gossip);
            for member in state.known.values() {
                member.conn.send_now(&line);
            }
        }
        state.known.insert(
            info.server_id.clone(),
            Member {
                conn: Arc::clone(conn),
                connect_urls: urls(info),
            },
        );
        state.learned.remove(&info.server_id);
        drop(state);
        shared.tell_clients();
        Ok(())
    }

    /// Forgets the member that this connection was the route to, if it was.
    pub(super) fn leave(&self, shared: &Shared, conn: &Arc<Conn>) {
        let mut state = self.0.lock();
        let before = state.known.len();
        state
            .known
            .retain(|_, member| !Arc::ptr_eq(&member.conn, conn));
        let left = state.known.len() != before;
        drop(state);
        if left {
            shared.tell_clients();
        }
    }

    /// Takes what a member says later: something new about itself, or that there is another member.
    pub(super) fn hear(&self, shared: &Arc<Shared>, conn: &Arc<Conn>, info: &Info) {
        let mut state = self.0.lock();
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
            drop(state);
            if changed {
                shared.tell_clients();
            }
            return;
        }
        let new = info.server_id != shared.server_id
            && !state.known.contains_key(&info.server_id)
            && state.learned.len() < MAX_LEARNED_DIALS;
        let Some(address) = info.ip.as_deref().and_then(address_of) else {
            return;
        };
        if new && shared.route_options.dial_learned && state.learned.insert(info.server_id.clone())
        {
            drop(state);
            dial::learned(shared, info.server_id.clone(), address);
        }
    }

    /// Notes that dialling a server that was told of is over.
    pub(super) fn dialled(&self, server_id: &str) {
        self.0.lock().learned.remove(server_id);
    }

    /// Says whether there is a route to this server.
    pub(super) fn has(&self, server_id: &str) -> bool {
        self.0.lock().known.contains_key(server_id)
    }

    /// Where clients can connect to other members.
    pub(crate) fn connect_urls(&self) -> Vec<String> {
        let state = self.0.lock();
        state
            .known
            .values()
            .flat_map(|member| member.connect_urls.clone())
            .collect()
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
