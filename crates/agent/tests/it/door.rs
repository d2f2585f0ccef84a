//! The loopback door: who may come in, what is refused, and that the next request is answered after every refusal.

use edgesync_agent::api::{Checkup, State, Status, Verdict};
use edgesync_agent::{Agent, Config};

use crate::support::{Place, ask, raw, request, start, status};

async fn assert_serves(agent: &Agent) {
    assert_eq!(
        status(&ask(agent.runtime(), "GET", "/api/v1/status", "").await),
        200
    );
}

#[tokio::test]
async fn a_foreign_host_or_origin_or_a_wrong_token_is_refused_and_changes_nothing() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let runtime = agent.runtime();
    let good = request(runtime, "POST", "/api/v1/quit", "", "");
    let host = runtime.api.trim_start_matches("http://").to_owned();
    let port = host.rsplit(':').next().expect("a port").to_owned();
    let host_line = format!("Host: {host}\r\n");
    let refused = [
        (good.replace(&host, "evil.example"), 403),
        (good.replace(&host, "127.0.0.1"), 403),
        (
            good.replace(&host, &format!("localhost.evil.example:{port}")),
            403,
        ),
        (good.replace(&host_line, ""), 403),
        (
            good.replace(&host_line, &format!("{host_line}{host_line}")),
            403,
        ),
        (
            good.replace(
                "/api/v1/quit",
                &format!("http://evil.example:{port}/api/v1/quit"),
            ),
            403,
        ),
        (
            good.replace(
                &host_line,
                &format!("{host_line}Origin: http://evil.example\r\n"),
            ),
            403,
        ),
        (
            good.replace(&host_line, &format!("{host_line}Origin: null\r\n")),
            403,
        ),
        (
            good.replace(
                &host_line,
                &format!("{host_line}Origin: https://{host}\r\n"),
            ),
            403,
        ),
        (good.replace(&runtime.token, &"0".repeat(64)), 401),
        (good.replace(&runtime.token, &runtime.token[..63]), 401),
        (good.replace("Bearer ", "Basic "), 401),
        (good.replace("Authorization", "X-Authorization"), 401),
    ];
    for (request, expected) in refused {
        assert_eq!(
            status(&raw(&runtime.api, &request).await),
            expected,
            "{request}"
        );
    }
    // The page itself is not for other sites either.
    assert_eq!(
        status(
            &raw(
                &runtime.api,
                "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
            )
            .await
        ),
        403
    );
    assert_serves(&agent).await;
    let own = good.replace(
        &host_line,
        &format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"),
    );
    assert_eq!(status(&raw(&runtime.api, own).await), 202);
    agent.quit_requested().await;
    agent.stop().await;
}

#[tokio::test]
async fn bodies_that_are_too_long_or_malformed_are_refused() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let runtime = agent.runtime();
    let path = "/api/v1/repositories/add";
    let json = "Content-Type: application/json\r\n";
    let long = request(runtime, "POST", path, json, "{}")
        .replace("Content-Length: 2", "Content-Length: 1048577");
    assert_eq!(status(&raw(&runtime.api, long).await), 413);
    let endless = request(runtime, "POST", path, json, "")
        .replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let endless = format!("{endless}100001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x10_0001));
    assert_eq!(status(&raw(&runtime.api, endless).await), 413);
    let two = request(
        runtime,
        "POST",
        path,
        &format!("{json}Content-Length: 7\r\n"),
        "{}",
    );
    assert_eq!(status(&raw(&runtime.api, two).await), 400);
    for beside in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
        let twice = request(runtime, "POST", path, &format!("{json}{beside}\r\n"), "{}");
        assert_eq!(status(&raw(&runtime.api, twice).await), 400, "{beside}");
    }
    for body in [
        "",
        "{",
        "[]",
        "{\"path\":1}",
        "{\"path\":\"/x\",\"more\":1}",
        "\u{0}",
        "{\"path\":\"relative.fossil\"}",
        "{\"path\":\"/nul\\u0000.fossil\"}",
    ] {
        let answer = ask(runtime, "POST", path, body).await;
        assert_eq!(status(&answer), 400, "{body}");
        assert!(answer.contains("\"code\":\"bad_request\""), "{answer}");
    }
    let home = ask(runtime, "POST", path, "{\"path\":\"~/a.fossil\"}").await;
    assert!(
        home.contains("\"hint\":\"Write the home folder out"),
        "{home}"
    );
    let form = request(
        runtime,
        "POST",
        path,
        "Content-Type: text/plain\r\n",
        "{\"path\":\"/x\"}",
    );
    assert_eq!(status(&raw(&runtime.api, form).await), 400);
    assert_eq!(
        status(&ask(runtime, "POST", path, "{\"path\":\"/no/such.fossil\"}").await),
        404
    );
    let garbage = raw(&runtime.api, b"\x00\xff\x16\x03garbage\r\n\r\n").await;
    assert!(garbage.is_empty() || status(&garbage) == 400, "{garbage}");
    assert_serves(&agent).await;
    agent.stop().await;
}

#[tokio::test]
async fn paths_that_name_nothing_are_not_found() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let long = format!("/api/v1/repositories/{}", "a".repeat(8192));
    for path in [
        "/api/v1/repositories/%2e%2e",
        "/api/v1/repositories/%00",
        "/api/v1/repositories/..%5c",
        "/api/v1/repositories/%252e%252e%252f",
        "/api/v1/repositories/%ff",
        "/api/v1/nothing",
        "/api/v2/status",
        "/api",
        "/assets/../../../etc/passwd",
        &long,
    ] {
        assert_eq!(
            status(&ask(agent.runtime(), "GET", path, "").await),
            404,
            "{path}"
        );
    }
    assert_eq!(
        status(&ask(agent.runtime(), "DELETE", "/api/v1/status", "").await),
        404
    );
    assert_serves(&agent).await;
    agent.stop().await;
}

#[tokio::test]
async fn the_page_needs_no_token_and_says_what_it_may_do() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let host = agent.runtime().api.trim_start_matches("http://").to_owned();
    for path in ["/", "/r/anything/timeline"] {
        let answer = raw(
            &host,
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert_eq!(status(&answer), 200);
        let head = answer.to_ascii_lowercase();
        assert!(
            head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
            "{answer}"
        );
        assert!(head.contains("x-content-type-options: nosniff"), "{answer}");
        assert!(head.contains("content-type: text/html"), "{answer}");
        assert!(!answer.contains(&agent.runtime().token));
    }
    agent.stop().await;
}

#[tokio::test]
async fn desktop_acts_are_refused_without_a_desktop() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let answer = ask(agent.runtime(), "POST", "/api/v1/shell/open-window", "").await;
    assert_eq!(status(&answer), 501);
    assert!(answer.contains("\"code\":\"unsupported\""), "{answer}");
    agent.stop().await;
}

#[tokio::test]
async fn added_repositories_are_there_again_after_a_restart() {
    let place = Place::new();
    let repository = place.repository("proj.fossil");
    let agent = start(place.config()).await;
    let body = serde_json::json!({ "path": repository }).to_string();
    assert_eq!(
        status(&ask(agent.runtime(), "POST", "/api/v1/repositories/add", &body).await),
        201
    );
    agent.stop().await;

    let agent = start(place.config()).await;
    let answer = ask(agent.runtime(), "GET", "/api/v1/status", "").await;
    let body = answer.split("\r\n\r\n").nth(1).expect("a body");
    let shown: Status = serde_json::from_str(body).expect("a status");
    assert_eq!(shown, agent.status());
    assert_eq!(shown.repositories.len(), 1);
    agent.stop().await;

    std::fs::remove_file(&repository).expect("removed");
    let agent = start(place.config()).await;
    assert!(matches!(agent.status().state, State::Missing { .. }));
    agent.stop().await;
}

#[tokio::test]
async fn the_agent_looks_at_itself_and_says_how_to_right_what_is_wrong() {
    let place = Place::new();
    let sound = place.repository("sound.fossil");
    let cut = place.repository("cut.fossil");
    let agent = start(Config {
        repositories: vec![sound, cut.clone()],
        ..place.config()
    })
    .await;
    let look = async || {
        let answer = ask(agent.runtime(), "GET", "/api/v1/doctor", "").await;
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        serde_json::from_str::<Checkup>(body).expect("a checkup")
    };
    let checkup = look().await;
    assert!(checkup.ok, "{checkup:?}");
    let names: Vec<&str> = checkup.checks.iter().map(|it| it.name.as_str()).collect();
    let count = |name: &str| names.iter().filter(|it| **it == name).count();
    assert_eq!(
        (count("home"), count("agent"), count("repository")),
        (1, 1, 2)
    );
    assert!(count("listener") > 0 && count("disk") > 0, "{names:?}");

    // Half of its pages are gone.
    let size = std::fs::metadata(&cut).expect("a file").len();
    let file = std::fs::OpenOptions::new().write(true).open(&cut);
    file.and_then(|file| file.set_len(size / 2)).expect("cut");
    let checkup = look().await;
    assert!(!checkup.ok);
    let failed: Vec<_> = checkup
        .checks
        .iter()
        .filter(|it| it.verdict == Verdict::Fail)
        .collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].message.contains("cut.fossil"), "{failed:?}");
    assert!(failed[0].fix.is_some(), "{failed:?}");
    agent.stop().await;
}
