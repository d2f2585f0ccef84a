//! `edgesync peers` and `unpair`, and the mesh's lines in `sync status`: whom the running agent hears, and how.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use edgesync_agent::api::{
    Available, Code, LinkKind, LinkState, Mesh, Peer, PeerKind, Role, Time, TunnelPath,
    agent_called,
};
use serde::Serialize;

use crate::agent::api::AgentApi;
use crate::agent::pairing::{Accept, Waiting};
use crate::agent::runtime;
use crate::error::{Failure, Kind};
use crate::output::{Output, printable};
use crate::units::{format_age, format_size};

/// List the other agents that the running agent hears
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Peers {
    /// List what can be cloned from each of them
    #[arg(long)]
    repos: bool,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    Pending(Waiting),
    Accept(Accept),
}

/// Take all rights from another agent: a member of the mesh is revoked for ever, everywhere
#[derive(Args)]
pub(crate) struct Unpair {
    /// Its name or endpoint id, as `edgesync peers` shows them, or the beginning of the id
    #[arg(value_name = "NAME|ID")]
    called: String,
}

impl Unpair {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        let unpaired = runtime()?.block_on(async {
            // An agent without a bus knows nobody by name, and says of an id that it has no mesh.
            let mesh = mesh(&agent).await?;
            let known = mesh.iter().flat_map(Mesh::called);
            let id = agent_called(&self.called, known)?.to_string();
            agent.delete(&format!("mesh/members/{id}")).await?;
            Ok::<_, Failure>(id)
        })?;
        let done = Unpaired { unpaired };
        out.print(&done, |done| format!("unpaired: {}\n", done.unpaired))
    }
}

/// What `unpair` prints with `--json`.
#[derive(Serialize)]
struct Unpaired {
    unpaired: String,
}

/// What can be cloned from one peer.
#[derive(Serialize)]
struct Offering<'a> {
    peer: &'a str,
    endpoint_id: Option<&'a str>,
    repositories: &'a [Available],
}

impl Peers {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.verb {
            Some(Verb::Pending(waiting)) => return waiting.run(out),
            Some(Verb::Accept(accept)) => return accept.run(out),
            None => {}
        }
        let agent = AgentApi::find()?;
        let mesh = runtime()?
            .block_on(mesh(&agent))?
            .ok_or_else(|| Failure::new(Kind::Failed, "the running agent has no bus"))?;
        if !self.repos {
            return out.print(&mesh.peers, |peers| table(peers, Time::now()));
        }
        let offering = |peer: &'_ Peer| !peer.available.is_empty();
        let offerings: Vec<Offering<'_>> = mesh
            .peers
            .iter()
            .filter(|peer| offering(peer))
            .map(|peer| Offering {
                peer: &peer.name,
                endpoint_id: peer.endpoint_id.as_deref(),
                repositories: &peer.available,
            })
            .collect();
        out.print(&offerings, |offerings| repository_lines(offerings))
    }
}

/// Returns a line for each repository that others have: its project, size, the address that `clone` takes, and whether it is here as well.
fn repository_lines(offerings: &[Offering<'_>]) -> String {
    if offerings.is_empty() {
        return "nothing can be cloned from others\n".to_owned();
    }
    let lines = offerings.iter().flat_map(|offering| {
        offering.repositories.iter().map(|it| {
            format!(
                "{}  {:>10}  iroh:{}/{}{}\n",
                printable(&it.project_code),
                format_size(it.size),
                printable(offering.peer),
                printable(&it.name),
                if it.here { ", is here" } else { "" }
            )
        })
    });
    lines.collect()
}

/// Asks the agent for its mesh; an agent without a bus has none.
pub(crate) async fn mesh(agent: &AgentApi) -> Result<Option<Mesh>, Failure> {
    match agent.get("mesh").await {
        Ok(mesh) => Ok(Some(mesh)),
        Err(failure) if failure.kind == Kind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Returns the mesh's part of a status: the role, where others find this agent, whom it hears, and what is wrong.
pub(crate) fn mesh_lines(mesh: &Mesh, now: Time) -> String {
    let mut text = format!(
        "mesh:   {}, {}\n",
        role_word(mesh.role),
        counted(&mesh.peers)
    );
    for address in &mesh.addresses {
        text.push_str(&format!("  at:     {}\n", address.url));
    }
    for join in &mesh.joins {
        let state = link_words(&join.state, now);
        text.push_str(&format!("  join:   {}: {state}\n", printable(&join.url)));
    }
    if let Some(upstream) = &mesh.upstream {
        let state = link_words(&upstream.state, now);
        text.push_str(&format!(
            "  server: {}: {state}\n",
            printable(&upstream.url)
        ));
    }
    for bridge in &mesh.bridges {
        let state = link_words(&bridge.state, now);
        text.push_str(&format!("  bridge: {}: {state}\n", printable(&bridge.url)));
    }
    for member in mesh.members.iter().filter(|it| !it.confirmed) {
        text.push_str(&format!(
            "  paired: {}, not confirmed yet by that agent\n",
            printable(&member.name)
        ));
    }
    for gone in mesh.revoked.iter().filter(|it| !it.unheard.is_empty()) {
        let who = gone.name.as_deref().unwrap_or(&gone.endpoint_id);
        let unheard = gone.unheard.iter().map(|id| printable(name_of(mesh, id)));
        let unheard: Vec<String> = unheard.collect();
        text.push_str(&format!(
            "  unpaired: {}, not yet heard by {}\n",
            printable(who),
            unheard.join(", ")
        ));
    }
    for peer in &mesh.peers {
        let name = printable(&peer.name);
        if let LinkState::Gone { .. } = &peer.state {
            text.push_str(&format!("  {name}: {}\n", link_words(&peer.state, now)));
        }
        if let Some(error) = &peer.error {
            text.push_str(&format!("  {name}: error: {}\n", printable(&error.message)));
        }
        if let LinkState::Error {
            code: Code::Unpaired,
            ..
        } = &peer.state
        {
            text.push_str(&format!("  {name}: {}\n", link_words(&peer.state, now)));
        }
    }
    text
}

/// Returns how many of those that are heard are connected: agents and bridges, and apart from them NATS servers that are none.
fn counted(peers: &[Peer]) -> String {
    let of = |servers: bool| {
        let them = peers.iter();
        let them = them.filter(|it| (it.kind == PeerKind::Server) == servers);
        let heard = them
            .clone()
            .filter(|it| matches!(it.state, LinkState::Connected { .. }));
        (heard.count(), them.count())
    };
    let ((peers, all), (servers, of_servers)) = (of(false), of(true));
    let servers = match of_servers {
        0 => String::new(),
        1 => format!(", {servers} of 1 stock NATS server"),
        _ => format!(", {servers} of {of_servers} stock NATS servers"),
    };
    format!("{peers} of {all} peers connected{servers}")
}

/// Returns what a member is called.
fn name_of<'a>(mesh: &'a Mesh, id: &'a str) -> &'a str {
    let member = mesh.members.iter().find(|it| it.endpoint_id == id);
    member.map_or(id, |member| &member.name)
}

/// Returns the peers as a table with a line for each.
fn table(peers: &[Peer], now: Time) -> String {
    if peers.is_empty() {
        return "no peers\n".to_owned();
    }
    let heads = [
        "NAME",
        "STATE",
        "LINK",
        "RIGHTS",
        "ROUND TRIP",
        "EXCHANGED",
        "REPOSITORIES",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(peers.iter().map(|peer| row(peer, now)));
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let line: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for peer in peers {
        if let LinkState::Error {
            hint: Some(hint), ..
        } = &peer.state
        {
            text.push_str(&format!("{}: {}\n", printable(&peer.name), printable(hint)));
        }
    }
    text
}

/// Returns what the table says of a peer.
fn row(peer: &Peer, now: Time) -> [String; 7] {
    let state = match &peer.error {
        Some(error) => format!("error: {}", printable(&error.message)),
        None if peer.kind == PeerKind::Agent && !peer.trusted => {
            format!("{}, not trusted", peer_words(peer, now))
        }
        None => peer_words(peer, now),
    };
    let dash = || "-".to_owned();
    [
        printable(&peer.name),
        state,
        peer.link.map_or_else(dash, |link| link_word(link, peer)),
        rights_words(peer).unwrap_or_else(dash),
        peer.round_trip_ms
            .map_or_else(dash, |millis| format!("{millis:.1} ms")),
        peer.last_ok
            .map_or_else(dash, |at| format!("{} ago", format_age(at.age(now)))),
        peer.repositories.join(", "),
    ]
}

/// Returns what a peer may here, in Fossil's letters; nothing when it has no rights.
fn rights_words(peer: &Peer) -> Option<String> {
    let everywhere = Some(peer.capabilities.clone()).filter(|it| !it.is_empty());
    let single: BTreeSet<&str> = peer.projects.values().map(String::as_str).collect();
    let single: Vec<&str> = single.into_iter().collect();
    let single = match peer.projects.len() {
        0 => None,
        1 => Some(format!("{} in 1 project", single.join(", "))),
        many => Some(format!("{} in {many} projects", single.join(", "))),
    };
    let both: Vec<String> = [everywhere, single].into_iter().flatten().collect();
    (!both.is_empty()).then(|| printable(&both.join("; ")))
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Peer => "peer",
        Role::Hub => "hub",
        Role::Leaf => "leaf",
    }
}

fn link_word(link: LinkKind, peer: &Peer) -> String {
    let kind = match link {
        LinkKind::Route => "route",
        LinkKind::Leaf => "leaf",
        LinkKind::Via => "through others",
        _ => "other",
    };
    match peer.tunnel.as_ref().map(|way| way.path) {
        Some(TunnelPath::Direct) => format!("{kind}, tunnel"),
        Some(TunnelPath::Relay) => format!("{kind}, tunnel by relay"),
        None => kind.to_owned(),
    }
}

/// Returns how it stands with a peer. Who is heard through others has no link whose age could be told, but a last word.
fn peer_words(peer: &Peer, now: Time) -> String {
    match (&peer.state, peer.link) {
        (LinkState::Connected { since }, Some(LinkKind::Via)) => {
            format!("connected, heard {} ago", format_age(since.age(now)))
        }
        // What to do about it stands below the table.
        (LinkState::Error { message, .. }, _) => format!("error: {}", printable(message)),
        (state, _) => link_words(state, now),
    }
}

/// Returns a link's state in words, with its age and with what to do about an error.
fn link_words(state: &LinkState, now: Time) -> String {
    let hint = match state {
        LinkState::Error {
            hint: Some(hint), ..
        } => format!(" ({hint})"),
        _ => String::new(),
    };
    printable(&format!("{}{hint}", state.words(now)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use edgesync_agent::api::PeerError;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_millis(seconds * 1000)
    }

    fn peer(name: &str) -> Peer {
        Peer {
            endpoint_id: Some("5f".repeat(32)),
            name: name.to_owned(),
            kind: PeerKind::Agent,
            role: Some(Role::Hub),
            state: LinkState::Connected { since: at(0) },
            link: Some(LinkKind::Route),
            dialled: true,
            address: None,
            tunnel: None,
            round_trip_ms: Some(3.24),
            trusted: true,
            capabilities: "gio".to_owned(),
            projects: BTreeMap::new(),
            repositories: vec!["docs".to_owned(), "src".to_owned()],
            available: vec![],
            heard_at: None,
            last_ok: Some(at(110)),
            error: None,
        }
    }

    #[test]
    fn each_peer_has_a_line_with_its_state_link_and_age() {
        let stranger = Peer {
            trusted: false,
            capabilities: String::new(),
            link: Some(LinkKind::Via),
            round_trip_ms: None,
            last_ok: None,
            repositories: vec![],
            ..peer("stranger\u{202e}")
        };
        let failing = Peer {
            error: Some(PeerError {
                code: Code::Remote,
                message: "the reply's signature does not match".to_owned(),
                hint: None,
                since: at(0),
                retry_at: None,
            }),
            capabilities: String::new(),
            projects: [("ab".repeat(20), "go".to_owned())].into(),
            ..peer("tablet")
        };
        let gone = Peer {
            state: LinkState::Gone { since: at(62) },
            link: None,
            round_trip_ms: None,
            repositories: vec![],
            ..peer("laptop")
        };
        let parted = Peer {
            state: LinkState::Error {
                code: Code::Unpaired,
                message: "hub has unpaired this agent".to_owned(),
                hint: Some("Give this agent a new identity.".to_owned()),
                since: at(0),
                retry_at: None,
            },
            link: None,
            round_trip_ms: None,
            repositories: vec![],
            ..peer("hub")
        };
        insta::assert_snapshot!(table(&[peer("studio-mac"), stranger, failing, gone, parted], at(122)), @r"
        NAME              STATE                                        LINK            RIGHTS           ROUND TRIP  EXCHANGED  REPOSITORIES
        studio-mac        connected for 2 min                          route           gio              3.2 ms      12 s ago   docs, src
        stranger\u{202e}  connected, heard 2 min ago, not trusted      through others  -                -           -
        tablet            error: the reply's signature does not match  route           go in 1 project  3.2 ms      12 s ago   docs, src
        laptop            silent for 1 min                             -               gio              -           12 s ago
        hub               error: hub has unpaired this agent           -               gio              -           12 s ago
        hub: Give this agent a new identity.
        ");
    }

    #[test]
    fn servers_that_are_no_agents_are_counted_apart() {
        let gone = Peer {
            state: LinkState::Gone { since: at(0) },
            ..peer("studio")
        };
        let bridge = Peer {
            kind: PeerKind::Bridge,
            ..peer("bridge")
        };
        let server = Peer {
            endpoint_id: None,
            kind: PeerKind::Server,
            ..peer("nats-1")
        };
        let agents = [gone, bridge];
        assert_eq!(counted(&agents), "1 of 2 peers connected");
        let all = [agents.to_vec(), vec![server]].concat();
        let words = "1 of 2 peers connected, 1 of 1 stock NATS server";
        assert_eq!(counted(&all), words);
    }

    #[test]
    fn each_repository_of_another_has_a_line() {
        let repository = |name: &str, here| Available {
            name: name.to_owned(),
            project_code: "ab".repeat(20),
            size: 250 * 1024,
            capabilities: "gio".to_owned(),
            here,
        };
        let repositories = [repository("docs", true), repository("src\u{202e}", false)];
        let offering = Offering {
            peer: "studio",
            endpoint_id: None,
            repositories: &repositories,
        };
        insta::assert_snapshot!(repository_lines(&[offering]), @r"
        abababababababababababababababababababab   250.0 KiB  iroh:studio/docs, is here
        abababababababababababababababababababab   250.0 KiB  iroh:studio/src\u{202e}
        ");
        assert_eq!(repository_lines(&[]), "nothing can be cloned from others\n");
    }

    #[test]
    fn nobody_is_said_in_words() {
        assert_eq!(table(&[], at(0)), "no peers\n");
    }
}
