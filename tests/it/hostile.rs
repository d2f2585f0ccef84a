//! What whoever reaches an agent's bus can send to harm it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::mesh::{Agent, Place};

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
