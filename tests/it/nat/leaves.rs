//! A hub on the public machine, and two leaves behind NATs that come to it by TCP or over the tunnel: what one commits is at the other, and again after
//! each trouble.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use super::net::{BUILD, Nat, behind_carrier, restart_router, set_nat, take_ipv6_alone};
use crate::machines::{ip, is_inside, on, wait_on};
use crate::mesh::{Agent, Place};
use crate::tunnel::peer;

/// The machines, by the numbers of the agents on them; the first one is the hub.
const MACHINES: [&str; 3] = ["public", "a", "b"];

/// Where the hub is, by IPv4 and by IPv6.
const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const HUB_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// How the leaves come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    Tunnel,
}

/// A hub and its leaves.
struct Star {
    place: Place,
    way: Way,
    /// Where the hub is.
    hub: IpAddr,
    agents: [Option<Agent>; 3],
}

impl Star {
    fn start(way: Way, hub: IpAddr) -> Self {
        let mut star = Self {
            place: Place::new(3),
            way,
            hub,
            agents: [None, None, None],
        };
        for number in [0, 1, 2] {
            star.start_agent(number);
        }
        for number in [0, 1, 2] {
            on(MACHINES[number], || star.agent(number).meets(2));
        }
        star
    }

    fn start_agent(&mut self, number: usize) {
        let hub = self.agents[0].as_ref();
        let [leaves, tunnel] = [7422, 7423].map(|port| SocketAddr::new(self.hub, port).to_string());
        let url = format!("nats-leaf://{leaves}");
        let join: Vec<&str> = match (self.way, hub) {
            // By IPv4 leaves come to the port that a hub has by itself.
            (Way::Tcp, None) if self.hub.is_ipv4() => vec![],
            (Way::Tcp, None) => vec!["--leaf-listen", &leaves],
            (Way::Tunnel, None) => ["--iroh", "--no-relay", "--iroh-listen", &tunnel]
                .into_iter()
                .chain(["--leaf-listen", "127.0.0.1:0"])
                .collect(),
            (Way::Tcp, Some(_)) => vec!["--join", &url],
            (Way::Tunnel, Some(hub)) => {
                vec!["--iroh", "--no-relay", "--iroh-peer", hub.address("ticket")]
            }
        };
        let place = &self.place;
        let agent = on(MACHINES[number], || match number {
            0 => place.start_as(&["hub", "serve"], number, &join),
            _ => place.start(number, &[&["--nats-role", "leaf"], &join[..]].concat()),
        });
        self.agents[number] = Some(agent);
    }

    fn agent(&self, number: usize) -> &Agent {
        self.agents[number].as_ref().expect("it runs")
    }

    /// Has everybody receive what each leaf commits, and says how long that took.
    fn exchange(&self, what: &str) {
        let began = Instant::now();
        for number in [1, 2] {
            let name = format!("{what}-of-{}", MACHINES[number]);
            self.place.commit(number, &name);
            self.agent(3 - number).receives(&name);
            self.agent(0).receives(&name);
        }
        println!(
            "{:?}, {what}: both ways after {:.1?}",
            self.way,
            began.elapsed()
        );
    }

    /// The hub is killed, and says no good-bye; it comes back after a leaf has committed something.
    fn restart_hub(&mut self) {
        self.agents[0] = None;
        self.place.commit(1, "while-the-hub-is-away");
        self.start_agent(0);
        self.agent(2).receives("while-the-hub-is-away");
        self.exchange("the-hub-is-back");
    }
}

/// Puts leaves and their hub to every trouble, behind routers of these kinds.
fn endure(way: Way, nats: [Nat; 2]) {
    println!("{way:?} {nats:?}");
    for (laptop, nat) in MACHINES[1..].iter().zip(nats) {
        set_nat(laptop, nat);
    }
    let mut star = Star::start(way, HUB);
    star.exchange("at-first");
    star.restart_hub();
    for laptop in &MACHINES[1..] {
        restart_router(laptop);
    }
    star.exchange("the-routers-were-off");
    let way = || peer(star.agent(0), &star.place.ids[2])["tunnel"]["path"].clone();
    if star.way == Way::Tunnel {
        wait_on("public", || way() == "direct");
    }
    ip("router-b", "address del 198.51.100.12/24 dev wan");
    ip("router-b", "address add 198.51.100.22/24 dev wan");
    star.exchange("another-address-of-a-router");
    ip("router-b", "address del 198.51.100.22/24 dev wan");
    ip("router-b", "address add 198.51.100.12/24 dev wan");
}

#[test]
fn leaves_behind_nats_are_equal_by_a_hub_to_which_they_come_by_tcp() {
    if !is_inside(
        "nat::leaves::leaves_behind_nats_are_equal_by_a_hub_to_which_they_come_by_tcp",
        BUILD,
    ) {
        return;
    }
    endure(Way::Tcp, [Nat::NoUdp, Nat::Symmetric]);
}

#[test]
fn leaves_behind_nats_are_equal_by_a_hub_to_which_they_come_over_the_tunnel() {
    if !is_inside(
        "nat::leaves::leaves_behind_nats_are_equal_by_a_hub_to_which_they_come_over_the_tunnel",
        BUILD,
    ) {
        return;
    }
    endure(Way::Tunnel, [Nat::Preserving, Nat::Symmetric]);
}

#[test]
fn a_leaf_behind_its_own_nat_and_its_carriers_comes_to_a_hub_either_way() {
    if !is_inside(
        "nat::leaves::a_leaf_behind_its_own_nat_and_its_carriers_comes_to_a_hub_either_way",
        BUILD,
    ) {
        return;
    }
    set_nat("a", Nat::Preserving);
    set_nat("b", Nat::Preserving);
    behind_carrier("b", Nat::Symmetric);
    for way in [Way::Tcp, Way::Tunnel] {
        let mut star = Star::start(way, HUB);
        star.exchange("at-first");
        star.restart_hub();
        restart_router("carrier");
        star.exchange("the-carriers-router-was-off");
    }
}

#[test]
fn leaves_that_have_ipv6_alone_come_to_a_hub_either_way() {
    if !is_inside(
        "nat::leaves::leaves_that_have_ipv6_alone_come_to_a_hub_either_way",
        BUILD,
    ) {
        return;
    }
    take_ipv6_alone();
    for way in [Way::Tcp, Way::Tunnel] {
        let mut star = Star::start(way, HUB_V6);
        star.exchange("at-first");
        star.restart_hub();
    }
}
