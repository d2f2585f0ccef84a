//! Keeps the links to the joins: those that the role dials, and for a leaf one at a time, the next when that one fails. Other members of the mesh
//! are joined at the places of which they tell, and so are trusted agents on this machine and on its network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use natsd::Target;
use natsd::leaf::LeafRemote;
use tokio_util::sync::DropGuard;

use super::follow::Follower;
use super::gate::credentials;
use super::join::{JoinUrl, Way};
use super::lan::Near;
use super::neighbours::Place;
use super::{Mesh, locked, role};
use crate::api::{self, Chosen, Code, Error, Level, LinkState, Role, Time};
use crate::members::View;
use crate::trust::EndpointId;

/// The joins and their links.
#[derive(Debug)]
pub(super) struct Dialler {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    role: Role,
    entries: Vec<Entry>,
    /// Of a leaf, the join that is dialled.
    live: Option<String>,
    next: u64,
}

/// One join.
#[derive(Debug)]
struct Entry {
    id: String,
    url: JoinUrl,
    from: Chosen,
    /// Who told on this machine that it listens there.
    neighbour: Option<EndpointId>,
    /// Whether it leads to an agent that this mesh has unpaired, which nobody dials.
    is_out: bool,
    /// Closes the link when dropped.
    link: Option<DropGuard>,
    /// The role in which the link was begun.
    role: Role,
    seen: Arc<Mutex<Seen>>,
}

/// What is known of a join's link.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) state: LinkState,
    pub(super) peer: Option<String>,
}

impl Dialler {
    pub(super) fn new(given: &[JoinUrl], kept: &[String]) -> Self {
        let dialler = Self {
            inner: Mutex::new(Inner {
                role: Role::Peer,
                entries: Vec::new(),
                live: None,
                next: 1,
            }),
        };
        for url in given {
            locked(&dialler.inner).add(url, Chosen::Flag);
        }
        for url in kept.iter().filter_map(|url| url.parse().ok()) {
            locked(&dialler.inner).add(&url, Chosen::App);
        }
        dialler
    }

    /// Takes in one more address, and returns its id.
    ///
    /// # Errors
    /// `conflict` when it is there already.
    pub(super) fn add(&self, url: &JoinUrl) -> Result<String, Error> {
        let added = locked(&self.inner).add(url, Chosen::App);
        added.ok_or_else(|| Error::new(Code::Conflict, format!("{url} is joined already")))
    }

    /// Hangs up and forgets an address, and returns it.
    ///
    /// # Errors
    /// `not_found` when there is none of this id, `conflict` when it is there because the other was found.
    pub(super) fn remove(&self, id: &str) -> Result<String, Error> {
        let mut inner = locked(&self.inner);
        let at = inner.entries.iter().position(|entry| entry.id == id);
        let at = at.ok_or_else(|| Error::not_found("there is no join of that id"))?;
        if let Some(peer) = inner.entries.get(at).and_then(|it| it.neighbour) {
            let words = "it is joined because it runs on this machine and is trusted";
            return Err(Error::new(Code::Conflict, words).with_hint(format!(
                "If it is not to be: edgesync unpair {peer}, or start with --no-neighbours"
            )));
        }
        let found = inner.entries.get(at).filter(|it| it.is_found_by_id());
        if let Some((entry, peer)) = found.and_then(|it| Some((it, it.url.peer()?))) {
            let words = match entry.from {
                Chosen::Network => "it is joined because it is on this network and is trusted",
                _ => "it is joined because it is a member of the mesh",
            };
            return Err(Error::new(Code::Conflict, words)
                .with_hint(format!("If it is not to be: edgesync unpair {peer}")));
        }
        Ok(inner.entries.remove(at).url.to_string())
    }

    /// Returns the ids of the joins over the tunnel to this agent that people chose.
    pub(super) fn chosen_joins_of(&self, id: &EndpointId) -> Vec<String> {
        let inner = locked(&self.inner);
        let of_it = inner
            .entries
            .iter()
            .filter(|it| it.from == Chosen::App && it.is_of(Some(*id)));
        of_it.map(|it| it.id.clone()).collect()
    }

    /// Dials what the role dials. Links that it does not have are closed after the new ones were begun.
    pub(super) fn dial(&self, mesh: &Arc<Mesh>, role: Role) {
        let mut inner = locked(&self.inner);
        inner.role = role;
        let mut retired = Vec::new();
        let near = mesh.near();
        if mesh.tunnel.now().is_some() {
            retired = inner.follow_members(&mesh.parts.members.view());
        }
        retired.extend(inner.follow_lan(&near));
        inner.tell_places(mesh, &near);
        if let Some(neighbours) = &mesh.neighbours {
            retired.extend(inner.follow_neighbours(&neighbours.found()));
        }
        for entry in &mut inner.entries {
            retired.extend(entry.leave_out(mesh));
        }
        inner.choose_live();
        let live = inner.live.clone();
        for entry in inner.entries.iter_mut().filter(|it| !it.is_out) {
            let unused = role::unused(role, &entry.url).or_else(|| mesh.cannot_dial(&entry.url));
            let spare = role == Role::Leaf && live.as_ref() != Some(&entry.id);
            if unused.is_none() && !spare {
                let other_way = entry.url.way() == Way::Tunnel
                    && (entry.role == Role::Leaf) != (role == Role::Leaf);
                if other_way {
                    retired.extend(entry.link.take());
                }
                if entry.link.is_none() {
                    entry.begin(mesh, role);
                }
                continue;
            }
            retired.extend(entry.link.take());
            let state = match unused {
                Some(message) => LinkState::Unused {
                    message: message.to_owned(),
                },
                None => LinkState::Standby,
            };
            entry.see(state);
        }
        drop(inner);
        drop(retired);
    }

    /// The link of a join failed: a leaf tries the next one.
    pub(super) fn fail_over(&self, mesh: &Arc<Mesh>, id: &str) {
        let role = {
            let mut inner = locked(&self.inner);
            if inner.role != Role::Leaf || inner.live.as_deref() != Some(id) || !inner.pass_on(id) {
                return;
            }
            inner.role
        };
        self.dial(mesh, role);
    }

    /// Whether an agent in this role keeps to the joins that it was given, and so neither looks for others on this machine nor is found by them:
    /// with a leafnode link and a route to the same agents it would hear everything twice, and a leaf has one link.
    pub(super) fn keeps_apart(&self, role: Role) -> bool {
        locked(&self.inner).keeps_apart(role)
    }

    /// Whether a link to this agent stands that was dialled from here.
    pub(super) fn stands(&self, id: &EndpointId) -> bool {
        locked(&self.inner).stands(id)
    }

    /// Whether there is a join that a leaf dials.
    pub(super) fn has_leaf_join(&self) -> bool {
        let inner = locked(&self.inner);
        inner
            .entries
            .iter()
            .any(|entry| entry.url.way() != Way::Route)
    }

    /// Returns the joins as the API shows them.
    pub(super) fn show(&self) -> Vec<api::Join> {
        let inner = locked(&self.inner);
        let show = |entry: &Entry| {
            let seen = locked(&entry.seen);
            api::Join {
                id: entry.id.clone(),
                url: entry.url.to_string(),
                from: entry.from,
                state: seen.state.clone(),
                peer: seen.peer.clone(),
            }
        };
        inner.entries.iter().map(show).collect()
    }
}

impl Inner {
    fn add(&mut self, url: &JoinUrl, from: Chosen) -> Option<String> {
        let same = self
            .entries
            .iter_mut()
            .find(|entry| entry.url == *url || entry.is_found_by_id() && entry.is_of(url.peer()));
        if let Some(entry) = same {
            // What was there because the other was found is now there because somebody wants it, and its link stays.
            let taken_over = entry.is_found_by_id() && from != entry.from;
            return taken_over.then(|| {
                (entry.url, entry.from) = (url.clone(), from);
                entry.id.clone()
            });
        }
        let id = self.next.to_string();
        self.next += 1;
        let state = LinkState::Connecting { since: Time::now() };
        self.entries.push(Entry {
            id: id.clone(),
            url: url.clone(),
            from,
            neighbour: None,
            is_out: false,
            link: None,
            role: self.role,
            seen: Arc::new(Mutex::new(Seen { state, peer: None })),
        });
        Some(id)
    }

    /// Joins every other member where it says that it is, unless it is joined otherwise, and nobody else for being a member. Returns the links
    /// that are no longer wanted.
    fn follow_members(&mut self, view: &View) -> Vec<DropGuard> {
        let apart = self.role != Role::Leaf && self.keeps_apart(self.role);
        let places = view
            .places
            .iter()
            .filter(|(_, place)| !apart && role::dials_member(self.role, place.role));
        let wanted: BTreeMap<EndpointId, JoinUrl> = places
            .filter_map(|(id, it)| Some((*id, JoinUrl::over_tunnel(&it.ticket.to_string()).ok()?)))
            .collect();
        self.follow(Chosen::Mesh, wanted)
    }

    /// Whether somebody gave this agent joins to keep to. Whoever is a leaf of one member and has routes to others hears everything twice.
    fn keeps_apart(&self, role: Role) -> bool {
        let given = |it: &&Entry| matches!(it.from, Chosen::Flag | Chosen::App);
        let mut given = self.entries.iter().filter(given);
        match role {
            Role::Leaf => given.next().is_some(),
            Role::Peer | Role::Hub => given.any(|it| it.url.way() == Way::Leaf),
        }
    }

    /// Joins those on this machine that are trusted, unless they are joined otherwise. Returns the links that are no longer wanted.
    fn follow_neighbours(&mut self, found: &BTreeMap<EndpointId, Place>) -> Vec<DropGuard> {
        let (role, apart) = (self.role, self.keeps_apart(self.role));
        let dialled = found
            .iter()
            .filter(|(_, place)| !apart && role::dials_member(role, place.role));
        let wanted: BTreeMap<EndpointId, JoinUrl> = dialled
            .filter_map(|(id, place)| Some((*id, place.url(role)?)))
            .collect();
        self.follow(Chosen::Machine, wanted)
    }

    /// Joins those on the network that are trusted, unless they are joined otherwise, and keeps the links to those that are no longer heard.
    /// Returns the links that are no longer wanted.
    fn follow_lan(&mut self, found: &BTreeMap<EndpointId, Near>) -> Vec<DropGuard> {
        let (role, apart) = (self.role, self.keeps_apart(self.role));
        let dialled = found.iter().filter(|(id, near)| {
            let is_there = !near.has_gone || self.stands(id);
            !apart && is_there && role::dials_member(role, near.role)
        });
        let wanted = dialled
            .filter_map(|(id, _)| Some((*id, JoinUrl::over_tunnel(&id.to_string()).ok()?)))
            .collect();
        self.follow(Chosen::Network, wanted)
    }

    /// Has joins to these that are there for this reason, and to nobody else for it; whoever is joined otherwise stays so. Returns the links that are
    /// no longer wanted.
    fn follow(&mut self, from: Chosen, wanted: BTreeMap<EndpointId, JoinUrl>) -> Vec<DropGuard> {
        let stays = |it: &Entry| {
            let peer = it.url.peer().or(it.neighbour);
            let url = peer.and_then(|peer| wanted.get(&peer));
            // Over the tunnel the agent is the same wherever it is.
            it.from != from || url.is_some_and(|url| it.url == *url || url.way() == Way::Tunnel)
        };
        let mut retired = Vec::new();
        for entry in self.entries.extract_if(.., |it| !stays(it)) {
            retired.extend(entry.link);
        }
        for (peer, url) in wanted {
            let known = self.entries.iter_mut().find(|it| it.is_of(Some(peer)));
            match known {
                // A member is one also where it is not heard.
                Some(entry)
                    if entry.from == from
                        || (entry.from, from) == (Chosen::Network, Chosen::Mesh) =>
                {
                    (entry.url, entry.from) = (url, from);
                }
                Some(_) => {}
                None => {
                    let id = self.add(&url, from);
                    let added = self
                        .entries
                        .iter_mut()
                        .find(|it| Some(&it.id) == id.as_ref());
                    if let Some(entry) = added.filter(|_| from == Chosen::Machine) {
                        entry.neighbour = Some(peer);
                    }
                }
            }
        }
        retired
    }

    /// Lets the tunnel know where members and those on the network say that they are, besides what the tickets of joins say.
    fn tell_places(&self, mesh: &Mesh, near: &BTreeMap<EndpointId, Near>) {
        let Some(tunnel) = mesh.tunnel.now() else {
            return;
        };
        let view = mesh.parts.members.view();
        for ticket in self.entries.iter().filter_map(|it| it.url.ticket()) {
            let id = EndpointId::from(*ticket.peer.as_bytes());
            tunnel.know(ticket, view.places.get(&id));
            tunnel.hint(&id, near.get(&id));
        }
    }

    fn stands(&self, id: &EndpointId) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|it| it.is_of(Some(*id)) && it.stands())
    }

    /// Returns the joins that a leaf may dial.
    fn leaves(&self) -> impl Iterator<Item = &Entry> {
        let dialled = |it: &&Entry| it.url.way() != Way::Route && !it.is_out;
        self.entries.iter().filter(dialled)
    }

    /// Chooses the one join of a leaf: the present one, else one whose link stands, else the first.
    fn choose_live(&mut self) {
        let present = self
            .leaves()
            .find(|entry| Some(&entry.id) == self.live.as_ref());
        let stands = self.leaves().find(|entry| entry.stands());
        let chosen = present.or(stands).or_else(|| self.leaves().next());
        self.live = chosen.map(|entry| entry.id.clone());
    }

    /// Makes the join after this one the live one. Returns whether there is another.
    fn pass_on(&mut self, id: &str) -> bool {
        let leaves: Vec<&Entry> = self.leaves().collect();
        let at = leaves.iter().position(|entry| entry.id == id);
        let next = at.and_then(|at| leaves.iter().cycle().nth(at + 1));
        match next.map(|entry| entry.id.clone()) {
            Some(next) if next != id => {
                self.live = Some(next);
                true
            }
            _ => false,
        }
    }
}

impl Entry {
    /// Whether it leads to this agent, as far as that is known before it answers.
    fn is_of(&self, peer: Option<EndpointId>) -> bool {
        peer.is_some() && (self.url.peer() == peer || self.neighbour == peer)
    }

    /// Whether it is there because its agent was found, and not because somebody wants it or where it listens.
    fn is_found_by_id(&self) -> bool {
        matches!(self.from, Chosen::Mesh | Chosen::Network)
    }

    fn stands(&self) -> bool {
        matches!(locked(&self.seen).state, LinkState::Connected { .. })
    }

    /// Looks whether this mesh has unpaired the agent there, and shows it. Returns the link that is no longer wanted.
    fn leave_out(&mut self, mesh: &Mesh) -> Option<DropGuard> {
        let met = locked(&self.seen).peer.clone();
        let peer = self.url.peer().or_else(|| met?.parse().ok());
        let state = peer.as_ref().and_then(|peer| mesh.put_out(peer));
        if !std::mem::replace(&mut self.is_out, state.is_some())
            && let Some(LinkState::Error { message, .. }) = &state
        {
            let words = format!("{}: {message}", self.url);
            mesh.parts.events.log(Level::Warn, None, words);
        }
        let peer = peer.map(|peer| peer.to_string());
        self.seen = Arc::new(Mutex::new(Seen {
            state: state?,
            peer,
        }));
        self.link.take()
    }

    /// Sets how the join is doing. What followed the link before has no say any more.
    fn see(&mut self, state: LinkState) {
        self.seen = Arc::new(Mutex::new(Seen { state, peer: None }));
    }

    /// Begins to dial.
    fn begin(&mut self, mesh: &Arc<Mesh>, role: Role) {
        self.role = role;
        self.see(LinkState::Connecting { since: Time::now() });
        let stop = mesh.parts.stopped.child_token();
        let follower = Follower {
            mesh: Arc::clone(mesh),
            id: self.id.clone(),
            url: self.url.clone(),
            seen: Arc::clone(&self.seen),
            stop: stop.clone(),
        };
        self.link = Some(stop.drop_guard());
        let server = &mesh.server;
        match self.url.way() {
            Way::Leaf => match LeafRemote::tcp(&[self.url.to_string()]) {
                Ok(mut remote) => {
                    remote.credentials = credentials(&mesh.parts.keys);
                    mesh.parts
                        .tasks
                        .spawn(follower.follow(server.dial_leaf(remote)));
                }
                Err(error) => follower.failed(Code::Remote, error.to_string(), None),
            },
            Way::Route => {
                let link = server.dial_route(Target::Tcp(self.url.address().to_owned()));
                mesh.parts.tasks.spawn(follower.follow(link));
            }
            Way::Tunnel => {
                let target = self.url.ticket().zip(mesh.tunnel.now());
                // Without a tunnel it is not dialled.
                let Some(target) = target.map(|(ticket, tunnel)| tunnel.target(ticket, role))
                else {
                    return;
                };
                let link = match role {
                    Role::Leaf => {
                        let mut remote = LeafRemote::new(target);
                        remote.credentials = credentials(&mesh.parts.keys);
                        server.dial_leaf(remote)
                    }
                    Role::Peer | Role::Hub => server.dial_route(target),
                };
                mesh.parts.tasks.spawn(follower.follow(link));
            }
        }
    }
}
