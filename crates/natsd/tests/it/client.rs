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
async fn messages_to_more_subjects_than_are_remembered_all_arrive() {
    const SUBJECTS: usize = 2_000;
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    let mut bytes = String::from("SUB many.* 1\r\n");
    for subject in 0..SUBJECTS {
        // The second is the one that is remembered, and the third the one that is found.
        for _ in 0..3 {
            bytes.push_str(&format!("PUB many.{subject} 1\r\nx\r\n"));
        }
    }
    let answer = wire.ask(&bytes).await;
    for subject in 0..SUBJECTS {
        let message = format!("MSG many.{subject} 1 1|x");
        assert_eq!(answer.matches(&message).count(), 3, "{message}");
    }
    // What was remembered ends with the subscription, and begins with another.
    assert_eq!(wire.ask("UNSUB 1\r\nPUB many.1 1\r\nx\r\n").await, "");
    assert_eq!(
        wire.ask("SUB many.1 2\r\nPUB many.1 1\r\nx\r\n").await,
        "MSG many.1 2 1|x"
    );
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

#[tokio::test]
async fn subscriptions_end_after_as_many_messages_as_were_asked_for() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    let publish = "PUB a 1\r\nx\r\n";
    wire.ask("SUB a 1\r\nUNSUB 1 2\r\n").await;
    assert_eq!(wire.ask(publish.repeat(3)).await, "MSG a 1 1|x|MSG a 1 1|x");
    assert_eq!(server.stats().subscriptions, 0);
    // Counted from the beginning, so that a number that was reached ends it at once.
    wire.ask("SUB a 1\r\n").await;
    wire.ask(publish.repeat(2)).await;
    assert_eq!(wire.ask(format!("UNSUB 1 2\r\n{publish}")).await, "");
    // The last two are what the reference makes of numbers that it does not read.
    for end in ["UNSUB 2", "UNSUB 2 0", "UNSUB 2 10000000000", "UNSUB 2 x"] {
        assert_eq!(wire.ask(format!("SUB a 2\r\n{end}\r\n{publish}")).await, "");
    }
    assert_eq!(wire.ask("UNSUB 77\r\n").await, "");
}

#[tokio::test]
async fn a_sid_in_use_is_not_taken_again() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    assert_eq!(
        wire.ask("SUB a 1\r\nSUB b 1\r\nPUB b 0\r\n\r\nPUB a 0\r\n\r\n")
            .await,
        "MSG a 1 0|"
    );
    let mut verbose = Wire::to(&server).await;
    assert_eq!(verbose.ask("SUB a 1\r\nSUB b 1\r\n").await, "+OK|+OK");
}

#[tokio::test]
async fn bad_subjects_are_refused_and_the_connection_stays() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    for subject in ["a..b", ".a", "a.", ">.a", "a.>.b"] {
        let answer = wire.ask(format!("SUB {subject} 1\r\n")).await;
        assert_eq!(answer, "-ERR 'Invalid Subject'", "{subject}");
    }
    assert_eq!(
        wire.ask("SUB > 1\r\nPUB a..b 0\r\n\r\nPUB a. 0\r\n\r\n")
            .await,
        ""
    );
    // Not pedantic, a wildcard is published literally.
    assert_eq!(
        wire.ask("SUB x.* 2\r\nSUB x.y 3\r\nUNSUB 1\r\nPUB x.* 0\r\n\r\n")
            .await,
        "MSG x.* 2 0|"
    );
}

#[tokio::test]
async fn a_client_without_echo_does_not_hear_itself() {
    let server = server().await;
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"echo":false,"headers":true,"no_responders":true}"#)
        .await;
    assert_eq!(
        wire.ask("SUB a 1\r\nSUB a q 2\r\nPUB a 0\r\n\r\n").await,
        ""
    );
    let mut other = Wire::quiet(&server).await;
    other.ask("SUB a q 9\r\n").await;
    assert_eq!(wire.ask("PUB a 0\r\n\r\n".repeat(20)).await, "");
    assert_eq!(
        other.ask("").await.matches("MSG a 9 0").count(),
        20,
        "the next member takes it"
    );
}

#[tokio::test]
async fn a_queue_group_takes_each_message_once_and_spreads_them() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    wire.ask("SUB a.b q 1\r\nSUB a.* q 2\r\nSUB a.b q 3\r\nSUB a.b r 4\r\n")
        .await;
    let answer = wire.ask("PUB a.b 0\r\n\r\n".repeat(300)).await;
    let count = |sid: u32| answer.matches(&format!("MSG a.b {sid} 0")).count();
    assert_eq!(count(1) + count(2) + count(3), 300);
    assert_eq!(count(4), 300);
    assert!(
        (1..=3).all(|sid| count(sid) > 30),
        "{} {} {}",
        count(1),
        count(2),
        count(3)
    );
}

#[tokio::test]
async fn who_asks_in_vain_is_told() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    assert_eq!(
        wire.ask("PUB nobody r 0\r\n\r\n").await,
        "",
        "who does not listen is not told"
    );
    let answer = wire.ask("SUB r.* 5\r\nPUB nobody r.1 2\r\nhi\r\n").await;
    assert_eq!(
        answer,
        "HMSG r.1 5 38 38|NATS/1.0 503|Nats-Subject: nobody||"
    );
    let mut plain = Wire::to(&server).await;
    plain.connect(r#"{"verbose":false}"#).await;
    assert_eq!(plain.ask("SUB r 5\r\nPUB nobody r 0\r\n\r\n").await, "");
}

#[tokio::test]
async fn headers_are_cut_off_for_who_does_not_know_them() {
    let server = server().await;
    let (mut wire, mut old) = (Wire::quiet(&server).await, Wire::to(&server).await);
    old.connect(r#"{"verbose":false}"#).await;
    old.ask("SUB a 1\r\n").await;
    let large = "x".repeat(5000);
    for body in ["hi", &large] {
        let total = 17 + body.len();
        let message = format!("HPUB a r 17 {total}\r\nNATS/1.0\r\nA:b\r\n\r\n{body}\r\n");
        let answer = wire.ask(format!("SUB a 2\r\n{message}UNSUB 2\r\n")).await;
        assert_eq!(
            answer,
            format!("HMSG a 2 r 17 {total}|NATS/1.0|A:b||{body}")
        );
        assert_eq!(
            old.ask("").await,
            format!("MSG a 1 r {}|{body}", body.len())
        );
    }
}

#[tokio::test]
async fn reply_subjects_of_servers_are_not_for_clients() {
    let server = server().await;
    let mut wire = Wire::quiet(&server).await;
    for reply in ["_R_.x", "_GR_.x", "$JS.ACK.x"] {
        let answer = wire
            .ask(format!("SUB a 1\r\nPUB a {reply} 0\r\n\r\n"))
            .await;
        assert_eq!(
            answer,
            format!("-ERR 'Permissions Violation for Publish with Reply of \"{reply}\"'")
        );
    }
}

#[tokio::test]
async fn connecting_may_be_nonsense_in_many_ways() {
    let server = server().await;
    let deep = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    let large = format!("{{\"name\":\"{}\"}}", "n".repeat(1 << 20));
    for (json, answer) in [
        (deep.as_str(), "-ERR 'Unknown Protocol Operation'"),
        (&large, "-ERR 'maximum control line exceeded'"),
        ("", "-ERR 'Unknown Protocol Operation'"),
        ("{\"protocol\":\"1\"}", "-ERR 'Unknown Protocol Operation'"),
        ("[]", "-ERR 'Unknown Protocol Operation'"),
    ] {
        let mut wire = Wire::to(&server).await;
        wire.send(format!("CONNECT {json}\r\n")).await;
        wire.expect_end(answer).await;
    }
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"member":{"of":["no","meaning"]}}"#)
        .await;
}
