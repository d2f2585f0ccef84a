//! What an operator's Prometheus reads, in its text format (version 0.0.4): what came and how, how exchanges went, what passes through the NATS
//! server. No names, addresses, ids or codes are in it unless the reader has the API's token, because the listener for Fossil clients
//! shows it to anyone.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use edgesync_replica::Counters;
use natsd::proto::Kind;

use crate::api::{LinkState, Peer, PeerKind, State};
use crate::core::Core;
use crate::replication::Standing;

/// The content type of the answer.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often something succeeded and failed since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Counts one.
    pub(crate) fn count(&self, succeeded: bool) {
        let counter = match succeeded {
            true => &self.succeeded,
            false => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what another one counted.
    pub(crate) fn add(&self, other: &Self) {
        let (succeeded, failed) = other.pair();
        self.succeeded.fetch_add(succeeded, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// Returns how often it succeeded, and how often it failed.
    pub(crate) fn pair(&self) -> (u64, u64) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (get(&self.succeeded), get(&self.failed))
    }
}

/// Returns the metrics as they are now; `named` ones tell the repositories apart.
pub(crate) fn text(core: &Core, named: bool) -> String {
    let mut page = Page::default();
    page.one(
        "edgesync_info",
        "gauge",
        "The agent's version.",
        &[("version", crate::VERSION)],
        1,
    );
    let started = core.started_at.unix_millis().max(0).unsigned_abs() / 1000;
    page.one(
        "edgesync_start_time_seconds",
        "gauge",
        "When the agent started, in seconds since 1970.",
        &[],
        started,
    );
    repositories(&mut page, core, named);
    exchanges(&mut page, core);
    if let Ok(mesh) = core.mesh() {
        let standings = mesh.replication().standings();
        let all = mesh.replication().counters();
        replication(&mut page, &all, &standings, named);
        peers(&mut page, &mesh.show().peers, &standings);
        let help = "Messages on the bus that were not believed.";
        page.one(
            "edgesync_bus_refused_total",
            "counter",
            help,
            &[],
            mesh.replication().refused(),
        );
        let help = "Messages that came faster than they were taken, and were dropped.";
        page.one(
            "edgesync_bus_lost_total",
            "counter",
            help,
            &[],
            mesh.bus().lost(),
        );
        server(&mut page, &mesh.stats());
    }
    page.0
}

fn repositories(page: &mut Page, core: &Core, named: bool) {
    let shown = core.show_all();
    page.head(
        "edgesync_repositories",
        "gauge",
        "Repositories by the state that they are in.",
    );
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for repository in &shown {
        *states.entry(kind(&repository.state)).or_default() += 1;
    }
    for (state, count) in states {
        page.line("edgesync_repositories", &[("state", state)], count);
    }
    let paused = core.pauses.of_all().is_some();
    page.one(
        "edgesync_paused",
        "gauge",
        "1 while the whole agent is paused.",
        &[],
        u8::from(paused),
    );
    if named {
        page.head(
            "edgesync_repository_artifacts",
            "gauge",
            "Artifacts with content.",
        );
        for it in &shown {
            page.line(
                "edgesync_repository_artifacts",
                &[("repository", &it.name)],
                it.artifacts,
            );
        }
    }
}

fn exchanges(page: &mut Page, core: &Core) {
    let name = "edgesync_remote_exchanges_total";
    let (succeeded, failed) = core.linker.tally.pair();
    page.head(name, "counter", "Exchanges with remotes over HTTP.");
    page.line(name, &[("result", "ok")], succeeded);
    page.line(name, &[("result", "error")], failed);
    let name = "edgesync_served_requests_total";
    let (succeeded, failed) = core.served();
    page.head(
        name,
        "counter",
        "Sync requests of others, over HTTP and the bus.",
    );
    page.line(name, &[("result", "ok")], succeeded);
    page.line(name, &[("result", "error")], failed);
}

/// A counter of replication: its name and one label, and how it is read.
type Figure = (
    &'static str,
    Option<(&'static str, &'static str)>,
    fn(&Counters) -> u64,
);

/// Replication's counters; those of one name stand together.
const FIGURES: [(&str, &[Figure]); 6] = [
    (
        "Changes of repositories, by what brought them.",
        &[
            ("edgesync_arrivals_total", Some(("cause", "watch")), |it| {
                it.arrivals.watch
            }),
            ("edgesync_arrivals_total", Some(("cause", "push")), |it| {
                it.arrivals.push
            }),
            ("edgesync_arrivals_total", Some(("cause", "remote")), |it| {
                it.arrivals.remote
            }),
            (
                "edgesync_arrivals_total",
                Some(("cause", "announcement")),
                |it| it.arrivals.announce,
            ),
            ("edgesync_arrivals_total", Some(("cause", "hello")), |it| {
                it.arrivals.hello
            }),
            ("edgesync_arrivals_total", Some(("cause", "poll")), |it| {
                it.arrivals.poll
            }),
            ("edgesync_arrivals_total", Some(("cause", "person")), |it| {
                it.arrivals.person
            }),
        ],
    ),
    (
        "Exchanges with peers that began.",
        &[("edgesync_peer_exchanges_total", None, |it| it.pulls)],
    ),
    (
        "Exchanges with peers that failed, or that brought nothing.",
        &[
            (
                "edgesync_peer_exchanges_in_vain_total",
                Some(("result", "error")),
                |it| it.failed,
            ),
            (
                "edgesync_peer_exchanges_in_vain_total",
                Some(("result", "nothing")),
                |it| it.fruitless,
            ),
        ],
    ),
    (
        "Artifacts and unversioned files that peers gave.",
        &[("edgesync_received_total", None, |it| it.received)],
    ),
    (
        "Announcements of new content.",
        &[
            (
                "edgesync_announcements_total",
                Some(("direction", "out")),
                |it| it.announced,
            ),
            (
                "edgesync_announcements_total",
                Some(("direction", "in")),
                |it| it.heard,
            ),
        ],
    ),
    (
        "Signs of life that were sent.",
        &[("edgesync_hellos_total", None, |it| it.hellos)],
    ),
];

fn replication(page: &mut Page, all: &Counters, standings: &[Standing], named: bool) {
    for (help, figures) in FIGURES {
        let Some((name, _, _)) = figures.first() else {
            continue;
        };
        page.head(name, "counter", help);
        for (name, label, read) in figures {
            let label: Vec<(&str, &str)> = label.iter().copied().collect();
            if named {
                for standing in standings {
                    let labels =
                        [label.clone(), vec![("repository", standing.name.as_str())]].concat();
                    page.line(name, &labels, read(&standing.view.counters));
                }
            } else {
                page.line(name, &label, read(all));
            }
        }
    }
}

fn peers(page: &mut Page, shown: &[Peer], standings: &[Standing]) {
    let agents = || shown.iter().filter(|peer| peer.kind != PeerKind::Server);
    let there = agents().filter(|peer| matches!(peer.state, LinkState::Connected { .. }));
    page.one(
        "edgesync_peers",
        "gauge",
        "Peers that are heard.",
        &[],
        there.count(),
    );
    let gone = agents().filter(|peer| matches!(peer.state, LinkState::Gone { .. }));
    page.one(
        "edgesync_peers_gone",
        "gauge",
        "Peers that were heard within a day and have gone.",
        &[],
        gone.count(),
    );
    let peers = standings.iter().flat_map(|it| &it.view.peers);
    let failing: std::collections::BTreeSet<_> = peers
        .filter(|peer| peer.failures > 0)
        .map(|peer| peer.peer.as_str())
        .collect();
    page.one(
        "edgesync_peers_failing",
        "gauge",
        "Peers with which the last exchange failed.",
        &[],
        failing.len(),
    );
}

fn server(page: &mut Page, stats: &natsd::Stats) {
    let kinds = [
        ("client", Kind::Client),
        ("leaf", Kind::Leaf),
        ("route", Kind::Route),
    ];
    let of_kind = |kind| stats.connections.iter().filter(move |it| it.kind == kind);
    let name = "edgesync_nats_connections";
    page.head(name, "gauge", "Connections of the NATS server.");
    for (word, kind) in kinds {
        page.line(name, &[("kind", word)], of_kind(kind).count());
    }
    let name = "edgesync_nats_pending_bytes";
    page.head(name, "gauge", "Bytes that wait for slow readers.");
    for (word, kind) in kinds {
        let pending = of_kind(kind).map(|it| it.pending);
        page.line(name, &[("kind", word)], pending.sum::<usize>());
    }
    let name = "edgesync_nats_messages_total";
    page.head(name, "counter", "Messages that came and went.");
    for (word, kind) in kinds {
        let traffic = stats.traffic(kind);
        directions(page, name, word, traffic.in_messages, traffic.out_messages);
    }
    let name = "edgesync_nats_bytes_total";
    page.head(name, "counter", "Bytes of messages that came and went.");
    for (word, kind) in kinds {
        let traffic = stats.traffic(kind);
        directions(page, name, word, traffic.in_bytes, traffic.out_bytes);
    }
    page.one(
        "edgesync_nats_subscriptions",
        "gauge",
        "Subscriptions of clients and links.",
        &[],
        stats.subscriptions,
    );
    for (name, help, count) in [
        (
            "edgesync_nats_accepted_total",
            "Connections that came since the start.",
            stats.connections_total,
        ),
        (
            "edgesync_nats_slow_consumers_total",
            "Connections that were cut because they read too slowly.",
            stats.slow_consumers,
        ),
        (
            "edgesync_nats_violations_total",
            "Rules that other ends broke.",
            stats.violations,
        ),
    ] {
        page.one(name, "counter", help, &[], count);
    }
}

fn directions(page: &mut Page, name: &str, kind: &str, come: u64, gone: u64) {
    page.line(name, &[("kind", kind), ("direction", "in")], come);
    page.line(name, &[("kind", kind), ("direction", "out")], gone);
}

fn kind(state: &State) -> &'static str {
    match state {
        State::Local => "local",
        State::Never => "never",
        State::UpToDate { .. } => "up_to_date",
        State::Pending { .. } => "pending",
        State::Kept { .. } => "kept",
        State::Paused { .. } => "paused",
        State::Syncing { .. } => "syncing",
        State::Error { .. } => "error",
        State::Missing { .. } => "missing",
    }
}

/// The text as it grows.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let opening = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{opening}{label}=\"{text}\"");
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{closing} {value}");
    }

    fn one(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.head(name, kind, help);
        self.line(name, labels, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        let mut page = Page::default();
        page.line("x", &[("a", "b\"\\\nc"), ("d", "e")], 1);
        page.line("y", &[], 2);
        assert_eq!(page.0, "x{a=\"b\\\"\\\\\\nc\",d=\"e\"} 1\ny 2\n");
    }

    #[test]
    fn every_figure_of_a_group_has_the_groups_name() {
        for (help, figures) in FIGURES {
            let names = figures.iter().map(|(name, _, _)| name);
            assert!(
                names.clone().all(|name| Some(name) == names.clone().next()),
                "{help}"
            );
        }
    }
}
