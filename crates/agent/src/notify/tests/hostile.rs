//! What does not count as an answer leaves a question waiting, and a flood becomes one notice: real messages on a bus, to a real agent.

use edgesync_bus::{Connection, Login, Nats, Publish};
use edgesync_notify::message::{Action, Fields, Kind, Message, Resolution, Source};
use edgesync_notify::name::{Project, ThreadId};
use edgesync_notify::sign::Signer;
use edgesync_notify::subject;
use natsd::Server;

use super::super::vouch;
use super::*;
use crate::api::Priority;
use crate::clock;
use crate::members::{Record, Roll, Statement, View};

/// Returns an answer to a question by one of its actions, in the name of `from`.
fn answer(asked: &NotifyMessage, from: &Identity, seed: u8) -> Fields {
    let project = Project::parse(&asked.project).expect("a project");
    let thread: ThreadId = asked.thread.parse().expect("an id");
    let id = MessageId::from_bytes([seed; 16]);
    let mut fields = Fields::new(id, thread, project, clock::now(), "yes");
    fields.from = from.endpoint_id().to_owned();
    fields.kind = Kind::Answer;
    fields.action_response = true;
    fields.reply_to = Some(asked.id.parse().expect("an id"));
    fields
}

async fn publish(bus: &SharedBus, message: &Message) {
    let subject = subject::of_thread(&message.project, &message.thread);
    let publish = Publish::new(subject, message.to_wire().into_bytes());
    bus.publish(publish).await.expect("published");
}

fn signed(fields: &Fields, signer: &Signer) -> Message {
    Message::signed(fields, signer).expect("a message")
}

/// Waits until the agent has refused so many messages.
async fn refuses(agent: &Agent, count: u64) {
    let refused = async {
        while agent.post.status().await.expect("a status").refused < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, refused)
        .await
        .expect("it is refused");
}

/// Returns answers that do not count, and why.
fn that_do_not_count(
    asked: &NotifyMessage,
    other: &NotifyMessage,
    [ci, ada, eve]: [&Identity; 3],
) -> Vec<(&'static str, Message)> {
    let (by_ada, by_eve, by_ci) = (vouch::signer(ada), vouch::signer(eve), vouch::signer(ci));

    let unsigned = Message::unsigned(&answer(asked, ada, 1)).expect("a message");
    let stranger = signed(&answer(asked, eve, 2), &by_eve);
    let impostor = signed(&answer(asked, ada, 3), &by_eve);
    let mut fields = answer(asked, ada, 4);
    fields.project = Project::parse("other").expect("a project");
    let other_project = signed(&fields, &by_ada);
    let mut fields = answer(asked, ada, 5);
    fields.body = "delete_everything".to_owned();
    let not_offered = signed(&fields, &by_ada);
    let mut fields = answer(asked, ada, 6);
    fields.thread = other.thread.parse().expect("an id");
    let other_thread = signed(&fields, &by_ada);
    // With the asker's own key, which it did not use.
    let itself = signed(&answer(asked, ci, 7), &by_ci);
    let mut fields = answer(asked, ada, 8);
    fields.kind = Kind::Resolution;
    fields.resolution = Some(Resolution {
        source: Source::Answer,
        answer: Some(id(asked)),
        by: String::new(),
        by_name: String::new(),
    });
    let decides = signed(&fields, &by_ada);
    let text = signed(&answer(asked, ada, 9), &by_ada).to_wire();
    let changed =
        Message::read(text.replace("\"yes\"", "\"no\"").as_bytes()).expect("the form is good");
    vec![
        ("unsigned", unsigned),
        ("by a stranger", stranger),
        ("in another's name", impostor),
        ("of another project", other_project),
        ("not offered", not_offered),
        ("of another thread", other_thread),
        ("by the asker's key", itself),
        ("a decision by somebody else", decides),
        ("changed on the way", changed),
    ]
}

#[tokio::test]
async fn ask_keeps_waiting_on_every_kind_of_answer_that_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ci, ada, eve) = (
        identity(&folder, "ci"),
        identity(&folder, "ada"),
        identity(&folder, "eve"),
    );
    let asker = start(&folder, "ci", &[&ada]).await;
    let bus = joined(&asker).await;
    let asked = asker.post.send(question()).await.expect("sent");
    let other = asker.post.send(question()).await.expect("sent");
    let kinds = that_do_not_count(&asked, &other, [&ci, &ada, &eve]);
    let by_ada = vouch::signer(&ada);
    let mut refused = 0;
    for (what, message) in &kinds {
        publish(&bus, message).await;
        refused += 1;
        refuses(&asker, refused).await;
        let waits = asker
            .post
            .answer(id(&asked), Duration::ZERO)
            .await
            .expect("a question");
        assert_eq!(waits.question, Some(QuestionState::Open), "{what}");
    }
    // One that counts is the answer; the next one comes too late and changes nothing.
    let good = signed(&answer(&asked, &ada, 10), &by_ada);
    publish(&bus, &good).await;
    let decided = asker.post.answer(id(&asked), SOON).await.expect("decided");
    assert_eq!(resolved(&decided).message, Some(good.id.to_string()));
    asker.stop().await;
}

/// What `asker` says of who may do what: these letters, in these projects or, without any, everywhere.
fn vouched(asker: &Identity, whom: &[(&Identity, &str, &[&str])]) -> View {
    let member = |(who, letters, projects): &(&Identity, &str, &[&str])| {
        let says = Statement::Vouch {
            member: who.endpoint_id().parse().expect("an id"),
            name: "somebody".parse().expect("a name"),
            capabilities: (*letters).to_owned(),
            projects: projects.iter().map(|&code| code.to_owned()).collect(),
            at: 1,
        };
        Record::sign(asker.keys(), says).expect("signed")
    };
    let me = asker.endpoint_id().parse().expect("an id");
    Roll::new(me, whom.iter().map(member)).view()
}

/// Brings the asker onto a bus, and returns it as others there have it.
async fn joined(asker: &Agent) -> SharedBus {
    let hub = Hub::default();
    asker.join(&hub, "ci").await;
    Arc::new(hub.join("everybody"))
}

/// An asker, and those that its mesh vouches for, on one bus.
pub(super) struct Company {
    pub(super) asker: Agent,
    pub(super) bus: SharedBus,
    /// May write in the asker's repository.
    pub(super) ada: Identity,
    /// May write in another.
    pub(super) eve: Identity,
    /// May only read.
    pub(super) bob: Identity,
}

impl Company {
    pub(super) async fn of(folder: &tempfile::TempDir) -> Self {
        let [ci, ada, eve, bob] = ["ci", "ada", "eve", "bob"].map(|name| identity(folder, name));
        let trust = Arc::new(Trust::new(Register::of_run([], [])));
        let asker = start_with(folder, "ci", Arc::clone(&trust)).await;
        let here = asker.hosted.project_code().expect("a code");
        let elsewhere = "ab".repeat(20);
        trust.register.set_members(vouched(
            &ci,
            &[
                (&ada, "gio", &[here.as_str()]),
                (&eve, "gio", &[elsewhere.as_str()]),
                (&bob, "go", &[]),
            ],
        ));
        let bus = joined(&asker).await;
        Self {
            asker,
            bus,
            ada,
            eve,
            bob,
        }
    }
}

#[tokio::test]
async fn rights_in_another_project_or_to_read_are_none_to_say_something_here() {
    let folder = tempfile::tempdir().expect("a folder");
    let Company {
        asker,
        bus,
        ada,
        eve,
        bob,
    } = Company::of(&folder).await;
    let asked = asker.post.send(question()).await.expect("sent");
    let mut refused = 0;
    for (seed, who) in [(1, &eve), (3, &bob)] {
        let mut says = answer(&asked, who, seed);
        says.kind = Kind::Message;
        says.action_response = false;
        for fields in [answer(&asked, who, seed + 1), says] {
            publish(&bus, &signed(&fields, &vouch::signer(who))).await;
            refused += 1;
            refuses(&asker, refused).await;
        }
    }
    let status = asker.post.status().await.expect("a status");
    assert_eq!(
        (status.messages, status.waiting, status.answering),
        (1, 1, 1),
        "nothing of theirs is stored"
    );
    // Who may write in this repository alone is heard.
    let good = signed(&answer(&asked, &ada, 9), &vouch::signer(&ada));
    publish(&bus, &good).await;
    let decided = asker.post.answer(id(&asked), SOON).await.expect("decided");
    assert_eq!(resolved(&decided).message, Some(good.id.to_string()));
    asker.stop().await;
}

#[tokio::test]
async fn a_second_answer_and_one_after_the_end_are_kept_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let ada = identity(&folder, "ada");
    let asker = start(&folder, "ci", &[&ada]).await;
    let bus = joined(&asker).await;
    let by_ada = vouch::signer(&ada);
    let asked = asker.post.send(question()).await.expect("sent");
    publish(&bus, &signed(&answer(&asked, &ada, 10), &by_ada)).await;
    let decided = asker.post.answer(id(&asked), SOON).await.expect("decided");
    let mut fields = answer(&asked, &ada, 11);
    fields.body = "no".to_owned();
    let second = signed(&fields, &by_ada);
    publish(&bus, &second).await;
    let stored = async {
        while asker.post.message(second.id).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, stored)
        .await
        .expect("it is kept");
    assert!(asker.post.message(second.id).await.expect("a message").late);
    let still = asker.post.message(id(&asked)).await.expect("a question");
    assert_eq!(resolved(&still), resolved(&decided));

    // After the end, by the asker's clock; what the answer's own clock says is nothing.
    let wish = SendNotify {
        expires_in_ms: Some(1),
        ..question()
    };
    let short = asker.post.send(wish).await.expect("sent");
    let expired = asker.post.answer(id(&short), SOON).await.expect("decided");
    assert_eq!(resolved(&expired).source, AnswerSource::Expired);
    let mut fields = answer(&short, &ada, 12);
    fields.timestamp = libfossil::time::Timestamp::from_unix_millis(0);
    publish(&bus, &signed(&fields, &by_ada)).await;
    let late = async {
        while !asker
            .post
            .message(MessageId::from_bytes([12; 16]))
            .await
            .is_ok_and(|it| it.late)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, late)
        .await
        .expect("it is kept, as late");
    let still = asker.post.message(id(&short)).await.expect("a question");
    assert_eq!(resolved(&still), resolved(&expired));
    asker.stop().await;
}

/// Joins a server as a client of this name.
async fn client(server: &Server, name: &str) -> SharedBus {
    let address = server.addresses().clients.expect("a port");
    let connection = Connection {
        urls: vec![format!("nats://{address}")],
        login: Login::None,
        tls: None,
        name: name.to_owned(),
    };
    Arc::new(Nats::connect(&connection).await.expect("connected"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_of_one_sender_become_one_notice_and_what_is_urgent_passes() {
    const FLOOD: u32 = 10_000;
    let folder = tempfile::tempdir().expect("a folder");
    let noisy = identity(&folder, "noisy");
    let person = start(&folder, "ada", &[&noisy]).await;
    let options = natsd::Options {
        listeners: natsd::Listeners {
            clients: Some(([127, 0, 0, 1], 0).into()),
            ..natsd::Listeners::default()
        },
        ..natsd::Options::default()
    };
    let server = Server::start(options).await.expect("a server");
    let hears = client(&server, "ada").await;
    person.post.attach(Arc::clone(&hears)).await;
    let bus = client(&server, "noisy").await;
    let signer = vouch::signer(&noisy);
    let mut events = person.events.listen();
    let began = std::time::Instant::now();
    let counted = tokio::spawn(async move {
        let (mut shown, mut notices) = (0_u32, 0_u32);
        loop {
            match events.recv().await {
                Ok(event) => match &*event {
                    Event::Message {
                        message,
                        show: true,
                    } if message.priority == Priority::Urgent => {
                        return (shown, notices);
                    }
                    Event::Message { show: true, .. } => shown += 1,
                    Event::Folded { .. } => notices += 1,
                    _ => {}
                },
                Err(error) => panic!("events are missed: {error}"),
            }
        }
    });
    let message = |number: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let project = Project::parse("demo").expect("a project");
        let mut fields = Fields::new(
            MessageId::from_bytes(bytes),
            ThreadId::from_bytes(bytes),
            project,
            clock::now(),
            "again",
        );
        fields.from = noisy.endpoint_id().to_owned();
        fields
    };
    // Signed before, so that they come as fast as the server takes them.
    let flood: Vec<Message> = (0..FLOOD)
        .map(|number| signed(&message(number), &signer))
        .collect();
    for message in &flood {
        publish(&bus, message).await;
    }
    let mut urgent = message(FLOOD);
    urgent.priority = Some(edgesync_notify::message::Priority::Urgent);
    urgent.kind = Kind::Question;
    urgent.actions = vec![Action::labelled("Stop it").expect("an action")];
    publish(&bus, &signed(&urgent, &signer)).await;
    let counted = tokio::time::timeout(SOON * 6, counted).await;
    let (shown, notices) = counted.expect("the urgent one is shown").expect("counted");
    // Usually one stretch of a minute; on a machine that takes longer, as many as it took.
    let minutes = u32::try_from(began.elapsed().as_secs() / 60).expect("not for ever") + 1;
    assert!(shown <= 30 * minutes, "{shown} shown in {minutes} min");
    // One at once, one each five seconds, and one at the end of each minute.
    let most = 13 * minutes + 1;
    assert!((1..=most).contains(&notices), "{notices} notices");
    let status = person.post.status().await.expect("a status");
    assert!(status.messages <= u64::from(31 * minutes), "{status:?}");
    // The urgent one came last, so every other was looked at before it.
    assert_eq!((hears.lost(), status.refused), (0, 0));
    person.stop().await;
}
