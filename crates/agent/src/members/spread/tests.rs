//! Agents whose records spread, on a bus in memory and over streams in memory.

use edgesync_bus::{Hub, SharedBus};
use tokio::time::timeout;

use super::*;
use crate::events::Events;
use crate::pair::Rights;
use crate::samples;
use crate::state::StateDb;
use crate::trust::{Keys, Register, Trust};

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

struct Lab {
    folder: tempfile::TempDir,
    hub: Hub,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

struct Agent {
    keys: Arc<Keys>,
    trust: Arc<Trust>,
    members: Arc<Members>,
    spread: Arc<Spread>,
    hosted: Arc<std::sync::Mutex<Vec<Arc<Hosted>>>>,
}

impl Lab {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            hub: Hub::default(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        }
    }

    fn start(&self, seed: u8, hub: &Hub) -> Agent {
        let keys = Arc::new(samples::keys(seed));
        let (state, _) =
            StateDb::open(&self.folder.path().join(format!("{seed}.db"))).expect("a database");
        let (state, events) = (Arc::new(state), Arc::new(Events::new()));
        let register = Register::open(Arc::clone(&state), None, None).expect("read");
        let trust = Arc::new(Trust::new(register));
        let name = DeviceName::of(&format!("agent-{seed}"));
        let members = Members::open(Arc::clone(&keys), state, Arc::clone(&trust), events, name)
            .expect("read");
        let bus: SharedBus = Arc::new(hub.join(&format!("agent-{seed}")));
        let wire = Wire {
            bus,
            prefix: "fossil".to_owned(),
            keys: Arc::clone(&keys),
            trust: Arc::clone(&trust),
        };
        let hosted = Arc::new(std::sync::Mutex::new(Vec::new()));
        let own = Arc::clone(&hosted);
        let repositories = move || own.lock().expect("no panic").clone();
        let spread = Spread::start(
            Arc::clone(&members),
            repositories,
            wire,
            || Role::Peer,
            &self.tasks,
            &self.stopped,
        );
        Agent {
            keys,
            trust,
            members,
            spread,
            hosted,
        }
    }

    /// Gives an agent a repository.
    async fn host(&self, agent: &Agent, name: &str) -> String {
        let path = self.folder.path().join(format!("{name}.fossil"));
        crate::repository::create(&path, None, Some("ada")).expect("created");
        let (events, stopped) = (Arc::new(Events::new()), self.stopped.child_token());
        let hosted =
            Arc::new(Hosted::open(name.to_owned(), path, None, events, stopped).expect("a thread"));
        hosted.writer().look().await.expect("looked at");
        let code = hosted.project_code().expect("a project");
        agent.hosted.lock().expect("no panic").push(hosted);
        code
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Agent {
    fn id(&self) -> EndpointId {
        self.keys.id()
    }

    /// Takes another agent into the mesh, as a pairing does.
    fn vouch(&self, other: &Self) {
        let rights = Rights {
            capabilities: "gio".to_owned(),
            projects: vec![],
        };
        let records = self
            .members
            .vouching(other.id(), other.members.own_name(), &rights)
            .expect("signed");
        self.members.take(&records).expect("kept");
    }

    fn knows(&self, other: &Self) -> bool {
        self.trust.register.knows(&other.id())
    }

    /// Waits until something is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            timeout(PATIENCE, wait).await.is_ok(),
            "{what}: {:#?}",
            self.members.view()
        );
    }
}

fn pair(one: &Agent, other: &Agent) {
    one.vouch(other);
    other.vouch(one);
}

#[tokio::test]
async fn what_two_pairs_have_said_comes_to_all_three_and_a_revocation_too() {
    let lab = Lab::new();
    let agents = [1, 2, 3].map(|seed| lab.start(seed, &lab.hub));
    let [one, two, three] = &agents;
    pair(one, two);
    pair(two, three);
    one.until("one knows three", |it| it.knows(three)).await;
    three.until("three knows one", |it| it.knows(one)).await;
    two.until("all have the same records", |two| {
        let print = two.members.fingerprint();
        agents.iter().all(|it| it.members.fingerprint() == print)
    })
    .await;
    let meshes: Vec<_> = agents
        .iter()
        .map(|agent| agent.members.view().mesh.clone())
        .collect();
    assert!(
        meshes
            .iter()
            .all(|mesh| mesh.is_some() && *mesh == meshes[0]),
        "{meshes:?}"
    );

    one.members.revoke(three.id()).expect("revoked");
    two.until("two has heard it", |it| !it.knows(three)).await;
    let heard = |it: &Agent| {
        let records = it.members.view().revoked[&three.id()].records.clone();
        it.members
            .told(&two.id())
            .is_some_and(|told| told.hello.has_heard(&records))
    };
    one.until("one knows that two has heard it", heard).await;
    // Who was revoked finds no ear for what it says now.
    three.vouch(&lab.start(4, &lab.hub));
    two.spread.greet();
    one.until("one and two agree", |it| {
        it.members.fingerprint() == two.members.fingerprint()
    })
    .await;
    assert_ne!(three.members.fingerprint(), two.members.fingerprint());
}

#[tokio::test]
async fn a_member_tells_what_can_be_cloned_from_it_and_nobody_else_is_told() {
    let lab = Lab::new();
    let [one, two, stranger] = [1, 2, 3].map(|seed| lab.start(seed, &lab.hub));
    let code = lab.host(&one, "notes").await;
    pair(&one, &two);
    let told = |it: &Agent| it.members.told(&one.id()).map(|told| told.repositories);
    two.until("it is told", |it| {
        told(it).is_some_and(|repositories| !repositories.is_empty())
    })
    .await;
    let told = told(&two).expect("told");
    assert_eq!(
        told.iter()
            .map(|it| (
                it.name.as_str(),
                it.project_code.as_str(),
                it.capabilities.as_str()
            ))
            .collect::<Vec<_>>(),
        [("notes", code.as_str(), "gio")]
    );
    // One that knows the other, and is not known by it.
    stranger.vouch(&one);
    let (id, have) = (
        one.id(),
        Ask {
            have: BTreeSet::new(),
        },
    );
    let subject = format!("fossil.members.sync.{id}");
    tokio::time::pause();
    let refused = stranger.spread.ask::<Answer>(&id, &subject, &have).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_stream_brings_two_agents_level() {
    let lab = Lab::new();
    // They share no bus.
    let (one, two, three) = (
        lab.start(1, &Hub::default()),
        lab.start(2, &Hub::default()),
        lab.start(3, &Hub::default()),
    );
    pair(&one, &two);
    pair(&two, &three);
    lab.host(&one, "notes").await;
    let (mut here, mut there) = tokio::io::duplex(1024);
    let (a, b) = tokio::join!(
        one.spread.exchange(two.id(), &mut here),
        two.spread.exchange(one.id(), &mut there)
    );
    a.expect("level");
    b.expect("level");
    assert!(one.knows(&three));
    assert_eq!(one.members.fingerprint(), two.members.fingerprint());
    assert_eq!(
        two.members
            .told(&one.id())
            .expect("told")
            .repositories
            .len(),
        1
    );
    // Nobody else is told anything.
    let stranger = lab.start(9, &Hub::default());
    stranger.vouch(&one);
    let (mut here, mut there) = tokio::io::duplex(1024);
    let given = one.spread.exchange(stranger.id(), &mut here).await;
    drop(here);
    let taken = stranger.spread.exchange(one.id(), &mut there).await;
    assert!(matches!(given, Err(frames::FrameError::Refused)) && taken.is_err());
}

#[tokio::test]
async fn many_records_come_in_several_answers() {
    let lab = Lab::new();
    let (one, two) = (lab.start(1, &Hub::default()), lab.start(2, &Hub::default()));
    pair(&one, &two);
    for seed in 10..40 {
        let other = samples::keys(seed).id();
        let rights = Rights {
            capabilities: "gio".to_owned(),
            projects: vec![],
        };
        let records = one
            .members
            .vouching(other, &DeviceName::of("x"), &rights)
            .expect("signed");
        one.members.take(&records).expect("kept");
    }
    let mut pages = 0;
    loop {
        let answer = one.spread.answer_to(&two.id(), &two.members.have(), 8192);
        assert!(serde_json::to_vec(&answer).expect("JSON").len() <= 8192);
        pages += 1;
        two.members.take(&answer.records).expect("kept");
        if !answer.more {
            break;
        }
    }
    assert!(pages > 2, "{pages}");
    assert_eq!(two.members.view().members.len(), 31);
}
