//! The agent as a client of stock `fossil server`: sync at once when a file changes, honest states, clones that complete or
//! leave nothing.

use std::time::Duration;

use edgesync_agent::api::{Code, Event, Job, JobState, Repository, State, Time};
use edgesync_agent::{Agent, Subscription};
use edgesync_tests::StockFossil;
use libfossil::xfer::frame;
use serde_json::{Value, json};

use crate::stock::Fake;
use crate::support::{Place, call, event, repository_event, start};

/// An hour: what happens in a test that uses it, no poll has brought about.
const NEVER: Duration = Duration::from_secs(3600);

/// Returns an agent for `ours.fossil`, a stock clone of a stock server's `theirs.fossil`, and the server.
pub(crate) async fn pair(place: &Place) -> (Agent, StockFossil) {
    let theirs = place.repository("theirs.fossil");
    place.fossil(
        &place.path(""),
        [
            "user",
            "password",
            "ada",
            "secret",
            "-R",
            theirs.to_str().expect("text"),
        ],
    );
    let server = StockFossil::start(&theirs);
    let ours = place.path("ours.fossil");
    place.fossil(
        &place.path(""),
        ["clone", &server.url(""), ours.to_str().expect("text")],
    );
    let mut config = place.config();
    config.poll = NEVER;
    config.repositories.push(ours);
    config
        .remotes
        .push(server.url("ada:secret").parse().expect("a remote"));
    (start(config).await, server)
}

/// Returns a pair that has exchanged all, its events since, and how its repository was shown then.
pub(crate) async fn equal_pair(place: &Place) -> (Agent, StockFossil, Subscription, Repository) {
    let (agent, server) = pair(place).await;
    let mut events = agent.subscribe();
    let first = repository_event(&mut events, |shown| up_to_date(&shown.state)).await;
    (agent, server, events, first)
}

pub(crate) fn artifacts(place: &Place, name: &str) -> Vec<String> {
    edgesync_tests::artifacts(&place.path(name))
}

/// Asserts that the server and we have the same artifacts.
pub(crate) fn assert_equal(place: &Place) {
    assert_eq!(
        artifacts(place, "ours.fossil"),
        artifacts(place, "theirs.fossil")
    );
}

pub(crate) fn up_to_date(state: &State) -> bool {
    matches!(state, State::UpToDate { .. })
}

/// Names the remote of `ours`.
async fn set_remote(agent: &Agent, url: &str) {
    let remote = json!({ "url": url });
    let (status, _) = call(agent, "PUT", "/repositories/ours/remote", remote).await;
    assert_eq!(status, 200, "{url}");
}

/// Returns the next state that is an error and of which this is true.
async fn failed(events: &mut Subscription, wanted: impl Fn(&Repository) -> bool) -> State {
    let is_error = |shown: &Repository| matches!(shown.state, State::Error { .. });
    let shown = repository_event(events, |shown| is_error(shown) && wanted(shown)).await;
    shown.state
}

/// Returns what an error says.
fn message(state: &State) -> (Code, &str, Option<&str>) {
    match state {
        State::Error {
            code,
            message,
            hint,
            ..
        } => (*code, message, hint.as_deref()),
        other => panic!("no error: {other:?}"),
    }
}

/// Returns what is in the folder, beside the agent's home.
fn left(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("text"));
    names.filter(|name| name != "home").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_commit_reaches_the_remote_at_once() {
    let place = Place::new();
    let (agent, _server, mut events, first) = equal_pair(&place).await;
    assert!(
        !serde_json::to_string(&agent.status())
            .expect("json")
            .contains("secret")
    );

    place.check_in(&place.path("ours.fossil"), "new.txt", "new\n");
    repository_event(&mut events, |shown| {
        shown.check_ins == 3
            && up_to_date(&shown.state)
            && shown.state.last_exchange() > first.state.last_exchange()
    })
    .await;
    assert_equal(&place);

    place.check_in(&place.path("theirs.fossil"), "other.txt", "other\n");
    agent.sync_now(Some("ours")).expect("asked");
    repository_event(&mut events, |shown| {
        shown.check_ins == 4 && up_to_date(&shown.state)
    })
    .await;
    assert_equal(&place);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_shown_and_goes_away_with_its_cause() {
    let place = Place::new();
    let (agent, server, mut events, _) = equal_pair(&place).await;

    let port = server.port;
    drop(server);
    agent.sync_now(None).expect("asked");
    let state = failed(&mut events, |_| true).await;
    let (code, text, _) = message(&state);
    assert_eq!(code, Code::Unreachable);
    let expected = format!("127.0.0.1:{port} can't be reached");
    assert!(text.contains(&expected), "{text}");
    assert!(retry_at(&state).is_some() && state.last_exchange().is_some());

    let server =
        StockFossil::on(&place.path("theirs.fossil"), port).expect("the port is still free");
    repository_event(&mut events, |shown| up_to_date(&shown.state)).await;

    set_remote(&agent, &server.url("ada:wrong")).await;
    let state = failed(&mut events, |_| true).await;
    let (code, text, hint) = message(&state);
    assert_eq!(code, Code::RemoteLogin);
    assert!(
        text.contains("user name and password") && hint.is_some(),
        "{text}"
    );

    let nothing = call(&agent, "PUT", "/repositories/ours/remote", json!({})).await;
    assert_eq!(
        nothing.0, 400,
        "a forgotten address is no wish to have none"
    );

    let none = json!({ "url": null });
    let (_, shown) = call(&agent, "PUT", "/repositories/ours/remote", none).await;
    assert_eq!(
        (&shown["remote"], &shown["state"]["kind"]),
        (&Value::Null, &json!("local"))
    );
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stock_fossil_is_named() {
    let place = Place::new();
    let (agent, _server) = pair(&place).await;
    let mut events = agent.subscribe();
    for (answer, expected, expected_code) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
            "no sync reply",
            Code::RemoteAddress,
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
            "not allowed",
            Code::RemoteAddress,
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:PORT/on\r\nContent-Length: 0\r\n\r\n",
            "too often",
            Code::RemoteAddress,
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "wants a login",
            Code::RemoteLogin,
        ),
        (
            "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
            "answered 500",
            Code::Remote,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-fossil\r\nContent-Length: 9999999999\r\n\r\n",
            "over the limit",
            Code::Remote,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-fossil\r\nContent-Length: 9\r\n\r\n\x7f\x7f\x7f\x7fwhat?",
            "can't be read",
            Code::Remote,
        ),
        ("SSH-2.0-OpenSSH\r\n", "can't be reached", Code::Unreachable),
    ] {
        let fake = Fake::start(answer).await;
        let port = fake.port.to_string();
        set_remote(&agent, &format!("http://ada:secret@127.0.0.1:{port}/")).await;
        let is_here = |shown: &Repository| {
            let remote = shown.remote.as_ref();
            remote.is_some_and(|remote| remote.url.contains(&port))
        };
        let state = failed(&mut events, is_here).await;
        let (code, text, _) = message(&state);
        assert!(text.contains(expected), "{text}");
        assert_eq!(code, expected_code, "{text}");
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_gets_no_login() {
    let place = Place::new();
    let (agent, _server) = pair(&place).await;
    let other = Fake::start("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/x/xfer\r\nContent-Length: 0\r\n\r\n",
        other.port
    );
    let first = Fake::start(&redirect).await;
    let mut events = agent.subscribe();
    set_remote(
        &agent,
        &format!("http://ada:secret@127.0.0.1:{}/", first.port),
    )
    .await;
    failed(&mut events, |shown| message(&shown.state).1.contains("500")).await;
    let bodies = |fake: &Fake| -> Vec<String> {
        let bodies = fake.bodies.lock().expect("whole").clone();
        let opened = |body: Vec<u8>| {
            frame::decode(frame::ContentType::Packed, body.into()).expect("a message")
        };
        bodies
            .into_iter()
            .map(|body| String::from_utf8_lossy(&opened(body)).into_owned())
            .collect()
    };
    assert!(bodies(&first)[0].starts_with("login ada "));
    assert!(
        !bodies(&other).is_empty()
            && bodies(&other)
                .iter()
                .all(|body| !body.contains("login ada"))
    );
    agent.stop().await;
}

/// Returns the job when it has ended.
async fn ended(events: &mut Subscription) -> Job {
    event(events, |event| match event {
        Event::Job { job } if job.state != JobState::Running => Some(job.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_job_brings_a_repository_that_stays_in_sync() {
    let place = Place::new();
    let theirs = place.repository("theirs.fossil");
    let server = StockFossil::start(&theirs);
    let agent = start(place.config()).await;
    let mut events = agent.subscribe();
    let wish = json!({ "url": server.url(""), "path": place.path("ours.fossil") });
    assert_eq!(
        call(&agent, "POST", "/repositories/clone", wish.clone())
            .await
            .0,
        202
    );
    let job = ended(&mut events).await;
    assert_eq!(
        (job.state, job.repository.as_deref()),
        (JobState::Done, Some("ours")),
        "{job:?}"
    );
    let shown = repository_event(&mut events, |shown| up_to_date(&shown.state)).await;
    assert_eq!(
        (shown.artifacts, shown.remote.map(|remote| remote.url)),
        (3, Some(server.url("")))
    );
    assert_equal(&place);
    let (code, there) = call(&agent, "POST", "/repositories/clone", wish).await;
    assert_eq!(code, 409);
    assert!(there["error"]["hint"].is_string(), "{there}");
    let kept = left(&place);
    assert!(
        kept.iter().all(|name| !name.ends_with(".clone")),
        "{kept:?}"
    );
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_fails_or_is_cancelled_leaves_no_repository() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let mut events = agent.subscribe();
    let page = Fake::start("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n").await;
    let wish = json!({ "url": format!("http://127.0.0.1:{}/", page.port), "path": place.path("a.fossil") });
    let (code, job) = call(&agent, "POST", "/repositories/clone", wish).await;
    assert_eq!(code, 202);
    let id = job["id"].as_str().expect("an id").to_owned();
    let waiting = event(&mut events, |event| match event {
        Event::Job { job } if job.error.is_some() => Some(job.clone()),
        _ => None,
    })
    .await;
    assert!(waiting.error.expect("an error").message.contains("503"));
    assert_eq!(
        call(&agent, "DELETE", &format!("/jobs/{id}"), Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(ended(&mut events).await.state, JobState::Cancelled);
    assert!(left(&place).is_empty(), "{:?}", left(&place));

    // What will not change by itself is not tried again.
    let nothing = Fake::start("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("http://127.0.0.1:{}/", nothing.port);
    let wish = json!({ "url": url, "path": place.path("b.fossil"), "user": "ada" });
    call(&agent, "POST", "/repositories/clone", wish).await;
    let job = ended(&mut events).await;
    let error = job.error.expect("an error");
    assert_eq!((job.state, error.retryable), (JobState::Failed, false));
    assert_eq!(nothing.bodies.lock().expect("whole").len(), 1);
    assert_eq!(
        (job.remote.url, job.remote.user.as_deref(), job.path),
        (url, Some("ada"), place.path("b.fossil"))
    );

    let refused = json!({ "url": "ssh://-oProxyCommand=x/", "path": place.path("b.fossil") });
    assert_eq!(
        call(&agent, "POST", "/repositories/clone", refused).await.0,
        400
    );
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_clone_leaves_nothing() {
    let place = Place::new();
    let theirs = place.repository("theirs.fossil");
    let server = StockFossil::start(&theirs);
    let agent = start(place.config()).await;
    let mut events = agent.subscribe();
    let wish = json!({ "url": server.url("ada:wrong"), "path": place.path("ours.fossil") });
    call(&agent, "POST", "/repositories/clone", wish).await;
    let job = ended(&mut events).await;
    assert_eq!(job.error.expect("an error").code, Code::RemoteLogin);
    let kept = left(&place);
    assert!(kept.iter().all(|name| !name.contains("ours")), "{kept:?}");
    agent.stop().await;
}

/// Returns when the failing remote is tried next.
fn retry_at(state: &State) -> Option<Time> {
    match state {
        State::Error { retry_at, .. } => *retry_at,
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_in_wakes_a_remote_that_had_refused() {
    let place = Place::new();
    let (agent, server, mut events, _) = equal_pair(&place).await;
    set_remote(&agent, &server.url("ada:other")).await;
    let ours = place.path("ours.fossil");
    // After so many failures the next try by itself is minutes away.
    let mut last = None;
    for number in 0..9 {
        place.check_in(&ours, &format!("{number}.txt"), "new\n");
        let again = |shown: &Repository| retry_at(&shown.state).is_some_and(|at| Some(at) != last);
        last = retry_at(&failed(&mut events, again).await);
    }
    let theirs = place.path("theirs.fossil");
    let theirs = theirs.to_str().expect("text");
    place.fossil(
        &place.path(""),
        ["user", "password", "ada", "other", "-R", theirs],
    );
    place.check_in(&ours, "new.txt", "new\n");
    repository_event(&mut events, |shown| {
        up_to_date(&shown.state) && shown.check_ins == 12
    })
    .await;
    assert_equal(&place);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_project_in_the_place_of_the_file_is_named() {
    let place = Place::new();
    let (agent, _server, mut events, _) = equal_pair(&place).await;
    let (ours, kept) = (place.path("ours.fossil"), place.path("kept.fossil"));
    let other = place.repository("other.fossil");
    std::fs::rename(&ours, &kept).expect("renamed");
    std::fs::rename(&other, &ours).expect("renamed");
    let is_other = |shown: &Repository| message(&shown.state).1.contains("is now another project");
    let state = failed(&mut events, is_other).await;
    let (code, _, hint) = message(&state);
    assert_eq!((code, hint.is_some()), (Code::Repository, true));
    std::fs::rename(&ours, &other).expect("renamed");
    std::fs::rename(&kept, &ours).expect("renamed");
    repository_event(&mut events, |shown| up_to_date(&shown.state)).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_spoilt_and_is_whole_again_is_synced_at_once() {
    let place = Place::new();
    let (agent, _server, mut events, _) = equal_pair(&place).await;
    let ours = place.path("ours.fossil");
    let whole = std::fs::read(&ours).expect("read");
    // Within the file, as a program does that copies over it.
    std::fs::write(&ours, b"").expect("emptied");
    repository_event(&mut events, |shown| {
        matches!(shown.state, State::Missing { .. })
    })
    .await;
    std::fs::write(&ours, whole).expect("restored");
    repository_event(&mut events, |shown| up_to_date(&shown.state)).await;

    std::fs::remove_file(&ours).expect("removed");
    std::fs::create_dir(&ours).expect("a folder in its place");
    repository_event(&mut events, |shown| {
        matches!(&shown.state, State::Missing { message, .. } if message.contains("is not a Fossil repository"))
    })
    .await;
    agent.stop().await;
}
