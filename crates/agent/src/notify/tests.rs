//! Two agents' notify on a bus in memory, each with its own repository and keys.

mod go;
mod hostile;
mod presence;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use edgesync_bus::{Hub, Publish, SharedBus};
use edgesync_notify::name::MessageId;
use edgesync_notify::store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Post, Setting, create};
use crate::api::{
    AnswerSource, Code, Event, MessageKind, NotifyMessage, QuestionState, ReplyNotify, Resolved,
    SendNotify, Sender,
};
use crate::events::Events;
use crate::home::Home;
use crate::identity::Identity;
use crate::repository::Hosted;
use crate::state::StateDb;
use crate::trust::{Register, Trust};

/// Longest wait for something that comes at once; over it the test has failed.
const SOON: Duration = Duration::from_secs(20);

/// An agent, as far as notify sees one.
struct Agent {
    post: Arc<Post>,
    events: Arc<Events>,
    stopped: CancellationToken,
    tasks: TaskTracker,
    hosted: Arc<Hosted>,
    identity: Identity,
}

fn identity(folder: &tempfile::TempDir, name: &str) -> Identity {
    let home = Home::at(folder.path().join(name)).expect("a home");
    home.create().expect("folders");
    Identity::of(&home).expect("an identity")
}

fn file(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name).join("notify.fossil")
}

/// Starts the agent `name`, which trusts the others.
async fn start(folder: &tempfile::TempDir, name: &str, trusts: &[&Identity]) -> Agent {
    let ids = trusts
        .iter()
        .map(|it| it.endpoint_id().parse().expect("an id"));
    let trust = Trust::new(Register::of_run(ids, []));
    start_with(folder, name, Arc::new(trust)).await
}

/// Starts the agent `name`, which trusts as `trust` says.
async fn start_with(folder: &tempfile::TempDir, name: &str, trust: Arc<Trust>) -> Agent {
    let identity = identity(folder, name);
    let path = file(folder, name);
    if !path.exists() {
        drop(create(&path, None).expect("a repository"));
    }
    let (events, stopped) = (Arc::new(Events::new()), CancellationToken::new());
    let hosted = Hosted::open(
        name.to_owned(),
        path,
        None,
        Arc::clone(&events),
        stopped.clone(),
    );
    let hosted = Arc::new(hosted.expect("a thread"));
    let (state, _) = StateDb::open(&folder.path().join(name).join("agent.db")).expect("a database");
    let tasks = TaskTracker::new();
    let post = Post::open(Setting {
        hosted: Arc::clone(&hosted),
        events: Arc::clone(&events),
        state: Arc::new(state),
        trust,
        identity: identity.clone(),
        name: name.to_owned(),
        tasks: tasks.clone(),
        farewells: TaskTracker::new(),
        stopped: stopped.clone(),
    });
    Agent {
        post: post.await.expect("an office"),
        events,
        stopped,
        tasks,
        hosted,
        identity,
    }
}

/// Starts an asker and a person who trust each other.
async fn two(folder: &tempfile::TempDir) -> (Agent, Agent) {
    let (ci, ada) = (identity(folder, "ci"), identity(folder, "ada"));
    (
        start(folder, "ci", &[&ada]).await,
        start(folder, "ada", &[&ci]).await,
    )
}

/// Brings them together on a bus.
async fn on_a_bus(asker: &Agent, person: &Agent) {
    let hub = Hub::default();
    asker.join(&hub, "ci").await;
    person.join(&hub, "ada").await;
}

impl Agent {
    /// Joins the bus, and returns when it hears.
    async fn join(&self, hub: &Hub, name: &str) -> SharedBus {
        let bus: SharedBus = Arc::new(hub.join(name));
        self.post.attach(Arc::clone(&bus)).await;
        assert!(self.post.status().await.expect("a status").bus);
        bus
    }

    /// Returns the first event that `wanted` takes, among those since `events` listens.
    async fn event<T>(
        events: &mut tokio::sync::broadcast::Receiver<Arc<Event>>,
        wanted: impl Fn(&Event) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let event = events.recv().await.expect("an event");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, found)
            .await
            .expect("the event comes")
    }

    async fn stop(self) {
        self.stopped.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let thread = self.hosted.close().expect("a thread");
        drop((self.post, self.hosted));
        tokio::task::spawn_blocking(move || thread.join())
            .await
            .expect("joined")
            .expect("ended");
    }
}

fn question() -> SendNotify {
    SendNotify {
        project: "demo".to_owned(),
        body: "Deploy?".to_owned(),
        actions: vec!["Yes".to_owned(), "No".to_owned()],
        ..SendNotify::default()
    }
}

fn action(name: &str) -> ReplyNotify {
    ReplyNotify {
        action: Some(name.to_owned()),
        ..ReplyNotify::default()
    }
}

fn id(message: &NotifyMessage) -> MessageId {
    message.id.parse().expect("an id")
}

fn resolved(message: &NotifyMessage) -> &Resolved {
    match &message.question {
        Some(QuestionState::Resolved(resolved)) => resolved,
        other => panic!("not decided: {other:?}"),
    }
}

fn shown(event: &Event) -> Option<NotifyMessage> {
    match event {
        Event::Message {
            message,
            show: true,
        } => Some((**message).clone()),
        _ => None,
    }
}

#[tokio::test]
async fn a_question_asked_on_one_agent_is_answered_on_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (asker, person) = two(&folder).await;
    on_a_bus(&asker, &person).await;
    let mut events = person.events.listen();

    let asked = asker.post.send(question()).await.expect("sent");
    assert_eq!(
        (asked.kind, &asked.question),
        (MessageKind::Question, &Some(QuestionState::Open))
    );
    let seen = Agent::event(&mut events, shown).await;
    assert_eq!(
        (seen.body.as_str(), seen.sender),
        ("Deploy?", Sender::Trusted)
    );
    let threads = person.post.threads(None).await.expect("threads");
    assert_eq!(
        threads[0].waiting.as_ref().map(|it| &it.id),
        Some(&asked.id)
    );

    let waiting = asker.post.answer(id(&asked), SOON);
    let answered = person.post.reply(asked.thread.clone(), action("Yes"));
    let (decided, answered) = tokio::join!(waiting, answered);
    let (decided, answered) = (decided.expect("decided"), answered.expect("sent"));
    let told = resolved(&decided);
    assert_eq!(
        (told.source, told.answer.as_deref()),
        (AnswerSource::Answer, Some("yes"))
    );
    assert_eq!(told.label.as_deref(), Some("Yes"));
    assert_eq!(told.message.as_ref(), Some(&answered.id));
    assert_eq!(told.by.as_deref(), Some(person.identity.endpoint_id()));
    assert_eq!(decided.delivered_to, [person.identity.endpoint_id()]);

    // The one who answered hears that it won, and can't answer again.
    let fate = Agent::event(&mut events, |event| match event {
        Event::Question { message } => Some((**message).clone()),
        _ => None,
    });
    assert_eq!(resolved(&fate.await), told);
    let again = person.post.reply(
        asked.thread.clone(),
        ReplyNotify {
            to: Some(asked.id.clone()),
            ..action("no")
        },
    );
    assert_eq!(again.await.expect_err("refused").code, Code::Conflict);
    let there = person
        .post
        .conversation(asked.thread.clone())
        .await
        .expect("a thread");
    let here = asker
        .post
        .conversation(asked.thread.clone())
        .await
        .expect("a thread");
    let bodies = |it: &crate::api::NotifyConversation| -> Vec<String> {
        it.messages.iter().map(|it| it.body.clone()).collect()
    };
    assert_eq!(bodies(&there), ["Deploy?", "yes", "yes"]);
    assert_eq!(bodies(&there), bodies(&here));
    // The same check-ins on both, so that replication has nothing to do.
    let here = asker.post.trace(id(&asked)).await.expect("a trace");
    let there = person.post.trace(id(&asked)).await.expect("a trace");
    assert_eq!(here.check_in, there.check_in);
    asker.stop().await;
    person.stop().await;
}

#[tokio::test]
async fn what_the_bus_lost_comes_with_the_repository_and_an_asker_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ci, ada) = (identity(&folder, "ci"), identity(&folder, "ada"));
    let asker = start(&folder, "ci", &[&ada]).await;
    let asked = asker.post.send(question()).await.expect("sent");
    asker.stop().await;

    // Replication, by the shortest way: the same file.
    std::fs::create_dir_all(file(&folder, "ada").parent().expect("a folder")).expect("a folder");
    std::fs::copy(file(&folder, "ci"), file(&folder, "ada")).expect("copied");
    let person = start(&folder, "ada", &[&ci]).await;
    person
        .post
        .reply(asked.thread.clone(), action("no"))
        .await
        .expect("sent");
    let seen = person.post.message(id(&asked)).await.expect("a message");
    assert_eq!(
        seen.question,
        Some(QuestionState::Sent {
            answer: "no".to_owned()
        })
    );
    person.stop().await;
    std::fs::copy(file(&folder, "ada"), file(&folder, "ci")).expect("copied");

    let asker = start(&folder, "ci", &[&ada]).await;
    let decided = asker.post.answer(id(&asked), SOON).await.expect("decided");
    assert_eq!(resolved(&decided).answer.as_deref(), Some("no"));
    asker.stop().await;
}

/// Brings a message from one repository into the other, as replication does: nobody says anything of it on the bus.
async fn replicate(from: &Agent, id: MessageId, to: &Agent) {
    let read = from.hosted.write(move |repo| {
        let store = Store::read(repo).expect("read");
        store.message(repo, &id).expect("a message")
    });
    let message = read.await.expect("read");
    let written = to.hosted.write(move |repo| {
        let mut store = Store::read(repo).expect("read");
        store.add(repo, &[message], crate::clock::now())
    });
    written.await.expect("written").expect("stored");
    to.post.look().await.expect("looked");
}

/// Returns who is known to have a message, as soon as anybody is.
async fn delivered(agent: &Agent, id: MessageId) -> Vec<String> {
    let mut turn = agent.post.turn.subscribe();
    let found = async {
        loop {
            let message = agent.post.message(id).await.expect("a message");
            if !message.delivered_to.is_empty() {
                return message.delivered_to;
            }
            turn.changed().await.expect("a turn");
        }
    };
    tokio::time::timeout(SOON, found).await.expect("delivered")
}

#[tokio::test]
async fn an_asker_learns_who_got_its_question_by_replication() {
    let folder = tempfile::tempdir().expect("a folder");
    let (asker, person) = two(&folder).await;
    // Nobody hears it.
    let asked = asker.post.send(question()).await.expect("sent");
    on_a_bus(&asker, &person).await;
    replicate(&asker, id(&asked), &person).await;
    assert_eq!(
        delivered(&asker, id(&asked)).await,
        [person.identity.endpoint_id()]
    );
    asker.stop().await;
    person.stop().await;
}

#[tokio::test]
async fn an_asker_that_is_started_anew_knows_who_has_its_question() {
    let folder = tempfile::tempdir().expect("a folder");
    let (asker, person) = two(&folder).await;
    on_a_bus(&asker, &person).await;
    let ada = person.identity.clone();
    let asked = asker.post.send(question()).await.expect("sent");
    assert_eq!(delivered(&asker, id(&asked)).await, [ada.endpoint_id()]);
    person.stop().await;
    asker.stop().await;

    let asker = start(&folder, "ci", &[&ada]).await;
    let waiting = asker.post.message(id(&asked)).await.expect("a message");
    assert_eq!(waiting.delivered_to, [ada.endpoint_id()]);
    asker.stop().await;
}

#[tokio::test]
async fn who_replies_to_a_question_had_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (asker, person) = two(&folder).await;
    let asked = asker.post.send(question()).await.expect("sent");
    replicate(&asker, id(&asked), &person).await;
    let reply = person.post.reply(asked.thread.clone(), action("yes"));
    let reply = reply.await.expect("sent");
    replicate(&person, id(&reply), &asker).await;
    assert_eq!(
        delivered(&asker, id(&asked)).await,
        [person.identity.endpoint_id()]
    );
    asker.stop().await;
    person.stop().await;
}

#[tokio::test]
async fn strangers_are_counted_and_not_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let asker = start(&folder, "ci", &[]).await;
    let hub = Hub::default();
    asker.join(&hub, "ci").await;
    let stranger = start(&folder, "eve", &[&asker.identity]).await;
    let bus = stranger.join(&hub, "eve").await;
    let asked = asker.post.send(question()).await.expect("sent");
    let heard = async {
        while stranger.post.message(id(&asked)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, heard)
        .await
        .expect("the stranger hears it");
    stranger
        .post
        .reply(asked.thread.clone(), action("yes"))
        .await
        .expect("sent");
    for junk in ["{}", "\u{0}", "{\"v\":1,\"id\":\"../../x\"}"] {
        bus.publish(Publish::new("notify.demo.00000000", junk))
            .await
            .expect("sent");
    }
    let refused = async {
        while asker.post.status().await.expect("a status").refused < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, refused)
        .await
        .expect("all four are refused");
    let status = asker.post.status().await.expect("a status");
    assert_eq!(
        (status.messages, status.waiting),
        (1, 1),
        "ask keeps waiting"
    );
    asker.stop().await;
    stranger.stop().await;
}

#[tokio::test]
async fn silence_is_decided_by_the_agents_clock() {
    let folder = tempfile::tempdir().expect("a folder");
    let asker = start(&folder, "ci", &[]).await;
    let wish = SendNotify {
        expires_in_ms: Some(50),
        default: Some("No".to_owned()),
        ..question()
    };
    let asked = asker.post.send(wish).await.expect("sent");
    let decided = asker.post.answer(id(&asked), SOON).await.expect("decided");
    let told = resolved(&decided);
    assert_eq!(
        (told.source, told.answer.as_deref()),
        (AnswerSource::Default, Some("no"))
    );
    let open = asker.post.send(question()).await.expect("sent");
    let taken = asker.post.cancel(id(&open)).await.expect("taken back");
    assert_eq!(resolved(&taken).source, AnswerSource::Cancelled);
    asker.stop().await;
}

#[tokio::test]
async fn a_thread_that_was_put_away_comes_back_with_its_next_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = start(&folder, "ci", &[]).await;
    let sent = agent.post.send(question()).await.expect("sent");
    assert!(
        agent
            .post
            .set_done(sent.thread.clone(), true)
            .await
            .expect("done")
            .done
    );
    assert!(agent.post.threads(None).await.expect("threads")[0].done);
    agent
        .post
        .reply(sent.thread.clone(), action("yes"))
        .await
        .expect("sent");
    assert!(!agent.post.threads(None).await.expect("threads")[0].done);
    agent.stop().await;
}

#[tokio::test]
async fn wishes_that_contradict_themselves_are_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = start(&folder, "ci", &[]).await;
    let at_once = SendNotify {
        expires_in_ms: Some(0),
        ..question()
    };
    let told_not_asked = SendNotify {
        kind: Some(MessageKind::Message),
        ..question()
    };
    for (wish, says) in [
        (at_once, "expires at once"),
        (told_not_asked, "a message (kind) has no actions"),
    ] {
        let error = agent.post.send(wish).await.expect_err(says);
        assert_eq!(error.code, Code::BadRequest, "{says}");
        assert!(error.message.contains(says) && error.hint.is_some());
    }
    let kinds = [None, Some(MessageKind::Question)];
    for kind in kinds {
        let wish = SendNotify { kind, ..question() };
        let sent = agent.post.send(wish).await.expect("sent");
        assert_eq!(sent.kind, MessageKind::Question);
    }
    agent.stop().await;
}
