//! Leafnode links, with a stock server at either end and with our own at both.

use natsd::leaf::LeafRemote;
use natsd::proto::Kind;
use natsd::{Event, Limits, Link, LinkStatus, Listeners, Options, Server};
use tokio::sync::broadcast;

use super::python;
use super::stock::Stock;
use super::wire::{PATIENCE, Wire, loopback, options};

/// What a stock client does with one server, or with two that are linked.
const CLIENT: &str = include_str!("scripts/client.py");

/// Starts a server that accepts leafnodes as well.
async fn hub() -> Server {
    let options = Options {
        listeners: Listeners {
            clients: Some(loopback()),
            leaves: Some(loopback()),
            ..Listeners::default()
        },
        ..options()
    };
    Server::start(options).await.expect("a server")
}

fn url(server: &Server) -> String {
    format!("nats://{}", server.addresses().clients.expect("an address"))
}

fn leafs(server: &Server) -> String {
    server.addresses().leaves.expect("an address").to_string()
}

fn dial(server: &Server, address: &str) -> Link {
    server.dial_leaf(LeafRemote::tcp(&[address]).expect("an address"))
}

/// Runs the stock client between the two, in both directions.
async fn clients_understand_each_other(here: &str, there: &str) {
    for urls in [[here, there], [there, here]] {
        assert_eq!(python::run(CLIENT, &urls).await, "ok\n");
    }
}

/// Waits until a link is as `wanted` says, and returns how it is then.
async fn reaches(link: &mut Link, wanted: impl Fn(&LinkStatus) -> bool) -> LinkStatus {
    let mut status = link.status();
    while !wanted(&status) {
        status = link.changed().await;
    }
    status
}

fn is_up(status: &LinkStatus) -> bool {
    matches!(status, LinkStatus::Up { .. })
}

#[tokio::test]
async fn a_stock_client_is_content_with_our_server() {
    let server = hub().await;
    assert_eq!(python::run(CLIENT, &[&url(&server)]).await, "ok\n");
}

#[tokio::test]
async fn our_servers_are_joined_by_a_leafnode_link() {
    let (hub, leaf) = (hub().await, hub().await);
    let mut link = dial(&leaf, &leafs(&hub));
    reaches(&mut link, is_up).await;
    clients_understand_each_other(&url(&hub), &url(&leaf)).await;
}

#[tokio::test]
async fn our_server_is_a_leafnode_of_a_stock_hub() {
    let stock = Stock::start("leafnodes { listen: \"@leaf\" }").await;
    let leaf = hub().await;
    let mut link = dial(&leaf, stock.leafs());
    reaches(&mut link, is_up).await;
    let stock_url = format!("nats://{}", stock.clients());
    clients_understand_each_other(&stock_url, &url(&leaf)).await;
    assert!(!stock.log().contains("[ERR]"), "{}", stock.log());
}

#[tokio::test]
async fn a_stock_server_is_a_leafnode_of_ours() {
    let hub = hub().await;
    let remote = format!(
        "leafnodes {{ remotes: [ {{ url: \"nats-leaf://{}\" }} ] }}",
        leafs(&hub)
    );
    let stock = Stock::start(&remote).await;
    let stock_url = format!("nats://{}", stock.clients());
    clients_understand_each_other(&url(&hub), &stock_url).await;
    assert!(!stock.log().contains("[ERR]"), "{}", stock.log());
}

#[tokio::test]
async fn a_link_comes_back_by_itself_when_its_hub_does() {
    let stock = Stock::start("leafnodes { listen: \"@leaf\" }").await;
    let leaf = hub().await;
    let mut link = dial(&leaf, stock.leafs());
    reaches(&mut link, is_up).await;
    let stock = stock.restart().await;
    let stock_url = format!("nats://{}", stock.clients());
    clients_understand_each_other(&stock_url, &url(&leaf)).await;
}

#[tokio::test]
async fn a_wrong_port_is_named_with_the_right_one() {
    let stock = Stock::start("leafnodes { listen: \"@leaf\" }").await;
    let leaf = hub().await;
    let mut link = dial(&leaf, stock.clients());
    let down = |status: &LinkStatus| matches!(status, LinkStatus::Down { .. });
    let LinkStatus::Down { why, .. } = reaches(&mut link, down).await else {
        panic!("it is down");
    };
    assert!(why.contains("client port") && why.contains("7422"), "{why}");
}

#[tokio::test]
async fn leafnodes_hear_at_once_what_their_hub_may_pass_on_since_it_has_a_hub_itself() {
    let far = Stock::start("max_payload: 1KB\nleafnodes { listen: \"@leaf\" }").await;
    let (middle, leaf) = (hub().await, hub().await);
    let mut link = dial(&leaf, &leafs(&middle));
    let LinkStatus::Up { connection, .. } = reaches(&mut link, is_up).await else {
        panic!("it is up");
    };
    // A reference server takes the news without harm as well.
    let remote = format!(
        "leafnodes {{ remotes: [ {{ url: \"nats-leaf://{}\" }} ] }}",
        leafs(&middle)
    );
    let stock = Stock::start(&remote).await;
    let links = || {
        let of_leaves = middle.stats().connections.into_iter();
        let of_leaves = of_leaves.filter(|it| it.kind == Kind::Leaf && !it.dialled);
        of_leaves
            .filter(|it| it.server_name.is_some())
            .map(|it| it.id)
            .collect::<Vec<_>>()
    };
    while links().len() < 2 {
        tokio::task::yield_now().await;
    }
    let before = links();
    let mut events = leaf.events();
    for _ in 0..2 {
        let up = dial(&middle, far.leafs());
        assert_eq!(told(&mut events).await, 1024);
        assert_eq!(leaf.max_payload(), 1024);
        drop(up);
        assert_eq!(told(&mut events).await, Limits::default().max_payload);
    }
    let stock_url = format!("nats://{}", stock.clients());
    clients_understand_each_other(&url(&leaf), &stock_url).await;
    assert!(!stock.log().contains("[ERR]"), "{}", stock.log());
    assert_eq!(links(), before);
    assert!(matches!(link.status(), LinkStatus::Up { connection: now, .. } if now == connection));
}

/// Waits until a server says that the longest message has another length, and returns it.
async fn told(events: &mut broadcast::Receiver<Event>) -> usize {
    let told = async {
        loop {
            if let Event::MaxPayload { bytes } = events.recv().await.expect("an event") {
                return bytes;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    told.expect("it is told")
}

#[tokio::test]
async fn what_is_longer_than_a_hub_takes_stays_here_and_costs_no_link() {
    let stock = Stock::start("max_payload: 1KB\nleafnodes { listen: \"@leaf\" }").await;
    let leaf = hub().await;
    assert_eq!(leaf.max_payload(), Limits::default().max_payload);
    let mut link = dial(&leaf, stock.leafs());
    let LinkStatus::Up { connection, .. } = reaches(&mut link, is_up).await else {
        panic!("it is up");
    };
    assert_eq!(leaf.max_payload(), 1024);
    let at = stock.clients().parse().expect("an address");
    let (mut there, _) = Wire::dial(at).await;
    there.connect(r#"{"verbose":false,"pedantic":false}"#).await;
    there.ask("SUB a t\r\n").await;
    let mut here = Wire::quiet(&leaf).await;
    here.ask("SUB a h\r\n").await;
    let message = |payload: &str| format!("PUB a {}\r\n{payload}\r\n", payload.len());
    // Until the hub's interest has come over, nothing goes there.
    while !there.ask("").await.contains("short") {
        here.ask(message("short")).await;
    }
    let long = "x".repeat(1025);
    let answer = here.ask(message(&long)).await;
    assert!(answer.ends_with(&format!("MSG a h 1025|{long}")));
    here.ask(message("last")).await;
    let mut heard = String::new();
    while !heard.contains("last") {
        heard += &there.ask("").await;
    }
    assert!(!heard.contains("1025"), "{heard}");
    assert!(matches!(link.status(), LinkStatus::Up { connection: now, .. } if now == connection));
    // Those of whom it is the hub are told as well.
    let leaves = leaf.addresses().leaves.expect("an address");
    let (_, info) = Wire::dial(leaves).await;
    assert_eq!(info["max_payload"], 1024);
    drop(link);
    while leaf.max_payload() == 1024 {
        tokio::task::yield_now().await;
    }
}
