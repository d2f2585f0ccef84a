//! What becomes of messages while clusters of made-up names become one, and while servers leave and change places.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use natsd::leaf::LeafRemote;
use natsd::{Event, Link, LinkStatus, Listeners, Options, RouteOptions, Server, Target};
use tokio::time::timeout;

use super::route::{client_of, each_message_arrives_once, joined, routes_of, up};
use super::stock::Stock;
use super::wire::{PATIENCE, Reserved, loopback, options};

/// How many numbers are published between two looks.
const BATCH: u64 = 64;

/// Starts a member whose made-up cluster name begins with its own.
async fn member(name: &str) -> Server {
    member_at(name, loopback(), RouteOptions::default()).await
}

/// Starts one that soon gives up the name of a cluster in which it is alone, and has no routes but those that a test makes.
async fn impatient(name: &str) -> Server {
    let routes = RouteOptions {
        keep_name: Duration::from_millis(50),
        dial_learned: false,
        ..RouteOptions::default()
    };
    member_at(name, loopback(), routes).await
}

async fn member_at(name: &str, at: SocketAddr, routes: RouteOptions) -> Server {
    let options = Options {
        server_name: Some(name.to_owned()),
        listeners: Listeners {
            leaves: Some(loopback()),
            routes: Some(at),
            ..options().listeners
        },
        routes,
        ..Options::default()
    };
    Server::start(options).await.expect("a server")
}

/// Returns after which server a cluster is called.
fn cluster_of(server: &Server) -> String {
    let name = server.cluster_name().unwrap_or_default();
    let (of, _) = name.rsplit_once('-').unwrap_or_default();
    of.to_owned()
}

/// Waits until a server is in another cluster than this.
async fn leaves_cluster(server: &Server, name: &str) {
    let left = async {
        while server.cluster_name().as_deref() == Some(name) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("the name is given up");
}

fn dial(from: &Server, to: &Server) -> Link {
    from.dial_route(Target::Tcp(routes_of(to)))
}

fn leaf_of(from: &Server, hub: &Server) -> Link {
    let leaves = hub.addresses().leaves.expect("a leafnode listener");
    from.dial_leaf(LeafRemote::tcp(&[leaves.to_string()]).expect("an address"))
}

async fn client(server: &Server) -> Client {
    let client = async_nats::connect(format!("nats://{}", client_of(server)));
    client.await.expect("connected")
}

async fn listens(client: &Client) -> Subscriber {
    let subscriber = client.subscribe("count").await.expect("subscribed");
    client.flush().await.expect("flushed");
    subscriber
}

/// Publishes numbers from one client, and expects each once and in order at each subscriber, until `over` says so.
async fn count(publisher: &Client, at: &mut [Subscriber], mut over: impl FnMut() -> bool) {
    let (mut next, started) = (0, Instant::now());
    loop {
        let last = over();
        assert!(started.elapsed() < PATIENCE, "it is never over");
        for number in next..next + BATCH {
            let published = publisher.publish("count", number.to_string().into());
            published.await.expect("published");
        }
        publisher.flush().await.expect("flushed");
        for (place, subscriber) in at.iter_mut().enumerate() {
            for number in next..next + BATCH {
                let message = timeout(PATIENCE, subscriber.next()).await;
                let message = message.unwrap_or_else(|_| panic!("{place} misses {number}"));
                let message = message.expect("it stays connected");
                assert_eq!(message.payload, number.to_string(), "at {place}");
            }
        }
        next += BATCH;
        if last {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_cluster_takes_another_name_without_losing_a_message() {
    let (a, b, c) = (member("a").await, member("b").await, member("c").await);
    let mut link = dial(&a, &b);
    up(&mut link).await;
    drop(joined(&[client_of(&a), client_of(&b)]).await);
    assert_eq!(cluster_of(&a), "b");
    let (here, there) = (client(&a).await, client(&b).await);
    let mut at = [listens(&here).await, listens(&there).await];
    // Interest has made its way when a first message has.
    reaches(&here, &mut at[1]).await;
    while at[0].next().await.expect("a message").payload != "end" {}
    let _third = dial(&c, &a);
    let named = |server: &Server| cluster_of(server) == "c";
    count(&here, &mut at, || named(&a) && named(&b) && named(&c)).await;
    assert!(matches!(link.status(), LinkStatus::Up { .. }));
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&c)]).await;
    each_message_arrives_once(&mut wires).await;
}

/// Publishes until something arrives, and then a last word that has arrived as well.
async fn reaches(publisher: &Client, subscriber: &mut Subscriber) {
    let reached = async {
        loop {
            say(publisher, "probe").await;
            if timeout(Duration::from_millis(20), subscriber.next())
                .await
                .is_ok()
            {
                break;
            }
        }
        say(publisher, "end").await;
        while subscriber.next().await.expect("a message").payload != "end" {}
    };
    timeout(PATIENCE, reached).await.expect("it is reached");
}

async fn say(publisher: &Client, text: &'static str) {
    let published = publisher.publish("count", text.into());
    published.await.expect("published");
    publisher.flush().await.expect("flushed");
}

#[tokio::test]
async fn a_reference_server_comes_back_after_its_cluster_was_renamed() {
    let (a, b) = (member("a").await, member("b").await);
    let route = format!("nats-route://{}", routes_of(&a));
    let config = format!("cluster {{ listen: \"@route\", routes: [\"{route}\"] }}");
    let stock = Stock::start(&config).await;
    drop(joined(&[client_of(&a), stock.clients().to_owned()]).await);
    let _link = dial(&b, &a);
    let mut wires = joined(&[client_of(&a), client_of(&b), stock.clients().to_owned()]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn who_becomes_a_member_of_its_hubs_cluster_is_no_leafnode_any_more() {
    for (hub, leaf) in [("a", "b"), ("b", "a")] {
        let (hub, leaf) = (member(hub).await, member(leaf).await);
        let mut spoke = leaf_of(&leaf, &hub);
        up(&mut spoke).await;
        let (here, there) = (client(&hub).await, client(&leaf).await);
        let mut at = [listens(&here).await, listens(&there).await];
        reaches(&here, &mut at[1]).await;
        let mut route = dial(&leaf, &hub);
        up(&mut route).await;
        let mut wires = joined(&[client_of(&hub), client_of(&leaf)]).await;
        each_message_arrives_once(&mut wires).await;
        let mut status = spoke.status();
        while !matches!(&status, LinkStatus::Down { why, .. } if why.contains("one cluster")) {
            status = timeout(PATIENCE, spoke.changed()).await.expect("in time");
        }
    }
}

#[tokio::test]
async fn a_member_that_leaves_its_cluster_can_be_a_leafnode_of_it() {
    let (a, b, c) = (member("a").await, member("b").await, member("c").await);
    let links = [dial(&b, &a), dial(&c, &a)];
    drop(joined(&[client_of(&a), client_of(&b), client_of(&c)]).await);
    let (here, there) = (client(&a).await, client(&b).await);
    let mut at = [listens(&here).await, listens(&there).await];
    reaches(&here, &mut at[1]).await;
    while at[0].next().await.expect("a message").payload != "end" {}
    let [stays, leaves] = links;
    c.set_cluster_name(None);
    let listening = c.set_listeners(options().listeners).await;
    listening.expect("listeners");
    drop(leaves);
    assert_eq!(c.cluster_name(), None);
    let mut spoke = leaf_of(&c, &a);
    count(&here, &mut at, || {
        matches!(spoke.status(), LinkStatus::Up { .. })
    })
    .await;
    up(&mut spoke).await;
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&c)]).await;
    each_message_arrives_once(&mut wires).await;
    drop(stays);
}

#[tokio::test]
async fn leafnodes_of_a_hub_that_become_one_cluster_tell_it_so() {
    let hub = member("hub").await;
    let (a, b) = (member("a").await, member("b").await);
    let (mut one, mut two) = (leaf_of(&a, &hub), leaf_of(&b, &hub));
    up(&mut one).await;
    up(&mut two).await;
    let first = one.status();
    let mut route = dial(&a, &b);
    up(&mut route).await;
    assert_eq!(cluster_of(&a), "b");
    // Its link says "a" until it is made anew.
    let again = async {
        while !matches!(one.status(), LinkStatus::Up { .. }) || one.status() == first {
            one.changed().await;
        }
    };
    timeout(PATIENCE, again).await.expect("it is made anew");
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&hub)]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn who_was_a_member_comes_back_as_a_leafnode_of_whom_it_left() {
    for (hub, leaf) in [("a", "b"), ("b", "a")] {
        let (hub, leaf) = (impatient(hub).await, impatient(leaf).await);
        let mut route = dial(&leaf, &hub);
        up(&mut route).await;
        drop(joined(&[client_of(&hub), client_of(&leaf)]).await);
        let shared = hub.cluster_name().expect("a name");
        assert_eq!(leaf.cluster_name().as_ref(), Some(&shared));
        drop(route);
        let mut spoke = leaf_of(&leaf, &hub);
        up(&mut spoke).await;
        leaves_cluster(&hub, &shared).await;
        leaves_cluster(&leaf, &shared).await;
        assert_ne!(hub.cluster_name(), leaf.cluster_name());
        let mut wires = joined(&[client_of(&hub), client_of(&leaf)]).await;
        each_message_arrives_once(&mut wires).await;
    }
}

#[tokio::test]
async fn who_left_a_cluster_that_is_called_after_it_is_no_namesake_of_it_and_nobody_there_notices()
{
    let (a, b, c) = (
        impatient("a").await,
        impatient("b").await,
        impatient("c").await,
    );
    let _stays = dial(&b, &a);
    let leaves = dial(&c, &a);
    for other in [&b, &c] {
        drop(joined(&[client_of(&a), client_of(other)]).await);
    }
    let name = c.cluster_name().expect("a name");
    assert_eq!(cluster_of(&a), "c");
    let (here, there) = (client(&a).await, client(&b).await);
    let mut at = [listens(&here).await, listens(&there).await];
    reaches(&here, &mut at[1]).await;
    while at[0].next().await.expect("a message").payload != "end" {}
    // It goes and comes back another way, and so does one of its name that knows nothing of before.
    drop(leaves);
    let mut spoke = leaf_of(&c, &a);
    let stands = || matches!(spoke.status(), LinkStatus::Up { .. });
    count(&here, &mut at, stands).await;
    up(&mut spoke).await;
    drop(spoke);
    c.shutdown().await;
    let again = impatient("c").await;
    let mut spoke = leaf_of(&again, &a);
    let stands = || matches!(spoke.status(), LinkStatus::Up { .. });
    count(&here, &mut at, stands).await;
    up(&mut spoke).await;
    assert_eq!(
        [&a, &b].map(Server::cluster_name),
        [Some(name.clone()), Some(name)]
    );
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&again)]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_member_that_is_started_anew_changes_nothing_for_the_other() {
    let place = Reserved::new();
    let hub = member("hub").await;
    let (a, b) = (
        member("a").await,
        member_at("b", place.address, RouteOptions::default()).await,
    );
    let mut route = dial(&a, &b);
    up(&mut route).await;
    let name = a.cluster_name();
    assert_eq!(cluster_of(&a), "b");
    let mut spoke = leaf_of(&a, &hub);
    up(&mut spoke).await;
    let (before, mut events) = (spoke.status(), a.events());
    b.shutdown().await;
    let b = member_at("b", place.address, RouteOptions::default()).await;
    let back =
        async { while !matches!(events.recv().await.expect("an event"), Event::LinkUp { .. }) {} };
    timeout(PATIENCE, back).await.expect("it is back");
    for other in [&b, &hub] {
        let mut wires = joined(&[client_of(&a), client_of(other)]).await;
        each_message_arrives_once(&mut wires).await;
    }
    assert_eq!([&a, &b].map(Server::cluster_name), [name.clone(), name]);
    assert_eq!(
        spoke.status(),
        before,
        "its link to the hub was not touched"
    );
}

#[tokio::test]
async fn two_whose_route_is_gone_hear_each_other_through_their_hub() {
    let hub = member("hub").await;
    let (a, b) = (impatient("a").await, impatient("b").await);
    let mut route = dial(&a, &b);
    up(&mut route).await;
    let (mut one, mut two) = (leaf_of(&a, &hub), leaf_of(&b, &hub));
    up(&mut one).await;
    up(&mut two).await;
    let name = a.cluster_name().expect("a name");
    drop(route);
    leaves_cluster(&a, &name).await;
    leaves_cluster(&b, &name).await;
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&hub)]).await;
    each_message_arrives_once(&mut wires).await;
    drop(wires);
    // And as members again, once.
    let mut route = dial(&b, &a);
    up(&mut route).await;
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&hub)]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_name_that_was_given_is_kept_by_who_is_alone() {
    let (a, b) = (impatient("a").await, impatient("b").await);
    a.set_cluster_name(Some("given"));
    let mut route = dial(&b, &a);
    up(&mut route).await;
    assert_eq!(b.cluster_name().as_deref(), Some("given"));
    drop(route);
    leaves_cluster(&b, "given").await;
    assert_eq!(a.cluster_name().as_deref(), Some("given"));
}
