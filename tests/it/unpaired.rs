//! Real agents of which one has unpaired the other: what each of the two says of it, whichever dials, over each way that there is.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::pairing::pair;
use crate::tunnel::{peer, start, two};

/// Returns two agents that were paired, and their ids. They have a tunnel, and a link over it.
fn paired() -> (Place, Vec<String>, [Agent; 2]) {
    let (place, ids) = two();
    let agents = [0, 1].map(|number| start(&place, number, None, &[]));
    pair(&agents[0], &agents[1]);
    agents[0].meets(1);
    agents[1].meets(1);
    (place, ids, agents)
}

/// Returns what an agent says of a join that leads to another, once that is over.
fn join_error(agent: &Agent) -> Value {
    let error = || {
        let mesh = agent.mesh();
        let joins = mesh["joins"].as_array().expect("joins").clone();
        let states = joins.iter().map(|join| &join["state"]);
        let mut parted = states.filter(|state| state["code"] == "unpaired").cloned();
        parted.next()
    };
    wait(|| error().is_some());
    error().expect("an error")
}

/// Asserts what a failed link, or a failed pairing, says.
fn says(text: &Value, who: &str, whom: &str) {
    let text = text.as_str().expect("words");
    let (first, second) = text.split_once(" has unpaired ").expect("who did it");
    let is = |of: &str| match of {
        "this agent" => |name: &str| name.starts_with("this agent"),
        _ => |name: &str| !name.starts_with("this agent"),
    };
    assert!(is(who)(first) && is(whom)(second), "{text}");
}

/// Asserts that an agent says that the one of this id has unpaired it, at the peer as well, and in the terminal.
fn was_unpaired(place: &Place, number: usize, agent: &Agent, by: &str) {
    let state = || peer(agent, by)["state"].clone();
    wait(|| state()["code"] == "unpaired");
    let state = state();
    says(&state["message"], "the other", "this agent");
    let hint = state["hint"].as_str().expect("what to do");
    assert!(
        hint.contains("edgesync offer there, edgesync join here"),
        "{hint}"
    );
    for command in [&["sync", "status"][..], &["peers"]] {
        let text = run(place.edgesync(number).args(command));
        assert!(
            text.contains("has unpaired this agent")
                && text.contains("give this agent a new identity"),
            "{text}"
        );
        assert!(
            !text.contains("--trust") && !text.contains("--iroh-peer"),
            "{text}"
        );
    }
}

#[test]
fn over_the_tunnel_both_say_which_of_the_two_has_unpaired_the_other() {
    // Who has asked for the pairing dials, and both dial as members: each of the two is the one that ends it once.
    for (who, whom) in [(0, 1), (1, 0)] {
        let (place, ids, agents) = paired();
        run(place.edgesync(who).args(["unpair", &ids[whom]]));
        was_unpaired(&place, whom, &agents[whom], &ids[who]);
        let error = join_error(&agents[whom]);
        says(&error["message"], "the other", "this agent");
        // It is told again by one that dials there, and by nothing that it remembers.
        let [first, second] = agents;
        let (stays, goes) = if who == 0 {
            (first, second)
        } else {
            (second, first)
        };
        goes.stop();
        let back = start(&place, whom, None, &[]);
        was_unpaired(&place, whom, &back, &ids[who]);
        // Who has unpaired it does not dial it, whoever says so.
        let url = json!({ "url": format!("iroh:{}", ids[whom]) });
        stays.api("POST", "mesh/joins", Some(&url));
        let error = join_error(&stays);
        says(&error["message"], "this agent", "the other");
        let hint = error["hint"].as_str().expect("what to do");
        assert!(hint.contains("give that agent a new identity"), "{hint}");
        let trust = json!({ "endpoint_id": ids[whom] });
        let refused = stays.refused("POST", "mesh/trusted", &trust);
        assert_eq!(refused["code"], "unpaired", "{refused}");
        stays.stop();
        let listed = start(&place, who, Some(&ids[whom]), &[]);
        says(&join_error(&listed)["message"], "this agent", "the other");
        assert_eq!(
            listed.api("GET", "mesh/pairing", None)["pending"],
            json!([])
        );
    }
}

/// Has two that were paired meet by TCP alone, the second at the address `kind` of the first, and the first unpair the second.
fn unpaired_by_tcp(kind: &str) {
    let (place, ids, agents) = paired();
    agents.into_iter().for_each(Agent::stop);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address(kind)]);
    first.meets(1);
    second.meets(1);
    run(place.edgesync(0).args(["unpair", &ids[1]]));
    was_unpaired(&place, 1, &second, &ids[0]);
    says(&join_error(&second)["message"], "the other", "this agent");
    second.stop();
    // One that dials for the first time hears it as well.
    let second = place.start(1, &["--join", first.address(kind)]);
    was_unpaired(&place, 1, &second, &ids[0]);
}

/// Has the one that has unpaired the other dial it at its address `kind`.
fn dialled_by_tcp(kind: &str) -> (Place, Vec<String>, Agent) {
    let (place, ids, agents) = paired();
    run(place.edgesync(0).args(["unpair", &ids[1]]));
    agents.into_iter().for_each(Agent::stop);
    let second = place.start(1, &[]);
    let first = place.start(0, &["--join", second.address(kind)]);
    says(&join_error(&first)["message"], "this agent", "the other");
    // The link is gone for good.
    wait(|| {
        second.mesh()["peers"]
            .as_array()
            .is_some_and(|all| all.iter().all(|it| it["link"].is_null()))
    });
    assert!(peer(&first, &ids[1]).is_null(), "{}", first.mesh());
    (place, ids, second)
}

#[test]
fn over_a_route_both_say_which_of_the_two_has_unpaired_the_other() {
    unpaired_by_tcp("route");
    let (place, ids, second) = dialled_by_tcp("route");
    was_unpaired(&place, 1, &second, &ids[0]);
}

#[test]
fn over_a_leafnode_link_both_say_which_of_the_two_has_unpaired_the_other() {
    unpaired_by_tcp("leaf");
    dialled_by_tcp("leaf");
}

/// Asserts that a command that pairs has ended with what its last line says, and that the agent says the same.
fn is_refused(status: std::process::ExitStatus, last: &str, who: &str, whom: &str) {
    let error: Value = serde_json::from_str(last).expect("JSON");
    let error = &error["error"];
    assert_eq!(
        (status.code(), &error["code"]),
        (Some(3), &json!("refused"))
    );
    says(&error["message"], who, whom);
    let message = error["message"].as_str().expect("words");
    assert!(message.contains("a new identity"), "{message}");
}

#[test]
fn two_of_which_one_has_unpaired_the_other_are_not_paired_and_both_are_told_whoever_offers() {
    let (place, ids, agents) = paired();
    run(place.edgesync(0).args(["unpair", &ids[1]]));
    was_unpaired(&place, 1, &agents[1], &ids[0]);
    let words = [("this agent", "the other"), ("the other", "this agent")];
    for (host, guest) in [(0, 1), (1, 0)] {
        let mut offering = place
            .edgesync(host)
            .args(["offer", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(offering.stdout.take().expect("its output")).lines();
        let made = lines.next().expect("a line").expect("text");
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let url = made["url"].as_str().expect("a link");
        let mut joining = place.edgesync(guest);
        let joined = joining.args(["join", url, "--json"]).stdin(Stdio::null());
        let joined = joined.output().expect("it runs");
        let last = String::from_utf8_lossy(&joined.stdout);
        let last = last.lines().last().expect("a line");
        is_refused(joined.status, last, words[guest].0, words[guest].1);
        let last = lines.map_while(Result::ok).last().expect("a line");
        let status = offering.wait().expect("it ends");
        is_refused(status, &last, words[host].0, words[host].1);
    }
    // Who only knocks ends nobody's offer.
    let ticket = agents[0].address("ticket");
    let made = agents[0].api("POST", "mesh/pairing/offer", None);
    assert!(made["url"].is_string());
    let mut knocking = place.edgesync(1);
    let knocked = knocking
        .args(["join", ticket, "--json"])
        .stdin(Stdio::null());
    let knocked = knocked.output().expect("it runs");
    assert_eq!(knocked.status.code(), Some(3));
    let pairing = agents[0].api("GET", "mesh/pairing", None);
    assert!(pairing["offer"].is_object(), "{pairing}");

    // What it is told to do makes the two members again.
    let [first, second] = agents;
    second.stop();
    let key = place.home(1).join("identity.key");
    std::fs::rename(&key, key.with_extension("old")).expect("moved");
    let second = start(&place, 1, None, &[]);
    pair(&first, &second);
    first.meets(1);
    place.commit(0, "to-the-new-identity");
    second.receives("to-the-new-identity");
}
