//! What every bus promises, tried on each: the one in memory and the one over a stock NATS server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edgesync_bus::{
    Bus, ConnectError, Connection, Headers, Hub, Login, Nats, Publish, RequestError, SendError,
    SharedBus,
};

use super::stock::{PATIENCE, StockServer, ask};

async fn contract(first: SharedBus, second: SharedBus) {
    published_messages_arrive_whole_and_not_at_their_sender(&first, &second).await;
    one_of_a_queue_answers_and_the_asker_never(&first, &second).await;
    silence_and_absence_are_told_apart(&first, &second).await;
    what_came_before_the_end_of_a_subscription_is_heard(&first, &second).await;
    what_the_server_would_refuse_is_not_sent(&first).await;
}

async fn published_messages_arrive_whole_and_not_at_their_sender(
    first: &SharedBus,
    second: &SharedBus,
) {
    let mut own = first.subscribe("news.>", None).await.expect("subscribed");
    let mut heard = second.subscribe("news.*", None).await.expect("subscribed");
    second.flush().await.expect("flushed");
    let publish = Publish {
        subject: "news.one".to_owned(),
        reply: Some("answers.here".to_owned()),
        headers: Headers::new().with("Edgesync-Test", "a: b"),
        payload: Bytes::from_static(b"\0\r\nbytes"),
    };
    first.publish(publish.clone()).await.expect("published");
    first.flush().await.expect("flushed");
    let message = heard.next().await.expect("a message");
    assert_eq!(message.subject, publish.subject);
    assert_eq!(message.reply, publish.reply);
    assert_eq!(message.headers.get("edgesync-test"), Some("a: b"));
    assert_eq!(message.payload, publish.payload);

    second
        .publish(Publish::new("news.two", "back"))
        .await
        .expect("published");
    let message = own.next().await.expect("a message");
    assert_eq!(message.subject, "news.two", "its own message came back");
    assert!(message.headers.is_empty());
}

async fn one_of_a_queue_answers_and_the_asker_never(first: &SharedBus, second: &SharedBus) {
    let mut own = first
        .subscribe("work", Some("all"))
        .await
        .expect("subscribed");
    let mut queue = second
        .subscribe("work", Some("all"))
        .await
        .expect("subscribed");
    let mut same_queue = second
        .subscribe("work", Some("all"))
        .await
        .expect("subscribed");
    second.flush().await.expect("flushed");
    let answering = Arc::clone(second);
    let worker = tokio::spawn(async move {
        for _ in 0..10 {
            let asked = tokio::select! {
                asked = queue.next() => asked,
                asked = same_queue.next() => asked,
            };
            let asked = asked.expect("a request");
            assert_eq!(asked.headers.get("Edgesync-Test"), Some("1"));
            let answer = Publish::new(asked.reply.expect("a place for the answer"), asked.payload);
            answering.publish(answer).await.expect("published");
        }
    });
    for _ in 0..10 {
        let request = ask(first, "work", PATIENCE);
        let inbox = request.inbox.clone();
        let answer = first.request(request).await.expect("an answer");
        assert_eq!(
            (answer.subject, answer.payload),
            (inbox, Bytes::from_static(b"?"))
        );
    }
    worker.await.expect("answered all");
    second
        .publish(Publish::new("work", "last"))
        .await
        .expect("published");
    let heard = own.next().await.expect("a message");
    assert_eq!(heard.payload, "last", "the asker heard its own request");
}

async fn silence_and_absence_are_told_apart(first: &SharedBus, second: &SharedBus) {
    let nobody = first.request(ask(first, "nobody.here", PATIENCE)).await;
    assert_eq!(nobody, Err(RequestError::NoResponders));
    let silent = second.subscribe("silent", None).await.expect("subscribed");
    second.flush().await.expect("flushed");
    let unheard = first
        .request(ask(first, "silent", Duration::from_millis(20)))
        .await;
    assert_eq!(unheard, Err(RequestError::TimedOut));
    drop(silent);
    second.flush().await.expect("flushed");
    let nobody = first.request(ask(first, "silent", PATIENCE)).await;
    assert_eq!(nobody, Err(RequestError::NoResponders));
}

async fn what_came_before_the_end_of_a_subscription_is_heard(
    first: &SharedBus,
    second: &SharedBus,
) {
    let mut heard = second.subscribe("last", None).await.expect("subscribed");
    second.flush().await.expect("flushed");
    for text in ["one", "two"] {
        let publish = Publish::new("last", text);
        first.publish(publish).await.expect("published");
    }
    first.flush().await.expect("flushed");
    second.flush().await.expect("flushed");
    heard.drain().await;
    for text in ["one", "two"] {
        assert_eq!(heard.next().await.expect("a message").payload, text);
    }
    assert!(heard.next().await.is_none());
    let asked = first.request(ask(first, "last", PATIENCE)).await;
    assert!(matches!(asked, Err(RequestError::NoResponders)));
}

async fn what_the_server_would_refuse_is_not_sent(bus: &SharedBus) {
    let max = bus.max_payload();
    let large = Publish::new("large", vec![0; max + 1]);
    let refused = bus.publish(large).await;
    assert_eq!(refused, Err(SendError::TooLarge { size: max + 1, max }));
    bus.publish(Publish::new("large", vec![0; max]))
        .await
        .expect("published");
    let refused = bus.publish(Publish::new("two words", "")).await;
    assert_eq!(refused, Err(SendError::Subject("two words".to_owned())));
    let smuggled = Publish {
        headers: Headers::new().with("a", "b\r\nc: d"),
        ..Publish::new("large", "")
    };
    assert_eq!(
        bus.publish(smuggled).await,
        Err(SendError::Header("a".to_owned()))
    );
    bus.flush().await.expect("the connection stands");
}

#[tokio::test]
async fn the_bus_in_memory_keeps_the_contract() {
    let hub = Hub::default();
    contract(Arc::new(hub.join("first")), Arc::new(hub.join("second"))).await;
}

#[tokio::test]
async fn the_bus_over_a_stock_server_keeps_the_contract() {
    let server = StockServer::start().await;
    contract(Arc::new(server.join().await), Arc::new(server.join().await)).await;
}

#[tokio::test]
async fn a_server_is_joined_with_its_token_only() {
    let server = StockServer::start().await;
    for token in [None, Some("another")] {
        let refused = Nats::connect(&server.connection(token))
            .await
            .expect_err("refused");
        assert!(
            matches!(refused, ConnectError::Unauthorized { .. }),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_end_of_the_server_is_told_and_its_requests_fail() {
    let server = StockServer::start().await;
    let (first, second) = (server.join().await, server.join().await);
    let mut connected = first.connected();
    let _silent = second.subscribe("silent", None).await.expect("subscribed");
    second.flush().await.expect("flushed");
    let first: SharedBus = Arc::new(first);
    let asking = Arc::clone(&first);
    let request = ask(&first, "silent", PATIENCE);
    let asked = tokio::spawn(async move { asking.request(request).await });
    first.flush().await.expect("flushed");
    drop(server);
    let outcome = asked.await.expect("asked");
    assert_eq!(outcome, Err(RequestError::Send(SendError::Closed)));
    connected
        .wait_for(|connected| !connected)
        .await
        .expect("told");
    let refused = first.publish(Publish::new("x", "")).await;
    assert_eq!(refused, Err(SendError::Closed));
}

#[tokio::test]
async fn an_address_without_a_server_is_named() {
    let connection = Connection {
        // The discard port, where nothing listens.
        urls: vec!["nats://127.0.0.1:9".to_owned()],
        login: Login::None,
        tls: None,
        name: "test".to_owned(),
    };
    let unreachable = Nats::connect(&connection)
        .await
        .expect_err("nobody is there");
    assert!(
        unreachable.to_string().contains("nats://127.0.0.1:9"),
        "{unreachable}"
    );
}

#[tokio::test]
async fn two_servers_as_one_bus_keep_the_contract() {
    let (here, there) = (StockServer::start().await, StockServer::start().await);
    // By both ways each hears the other twice, so the second is on one of them at a time.
    let first: SharedBus = Arc::new(here.join_beside(&there).await);
    contract(Arc::clone(&first), Arc::new(here.join().await)).await;
    contract(Arc::clone(&first), Arc::new(there.join().await)).await;
    contract(Arc::new(there.join().await), first).await;
}
