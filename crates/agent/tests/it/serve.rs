//! Stock `fossil` as a client of the agent, and strangers who are no Fossil at all.

use std::time::Duration;

use std::net::SocketAddr;
use std::path::Path;

use edgesync_agent::api::{Event, Level};
use edgesync_agent::{Agent, Config};
use serde_json::{Value, json};

use crate::support::{Place, call, event, raw, repository_event, start, status};

fn serving(place: &Place) -> Config {
    let mut config = place.config();
    config.serve_http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config
}

fn address(agent: &Agent) -> &str {
    agent.runtime().http.as_deref().expect("it serves")
}

/// Returns the names of the artifacts with content.
fn artifacts(place: &Place, name: &str) -> Vec<String> {
    edgesync_tests::artifacts(&place.path(&format!("{name}.fossil")))
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clones_commits_and_pushes_with_the_password_of_a_created_repository() {
    let place = Place::new();
    let agent = start(serving(&place)).await;
    let ours = place.path("ours.fossil");
    let wish = json!({ "path": ours, "user": "ada" });
    let (code, created) = call(&agent, "POST", "/repositories/create", wish).await;
    assert_eq!(code, 201);
    let password = created["password"].as_str().expect("a password");
    let host = address(&agent).trim_start_matches("http://");
    assert_eq!(
        created["repository"]["clone_url"],
        json!(format!("http://{host}/ours"))
    );

    let theirs = place.path("theirs.fossil");
    let url = format!("http://ada:{password}@{host}/ours");
    place.fossil(
        &place.path(""),
        ["clone", "--save-http-password", &url, text(&theirs)],
    );
    place.check_in(&theirs, "a.txt", "a\n");
    place.fossil(&place.path(""), ["push", &url, "-R", text(&theirs)]);
    let mut events = agent.subscribe();
    repository_event(&mut events, |shown| shown.check_ins == 2).await;
    assert_eq!(artifacts(&place, "ours"), artifacts(&place, "theirs"));
    agent.stop().await;
    let integrity = place.fossil(&place.path(""), ["test-integrity", text(&ours)]);
    assert!(integrity.contains(" 0 errors"), "{integrity}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_an_answer_is_in_the_log() {
    let place = Place::new();
    let mut config = serving(&place);
    let ours = place.repository("ours.fossil");
    config.repositories.push(ours.clone());
    let agent = start(config).await;
    let mut events = agent.subscribe();
    std::fs::remove_file(&ours).expect("removed");
    let copy = place.path("copy.fossil");
    let ran = std::process::Command::new("fossil")
        .envs([("HOME", place.path("")), ("USER", "ada".into())])
        .args(["clone", address(&agent), text(&copy)])
        .output()
        .expect("fossil runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("503"), "{said}");
    let logged = event(&mut events, |event| match event {
        Event::Log { level, message, .. } if message.contains("no answer") => {
            Some((*level, message.clone()))
        }
        _ => None,
    })
    .await;
    assert_eq!(logged.0, Level::Error);
    assert!(logged.1.contains("does not exist"), "{logged:?}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_repositories_are_told_apart_by_name_and_by_project_code() {
    let place = Place::new();
    let mut config = serving(&place);
    config.repositories = vec![
        place.repository("one.fossil"),
        place.repository("two.fossil"),
        place.repository("three words.fossil"),
    ];
    let agent = start(config).await;
    let base = address(&agent).to_owned();
    let shown = agent.status().repositories;
    let two = shown.iter().find(|shown| shown.name == "two");
    let code = two
        .and_then(|two| two.project_code.clone())
        .expect("a code");
    for (path, name) in [
        ("one", "c1"),
        (&*code, "c2"),
        ("one/any/path", "c3"),
        ("three-words", "c4"),
        ("three%20words", "c5"),
    ] {
        let file = place.path(&format!("{name}.fossil"));
        place.fossil(
            &place.path(""),
            ["clone", &format!("{base}/{path}"), text(&file)],
        );
    }
    let of = |name| artifacts(&place, name);
    assert_eq!(
        (of("c1"), of("c2"), of("c3")),
        (of("one"), of("two"), of("one"))
    );
    assert_eq!(of("c4"), of("three words"));
    assert_eq!(of("c5"), of("three words"));

    let host = address(&agent).trim_start_matches("http://").to_owned();
    let long = format!("/{}", "a".repeat(8192));
    for path in [
        "/",
        "/three",
        "/%2e%2e/",
        "/%00",
        "/..%5c",
        "/%252e%252e/",
        "/%ff",
        &long,
    ] {
        let answer = raw(&host, format!("POST {path} HTTP/1.0\r\nContent-Type: application/x-fossil\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(status(&answer), 404, "{path}");
    }
    agent.stop().await;
}

#[tokio::test]
async fn replies_suit_old_clients_and_browsers_get_a_few_words() {
    let place = Place::new();
    let mut config = serving(&place);
    config.repositories.push(place.repository("one.fossil"));
    let agent = start(config).await;
    let base = address(&agent).to_owned();
    let message = "pragma client-version 22100 20230223 150000\nclone 3 1\n";
    let request = format!(
        "POST /xfer HTTP/1.0\r\nHost: x\r\nContent-Type: application/x-fossil-debug\r\nContent-Length: {}\r\n\r\n{message}",
        message.len()
    );
    let answer = raw(&base, request).await;
    let head = answer.split("\r\n\r\n").next().expect("a head");
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(
        head.contains("\r\nContent-Type: application/x-fossil"),
        "{head}"
    );
    assert!(
        head.contains("\r\nContent-Length: ")
            && !head.to_ascii_lowercase().contains("transfer-encoding"),
        "{head}"
    );
    assert!(answer.contains("push "), "{answer}");
    // Old clients understand neither chunks nor packed bodies, whatever they offer.
    let modern = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\nContent-Type: application/x-fossil-debug\r\nContent-Length: {}\r\n\r\n{message}",
        message.len()
    );
    let answer = raw(&base, modern).await.to_ascii_lowercase();
    let head = answer.split("\r\n\r\n").next().expect("a head");
    assert!(head.contains("\r\ncontent-length: "), "{head}");
    assert!(
        !head.contains("transfer-encoding") && !head.contains("content-encoding"),
        "{head}"
    );
    // Nothing at all is a message of nothing.
    let empty =
        "POST / HTTP/1.0\r\nContent-Type: application/x-fossil\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(status(&raw(&base, empty).await), 200);

    let page = raw(
        &base,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        status(&page) == 200 && page.contains("fossil clone") && page.contains("nosniff"),
        "{page}"
    );
    let health = raw(
        &base,
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        status(&health) == 200 && health.ends_with("{\"status\":\"ok\"}\n"),
        "{health}"
    );
    agent.stop().await;
}

#[tokio::test]
async fn bad_requests_store_nothing_and_the_next_one_is_answered() {
    let place = Place::new();
    let repository = place.repository("one.fossil");
    let before = artifacts(&place, "one");
    let mut config = serving(&place);
    config.repositories.push(repository);
    let agent = start(config).await;
    let base = address(&agent).to_owned();
    let post = |lines: &str, body: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-fossil\r\n{lines}\r\n{body}"
        )
    };
    for (request, expected) in [
        (
            post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
            400,
        ),
        // With a proxy in front, what one side takes for a body may be a request to the other.
        (
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            400,
        ),
        (
            post(
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                "0\r\n\r\n",
            ),
            400,
        ),
        (
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            400,
        ),
        (post("Content-Length: -1\r\n", ""), 400),
        (post("Content-Length: 99999999999999999999\r\n", ""), 400),
        (post("Content-Length: 99999999999\r\n", ""), 413),
        (post("Transfer-Encoding: chunked\r\n", "zz\r\n"), 400),
        (
            post("Content-Length: 12\r\n", "\u{1}\u{2}\u{3}\u{4}whatever"),
            400,
        ),
        (
            post("Content-Length: 8\r\n", "\u{7f}\u{7f}\u{7f}\u{7f}abcd"),
            400,
        ),
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
                .to_owned(),
            400,
        ),
    ] {
        let answer = raw(&base, &request).await;
        assert_eq!(status(&answer), expected, "{request} {answer}");
    }
    // A body that is cut off is answered by nobody, and costs nothing.
    raw_cut(&base, &post("Content-Length: 5000\r\n", "half")).await;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    let answer = raw_lenient(&base, &head).await;
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");

    assert_eq!(
        status(&raw(&base, "GET /healthz HTTP/1.0\r\n\r\n").await),
        200
    );
    assert_eq!(artifacts(&place, "one"), before);
    let (code, _) = call(&agent, "GET", "/status", Value::Null).await;
    assert_eq!(code, 200);
    agent.stop().await;
}

#[tokio::test]
async fn a_second_request_on_a_connection_is_refused_as_the_first_and_none_follows_chunks() {
    let place = Place::new();
    let mut config = serving(&place);
    config.repositories.push(place.repository("one.fossil"));
    let agent = start(config).await;
    let get = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let twice = "Content-Length: 2\r\nContent-Length: 2\r\n";
    for server in [address(&agent), &agent.runtime().api] {
        let first = raw(server, format!("{get}\r\n{get}Connection: close\r\n\r\n")).await;
        assert_eq!(first.matches("HTTP/1.1 ").count(), 2, "{first}");
        let second = raw(server, format!("{get}\r\n{get}{twice}\r\nhi")).await;
        let codes: Vec<&str> = second.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(codes.len(), 2, "{second}");
        assert!(codes[1].starts_with("400"), "{second}");
        // Where chunks end is not seen where requests are looked at, so nothing is taken for a request after them.
        let chunks = "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let after = raw(server, format!("{get}{chunks}{get}\r\n")).await;
        assert_eq!(after.matches("HTTP/1.1 ").count(), 1, "{after}");
    }
    agent.stop().await;
}

/// The most memory that this process ever held, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_uploads_without_an_end_take_little_memory_and_keep_nobody_waiting() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let place = Place::new();
    let mut config = serving(&place);
    config.repositories.push(place.repository("one.fossil"));
    let agent = start(config).await;
    let host = address(&agent).trim_start_matches("http://").to_owned();
    let before = peak_memory();
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x1_0000));
    let mut uploads = Vec::new();
    for _ in 0..10 {
        let mut stream = tokio::net::TcpStream::connect(&host)
            .await
            .expect("connected");
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-fossil\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("sent");
        // Seven of the eight MiB that a body may have whose length is not told.
        for _ in 0..7 * 16 {
            stream.write_all(chunk.as_bytes()).await.expect("sent");
        }
        uploads.push(stream);
    }
    let clone = place.path("clone.fossil");
    place.fossil(&place.path(""), ["clone", address(&agent), text(&clone)]);
    for mut stream in uploads {
        // It is cut off while it sends, or refused.
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || status(&answer) == 413, "{answer}");
    }
    let taken = peak_memory().saturating_sub(before);
    assert!(taken < 160 * 1024 * 1024, "{taken} bytes for ten bodies");
    agent.stop().await;
}

/// Sends `request`, then closes without waiting.
async fn raw_cut(address: &str, request: &str) {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = tokio::net::TcpStream::connect(address.trim_start_matches("http://"))
        .await
        .expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
}

/// Sends `request` to a server that may close before it has read all, and returns what it said.
async fn raw_lenient(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address.trim_start_matches("http://"))
        .await
        .expect("connected");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The counters of a page of metrics, with their labels.
fn counters(page: &str) -> std::collections::BTreeMap<String, u64> {
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(name, _)| !name.starts_with('#') && name.contains("_total"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened_and_name_nothing_to_strangers() {
    let place = Place::new();
    let file = place.repository("hidden.fossil");
    let mut config = serving(&place);
    config.repositories.push(file.clone());
    config.peer_id = "laptop-of-ada".to_owned();
    let agent = start(config).await;
    let clone = place.path("copy.fossil");
    place.fossil(&place.path(""), ["clone", address(&agent), text(&clone)]);
    let mut events = agent.subscribe();
    place.check_in(&file, "b.txt", "b\n");
    repository_event(&mut events, |shown| shown.check_ins == 3).await;

    let host = address(&agent).trim_start_matches("http://").to_owned();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // The machine counts a moment after the figures are read.
    let counted = async {
        loop {
            let answer = raw(address(&agent), &request).await;
            if !answer.contains("edgesync_arrivals_total{cause=\"watch\"} 0\n") {
                return answer;
            }
        }
    };
    let metrics = tokio::time::timeout(Duration::from_secs(60), counted).await;
    let metrics = metrics.expect("it is counted");
    assert_eq!(status(&metrics), 200);
    let (head, body) = metrics.split_once("\r\n\r\n").expect("an answer");
    let kind = "content-type: text/plain; version=0.0.4";
    assert!(head.to_ascii_lowercase().contains(kind), "{head}");
    let served = "edgesync_served_requests_total{result=\"ok\"} ";
    let served = body.split_once(served).expect("a counter").1;
    assert!(!served.starts_with("0\n"), "{body}");
    assert!(
        body.contains("edgesync_nats_connections{kind=\"client\"} 1\n"),
        "{body}"
    );
    assert!(
        body.contains("edgesync_repositories{state=\"local\"} 1\n"),
        "{body}"
    );
    let shown = agent.status();
    let code = shown.repositories[0].project_code.clone().expect("a code");
    let id = agent.endpoint_id().to_owned();
    for secret in [
        "hidden",
        "laptop",
        "127.0.0.1",
        &code,
        &id,
        &agent.runtime().token,
    ] {
        assert!(!body.contains(secret), "{secret}: {body}");
    }

    let named = crate::support::ask(agent.runtime(), "GET", "/api/v1/metrics", "").await;
    let line = "edgesync_arrivals_total{cause=\"watch\",repository=\"hidden\"} ";
    assert!(named.contains(line), "{named}");

    // Counters go on when what they counted goes away.
    let before = counters(body);
    let forget = "/api/v1/repositories/hidden";
    crate::support::ask(agent.runtime(), "DELETE", forget, "").await;
    assert!(agent.status().repositories.is_empty());
    let answer = raw(address(&agent), &request).await;
    let after = counters(&answer);
    assert!(!before.is_empty(), "{body}");
    for (name, value) in before {
        assert!(after[&name] >= value, "{name} fell from {value}: {answer}");
    }
    agent.stop().await;
}
