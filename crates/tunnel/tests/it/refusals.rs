//! Who is turned away, and what that costs.

use edgesync_tunnel::{Event, NOT_PAIRED, PeerId, Protocol, StreamError, UNPAIRED};
use iroh::endpoint::presets;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lab::{Member, config, heard};

#[tokio::test]
async fn a_stranger_reaches_pairing_and_nothing_else() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    a.tunnel.know(b.ticket().await);
    let mut events = b.tunnel.events();
    for protocol in Protocol::ALL {
        let answer = a.echo(b.id(), protocol).await;
        if protocol == Protocol::Pair {
            answer.expect("pairing is open");
            continue;
        }
        let why = answer.expect_err("refused");
        assert!(why.contains("not paired"), "{why}");
        let wanted = Event::Refused {
            peer: a.id(),
            protocol,
        };
        heard(&mut events, |event| *event == wanted).await;
    }
    // Once it is on the list it comes in.
    b.lets_in(&a);
    a.echo(b.id(), Protocol::Xfer).await.expect("an answer");
}

#[tokio::test]
async fn a_connection_for_pairing_on_which_nothing_is_said_is_closed() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    a.tunnel.know(b.ticket().await);
    let mut events = b.tunnel.events();
    let mut stream = a
        .tunnel
        .stream(b.id(), Protocol::Pair)
        .await
        .expect("a stream");
    stream.write_all(b"x").await.expect("sent");
    stream.read_exact(&mut [0]).await.expect("heard");
    // It ends, and the connection is left open.
    stream.shutdown().await.expect("ended");
    drop(stream);
    let peer = a.id();
    let ended = |event: &Event| matches!(event, Event::Down { peer: it, protocol: Protocol::Pair, .. } if *it == peer);
    heard(&mut events, ended).await;
    // The next is served, once this end has heard that the last one is over.
    a.reaches(b.id(), Protocol::Pair).await;
}

#[tokio::test]
async fn who_is_taken_off_the_list_loses_what_stands() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    b.lets_in(&a);
    a.tunnel.know(b.ticket().await);
    let mut stream = a
        .tunnel
        .stream(b.id(), Protocol::Leaf)
        .await
        .expect("a stream");
    stream.write_all(b"x").await.expect("sent");
    stream.read_exact(&mut [0]).await.expect("heard");
    b.tunnel.recheck();
    stream.write_all(b"y").await.expect("sent");
    stream
        .read_exact(&mut [0])
        .await
        .expect("still on the list");
    b.lets_in.lock().expect("a list").clear();
    b.tunnel.recheck();
    assert!(stream.read_exact(&mut [0]).await.is_err());
    assert!(a.echo(b.id(), Protocol::Leaf).await.is_err());
}

#[tokio::test]
async fn who_was_unpaired_is_told_so_whoever_dialled_and_a_stranger_is_not() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    let c = Member::open(config(3)).await;
    a.lets_in(&b);
    b.lets_in(&a);
    a.tunnel.know(b.ticket().await);
    b.tunnel.know(a.ticket().await);
    c.tunnel.know(b.ticket().await);
    a.echo(b.id(), Protocol::Route).await.expect("an answer");
    b.echo(a.id(), Protocol::Leaf).await.expect("an answer");
    let both = [Protocol::Route, Protocol::Leaf].map(|ended| (ended, a.tunnel.events()));
    b.unpaired.lock().expect("a list").push(a.id());
    b.tunnel.recheck();
    b.tunnel.cut(a.id());
    for (ended, mut events) in both {
        let is_told = |event: &Event| matches!(event, Event::Down { protocol, why, .. } if *protocol == ended && why.contains(UNPAIRED));
        heard(&mut events, is_told).await;
    }
    for protocol in Protocol::ALL {
        if protocol == Protocol::Pair {
            a.echo(b.id(), protocol).await.expect("pairing is open");
            continue;
        }
        let why = a.echo(b.id(), protocol).await.expect_err("refused");
        // What earlier versions look for is in it.
        assert!(why.contains(UNPAIRED) && why.contains(NOT_PAIRED), "{why}");
        let why = c.echo(b.id(), protocol).await.expect_err("refused");
        assert!(why.contains(NOT_PAIRED) && !why.contains(UNPAIRED), "{why}");
    }
}

#[tokio::test]
async fn an_unknown_protocol_is_refused_and_the_next_caller_is_served() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    b.lets_in(&a);
    let ticket = b.ticket().await;
    let stranger = iroh::Endpoint::builder(presets::Minimal)
        .bind()
        .await
        .expect("an endpoint");
    let id = iroh::EndpointId::from_bytes(b.id().as_bytes()).expect("a key");
    for alpn in [&b""[..], b"/edgesync/xfer/2", b"h3"] {
        let mut address = iroh::EndpointAddr::new(id);
        for direct in &ticket.addresses {
            address = address.with_ip_addr(*direct);
        }
        assert!(stranger.connect(address, alpn).await.is_err());
    }
    stranger.close().await;
    a.tunnel.know(ticket);
    a.echo(b.id(), Protocol::Xfer).await.expect("an answer");
}

#[tokio::test]
async fn a_peer_that_opens_streams_without_end_waits_and_harms_nobody() {
    let (a, b) = (Member::open(config(1)).await, Member::open(config(2)).await);
    let c = Member::open(config(3)).await;
    b.lets_in(&a);
    b.lets_in(&c);
    a.tunnel.know(b.ticket().await);
    c.tunnel.know(b.ticket().await);
    let most = edgesync_tunnel::limits::MAX_STREAMS as usize;
    let mut held = Vec::new();
    for _ in 0..most {
        let mut stream = a
            .tunnel
            .stream(b.id(), Protocol::Xfer)
            .await
            .expect("a stream");
        stream.write_all(b"x").await.expect("sent");
        stream.read_exact(&mut [0]).await.expect("heard");
        held.push(stream);
    }
    let one_more = a.tunnel.stream(b.id(), Protocol::Xfer);
    tokio::pin!(one_more);
    let waits =
        futures_util::future::select(&mut one_more, Box::pin(c.echo(b.id(), Protocol::Xfer)));
    match waits.await {
        futures_util::future::Either::Right((answer, _)) => answer.expect("an answer"),
        futures_util::future::Either::Left(_) => panic!("more than {most} streams"),
    }
    // Streams that are cut off half-way make room. It is told to the other end for several at once.
    held.truncate(most / 2);
    one_more.await.expect("its turn");
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let a = Member::open(config(1)).await;
    let nobody = PeerId::from(*iroh::SecretKey::from_bytes(&[9; 32]).public().as_bytes());
    let error = a
        .tunnel
        .stream(nobody, Protocol::Xfer)
        .await
        .expect_err("nowhere");
    assert_eq!(error, StreamError::NoAddress(nobody));
    // No point of the curve has this encoding.
    let no_key = PeerId::from([2; 32]);
    let error = a
        .tunnel
        .stream(no_key, Protocol::Xfer)
        .await
        .expect_err("no key");
    assert_eq!(error, StreamError::NoKey(no_key));
}

#[tokio::test]
async fn the_key_says_who_is_reached_and_no_address_does() {
    let (b, c) = (Member::open(config(2)).await, Member::open(config(3)).await);
    let (right, other) = (b.ticket().await, c.ticket().await);
    // Only somebody else answers there.
    let a = Member::open(config(1)).await;
    b.lets_in(&a);
    c.lets_in(&a);
    let mut wrong = right.clone();
    wrong.addresses = other.addresses;
    a.tunnel.know(wrong);
    assert!(a.echo(b.id(), Protocol::Xfer).await.is_err());
    // Among addresses of nobody and of everybody the right one is found.
    let d = Member::open(config(4)).await;
    b.lets_in(&d);
    let mut mixed = right;
    for odd in [
        "224.0.0.1:7",
        "255.255.255.255:7",
        "127.0.0.1:0",
        "0.0.0.0:0",
        "[ff02::1]:7",
    ] {
        mixed.addresses.insert(odd.parse().expect("an address"));
    }
    d.tunnel.know(mixed);
    d.reaches(b.id(), Protocol::Xfer).await;
}

#[tokio::test]
async fn a_hint_leads_to_a_peer_of_which_nothing_else_is_known_and_a_lie_leads_nowhere() {
    let (b, c) = (Member::open(config(2)).await, Member::open(config(3)).await);
    let (right, other) = (b.ticket().await, c.ticket().await);
    let mut lie = right.clone();
    lie.addresses = other.addresses;
    let [told, deceived, knowing] = [
        Member::open(config(1)).await,
        Member::open(config(4)).await,
        Member::open(config(5)).await,
    ];
    for caller in [&told, &deceived, &knowing] {
        b.lets_in(caller);
        c.lets_in(caller);
    }
    told.tunnel.hint(right.clone());
    told.echo(b.id(), Protocol::Xfer).await.expect("an answer");
    // Somebody else is there.
    deceived.tunnel.hint(lie.clone());
    assert!(deceived.echo(b.id(), Protocol::Xfer).await.is_err());
    assert!(c.tunnel.links().is_empty());
    // Who knows better does not go there, and so is not delayed.
    knowing.tunnel.know(right.clone());
    knowing.tunnel.hint(lie);
    knowing
        .echo(b.id(), Protocol::Xfer)
        .await
        .expect("an answer");
    // The last word counts.
    deceived.tunnel.hint(right);
    deceived.reaches(b.id(), Protocol::Xfer).await;
}
