//! A real agent, and phones that talk to it over HTTP as their page does.

mod door;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::*;
use crate::api::{QuestionState, SendNotify};
use crate::pair::{Claimant, Digits, OfferText};
use crate::{Agent, Config, Headless, Home};

/// Longest wait for something that comes at once; over it the test has failed.
const SOON: Duration = Duration::from_secs(30);

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Starts an agent with a phone that was given this.
    async fn with_phone(wish: AcceptDevice) -> (Self, Agent, Phone) {
        let lab = Self::new();
        let agent = lab.start().await;
        let made = offer(&agent).await;
        let phone = Phone::paired(&agent, &made.url, 2, wish).await;
        (lab, agent, phone)
    }

    async fn start(&self) -> Agent {
        let home = Home::at(self.0.path().join("home")).expect("a home");
        home.create().expect("folders");
        let mut config = Config::new(home.clone());
        config.peer_id = "studio".to_owned();
        config.notify = Some(home.data().join("notify.fossil"));
        Agent::start(config, Arc::new(Headless))
            .await
            .expect("it starts")
    }
}

fn phones(agent: &Agent) -> Arc<Phones> {
    Arc::clone(agent.core().phones.get().expect("phones"))
}

/// Opens pairing on this machine's own address.
async fn offer(agent: &Agent) -> MadeOffer {
    let wish = MakeOffer {
        listen: Some("127.0.0.1".to_owned()),
        public_url: None,
    };
    phones(agent).offer(&wish).await.expect("an offer")
}

fn place(agent: &Agent) -> SocketAddr {
    let door = phones(agent).show().door.expect("a door");
    door.listen.parse().expect("an address")
}

/// A phone: what its page knows.
struct Phone {
    at: SocketAddr,
    id: Party,
    claimant: Claimant,
    session: Option<String>,
}

impl Phone {
    /// Reads the offer from what the QR code holds.
    fn reads(url: &str, seed: u8) -> Self {
        let (base, secret) = url.split_once("/#pair=").expect("an offer");
        let (host, secret) = secret.split_once('.').expect("an offer");
        let offer = OfferText {
            host: host.parse().expect("an id"),
            place: String::new(),
            proof: secret.parse().expect("a secret"),
        };
        let id = Party::from([seed; 32]);
        let name = "Android phone".parse().expect("a name");
        Self {
            at: base
                .trim_start_matches("http://")
                .parse()
                .expect("an address"),
            id,
            claimant: Claimant::new(id, &offer, Purpose::Device, name, [seed; 32])
                .expect("another's"),
            session: None,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        ask(
            self.at,
            &self.at.to_string(),
            method,
            path,
            self.session.as_deref(),
            body,
        )
        .await
    }

    async fn pair(&self, what: &str, mut body: Value) -> (u16, Value) {
        body["id"] = json!(self.id.to_string());
        self.ask("POST", &format!("/phone/v1/pair/{what}"), Some(body))
            .await
    }

    async fn claim(&self) -> (u16, Value) {
        self.pair("claim", json!({ "claim": self.claimant.claim() }))
            .await
    }

    /// Claims and reveals; returns the digits that it shows.
    async fn meet(&mut self) -> Digits {
        let (status, hello) = self.claim().await;
        assert_eq!(status, 200, "{hello}");
        let hello = serde_json::from_value(hello).expect("a hello");
        let reveal = self.claimant.hello(&hello).expect("it knows the secret");
        assert_eq!(
            self.pair("reveal", json!({ "reveal": reveal })).await.0,
            204
        );
        self.claimant.met().expect("met").1
    }

    /// Is paired, and sees these projects.
    async fn paired(agent: &Agent, url: &str, seed: u8, wish: AcceptDevice) -> Self {
        let mut phone = Self::reads(url, seed);
        let digits = phone.meet().await;
        let wish = AcceptDevice {
            digits: Some(digits.to_string()),
            ..wish
        };
        phones(agent)
            .accept(&phone.id, wish)
            .await
            .expect("accepted");
        assert_eq!(phone.pair("wait", json!({})).await.1["state"], "accepted");
        let (status, session) = phone.pair("session", json!({})).await;
        assert_eq!(status, 201, "{session}");
        phone.session = session["session"].as_str().map(str::to_owned);
        assert_eq!(phone.ask("GET", "/phone/v1/session", None).await.0, 200);
        phone
    }
}

async fn connect(at: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

fn request(host: &str, method: &str, path: &str, bearer: Option<&str>, body: &str) -> String {
    let bearer = bearer.map_or_else(String::new, |it| format!("Authorization: Bearer {it}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn ask(
    at: SocketAddr,
    host: &str,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: Option<Value>,
) -> (u16, Value) {
    let body = body.map_or_else(String::new, |body| body.to_string());
    let mut stream = connect(at, &request(host, method, path, bearer, &body)).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head
        .split(' ')
        .nth(1)
        .expect("a status")
        .parse()
        .expect("a number");
    (status, serde_json::from_str(body).unwrap_or(json!(body)))
}

fn may(projects: &[&str], answers: bool) -> AcceptDevice {
    AcceptDevice {
        digits: None,
        name: Some("Ada’s phone".to_owned()),
        projects: Some(projects.iter().map(|it| (*it).to_owned()).collect()),
        answers,
    }
}

async fn asked(agent: &Agent, project: &str) -> crate::api::NotifyMessage {
    let wish = SendNotify {
        project: project.to_owned(),
        body: format!("Deploy {project}?"),
        actions: vec!["Yes".to_owned(), "No".to_owned()],
        ..SendNotify::default()
    };
    agent
        .core()
        .notify()
        .expect("notify")
        .send(wish)
        .await
        .expect("sent")
}

async fn listens(at: SocketAddr) -> bool {
    TcpStream::connect(at).await.is_ok()
}

/// Waits until somebody listens there, or nobody any more.
async fn until(at: SocketAddr, open: bool) {
    let changed = async {
        while listens(at).await != open {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, changed)
        .await
        .expect("it opens or closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_reads_and_answers_what_it_was_given_and_nothing_else() {
    let lab = Lab::new();
    let agent = lab.start().await;
    assert_eq!(phones(&agent).show().door, None, "closed at first");
    let (demo, secret) = (asked(&agent, "demo").await, asked(&agent, "secret").await);
    let made = offer(&agent).await;
    let phone = Phone::paired(&agent, &made.url, 2, may(&["demo"], true)).await;

    let (_, threads) = phone.ask("GET", "/phone/v1/threads", None).await;
    let threads = threads.as_array().expect("threads");
    assert_eq!(threads.len(), 1);
    assert_eq!(threads[0]["project"], "demo");
    let missing = phone
        .ask(
            "GET",
            &format!("/phone/v1/threads/thread-{}", "0".repeat(32)),
            None,
        )
        .await;
    let hidden = phone
        .ask("GET", &format!("/phone/v1/threads/{}", secret.thread), None)
        .await;
    assert_eq!(
        (missing.0, &hidden),
        (404, &missing),
        "not even that it exists"
    );
    let yes = Some(json!({ "action": "yes" }));
    let path = format!("/phone/v1/messages/{}/answer", secret.id);
    assert_eq!(phone.ask("POST", &path, yes.clone()).await.0, 404);
    let forged = Some(json!({ "action": "yes", "from_name": "The boss" }));
    let path = format!("/phone/v1/messages/{}/answer", demo.id);
    assert_eq!(phone.ask("POST", &path, forged).await.0, 400);

    assert_eq!(phone.ask("POST", &path, yes.clone()).await.0, 201);
    let post = agent.core().notify().expect("notify");
    let decided = post
        .answer(demo.id.parse().expect("an id"), SOON)
        .await
        .expect("decided");
    let Some(QuestionState::Resolved(resolved)) = decided.question else {
        panic!("not decided: {decided:?}")
    };
    assert_eq!(resolved.by_name.as_deref(), Some("Ada’s phone"));
    assert_eq!(resolved.by.as_deref(), Some(agent.endpoint_id()));
    assert_eq!(phone.ask("POST", &path, yes.clone()).await.0, 409, "once");
    let open = post
        .message(secret.id.parse().expect("an id"))
        .await
        .expect("a message");
    assert_eq!(open.question, Some(QuestionState::Open));

    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_desktop_is_not_behind_the_phones_door() {
    let (_lab, agent, phone) = Lab::with_phone(may(&["demo"], true)).await;
    asked(&agent, "demo").await;
    let session = phone.session.as_deref();
    // The keys are not each other's.
    let token = agent.runtime().token.clone();
    for path in [
        "/api/v1/status",
        "/api/v1/events",
        "/api/v1/repositories",
        "/api/v1/devices",
        "/api/v1/notify/threads",
        "/notify/demo",
        "/notify/xfer",
        "/xfer",
        "/index.html",
        "/r/notify/timeline",
        "/phone/v1/../../api/v1/status",
        "/phone/v1/%2e%2e/api/v1/status",
    ] {
        for bearer in [session, Some(&token)] {
            let (status, _) = get(phone.at, &phone.at.to_string(), path, bearer).await;
            assert_eq!(status, 404, "{path}");
        }
    }
    let threads = "/phone/v1/threads";
    for bearer in [None, Some(token.as_str()), Some("")] {
        let (status, _) = get(phone.at, &phone.at.to_string(), threads, bearer).await;
        assert_eq!(status, 401);
    }
    let api = agent.runtime().api.trim_start_matches("http://").to_owned();
    let at: SocketAddr = api.parse().expect("an address");
    assert_eq!(get(at, &api, "/api/v1/status", session).await.0, 401);
    for host in ["evil.example", "localhost", &api] {
        assert_eq!(get(phone.at, host, threads, session).await.0, 403, "{host}");
    }
    let claim = request(
        &phone.at.to_string(),
        "POST",
        "/phone/v1/pair/claim",
        None,
        "{}",
    );
    for (line, code) in [
        ("Origin: http://evil.example", 403),
        ("Content-Length: 2", 400),
        ("Transfer-Encoding: chunked", 400),
    ] {
        let bad = claim.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
        let mut answer = String::new();
        let mut stream = connect(phone.at, &bad).await;
        stream.read_to_string(&mut answer).await.expect("an answer");
        let expected = format!("HTTP/1.1 {code}");
        assert!(answer.starts_with(&expected), "{line}: {answer}");
    }
    agent.stop().await;
}

async fn get(at: SocketAddr, host: &str, path: &str, bearer: Option<&str>) -> (u16, Value) {
    ask(at, host, "GET", path, bearer, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_may_only_read_does_not_answer() {
    let (_lab, agent, phone) = Lab::with_phone(may(&["demo"], false)).await;
    let demo = asked(&agent, "demo").await;
    let path = format!("/phone/v1/messages/{}/answer", demo.id);
    assert_eq!(
        phone
            .ask("POST", &path, Some(json!({ "action": "yes" })))
            .await
            .0,
        403
    );
    assert_eq!(
        phone.ask("GET", "/phone/v1/threads", None).await.1[0]["waiting"]["id"],
        demo.id
    );
    agent.stop().await;
}

/// Lets a pairing go wrong.
async fn goes_wrong(case: &str, agent: &Agent, url: &str) {
    let mut phone = Phone::reads(url, 2);
    match case {
        "five wrong tries" => {
            let wrong = format!("{}0000", &url[..url.len() - 4]);
            for seed in 3..8 {
                assert_eq!(Phone::reads(&wrong, seed).claim().await.0, 403);
            }
        }
        "two phones" => {
            phone.meet().await;
            assert_eq!(Phone::reads(url, 3).claim().await.0, 403);
        }
        "another nonce" => {
            phone.claim().await;
            let reveal = json!({ "nonce": "00".repeat(32), "name": "x" });
            assert_eq!(
                phone.pair("reveal", json!({ "reveal": reveal })).await.0,
                403
            );
        }
        "refused here before the digits" => {
            phone.claim().await;
            phones(agent)
                .refuse(&phone.id, Why::Differ)
                .await
                .expect("refused");
        }
        "refused here" => {
            phone.meet().await;
            phones(agent)
                .refuse(&phone.id, Why::Differ)
                .await
                .expect("refused");
        }
        "refused there" => {
            phone.meet().await;
            assert_eq!(phone.pair("refuse", json!({ "differ": true })).await.0, 204);
        }
        "withdrawn" => {
            phone.meet().await;
            phones(agent).withdraw().await.expect("withdrawn");
        }
        "digits differ" => {
            let digits = phone.meet().await.to_string();
            let wrong = if digits == "000000" {
                "000001"
            } else {
                "000000"
            };
            let wish = AcceptDevice {
                digits: Some(wrong.to_owned()),
                ..may(&["demo"], true)
            };
            let error = phones(agent)
                .accept(&phone.id, wish)
                .await
                .expect_err("refused");
            assert_eq!(error.code, Code::Conflict);
        }
        "took its session unasked" => {
            phone.meet().await;
            assert_eq!(phone.pair("session", json!({})).await.0, 403);
        }
        _ => {
            phone.meet().await;
            phones(agent)
                .accept(&phone.id, may(&["demo"], true))
                .await
                .expect("accepted");
            assert_eq!(phone.pair("session", json!({})).await.0, 201);
            // It never comes back; five minutes later that is given up.
            phones(agent)
                .refuse(&phone.id, Why::Late)
                .await
                .expect("given up");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_leaves_nothing_behind() {
    let lab = Lab::new();
    let agent = lab.start().await;
    let here = phones(&agent);
    for case in [
        "five wrong tries",
        "two phones",
        "another nonce",
        "refused here before the digits",
        "refused here",
        "refused there",
        "withdrawn",
        "digits differ",
        "took its session unasked",
        "took its session and went",
    ] {
        let made = offer(&agent).await;
        let at = place(&agent);
        goes_wrong(case, &agent, &made.url).await;
        let shown = here.show();
        let ended = |it: &crate::api::PendingDevice| it.state == crate::api::PendingState::Ended;
        assert!(
            shown.devices.is_empty() && shown.offer.is_none(),
            "{case}: {shown:?}"
        );
        assert!(shown.pending.iter().all(ended), "{case}: {shown:?}");
        until(at, false).await;
        assert!(
            offers(&agent.core().state).expect("read").is_empty(),
            "{case}"
        );
        assert!(
            device::devices(&agent.core().state)
                .expect("read")
                .is_empty(),
            "{case}"
        );
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_lost_on_the_way_does_not_count_after_a_start() {
    let lab = Lab::new();
    let agent = lab.start().await;
    let made = offer(&agent).await;
    let mut phone = Phone::reads(&made.url, 9);
    phone.meet().await;
    phones(&agent)
        .accept(&phone.id, may(&["demo"], true))
        .await
        .expect("accepted");
    let (_, session) = phone.pair("session", json!({})).await;
    agent.stop().await;
    let agent = lab.start().await;
    let token = session["session"].as_str().expect("a session");
    let error = phones(&agent).admit(token).await.expect_err("refused");
    assert_eq!(error.code, Code::Unauthorized);
    assert_eq!(phones(&agent).show().door, None);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paired_phone_finds_the_page_again_after_a_start_until_it_is_revoked() {
    let (lab, agent, phone) = Lab::with_phone(may(&["demo"], true)).await;
    let at = place(&agent);
    agent.stop().await;
    assert!(!listens(at).await);

    let agent = lab.start().await;
    until(at, true).await;
    // A second phone of the same name gets a name of its own.
    let made = offer(&agent).await;
    Phone::paired(&agent, &made.url, 3, may(&["demo"], true)).await;
    let names: Vec<String> = phones(&agent)
        .show()
        .devices
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["Ada’s phone", "Ada’s phone 2"]);

    let request = request(
        &at.to_string(),
        "GET",
        "/phone/v1/events",
        phone.session.as_deref(),
        "",
    );
    let mut lines = BufReader::new(connect(at, &request).await).lines();
    let session = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            if line.contains("\"event\":\"session\"") {
                return;
            }
        }
        panic!("no session");
    };
    tokio::time::timeout(SOON, session)
        .await
        .expect("it begins");
    assert!(phones(&agent).show().devices[0].connected);
    phones(&agent).revoke(&phone.id).await.expect("revoked");
    let ended = async {
        let mut last = String::new();
        while let Some(line) = lines.next_line().await.expect("a line") {
            last = if line.starts_with('{') { line } else { last };
        }
        last
    };
    let last = tokio::time::timeout(SOON, ended).await;
    assert_eq!(last.expect("it ends at once"), r#"{"event":"gone"}"#);
    assert_eq!(phone.ask("GET", "/phone/v1/threads", None).await.0, 401);
    phones(&agent)
        .revoke(&Party::from([3; 32]))
        .await
        .expect("revoked");
    until(at, false).await;
    agent.stop().await;
    let agent = lab.start().await;
    assert_eq!(phones(&agent).show().devices, []);
    agent.stop().await;
}
