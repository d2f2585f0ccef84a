//! Peers that read too slowly or not at all: each is cut by its own limit, for the reason that is told, and nobody else notices.

use std::time::Duration;

use natsd::{Close, Event, Limits, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::sync::broadcast;

use super::program::Running;
use super::wire::{PATIENCE, Wire, limited};

const MIB: usize = 1 << 20;

/// What one message of these tests carries. It takes some of them to fill what the system holds for a socket.
const PAYLOAD: usize = 256 << 10;

/// Waits until a connection ends, and says why.
async fn end(events: &mut broadcast::Receiver<Event>) -> Close {
    let wait = async {
        loop {
            if let Event::Disconnected { why, .. } = events.recv().await.expect("an event") {
                return why;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("a connection ends")
}

/// Connects with as little room for unread bytes as the system allows.
async fn narrow(server: &Server) -> Wire {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    let address = server.addresses().clients.expect("a client listener");
    let mut wire = Wire::over(socket.connect(address).await.expect("connected"));
    wire.line().await;
    wire.connect(r#"{"verbose":false,"pedantic":false}"#).await;
    wire
}

fn message() -> Vec<u8> {
    let payload = "x".repeat(PAYLOAD);
    format!("PUB a {PAYLOAD}\r\n{payload}\r\n").into_bytes()
}

#[tokio::test]
async fn who_takes_no_byte_for_the_write_deadline_is_cut() {
    let limits = Limits {
        write_deadline: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = limited(limits).await;
    let mut deaf = narrow(&server).await;
    deaf.ask("SUB a 1\r\n").await;
    let mut publisher = Wire::quiet(&server).await;
    let mut events = server.events();
    // Far below what may wait for it.
    for _ in 0..16 * MIB / PAYLOAD {
        assert_eq!(publisher.ask(message()).await, "");
    }
    assert_eq!(end(&mut events).await, Close::WriteDeadline);
    assert_eq!(server.stats().slow_consumers, 1);
    assert_eq!(
        publisher.ask("SUB b 1\r\nPUB b 1\r\nx\r\n").await,
        "MSG b 1 1|x"
    );
}

#[tokio::test]
async fn who_reads_a_byte_at_a_time_is_cut_at_its_limit_and_nobody_else() {
    let limits = Limits {
        max_pending: 2 * MIB,
        ..Limits::default()
    };
    let server = limited(limits).await;
    let mut slow = narrow(&server).await;
    slow.ask("SUB a 1\r\n").await;
    let (mut good, mut publisher) = (Wire::quiet(&server).await, Wire::quiet(&server).await);
    good.ask("SUB a 1\r\n").await;
    let mut events = server.events();
    let expected = format!("MSG a 1 {PAYLOAD}|{}", "x".repeat(PAYLOAD));
    for _ in 0..16 * MIB / PAYLOAD {
        assert_eq!(publisher.ask(message()).await, "");
        assert!(good.ask("").await == expected);
        // Once it is cut there is nothing to read any more.
        let _ = slow.stream.read(&mut [0]).await;
    }
    assert_eq!(end(&mut events).await, Close::SlowConsumer);
    let stats = server.stats();
    assert_eq!((stats.slow_consumers, stats.connections.len()), (1, 2));
}

#[tokio::test]
async fn who_floods_with_pings_and_reads_no_pong_is_cut_at_its_limit() {
    let limits = Limits {
        max_pending: MIB,
        ..Limits::default()
    };
    let server = limited(limits).await;
    let mut flood = narrow(&server).await;
    let mut other = Wire::quiet(&server).await;
    let mut events = server.events();
    let pings = "PING\r\n".repeat(10_000);
    let flooding = async {
        while tokio::io::AsyncWriteExt::write_all(&mut flood.stream, pings.as_bytes())
            .await
            .is_ok()
        {}
    };
    tokio::time::timeout(PATIENCE, flooding)
        .await
        .expect("it is cut");
    assert_eq!(end(&mut events).await, Close::SlowConsumer);
    assert_eq!(
        other.ask("SUB b 1\r\nPUB b 1\r\nx\r\n").await,
        "MSG b 1 1|x"
    );
}

/// Has 1 GiB published as fast as it goes to a subscriber that reads, with one beside it that does not or without, and returns the most
/// memory that the server's process had.
async fn peak_with(deaf: bool) -> usize {
    const PIECE: usize = 64 << 10;
    const MESSAGES: usize = (1 << 30) / PIECE;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let config = "listen: \"127.0.0.1:-1\"\nmax_pending: 32MB\n";
    std::fs::write(file.path(), config).expect("written");
    let mut server = Running::start_with(file.path()).await;
    let at = server.address("nats").await;
    let client = async || {
        let (mut wire, _) = Wire::dial(at).await;
        wire.connect(r#"{"verbose":false,"pedantic":false}"#).await;
        wire
    };
    let mut silent = client().await;
    if deaf {
        silent.ask("SUB a 1\r\n").await;
    }
    let (mut good, mut publisher) = (client().await, client().await);
    good.ask("SUB a 1\r\n").await;
    let message = [
        format!("PUB a {PIECE}\r\n").as_bytes(),
        &vec![b'x'; PIECE],
        b"\r\n",
    ]
    .concat();
    let publishing = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            publisher.send(&message).await;
        }
        publisher.ask("").await
    });
    let expected = MESSAGES * (PIECE + format!("MSG a 1 {PIECE}\r\n\r\n").len());
    let mut buffer = vec![0; MIB];
    let mut got = 0;
    while got < expected {
        let read = tokio::time::timeout(PATIENCE, good.stream.read(&mut buffer)).await;
        let count = read.expect("in time").expect("read");
        assert!(count > 0, "the reader was cut after {got} bytes");
        got += count;
    }
    assert_eq!(publishing.await.expect("published"), "");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.number()));
    let status = status.expect("a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("a size").parse::<usize>().expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_makes_no_more_difference_than_its_limit_and_a_little() {
    let (without, with) = (peak_with(false).await, peak_with(true).await);
    let difference = with.saturating_sub(without);
    assert!(
        difference <= (32 + 16) * MIB,
        "{} MiB with it, {} MiB without",
        with / MIB,
        without / MIB
    );
}
