//! Exchanges between agents on a bus in memory, and with others that answer badly.

mod limited;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgesync_bus::{Bus as _, Headers, Hub, Message, Publish, SharedBus};
use futures_util::FutureExt as _;
use libfossil::db::{Access, Repository, Visibility};
use libfossil::name::HashName;
use libfossil::xfer::client::{Client, Goal, Summary};
use libfossil::xfer::frame::{self, ContentType};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use super::{Accepts, Line};
use crate::api::{Code, Error};
use crate::clock;
use crate::events::Events;
use crate::limits;
use crate::repository::{Hosted, Writer};
use crate::samples::{self, keys, project};
use crate::serve::bus::serve;
use crate::trust::{AcceptUnsigned, EndpointId, HEADER, Register, Trust};
use crate::wire::{CONTENT_TYPE, STATUS, Wire};

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

const SYNC: Goal = Goal {
    pull: true,
    push: true,
    private: false,
    unversioned: true,
    thorough: false,
};

/// Agents on one bus, in one folder.
struct Lab {
    folder: tempfile::TempDir,
    hub: Hub,
    stop: CancellationToken,
}

impl Lab {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            hub: Hub::default(),
            stop: CancellationToken::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn repository(&self, name: &str, texts: &[&str]) -> Repository {
        let mut repository = samples::repository(&self.path(name));
        let stored: libfossil::db::Result<()> = repository.write(clock::now(), |tx| {
            for text in texts {
                tx.store(text.as_bytes(), Visibility::Public)?;
            }
            Ok(())
        });
        stored.expect("stored");
        repository
    }

    fn wire(&self, seed: u8, trusts: &[u8], unsigned: bool) -> Wire {
        let bus: SharedBus = Arc::new(self.hub.join(&format!("agent-{seed}")));
        wire(bus, seed, trusts, unsigned)
    }

    /// Serves a repository on the bus.
    async fn serve(&self, wire: &Wire, name: &str) -> Arc<Hosted> {
        let hosted = Hosted::open(
            name.to_owned(),
            self.path(name),
            None,
            Arc::new(Events::new()),
            self.stop.child_token(),
        );
        let hosted = Arc::new(hosted.expect("a thread"));
        let code = project().to_string();
        let served = serve(wire.clone(), Arc::clone(&hosted), code, self.stop.clone());
        let task = tokio::spawn(served);
        // The subscriptions of a bus in memory stand after its task ran once.
        tokio::task::yield_now().await;
        drop(task);
        hosted
    }

    async fn exchange(&self, wire: &Wire, name: &str, peer: Option<u8>) -> Result<Summary, Error> {
        let writer = Writer::start(name, &self.path(name)).expect("a thread");
        let peer = peer.map(|seed| keys(seed).id().to_string());
        let line = Line::new(wire.clone(), project().to_string(), peer, Accepts::Writers);
        let start = |_: &mut Repository| Ok(Client::new(SYNC, None));
        line.exchange(&writer, start, |_| {}).await
    }

    fn artifacts(&self, name: &str) -> Vec<String> {
        names(&self.path(name))
    }

    /// Answers every request for the project with what `answer` makes of it.
    fn impostor(&self, answer: impl Fn(&Message) -> (Headers, bytes::Bytes) + Send + 'static) {
        let bus = self.hub.join("impostor");
        tokio::spawn(async move {
            let subject = format!("fossil.{}.sync", project());
            let mut requests = bus.subscribe(&subject, None).await.expect("subscribed");
            while let Some(request) = requests.next().await {
                let (headers, payload) = answer(&request);
                let publish = Publish {
                    subject: request.reply.expect("a place for answers"),
                    reply: None,
                    headers,
                    payload,
                };
                bus.publish(publish).await.expect("sent");
            }
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn wire(bus: SharedBus, seed: u8, trusts: &[u8], unsigned: bool) -> Wire {
    let trusts: Vec<EndpointId> = trusts.iter().map(|seed| keys(*seed).id()).collect();
    let unsigned = unsigned.then(|| AcceptUnsigned::Repository(project()));
    Wire {
        bus,
        prefix: "fossil".to_owned(),
        keys: Arc::new(keys(seed)),
        trust: Arc::new(Trust::new(Register::of_run(trusts, unsigned))),
    }
}

fn names(path: &Path) -> Vec<String> {
    let repository = Repository::open(path, Access::ReadOnly).expect("a repository");
    let database = rusqlite::Connection::open(repository.path()).expect("a database");
    let mut query = database
        .prepare("SELECT uuid FROM blob WHERE size>=0 ORDER BY 1")
        .expect("a table");
    let names = query.query_map([], |row| row.get(0)).expect("rows");
    names.collect::<Result<_, _>>().expect("names")
}

/// What a stranger would like to be stored.
fn poison() -> bytes::Bytes {
    let text = b"poison";
    let message = format!("file {} {}\n", HashName::sha3_of(text), text.len());
    let message = [
        message.as_bytes(),
        text,
        b"# timestamp 2026-01-01T00:00:00 errors 0\n",
    ]
    .concat();
    frame::encode(ContentType::Packed, message)
}

#[tokio::test]
async fn two_agents_that_trust_each_other_become_equal() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one", "two"]));
    drop(lab.repository("b", &["three"]));
    let (a, b) = (lab.wire(1, &[2], false), lab.wire(2, &[1], false));
    let _served = lab.serve(&a, "a").await;
    let summary = lab.exchange(&b, "b", Some(1)).await.expect("exchanged");
    assert_eq!(
        (summary.artifacts_received, summary.artifacts_sent > 0),
        (2, true)
    );
    assert_eq!(lab.artifacts("a"), lab.artifacts("b"));
    let again = lab.exchange(&b, "b", None).await.expect("exchanged");
    assert_eq!((again.artifacts_received, again.artifacts_sent), (0, 0));
}

#[tokio::test]
async fn a_request_that_unpacks_to_much_waits_for_room_and_holds_up_no_small_one() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one"]));
    let a = lab.wire(1, &[], false);
    let _served = lab.serve(&a, "a").await;
    let all = crate::memory::everything().await;
    let stranger = lab.hub.join("stranger");
    let ask = |inbox: &'static str, lines: usize| Publish {
        subject: format!("fossil.{}.sync", project()),
        reply: Some(inbox.to_owned()),
        headers: Headers::default(),
        payload: frame::encode(ContentType::Packed, b"# nothing\n".repeat(lines)),
    };
    let mut large = stranger.subscribe("large", None).await.expect("subscribed");
    let mut small = stranger.subscribe("small", None).await.expect("subscribed");
    let request = ask("large", 1_000_000);
    assert!(request.payload.len() < 100_000);
    stranger.publish(request).await.expect("sent");
    stranger.publish(ask("small", 1)).await.expect("sent");
    assert!(small.next().await.is_some());
    assert!(large.next().now_or_never().is_none());
    drop(all);
    assert!(large.next().await.is_some());
}

#[tokio::test]
async fn what_waits_when_a_repository_closes_is_refused() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one"]));
    let a = lab.wire(1, &[], false);
    let served = lab.serve(&a, "a").await;
    let (go, waits) = std::sync::mpsc::channel::<()>();
    // Whatever is asked waits for this work.
    let work = served.writer().run(move |_| waits.recv().is_err());
    let work = async { timeout(PATIENCE, work).await.expect("ended").expect("done") };
    let stranger = lab.hub.join("stranger");
    let mut answers = stranger.subscribe("answers", None).await.expect("heard");
    let asked = limits::BUS_REQUESTS + 3;
    let asks = async {
        for number in 0..asked {
            // Of the project's two subjects, one after the other.
            let own = format!(".{}", keys(1).id());
            let own = if number % 2 == 0 { own.as_str() } else { "" };
            let publish = Publish {
                subject: format!("fossil.{}.sync{own}", project()),
                reply: Some("answers".to_owned()),
                headers: Headers::default(),
                payload: frame::encode(ContentType::Packed, b"# nothing\n".to_vec()),
            };
            stranger.publish(publish).await.expect("sent");
        }
        // Those that have their turn wait for the repository's thread now.
        tokio::task::yield_now().await;
        drop(served.close());
        drop(go);
        for _ in 0..asked {
            let answer = timeout(PATIENCE, answers.next()).await;
            answer.expect("an answer to each").expect("the bus");
        }
    };
    tokio::join!(work, asks);
}

#[tokio::test]
async fn a_stranger_gets_nothing_and_is_told_so() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one"]));
    drop(lab.repository("b", &["two"]));
    let (a, b) = (lab.wire(1, &[], false), lab.wire(2, &[1], false));
    let _served = lab.serve(&a, "a").await;
    let before = (lab.artifacts("a"), lab.artifacts("b"));
    let error = lab.exchange(&b, "b", Some(1)).await.expect_err("refused");
    assert_eq!(error.code, Code::RemoteLogin, "{error}");
    assert!(error.message.contains("not authorized"), "{error}");
    assert_eq!((lab.artifacts("a"), lab.artifacts("b")), before);
}

#[tokio::test]
async fn an_answer_counts_only_when_one_who_may_write_here_signed_it() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one"]));
    drop(lab.repository("b", &["two"]));
    let before = lab.artifacts("b");
    // Who answers gives b everything, but b gives it nothing.
    let (a, b) = (lab.wire(1, &[2], false), lab.wire(2, &[], false));
    let _served = lab.serve(&a, "a").await;
    let error = lab.exchange(&b, "b", None).await.expect_err("refused");
    assert!(error.message.contains("may not write here"), "{error}");
    assert!(error.hint.expect("a hint").contains("--trust"));
    assert_eq!(lab.artifacts("b"), before);
}

/// What somebody makes of a request.
pub(crate) type Answer = fn(&Message) -> (Headers, bytes::Bytes);

/// Answers that must not count, from the agent of seed 1 perhaps, each with what is said of it.
pub(crate) fn bad_answers() -> [(Answer, &'static str); 7] {
    [
        (|_| (Headers::new(), poison()), "is not signed"),
        (|_| (Headers::new(), bytes::Bytes::new()), "is empty"),
        (
            |_| (Headers::new().with(HEADER, "1 2 3"), poison()),
            "malformed",
        ),
        (
            |_| {
                (
                    Headers::new().with(STATUS, "the disk is full"),
                    bytes::Bytes::new(),
                )
            },
            "the disk is full",
        ),
        // The requester's own signature, thrown back.
        (
            |request| {
                let own = request.headers.get(HEADER).expect("signed");
                (Headers::new().with(HEADER, own), poison())
            },
            "signature is wrong",
        ),
        // The trusted agent's signature over another body.
        (
            |request| (answer_of(1, request, b"other".to_vec().into()).0, poison()),
            "signature is wrong",
        ),
        // A stranger's good signature.
        (
            |request| answer_of(9, request, poison()),
            "may not write here",
        ),
    ]
}

#[tokio::test]
async fn bad_answers_store_nothing_and_are_told_apart() {
    for (answer, words) in bad_answers() {
        let lab = Lab::new();
        drop(lab.repository("b", &["two"]));
        let before = lab.artifacts("b");
        lab.impostor(answer);
        tokio::task::yield_now().await;
        let b = lab.wire(2, &[1], false);
        let error = lab.exchange(&b, "b", None).await.expect_err(words);
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(error.retryable, "{words}: others may answer");
        assert_eq!(lab.artifacts("b"), before, "{words}");
    }
}

/// Returns the answer of an agent.
fn answer_of(seed: u8, request: &Message, payload: bytes::Bytes) -> (Headers, bytes::Bytes) {
    let bus: SharedBus = Arc::new(Hub::default().join("nowhere"));
    let envelope = crate::wire::Envelope::new(ContentType::Packed, payload);
    let nonce = request
        .headers
        .get(HEADER)
        .expect("signed")
        .split(' ')
        .nth(6);
    let nonce = crate::text::from_hex(nonce.expect("a nonce")).expect("digits");
    let inbox = request.reply.as_deref().expect("a place for answers");
    let context = crate::trust::Context::Reply;
    let headers = wire(bus, seed, &[], false).headers(context, inbox, None, &nonce, &envelope);
    (headers, envelope.payload)
}

#[tokio::test]
async fn content_that_is_not_what_its_name_says_is_refused_though_signed() {
    let lab = Lab::new();
    drop(lab.repository("b", &["two"]));
    let before = lab.artifacts("b");
    lab.impostor(|request| {
        let message = format!("file {} 6\npoison", HashName::sha3_of(b"something else"));
        answer_of(
            1,
            request,
            frame::encode(ContentType::Packed, message.into_bytes()),
        )
    });
    tokio::task::yield_now().await;
    let b = lab.wire(2, &[1], false);
    let error = lab.exchange(&b, "b", None).await.expect_err("refused");
    assert!(error.message.contains("wrong hash"), "{error}");
    assert_eq!(lab.artifacts("b"), before);
}

#[tokio::test]
async fn a_request_that_was_heard_before_is_not_answered() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one"]));
    drop(lab.repository("b", &["two"]));
    let (a, b) = (lab.wire(1, &[2], false), lab.wire(2, &[1], false));
    let _served = lab.serve(&a, "a").await;
    let spy = lab.hub.join("spy");
    let subject = format!("fossil.{}.sync.*", project());
    let mut heard = spy.subscribe(&subject, None).await.expect("subscribed");
    lab.exchange(&b, "b", Some(1)).await.expect("exchanged");
    let first = heard.next().await.expect("the request was heard");
    let inbox = first.reply.clone().expect("a place for answers");
    let mut answers = spy.subscribe(&inbox, None).await.expect("subscribed");
    let again = Publish {
        subject: first.subject,
        reply: first.reply,
        headers: first.headers,
        payload: first.payload,
    };
    spy.publish(again).await.expect("sent");
    // A good request after it is answered.
    lab.exchange(&b, "b", Some(1)).await.expect("exchanged");
    let silence = std::time::Duration::from_millis(50);
    let answer = tokio::time::timeout(silence, answers.next()).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn another_project_and_a_bus_where_nobody_is_are_told() {
    let lab = Lab::new();
    drop(lab.repository("b", &["two"]));
    let b = lab.wire(2, &[1], false);
    let error = lab.exchange(&b, "b", None).await.expect_err("nobody there");
    assert!(
        error.message.contains("nobody on the bus has the project"),
        "{error}"
    );
    let error = lab.exchange(&b, "b", Some(1)).await.expect_err("not there");
    assert!(error.message.contains("does not listen"), "{error}");

    let mut other = lab.repository("other", &[]);
    other
        .write(clock::now(), |tx| {
            tx.set_config("project-code", &"7".repeat(40))
        })
        .expect("written");
    drop(other);
    // Served under the code of this project by mistake.
    let a = lab.wire(1, &[2], false);
    let _served = lab.serve(&a, "other").await;
    let error = lab.exchange(&b, "b", Some(1)).await.expect_err("foreign");
    assert_eq!(error.code, Code::RemoteAddress, "{error}");
}

#[tokio::test]
async fn a_go_peer_is_served_as_nobody_and_in_full_where_that_is_wished() {
    for (accepts, words) in [
        (false, "error not\\sauthorized\\sto\\sread"),
        (true, "igot "),
    ] {
        let lab = Lab::new();
        drop(lab.repository("a", &["one"]));
        let a = lab.wire(1, &[], accepts);
        let _served = lab.serve(&a, "a").await;
        // A Go agent's request: four bytes of length and a zlib stream, no content type, no signature.
        let bus = lab.hub.join("go");
        let message = format!("pull {} {}\n", "3".repeat(40), project());
        let request = edgesync_bus::Request {
            subject: format!("fossil.{}.sync", project()),
            inbox: bus.new_inbox(),
            headers: Headers::new().with("traceparent", "00-1-2-01"),
            payload: frame::encode(ContentType::Packed, message.into_bytes()),
            timeout: std::time::Duration::from_secs(30),
        };
        let answer = bus.request(request).await.expect("an answer");
        assert_eq!(
            answer.headers.get(CONTENT_TYPE),
            Some("application/x-fossil")
        );
        let message = frame::decode(ContentType::Packed, answer.payload).expect("packed");
        let message = String::from_utf8_lossy(&message).into_owned();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_go_responder_is_heard_where_that_is_wished() {
    let lab = Lab::new();
    drop(lab.repository("b", &["two"]));
    // A Go agent listens without a queue and answers with a body alone.
    lab.impostor(|_| (Headers::new(), poison()));
    tokio::task::yield_now().await;
    let b = lab.wire(2, &[], true);
    lab.exchange(&b, "b", None).await.expect("exchanged");
    assert!(
        lab.artifacts("b")
            .contains(&HashName::sha3_of(b"poison").to_string())
    );
}

#[tokio::test]
async fn who_names_no_content_type_gets_packed_answers_also_to_a_clone() {
    let lab = Lab::new();
    drop(lab.repository("a", &["one"]));
    let a = lab.wire(1, &[], true);
    let _served = lab.serve(&a, "a").await;
    let client = lab.hub.join("client");
    let message = b"pragma client-version 22800 20260101 0\nclone 3 1\n".to_vec();
    let packed = ContentType::Packed;
    for (headers, kind) in [
        (Headers::new(), packed),
        (
            Headers::new().with(CONTENT_TYPE, packed.as_str()),
            ContentType::Plain,
        ),
    ] {
        let request = edgesync_bus::Request {
            subject: format!("fossil.{}.sync", project()),
            inbox: client.new_inbox(),
            headers,
            payload: frame::encode(packed, message.clone()),
            timeout: std::time::Duration::from_secs(20),
        };
        let answer = client.request(request).await.expect("an answer");
        assert_eq!(answer.headers.get(CONTENT_TYPE), Some(kind.as_str()));
        let text = frame::decode(kind, answer.payload).expect("of that kind");
        assert!(text.windows(6).any(|at| at == b"cfile "), "{text:?}");
    }
}
