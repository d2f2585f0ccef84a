//! What real agents show of each other when the way between them goes: who is gone is said to be so, with the time of its last word, and nothing is
//! called up to date on a younger word than was heard.

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::tunnel::peer;

/// Looks at an agent's status, and returns how its repository stands, which has no younger age than the last word or exchange of any peer.
fn honest_state(agent: &Agent) -> Value {
    let status = agent.api("GET", "status", None);
    let state = status["repositories"][0]["state"].clone();
    // Asked afterwards: what was said by then was so before as well.
    let mesh = agent.mesh();
    let peers = mesh["peers"].as_array().expect("peers").iter();
    let proofs = peers.flat_map(|it| [&it["heard_at"], &it["last_ok"]]);
    let last = proofs.filter_map(Value::as_str).max();
    if state["kind"] == "up_to_date" {
        let at = state["at"].as_str();
        assert!(at.is_some() && at <= last, "{state}: {mesh}");
    }
    state
}

/// Waits until `of` is in this state for the agent, and returns what it knows of it.
fn sees(agent: &Agent, of: &str, kind: &str) -> Value {
    wait(|| {
        honest_state(agent);
        peer(agent, of)["state"]["kind"] == kind
    });
    peer(agent, of)
}

/// Waits until `of` has gone for the agent. It is said to be so since its last word, which is not younger than what was heard while the way stood.
fn sees_gone(agent: &Agent, of: &str, before: &Value) -> Value {
    let gone = sees(agent, of, "gone");
    assert_eq!(gone["state"]["since"], gone["heard_at"], "{gone}");
    assert!(gone["heard_at"].as_str() >= before["heard_at"].as_str());
    assert_eq!(gone["link"], Value::Null);
    assert_eq!(gone["available"], json!([]));
    gone
}

#[test]
fn leaves_whose_hub_is_killed_show_each_other_and_it_as_gone_until_it_is_there_again() {
    let place = Place::new(3);
    let hub = place.start(0, &["--nats-role", "hub"]);
    let address = hub.address("leaf").to_owned();
    let flags = ["--nats-role", "leaf", "--join", &address];
    let leaves = [1, 2].map(|number| place.start(number, &flags));
    let others = [&place.ids[2], &place.ids[1]];
    for leaf in &leaves {
        leaf.meets(2);
        wait(|| honest_state(leaf)["kind"] == "up_to_date");
    }
    let before = [0, 1].map(|it| sees(&leaves[it], others[it], "connected"));

    // It is killed, and says no good-bye.
    drop(hub);
    for (leaf, (other, before)) in leaves.iter().zip(others.iter().zip(&before)) {
        let gone = sees_gone(leaf, other, before);
        sees(leaf, &place.ids[0], "gone");
        let state = honest_state(leaf);
        // Asked for, it is no younger.
        leaf.api("POST", "sync", None);
        assert_eq!(honest_state(leaf), state);
        assert_eq!(sees(leaf, other, "gone")["state"], gone["state"]);
    }
    let listed = run(place.edgesync(1).arg("peers"));
    assert_eq!(listed.matches("silent for").count(), 2, "{listed}");
    let status = run(place.edgesync(1).args(["sync", "status"]));
    assert!(status.contains("0 of 2 peers connected"), "{status}");
    assert_eq!(status.matches(": silent for").count(), 2, "{status}");

    let port = address.trim_start_matches("nats-leaf://");
    let hub = place.start(0, &["--nats-role", "hub", "--leaf-listen", port]);
    for (leaf, other) in leaves.iter().zip(others) {
        sees(leaf, other, "connected");
        sees(leaf, &place.ids[0], "connected");
        wait(|| honest_state(leaf)["kind"] == "up_to_date");
    }
    hub.stop();
}

#[test]
fn a_peer_whose_link_is_cut_or_that_stops_is_gone_until_it_is_there_again() {
    let place = Place::new(2);
    let ids = &place.ids;
    let first = place.start(0, &[]);
    let second = place.start(1, &[]);
    let join = json!({ "url": first.address("route") });
    let link = || second.api("POST", "mesh/joins", Some(&join))["id"].clone();
    let cut = link();
    let before = sees(&first, &ids[1], "connected");
    first.meets(1);
    second.meets(1);

    let id = cut.as_str().expect("an id");
    second.api("DELETE", &format!("mesh/joins/{id}"), None);
    sees_gone(&first, &ids[1], &before);
    sees(&second, &ids[0], "gone");
    link();
    sees(&second, &ids[0], "connected");
    let before = sees(&first, &ids[1], "connected");
    first.meets(1);

    // It says good-bye.
    second.stop();
    sees_gone(&first, &ids[1], &before);
    let second = place.start(1, &["--join", first.address("route")]);
    sees(&first, &ids[1], "connected");
    sees(&second, &ids[0], "connected");
}

#[test]
fn who_loses_its_rights_is_not_shown_as_gone() {
    let place = Place::new(1);
    let other = Place::new(1);
    std::fs::copy(place.repository(0), other.repository(0)).expect("copied");
    let first = place.start(0, &[]);
    let id = &other.ids[0];
    first.api("POST", "mesh/trusted", Some(&json!({ "endpoint_id": id })));
    let flags = ["--trust", &place.ids[0], "--join", first.address("route")];
    let second = other.start(0, &flags);
    first.meets(1);
    drop(second);
    sees(&first, id, "gone");
    first.api("DELETE", &format!("mesh/trusted/{id}"), None);
    assert_eq!(peer(&first, id), Value::Null);
}
