//! A NATS server's connections: any bytes, cut anywhere, on the port of any kind end with them. Nothing panics, and a client beside it is served.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use natsd::proto::Kind;
use natsd::{Options, RouteOptions, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    static HERE: (Runtime, Server) = {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let options = Options {
            // What a route tells of other members leads nowhere from here.
            routes: RouteOptions {
                dial_learned: false,
                ..RouteOptions::default()
            },
            ..Options::default()
        };
        let server = runtime
            .block_on(Server::start(options))
            .expect("a server");
        (runtime, server)
    };
}

async fn session(server: &Server, kind: Kind, pieces: [&[u8]; 2]) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    server.accept(kind, theirs, None);
    let (mut reader, mut writer) = tokio::io::split(ours);
    let reading = tokio::spawn(async move {
        let mut answers = Vec::new();
        // However it ends is well.
        let _ = reader.read_to_end(&mut answers).await;
    });
    for piece in pieces {
        // The server may have closed already.
        let _ = writer.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    let _ = writer.shutdown().await;
    let ended = timeout(PATIENCE, reading).await;
    ended.expect("the connection ends").expect("read");
}

fuzz_target!(|data: (u8, u16, &[u8])| {
    let (kind, cut, bytes) = data;
    let kind = [Kind::Client, Kind::Leaf, Kind::Route][usize::from(kind) % 3];
    let pieces = bytes.split_at(usize::from(cut).min(bytes.len()));
    HERE.with(|(runtime, server)| {
        runtime.block_on(async {
            session(server, kind, pieces.into()).await;
            let local = server.local();
            let mut heard = local.subscribe(b"still", None).expect("subscribed");
            let delivered = local.publish(b"still", None, b"", b"here");
            assert_eq!(delivered, Ok(true));
            assert!(timeout(PATIENCE, heard.next()).await.is_ok());
        });
    });
});
