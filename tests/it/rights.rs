//! Who may only read in another agent's repository: what it checks in stays with it, and it is told so, with what to do.

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::stock_nats::Port;

fn state(agent: &Agent) -> Value {
    agent.api("GET", "status", None)["repositories"][0]["state"].clone()
}

fn is(agent: &Agent, kind: &str) -> bool {
    state(agent)["kind"] == kind
}

#[test]
fn what_the_other_does_not_take_is_said_to_stay_here_until_the_other_gives_the_right_to_write() {
    let mut place = Place::new(2);
    let ids = std::mem::take(&mut place.ids);
    let port = Port::new();
    let listen = format!("127.0.0.1:{}", port.number);
    let listen = ["--route-listen", &listen];
    // It trusts nobody by a flag.
    let owner = place.start(0, &listen);
    let reads = json!({ "endpoint_id": ids[1], "capabilities": "go" });
    owner.api("POST", "mesh/trusted", Some(&reads));
    place.ids = ids;
    let reader = place.start(1, &["--join", owner.address("route")]);
    reader.meets(1);
    wait(|| is(&reader, "up_to_date"));
    place.commit(1, "of-the-reader");
    wait(|| is(&reader, "kept"));
    let kept = state(&reader);
    let command = format!("edgesync sync start --trust {}", place.ids[1]);
    let told = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
    assert!(told("hint").contains(&command), "{kept}");
    let status = || run(place.edgesync(1).args(["sync", "status"]));
    for words in ["changes stay here: ", &told("message"), &command] {
        assert!(status().contains(words), "{words}: {}", status());
    }
    // What the other has comes all the same, and counts as an exchange.
    place.commit(0, "of-the-owner");
    reader.receives("of-the-owner");
    let exchanged = || reader.mesh()["peers"][0]["last_ok"].clone();
    wait(|| exchanged().is_string() && is(&reader, "kept"));
    assert_eq!(state(&reader)["at"], exchanged());
    assert!(!owner.holds("of-the-reader"));
    // Nothing is different when the other has gone, and what the hint says ends it.
    owner.stop();
    wait(|| reader.mesh()["peers"][0]["state"]["kind"] == "gone");
    assert!(is(&reader, "kept"), "{}", state(&reader));
    let owner = place.start(0, &listen);
    owner.receives("of-the-reader");
    wait(|| is(&reader, "up_to_date"));
}
