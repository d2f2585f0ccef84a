//! Clone, sync, push and pull against stock's server, against the agent, and between files.

use std::fs;

use edgesync_tests::StockFossil;

use crate::lab::{Agent, Lab};

/// Returns the names of all artifacts with content.
fn artifacts(lab: &Lab, repository: &str) -> Vec<String> {
    edgesync_tests::artifacts(&lab.path(repository))
}

/// Returns a lab in which stock serves a repository with history, where `ada` may write with the password `pw`.
fn served_by_stock() -> (Lab, StockFossil) {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    lab.fossil(&["user", "password", "ada", "pw", "-R", "a.fossil"]);
    lab.fossil(&["user", "capabilities", "ada", "sy", "-R", "a.fossil"]);
    let server = StockFossil::start(&lab.path("a.fossil"));
    (lab, server)
}

#[test]
fn a_clone_from_stock_goes_on_syncing_with_the_login_it_was_made_with() {
    let (lab, server) = served_by_stock();
    let said = lab.edgesync(&["clone", &server.url("ada:pw"), "b.fossil"]);
    assert!(
        said.contains("Clone done, wire bytes sent: ")
            && said.contains("admin-user: ada (password is \""),
        "{said}"
    );
    assert!(!said.contains("pw@"), "{said}");
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    lab.write("new.txt", "new\n");
    lab.edgesync(&["ci", "new.txt", "-m", "from here", "-R", "b.fossil"]);
    let pushed = lab.json(&["sync", "-R", "b.fossil"]);
    assert_eq!(pushed["artifacts_sent"], 2, "{pushed}");
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    // Stock goes on with what was remembered.
    lab.write("new.txt", "newer\n");
    lab.edgesync(&["ci", "new.txt", "-m", "again", "-R", "b.fossil"]);
    lab.fossil(&["sync", "-R", "b.fossil"]);
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    assert_eq!(lab.json(&["verify", "-R", "b.fossil"])["ok"], true);
}

#[test]
fn a_clone_belongs_to_the_user_of_the_url_as_with_stock() {
    let (lab, server) = served_by_stock();
    lab.fossil(&["user", "new", "bob", "Bob", "pw", "-R", "a.fossil"]);
    lab.fossil(&["user", "capabilities", "bob", "gio", "-R", "a.fossil"]);
    for (login, file, admin) in [("bob:pw", "b.fossil", "bob"), ("", "d.fossil", "ada")] {
        let cloned = lab.json(&["clone", &server.url(login), file]);
        assert_eq!(cloned["user"], admin, "{cloned}");
    }
}

#[test]
fn push_and_pull_go_one_way_and_a_refusal_ends_with_3() {
    let (lab, server) = served_by_stock();
    lab.edgesync(&["clone", &server.url(""), "b.fossil"]);
    lab.write("x", "x");
    lab.edgesync(&["ci", "x", "-m", "x", "-R", "b.fossil"]);
    assert_eq!(lab.json(&["pull", "-R", "b.fossil"])["artifacts_sent"], 0);
    assert_eq!(lab.run(&["push", "-R", "b.fossil", "-q"]).code, 3);
    let ran = lab.run(&[
        "sync",
        &server.url("ada:wrong"),
        "--once",
        "-R",
        "b.fossil",
        "--json",
    ]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (3, Some("refused"))
    );
    lab.write("password", "pw\n");
    lab.edgesync(&[
        "push",
        &server.url("ada"),
        "--once",
        "--password-file",
        "password",
        "-R",
        "b.fossil",
    ]);
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    assert_eq!(
        lab.run(&["push", &server.url("ada"), "-R", "b.fossil"])
            .code,
        3
    );
}

#[test]
fn nobody_at_the_other_end_ends_with_4_and_nothing_is_left() {
    let lab = Lab::new();
    let ran = lab.run(&["clone", "http://127.0.0.1:1/", "b.fossil", "--json"]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (4, Some("unreachable"))
    );
    assert!(!lab.path("b.fossil").exists());
    assert_eq!(
        lab.run(&["clone", "ssh://example.org/x", "b.fossil"]).code,
        64
    );
    lab.edgesync(&["new", "a.fossil"]);
    assert_eq!(lab.run(&["sync", "-R", "a.fossil"]).code, 64);
}

#[test]
fn into_one_file_one_clone_goes_at_a_time_and_a_killed_one_is_in_nobodys_way() {
    let lab = Lab::new();
    // It takes requests and says nothing.
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", server.local_addr().expect("its address"));
    let args = ["clone", &url, "c.fossil", "--json"];
    let mut first = lab.edgesync_command(&args).spawn().expect("it starts");
    let asked = server.accept().expect("it asks");
    let second = lab.run(&args);
    assert_eq!(second.code, 1, "{}", second.stdout);
    let error = second.error();
    assert_eq!(error["code"], "conflict", "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|it| it.contains("already"))
    );
    first.kill().expect("killed");
    first.wait().expect("it ends");
    drop((asked, server));
    let third = lab.run(&args);
    assert_eq!(third.error()["code"], "unreachable", "{}", third.stdout);
    let left = std::fs::read_dir(lab.path("")).expect("a folder");
    assert_eq!(left.count(), 0, "nothing is left");
}

#[test]
fn a_path_is_cloned_and_synced_like_a_server() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    let made = lab.json(&["clone", "a.fossil", "b.fossil", "--admin-user", "zoe"]);
    assert_eq!(made["user"], "zoe");
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    lab.write("x", "x");
    lab.edgesync(&["ci", "x", "-m", "x", "-R", "b.fossil"]);
    lab.edgesync(&["repo", "sync", "-R", "b.fossil"]);
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    assert_eq!(
        lab.run(&["clone", "a.fossil", "b.fossil", "--json"])
            .error()["code"],
        "conflict"
    );
}

#[test]
fn unversioned_files_travel_on_their_own() {
    let (lab, server) = served_by_stock();
    lab.edgesync(&["clone", &server.url("ada:pw"), "b.fossil"]);
    lab.write("note", "text");
    lab.edgesync(&["uv", "add", "note", "-R", "b.fossil"]);
    assert_eq!(
        lab.json(&["uv", "sync", "-R", "b.fossil"])["unversioned_sent"],
        1
    );
    assert_eq!(lab.fossil(&["uv", "cat", "note", "-R", "a.fossil"]), "text");
}

#[test]
fn an_agent_serves_clones_and_syncs_now_when_asked() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    lab.fossil(&["user", "password", "ada", "pw", "-R", "a.fossil"]);
    let agent = Agent::start(
        &lab,
        &["-R", "a.fossil", "--json", "--serve-http", "127.0.0.1:0"],
    );
    let http = agent.ready()["http"]
        .as_str()
        .expect("an address")
        .replace("http://", "http://ada:pw@");
    lab.edgesync(&["clone", &http, "b.fossil"]);
    assert_eq!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    drop(agent);
    let server = StockFossil::start(&lab.path("a.fossil"));
    let _agent = Agent::start(
        &lab,
        &[
            "-R",
            "b.fossil",
            "--poll",
            "1h",
            "--remote",
            &server.url("ada:pw"),
        ],
    );
    assert_eq!(lab.json(&["sync", "now"])[0]["state"]["kind"], "up_to_date");
    // The agent may be at it once more, for what it found when it first looked at the file.
    while !lab
        .edgesync(&["sync", "status"])
        .contains("b: up to date, ")
    {}
}

#[test]
fn a_signal_makes_the_agent_sync_now() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    lab.fossil(&["user", "password", "ada", "pw", "-R", "a.fossil"]);
    fs::copy(lab.path("a.fossil"), lab.path("b.fossil")).expect("copied");
    let server = StockFossil::start(&lab.path("a.fossil"));
    let url = server.url("ada:pw");
    let args = ["-R", "b.fossil", "--poll", "1h", "--remote", &url];
    let agent = Agent::start(&lab, &args);
    let state = || lab.json(&["sync", "status"])["repositories"][0]["state"].clone();
    while state()["kind"] != "up_to_date" {}
    lab.write("work/later.txt", "later\n");
    lab.fossil_in("work", &["add", "later.txt"]);
    lab.fossil_in("work", &["commit", "--no-warnings", "-m", "later"]);
    assert_ne!(artifacts(&lab, "a.fossil"), artifacts(&lab, "b.fossil"));
    agent.signal("USR1");
    // The runner ends a wait in vain; the next poll is an hour away.
    while artifacts(&lab, "a.fossil") != artifacts(&lab, "b.fossil") {}
}

#[test]
fn rebuild_keeps_what_people_see() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    let before = lab.fossil(&["timeline", "-n", "0", "-R", "a.fossil"]);
    lab.edgesync(&["rebuild", "-R", "a.fossil"]);
    assert_eq!(
        lab.fossil(&["timeline", "-n", "0", "-R", "a.fossil"]),
        before
    );
    assert!(
        lab.edgesync(&["verify", "-R", "a.fossil"])
            .ends_with(" artifacts checked: 0 errors\n")
    );
    lab.fossil(&[
        "sql",
        "-R",
        "a.fossil",
        "UPDATE blob SET content=x'00000001' WHERE rid=(SELECT max(rid) FROM blob)",
    ]);
    let ran = lab.run(&["verify", "-R", "a.fossil", "--json"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("\"ok\": false"), "{}", ran.stdout);
}
