//! The log: kept privately, shown by `edgesync logs` also when no agent runs, and followed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::lab::{Agent, Lab};

#[test]
fn the_log_of_an_agent_that_has_ended_is_kept_for_its_owner_alone() {
    let lab = Lab::new();
    let ran = lab.run(&["logs"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no log yet"), "{}", ran.stderr);

    lab.edgesync(&["new", "a.fossil"]);
    let agent = Agent::start(&lab, &["-R", "a.fossil", "--json", "--quiet"]);
    let token = agent.ready()["token"].as_str().expect("a token").to_owned();
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));

    let shown = lab.edgesync(&["logs"]);
    let line = shown.lines().find(|line| line.contains("the agent runs"));
    let line = line.expect("what the agent does is kept, however little it prints");
    assert!(line.contains(" INFO  the agent runs api=http://"), "{line}");
    assert!(!shown.contains(&token));
    assert_eq!(lab.edgesync(&["logs", "--level", "error"]), "");
    assert_eq!(lab.edgesync(&["logs", "-n", "1"]).lines().count(), 1);
    assert!(
        lab.edgesync(&["logs", "--since", "1h"])
            .contains("the agent runs")
    );
    let lines = lab.edgesync(&["logs", "--json"]);
    let mut lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    assert!(lines.any(|line| line["message"] == "the agent runs" && line["level"] == "info"));

    let file = lab.path("../home/edgesync/edgesync.log");
    let mode = fs::metadata(file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_log_that_is_followed_shows_what_is_said_meanwhile_and_ends_with_ctrl_c() {
    let lab = Lab::new();
    let mut follow = lab
        .edgesync_command(&["logs", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("its output")).lines();
    lab.edgesync(&["new", "a.fossil"]);
    let mut sees = |what: &str| {
        let found = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains(what));
        assert!(found, "{what}");
    };
    for _ in 0..2 {
        let agent = Agent::start(&lab, &["-R", "a.fossil"]);
        sees("the agent runs");
        agent.signal("TERM");
        assert_eq!(agent.exit_code(), Some(0));
    }
    let stopped = Command::new("kill")
        .args(["-INT", &follow.id().to_string()])
        .status();
    assert!(stopped.expect("kill runs").success());
    assert_eq!(follow.wait().expect("it ends").code(), Some(0));
}
