//! Clusters: of our servers, and with a reference server among them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use natsd::auth::{Credential, Credentials, Policy, Rules, Secret, User};
use natsd::proto::Kind;
use natsd::{
    Close, Event, Limits, Link, LinkStatus, Listeners, Options, RouteOptions, Server, Target,
};

use super::stock::Stock;
use super::wire::{PATIENCE, Wire, loopback, options};

/// Starts a member.
async fn member(name: &str, cluster: Option<&str>) -> Server {
    let options = Options {
        server_name: Some(name.to_owned()),
        cluster_name: cluster.map(str::to_owned),
        listeners: Listeners {
            routes: Some(loopback()),
            ..options().listeners
        },
        ..Options::default()
    };
    Server::start(options).await.expect("a server")
}

pub(crate) fn routes_of(server: &Server) -> String {
    server
        .addresses()
        .routes
        .expect("a route listener")
        .to_string()
}

fn dial(from: &Server, to: &Server) -> Link {
    from.dial_route(Target::Tcp(routes_of(to)))
}

/// Waits until a link is up.
pub(crate) async fn up(link: &mut Link) {
    let wait = async {
        while !matches!(link.status(), LinkStatus::Up { .. }) {
            link.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the link is up");
}

/// Waits until a link is down, and says why.
pub(crate) async fn down(link: &mut Link) -> Close {
    let wait = async {
        loop {
            if let LinkStatus::Down { close, .. } = link.status() {
                return close;
            }
            link.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the link is down")
}

/// Connects to each address and makes sure that what one publishes reaches all.
pub(crate) async fn joined(addresses: &[String]) -> Vec<Wire> {
    let address = |text: &String| (text.parse().expect("an address"), "\"protocol\":1");
    let addresses: Vec<_> = addresses.iter().map(address).collect();
    joined_with(&addresses).await
}

/// Does the same with further members of CONNECT for each address.
pub(crate) async fn joined_with(addresses: &[(SocketAddr, &str)]) -> Vec<Wire> {
    let mut wires = Vec::new();
    for (address, more) in addresses {
        let (mut wire, _) = Wire::dial(*address).await;
        let connect = format!(
            "{{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,{more}}}"
        );
        wire.connect(&connect).await;
        wire.ask("SUB probe.* p\r\nSUB all a\r\nSUB one q 1\r\n")
            .await;
        wires.push(wire);
    }
    for from in 0..wires.len() {
        for to in (0..wires.len()).filter(|to| *to != from) {
            let start = tokio::time::Instant::now();
            let mut number = 0;
            loop {
                number += 1;
                wires[from]
                    .ask(format!("PUB probe.{from} 1\r\nx\r\n"))
                    .await;
                if wires[to].ask("").await.contains(&format!("probe.{from}")) {
                    break;
                }
                assert!(
                    start.elapsed() < PATIENCE,
                    "{number} messages of {from} did not reach {to}"
                );
            }
        }
    }
    // What is still on its way is behind us once an own message has made the same way.
    for number in 0..wires.len() {
        wires[number].send("PUB all 4\r\nlast\r\n").await;
        for wire in &mut wires {
            while wire.line().await != "last" {}
        }
    }
    wires
}

/// Publishes at each, and expects exactly one arrival at each, and one for each queue group.
pub(crate) async fn each_message_arrives_once(wires: &mut [Wire]) {
    let mut expected = Vec::new();
    for (from, wire) in wires.iter_mut().enumerate() {
        for number in 0..20 {
            let payload = format!("{from}:{number:02}");
            wire.send(format!(
                "PUB all 4\r\n{payload}\r\nPUB one 4\r\n{payload}\r\n"
            ))
            .await;
            expected.push(payload);
        }
        wire.send("PUB all 4\r\nlast\r\n").await;
    }
    let (mut queued, senders) = (BTreeMap::new(), wires.len());
    for wire in &mut *wires {
        let mut got = Vec::new();
        let mut ends = 0;
        while ends < senders {
            let head = wire.line().await;
            let payload = wire.line().await;
            match (head.as_str(), payload.as_str()) {
                ("MSG all a 4", "last") => ends += 1,
                ("MSG all a 4", _) => got.push(payload),
                ("MSG one 1 4", _) => *queued.entry(payload).or_insert(0) += 1,
                other => panic!("{other:?}"),
            }
        }
        got.sort();
        assert_eq!(got, expected);
    }
    assert_eq!(queued.len(), expected.len());
    assert!(queued.values().all(|count| *count == 1), "{queued:?}");
}

pub(crate) fn client_of(server: &Server) -> String {
    server
        .addresses()
        .clients
        .expect("a client listener")
        .to_string()
}

#[tokio::test]
async fn three_members_become_a_full_mesh_by_hearsay() {
    let (a, b, c) = (
        member("a", Some("m")).await,
        member("b", Some("m")).await,
        member("c", Some("m")).await,
    );
    let mut events = b.events();
    let _links = [dial(&b, &a), dial(&c, &a)];
    let mut met = Vec::new();
    while met.len() < 2 {
        if let Event::LinkUp { server_name, .. } = events.recv().await.expect("an event") {
            met.push(server_name);
        }
    }
    met.sort();
    assert_eq!(met, ["a", "c"]);
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&c)]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_member_that_comes_back_at_another_place_is_found_there_each_time() {
    let (a, b, c) = (
        member("a", Some("m")).await,
        member("b", Some("m")).await,
        member("c", Some("m")).await,
    );
    let _stays = dial(&c, &a);
    let mut link = dial(&b, &a);
    drop(joined(&[client_of(&a), client_of(&b), client_of(&c)]).await);
    for _ in 0..2 {
        let before = routes_of(&b);
        drop(link);
        b.set_cluster_name(None);
        let left = b.set_listeners(options().listeners).await;
        left.expect("it leaves");
        // Taken by somebody else, so that it is not back at the same port by chance.
        let _taken = std::net::TcpListener::bind(&before);
        b.set_cluster_name(Some("m"));
        let listeners = Listeners {
            routes: Some(loopback()),
            ..options().listeners
        };
        let back = b.set_listeners(listeners).await;
        back.expect("it is back");
        assert_ne!(routes_of(&b), before);
        link = dial(&b, &a);
        let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&c)]).await;
        each_message_arrives_once(&mut wires).await;
    }
}

/// Has a server listen for routes at another port than before; whoever is connected stays.
async fn moves(server: &Server) {
    let before = routes_of(server);
    for routes in [None, Some(loopback())] {
        // Taken by somebody else meanwhile, so that it is not back at the same port by chance.
        let _taken = routes.and_then(|_| std::net::TcpListener::bind(&before).ok());
        let listeners = Listeners {
            routes,
            ..options().listeners
        };
        server.set_listeners(listeners).await.expect("it listens");
    }
    assert_ne!(routes_of(server), before);
}

#[tokio::test]
async fn a_member_that_dialled_us_is_dialled_where_others_say_that_it_is_now() {
    let (a, b, c) = (
        member("a", Some("m")).await,
        member("b", Some("m")).await,
        member("c", Some("m")).await,
    );
    let _stays = dial(&c, &a);
    let mut to_c = dial(&b, &c);
    up(&mut to_c).await;
    let to_a = dial(&b, &a);
    let everybody = [client_of(&a), client_of(&b), client_of(&c)];
    drop(joined(&everybody).await);
    moves(&b).await;
    // The member that stays hears of it when this one joins again, and tells the other while its route stands.
    drop(to_a);
    let mut to_a = dial(&b, &a);
    up(&mut to_a).await;
    drop(joined(&everybody).await);
    drop(to_c);
    let mut wires = joined(&everybody).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_member_that_listens_elsewhere_is_dialled_there_when_its_route_is_lost() {
    let (a, b, c) = (
        member("a", Some("m")).await,
        member("b", Some("m")).await,
        member("c", Some("m")).await,
    );
    let mut first = dial(&c, &a);
    up(&mut first).await;
    // Told of the second, the first dials it.
    let _second = dial(&b, &a);
    let everybody = [client_of(&a), client_of(&b), client_of(&c)];
    drop(joined(&everybody).await);
    moves(&b).await;
    drop(joined(&everybody).await);
    let mut connections = c.stats().connections.into_iter();
    let route = connections.find(|it| it.server_name.as_deref() == Some("b"));
    assert!(c.disconnect(route.expect("a route").id));
    let mut wires = joined(&everybody).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_reference_server_is_a_member_like_any_other() {
    let (a, b) = (member("a", Some("m")).await, member("b", Some("m")).await);
    let route = format!("nats-route://{}", routes_of(&a));
    let config = format!("cluster {{ name: m, listen: \"@route\", routes: [\"{route}\"] }}");
    let stock = Stock::start(&config).await;
    let _link = dial(&b, &a);
    let mut wires = joined(&[client_of(&a), client_of(&b), stock.clients().to_owned()]).await;
    each_message_arrives_once(&mut wires).await;
    let answer = wires[0]
        .ask("SUB inbox.x 9\r\nPUB nobody inbox.x 0\r\n\r\n")
        .await;
    assert!(
        answer.contains("NATS/1.0 503|Nats-Subject: nobody"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_reference_server_can_be_dialled() {
    let stock = Stock::start("cluster { name: m, listen: \"@route\" }").await;
    let a = member("a", None).await;
    let routes = stock.routes().expect("a route port").to_owned();
    let mut link = a.dial_route(Target::Tcp(routes));
    up(&mut link).await;
    assert_eq!(
        a.cluster_name().as_deref(),
        Some("m"),
        "a made-up name gives way"
    );
    let mut wires = joined(&[client_of(&a), stock.clients().to_owned()]).await;
    each_message_arrives_once(&mut wires).await;
    let headers = "HPUB head reply 17 19\r\nNATS/1.0\r\nA:b\r\n\r\nhi\r\n";
    wires[0].ask("SUB head 5\r\n").await;
    let mut answer = String::new();
    while answer.is_empty() {
        // Until the reference server has heard of the subscription, nothing comes.
        wires[1].ask(headers).await;
        answer = wires[0].ask("").await;
    }
    assert!(
        answer.starts_with("HMSG head 5 reply 17 19|NATS/1.0|A:b||hi"),
        "{answer}"
    );
}

#[tokio::test]
async fn of_two_made_up_names_one_gives_way_whoever_dials() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let (a, b) = (member(from, None).await, member(to, None).await);
        let _link = dial(&a, &b);
        let mut wires = joined(&[client_of(&a), client_of(&b)]).await;
        each_message_arrives_once(&mut wires).await;
        assert!(a.cluster_name().is_some());
        assert_eq!(a.cluster_name(), b.cluster_name());
    }
}

#[tokio::test]
async fn a_made_up_name_of_the_other_end_gives_way_to_a_given_one() {
    let (a, b) = (member("a", Some("m")).await, member("b", None).await);
    let _link = dial(&a, &b);
    let mut wires = joined(&[client_of(&a), client_of(&b)]).await;
    each_message_arrives_once(&mut wires).await;
    assert_eq!(b.cluster_name().as_deref(), Some("m"));
}

#[tokio::test]
async fn names_and_credentials_have_to_match() {
    let a = member("a", Some("m")).await;
    let other = member("b", Some("n")).await;
    let mut refused = dial(&other, &a);
    assert_eq!(down(&mut refused).await, Close::ClusterNameConflict);
    let LinkStatus::Down { why, .. } = refused.status() else {
        panic!("it came up");
    };
    assert!(why.contains("\"n\"") && why.contains("\"m\""), "{why}");
    let same = member("a", Some("m")).await;
    for (from, to) in [(&same, &a), (&a, &same)] {
        let mut refused = dial(from, to);
        assert_eq!(down(&mut refused).await, Close::NameConflict);
        let LinkStatus::Down { why, .. } = refused.status() else {
            panic!("it came up");
        };
        assert!(
            ["\"a\"", a.id(), same.id()]
                .iter()
                .all(|it| why.contains(it)),
            "{why}"
        );
    }
    // Who does not look itself is told.
    let (mut wire, _) = Wire::dial(a.addresses().routes.expect("a route listener")).await;
    wire.send(
        "CONNECT {\"cluster\":\"m\"}\r\nINFO {\"server_id\":\"x\",\"server_name\":\"a\"}\r\n",
    )
    .await;
    let told = wire.line().await;
    assert!(told.contains("\"a\": x and "), "{told}");
    assert_eq!(down(&mut dial(&a, &a)).await, Close::Myself);
    let credential = Credential::Password {
        user: "u".into(),
        password: Secret::new("p"),
    };
    a.set_policy(Policy {
        routes: Rules::Users(vec![User::new(credential)]),
        ..Policy::default()
    });
    let stranger = member("c", Some("m")).await;
    assert_eq!(down(&mut dial(&stranger, &a)).await, Close::Refused);
    let known = Options {
        cluster_name: Some("m".into()),
        routes: RouteOptions {
            credentials: Credentials::User {
                name: "u".into(),
                password: "p".into(),
            },
            ..RouteOptions::default()
        },
        ..options()
    };
    let known = Server::start(known).await.expect("a server");
    up(&mut dial(&known, &a)).await;
}

#[tokio::test]
async fn a_second_route_to_the_same_server_is_closed_and_shown_as_the_first() {
    let (a, b) = (member("a", Some("m")).await, member("b", Some("m")).await);
    let mut first = dial(&a, &b);
    up(&mut first).await;
    let (mut second, mut back) = (dial(&a, &b), dial(&b, &a));
    up(&mut second).await;
    assert_eq!(second.status(), first.status());
    up(&mut back).await;
    let routes = |server: &Server| {
        let stats = server.stats().connections.into_iter();
        stats.filter(|conn| conn.kind == Kind::Route).count()
    };
    // What was closed at one end is soon gone at the other.
    while (routes(&a), routes(&b)) != (1, 1) {
        tokio::task::yield_now().await;
    }
    let mut wires = joined(&[client_of(&a), client_of(&b)]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_member_changes_its_cluster_and_keeps_its_subscriptions() {
    let (a, b) = (member("a", Some("m")).await, member("b", Some("n")).await);
    let mover = member("c", Some("m")).await;
    let mut old = dial(&mover, &a);
    up(&mut old).await;
    let mut wires = joined(&[client_of(&a), client_of(&mover)]).await;
    mover.set_cluster_name(Some("n"));
    let mut new = dial(&mover, &b);
    up(&mut new).await;
    assert!(
        matches!(old.status(), LinkStatus::Up { .. }),
        "the old link stays until it is dropped"
    );
    drop(old);
    let (mut other, _) = Wire::dial(client_of(&b).parse().expect("an address")).await;
    let start = tokio::time::Instant::now();
    while wires[1].ask("").await.is_empty() {
        other.ask("PUB all 1\r\nx\r\n").await;
        assert!(start.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn garbage_on_the_route_port_ends_at_once() {
    let server = member("a", Some("m")).await;
    let address = server.addresses().routes.expect("a route listener");
    for (bytes, answer) in [
        (
            "GET / HTTP/1.1\r\n\r\n",
            "-ERR 'Unknown Protocol Operation'",
        ),
        ("RS+ $G a\r\n", "-ERR 'Authorization Violation'"),
        ("RMSG $G a 1\r\nx\r\n", "-ERR 'Authorization Violation'"),
        (
            "CONNECT {\"lang\":\"go\"}\r\n",
            "-ERR 'attempted to connect to route port'",
        ),
        (
            "CONNECT {}\r\nRS+ $G a\r\n",
            "-ERR 'Authorization Violation'",
        ),
        (
            "CONNECT {\"cluster\":\"x\"}\r\n",
            "-ERR 'Rejecting connection, cluster name \"x\" does not match \"m\"'",
        ),
        (
            "CONNECT {}\r\nINFO {\"server_id\":\"x\"}\r\nRS+ $G a..b\r\n",
            "-ERR 'Unknown Protocol Operation'",
        ),
        ("INFO {}\r\n", "-ERR 'Authorization Violation'"),
    ] {
        let (mut wire, info) = Wire::dial(address).await;
        assert_eq!(info["cluster"], "m");
        wire.send(bytes).await;
        wire.expect_end(answer).await;
    }
    assert_eq!(server.stats().subscriptions, 0);
}

#[tokio::test]
async fn who_says_nothing_on_the_route_port_is_cut() {
    let limits = Limits {
        auth_timeout: std::time::Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start(Options {
        limits,
        listeners: Listeners {
            routes: Some(loopback()),
            ..Listeners::default()
        },
        ..Options::default()
    });
    let server = server.await.expect("a server");
    let (mut wire, _) = Wire::dial(server.addresses().routes.expect("an address")).await;
    wire.expect_end("-ERR 'Authentication Timeout'").await;
}
