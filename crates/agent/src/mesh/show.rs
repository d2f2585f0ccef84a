//! The mesh as the API shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use natsd::ConnectionStats;
use natsd::proto::Kind;

use super::lan::Lan;
use super::{Mesh, locked, presence, twins};
use crate::api::{
    self, Address, AddressKind, Code, Counters, FoundBy, LinkKind, LinkState, Mesh as Shown,
    MeshInfo, Peer, PeerError, PeerKind, Time,
};
use crate::members::View;
use crate::replication::Standing;
use crate::trust::EndpointId;

impl Mesh {
    /// Returns the mesh as it is now.
    pub(crate) fn show(&self) -> Shown {
        let (role, role_from) = *locked(&self.role);
        let view = self.parts.members.view();
        let standings = self.replication.standings();
        let stats = self.server.stats();
        Shown {
            role,
            role_from,
            peer_id: self.parts.peer_id.clone(),
            endpoint_id: self.parts.keys.id().to_string(),
            cluster: self.server.cluster_name().unwrap_or_default(),
            addresses: self.show_addresses(),
            tunnel: self.tunnel.show(),
            ticket: self.tunnel.now().map(|it| it.ticket().to_string()),
            joins: self.dialler.show(),
            upstream: self.upstream.as_ref().map(super::upstream::Upstream::show),
            mesh: view.mesh.as_ref().map(|mesh| MeshInfo {
                id: mesh.id.to_string(),
                name: mesh.name.to_string(),
                notify: mesh.notify.clone(),
            }),
            members: self.show_members(&view),
            revoked: self.show_revoked(&view),
            bridges: self.bridges.show(),
            peers: self.show_peers(&standings, &stats),
            counters: self.show_counters(&stats),
        }
    }

    fn show_addresses(&self) -> Vec<Address> {
        let addresses = self.server.addresses();
        let show = |kind, scheme: &str, address: Option<SocketAddr>| {
            address.map(|address| Address {
                kind,
                url: format!("{scheme}://{}", crate::net::for_others(address)),
                listen: address.to_string(),
                local: address.ip().is_loopback(),
            })
        };
        let udp = |kind, address: SocketAddr| Address {
            kind,
            url: format!("udp://{address}"),
            listen: address.to_string(),
            local: address.ip().is_loopback(),
        };
        let tunnel = self.tunnel.now();
        let tunnel = tunnel.iter().flat_map(|it| it.listens());
        let tunnel = tunnel.map(|address| udp(AddressKind::Tunnel, address));
        let found = self.tunnel.now().and_then(|it| it.lan());
        let found = found.map(|_| udp(AddressKind::Lan, Lan::listens()));
        [
            show(AddressKind::Client, "nats", addresses.clients),
            show(AddressKind::Leaf, "nats-leaf", addresses.leaves),
            show(AddressKind::Route, "nats-route", addresses.routes),
        ]
        .into_iter()
        .flatten()
        .chain(tunnel)
        .chain(found)
        .collect()
    }

    /// Returns what this agent can clone from another, as that has last told.
    pub(super) fn available(&self, id: &EndpointId) -> Vec<api::Available> {
        let hosted = self.replication.hosted();
        let here: BTreeSet<String> = hosted.iter().filter_map(|it| it.project_code()).collect();
        let told = self.parts.members.told(id).into_iter();
        let offered = told.flat_map(|told| told.repositories);
        let show = |it: crate::members::Offered| api::Available {
            here: here.contains(&it.project_code),
            name: it.name,
            project_code: it.project_code,
            size: it.size,
            capabilities: it.capabilities,
        };
        offered.map(show).collect()
    }

    fn show_members(&self, view: &View) -> Vec<api::Member> {
        let show = |(id, member): (&EndpointId, &crate::members::Member)| api::Member {
            endpoint_id: id.to_string(),
            name: member.name.to_string(),
            capabilities: member.everywhere.iter().collect(),
            projects: projects_of(member),
            vouched_by: member.vouched_by.iter().map(ToString::to_string).collect(),
            since: Time::from_unix_millis(member.since),
            told_at: self.parts.members.told(id).map(|told| told.at),
            confirmed: !view.unconfirmed.contains(id),
            repositories: self.available(id),
        };
        view.members.iter().map(show).collect()
    }

    fn show_revoked(&self, view: &View) -> Vec<api::Revoked> {
        let show = |(id, revoked): (&EndpointId, &crate::members::Revoked)| {
            let has_heard = |member: &EndpointId| {
                let told = self.parts.members.told(member);
                told.is_some_and(|told| told.hello.has_heard(&revoked.records))
            };
            let unheard = view
                .members
                .keys()
                .filter(|member| **member != revoked.by && !has_heard(member));
            api::Revoked {
                endpoint_id: id.to_string(),
                name: revoked.name.as_ref().map(ToString::to_string),
                by: revoked.by.to_string(),
                at: Time::from_unix_millis(revoked.at),
                unheard: unheard.map(ToString::to_string).collect(),
            }
        };
        view.revoked.iter().map(show).collect()
    }

    fn show_peers(&self, standings: &[Standing], stats: &natsd::Stats) -> Vec<Peer> {
        let now = Time::now();
        let mut peers = self.show_heard(standings, stats, now);
        self.show_strangers(&mut peers, stats, now);
        self.show_refused(&mut peers);
        self.show_unpaired(&mut peers);
        let links = links(stats);
        for link in &links {
            self.show_link(&mut peers, link, now);
        }
        twins::mark(&mut peers, &links, now);
        self.show_own_twin(&mut peers, now);
        peers.into_values().collect()
    }

    /// Returns who is heard, and who was so within a day and has gone.
    fn show_heard(
        &self,
        standings: &[Standing],
        stats: &natsd::Stats,
        now: Time,
    ) -> BTreeMap<String, Peer> {
        let mut peers: BTreeMap<String, Peer> = BTreeMap::new();
        let has_way = self.has_way(&stats.connections);
        for standing in standings {
            for view in &standing.view.peers {
                let name = view.peer.as_str();
                if !self.replication.counts(&view.peer) {
                    continue;
                }
                let peer = peers
                    .entry(name.to_owned())
                    .or_insert_with(|| self.unknown(name));
                let heard = self.replication.heard_at(view);
                let heard = peer.heard_at.map_or(heard, |other| other.max(heard));
                peer.heard_at = Some(heard);
                // A bridge is a client, of this agent's bus or of one that this is joined with: no link has to stand.
                let is_way = has_way || (view.bridge && *self.ways.borrow());
                peer.state = presence::state(heard, now, is_way);
                let exchanged = view.exchanged.map(|at| self.replication.time_of(at));
                peer.last_ok = peer.last_ok.max(exchanged);
                // An agent may be a bridge for one project and have another.
                match view.bridge {
                    true if peer.repositories.is_empty() => peer.kind = PeerKind::Bridge,
                    true => {}
                    false => peer.kind = PeerKind::Agent,
                }
                peer.repositories.push(standing.name.clone());
                if let Some((error, since)) = standing.failures.get(&view.peer) {
                    peer.error = Some(PeerError {
                        code: error.code,
                        message: error.message.clone(),
                        hint: error.hint.clone(),
                        since: *since,
                        retry_at: view.retry.map(|at| self.replication.time_of(at)),
                    });
                }
            }
        }
        for (name, seen) in self.replication.seen() {
            let gone = || Peer {
                state: LinkState::Gone { since: seen.at },
                heard_at: Some(seen.at),
                kind: match seen.is_bridge {
                    true => PeerKind::Bridge,
                    false => PeerKind::Agent,
                },
                ..self.unknown(name.as_str())
            };
            if self.replication.counts(&name) {
                let peer = peers.entry(name.to_string()).or_insert_with(gone);
                // Who is back was exchanged with before it went.
                peer.last_ok = peer.last_ok.max(seen.exchanged);
            }
        }
        for peer in peers.values_mut() {
            presence::leave(peer);
        }
        peers
    }

    /// Shows a peer by the link that stands to it.
    fn show_link(&self, peers: &mut BTreeMap<String, Peer>, link: &ConnectionStats, now: Time) {
        // One that has not introduced itself is no peer yet.
        let Some(name) = link.server_name.clone() else {
            return;
        };
        let unknown = self.unknown(&name);
        let peer = peers.entry(name.clone()).or_insert_with(|| unknown.clone());
        peer.link = Some(match link.kind {
            Kind::Route => LinkKind::Route,
            _ => LinkKind::Leaf,
        });
        peer.kind = unknown.kind;
        peer.available = unknown.available;
        peer.dialled = link.dialled;
        peer.address.clone_from(&link.remote);
        peer.round_trip_ms = link.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0);
        if let Some(tunnel) = self.tunnel.now().filter(|_| !is_tcp(link)) {
            let id: Option<EndpointId> = name.parse().ok();
            peer.tunnel = id.and_then(|id| tunnel.way(&id));
            peer.address = peer.tunnel.as_ref().map(|way| way.address.clone());
        }
        let since = now.before(link.age);
        peer.state = LinkState::Connected { since };
    }

    /// Adds who is heard and has no rights, but for those that are out for ever.
    fn show_strangers(&self, peers: &mut BTreeMap<String, Peer>, stats: &natsd::Stats, now: Time) {
        let has_way = self.has_way(&stats.connections);
        let view = self.parts.members.view();
        let is_out = |it: &str| it.parse().is_ok_and(|id| view.revoked.contains_key(&id));
        let strangers = self.replication.strangers().into_iter();
        for (name, heard) in strangers.filter(|(name, _)| !is_out(name.as_str())) {
            let mut stranger = Peer {
                heard_at: Some(heard),
                state: presence::state(heard, now, has_way),
                ..self.unknown(name.as_str())
            };
            presence::leave(&mut stranger);
            peers.entry(name.to_string()).or_insert(stranger);
        }
    }

    /// Adds who wanted a link over the tunnel and was turned away.
    fn show_refused(&self, peers: &mut BTreeMap<String, Peer>) {
        let refused = self.tunnel.now().map(|it| it.refused(&self.parts.trust));
        let view = self.parts.members.view();
        let refused = refused.unwrap_or_default().into_iter();
        for (id, at) in refused.filter(|(id, _)| !view.revoked.contains_key(id)) {
            let name = id.to_string();
            let stranger = || Peer {
                heard_at: Some(at),
                state: LinkState::Error {
                    code: Code::Forbidden,
                    message: "it wanted a link over the tunnel and is not trusted".to_owned(),
                    hint: Some("If you know this agent, trust it.".to_owned()),
                    since: at,
                    retry_at: None,
                },
                link: None,
                ..self.unknown(&name)
            };
            let peer = peers.entry(name.clone()).or_insert_with(stranger);
            if matches!(peer.state, LinkState::Gone { .. }) {
                *peer = stranger();
            }
        }
    }

    /// Returns a peer of which nothing but the name is known.
    pub(super) fn unknown(&self, name: &str) -> Peer {
        let id: Option<EndpointId> = name.parse().ok();
        let register = &self.parts.trust.register;
        let told = id.and_then(|id| self.parts.members.told(&id));
        let own_name = id.and_then(|id| self.parts.members.name_of(&id));
        let letters = id.and_then(|id| register.letters(&id, ""));
        let letters = letters.map(|it| it.chars().collect::<BTreeSet<char>>());
        let members = register.members();
        let member = id.and_then(|id| members.members.get(&id));
        let in_projects = member.map(projects_of);
        Peer {
            endpoint_id: id.map(|id| id.to_string()),
            name: own_name.unwrap_or_else(|| name.get(..16).unwrap_or(name).to_owned()),
            kind: match id {
                Some(_) => PeerKind::Agent,
                None => PeerKind::Server,
            },
            role: told.map(|told| told.hello.role()),
            state: LinkState::Connecting { since: Time::now() },
            link: id.map(|_| LinkKind::Via),
            dialled: false,
            address: None,
            round_trip_ms: None,
            tunnel: None,
            trusted: id.is_some_and(|id| register.knows(&id)),
            capabilities: letters.unwrap_or_default().into_iter().collect(),
            projects: in_projects.unwrap_or_default(),
            repositories: Vec::new(),
            available: id.map(|id| self.available(&id)).unwrap_or_default(),
            heard_at: None,
            last_ok: None,
            error: None,
        }
    }

    fn show_counters(&self, stats: &natsd::Stats) -> Counters {
        let of_replication = self.replication.counters();
        let mut over_links = stats.traffic(Kind::Leaf);
        over_links += stats.traffic(Kind::Route);
        Counters {
            since: self.since,
            messages_in: over_links.in_messages,
            messages_out: over_links.out_messages,
            bytes_in: over_links.in_bytes,
            bytes_out: over_links.out_bytes,
            announced: of_replication.announced,
            heard: of_replication.heard,
            pulls: of_replication.pulls,
            pulls_over_tunnel: self.replication.over_streams(),
            pulled_artifacts: of_replication.received,
            found_by: FoundBy {
                announcement: of_replication.arrivals.announce,
                hello: of_replication.arrivals.hello,
                poll: of_replication.arrivals.poll,
            },
            refused: self.replication.refused(),
            violations: stats.violations,
            slow_consumers: stats.slow_consumers,
            lost: self.bus().lost(),
        }
    }
}

/// Returns what a member may in single projects.
fn projects_of(member: &crate::members::Member) -> BTreeMap<String, String> {
    let projects = member.in_projects.iter();
    projects
        .map(|(project, letters)| (project.clone(), letters.iter().collect()))
        .collect()
}

/// Whether a link runs over TCP, which alone has an address and a port.
pub(super) fn is_tcp(link: &ConnectionStats) -> bool {
    let remote = link.remote.as_deref();
    remote.is_some_and(|remote| remote.parse::<SocketAddr>().is_ok())
}

/// Returns the links to other servers, those that are being made as well.
fn links(stats: &natsd::Stats) -> Vec<&ConnectionStats> {
    let all = stats.connections.iter();
    all.filter(|it| it.kind != Kind::Client).collect()
}
