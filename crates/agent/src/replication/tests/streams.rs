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
    let admits = Arc::new(move |_: &PeerId, protocol| opens.contains(&protocol));
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
