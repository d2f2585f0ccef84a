//! What every bus promises, tried on each: the one in memory and the one over a stock NATS server.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edgesync_bus::{
    Both, Bus, ConnectError, Connection, Headers, Hub, Login, Nats, Publish, Request, RequestError,
    SendError, SharedBus, Trouble,
};

const TOKEN: &str = "a-token-of-this-test";

/// A stock server on a port of its own choice, stopped at the end of the test.
struct StockServer {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl StockServer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = Command::new("nats-server")
            .args([
                "-a",
                "127.0.0.1",
                "-p",
                "-1",
                "--auth",
                TOKEN,
                "--ports_file_dir",
            ])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed");
        let file: PathBuf = folder
            .path()
            .join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self {
            process,
            url: String::new(),
            _folder: folder,
        };
        let ports = async {
            loop {
                match std::fs::read_to_string(&file) {
                    Ok(text) if text.contains("nats://") => return text,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let ports = tokio::time::timeout(Duration::from_secs(20), ports).await;
        let ports = ports.expect("the server tells its port");
        let url = ports
            .split('"')
            .find(|part| part.starts_with("nats://"))
            .expect("a URL");
        server.url = url.to_owned();
        server
    }

    fn connection(&self, token: Option<&str>) -> Connection {
        Connection {
            urls: vec![self.url.clone()],
            login: token.map_or(Login::None, |token| Login::Token(token.to_owned())),
            name: "test".to_owned(),
        }
    }

    async fn join(&self) -> Nats {
        Nats::connect(&self.connection(Some(TOKEN)))
            .await
            .expect("connected")
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ask(bus: &SharedBus, subject: &str, timeout: Duration) -> Request {
    Request {
        subject: subject.to_owned(),
        inbox: bus.new_inbox(),
        headers: Headers::new().with("Edgesync-Test", "1"),
        payload: Bytes::from_static(b"?"),
        timeout,
    }
}

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let both = async || {
        let own = here.join().await;
        let other = own.beside(&there.connection(Some(TOKEN))).await;
        let other = other.expect("opened");
        let mut connected = other.connected();
        connected.wait_for(|there| *there).await.expect("connected");
        Both::new(own, other)
    };
    // By both ways each hears the other twice, so the second is on one of them at a time.
    let first: SharedBus = Arc::new(both().await);
    contract(Arc::clone(&first), Arc::new(here.join().await)).await;
    contract(Arc::clone(&first), Arc::new(there.join().await)).await;
    contract(Arc::new(there.join().await), first).await;
}

#[tokio::test]
async fn a_server_that_is_away_takes_nothing_from_the_other_and_is_heard_when_it_comes() {
    let here = StockServer::start().await;
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", reserved.local_addr().expect("an address"));
    let away = Connection {
        urls: vec![url],
        ..here.connection(Some(TOKEN))
    };
    let own = here.join().await;
    let other = own.beside(&away).await.expect("opened");
    let mut trouble = other.trouble();
    let both = Both::new(own, other);
    let mut heard = both.subscribe("news", None).await.expect("subscribed");
    both.flush().await.expect("flushed");
    let near = here.join().await;
    near.publish(Publish::new("news", "near"))
        .await
        .expect("published");
    let message = heard.next().await.expect("a message");
    assert_eq!(message.payload, "near");
    let met = trouble
        .wait_for(Option::is_some)
        .await
        .expect("told")
        .clone();
    assert!(matches!(met, Some(Trouble::Failed(_))), "{met:?}");
}

#[tokio::test]
async fn a_server_beside_that_refuses_us_is_told_apart() {
    let (here, there) = (StockServer::start().await, StockServer::start().await);
    let own = here.join().await;
    let other = own.beside(&there.connection(Some("another"))).await;
    let other = other.expect("opened");
    let mut trouble = other.trouble();
    let met = trouble
        .wait_for(Option::is_some)
        .await
        .expect("told")
        .clone();
    assert_eq!(met, Some(Trouble::Refused));
}
