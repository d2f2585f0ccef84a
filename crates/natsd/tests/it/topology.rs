//! Every message arrives once, whichever way servers are linked: members of a cluster by routes, leafnodes by one link each, and
//! a foreign cluster that every member joins as a leafnode under one cluster name.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use natsd::leaf::LeafRemote;
use natsd::{LinkStatus, Server};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::mesh::Program::{self, Ours, Stock};
use super::mesh::To::{self, Leaf, Route};
use super::mesh::{Mesh, Node};
use super::wire::{PATIENCE, loopback, options};

const fn node(
    name: &'static str,
    program: Program,
    cluster: Option<&'static str>,
    links: &'static [To],
) -> Node {
    Node {
        name,
        program,
        cluster,
        links,
    }
}

const MESH: Option<&str> = Some("mesh");
const UPSTREAM: Option<&str> = Some("upstream");

/// What is linked with what. A node dials only nodes above it.
const TOPOLOGIES: &[(&str, &[Node])] = &[
    (
        "three members",
        &[
            node("a", Ours, MESH, &[]),
            node("b", Ours, MESH, &[Route("a")]),
            node("c", Ours, MESH, &[Route("a"), Route("b")]),
        ],
    ),
    (
        "a stock server among the members",
        &[
            node("a", Ours, MESH, &[]),
            node("s", Stock, MESH, &[Route("a")]),
            node("c", Ours, MESH, &[Route("a"), Route("s")]),
        ],
    ),
    (
        "a hub with leafnodes, one of them with its own",
        &[
            node("hub", Ours, None, &[]),
            node("x", Ours, None, &[Leaf("hub")]),
            node("s", Stock, None, &[Leaf("hub")]),
            node("y", Ours, None, &[Leaf("x")]),
        ],
    ),
    (
        "two members, each with a leafnode",
        &[
            node("a", Ours, MESH, &[]),
            node("b", Ours, MESH, &[Route("a")]),
            node("x", Ours, None, &[Leaf("a")]),
            node("s", Stock, None, &[Leaf("b")]),
        ],
    ),
    (
        "leafnodes of a stock server and of ours in one cluster",
        &[
            node("s", Stock, MESH, &[]),
            node("b", Ours, MESH, &[Route("s")]),
            node("x", Ours, None, &[Leaf("s")]),
            node("y", Ours, None, &[Leaf("b")]),
        ],
    ),
    (
        "every member joins a stock server under one cluster name",
        &[
            node("up", Stock, None, &[]),
            node("a", Ours, MESH, &[Leaf("up")]),
            node("b", Ours, MESH, &[Leaf("up"), Route("a")]),
        ],
    ),
    (
        "every member joins another member of a stock cluster",
        &[
            node("up1", Stock, UPSTREAM, &[]),
            node("up2", Stock, UPSTREAM, &[Route("up1")]),
            node("a", Ours, MESH, &[Leaf("up1")]),
            node("b", Ours, MESH, &[Leaf("up2"), Route("a")]),
            node("x", Ours, None, &[Leaf("b")]),
        ],
    ),
    (
        "stock members join ours under one cluster name",
        &[
            node("up", Ours, None, &[]),
            node("a", Stock, MESH, &[Leaf("up")]),
            node("b", Stock, MESH, &[Leaf("up"), Route("a")]),
        ],
    ),
    (
        "each member of a stock cluster joins another member of ours",
        &[
            node("a", Ours, MESH, &[]),
            node("b", Ours, MESH, &[Route("a")]),
            node("s", Stock, UPSTREAM, &[Leaf("a")]),
            node("t", Stock, UPSTREAM, &[Leaf("b"), Route("s")]),
        ],
    ),
    (
        "each member of a stock cluster joins another member, of which one is stock",
        &[
            node("a", Ours, MESH, &[]),
            node("b", Stock, MESH, &[Route("a")]),
            node("s", Stock, UPSTREAM, &[Leaf("a")]),
            node("t", Stock, UPSTREAM, &[Leaf("b"), Route("s")]),
        ],
    ),
    (
        "each member of our cluster joins another member, of which one is stock",
        &[
            node("b", Stock, MESH, &[]),
            node("a", Ours, MESH, &[Route("b")]),
            node("s", Ours, UPSTREAM, &[Leaf("b")]),
            node("t", Stock, UPSTREAM, &[Leaf("a"), Route("s")]),
            node("x", Ours, None, &[Leaf("a")]),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_once_in_every_topology() {
    for (name, nodes) in TOPOLOGIES {
        eprintln!("{name}");
        Mesh::start(nodes).await.check().await;
    }
}

/// Numbers that one subscriber got of each publisher, in order.
type Ledger = HashMap<String, Vec<u64>>;

/// How many numbers of each publisher everybody has before a member ends.
const BEFORE: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_ends_and_comes_back_costs_nobody_else_a_message() {
    for (name, nodes, restarted) in [
        ("ours", TOPOLOGIES[0].1, "b"),
        ("stock", TOPOLOGIES[1].1, "s"),
        ("a leafnode's hub", TOPOLOGIES[3].1, "b"),
    ] {
        eprintln!("{name}");
        let mut mesh = Mesh::start(nodes).await;
        let others = nodes.iter().map(|node| node.name);
        let others: Vec<&str> = others.filter(|name| *name != restarted).collect();
        let stop = CancellationToken::new();
        let (mut reading, mut begun, mut writing) = (Vec::new(), Vec::new(), Vec::new());
        for name in &others {
            let client = mesh.client(name);
            // Servers that are linked know of `all.>`, so no message waits for more than this server to know.
            let subscriber = client.subscribe("all.count.*").await.expect("subscribed");
            round_trip(&client).await;
            let (begins, has_begun) = watch::channel(false);
            reading.push(tokio::spawn(ledger(subscriber, others.len(), begins)));
            begun.push(has_begun);
        }
        for name in &others {
            let client = mesh.client(name);
            writing.push(tokio::spawn(count(client, name, stop.clone())));
        }
        for mut begun in begun {
            let begun = timeout(PATIENCE, begun.wait_for(|begun| *begun));
            begun.await.expect("in time").expect("it reads");
        }
        mesh.restart(restarted).await;
        mesh.await_reach().await;
        stop.cancel();
        let mut sent = HashMap::new();
        for (writer, name) in writing.into_iter().zip(&others) {
            sent.insert((*name).to_owned(), writer.await.expect("it ends"));
        }
        for (reader, name) in reading.into_iter().zip(&others) {
            let ledger = timeout(PATIENCE, reader).await.expect("in time");
            for (from, numbers) in ledger.expect("it ends") {
                let over = |name: &str| behind(nodes, name, restarted);
                if from == **name || !(over(name) || over(&from)) {
                    let all: Vec<u64> = (0..sent[&from]).collect();
                    assert_eq!(numbers, all, "{from} to {name}");
                } else {
                    assert_gap(&numbers, sent[&from]);
                }
            }
        }
    }
}

/// Waits until the server has done all that the client asked before. A flush waits only until it is sent.
async fn round_trip(client: &Client) {
    let inbox = client.new_inbox();
    let mut answer = client.subscribe(inbox.clone()).await.expect("subscribed");
    client.publish(inbox, "".into()).await.expect("published");
    let answer = timeout(PATIENCE, answer.next()).await;
    answer.expect("in time").expect("the client lives");
}

/// Says whether a node is linked to the others only over another.
fn behind(nodes: &[Node], name: &str, over: &str) -> bool {
    let node = nodes.iter().find(|node| node.name == name).expect("a node");
    node.links
        .iter()
        .any(|link| matches!(link, Leaf(hub) if *hub == over))
}

/// Checks that numbers come once and in order, and that they are missing for one time only, neither at the beginning nor the end.
fn assert_gap(numbers: &[u64], sent: u64) {
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert_eq!(numbers.first(), Some(&0));
    assert_eq!(numbers.last(), sent.checked_sub(1).as_ref());
    let gaps = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]);
    assert!(gaps.count() <= 1, "{numbers:?}");
}

/// Publishes numbers until it is told to stop, then says so behind the last one; returns how many there were.
async fn count(client: Client, name: &str, stop: CancellationToken) -> u64 {
    let subject = format!("all.count.{name}");
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    let mut number = 0_u64;
    while !stop.is_cancelled() {
        pace.tick().await;
        let payload = number.to_string().into();
        client
            .publish(subject.clone(), payload)
            .await
            .expect("published");
        client.flush().await.expect("flushed");
        number += 1;
    }
    client
        .publish(subject, "end".into())
        .await
        .expect("published");
    client.flush().await.expect("flushed");
    number
}

/// Notes what comes until every publisher has ended, and tells when there is enough of everybody.
async fn ledger(
    mut subscriber: Subscriber,
    publishers: usize,
    begun: watch::Sender<bool>,
) -> Ledger {
    let mut ledger = Ledger::new();
    let mut ended = 0;
    while ended < publishers {
        let message = subscriber.next().await.expect("the client lives");
        let from = message.subject.rsplit('.').next().expect("a name");
        match std::str::from_utf8(&message.payload).expect("text") {
            "end" => ended += 1,
            number => {
                let numbers = ledger.entry(from.to_owned()).or_default();
                numbers.push(number.parse().expect("a number"));
            }
        }
        let enough = ledger.values().filter(|numbers| numbers.len() >= BEFORE);
        if enough.count() == publishers {
            begun.send_replace(true);
        }
    }
    ledger
}

#[tokio::test]
async fn two_links_into_one_cluster_are_a_loop_and_one_of_them_is_refused() {
    let member = |name| {
        let mut options = options();
        options.server_name = Some(name);
        options.cluster_name = Some("mesh".to_owned());
        options.listeners.routes = Some(loopback());
        options.listeners.leaves = Some(loopback());
        Server::start(options)
    };
    let (a, b) = (member("a".to_owned()).await, member("b".to_owned()).await);
    let (a, b) = (a.expect("a server"), b.expect("a server"));
    let routes = a.addresses().routes.expect("an address").to_string();
    let mut route = b.dial_route(natsd::Target::Tcp(routes));
    while !matches!(route.status(), LinkStatus::Up { .. }) {
        route.changed().await;
    }
    let leaf = Server::start(options()).await.expect("a server");
    let dial = |server: &Server| {
        let address = server.addresses().leaves.expect("an address").to_string();
        leaf.dial_leaf(LeafRemote::tcp(&[address]).expect("an address"))
    };
    let (mut one, mut two) = (dial(&a), dial(&b));
    let why = timeout(PATIENCE, async {
        loop {
            let status = tokio::select! {
                status = one.changed() => status,
                status = two.changed() => status,
            };
            if let LinkStatus::Down { why, .. } = status {
                return why;
            }
        }
    });
    assert!(why.await.expect("in time").contains("loop"));
}
