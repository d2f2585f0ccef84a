//! Peers that harm, on purpose or not.

use std::sync::Arc;
use std::time::Duration;

use natsd::{Event, Limits, Listeners, Options, Server};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::wire::{PATIENCE, Wire, limited, loopback, options, server};

const MIB: usize = 1 << 20;

/// Memory that this process holds, in bytes, without the program itself, which is read from its file as it is used.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("a size");
    kib.parse::<usize>().expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_costs_its_limit_and_nobody_else_a_message() {
    const PAYLOAD: usize = 64 << 10;
    const MESSAGES: usize = (1 << 30) / PAYLOAD;
    /// How far the publisher is before the reader that reads: what waits for that one is not what the other costs, and how much it
    /// is depends on the machine.
    const AHEAD: usize = 4 * MIB / PAYLOAD;
    let limits = Limits {
        max_pending: 32 * MIB,
        ..Limits::default()
    };
    let max_pending = limits.max_pending;
    let server = limited(limits).await;
    let mut deaf = Wire::quiet(&server).await;
    deaf.ask("SUB a 1\r\n").await;
    let (mut good, mut publisher) = (Wire::quiet(&server).await, Wire::quiet(&server).await);
    good.ask("SUB a 1\r\n").await;
    let before = resident();
    let message = [
        format!("PUB a {PAYLOAD}\r\n").as_bytes(),
        &vec![b'x'; PAYLOAD],
        b"\r\n",
    ]
    .concat();
    let ahead = Arc::new(Semaphore::new(AHEAD));
    let may = Arc::clone(&ahead);
    let publishing = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            may.acquire().await.expect("it stays open").forget();
            publisher.send(&message).await;
        }
        let answer = publisher.ask("").await;
        (answer, publisher)
    });
    let size = PAYLOAD + format!("MSG a 1 {PAYLOAD}\r\n\r\n").len();
    let expected = MESSAGES * size;
    let (mut got, mut peak) = (0, 0);
    let mut buffer = vec![0; MIB];
    while got < expected {
        let read = tokio::io::AsyncReadExt::read(&mut good.stream, &mut buffer);
        let count = tokio::time::timeout(PATIENCE, read)
            .await
            .expect("in time")
            .expect("read");
        assert!(count > 0, "the reader was cut after {got} bytes");
        ahead.add_permits((got + count) / size - got / size);
        got += count;
        peak = peak.max(resident());
    }
    let (answer, _publisher) = publishing.await.expect("published");
    assert_eq!(answer, "");
    let cost = peak.saturating_sub(before);
    assert!(cost <= max_pending + 16 * MIB, "{} MiB", cost / MIB);
    let stats = server.stats();
    assert_eq!((stats.slow_consumers, stats.connections.len()), (1, 2));
}

#[tokio::test]
async fn ten_thousand_operations_in_one_write_are_all_done() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    let mut bytes = String::from("SUB a 1\r\n");
    for _ in 0..10_000 {
        bytes.push_str("PUB a 1\r\nx\r\n");
    }
    let answer = wire.ask(&bytes).await;
    assert_eq!(answer.matches("MSG a 1 1|x").count(), 10_000);
    assert_eq!(wire.ask("PING\r\n".repeat(999)).await, "");
    for _ in 0..999 {
        wire.expect("PONG").await;
    }
}

#[tokio::test]
async fn byte_by_byte_is_the_same_as_at_once() {
    let server = server().await;
    let mut wire = Wire::to(&server).await;
    wire.stream.set_nodelay(true).expect("an option");
    let bytes = "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB a.> q 1\r\nHPUB a.b r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 1\r\nPUB a.b 1\r\nx\r\nPING\r\n";
    for byte in bytes.as_bytes().chunks(1) {
        wire.send(byte).await;
        tokio::task::yield_now().await;
    }
    wire.expect("HMSG a.b 1 r 12 14|NATS/1.0||hi|PONG").await;
}

#[tokio::test]
async fn a_long_announced_payload_costs_nothing_until_it_comes() {
    let limits = Limits {
        max_payload: 64 * MIB,
        max_pending: 64 * MIB,
        ..Limits::default()
    };
    let server = limited(limits).await;
    let before = resident();
    let mut wires = Vec::new();
    for _ in 0..100 {
        let mut wire = Wire::quiet(&server).await;
        wire.send(format!("PUB a {}\r\nbegin", 64 * MIB)).await;
        wires.push(wire);
    }
    let mut other = Wire::quiet(&server).await;
    assert_eq!(
        other.ask("SUB a 1\r\nPUB a 1\r\nx\r\n").await,
        "MSG a 1 1|x"
    );
    assert!(resident().saturating_sub(before) < 64 * MIB);
}

#[tokio::test]
async fn who_does_not_answer_pings_is_cut_after_two() {
    let limits = Limits {
        ping_interval: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = limited(limits).await;
    let mut events = server.events();
    let mut wire = Wire::to(&server).await;
    wire.expect_end("PING|PING|-ERR 'Stale Connection'").await;
    loop {
        if let Event::Disconnected { why, .. } = events.recv().await.expect("an event") {
            assert_eq!(why, natsd::Close::Stale);
            break;
        }
    }
}

#[tokio::test]
async fn there_are_no_more_connections_than_may_be() {
    let limits = Limits {
        max_connections: 2,
        ..Limits::default()
    };
    let server = limited(limits).await;
    let (one, _two) = (Wire::quiet(&server).await, Wire::quiet(&server).await);
    Wire::to(&server)
        .await
        .expect_end("-ERR 'maximum connections exceeded'")
        .await;
    let mut events = server.events();
    drop(one);
    while !matches!(
        events.recv().await.expect("an event"),
        Event::Disconnected { .. }
    ) {}
    assert_eq!(Wire::quiet(&server).await.ask("").await, "");
}

#[tokio::test]
async fn there_are_no_more_subscriptions_than_may_be() {
    let limits = Limits {
        max_subscriptions: 2,
        ..Limits::default()
    };
    let server = limited(limits).await;
    let mut wire = Wire::quiet(&server).await;
    let answer = wire
        .ask("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nUNSUB 1\r\nSUB d 4\r\n")
        .await;
    assert_eq!(answer, "-ERR 'maximum subscriptions exceeded'");
    assert_eq!(server.stats().subscriptions, 2);
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_message_delivers_none_of_it() {
    let server = server().await;
    let mut listener = Wire::quiet(&server).await;
    listener.ask("SUB > 1\r\n").await;
    let mut events = server.events();
    let mut wire = Wire::quiet(&server).await;
    wire.send("PUB a 10\r\nhalf").await;
    wire.stream.shutdown().await.expect("closed");
    while !matches!(
        events.recv().await.expect("an event"),
        Event::Disconnected { .. }
    ) {}
    assert_eq!(listener.ask("").await, "");
}

#[tokio::test]
async fn a_message_whose_headers_clients_cannot_read_reaches_nobody() {
    let options = Options {
        listeners: Listeners {
            leaves: Some(loopback()),
            ..options().listeners
        },
        ..options()
    };
    let server = Server::start(options).await.expect("a server");
    let mut listener = Wire::quiet(&server).await;
    listener.ask("SUB > 1\r\n").await;
    let mut client = Wire::quiet(&server).await;
    let leaves = server.addresses().leaves.expect("a leafnode listener");
    let (mut leaf, _) = Wire::dial(leaves).await;
    leaf.send(
        "CONNECT {\"verbose\":false,\"headers\":true,\"server_id\":\"N1\",\"name\":\"N1\"}\r\n",
    )
    .await;
    while !leaf.line().await.starts_with("LS+ $LDS.") {}
    let long = format!("NATS/1.0\r\n{}\0: b\r\n\r\n", "k".repeat(64 << 10));
    for block in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "NATS/1.0\r\nno colon\r\n\r\n",
        "NATS/1.0\r\nnul\0: b\r\n\r\n",
        "NATS/1.0\nbare\n\n",
        &long,
    ] {
        let len = block.len();
        let message = format!(" {len} {}\r\n{block}hi\r\n", len + 2);
        assert_eq!(client.ask(format!("HPUB a{message}")).await, "");
        leaf.send(format!("HMSG a{message}")).await;
    }
    // What comes after them comes through.
    assert_eq!(client.ask("PUB last 0\r\n\r\n").await, "");
    leaf.send("LMSG last 0\r\n\r\nPING\r\n").await;
    while leaf.line().await != "PONG" {}
    let answer = listener.ask("").await;
    assert_eq!(answer, "MSG last 1 0||MSG last 1 0|");
}

/// Bytes without a meaning, the same in each run.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32).to_le_bytes()[0]
    };
    (0..512).map(|_| byte()).collect()
}

#[tokio::test]
async fn noise_at_every_port_costs_only_its_own_connection() {
    let listeners = Listeners {
        leaves: Some(loopback()),
        routes: Some(loopback()),
        ..options().listeners
    };
    let options = Options {
        cluster_name: Some("m".to_owned()),
        listeners,
        ..options()
    };
    let server = Server::start(options).await.expect("a server");
    let mut good = Wire::quiet(&server).await;
    good.ask("SUB a 1\r\n").await;
    let at = server.addresses();
    let ports = [at.clients, at.leaves, at.routes].map(|port| port.expect("a listener"));
    // As it is, and behind what has a server or client listen on.
    let verbs = [
        "",
        "CONNECT {}\r\n",
        "CONNECT {\"name\":\"N\",\"server_id\":\"N\"}\r\nINFO {\"server_id\":\"N\"}\r\n",
    ];
    for seed in 0..60 {
        for port in ports {
            let (mut wire, _) = Wire::dial(port).await;
            let before = verbs[usize::try_from(seed).expect("small") % verbs.len()];
            // It may be cut before all is written.
            let _ = wire.stream.write_all(before.as_bytes()).await;
            let _ = wire.stream.write_all(&noise(seed)).await;
            let _ = wire.stream.shutdown().await;
            let mut rest = Vec::new();
            let end = tokio::io::AsyncReadExt::read_to_end(&mut wire.stream, &mut rest);
            let _ = tokio::time::timeout(PATIENCE, end).await.expect("it ends");
        }
    }
    assert_eq!(good.ask("PUB a 1\r\nx\r\n").await, "MSG a 1 1|x");
    let stats = server.stats();
    assert_eq!(stats.subscriptions, 1);
}
