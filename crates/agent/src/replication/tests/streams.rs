//! Exchanges on streams of a real tunnel, beside a bus in memory.

use std::net::{Ipv4Addr, SocketAddr};

use edgesync_tunnel::{Arrivals as Streams, PeerId, Protocol, Stream};

use super::*;
use crate::serve::tunnel::Door;

/// Opens the tunnel of an agent that lets everybody in for these purposes.
async fn open(seed: u8, opens: &'static [Protocol]) -> (Tunnel, Streams) {
    let config = edgesync_tunnel::Config {
        secret: [seed; 32],
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        ..edgesync_tunnel::Config::default()
    };
    let admits = Arc::new(move |_: &PeerId, protocol| opens.contains(&protocol).into());
    Tunnel::open(config, admits).await.expect("a tunnel")
}

/// Makes a link as that of the bus from one to the other.
async fn link(from: &Tunnel, to: &Tunnel) -> Stream {
    let ticket = to.ticket_soon(PATIENCE).await;
    let peer = ticket.peer;
    from.know(ticket);
    let stream = from.stream(peer, Protocol::Route).await;
    stream.expect("a link")
}

/// Has an agent answer what comes over its tunnel.
fn answer(member: &Member, mut streams: Streams) {
    let replication = Arc::clone(&member.replication);
    let trust = Arc::clone(&replication.setup.wire.trust);
    let door = Door::new(replication, trust);
    tokio::spawn(async move {
        let mut links = Vec::new();
        while let Some(arrival) = streams.recv().await {
            match arrival.protocol {
                Protocol::Xfer => {
                    let id = EndpointId::from(*arrival.peer.as_bytes());
                    tokio::spawn(door.clone().answer(id, arrival.stream));
                }
                _ => links.push(arrival.stream),
            }
        }
    });
}

/// Waits until an exchange of this agent over a stream has ended well.
async fn uses_streams(member: &Member) {
    let wait = async {
        while member.replication.over_streams() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("a stream is used");
}

#[tokio::test]
async fn what_is_new_comes_on_streams_where_a_tunnel_stands_in_both_directions() {
    let lab = Lab::new();
    let open_all = &[Protocol::Route, Protocol::Xfer];
    let (tunnel_a, streams_a) = open(1, open_all).await;
    let (tunnel_b, streams_b) = open(2, open_all).await;
    let a = lab.start_over(1, &[2], HOUR, Some(tunnel_a.clone())).await;
    let b = lab.start_over(2, &[1], HOUR, Some(tunnel_b.clone())).await;
    answer(&a, streams_a);
    answer(&b, streams_b);
    a.meets(1).await;
    let _link = link(&tunnel_b, &tunnel_a).await;
    a.store("from a");
    b.receives("from a").await;
    uses_streams(&b).await;
    // A was dialled, and was told by nobody where B is.
    b.store("from b");
    a.receives("from b").await;
    uses_streams(&a).await;
}

#[tokio::test]
async fn where_streams_do_not_lead_to_a_peer_the_bus_does() {
    let lab = Lab::new();
    let (tunnel_a, streams_a) = open(1, &[Protocol::Route]).await;
    let (tunnel_b, _streams_b) = open(2, &[]).await;
    let a = lab.start(1, &[2], HOUR).await;
    let b = lab.start_over(2, &[1], HOUR, Some(tunnel_b.clone())).await;
    answer(&a, streams_a);
    a.meets(1).await;
    let _link = link(&tunnel_b, &tunnel_a).await;
    a.store("from a");
    b.receives("from a").await;
    assert_eq!(b.replication.over_streams(), 0);
    // It is remembered, so that the next one does not wait for it.
    assert!(!b.replication.unreached.may_try(&keys(1).id()));
}

#[tokio::test]
async fn who_has_no_rights_gets_nothing_by_a_stream() {
    let lab = Lab::new();
    let (tunnel_a, streams_a) = open(1, &[Protocol::Route, Protocol::Xfer]).await;
    let (tunnel_b, _streams_b) = open(2, &[]).await;
    let a = lab.start(1, &[], HOUR).await;
    a.joins().await;
    a.store("secret");
    answer(&a, streams_a);
    let _link = link(&tunnel_b, &tunnel_a).await;
    let direct = Direct {
        tunnel: tunnel_b.clone(),
        peer: keys(1).id(),
        project: project().to_string(),
    };
    let path = lab.repository("2.fossil");
    let writer = Writer::start("2", &path).expect("a thread");
    let goal = Goal {
        pull: true,
        ..Goal::default()
    };
    let start = move |_: &mut Repository| Ok(Client::new(goal, None));
    let refused = direct.exchange(&writer, start, |_| {}).await;
    let refused = refused.expect_err("refused");
    assert!(
        refused.message.ends_with("the project is not served here"),
        "{refused:?}"
    );
    let b = Repository::open(&path, Access::ReadOnly).expect("a repository");
    let name = libfossil::name::HashName::sha3_of(b"secret");
    assert!(b.rid(&name).expect("read").is_none());
}

/// Asks as an agent of another make does: the packed message on a stream, and its end; the answer is all that comes back.
async fn ask_bare(door: &Door, id: EndpointId, message: &str) -> String {
    use libfossil::xfer::frame::{ContentType, decode, encode};
    let (here, there) = tokio::io::duplex(1 << 16);
    tokio::spawn(door.clone().answer_bare(id, there));
    let (mut reader, mut writer) = tokio::io::split(here);
    let packed = encode(ContentType::Packed, message.as_bytes().to_vec());
    crate::streams::write_body(&mut writer, &packed)
        .await
        .expect("asked");
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer);
    timeout(PATIENCE, read)
        .await
        .expect("in time")
        .expect("read");
    let message = decode(ContentType::Packed, answer.into()).expect("a packed message");
    String::from_utf8_lossy(&message).into_owned()
}

#[tokio::test]
async fn a_request_without_our_frame_is_answered_in_its_own_form_to_whom_may_ask() {
    let lab = Lab::new();
    let a = lab.start(1, &[2], HOUR).await;
    a.joins().await;
    a.store("for those who may");
    let replication = Arc::clone(&a.replication);
    let trust = Arc::clone(&replication.setup.wire.trust);
    let door = Door::new(replication, trust);
    let (friend, stranger) = (keys(2).id(), keys(3).id());
    let pull = format!("pull {} {}\n", "0".repeat(40), project());
    let name = libfossil::name::HashName::sha3_of(b"for those who may");
    let gimme = format!("{pull}gimme {name}\n");
    let answer = ask_bare(&door, friend, &gimme).await;
    assert!(answer.contains("for those who may"), "{answer}");
    let answer = ask_bare(&door, friend, "clone 3 1\n").await;
    assert!(answer.contains(&format!(" {}\n", project())), "{answer}");
    // Who may nothing learns nothing, and neither does who asks for another project.
    let refusal = "error the\\sproject\\sis\\snot\\sserved\\shere";
    let other = format!("pull {} {}\n", "0".repeat(40), "f".repeat(40));
    for (id, message) in [
        (stranger, gimme.as_str()),
        (stranger, "clone 3 1\n"),
        (friend, &other),
    ] {
        let answer = ask_bare(&door, id, message).await;
        assert!(answer.starts_with(refusal), "{answer}");
    }
}

#[tokio::test]
async fn what_one_stores_that_may_only_read_here_is_not_taken_on_a_stream() {
    let lab = Lab::new();
    let (tunnel_a, streams_a) = open(1, &[Protocol::Route, Protocol::Xfer]).await;
    let (tunnel_b, _streams_b) = open(2, &[]).await;
    let a = lab.start(1, &[2], HOUR).await;
    let b = lab.start_over(2, &[], HOUR, Some(tunnel_b.clone())).await;
    let reads = crate::trust::TrustedId {
        id: keys(1).id(),
        name: None,
        capabilities: "go".to_owned(),
        since: None,
    };
    let register = &b.replication.setup.wire.trust.register;
    register.add(reads).expect("added");
    answer(&a, streams_a);
    let _link = link(&tunnel_b, &tunnel_a).await;
    b.joins().await;
    a.store("not for b");
    let peer = Peer::parse(&keys(1).id().to_string()).expect("a name");
    let member = locked(&b.replication.members).values().next().cloned();
    let goal = Goal {
        pull: true,
        ..Goal::default()
    };
    let member = member.expect("a member");
    let exchanged = member
        .exchange_on_stream(Some(&peer), goal, &mut |_| {})
        .await;
    assert!(exchanged.is_none(), "it is not asked");
    assert!(!b.holds("not for b"));
}
