//! Who reaches whom.

use std::collections::BTreeSet;

use edgesync_tunnel::{Event, Path, Protocol, Ticket};

use crate::lab::{Member, PATIENCE, config, heard, relay, url};

#[tokio::test]
async fn a_ticket_is_enough_to_reach_a_peer_for_every_purpose() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    b.lets_in(&a);
    // As text, as people hand it on.
    let ticket: Ticket = b.ticket().await.to_string().parse().expect("a ticket");
    assert_eq!(ticket.peer, b.id());
    a.tunnel.know(ticket);
    for protocol in Protocol::ALL {
        a.echo(b.id(), protocol).await.expect("an answer");
    }
    let links = a.tunnel.links();
    assert_eq!(links.len(), Protocol::ALL.len());
    assert!(links.iter().all(|link| link.dialled && link.peer == b.id()));
    let accepted = b.tunnel.links();
    assert!(
        accepted
            .iter()
            .all(|link| !link.dialled && link.peer == a.id())
    );
}

#[tokio::test]
async fn streams_share_a_connection_and_links_tell_its_way() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    b.lets_in(&a);
    a.tunnel.know(b.ticket().await);
    for _ in 0..3 {
        a.echo(b.id(), Protocol::Xfer).await.expect("an answer");
    }
    let links = a.tunnel.links();
    let [link] = links.as_slice() else {
        panic!("one connection: {links:?}");
    };
    let port = b.tunnel.ports()[0];
    assert!(matches!(&link.path, Some(Path::Direct(address)) if address.port() == port));
    assert!(link.round_trip.is_some());
}

#[tokio::test]
async fn two_that_use_one_relay_need_know_nothing_but_each_others_ids() {
    let relay = relay(0).await;
    let with_relay = |seed| {
        let mut config = config(seed);
        config.relays.push(url(&relay).parse().expect("a relay"));
        config
    };
    let (a, b) = (
        Member::open(with_relay(1)).await,
        Member::open(with_relay(2)).await,
    );
    b.lets_in(&a);
    // Nobody has said where b is.
    a.reaches(b.id(), Protocol::Leaf).await;
    // A ticket with the relay alone does as well.
    let ticket = b.ticket().await;
    let only_relay = Ticket {
        addresses: BTreeSet::new(),
        ..ticket
    };
    let c = Member::open(config(3)).await;
    b.lets_in(&c);
    c.tunnel.know(only_relay);
    // c has no relay of its own, and the ticket's is not asked for.
    assert!(c.echo(b.id(), Protocol::Leaf).await.is_err());
}

#[tokio::test]
async fn who_was_closed_says_good_bye_and_is_reached_again_when_it_is_back() {
    let a = Member::open(config(1)).await;
    let b = Member::open(config(2)).await;
    b.lets_in(&a);
    a.tunnel.know(b.ticket().await);
    let (id, port) = (b.id(), b.tunnel.ports()[0]);
    a.echo(id, Protocol::Leaf).await.expect("an answer");
    let mut events = a.tunnel.events();
    b.tunnel.close().await;
    drop(b);
    heard(
        &mut events,
        |event| matches!(event, Event::Down { peer, .. } if *peer == id),
    )
    .await;
    assert!(a.tunnel.links().is_empty());
    let mut same = config(2);
    same.listen[0].set_port(port);
    let b = Member::open(same).await;
    b.lets_in(&a);
    a.reaches(id, Protocol::Leaf).await;
    let closed = tokio::time::timeout(PATIENCE, a.tunnel.close()).await;
    closed.expect("it ends");
    assert!(a.echo(id, Protocol::Leaf).await.is_err());
}

#[tokio::test]
async fn who_was_dialled_reaches_back_without_being_told_where_the_other_is() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    b.lets_in(&a);
    a.lets_in(&b);
    b.echo(a.id(), Protocol::Xfer).await.expect_err("not known");
    a.tunnel.know(b.ticket().await);
    a.echo(b.id(), Protocol::Route).await.expect("an answer");
    b.echo(a.id(), Protocol::Xfer).await.expect("an answer");
}
