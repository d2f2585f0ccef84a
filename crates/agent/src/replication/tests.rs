//! Agents' replication on a bus in memory, with real files: what changes in one, however it came, is soon in the others.

mod bad_answers;
mod streams;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use edgesync_bus::{Fate, Hub, Message, Publish, SharedBus};
use edgesync_replica::{
    Announcement, Arrivals, Fingerprint, Hello, Project, Stamp, Tip, Topic, Why,
};
use libfossil::db::{Access, Repository, Visibility};
use libfossil::fingerprint::Fingerprints;
use libfossil::xfer::client::{Client, Goal};
use tokio::time::{sleep, timeout};

use super::*;
use crate::api::State;
use crate::clock;
use crate::repository::Writer;
use crate::samples::{self, keys, project};
use crate::sync::bus::{Accepts, Line};
use crate::trust::{EndpointId, Register, Trust, TrustedId};
use crate::watch::FileWatch;

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// Announcements of one that says too much.
const FLOOD: u64 = 5_000;

const HOUR: Duration = Duration::from_secs(3600);

/// Agents on one bus, in one folder.
struct Lab {
    folder: tempfile::TempDir,
    hub: Hub,
    watch: FileWatch,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

/// One agent with one repository.
struct Member {
    path: PathBuf,
    hosted: Arc<Hosted>,
    replication: Arc<Replication>,
}

impl Lab {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            hub: Hub::default(),
            watch: FileWatch::new(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        }
    }

    fn wire(&self, seed: u8, trusts: &[u8]) -> Wire {
        let bus: SharedBus = Arc::new(self.hub.join(&format!("agent-{seed}")));
        let trusts: Vec<EndpointId> = trusts.iter().map(|seed| keys(*seed).id()).collect();
        Wire {
            bus,
            prefix: "fossil".to_owned(),
            keys: Arc::new(keys(seed)),
            trust: Arc::new(Trust::new(Register::of_run(trusts, None))),
        }
    }

    /// Makes a repository that all agents of a lab could have cloned from each other.
    fn repository(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        drop(samples::repository(&path));
        path.canonicalize().expect("there")
    }

    async fn start(&self, seed: u8, trusts: &[u8], poll: Duration) -> Member {
        self.start_over(seed, trusts, poll, None).await
    }

    async fn start_over(
        &self,
        seed: u8,
        trusts: &[u8],
        poll: Duration,
        tunnel: Option<Tunnel>,
    ) -> Member {
        let path = self.repository(&format!("{seed}.fossil"));
        let (events, stopped) = (Arc::new(Events::new()), self.stopped.child_token());
        let hosted = Hosted::open(
            seed.to_string(),
            path.clone(),
            None,
            Arc::clone(&events),
            stopped.child_token(),
        );
        let hosted = Arc::new(hosted.expect("a thread"));
        // What comes after this look is a change.
        hosted.writer().look().await.expect("looked at");
        hosted.keep(self.watch.watch(&path), HOUR, &self.tasks);
        let kept = timeout(PATIENCE, hosted.kept.cancelled()).await;
        kept.expect("its keeper begins");
        let replication = Replication::start(Setup {
            wire: self.wire(seed, trusts),
            wishes: Wishes {
                push: true,
                pull: true,
                unversioned: true,
                private: false,
            },
            serve: true,
            poll,
            tasks: self.tasks.clone(),
            farewells: TaskTracker::new(),
            stopped,
            events,
        });
        let replication = replication.expect("started");
        replication.use_tunnel(tunnel);
        replication.host(&hosted);
        Member {
            path,
            hosted,
            replication,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Member {
    /// Stores something as another program would.
    fn store(&self, text: &str) {
        let mut repository = Repository::open(&self.path, Access::ReadWrite).expect("a repository");
        let stored: libfossil::db::Result<()> = repository.write(clock::now(), |tx| {
            tx.store(text.as_bytes(), Visibility::Public).map(drop)
        });
        stored.expect("stored");
    }

    fn holds(&self, text: &str) -> bool {
        let repository = Repository::open(&self.path, Access::ReadOnly).expect("a repository");
        let name = libfossil::name::HashName::sha3_of(text.as_bytes());
        repository.rid(&name).expect("read").is_some()
    }

    async fn receives(&self, text: &str) {
        let wait = async {
            while !self.holds(text) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("it does not arrive: {:#?}", self.replication.standings());
        }
    }

    /// Waits until this agent is on the bus.
    async fn joins(&self) {
        let wait = async {
            while self.replication.standings().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it joins");
    }

    /// Returns what its repository holds.
    fn fingerprint(&self) -> Fingerprint {
        let repository = Repository::open(&self.path, Access::ReadOnly).expect("a repository");
        let print = Fingerprints::default().read(&repository).expect("read");
        Fingerprint {
            artifacts: print.artifacts,
            unversioned: print.unversioned,
        }
    }

    /// Waits until this agent has announced something that often.
    async fn announces(&self, count: u64) {
        let wait = async {
            let announced = |it: &Standing| it.view.counters.announced >= count;
            while !self.replication.standings().iter().any(announced) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it announces");
    }

    /// Waits until this agent knows `count` peers that hold just what it holds.
    async fn meets(&self, count: usize) {
        let wait = async {
            loop {
                let standings = self.replication.standings();
                let peers = standings.iter().flat_map(|standing| &standing.view.peers);
                if peers.filter(|peer| peer.equal == Some(true)).count() == count {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("they do not meet: {:#?}", self.replication.standings());
        }
    }

    /// Waits until this counter of arrivals has reached `count`, and returns all.
    async fn counts(&self, count: u64, of: fn(&Arrivals) -> u64) -> Arrivals {
        let arrivals = || {
            let standings = self.replication.standings();
            standings.first().map(|it| it.view.counters.arrivals)
        };
        let wait = async {
            loop {
                if let Some(arrivals) = arrivals().filter(|arrivals| of(arrivals) >= count) {
                    return arrivals;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(arrivals) => arrivals,
            Err(_) => panic!("it is not counted: {:#?}", self.replication.standings()),
        }
    }
}

fn peer(seed: u8) -> edgesync_replica::Peer {
    edgesync_replica::Peer::parse(&keys(seed).id().to_string()).expect("a name")
}

fn is_announcement(message: &Message) -> bool {
    message.subject.ends_with(".commit")
}

#[tokio::test]
async fn what_another_program_stores_is_announced_and_pulled() {
    let lab = Lab::new();
    let a = lab.start(1, &[2, 3], HOUR).await;
    let b = lab.start(2, &[1, 3], HOUR).await;
    let c = lab.start(3, &[1, 2], HOUR).await;
    a.meets(2).await;
    a.store("one");
    b.receives("one").await;
    c.receives("one").await;
    let one = |arrivals: Arrivals| {
        (
            arrivals.watch,
            arrivals.announce,
            arrivals.hello,
            arrivals.poll,
        )
    };
    assert_eq!(one(a.counts(1, |it| it.watch).await), (1, 0, 0, 0));
    assert_eq!(one(b.counts(1, |it| it.announce).await), (0, 1, 0, 0));
    assert_eq!(one(c.counts(1, |it| it.announce).await), (0, 1, 0, 0));
    for member in [&a, &b, &c] {
        member.meets(2).await;
        let state = member.hosted.show().state;
        assert!(matches!(state, State::UpToDate { .. }), "{state:?}");
    }
}

#[tokio::test]
async fn what_is_up_to_date_is_as_old_as_the_last_word_of_a_peer() {
    let lab = Lab::new();
    let a = lab.start(1, &[2], HOUR).await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    b.meets(1).await;
    // From here on b says nothing that is heard, as if it had died.
    lab.hub.judge(|from, _, _| match from {
        "agent-2" => Fate::Lost,
        _ => Fate::Arrives,
    });
    let word = || a.replication.seen().get(&peer(2)).map(|seen| seen.at);
    let hellos = || {
        let standings = a.replication.standings();
        standings.first().map_or(0, |it| it.view.counters.hellos)
    };
    let asks = async || {
        let before = hellos();
        a.replication.ask(None);
        while hellos() == before {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // What is under way arrives first, and each asking is shown by the time of the next one.
    for _ in 0..10 {
        timeout(PATIENCE, asks()).await.expect("it asks");
    }
    match a.hosted.show().state {
        State::UpToDate { at } => assert_eq!(Some(at), word()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_exchange_that_the_closing_of_its_repository_ends_is_no_failure() {
    let lab = Lab::new();
    let a = lab.start(1, &[2], HOUR).await;
    let _b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    let member = locked(&a.replication.members).values().next().cloned();
    let member = member.expect("a repository");
    drop(a.hosted.close());
    let source = edgesync_replica::Source::Peer(peer(2));
    let outcome = member.exchange(&source, edgesync_replica::Trigger::Poll);
    assert_eq!(outcome.await, None);
    assert!(member.failures().is_empty(), "{:?}", member.failures());
}

#[tokio::test]
async fn who_has_gone_leaves_what_was_known_and_changes_wait_for_him() {
    let lab = Lab::new();
    let a = lab.start(1, &[], HOUR).await;
    let register = &a.replication.setup.wire.trust.register;
    let trusted = register.add(TrustedId {
        id: keys(2).id(),
        name: None,
        capabilities: "gio".to_owned(),
        since: None,
    });
    trusted.expect("noted");
    let becomes = async |state: fn(&State) -> bool, words: &str| {
        let wait = async {
            while !state(&a.hosted.show().state) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let shown = timeout(PATIENCE, wait).await;
        shown.unwrap_or_else(|_| panic!("{words}: {:?}", a.hosted.show().state));
    };
    becomes(|it| matches!(it, State::Local), "nobody was there").await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    b.meets(1).await;
    b.replication.setup.stopped.cancel();
    let gone = async {
        while a
            .replication
            .standings()
            .iter()
            .any(|it| !it.view.peers.is_empty())
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it has gone");
    a.replication.ask(None);
    becomes(|it| matches!(it, State::UpToDate { .. }), "equal").await;
    a.store("later");
    becomes(|it| matches!(it, State::Pending { at: Some(_) }), "changed").await;
    register.remove(&keys(2).id()).expect("noted");
    a.replication.ask(None);
    becomes(|it| matches!(it, State::Local), "nobody is waited for").await;
}

#[tokio::test]
async fn what_a_client_pushes_is_announced_and_pulled() {
    let lab = Lab::new();
    let a = lab.start(1, &[2, 9], HOUR).await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    // An agent that pushes and is on no list of b.
    let path = lab.repository("pusher.fossil");
    let mut pusher = Repository::open(&path, Access::ReadWrite).expect("a repository");
    let stored: libfossil::db::Result<()> = pusher.write(clock::now(), |tx| {
        tx.store(b"pushed", Visibility::Public).map(drop)
    });
    stored.expect("stored");
    drop(pusher);
    let writer = Writer::start("pusher", &path).expect("a thread");
    let peer = Some(keys(1).id().to_string());
    let wire = lab.wire(9, &[1]);
    let line = Line::new(wire, project().to_string(), peer, Accepts::Writers);
    let push = Goal {
        pull: false,
        push: true,
        private: false,
        unversioned: false,
        thorough: false,
    };
    let start = move |_: &mut Repository| Ok(Client::new(push, None));
    line.exchange(&writer, start, |_| {}).await.expect("pushed");
    b.receives("pushed").await;
    assert_eq!(a.counts(1, |it| it.push).await.watch, 0);
    assert_eq!(b.counts(1, |it| it.announce).await.poll, 0);
}

#[tokio::test]
async fn an_announcement_with_a_hello_at_its_heels_is_what_leads_to_the_exchange() {
    let lab = Lab::new();
    // What the agent says by itself is held back, so that the test says it at a moment of its own.
    let held = Arc::new(AtomicBool::new(true));
    let holds = Arc::clone(&held);
    lab.hub.judge(move |_, _, message| {
        match is_announcement(message) && holds.load(Ordering::Relaxed) {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    });
    let a = lab.start(1, &[2], HOUR).await;
    a.joins().await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    b.meets(1).await;
    let project = Project::parse(project().as_str()).expect("a project");
    for round in 1..=8 {
        let text = format!("text {round}");
        a.store(&text);
        a.announces(round).await;
        let stamp = |seq| Stamp { run: 7, seq };
        let announcement = Announcement {
            tip: Tip::default(),
            peer_id: keys(1).id().to_string(),
            fingerprint: Some(a.fingerprint()),
            stamp: Some(stamp(2 * round)),
            bridge: false,
        };
        let hello = Hello {
            peer_id: announcement.peer_id.clone(),
            fingerprint: announcement.fingerprint,
            why: Why::Beat,
            stamp: stamp(2 * round + 1),
            bridge: false,
        };
        held.store(false, Ordering::Relaxed);
        let (said, bodies) = (&a.replication, (announcement.to_bytes(), hello.to_bytes()));
        said.setup
            .wire
            .announce(&project, Topic::Commit, bodies.0)
            .await;
        said.setup
            .wire
            .announce(&project, Topic::Hello, bodies.1)
            .await;
        held.store(true, Ordering::Relaxed);
        b.receives(&text).await;
        let found = b.counts(round, |it| it.announce + it.hello).await;
        assert_eq!((found.announce, found.hello), (round, 0));
    }
}

#[tokio::test]
async fn what_a_lost_announcement_told_a_poll_finds() {
    let lab = Lab::new();
    lab.hub
        .judge(|_, _, message| match is_announcement(message) {
            true => Fate::Lost,
            false => Fate::Arrives,
        });
    let a = lab.start(1, &[2], HOUR).await;
    a.joins().await;
    let b = lab.start(2, &[1], Duration::from_millis(300)).await;
    a.meets(1).await;
    // The other knows it by its answer, after which it says nothing unasked.
    b.meets(1).await;
    a.store("one");
    b.receives("one").await;
    let arrivals = b.counts(1, |it| it.poll).await;
    assert_eq!((arrivals.announce, arrivals.hello), (0, 0));
}

#[tokio::test]
async fn a_doubling_bus_changes_nothing() {
    let lab = Lab::new();
    lab.hub.judge(|_, _, _| Fate::Doubled);
    let a = lab.start(1, &[2], HOUR).await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    b.store("one");
    a.receives("one").await;
    a.meets(1).await;
    assert_eq!((a.replication.refused(), b.replication.refused()), (0, 0));
}

#[tokio::test]
async fn a_stranger_is_not_believed_but_remembered() {
    let lab = Lab::new();
    let a = lab.start(1, &[2], HOUR).await;
    let stranger = lab.start(3, &[1, 2], HOUR).await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    stranger.joins().await;
    stranger.store("poison");
    stranger.counts(1, |it| it.watch).await;
    stranger.announces(1).await;
    let stranger = lab.wire(3, &[]);
    // Unsigned, in the name of one that is trusted.
    let text = format!(r#"{{"rid":1,"uuid":"","peer_id":"{}"}}"#, keys(2).id());
    let subject = format!("fossil.{}.commit", project());
    let forged = Publish::new(subject, text);
    stranger.bus.publish(forged).await.expect("published");
    b.store("good");
    a.receives("good").await;
    assert!(!a.holds("poison") && !b.holds("poison"));
    let known = a.replication.strangers();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].0.as_str(), keys(3).id().to_string());
    assert!(a.replication.refused() >= 2);
}

#[tokio::test]
async fn a_flood_of_announcements_leads_to_few_questions_and_takes_nothing_from_others() {
    let lab = Lab::new();
    let a = lab.start(1, &[2, 3], HOUR).await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    // A third is trusted, announces without end what it does not have, and answers nobody.
    let flood = lab.wire(3, &[1]);
    let code = Project::parse(project().as_str()).expect("a project");
    let subject = edgesync_replica::subject::sync_with(&flood.prefix, &code, &peer(3));
    let mut questions = flood.bus.subscribe(&subject, None).await.expect("heard");
    for seq in 0..FLOOD {
        let mut artifacts = [0; 32];
        artifacts[..8].copy_from_slice(&seq.to_be_bytes());
        let announcement = Announcement {
            tip: Tip::default(),
            peer_id: peer(3).as_str().to_owned(),
            fingerprint: Some(Fingerprint {
                artifacts,
                unversioned: [0; 32],
            }),
            stamp: Some(Stamp { run: 7, seq }),
            bridge: false,
        };
        let body = announcement.to_bytes();
        flood.announce(&code, Topic::Commit, body).await;
    }
    b.store("good");
    a.receives("good").await;
    let heard = a.replication.counters().heard;
    assert!(heard > FLOOD / 2, "the flood came: {heard}");
    let mut asked = 0;
    while let Some(Some(_)) = futures_util::FutureExt::now_or_never(questions.next()) {
        asked += 1;
    }
    assert!((1..=3).contains(&asked), "{asked} questions");
    let standings = a.replication.standings();
    let peers = standings.iter().flat_map(|it| &it.view.peers);
    assert_eq!(peers.count(), 2);
}

#[tokio::test]
async fn a_peer_that_does_not_let_us_read_is_shown_as_an_error() {
    let lab = Lab::new();
    let a = lab.start(1, &[2], HOUR).await;
    let b = lab.start(2, &[], HOUR).await;
    b.joins().await;
    b.store("secret");
    let wait = async {
        loop {
            if let State::Error { message, .. } = a.hosted.show().state {
                return message;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let message = timeout(PATIENCE, wait).await.expect("an error");
    assert!(message.contains("not authorized"), "{message}");
    let standings = a.replication.standings();
    let standing = standings.first().expect("the repository");
    let peer = standing.view.peers.first().expect("the peer");
    assert!(peer.failures > 0 && peer.retry.is_some());
    assert!(standing.failures.contains_key(&peer.peer));
    assert!(!a.holds("secret"));
}

#[tokio::test]
async fn a_repository_that_leaves_says_so() {
    let lab = Lab::new();
    let a = lab.start(1, &[2], HOUR).await;
    let b = lab.start(2, &[1], HOUR).await;
    a.meets(1).await;
    b.replication.unhost("2");
    drop(b.hosted.close());
    a.meets(0).await;
}
