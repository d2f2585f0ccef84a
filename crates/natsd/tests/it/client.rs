//! What clients see, byte by byte.

use natsd::Limits;

use super::wire::{Wire, limited, server};

#[tokio::test]
async fn info_says_what_clients_look_for() {
    let server = server().await;
    let address = server.addresses().clients.expect("an address");
    let (_wire, info) = Wire::dial(address).await;
    assert_eq!(info["server_id"], server.id());
    assert_eq!(info["port"], address.port());
    assert_eq!(info["client_ip"], "127.0.0.1");
    assert_eq!(
        (&info["headers"], &info["proto"], &info["max_payload"]),
        (&true.into(), &1.into(), &1_048_576.into())
    );
    assert!(
        info.get("auth_required").is_none()
            && info.get("jetstream").is_none()
            && info.get("nonce").is_none()
    );
}

#[tokio::test]
async fn without_connect_a_client_is_verbose_and_pedantic() {
    let server = server().await;
    let mut wire = Wire::to(&server).await;
    let answer = wire
        .ask("SUB a 1\r\npub a 1\r\nx\r\nPUB a.* 0\r\n\r\nUNSUB 1\r\n")
        .await;
    assert_eq!(
        answer,
        "+OK|+OK|MSG a 1 1|x|-ERR 'Invalid Publish Subject'|+OK|+OK"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_message_goes_to_everybody_who_asked_for_it() {
    let server = server().await;
    let (mut one, mut two) = (Wire::quiet(&server).await, Wire::quiet(&server).await);
    one.ask("SUB a.* 1\r\nSUB > x\r\nSUB b 3\r\n").await;
    two.ask("PUB a.b 5\r\nhello\r\n").await;
    let mut got = one.ask("").await;
    if got.starts_with("MSG a.b x") {
        got = got
            .replace("a.b x", "a.b 9")
            .replace("a.b 1", "a.b x")
            .replace("a.b 9", "a.b 1");
    }
    assert_eq!(got, "MSG a.b 1 5|hello|MSG a.b x 5|hello");
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection_with_its_reason() {
    let limits = Limits {
        max_payload: 1000,
        max_control_line: 100,
        ..Limits::default()
    };
    let server = limited(limits).await;
    let long = format!("SUB {} 1\r\n", "a".repeat(100));
    for (bytes, answer) in [
        ("NO SUCH VERB\r\n", "-ERR 'Unknown Protocol Operation'"),
        (
            "GET / HTTP/1.1\r\n\r\n",
            "-ERR 'Unknown Protocol Operation'",
        ),
        ("PUB a 1\nx\n", "-ERR 'Unknown Protocol Operation'"),
        ("PUB a 12x\r\n", "-ERR 'Unknown Protocol Operation'"),
        (
            "CONNECT {\"verbose\":1}\r\n",
            "-ERR 'Unknown Protocol Operation'",
        ),
        ("PUB a 1001\r\n", "-ERR 'Maximum Payload Violation'"),
        (&long, "-ERR 'maximum control line exceeded'"),
        (
            "CONNECT {\"protocol\":2}\r\n",
            "-ERR 'invalid client protocol'",
        ),
        (
            "CONNECT {\"no_responders\":true}\r\n",
            "-ERR 'no responders requires headers support'",
        ),
        (
            "CONNECT {\"verbose\":false}\r\nHPUB a 0 0\r\n\r\n",
            "-ERR 'message headers not supported'",
        ),
        (
            "CONNECT {\"account\":\"a\"}\r\n",
            "-ERR 'Authorization Violation'",
        ),
    ] {
        let mut wire = Wire::to(&server).await;
        wire.send(bytes).await;
        wire.expect_end(answer).await;
    }
    assert_eq!(server.stats().violations, 11);
}
