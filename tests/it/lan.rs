//! Agents on one network that are told of each other's ids alone, and find each other by mDNS, or must not. Each test runs on machines of its own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use data_encoding::BASE32_NOPAD;
use mdns_sd::{IfKind, MDNS_PORT, ServiceDaemon, ServiceInfo};
use serde_json::{Value, json};

use crate::listeners::{ports, told};
use crate::machines::{is_inside, on, wait_on};
use crate::mesh::{Agent, Place};
use crate::tunnel::peer;

/// Three machines at one switch. None has a way out of that network.
const BUILD: &str = r#"
ip netns add switch
ip -n switch link add net type bridge
ip -n switch link set net up
for x in a b c; do
  case $x in a) n=1 ;; b) n=2 ;; c) n=3 ;; esac
  ip netns add $x
  ip -n $x link set lo up
  ip link add eth netns $x type veth peer name to-$x netns switch
  ip -n switch link set to-$x master net up
  ip -n $x address add 192.168.77.$n/24 dev eth
  ip -n $x link set eth up
done
"#;

/// The machines, by the numbers of the agents on them.
const MACHINES: [&str; 3] = ["a", "b", "c"];

/// A tunnel that meets nobody but by an address.
const TUNNEL: &[&str] = &["--iroh", "--no-relay"];

/// The same, on the network as well.
const FOUND: &[&str] = &["--iroh", "--no-relay", "--iroh-lan"];

/// Starts an agent on its machine; it trusts all others of the place.
fn start(place: &Place, number: usize, flags: &[&str]) -> Agent {
    on(MACHINES[number], || place.start(number, flags))
}

/// The joins that an agent made because of what it heard on the network.
fn found(agent: &Agent) -> Vec<Value> {
    let joins = agent.mesh()["joins"].clone();
    let joins = joins.as_array().expect("joins").iter();
    let found = joins.filter(|join| join["from"] == "network");
    found.cloned().collect()
}

/// Whether one of these leads to that agent.
fn joins(agent: &Agent, id: &str) -> bool {
    let url = json!(format!("iroh:{id}"));
    found(agent).iter().any(|join| join["url"] == url)
}

/// Waits until two agents have a direct link over the tunnel, each in its own view.
fn wait_for_link(place: &Place, agents: [(usize, &Agent); 2]) {
    for ([(number, agent), (other, _)], _) in [(agents, ()), ([agents[1], agents[0]], ())] {
        wait_on(MACHINES[number], || {
            let peer = peer(agent, &place.ids[other]);
            peer["tunnel"]["path"] == "direct" && peer["repositories"] == json!(["project"])
        });
    }
}

fn listens_for_others(agent: &Agent) -> bool {
    ports(agent.process_id()).contains(&(MDNS_PORT, false))
}

#[test]
fn trusted_agents_on_one_network_find_each_other_by_their_ids_alone_and_only_where_that_is_wanted()
{
    if !is_inside(
        "lan::trusted_agents_on_one_network_find_each_other_by_their_ids_alone_and_only_where_that_is_wanted",
        BUILD,
    ) {
        return;
    }
    let place = Place::new(3);
    let silent = start(&place, 1, TUNNEL);
    let one = start(&place, 0, FOUND);
    let other = start(&place, 2, FOUND);
    wait_for_link(&place, [(0, &one), (2, &other)]);
    place.commit(0, "from-the-one");
    other.receives("from-the-one");
    place.commit(2, "from-the-other");
    one.receives("from-the-other");

    // The third, which was there all the time, neither tells nor hears.
    on("b", || {
        assert_eq!(silent.mesh()["peers"], json!([]));
        assert_eq!(silent.mesh()["joins"], json!([]));
        assert!(!listens_for_others(&silent));
        assert_eq!(told(&place, 1), ports(silent.process_id()));
    });
    on("a", || {
        assert!(peer(&one, &place.ids[1]).is_null());
        assert!(listens_for_others(&one));
        assert_eq!(told(&place, 0), ports(one.process_id()));
    });

    // Switched on there, it meets both.
    let switch = |lan: bool| {
        let wish = json!({ "on": true, "lan": lan });
        let mesh = on("b", || silent.api("PUT", "mesh/tunnel", Some(&wish)));
        assert_eq!(mesh["tunnel"]["lan"], json!(lan));
    };
    switch(true);
    wait_for_link(&place, [(0, &one), (1, &silent)]);
    wait_for_link(&place, [(2, &other), (1, &silent)]);
    place.commit(1, "from-the-third");
    one.receives("from-the-third");
    switch(false);
    assert!(!listens_for_others(&silent));
    wait_on("b", || found(&silent).is_empty());
    // Its link stands, whatever it says no more; when it has gone, nobody looks for it.
    on("b", || silent.stop());
    wait_on("a", || !joins(&one, &place.ids[1]));
}

#[test]
fn who_is_not_trusted_is_heard_and_gets_nothing() {
    if !is_inside("lan::who_is_not_trusted_is_heard_and_gets_nothing", BUILD) {
        return;
    }
    let (place, strangers) = (Place::new(2), Place::new(1));
    let trusting: Vec<&str> = place.ids.iter().flat_map(|id| ["--trust", id]).collect();
    let stranger = on("c", || strangers.start(0, &[FOUND, &trusting].concat()));
    let one = start(&place, 0, FOUND);
    let other = start(&place, 1, FOUND);
    wait_for_link(&place, [(0, &one), (1, &other)]);
    // It found both, and both turned it away.
    wait_on("c", || {
        let found = found(&stranger);
        found.len() == 2 && found.iter().all(|join| join["state"]["kind"] == "error")
    });
    for (machine, agent) in [("a", &one), ("b", &other)] {
        on(machine, || {
            assert!(!joins(agent, &strangers.ids[0]));
            let seen = peer(agent, &strangers.ids[0]);
            assert_eq!(
                [&seen["trusted"], &seen["link"]],
                [&json!(false), &json!(null)]
            );
        });
    }
    on("c", || assert_eq!(stranger.mesh()["peers"], json!([])));
    // Trusted from now on, it is joined without a new word of its own.
    let wish = json!({ "endpoint_id": strangers.ids[0] });
    on("a", || one.api("POST", "mesh/trusted", Some(&wish)));
    wait_on("a", || {
        peer(&one, &strangers.ids[0])["tunnel"]["path"] == "direct"
    });
    // Of one that is heard for certain the join ends with the trust, and does not come back when it is looked anew whom to join.
    let trusted = format!("mesh/trusted/{}", strangers.ids[0]);
    on("a", || {
        one.api("DELETE", &trusted, None);
        one.api("PUT", "mesh/role", Some(&json!({ "role": "peer" })));
        assert!(!joins(&one, &strangers.ids[0]));
    });
}

/// Says on machine `c` that the agent with this id listens at a port there.
fn lie(id: &str, port: u16) -> ServiceDaemon {
    let id = data_encoding::HEXLOWER
        .decode(id.as_bytes())
        .expect("an id");
    let name = BASE32_NOPAD.encode(&id).to_lowercase();
    let address = Ipv4Addr::new(192, 168, 77, 3).to_string();
    let role = [("role", "peer")];
    let service = ServiceInfo::new(
        "_edgesync._udp.local.",
        &name,
        "liar.local.",
        address.as_str(),
        port,
        &role[..],
    );
    let mut service = service.expect("a service");
    service.set_requires_probe(false);
    let daemon = ServiceDaemon::new().expect("a daemon");
    let loopback = vec![IfKind::LoopbackV4, IfKind::LoopbackV6];
    daemon.disable_interface(loopback).expect("off");
    daemon.register(service).expect("told");
    daemon
}

#[test]
fn a_lie_about_where_a_trusted_agent_is_leads_nowhere() {
    if !is_inside(
        "lan::a_lie_about_where_a_trusted_agent_is_leads_nowhere",
        BUILD,
    ) {
        return;
    }
    let (place, strangers) = (Place::new(2), Place::new(1));
    // Whoever lies has an agent of its own there, with another key.
    let stranger = on("c", || strangers.start(0, TUNNEL));
    let known: BTreeSet<(u16, bool)> = ports(stranger.process_id());
    let (port, _) = known
        .into_iter()
        .find(|(_, local)| !local)
        .expect("the tunnel");
    let liar = on("c", || lie(&place.ids[1], port));
    let one = start(&place, 0, FOUND);
    wait_on("a", || {
        let found = found(&one);
        found.iter().any(|join| {
            let state = &join["state"];
            let why = state["message"].as_str().unwrap_or_default();
            state["kind"] == "error" && !why.contains("not known where")
        })
    });
    on("a", || assert_eq!(one.mesh()["peers"], json!([])));
    on("c", || assert_eq!(stranger.mesh()["peers"], json!([])));
    // The right one comes, while the lie is still told.
    let other = start(&place, 1, FOUND);
    wait_for_link(&place, [(0, &one), (1, &other)]);
    place.commit(0, "to-the-right-one");
    other.receives("to-the-right-one");
    on("c", || assert_eq!(stranger.mesh()["peers"], json!([])));
    liar.shutdown().expect("it ends");
}
