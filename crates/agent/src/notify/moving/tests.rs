//! Real agents of two meshes that meet.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::api::SendNotify;
use crate::{Agent, Config, Headless, Home, Identity};

use super::*;

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

struct Lab(tempfile::TempDir);

fn code(digit: char) -> ProjectCode {
    let text: String = std::iter::repeat_n(digit, 40).collect();
    ProjectCode::parse(text.as_bytes()).expect("a code")
}

/// The mesh of agents whose repositories of messages have the code of this digit.
fn mesh(digit: char) -> Mesh {
    let id: String = std::iter::repeat_n(digit, 32).collect();
    Mesh {
        id: id.parse().expect("an id"),
        project: code(digit),
    }
}

impl Lab {
    fn home(&self, name: &str) -> Home {
        let home = Home::at(self.0.path().join(name)).expect("a home");
        home.create().expect("folders");
        home
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home(name).data().join("notify.fossil")
    }

    fn id(&self, name: &str) -> crate::EndpointId {
        let identity = Identity::of(&self.home(name)).expect("an identity");
        identity.endpoint_id().parse().expect("an id")
    }

    /// Starts an agent of the mesh of this digit, which trusts all others and joins at these addresses.
    async fn start(&self, name: &str, digit: char, joins: &[&Agent]) -> Agent {
        let path = self.file(name);
        if !path.exists() {
            drop(create(&path, Some(code(digit))).expect("a repository"));
        }
        let mut config = Config::new(self.home(name));
        config.peer_id = name.to_owned();
        config.notify = Some(path);
        let others = ["ada", "ben", "eva"].into_iter().filter(|it| *it != name);
        config.trust = others.map(|it| self.id(it)).collect();
        let leaf = |agent: &&Agent| agent.runtime().leaf.clone().expect("a port");
        let joins = joins.iter().map(leaf);
        config.mesh.joins = joins.map(|url| url.parse().expect("an address")).collect();
        Agent::start(config, Arc::new(Headless))
            .await
            .expect("it starts")
    }
}

/// Lets an agent of the one mesh meet the other. Returns whether it gives way.
async fn meets(agent: &Agent, from: char, to: char) -> bool {
    let post = agent.core().notify().expect("notify");
    let met = meet(agent.core(), &post, mesh(from).id, mesh(to)).await;
    met.expect("asked")
}

async fn say(agent: &Agent, body: &str) {
    let post = agent.core().notify().expect("notify");
    let wish = SendNotify {
        project: "demo".to_owned(),
        body: body.to_owned(),
        ..SendNotify::default()
    };
    post.send(wish).await.expect("sent");
}

/// What has been said, as an agent has it, in the order of the alphabet; `None` while its file is in other hands.
async fn said(agent: &Agent) -> Option<(String, Vec<String>)> {
    let post = agent.core().notify().expect("notify");
    let threads = post.threads(None).await.ok()?;
    let mut bodies: Vec<String> = threads.into_iter().map(|it| it.last_body).collect();
    bodies.sort_unstable();
    Some((post.status().await.ok()?.project_code?, bodies))
}

async fn ends_with(agent: &Agent, digit: char, bodies: &[&str]) {
    let wanted = (
        code(digit).to_string(),
        bodies.iter().map(|it| (*it).to_owned()).collect(),
    );
    let end = Instant::now() + PATIENCE;
    loop {
        let now = said(agent).await;
        if now.as_ref() == Some(&wanted) {
            return;
        }
        assert!(
            Instant::now() < end,
            "{now:?} is not {wanted:?}: {:#?}",
            agent.mesh()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_meshes_share_one_repository_and_who_was_away_follows_with_what_it_said() {
    let lab = Lab(tempfile::tempdir().expect("a folder"));
    // Eva, of Ada's mesh, says something where nobody hears it.
    let eva = lab.start("eva", '2', &[]).await;
    say(&eva, "from eva").await;
    eva.stop().await;
    let ben = lab.start("ben", '1', &[]).await;
    say(&ben, "from ben").await;
    let ada = lab.start("ada", '2', &[]).await;
    say(&ada, "from ada").await;
    ada.stop().await;

    let ada = lab.start("ada", '2', &[&ben]).await;
    assert!(!meets(&ben, '1', '2').await, "the lower one stays");
    assert!(meets(&ada, '2', '1').await);
    for agent in [&ada, &ben] {
        ends_with(agent, '1', &["from ada", "from ben"]).await;
    }

    let eva = lab.start("eva", '2', &[&ada]).await;
    for agent in [&eva, &ada, &ben] {
        ends_with(agent, '1', &["from ada", "from ben", "from eva"]).await;
    }
    // What is said from now on reaches all, and lasts.
    say(&eva, "later").await;
    let all = ["from ada", "from ben", "from eva", "later"];
    ends_with(&ben, '1', &all).await;
    for agent in [eva, ada, ben] {
        agent.stop().await;
    }
    for name in ["eva", "ada", "ben"] {
        let agent = lab.start(name, '1', &[]).await;
        ends_with(&agent, '1', &all).await;
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_cut_off_is_done_at_the_next_start() {
    let lab = Lab(tempfile::tempdir().expect("a folder"));
    let ada = lab.start("ada", '2', &[]).await;
    say(&ada, "from ada").await;
    ada.stop().await;
    // Stopped when the record was written, and nothing else.
    let identity = Identity::of(&lab.home("ada")).expect("an identity");
    let moved = Moved::signed(
        &mesh('2'),
        &mesh('1'),
        identity.endpoint_id(),
        clock::now(),
        &vouch::signer(&identity),
    );
    let mut repo = open(&lab.file("ada")).expect("the repository");
    Store::add_move(&mut repo, &moved.expect("a record"), clock::now()).expect("stored");
    drop(repo);
    let ada = lab.start("ada", '2', &[]).await;
    ends_with(&ada, '1', &["from ada"]).await;
    ada.stop().await;
}
