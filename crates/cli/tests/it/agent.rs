//! The agent as a program: what it prints, what it hears, what others can ask it.

use serde_json::{Value, json};

use crate::lab::{Agent, Lab};

#[test]
fn start_prints_its_addresses_and_then_ready() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let agent = Agent::start(&lab, &["-R", "a.fossil", "--peer-id", "laptop"]);
    assert!(
        agent.said[0].starts_with("page   http://127.0.0.1:"),
        "{:?}",
        agent.said
    );
    assert_eq!(
        agent.said.last().map(String::as_str),
        Some("ready  laptop with 1 repository")
    );
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));
}

#[test]
fn start_with_json_prints_one_object_a_line_and_ready_last() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let agent = Agent::start(
        &lab,
        &["-R", "a.fossil", "--json", "--serve-http", "127.0.0.1:0"],
    );
    for line in &agent.said {
        serde_json::from_str::<Value>(line).expect("JSON");
    }
    let ready = agent.ready();
    assert_eq!(ready["endpoint_id"], lab.json(&["id"])["endpoint_id"]);
    for (name, scheme) in [
        ("nats", "nats://127.0.0.1:"),
        ("leaf", "nats-leaf://127.0.0.1:"),
        ("route", "nats-route://127.0.0.1:"),
    ] {
        assert!(
            ready[name].as_str().expect(name).starts_with(scheme),
            "{ready}"
        );
    }
    assert!(
        ready.as_object().expect("an object").contains_key("ticket") && ready["ticket"].is_null(),
        "{ready}"
    );
    assert!(
        ready["http"]
            .as_str()
            .expect("an address")
            .starts_with("http://127.0.0.1:"),
        "{ready}"
    );
    let status = lab.json(&["sync", "status"]);
    assert_eq!(status["api"], ready["api"]);
    assert_eq!(status["token"], ready["token"]);
    assert_eq!(status["repositories"][0]["name"], "a");
    agent.signal("INT");
    assert_eq!(agent.exit_code(), Some(0));
    assert_eq!(lab.run(&["sync", "status"]).code, 4);
}

#[test]
fn programs_join_the_bus_by_the_address_that_sync_bus_prints() {
    let lab = Lab::new();
    lab.edgesync(&["notify", "init"]);
    let agent = Agent::start(&lab, &["--json", "--notify"]);
    let all = lab.json(&["sync", "bus"]);
    let url = lab.edgesync(&["sync", "bus"]);
    assert_eq!(all["url"], url.trim());
    assert_eq!(all["server"], agent.ready()["nats"]);
    let token = all["token"].as_str().expect("a token");
    assert!(!lab.edgesync(&["sync", "status"]).contains(token));
    let said = lab.edgesync(&["logs"]);
    assert!(!said.contains(token), "{said}");
    // A program with a folder of its own.
    let apart = Lab::new();
    apart.edgesync(&["notify", "init"]);
    let send = ["notify", "send", "--project", "demo", "Green", "--nats"];
    apart.edgesync(&[&send[..], &[url.trim()]].concat());
    let wrong = url.trim().replace(token, "wrong");
    let refused = apart.run(&[&send[..], &[&wrong]].concat());
    assert_eq!(refused.code, 3);
}

#[test]
fn each_flag_of_start_has_a_variable() {
    let help = Lab::new()
        .edgesync(&["sync", "start", "--help"])
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let flags = help.split(" --").skip(1).map(|rest| {
        rest.split([' ', '[', ',', '.', ']'])
            .next()
            .unwrap_or_default()
    });
    let mut seen = 0;
    for name in flags.filter(|name| !matches!(*name, "json" | "quiet" | "help" | "repository")) {
        let variable = format!("EDGESYNC_{}", name.to_uppercase().replace('-', "_"));
        // One that holds a secret is not shown with its value.
        let said = ["=", "]"].map(|end| help.contains(&format!("[env: {variable}{end}")));
        assert!(said.contains(&true), "{variable}");
        seen += 1;
    }
    assert!(seen >= 12, "{help}");
}

#[test]
fn variables_are_heard_where_flags_are_not_given() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let mut command = lab.edgesync_command(&["sync", "start", "--json"]);
    let ran = command
        .env("EDGESYNC_REPO", "a.fossil:b.fossil")
        .output()
        .expect("it runs");
    let error: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert!(
        error["error"]["message"]
            .as_str()
            .expect("a message")
            .contains("b.fossil"),
        "{error}"
    );
    let ran = lab
        .edgesync_command(&["sync", "start"])
        .env("EDGESYNC_POLL", "often")
        .output()
        .expect("it runs");
    assert_eq!(ran.status.code(), Some(64));
}

#[test]
fn a_second_start_names_the_page_of_the_agent_that_runs() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &["--json"]);
    let ready = agent.ready();
    let page = format!(
        "{}/#token={}",
        ready["api"].as_str().expect("it"),
        ready["token"].as_str().expect("it")
    );
    let ran = lab.run(&["sync", "start"]);
    let (first, second) = ran.stdout.split_once('\n').expect("two lines");
    assert_eq!((ran.code, first), (0, &*format!("page   {page}")));
    assert!(second.starts_with("runs already, process "), "{second}");
    let ran = lab.json(&["sync", "start"]);
    assert_eq!(
        (&ran["event"], &ran["api"]),
        (&json!("running"), &ready["api"])
    );

    // What it does not do that was asked for is an error.
    let ran = lab.run(&["sync", "start", "--poll", "1h", "--json"]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (1, Some("conflict"))
    );
    let hint = ran.error()["hint"].as_str().unwrap_or_default().to_owned();
    let kept = "it keeps the flags that it was started with, and its page is ";
    assert!(hint.starts_with(&format!("{kept}{page};")), "{hint}");
    let variable = lab
        .edgesync_command(&["sync", "start"])
        .env("EDGESYNC_PEER_ID", "other")
        .output()
        .expect("it runs");
    assert_eq!(variable.status.code(), Some(1));
    lab.edgesync(&["new", "here.fossil"]);
    assert_eq!(lab.run(&["sync", "start"]).code, 1);
}

#[test]
fn the_page_is_printed_where_there_is_no_window() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &["--json"]);
    let ready = agent.ready();
    let url = format!(
        "{}/#token={}",
        ready["api"].as_str().expect("it"),
        ready["token"].as_str().expect("it")
    );
    assert_eq!(lab.edgesync(&["open"]), format!("{url}\n"));
    assert_eq!(lab.json(&["open"]), json!({"url": url, "window": false}));
}

#[test]
fn status_tells_of_each_repository_in_words() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    let _agent = Agent::start(&lab, &["-R", "a.fossil", "--peer-id", "laptop"]);
    let said = lab.edgesync(&["sync", "status"]);
    assert!(
        said.starts_with("local only\nagent:  laptop (version "),
        "{said}"
    );
    assert!(said.contains("\na: local only\n"), "{said}");
    assert!(
        said.contains("  check-ins: 6\n  last:      on trunk\n"),
        "{said}"
    );
    assert_eq!(
        lab.run(&["sync", "status", "-R", "elsewhere.fossil"]).code,
        1
    );
}

#[test]
fn the_doctor_passes_a_healthy_home_and_fails_a_broken_repository() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let _agent = Agent::start(&lab, &["-R", "a.fossil"]);
    let report = lab.json(&["doctor"]);
    assert_eq!(report["ok"], true);
    let names: Vec<&str> = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    for name in [
        "home",
        "agent",
        "repository",
        "disk",
        "fossil",
        "listener",
        "page",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    lab.write("broken.fossil", "no database");
    let ran = lab.run(&["doctor", "-R", "broken.fossil"]);
    assert_eq!(ran.code, 1);
    let line = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("FAIL"))
        .expect("a failed check");
    assert!(line.contains("broken.fossil"), "{line}");
    assert!(ran.stdout.contains("fix: "), "{}", ran.stdout);
}

#[test]
fn a_remote_that_cannot_be_reached_ends_sync_now_with_4() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    // The port of a listener that has gone: nobody answers there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let remote = format!("http://ann:secret@127.0.0.1:{port}/");
    let _agent = Agent::start(
        &lab,
        &["-R", "a.fossil", "--remote", &remote, "--poll", "1h"],
    );
    let ran = lab.run(&["sync", "now", "--json"]);
    assert_eq!(ran.code, 4, "{} {}", ran.stdout, ran.stderr);
    // One document, which has the error.
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
    assert_eq!(said[0]["state"]["kind"], "error", "{said}");
    let ran = lab.run(&["sync", "now"]);
    assert_eq!(ran.code, 4, "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[test]
fn the_doctor_names_a_repository_that_can_only_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    std::fs::create_dir(lab.path("place")).expect("a folder");
    lab.edgesync(&["new", "place/a.fossil"]);
    let verdict = || {
        let ran = lab.run_bound(&["doctor", "-R", "place/a.fossil"]);
        let line = ran.stdout.lines().find(|line| line.contains("a.fossil"));
        line.unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr))
            .to_owned()
    };
    let before = std::fs::read(lab.path("place/a.fossil")).expect("read");
    let sound = verdict();
    assert!(sound.ends_with("a.fossil is sound"), "{sound}");
    for (path, read_only, usual) in [("place/a.fossil", 0o444, 0o644), ("place", 0o555, 0o755)] {
        let set = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(lab.path(path), permissions).expect("set");
        };
        set(read_only);
        let warned = verdict();
        set(usual);
        assert!(warned.starts_with("warn"), "{warned}");
        assert!(warned.contains("sound, but can only be read"), "{warned}");
    }
    assert_eq!(
        std::fs::read(lab.path("place/a.fossil")).expect("read"),
        before
    );
}
