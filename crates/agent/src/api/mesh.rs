//! The mesh as the API tells it: this agent's role and addresses, whom it dials, whom it hears and how, and whom it trusts.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Code, Time};
use crate::text::format_age;

/// The answer of `GET /api/v1/mesh`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mesh {
    /// The role in force.
    pub role: Role,
    /// Who chose it.
    pub role_from: Chosen,
    /// The name that people gave this agent.
    pub peer_id: String,
    /// The public half of the identity, 64 hexadecimal digits.
    pub endpoint_id: String,
    /// The NATS cluster that the mesh is.
    pub cluster: String,
    /// Where this agent listens.
    pub addresses: Vec<Address>,
    /// Whether others reach this agent over the tunnel, and by what.
    pub tunnel: Tunnel,
    /// This agent's ticket, with which others reach it over the tunnel; `null` without one.
    pub ticket: Option<String>,
    /// Whom it was told to dial.
    pub joins: Vec<Join>,
    /// The NATS server beside the mesh that it was told of; `null` without one.
    pub upstream: Option<Upstream>,
    /// The mesh that this agent is in; `null` before it is paired with anyone.
    pub mesh: Option<MeshInfo>,
    /// The mesh's other members.
    pub members: Vec<Member>,
    /// Members that were, with who has not heard it yet.
    pub revoked: Vec<Revoked>,
    /// The stock Fossil servers that it has on the bus.
    pub bridges: Vec<Bridge>,
    /// Whom it hears, or heard not long ago.
    pub peers: Vec<Peer>,
    /// What happened since the start.
    pub counters: Counters,
}

/// The tunnel of this agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// Whether it is open.
    pub on: bool,
    /// Who chose that.
    pub from: Chosen,
    /// Whether iroh's public relays and lookup are used.
    pub public: bool,
    /// The relays at which others can be met.
    pub relays: Vec<String>,
    /// Whether the local network is told of this agent, and trusted ones are looked for there.
    pub lan: bool,
}

impl Mesh {
    /// Returns the ids and names of members and of those that are heard.
    pub fn called(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.members.iter();
        let members = members.map(|it| (it.endpoint_id.as_str(), it.name.as_str()));
        let heard = self.peers.iter();
        let heard = heard.filter_map(|it| Some((it.endpoint_id.as_deref()?, it.name.as_str())));
        members.chain(heard)
    }

    /// Returns what is known of identities that two agents have.
    pub fn twins(&self) -> Vec<String> {
        let of_state = |state: &LinkState| match state {
            LinkState::Error { code, message, .. } => Some((*code, message.clone())),
            _ => None,
        };
        let errors = self.peers.iter().filter_map(|peer| peer.error.as_ref());
        let errors = errors.map(|error| (error.code, error.message.clone()));
        let peers = self.peers.iter().filter_map(|peer| of_state(&peer.state));
        let joins = self.joins.iter().filter_map(|join| of_state(&join.state));
        let all = errors.chain(peers).chain(joins);
        all.filter(|(code, _)| *code == Code::Conflict)
            .map(|(_, message)| message)
            .collect()
    }
}

/// A stock Fossil server that is on the bus by a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Names the bridge in paths.
    pub id: String,
    /// The server's address, without a login.
    pub url: String,
    /// In whose name requests are made there that have no login of their own.
    pub user: Option<String>,
    /// The project there.
    pub project_code: String,
    /// Who set it up.
    pub from: Chosen,
    /// How it stands with the server.
    pub state: LinkState,
    /// Requests that the server answered.
    pub answered: u64,
    /// Requests that were refused or that the server did not answer.
    pub failed: u64,
    /// When the last of them ended.
    pub last_request: Option<Time>,
}

/// A mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshInfo {
    /// 32 hexadecimal digits; when two meshes meet, the lower one wins.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The code of the project that its messages are in.
    pub notify: Option<String>,
}

/// Another member of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The public half of its identity, 64 hexadecimal digits.
    pub endpoint_id: String,
    /// What people call it.
    pub name: String,
    /// What it may in all projects, in Fossil's letters.
    pub capabilities: String,
    /// What it may besides in single projects, by code.
    pub projects: BTreeMap<String, String>,
    /// The endpoint ids of those who vouch for it.
    pub vouched_by: Vec<String>,
    /// Since when it is a member.
    pub since: Time,
    /// When it last told what it has; `null` while it was not heard since the agent's start.
    pub told_at: Option<Time>,
    /// Whether it has shown that it keeps its pairing with this agent, by a first link; until then no other member hears of it.
    pub confirmed: bool,
    /// What this agent can clone from it.
    pub repositories: Vec<Available>,
}

/// A repository that another member has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Available {
    /// What it is called there.
    pub name: String,
    /// The project's code.
    pub project_code: String,
    /// Bytes of its file there.
    pub size: u64,
    /// What this agent may do there, in Fossil's letters.
    pub capabilities: String,
    /// Whether this agent has the project as well.
    pub here: bool,
}

/// A member that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The public half of its identity, 64 hexadecimal digits.
    pub endpoint_id: String,
    /// What people called it.
    pub name: Option<String>,
    /// The endpoint id of who said so first.
    pub by: String,
    /// When.
    pub at: Time,
    /// The endpoint ids of members that have not said yet that they have heard it.
    pub unheard: Vec<String>,
}

/// What an agent accepts and dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Accepts peers and leaves, dials its joins.
    Peer,
    /// Accepts peers and leaves, dials other hubs.
    Hub,
    /// Accepts nobody, dials one of its joins at a time.
    Leaf,
}

impl Role {
    /// Returns the role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Hub => "hub",
            Self::Leaf => "leaf",
        }
    }
}

/// A text is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is peer, hub or leaf")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Peer, Self::Hub, Self::Leaf]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleError)
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// Nobody chose: it is what a new agent has.
    Default,
    /// A flag of this start.
    Flag,
    /// A person, while an agent ran.
    App,
    /// Nobody chose: it is so because the other is a member of the mesh.
    Mesh,
    /// Nobody chose: the other runs on this machine, for the same user, and is trusted.
    Machine,
    /// Nobody chose: the other is on the same network, as it says there, and is trusted.
    Network,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Who connects there.
    pub kind: AddressKind,
    /// As others write it. Where all of the machine's addresses are listened on, it is the one that others in its network most likely reach.
    pub url: String,
    /// What is listened on: an IP address and port.
    pub listen: String,
    /// Whether it is reachable on this machine alone.
    pub local: bool,
}

/// Who connects to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AddressKind {
    /// Programs that speak NATS.
    Client,
    /// Leaves.
    Leaf,
    /// Peers and hubs.
    Route,
    /// Agents, by their keys over the tunnel.
    Tunnel,
    /// Whoever is on the same network, to learn where agents are.
    Lan,
}

/// An address that this agent dials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Names the join in paths.
    pub id: String,
    /// `nats-leaf://HOST:PORT`, `nats-route://HOST:PORT`, `iroh:TICKET` or `iroh:ID`.
    pub url: String,
    /// Who added it.
    pub from: Chosen,
    /// How it stands.
    pub state: LinkState,
    /// The endpoint id of who answered there.
    pub peer: Option<String>,
}

/// A NATS server that is no agent, joined beside the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// `nats-leaf://HOST:PORT` or `nats://HOST:PORT`, without a login; several have commas between them.
    pub url: String,
    /// How it stands.
    pub state: LinkState,
}

/// How a link stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkState {
    /// It stands.
    Connected {
        /// Since when.
        since: Time,
    },
    /// It is being made.
    Connecting {
        /// Since when.
        since: Time,
    },
    /// A leaf's spare: not dialled while another stands.
    Standby,
    /// The role does not dial it.
    Unused {
        /// Why.
        message: String,
    },
    /// It cannot be made, or broke.
    Error {
        /// For programs.
        code: Code,
        /// What failed.
        message: String,
        /// What to do next.
        hint: Option<String>,
        /// Since when.
        since: Time,
        /// When it is tried again.
        retry_at: Option<Time>,
    },
    /// A peer that was here and is silent.
    Gone {
        /// Since when.
        since: Time,
    },
}

/// What to do about what may pass by itself.
pub(crate) const TRIED_AGAIN: &str = "It is tried again by itself.";

impl LinkState {
    /// Returns how it stands in words, with its age. What to do about an error is told apart.
    pub fn words(&self, now: Time) -> String {
        let age = |since: &Time| format_age(since.age(now));
        match self {
            Self::Connected { since } => format!("connected for {}", age(since)),
            Self::Connecting { since } => format!("connecting for {}", age(since)),
            Self::Standby => "stands by".to_owned(),
            Self::Unused { message } => format!("not used: {message}"),
            Self::Error { message, .. } => format!("error: {message}"),
            Self::Gone { since } => format!("silent for {}", age(since)),
        }
    }
}

/// Another member of the mesh, or a NATS server beside this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// The public half of its identity; `null` for what has none.
    pub endpoint_id: Option<String>,
    /// The name that it gives itself.
    pub name: String,
    /// What it is.
    pub kind: PeerKind,
    /// Its role, once it told.
    pub role: Option<Role>,
    /// How the way to it stands.
    pub state: LinkState,
    /// How its messages come.
    pub link: Option<LinkKind>,
    /// Whether the link was made from here.
    pub dialled: bool,
    /// Where it is, for a link of its own.
    pub address: Option<String>,
    /// A message there and back, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// How packets go, for a link over the tunnel.
    pub tunnel: Option<TunnelWay>,
    /// Whether its content is taken.
    pub trusted: bool,
    /// What it may here in all projects, in Fossil's letters.
    pub capabilities: String,
    /// What it may besides in single projects, by code.
    pub projects: BTreeMap<String, String>,
    /// Those of this agent's repositories that it has as well, by name.
    pub repositories: Vec<String>,
    /// What this agent can clone from it, as it has last told.
    pub available: Vec<Available>,
    /// Its last sign of life.
    pub heard_at: Option<Time>,
    /// The end of the last exchange with it.
    pub last_ok: Option<Time>,
    /// Why the last exchange failed.
    pub error: Option<PeerError>,
}

/// The way of a link over the tunnel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunnelWay {
    /// Whether somebody stands between.
    pub path: TunnelPath,
    /// The other end's address, or the relay's.
    pub address: String,
    /// A packet there and back, in milliseconds.
    pub round_trip_ms: Option<f64>,
}

/// Whether somebody stands between two ends of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelPath {
    /// Nobody: from machine to machine.
    Direct,
    /// A relay, which sees nothing but encrypted packets.
    Relay,
}

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerKind {
    /// An agent like this one.
    Agent,
    /// A NATS server that is no agent.
    Server,
    /// A bridge to a stock Fossil server, on its own.
    Bridge,
}

/// How a peer's messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkKind {
    /// Between members, as one cluster.
    Route,
    /// Between a leaf and who serves it.
    Leaf,
    /// By other members.
    Via,
}

/// Why an exchange with a peer failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerError {
    /// For programs.
    pub code: Code,
    /// What failed.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Since when it has been failing.
    pub since: Time,
    /// When it is tried again.
    pub retry_at: Option<Time>,
}

/// What happened since the agent's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// When counting began.
    pub since: Time,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Announcements of new content that were sent.
    pub announced: u64,
    /// Announcements that came.
    pub heard: u64,
    /// Exchanges with peers.
    pub pulls: u64,
    /// Those of them that went over streams of the tunnel.
    pub pulls_over_tunnel: u64,
    /// Artifacts that they brought.
    pub pulled_artifacts: u64,
    /// What caused the exchanges that brought something.
    pub found_by: FoundBy,
    /// Messages without a valid signature of someone who may.
    pub refused: u64,
    /// Messages that broke a limit or the protocol.
    pub violations: u64,
    /// Connections that were cut because they did not read.
    pub slow_consumers: u64,
    /// Messages that came faster than this agent took them, and were dropped.
    pub lost: u64,
}

/// How many exchanges brought something, by what caused them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundBy {
    /// An announcement.
    pub announcement: u64,
    /// A comparison at the slow beat.
    pub hello: u64,
    /// The poll.
    pub poll: u64,
}

/// Someone whose content is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    /// The public half of its identity, 64 hexadecimal digits.
    pub endpoint_id: String,
    /// What people call it here.
    pub name: Option<String>,
    /// What it may, in Fossil's letters.
    pub capabilities: String,
    /// Who added it.
    pub from: Chosen,
    /// Since when; `null` for a flag.
    pub since: Option<Time>,
}

/// The body of `PUT /api/v1/mesh/role`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// The role to take.
    pub role: Role,
}

/// The body of `PUT /api/v1/mesh/tunnel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTunnel {
    /// Whether it is to be open.
    pub on: bool,
    /// Publish this agent's addresses in iroh's public lookup, and use its public relays.
    #[serde(default)]
    pub public: bool,
    /// The relays at which others can be met, `https://HOST[:PORT]`.
    #[serde(default)]
    pub relays: Vec<String>,
    /// Tell the local network of this agent, and join trusted ones that are found there.
    #[serde(default)]
    pub lan: bool,
}

/// The body of `POST /api/v1/mesh/bridges`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBridge {
    /// The server's address, as `fossil clone` takes it; it may hold the login.
    pub url: String,
    /// In whose name requests are made there that have no login of their own.
    pub user: Option<String>,
    /// The password there.
    pub password: Option<String>,
    /// The project there; otherwise the server is asked.
    pub project_code: Option<String>,
}

impl std::fmt::Debug for AddBridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Address and password must not reach a log by way of `{:?}`.
        f.debug_struct("AddBridge").finish_non_exhaustive()
    }
}

/// The body of `POST /api/v1/mesh/joins`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddJoin {
    /// `nats-leaf://HOST:PORT` or `nats-route://HOST:PORT`.
    pub url: String,
}

/// The body of `POST /api/v1/mesh/trusted`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddTrusted {
    /// The public half of its identity, 64 hexadecimal digits.
    pub endpoint_id: String,
    /// What people call it here.
    #[serde(default)]
    pub name: Option<String>,
    /// What it may, in Fossil's letters; reading and writing when none are given.
    #[serde(default)]
    pub capabilities: Option<String>,
}
