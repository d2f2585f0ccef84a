//! The server as its embedder uses it.

use std::time::Duration;

use natsd::local::LocalError;
use natsd::proto::Kind;
use natsd::{Event, Listeners, Options, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::wire::{Wire, loopback, options, server};

#[tokio::test]
async fn a_client_inside_speaks_with_clients_outside() {
    let server = server().await;
    let local = server.local();
    let mut inside = local.subscribe(b"in.*", None).expect("subscribed");
    let mut wire = Wire::quiet(&server).await;
    wire.ask("SUB out 1\r\nHPUB in.a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n")
        .await;
    let message = inside.next().await.expect("a message");
    assert_eq!(
        (&*message.subject, message.reply.as_deref()),
        (b"in.a".as_slice(), Some(b"r".as_slice()))
    );
    assert_eq!(
        (&*message.headers, &*message.payload),
        (b"NATS/1.0\r\n\r\n".as_slice(), b"hi".as_slice())
    );
    assert_eq!(
        local.publish(b"out", Some(b"r"), b"NATS/1.0\r\n\r\n", b"yo"),
        Ok(true)
    );
    wire.expect("HMSG out 1 r 12 14|NATS/1.0||yo").await;
    assert_eq!(local.publish(b"nobody", None, b"", b""), Ok(false));
    drop(inside);
    assert_eq!(server.stats().subscriptions, 1);
    assert_eq!(
        local.publish(b"a..b", None, b"", b""),
        Err(LocalError::Subject)
    );
    assert_eq!(
        local.subscribe(b"a..b", None).err(),
        Some(LocalError::Subject)
    );
    let (bytes, max) = (local.max_payload() + 1, local.max_payload());
    assert_eq!(
        local.publish(b"a", None, b"", &vec![0; bytes]),
        Err(LocalError::TooLong { bytes, max })
    );
}

#[test]
fn a_client_inside_may_be_used_on_any_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime.block_on(server());
    let mut wire = runtime.block_on(Wire::quiet(&server));
    runtime.block_on(wire.ask("SUB a 1\r\n"));
    let local = server.local();
    // More than the socket takes at once.
    let payload = vec![b'x'; local.max_payload()];
    for _ in 0..20 {
        assert_eq!(local.publish(b"a", None, b"", &payload), Ok(true));
    }
    let answer = runtime.block_on(wire.ask(""));
    assert_eq!(answer.matches("MSG a 1 1048576").count(), 20);
}

#[tokio::test]
async fn a_client_inside_that_does_not_read_is_cut() {
    let server = super::wire::limited(natsd::Limits {
        max_pending: 10_000,
        ..natsd::Limits::default()
    });
    let server = server.await;
    let local = server.local();
    let mut deaf = local.subscribe(b"a", None).expect("subscribed");
    let other = server.local();
    for _ in 0..9 {
        assert_eq!(other.publish(b"a", None, b"", &[0; 900]), Ok(true));
    }
    assert_eq!(other.publish(b"a", None, b"", &[0; 900]), Ok(false));
    assert_eq!(local.publish(b"a", None, b"", b""), Err(LocalError::Closed));
    for _ in 0..9 {
        assert!(deaf.next().await.is_some());
    }
    assert_eq!(deaf.next().await, None);
    assert_eq!(server.stats().slow_consumers, 1);
}

#[tokio::test]
async fn any_stream_carries_a_client() {
    let server = server().await;
    let (ours, theirs) = tokio::io::duplex(64);
    server.accept(Kind::Client, theirs, None);
    let (reader, mut writer) = tokio::io::split(ours);
    let mut lines = BufReader::new(reader).lines();
    assert!(
        lines
            .next_line()
            .await
            .expect("read")
            .is_some_and(|line| line.starts_with("INFO "))
    );
    let payload = "x".repeat(100_000);
    let publish = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB a 1\r\nPUB a {}\r\n{payload}\r\nPING\r\n",
        payload.len()
    );
    let writing = async {
        writer.write_all(publish.as_bytes()).await.expect("written");
    };
    let reading = async {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|line| line != "PONG") {
            seen.push(lines.next_line().await.expect("read").expect("a line"));
        }
        seen
    };
    let ((), seen) = tokio::join!(writing, reading);
    assert_eq!(seen, ["MSG a 1 100000", payload.as_str(), "PONG"]);
    server.shutdown().await;
    assert_eq!(lines.next_line().await.expect("read"), None);
}

#[tokio::test]
async fn listeners_change_while_connections_stay() {
    let server = server().await;
    let before = server.addresses().clients.expect("an address");
    let mut wire = Wire::quiet(&server).await;
    let elsewhere = |clients| Listeners {
        clients,
        ..Listeners::default()
    };
    let taken = std::net::TcpListener::bind(loopback()).expect("a port");
    let address = taken.local_addr().expect("its address");
    assert!(
        server
            .set_listeners(elsewhere(Some(address)))
            .await
            .is_err()
    );
    assert_eq!(
        server.addresses().clients,
        Some(before),
        "nothing has changed"
    );
    drop(taken);
    server
        .set_listeners(elsewhere(Some(address)))
        .await
        .expect("changed");
    assert_eq!(server.addresses().clients, Some(address));
    assert_eq!(wire.ask("SUB a 1\r\n").await, "");
    let mut new = Wire::quiet(&server).await;
    new.ask("PUB a 1\r\nx\r\n").await;
    assert_eq!(wire.ask("").await, "MSG a 1 1|x");
    server
        .set_listeners(Listeners::default())
        .await
        .expect("changed");
    assert_eq!(server.addresses().clients, None);
    assert_eq!(wire.ask("PUB a 1\r\ny\r\n").await, "MSG a 1 1|y");
}

#[tokio::test]
async fn events_and_counters_tell_what_goes_on() {
    let server = server().await;
    let mut events = server.events();
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"name":"n","lang":"rust","version":"1"}"#)
        .await;
    wire.ask("SUB a 1\r\nPUB a 5\r\nhello\r\n").await;
    let stats = server.stats();
    let [one] = stats.connections.as_slice() else {
        panic!("{stats:?}")
    };
    assert_eq!(
        (
            one.name.as_deref(),
            one.lang.as_deref(),
            one.version.as_deref()
        ),
        (Some("n"), Some("rust"), Some("1"))
    );
    assert_eq!(
        (
            one.in_messages,
            one.in_bytes,
            one.out_messages,
            one.out_bytes
        ),
        (1, 5, 1, 5)
    );
    assert_eq!((one.subscriptions, one.pending, one.dialled), (1, 0, false));
    assert!(server.disconnect(one.id) && !server.disconnect(77));
    wire.expect_end("").await;
    assert!(matches!(
        events.recv().await,
        Ok(Event::Connected {
            kind: Kind::Client,
            ..
        })
    ));
    assert!(matches!(
        events.recv().await,
        Ok(Event::Disconnected {
            why: natsd::Close::Closed,
            ..
        })
    ));
    let stats = server.stats();
    assert_eq!(stats.connections.len(), 0);
    // What went over a connection counts after its end.
    let all = stats.traffic(Kind::Client);
    assert_eq!(
        (
            all.in_messages,
            all.in_bytes,
            all.out_messages,
            all.out_bytes
        ),
        (1, 5, 1, 5)
    );
    assert_eq!(stats.traffic(Kind::Leaf), natsd::Traffic::default());
}

#[tokio::test]
async fn a_lame_duck_tells_its_clients_before_it_goes() {
    let server = Server::start(Options {
        server_name: Some("duck".into()),
        ..options()
    })
    .await
    .expect("a server");
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"protocol":1}"#).await;
    server.lame_duck(Duration::ZERO, Duration::ZERO).await;
    let info = wire.line().await;
    assert!(
        info.starts_with("INFO ") && info.contains("\"ldm\":true"),
        "{info}"
    );
    wire.expect_end("").await;
}
