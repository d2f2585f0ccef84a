//! What a server has sent before it hears that a subscription ends, and what comes of it afterwards. A stock server cannot be told when to send
//! what, so the one here is played by the test.

use std::sync::Arc;

use edgesync_bus::{
    Bus, Connection, Login, Message, Nats, Publish, RequestError, SharedBus, Subscription,
};
use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::stock::{PATIENCE, StockServer, ask};

/// A server's side of one connection.
struct Played {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
}

impl Played {
    async fn accept(listener: TcpListener) -> Self {
        let (stream, _) = listener.accept().await.expect("a client");
        let (lines, mut out) = stream.into_split();
        let info = b"INFO {\"server_id\":\"S\",\"server_name\":\"S\",\"version\":\"2.9.10\",\"go\":\"\",\"host\":\"\",\"port\":0,\"headers\":true,\"max_payload\":1048576,\"proto\":1}\r\n";
        out.write_all(info).await.expect("written");
        let lines = BufReader::new(lines);
        Self { lines, out }
    }

    /// Returns the fields of the next line, after what follows it.
    async fn line(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line).await.expect("read");
        let fields: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if line.contains("PUB ") {
            let size = fields.last().and_then(|size| size.parse::<usize>().ok());
            let mut payload = vec![0; size.expect("a size") + 2];
            self.lines.read_exact(&mut payload).await.expect("read");
        }
        fields
    }

    async fn say(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).await.expect("written");
    }

    /// Does what a server does where nobody listens to anything.
    async fn answer(&mut self, fields: &[String]) {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match fields.as_slice() {
            ["PING"] => self.say("PONG\r\n").await,
            ["PUB", _, reply, _] => {
                let head = "NATS/1.0 503\r\n\r\n";
                let len = head.len();
                // The first subscription is the one for answers.
                self.say(&format!("HMSG {reply} 1 {len} {len}\r\n{head}\r\n"))
                    .await;
            }
            _ => {}
        }
    }

    /// Sends one message when it hears that the subscription to `last` ends, but not before `wake` was published, and does only then what it was
    /// asked for meanwhile.
    async fn serve(mut self, ends: oneshot::Sender<()>) {
        let (mut ends, mut last) = (Some(ends), String::new());
        let mut held: Option<Vec<Vec<String>>> = None;
        loop {
            let fields = self.line().await;
            match fields.first().map(String::as_str) {
                None => return,
                Some("SUB") if fields[1] == "last" => last = fields[2].clone(),
                Some("UNSUB") if held.is_none() && fields[1] == last => {
                    held = Some(Vec::new());
                    ends.take().map(|ends| ends.send(()));
                }
                Some("PUB") if fields[1] == "wake" => {
                    self.say(&format!("MSG last {last} 4\r\nlate\r\n")).await;
                    for fields in held.take().into_iter().flatten() {
                        self.answer(&fields).await;
                    }
                    last.clear();
                }
                _ => match &mut held {
                    Some(held) => held.push(fields),
                    None => self.answer(&fields).await,
                },
            }
        }
    }
}

#[tokio::test]
async fn what_was_on_its_way_when_a_subscription_ends_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (ends, ending) = oneshot::channel();
    tokio::spawn(async move { Played::accept(listener).await.serve(ends).await });
    let connection = Connection {
        urls: vec![format!("nats://{address}")],
        login: Login::None,
        tls: None,
        name: "test".to_owned(),
    };
    let bus = Nats::connect(&connection).await.expect("connected");
    let mut heard = bus.subscribe("last", None).await.expect("subscribed");
    bus.flush().await.expect("flushed");
    let others = async {
        ending.await.expect("the server hears of the end");
        // Whatever else the client has to do comes between its end and the server's.
        let wake = Publish::new("wake", "");
        bus.publish(wake).await.expect("published");
    };
    let all = async {
        tokio::join!(heard.drain(), others);
        (heard.next().await, heard.next().await)
    };
    let (late, end) = tokio::time::timeout(PATIENCE, all).await.expect("in time");
    assert_eq!(late.expect("a message").payload, "late");
    assert_eq!(end, None);
}

/// How many requests are answered before the one who answers ends.
const ANSWERED: usize = 16;

/// Answers requests until the subscription ends, which it does after some, while the bus has other things to do as well.
async fn work(bus: &SharedBus, mut heard: Subscription) {
    let reply = async |message: Message| {
        let reply = message.reply.expect("a reply subject");
        bus.publish(Publish::new(reply, "done"))
            .await
            .expect("answered");
    };
    for _ in 0..ANSWERED {
        reply(heard.next().await.expect("a request")).await;
    }
    heard.drain().await;
    while let Some(message) = heard.next().await {
        reply(message).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_one_that_ends_is_answered_or_told_that_nobody_is_there() {
    let server = StockServer::start().await;
    let from: SharedBus = Arc::new(server.join().await);
    let to: SharedBus = Arc::new(server.join().await);
    for _ in 0..20 {
        let heard = to.subscribe("work", None).await.expect("subscribed");
        to.flush().await.expect("flushed");
        let asking = (0..8).map(|_| async {
            loop {
                match from.request(ask(&from, "work", PATIENCE)).await {
                    Ok(_) => {}
                    Err(RequestError::NoResponders) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        tokio::join!(work(&to, heard), join_all(asking));
    }
}
