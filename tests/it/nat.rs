//! Two agents that know nothing of each other but their ids, behind NATs, with a relay: which way their packets take, and that what one commits is
//! at the other whatever happens to the way. Each test runs in network namespaces, and says how long it took to go on.

mod leaves;
mod net;

use std::time::Instant;

use net::{Authority, BUILD, Nat, RELAY_URL, Relay, set_nat};

use crate::machines::{ip, is_inside, on, wait_on};
use crate::mesh::{Agent, Place};
use crate::tunnel::{peer, two};

/// Both laptops with an agent each.
struct Pair {
    place: Place,
    ids: Vec<String>,
    authority: Authority,
    relay: Option<Relay>,
    agents: [Option<Agent>; 2],
}

/// The machines on which the agents are.
const LAPTOPS: [&str; 2] = ["a", "b"];

impl Pair {
    /// Starts a relay and both agents, behind routers of these kinds.
    fn start(nats: [Nat; 2]) -> Self {
        for (laptop, nat) in LAPTOPS.iter().zip(nats) {
            set_nat(laptop, nat);
        }
        let (place, ids) = two();
        let authority = Authority::new();
        let mut pair = Self {
            relay: Some(authority.relay()),
            place,
            ids,
            authority,
            agents: [None, None],
        };
        pair.start_agent(0);
        pair.start_agent(1);
        for number in [0, 1] {
            on(LAPTOPS[number], || pair.agent(number).meets(1));
        }
        pair
    }

    fn start_agent(&mut self, number: usize) {
        let other = self.ids[1 - number].clone();
        let mut command = self.place.edgesync(number);
        command.env("SSL_CERT_FILE", self.authority.file());
        let flags = ["--iroh", "--relay-url", RELAY_URL, "--iroh-peer", &other];
        let place = &self.place;
        let start = || place.start_by(command, &["sync", "start"], number, &flags);
        self.agents[number] = Some(on(LAPTOPS[number], start));
    }

    fn agent(&self, number: usize) -> &Agent {
        self.agents[number].as_ref().expect("it runs")
    }

    /// Waits until packets take this way in both directions.
    fn goes(&self, way: &str) {
        for number in [0, 1] {
            let (agent, other) = (self.agent(number), &self.ids[1 - number]);
            wait_on(LAPTOPS[number], || {
                peer(agent, other)["tunnel"]["path"] == way
            });
        }
    }

    /// Has each agent receive what the other commits, and says how long that took.
    fn exchange(&self, what: &str) {
        let began = Instant::now();
        for number in [0, 1] {
            let name = format!("{what}-of-{}", LAPTOPS[number]);
            self.place.commit(number, &name);
            self.agent(1 - number).receives(&name);
        }
        println!("{what}: both ways after {:.1?}", began.elapsed());
    }
}

#[test]
fn two_nats_that_keep_ports_let_agents_talk_directly_and_again_after_each_trouble() {
    if !is_inside(
        "nat::two_nats_that_keep_ports_let_agents_talk_directly_and_again_after_each_trouble",
        BUILD,
    ) {
        return;
    }
    let began = Instant::now();
    let mut pair = Pair::start([Nat::Preserving; 2]);
    pair.goes("direct");
    println!("direct {:.1?} after the start", began.elapsed());
    pair.exchange("at-first");

    ip("a", "address del 10.77.1.2/24 dev eth");
    ip("a", "address add 10.77.1.3/24 dev eth");
    ip("a", "route add default via 10.77.1.1");
    pair.exchange("another-address-of-the-laptop");

    ip("router-b", "address del 198.51.100.12/24 dev wan");
    ip("router-b", "address add 198.51.100.22/24 dev wan");
    // What goes by the relay meanwhile may go on doing so.
    pair.exchange("another-address-of-the-router");

    // It is killed, and says no good-bye.
    pair.agents[1] = None;
    pair.start_agent(1);
    pair.exchange("a-killed-agent-is-back");
    pair.goes("direct");

    drop(pair.relay.take());
    pair.exchange("the-relay-is-gone");
    pair.goes("direct");
    pair.relay = Some(pair.authority.relay());
    pair.agents[0] = None;
    pair.start_agent(0);
    pair.exchange("the-relay-is-back");
    pair.goes("direct");
}

#[test]
fn nats_that_let_nobody_through_keep_agents_on_the_relay_and_that_works() {
    if !is_inside(
        "nat::nats_that_let_nobody_through_keep_agents_on_the_relay_and_that_works",
        BUILD,
    ) {
        return;
    }
    for nats in [
        [Nat::Symmetric, Nat::Symmetric],
        [Nat::Preserving, Nat::Symmetric],
        [Nat::NoUdp, Nat::Preserving],
        [Nat::NoUdp, Nat::NoUdp],
    ] {
        println!("{nats:?}");
        let mut pair = Pair::start(nats);
        pair.goes("relay");
        pair.exchange("at-first");

        drop(pair.relay.take());
        pair.relay = Some(pair.authority.relay());
        pair.exchange("the-relay-is-back");

        pair.agents[0] = None;
        pair.start_agent(0);
        pair.exchange("a-killed-agent-is-back");
        pair.goes("relay");
    }
}
