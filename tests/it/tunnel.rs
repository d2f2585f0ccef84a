//! Real agents that reach each other over the tunnel, by their keys: no address of a server is given to any of them.

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};

/// A tunnel on the loopback interface alone.
const TUNNEL: &[&str] = &["--iroh", "--no-relay", "--iroh-listen", "127.0.0.1:0"];

/// Starts an agent that trusts nobody but whom it lists as its peer.
pub(crate) fn start(place: &Place, number: usize, peer: Option<&str>, more: &[&str]) -> Agent {
    let listed = peer.map(|peer| ["--iroh-peer", peer]);
    let flags = [TUNNEL, listed.as_ref().map_or(&[], |it| it), more].concat();
    place.start(number, &flags)
}

/// Returns the homes of two agents that are told of nobody, and their ids.
pub(crate) fn two() -> (Place, Vec<String>) {
    let mut place = Place::new(2);
    let ids = std::mem::take(&mut place.ids);
    (place, ids)
}

/// Returns what an agent knows of the one with this id, `null` for nothing.
pub(crate) fn peer(agent: &Agent, id: &str) -> Value {
    let mesh = agent.mesh();
    let mut peers = mesh["peers"].as_array().expect("peers").iter();
    let known = peers.find(|peer| peer["endpoint_id"] == id);
    known.cloned().unwrap_or_default()
}

#[test]
fn two_that_list_each_other_are_equal_and_again_after_one_was_killed() {
    let (place, ids) = two();
    let first = start(&place, 0, Some(&ids[1]), &[]);
    let ticket = first.address("ticket").to_owned();
    assert_eq!(run(place.edgesync(0).arg("ticket")).trim(), ticket);
    assert_eq!(first.mesh()["ticket"], json!(ticket));
    let second = start(&place, 1, Some(&ticket), &[]);
    first.meets(1);
    second.meets(1);
    place.commit(0, "from-the-first");
    second.receives("from-the-first");
    place.commit(1, "from-the-second");
    first.receives("from-the-second");
    for (agent, other) in [(&first, &ids[1]), (&second, &ids[0])] {
        let is_direct = || {
            let peer = peer(agent, other);
            peer["link"] == "route" && peer["tunnel"]["path"] == "direct"
        };
        wait(is_direct);
        let peer = peer(agent, other);
        let address = peer["address"].as_str().expect("an address");
        assert!(address.starts_with("127.0.0.1:"), "{peer}");
        assert_eq!(peer["tunnel"]["address"], json!(address));
    }

    // It is killed, and says no good-bye.
    drop(second);
    place.commit(0, "while-the-second-is-away");
    let second = start(&place, 1, Some(&ticket), &[]);
    second.receives("while-the-second-is-away");
    place.commit(1, "from-the-second-again");
    first.receives("from-the-second-again");
}

#[test]
fn what_is_large_travels_on_streams_of_its_own() {
    let (place, ids) = two();
    let first = start(&place, 0, Some(&ids[1]), &[]);
    let ticket = first.address("ticket").to_owned();
    let second = start(&place, 1, Some(&ticket), &[]);
    first.meets(1);
    second.meets(1);
    place.commit_large(0, "large-from-the-first", 5_000_000);
    second.receives("large-from-the-first");
    place.commit_large(1, "large-from-the-second", 5_000_000);
    first.receives("large-from-the-second");
    for agent in [&first, &second] {
        let counters = &agent.mesh()["counters"];
        let (in_all, on_bus) = (&counters["pulls_over_tunnel"], &counters["bytes_in"]);
        assert!(in_all.as_u64() > Some(0), "{counters}");
        // What came on a stream did not come over the bus.
        assert!(on_bus.as_u64() < Some(1_000_000), "{counters}");
    }
}

#[test]
fn a_leaf_comes_over_the_tunnel_too() {
    let (place, ids) = two();
    let hub = start(&place, 0, Some(&ids[1]), &["--nats-role", "hub"]);
    let ticket = hub.address("ticket").to_owned();
    let leaf = start(&place, 1, Some(&ticket), &["--nats-role", "leaf"]);
    hub.meets(1);
    leaf.meets(1);
    place.commit(0, "from-the-hub");
    leaf.receives("from-the-hub");
    place.commit(1, "from-the-leaf");
    hub.receives("from-the-leaf");
    wait(|| {
        let peer = peer(&hub, &ids[1]);
        peer["link"] == "leaf" && peer["tunnel"]["path"] == "direct"
    });
}

#[test]
fn who_lists_one_that_does_not_list_it_gets_no_link_and_is_shown_there() {
    let (place, ids) = two();
    let first = start(&place, 0, None, &[]);
    let ticket = first.address("ticket").to_owned();
    let second = start(&place, 1, Some(&ticket), &[]);
    wait(|| second.mesh()["joins"][0]["state"]["kind"] == "error");
    let state = second.mesh()["joins"][0]["state"].clone();
    let hint = format!("List this agent there: --iroh-peer {}", ids[1]);
    assert_eq!(state["hint"], json!(hint), "{state}");
    wait(|| !peer(&first, &ids[1]).is_null());
    let pending = peer(&first, &ids[1]);
    assert_eq!(pending["trusted"], json!(false));
    assert_eq!(pending["link"], json!(null));
    assert_eq!(pending["state"]["kind"], json!("error"));
    // Trusted from now on, it is let in at its next try.
    first.api(
        "POST",
        "mesh/trusted",
        Some(&json!({ "endpoint_id": ids[1] })),
    );
    first.meets(1);
    wait(|| second.mesh()["joins"][0]["state"]["kind"] == "connected");
    // Not any more: the link that stands is cut.
    first.api("DELETE", &format!("mesh/trusted/{}", ids[1]), None);
    wait(|| second.mesh()["joins"][0]["state"]["kind"] != "connected");
}

#[test]
fn a_role_changes_over_the_tunnel_while_commits_flow() {
    let (place, ids) = two();
    let hub = start(&place, 0, Some(&ids[1]), &["--nats-role", "hub"]);
    let ticket = hub.address("ticket").to_owned();
    let changing = start(&place, 1, Some(&ticket), &[]);
    hub.meets(1);
    for (number, role) in ["leaf", "hub", "leaf", "peer"].into_iter().enumerate() {
        let mesh = changing.api("PUT", "mesh/role", Some(&json!({ "role": role })));
        assert_eq!(mesh["role"], json!(role));
        let comment = format!("commit-{number}");
        place.commit(0, &comment);
        changing.receives(&comment);
        let back = format!("back-{number}");
        place.commit(1, &back);
        hub.receives(&back);
        let link = if role == "leaf" { "leaf" } else { "route" };
        wait(|| {
            let peer = peer(&hub, &ids[1]);
            peer["link"] == link && peer["tunnel"]["path"] == "direct"
        });
    }
}

#[test]
fn what_another_offers_is_cloned_as_it_is_listed_and_stays_equal() {
    let (place, ids) = two();
    // The second has another project.
    let own = place.repository(1);
    std::fs::remove_file(&own).expect("removed");
    run(place
        .fossil()
        .args(["new", "--admin-user", "ada"])
        .arg(&own));
    let first = start(&place, 0, Some(&ids[1]), &[]);
    let ticket = first.address("ticket").to_owned();
    let second = start(&place, 1, Some(&ticket), &[]);
    place.commit(0, "before");
    let listed = || run(place.edgesync(1).args(["peers", "--repos"]));
    wait(|| listed().contains("/project"));
    let listed = listed();
    let address = listed.split_whitespace().find(|it| it.starts_with("iroh:"));
    let address = address.expect("an address");
    let clone = |address: &str, more: &[&str]| {
        let mut command = place.edgesync(1);
        command.args(["clone", address]).args(more);
        command.arg(place.home(1).join("cloned.fossil"));
        command
    };
    for (address, more, why) in [
        ("iroh:nobody/project", &[][..], "no agent is called nobody"),
        ("iroh:project", &[], "iroh:PEER/REPOSITORY"),
        (
            &address.replace("/project", "/other"),
            &[],
            "offers no repository called other",
        ),
        (
            address,
            &["--once"],
            "are not for the repository of another agent",
        ),
    ] {
        let refused = clone(address, more).output().expect("it runs");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(why), "{said}");
    }
    let said = run(&mut clone(address, &[]));
    assert!(said.contains("keeps it equal as cloned"), "{said}");
    let mut again = place.edgesync(1);
    again
        .args(["clone", address])
        .arg(place.home(1).join("again.fossil"));
    let again = again.output().expect("it runs");
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(
        said.contains("cloned of this agent has the project"),
        "{said}"
    );
    let holds = |comment: &str| {
        let file = place.home(1).join("cloned.fossil");
        let timeline = ["timeline", "-t", "ci", "-n", "0", "-R"];
        run(place.fossil().args(timeline).arg(file)).contains(comment)
    };
    assert!(holds("before"));
    place.commit(0, "after");
    wait(|| holds("after"));
    drop(second);
}

#[test]
fn a_tunnel_is_switched_on_changed_and_off_while_the_agent_runs_and_stays_so() {
    let (place, ids) = two();
    let first = start(&place, 0, Some(&ids[1]), &[]);
    let ticket = first.address("ticket").to_owned();
    // Without a flag there is no tunnel, and whom it would lead to is not dialled.
    let listed = ["--trust", &ids[0]];
    let second = place.start(1, &listed);
    let join = json!({ "url": format!("iroh:{ticket}") });
    second.api("POST", "mesh/joins", Some(&join));
    let mesh = second.mesh();
    assert_eq!(mesh["tunnel"]["on"], json!(false), "{mesh}");
    assert_eq!(
        mesh["joins"][0]["state"]["message"],
        json!("the tunnel is off")
    );
    assert_eq!(mesh["ticket"], json!(null));

    let switch = |agent: &Agent, wish: Value| agent.api("PUT", "mesh/tunnel", Some(&wish));
    let mesh = switch(&second, json!({ "on": true }));
    assert_eq!(
        mesh["tunnel"],
        json!({ "on": true, "from": "app", "public": false, "relays": [], "lan": false })
    );
    second.meets(1);
    let is_direct = |agent: &Agent| peer(agent, &ids[0])["tunnel"]["path"] == "direct";
    wait(|| is_direct(&second));
    place.commit(0, "over-the-new-tunnel");
    second.receives("over-the-new-tunnel");

    // It is made anew with a relay, which nobody answers at here; links stand again.
    let relays = json!(["http://127.0.0.1:9/"]);
    let mesh = switch(&second, json!({ "on": true, "relays": relays }));
    assert_eq!(mesh["tunnel"]["relays"], relays);
    place.commit(0, "over-the-changed-tunnel");
    second.receives("over-the-changed-tunnel");
    let wrong = json!({ "on": true, "relays": ["ftp://relay"] });
    let refused = second.refused("PUT", "mesh/tunnel", &wrong);
    assert_eq!(refused["code"], json!("bad_request"), "{refused}");

    // Off: the links end on both sides, and commits wait.
    switch(&second, json!({ "on": false }));
    wait(|| peer(&first, &ids[1])["tunnel"].is_null());
    assert_eq!(second.mesh()["joins"][0]["state"]["kind"], json!("unused"));
    second.stop();
    let second = place.start(1, &listed);
    assert_eq!(second.mesh()["tunnel"]["on"], json!(false));
    switch(&second, json!({ "on": true }));
    second.stop();
    place.commit(0, "while-the-second-is-away");
    let second = place.start(1, &listed);
    second.receives("while-the-second-is-away");
    assert_eq!(second.mesh()["tunnel"]["from"], json!("app"));
}

#[test]
fn a_leaf_answers_on_streams_only_those_that_it_has_joined() {
    let (place, ids) = two();
    let clones = place.repository(1);
    std::fs::remove_file(&clones).expect("removed");
    run(place
        .fossil()
        .args(["new", "--admin-user", "ada"])
        .arg(&clones));
    // It trusts the other and has not joined it.
    let leaf = start(
        &place,
        0,
        None,
        &["--nats-role", "leaf", "--trust", &ids[1]],
    );
    let ticket = leaf.address("ticket").to_owned();
    let status = leaf.api("GET", "status", None);
    let code = status["repositories"][0]["project_code"].clone();
    let other = start(&place, 1, None, &["--trust", &ids[0]]);
    let clone = |file: &str| {
        let address = format!("iroh:{ticket}/{}", code.as_str().expect("a code"));
        let file = place.home(1).join(file);
        let mut command = place.edgesync(1);
        command.args(["clone", &address]).arg(file);
        command.output().expect("it runs")
    };
    let refused = clone("of-the-leaf.fossil");
    assert!(!refused.status.success(), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("A leaf answers only"), "{told}");
    // The same request is answered once it is no leaf.
    leaf.api("PUT", "mesh/role", Some(&json!({ "role": "peer" })));
    let cloned = clone("of-the-peer.fossil");
    assert!(cloned.status.success(), "{cloned:?}");
    drop(other);
}
