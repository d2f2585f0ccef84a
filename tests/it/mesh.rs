//! Real agents on each other's buses: what stock `fossil` commits in one is soon in the others, whatever way leads there.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::workspace;

/// Long enough for any machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A folder with the homes of some agents that trust each other, each with a copy of one repository.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) ids: Vec<String>,
}

/// A running agent.
pub(crate) struct Agent {
    process: Child,
    ready: Value,
    repository: PathBuf,
    home: PathBuf,
}

impl Place {
    pub(crate) fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut place = Self {
            folder,
            ids: Vec::new(),
        };
        let first = place.repository(0);
        for number in 0..count {
            std::fs::create_dir(place.home(number)).expect("a home");
            let id = run(place.edgesync(number).arg("id"));
            place.ids.push(id.trim().to_owned());
            if number == 0 {
                run(place
                    .fossil()
                    .args(["new", "--admin-user", "ada"])
                    .arg(&first));
            } else {
                std::fs::copy(&first, place.repository(number)).expect("copied");
            }
        }
        place
    }

    pub(crate) fn home(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("home-{number}"))
    }

    pub(crate) fn repository(&self, number: usize) -> PathBuf {
        self.home(number).join("project.fossil")
    }

    pub(crate) fn edgesync(&self, number: usize) -> Command {
        let mut command = Command::new(workspace::built("edgesync"));
        command
            .env("EDGESYNC_HOME", self.home(number))
            .env_remove("XDG_RUNTIME_DIR");
        command
    }

    pub(crate) fn fossil(&self) -> Command {
        let mut command = Command::new("fossil");
        command
            .env("FOSSIL_HOME", self.folder.path())
            .env("USER", "ada")
            .current_dir(self.folder.path());
        command
    }

    /// Starts an agent that trusts all others and hears of changes by the bus alone.
    pub(crate) fn start(&self, number: usize, flags: &[&str]) -> Agent {
        self.start_as(&["sync", "start"], number, flags)
    }

    /// Starts an agent by this command.
    pub(crate) fn start_as(&self, verbs: &[&str], number: usize, flags: &[&str]) -> Agent {
        self.start_by(self.edgesync(number), verbs, number, flags)
    }

    /// Starts an agent by this command, whose program and environment are those of `command`.
    pub(crate) fn start_by(
        &self,
        mut command: Command,
        verbs: &[&str],
        number: usize,
        flags: &[&str],
    ) -> Agent {
        command
            .args(verbs)
            .args(["--json", "--poll", "1h", "-R"])
            .arg(self.repository(number))
            .args(flags);
        for (_, id) in self
            .ids
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number)
        {
            command.args(["--trust", id]);
        }
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("edgesync starts");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let events = lines
            .map_while(Result::ok)
            .map(|line| -> Value { serde_json::from_str(&line).expect("JSON") });
        let ready = events
            .into_iter()
            .find(|event| event["event"] == "ready")
            .expect("it gets ready");
        Agent {
            process,
            ready,
            repository: self.repository(number),
            home: self.home(number),
        }
    }

    /// Commits a file with stock Fossil.
    pub(crate) fn commit(&self, number: usize, name: &str) {
        self.commit_bytes(number, name, name.as_bytes());
    }

    /// Commits a file of this many bytes that cannot be packed smaller.
    pub(crate) fn commit_large(&self, number: usize, name: &str, count: usize) {
        let mut state = name.len() as u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        self.commit_bytes(number, name, &noise.take(count).collect::<Vec<u8>>());
    }

    /// Commits a file with these bytes, as [`Place::commit`] does.
    pub(crate) fn commit_bytes(&self, number: usize, name: &str, content: &[u8]) {
        let checkout = self.folder.path().join(format!("checkout-{number}"));
        let fossil = |arguments: &[&str]| {
            run(self.fossil().current_dir(&checkout).args(arguments));
        };
        if !checkout.exists() {
            std::fs::create_dir(&checkout).expect("a folder");
            let repository = self.repository(number);
            fossil(&["open", "--force", repository.to_str().expect("a path")]);
        }
        std::fs::write(checkout.join(name), content).expect("written");
        fossil(&["add", name]);
        fossil(&["commit", "-m", name, "--no-warnings", "--allow-fork"]);
    }
}

impl Agent {
    pub(crate) fn address(&self, name: &str) -> &str {
        self.ready[name].as_str().expect(name)
    }

    pub(crate) fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method, path, body);
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Returns the error with which the API refuses a request.
    pub(crate) fn refused(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = String::from_utf8(self.ask(method, path, Some(body))).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(!head.starts_with("HTTP/1.1 20"), "{answer}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["error"].clone()
    }

    /// Returns the bytes at a path of the API, `None` while there are none.
    pub(crate) fn fetch(&self, path: &str) -> Option<Vec<u8>> {
        let answer = self.ask("GET", path, None);
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
        let (head, body) = answer.split_at(end + 4);
        head.starts_with(b"HTTP/1.1 200").then(|| body.to_vec())
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Vec<u8> {
        let host = self.address("api").trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("connected");
        let body = body.map(Value::to_string).unwrap_or_default();
        let token = self.address("token");
        let mut request = format!("{method} /api/v1/{path} HTTP/1.1\r\nHost: {host}\r\n");
        write!(
            request,
            "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("text");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        answer
    }

    /// Ends the agent as a terminal does, and waits until it has ended.
    pub(crate) fn stop(mut self) {
        let id = self.process.id().to_string();
        run(Command::new("kill").args(["-s", "INT", &id]));
        self.process.wait().expect("it ends");
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn mesh(&self) -> Value {
        self.api("GET", "mesh", None)
    }

    /// The token that clients of the agent's bus show, from its runtime file.
    pub(crate) fn bus_token(&self) -> String {
        let file = self.home.join("runtime.json");
        let runtime = std::fs::read_to_string(file).expect("the runtime file");
        let runtime: Value = serde_json::from_str(&runtime).expect("JSON");
        runtime["nats_token"].as_str().expect("a token").to_owned()
    }

    /// Returns how many pulls brought something that became known this way.
    pub(crate) fn found_by(&self, way: &str) -> u64 {
        let count = &self.mesh()["counters"]["found_by"][way];
        count.as_u64().expect("a count")
    }

    /// Waits until the agent has learnt of `count` changes; announcements told it of all of them.
    pub(crate) fn was_announced(&self, count: u64) {
        let found = || {
            let mesh = self.mesh();
            let found = &mesh["counters"]["found_by"];
            ["announcement", "hello", "poll"].map(|way| found[way].as_u64().expect("a count"))
        };
        // Counted a moment after it is stored.
        wait(|| found().iter().sum::<u64>() >= count);
        assert_eq!(found(), [count, 0, 0]);
    }

    /// Waits until the agent hears `count` others that have its repository.
    pub(crate) fn meets(&self, count: usize) {
        let shares = |peer: &Value| peer["repositories"] == json!(["project"]);
        wait(|| {
            let mesh = self.mesh();
            let peers = mesh["peers"].as_array().expect("peers");
            peers.iter().filter(|peer| shares(peer)).count() == count
        });
    }

    pub(crate) fn holds(&self, comment: &str) -> bool {
        let text = run(Command::new("fossil")
            .args(["timeline", "-t", "ci", "-n", "0", "-R"])
            .arg(&self.repository)
            .env("FOSSIL_HOME", parent(&self.repository))
            .env("USER", "ada"));
        text.contains(comment)
    }

    pub(crate) fn receives(&self, comment: &str) {
        wait(|| self.holds(comment));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("a folder")
}

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn wait(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "it does not come to pass");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stock_commit_reaches_the_end_of_a_row_of_agents() {
    let place = Place::new(3);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address("leaf")]);
    let third = place.start(
        2,
        &["--nats-role", "leaf", "--join", second.address("leaf")],
    );
    first.meets(2);
    third.meets(2);
    place.commit(0, "from-the-first");
    third.receives("from-the-first");
    second.receives("from-the-first");
    third.was_announced(1);
    place.commit(2, "from-the-third");
    first.receives("from-the-third");
    assert_eq!(first.mesh()["counters"]["refused"], 0);
}

#[test]
fn agents_joined_by_routes_are_one_cluster() {
    let place = Place::new(3);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address("route")]);
    second.meets(1);
    place.commit(0, "from-the-first");
    second.receives("from-the-first");
    // The third knows of the first alone, which tells the second of it.
    let third = place.start(2, &["--nats-role", "hub", "--join", first.address("route")]);
    for agent in [&first, &second, &third] {
        agent.meets(2);
        wait(|| {
            let mesh = agent.mesh();
            let peers = mesh["peers"].as_array().expect("peers");
            peers.iter().all(|peer| peer["link"] == "route")
        });
    }
    let clusters = [&first, &second, &third].map(|agent| agent.mesh()["cluster"].clone());
    assert!(
        clusters.iter().all(|name| *name == clusters[0]),
        "{clusters:?}"
    );
    place.commit(2, "from-the-third");
    second.receives("from-the-third");
    first.receives("from-the-third");
    place.commit(1, "from-the-second");
    third.receives("from-the-second");
    assert_eq!(second.mesh()["joins"][0]["state"]["kind"], "connected");
    assert_eq!(second.mesh()["joins"][0]["peer"], json!(place.ids[0]));
    assert_eq!(first.mesh()["counters"]["refused"], 0);
}

#[test]
fn two_that_join_each_other_have_one_route() {
    let place = Place::new(2);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address("route")]);
    let back = json!({ "url": second.address("route") });
    first.api("POST", "mesh/joins", Some(&back));
    for agent in [&first, &second] {
        agent.meets(1);
        wait(|| agent.mesh()["joins"][0]["state"]["kind"] == "connected");
    }
    place.commit(0, "from-the-first");
    second.receives("from-the-first");
}

#[test]
fn an_agent_that_is_not_trusted_gets_no_link() {
    let place = Place::new(2);
    let first = place.start(0, &[]);
    for address in [first.address("leaf"), first.address("route")] {
        let strangers = Place::new(1);
        let flags = ["--join", address, "--trust", &place.ids[0]];
        let stranger = strangers.start(0, &flags);
        let id = strangers.ids[0].clone();
        wait(|| stranger.mesh()["joins"][0]["state"]["kind"] == "error");
        let state = stranger.mesh()["joins"][0]["state"].clone();
        let message = state["message"].to_string();
        assert!(message.contains("did not accept"), "{message}");
        let hint = format!("Trust this agent there: --trust {id}");
        assert_eq!(state["hint"], json!(hint));
        assert_eq!(first.mesh()["peers"], json!([]));
        // Trusted from now on, it is let in at its next try.
        first.api("POST", "mesh/trusted", Some(&json!({ "endpoint_id": id })));
        wait(|| stranger.mesh()["joins"][0]["state"]["kind"] == "connected");
        first.api("DELETE", &format!("mesh/trusted/{id}"), None);
        wait(|| stranger.mesh()["joins"][0]["state"]["kind"] != "connected");
    }
}

#[test]
fn a_route_is_made_to_an_agent_that_is_trusted_and_to_no_other() {
    let place = Place::new(1);
    let strangers = Place::new(1);
    let first = place.start(0, &["--trust", &strangers.ids[0]]);
    let stranger = strangers.start(0, &["--join", first.address("route")]);
    wait(|| stranger.mesh()["joins"][0]["state"]["kind"] == "error");
    let state = stranger.mesh()["joins"][0]["state"].clone();
    let id = &place.ids[0];
    let hint = format!("If you know that agent, trust it: --trust {id}");
    assert_eq!(state["hint"], json!(hint), "{state}");
    assert_eq!(first.mesh()["peers"], json!([]));
    stranger.api("POST", "mesh/trusted", Some(&json!({ "endpoint_id": id })));
    wait(|| stranger.mesh()["joins"][0]["state"]["kind"] == "connected");
}

#[test]
fn an_identity_that_two_agents_have_is_told_by_all_who_notice() {
    let place = Place::new(3);
    let key = |number| place.home(number).join("identity.key");
    std::fs::copy(key(1), key(2)).expect("copied");
    let id = place.ids[1].as_str();
    let hub = place.start(0, &["--nats-role", "hub"]);
    let flags = ["--join", hub.address("leaf")];
    let (one, twin) = (place.start(1, &flags), place.start(2, &flags));
    // Whom both join.
    wait(|| {
        let mesh = hub.mesh();
        let mut peers = mesh["peers"].as_array().expect("peers").iter();
        peers.any(|it| it["endpoint_id"] == id && it["error"]["code"] == "conflict")
    });
    let found = hub.api("GET", "doctor", None);
    let mut checks = found["checks"].as_array().expect("checks").iter();
    let told = checks.find(|it| it["name"] == "identity");
    assert_eq!(
        told.map(|it| &it["verdict"]),
        Some(&json!("fail")),
        "{found}"
    );
    twin.stop();
    // One that joins the other, and the other.
    for kind in ["route", "leaf"] {
        let twin = place.start(2, &["--join", one.address(kind)]);
        wait(|| twin.mesh()["joins"][0]["state"]["code"] == "conflict");
        // What it says names both, by whom they say they are and by what each start of a server is called.
        let said = twin.mesh()["joins"][0]["state"]["message"].to_string();
        assert!(
            said.contains(id) && said.contains(": the servers N"),
            "{said}"
        );
        if kind == "leaf" {
            // Over a route the one that dials notices before it says who it is.
            let own = |agent: &Agent| {
                let mesh = agent.mesh();
                let mut peers = mesh["peers"].as_array().expect("peers").iter();
                peers.find(|it| it["endpoint_id"] == id).cloned()
            };
            wait(|| own(&one).is_some());
            let shown = own(&one).expect("its own identity")["state"].clone();
            assert_eq!(shown["code"], "conflict", "{shown}");
            let said = shown["message"].as_str().expect("a message");
            assert!(
                said.contains(id) && said.contains("wanted a link"),
                "{said}"
            );
            let hint = shown["hint"].as_str().expect("a hint");
            assert!(hint.contains("EDGESYNC_HOME"), "{hint}");
            let found = one.api("GET", "doctor", None);
            let mut checks = found["checks"].as_array().expect("checks").iter();
            let told = checks.find(|it| it["name"] == "identity");
            let verdict = told.map(|it| &it["verdict"]);
            assert_eq!(verdict, Some(&json!("fail")), "{found}");
            let listed = run(place.edgesync(1).arg("peers"));
            assert!(listed.contains("identity"), "{listed}");
        }
        twin.stop();
    }
}

#[test]
fn a_role_changes_while_commits_flow() {
    let place = Place::new(3);
    let hub = place.start(0, &["--nats-role", "hub"]);
    let changing = place.start(1, &["--join", hub.address("leaf")]);
    let other = place.start(2, &["--join", hub.address("leaf")]);
    hub.meets(2);
    for (number, role) in ["leaf", "hub", "leaf", "peer"].into_iter().enumerate() {
        let mesh = changing.api("PUT", "mesh/role", Some(&json!({ "role": role })));
        assert_eq!(
            (&mesh["role"], &mesh["role_from"]),
            (&json!(role), &json!("app"))
        );
        let listens = mesh["addresses"].as_array().expect("addresses").len();
        assert_eq!(listens, if role == "leaf" { 1 } else { 3 });
        let comment = format!("commit-{number}");
        place.commit(2, &comment);
        hub.receives(&comment);
        if role != "hub" {
            changing.receives(&comment);
        }
    }
    changing.receives("commit-1");
    assert!(other.holds("commit-3"));
}

#[test]
fn what_can_be_cloned_from_others_is_listed_and_rights_can_be_taken() {
    let place = Place::new(2);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address("leaf")]);
    second.meets(1);
    let list = || {
        let text = run(place.edgesync(1).args(["peers", "--repos", "--json"]));
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    wait(|| !list().as_array().expect("a list").is_empty());
    let listed = list();
    assert_eq!(listed[0]["endpoint_id"], json!(place.ids[0]));
    let repository = &listed[0]["repositories"][0];
    assert_eq!(
        [&repository["name"], &repository["here"]],
        [&json!("project"), &json!(true)]
    );
    assert_eq!(
        repository["project_code"].as_str().map(str::len),
        Some(40),
        "{listed}"
    );

    let id = "5f".repeat(32);
    first.api("POST", "mesh/trusted", Some(&json!({ "endpoint_id": id })));
    let unpair = || {
        place
            .edgesync(0)
            .args(["unpair", &id])
            .output()
            .expect("it runs")
    };
    assert!(unpair().status.success());
    let trusted = first.api("GET", "mesh/trusted", None).to_string();
    assert!(!trusted.contains(&id), "{trusted}");
    let again = unpair();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("no agent of that id"));
}
