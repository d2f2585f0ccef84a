//! Peers that are dead, endpoints that are made anew, relays that go and come.

use std::collections::BTreeSet;

use edgesync_tunnel::{Event, Protocol, Ticket};
use tokio::net::UdpSocket;

use crate::lab::{Member, config, heard, relay, url};

#[tokio::test]
async fn a_dead_peer_delays_no_other() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    b.lets_in(&a);
    a.tunnel.know(b.ticket().await);
    // Takes packets and never answers.
    let deaf = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let dead = iroh::SecretKey::from_bytes(&[9; 32]).public();
    let dead = edgesync_tunnel::PeerId::from(*dead.as_bytes());
    a.tunnel.know(Ticket {
        addresses: BTreeSet::from([deaf.local_addr().expect("an address")]),
        ..Ticket::of(dead)
    });
    let waiting = a.tunnel.clone();
    let waiting = tokio::spawn(async move { waiting.stream(dead, Protocol::Xfer).await.map(drop) });
    // It is being dialled.
    deaf.recv_from(&mut [0; 2048]).await.expect("a packet");
    a.echo(b.id(), Protocol::Xfer)
        .await
        .expect("an answer meanwhile");
    assert!(!waiting.is_finished());
    let error = waiting.await.expect("no panic").expect_err("nobody");
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_made_anew_keeps_its_id_its_port_and_its_list() {
    let a = Member::open(config(1)).await;
    let mut stable = config(2);
    // Free a moment ago.
    let free = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    stable.listen = vec![free.local_addr().expect("an address")];
    drop(free);
    let b = Member::open(stable).await;
    b.lets_in(&a);
    a.tunnel.know(b.ticket().await);
    a.echo(b.id(), Protocol::Leaf).await.expect("an answer");
    let mut events = b.tunnel.events();
    b.tunnel.rebuild("a test asks for it").await;
    heard(&mut events, |event| matches!(event, Event::Rebuilt { .. })).await;
    a.reaches(b.id(), Protocol::Leaf).await;
    a.tunnel.rebuild("a test asks for it").await;
    a.reaches(b.id(), Protocol::Leaf).await;
}

#[tokio::test]
async fn a_relay_that_is_back_brings_peers_together_again() {
    let first = relay(0).await;
    let (address, port) = (url(&first), first.http_addr().expect("it listens").port());
    let with_relay = |seed| {
        let mut config = config(seed);
        config.relays.push(address.parse().expect("a relay"));
        config
    };
    let (a, b) = (
        Member::open(with_relay(1)).await,
        Member::open(with_relay(2)).await,
    );
    b.lets_in(&a);
    a.reaches(b.id(), Protocol::Leaf).await;
    first.shutdown().await.expect("it ends");
    let second = relay(port).await;
    // Somebody new, who can meet b at the relay only.
    let c = Member::open(with_relay(3)).await;
    b.lets_in(&c);
    c.reaches(b.id(), Protocol::Leaf).await;
    second.shutdown().await.expect("it ends");
}
