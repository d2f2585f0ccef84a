//! Agents of one user on one machine that find each other by the runtime directory, and those that must not.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, wait};

/// Starts an agent whose runtime directory is `runtime`; it trusts all others of the place.
fn start(place: &Place, runtime: &Path, number: usize, flags: &[&str]) -> Agent {
    let mut command = place.edgesync(number);
    command.env("XDG_RUNTIME_DIR", runtime);
    place.start_by(command, &["sync", "start"], number, flags)
}

fn runtime() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The joins that the agent made by itself.
fn found(agent: &Agent) -> Vec<Value> {
    let joins = agent.mesh()["joins"].clone();
    let joins = joins.as_array().expect("joins").iter();
    joins
        .filter(|join| join["from"] == "machine")
        .cloned()
        .collect()
}

fn stands(agent: &Agent) {
    wait(|| {
        let found = found(agent);
        !found.is_empty()
            && found
                .iter()
                .all(|join| join["state"]["kind"] == "connected")
    });
}

#[test]
fn trusted_agents_on_one_machine_join_without_being_told_whatever_their_roles_are() {
    for (first, second) in [("peer", "peer"), ("peer", "leaf"), ("hub", "peer")] {
        let (place, runtime) = (Place::new(2), runtime());
        let role = |role| ["--nats-role", role];
        let one = start(&place, runtime.path(), 0, &role(first));
        let other = start(&place, runtime.path(), 1, &role(second));
        for agent in [&one, &other] {
            agent.meets(1);
        }
        place.commit(0, "from-the-one");
        other.receives("from-the-one");
        place.commit(1, "from-the-other");
        one.receives("from-the-other");
    }
}

#[test]
fn one_that_is_killed_is_joined_again_when_it_is_back_at_another_port() {
    let (place, runtime) = (Place::new(2), runtime());
    let one = start(&place, runtime.path(), 0, &[]);
    let other = start(&place, runtime.path(), 1, &[]);
    stands(&one);
    let id = other.process_id().to_string();
    let killed = Command::new("kill").args(["-s", "KILL", &id]).status();
    assert!(killed.expect("kill runs").success());
    drop(other);
    let file = format!("edgesync/agents/{}.json", place.ids[1]);
    assert!(runtime.path().join(&file).exists(), "it left its file");
    let other = start(&place, runtime.path(), 1, &[]);
    stands(&one);
    place.commit(1, "back-again");
    one.receives("back-again");
    other.stop();
    assert!(
        !runtime.path().join(&file).exists(),
        "it took its file back"
    );
    wait(|| found(&one).is_empty());
}

#[test]
fn one_that_is_not_trusted_or_does_not_want_it_is_not_joined() {
    let (place, shared) = (Place::new(3), runtime());
    let one = start(&place, shared.path(), 0, &[]);
    let other = start(&place, shared.path(), 1, &[]);
    let apart = start(&place, shared.path(), 2, &["--no-neighbours"]);
    stands(&one);
    assert_eq!(found(&one).len(), 1, "{:?}", found(&one));
    assert!(found(&apart).is_empty());
    // A stranger, who finds the same folder.
    let strange = Place::new(1);
    let stranger = start(&strange, shared.path(), 0, &[]);
    let path = format!("edgesync/agents/{}.json", strange.ids[0]);
    wait(|| shared.path().join(&path).exists());
    for agent in [&one, &other] {
        let wish = json!({ "endpoint_id": strange.ids[0] });
        agent.api("POST", "mesh/trusted", Some(&wish));
    }
    // Trusted by them, it is joined; since it does not trust them, it lets nobody in.
    wait(|| found(&one).len() + found(&other).len() > 2);
    assert!(found(&stranger).is_empty());
    assert_eq!(stranger.mesh()["peers"], json!([]));
}

#[test]
fn one_that_was_told_whose_leaf_it_is_keeps_to_that() {
    let (place, runtime) = (Place::new(2), runtime());
    let one = start(&place, runtime.path(), 0, &[]);
    let told = start(&place, runtime.path(), 1, &["--join", one.address("leaf")]);
    told.meets(1);
    one.meets(1);
    let file = runtime
        .path()
        .join(format!("edgesync/agents/{}.json", place.ids[1]));
    assert!(!file.exists());
    place.commit(0, "to-the-leaf");
    told.receives("to-the-leaf");
    assert!(found(&one).is_empty() && found(&told).is_empty());
}

#[test]
fn one_repository_file_in_two_agents_is_told_by_the_second_and_by_the_doctor_of_each() {
    let (place, runtime) = (Place::new(2), runtime());
    let one = start(&place, runtime.path(), 0, &[]);
    let file = place.repository(0);
    let file = file.to_str().expect("text");
    let other = start(&place, runtime.path(), 1, &["-R", file]);
    let doctor = |number| {
        let mut command = place.edgesync(number);
        command.env("XDG_RUNTIME_DIR", runtime.path());
        let report = command
            .args(["doctor", "--json"])
            .output()
            .expect("it runs");
        let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
        let checks = report["checks"].as_array().expect("checks").clone();
        let told = |check: &Value| {
            check["message"]
                .as_str()
                .is_some_and(|it| it.contains("another agent"))
        };
        checks.into_iter().filter(told).collect::<Vec<_>>()
    };
    for (number, its) in [(0, &other), (1, &one)] {
        let told = doctor(number);
        let [check] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!(check["verdict"], "warn");
        let message = check["message"].as_str().expect("a message");
        let process = format!("process {}", its.process_id());
        assert!(
            message.contains(file) && message.contains(&process),
            "{message}"
        );
    }
    let id = one.process_id().to_string();
    let killed = Command::new("kill").args(["-s", "KILL", &id]).status();
    assert!(killed.expect("kill runs").success());
    wait(|| doctor(1).is_empty());
}

#[test]
fn who_wants_to_be_the_leaf_of_one_that_is_joined_already_is_told_what_to_do() {
    let (place, runtime) = (Place::new(2), runtime());
    let one = start(&place, runtime.path(), 0, &[]);
    let other = start(&place, runtime.path(), 1, &[]);
    stands(&one);
    let wish = json!({ "url": other.address("leaf") });
    let refused = one.refused("POST", "mesh/joins", &wish);
    assert_eq!(refused["code"], json!("conflict"), "{refused}");
    let hint = refused["hint"].as_str().expect("a hint");
    assert!(hint.contains("--no-neighbours"), "{hint}");
    // So started, it may: it is in no cluster that the other is in.
    one.stop();
    let one = start(&place, runtime.path(), 0, &["--no-neighbours"]);
    let wish = json!({ "url": other.address("leaf") });
    one.api("POST", "mesh/joins", Some(&wish));
    wait(|| one.mesh()["joins"][0]["state"]["kind"] == "connected");
}
