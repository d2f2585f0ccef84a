//! What whoever reaches an agent's bus can send to harm it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use futures_util::StreamExt as _;
use serde_json::json;

use crate::mesh::{Agent, PATIENCE, Place, wait};

/// Publishes a message with this block for headers, and waits until the server has taken it or cut the connection.
fn publish(agent: &Agent, subject: &str, block: &[u8]) {
    let address = agent.address("nats").trim_start_matches("nats://");
    let mut stream = TcpStream::connect(address).expect("connected");
    let token = agent.bus_token();
    let connect = json!({ "auth_token": token, "verbose": false, "headers": true });
    let total = block.len() + 2;
    let mut sent = format!(
        "CONNECT {connect}\r\nHPUB {subject} _INBOX.x {} {total}\r\n",
        block.len()
    )
    .into_bytes();
    sent.extend([block, b"hi\r\nPING\r\n"].concat());
    stream.write_all(&sent).expect("sent");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines
        .find(|line| line == "PONG" || line.starts_with("-ERR"))
        .expect("an answer");
}

#[test]
fn headers_that_nobody_can_read_do_not_cut_the_agent_from_its_bus() {
    let place = Place::new(2);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address("leaf")]);
    first.meets(1);
    second.meets(1);
    let status = first.api("GET", "status", None);
    let code = status["repositories"][0]["project_code"]
        .as_str()
        .expect("a code");
    let long = format!("NATS/1.0\r\n{}: v\r\n\r\n", "K".repeat(64 * 1024));
    for block in [
        &b"\xff\xfe\r\n\r\n"[..],
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"NATS/1.0",
        b"NATS/1.0\nA: b\n\n",
        b"NATS/1.0\r\nA: b\0c\r\n\r\n",
        b"NATS/1.0 999999 what\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/1.0\r\n: no name\r\n\r\n",
        b"NATS/1.0\r\nA\xff: \xff\r\n\r\n",
        b"NATS/1.0\r\nEdgesync-Auth: x\r\nEdgesync-Auth: y\r\n\r\n",
        b"NATS/1.0\r\nNats-Request-Info: {\"acc\":\"SYS\"}\r\n\r\n",
        long.as_bytes(),
    ] {
        for last in ["commit", "hello", "sync"] {
            publish(&first, &format!("fossil.{code}.{last}"), block);
        }
        publish(&first, "fossil.members.hello", block);
    }
    // An agent that was cut off would have said hello when it was back, and have been told by that.
    place.commit(1, "from-the-second");
    first.receives("from-the-second");
    first.was_announced(1);
    assert_eq!(first.mesh()["peers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_a_member_has_signed_counts_once_and_for_nothing_else_whoever_says_it_again() {
    let place = Place::new(3);
    let first = place.start(0, &[]);
    let leaf = |number| {
        let join = ["--nats-role", "leaf", "--join", first.address("leaf")];
        place.start(number, &join)
    };
    let (second, third) = (leaf(1), leaf(2));
    for agent in [&first, &second, &third] {
        agent.meets(2);
    }
    let status = first.api("GET", "status", None);
    let code = status["repositories"][0]["project_code"]
        .as_str()
        .expect("a code");
    let subject = format!("fossil.{code}.commit");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // On the bus of the third, whose link leads to the first as the second's does.
    let client = runtime.block_on(async {
        let options = async_nats::ConnectOptions::with_token(third.bus_token());
        let client = options.connect(third.address("nats")).await;
        client.expect("connected")
    });
    let mut said = runtime
        .block_on(client.subscribe(subject.clone()))
        .expect("subscribed");
    runtime.block_on(client.flush()).expect("heard by all");
    place.commit(1, "from-the-second");
    let heard = runtime.block_on(async {
        let message = tokio::time::timeout(PATIENCE, said.next()).await;
        message.expect("in time").expect("a message")
    });
    first.receives("from-the-second");
    let headers = heard.headers.clone().expect("signed");
    let refused = || {
        first.mesh()["counters"]["refused"]
            .as_u64()
            .expect("a count")
    };
    let before = refused();
    let other = [&heard.payload[..], b" "].concat();
    for (subject, payload) in [
        // The same again, which is passed over.
        (subject.clone(), heard.payload.clone()),
        // Other words in its name.
        (subject, other.into()),
        // The same words at another place.
        (format!("fossil.{code}.hello"), heard.payload.clone()),
    ] {
        let sent = client.publish_with_headers(subject, headers.clone(), payload);
        runtime.block_on(sent).expect("sent");
    }
    runtime.block_on(client.flush()).expect("sent");
    wait(|| refused() >= before + 2);
    place.commit(1, "from-the-second-again");
    first.receives("from-the-second-again");
    assert_eq!(refused(), before + 2);
}
