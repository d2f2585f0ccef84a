//! What comes faster than it is taken.

use edgesync_bus::{Bus, Nats, Publish};

use super::stock::{PATIENCE, StockServer};

/// Publishes so many messages of this many bytes to one that has subscribed and does not read, and returns both when all were sent to it.
async fn flood(
    server: &StockServer,
    count: u32,
    bytes: usize,
) -> (Nats, edgesync_bus::Subscription) {
    let (from, to) = (server.join().await, server.join().await);
    let heard = to.subscribe("flood", None).await.expect("subscribed");
    to.flush().await.expect("flushed");
    let mut payload = vec![0; bytes];
    for number in 0..count {
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let publish = Publish::new("flood", payload.clone());
        from.publish(publish).await.expect("published");
    }
    from.flush().await.expect("flushed");
    to.flush().await.expect("flushed");
    (to, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_at_once_wait_for_their_reader() {
    let server = StockServer::start().await;
    let (bus, mut heard) = flood(&server, 10_000, 1_000).await;
    for number in 0..10_000_u32 {
        let message = heard.next().await.expect("a message");
        assert_eq!(message.payload[..4], number.to_be_bytes());
    }
    assert_eq!(bus.lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_room_is_dropped_and_counted_and_room_is_used_again() {
    const SENT: u32 = 300;
    const BYTES: usize = 256 << 10;
    let server = StockServer::start().await;
    let (bus, mut heard) = flood(&server, SENT, BYTES).await;
    let (mut got, mut last) = (0, None);
    let all = async {
        // Not earlier, or the reader would make room.
        while bus.lost() == 0 {
            tokio::task::yield_now().await;
        }
        while got + bus.lost() < u64::from(SENT) {
            tokio::select! {
                biased;
                message = heard.next() => {
                    let number = message.expect("a message").payload.slice(..4);
                    assert!(last.replace(number.clone()) < Some(number), "in order");
                    got += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("each is heard or counted");
    assert!((1..u64::from(SENT)).contains(&got), "{got}");
    let near = server.join().await;
    near.publish(Publish::new("flood", "last"))
        .await
        .expect("published");
    assert_eq!(heard.next().await.expect("a message").payload, "last");
}
