//! Who is let in, and what they may do.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use natsd::auth::{
    AllowResponses, Credential, Permissions, Policy, Rules, Secret, SubscribeRule, User,
};
use natsd::nkey::KeyPair;
use natsd::subject::Filter;
use natsd::{Limits, Options, Server};

use super::wire::{Wire, options};

async fn guarded(clients: Rules, limits: Limits) -> Server {
    let policy = Policy {
        clients,
        ..Policy::default()
    };
    let options = Options {
        policy,
        limits,
        ..options()
    };
    Server::start(options).await.expect("a server")
}

fn filter(text: &str) -> Filter {
    Filter::parse(text.as_bytes()).expect("a filter")
}

fn rule(text: &str) -> SubscribeRule {
    SubscribeRule {
        filter: filter(text),
        queue: None,
    }
}

#[tokio::test]
async fn nothing_is_done_before_the_right_token() {
    let server = guarded(Rules::token("secret"), Limits::default()).await;
    let mut good = Wire::to(&server).await;
    good.connect(r#"{"verbose":false,"auth_token":"secret"}"#)
        .await;
    for bytes in [
        "PING\r\n",
        "SUB > 1\r\n",
        "PUB a 1\r\nx\r\n",
        "UNSUB 1\r\n",
        "CONNECT {}\r\n",
        "CONNECT {\"auth_token\":\"wrong\"}\r\n",
        "CONNECT {\"auth_token\":\"secret\",\"account\":\"a\"}\r\n",
        "CONNECT {\"user\":\"secret\",\"pass\":\"secret\"}\r\n",
        "CONNECT {\"jwt\":\"eyJ0eXAiOiJKV1QifQ.e30.secret\",\"sig\":\"secret\"}\r\n",
    ] {
        let mut wire = Wire::to(&server).await;
        wire.send(bytes).await;
        wire.expect_end("-ERR 'Authorization Violation'").await;
    }
    assert_eq!(server.stats().subscriptions, 0);
    assert_eq!(good.ask("").await, "");
}

#[tokio::test]
async fn who_says_nothing_is_cut_and_others_are_not() {
    let limits = Limits {
        auth_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = guarded(Rules::token("secret"), limits).await;
    let mut good = Wire::to(&server).await;
    good.connect(r#"{"verbose":false,"auth_token":"secret"}"#)
        .await;
    let mut silent = Wire::to(&server).await;
    silent.expect_end("-ERR 'Authentication Timeout'").await;
    assert_eq!(good.ask("").await, "");
}

#[tokio::test]
async fn a_flood_of_strangers_does_not_keep_a_friend_out() {
    let limits = Limits {
        max_unauthenticated: 8,
        auth_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let server = guarded(Rules::token("secret"), limits).await;
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.push(Wire::to(&server).await);
    }
    let mut good = Wire::to(&server).await;
    good.connect(r#"{"verbose":false,"auth_token":"secret"}"#)
        .await;
    strangers[0]
        .expect_end("-ERR 'Authentication Timeout'")
        .await;
    assert_eq!(good.ask("").await, "");
    assert!(server.stats().connections.len() <= 9);
}

#[tokio::test]
async fn an_nkey_signs_the_nonce_of_this_very_connection() {
    let keys = KeyPair::from_seed(&[9; 32]).expect("keys");
    let other = KeyPair::from_seed(&[8; 32]).expect("keys");
    let users = vec![User::new(Credential::Nkey(keys.public()))];
    let server = guarded(Rules::Users(users), Limits::default()).await;
    let address = server.addresses().clients.expect("an address");
    let connect = |keys: &KeyPair, signer: &KeyPair, nonce: &str| {
        let signature = BASE64URL_NOPAD.encode(&signer.sign(nonce.as_bytes()));
        format!(
            r#"{{"verbose":false,"nkey":"{}","sig":"{signature}"}}"#,
            keys.public()
        )
    };
    let (mut good, info) = Wire::dial(address).await;
    let nonce = info["nonce"].as_str().expect("a nonce").to_owned();
    good.connect(&connect(&keys, &keys, &nonce)).await;
    let (mut replay, _) = Wire::dial(address).await;
    replay
        .send(format!("CONNECT {}\r\n", connect(&keys, &keys, &nonce)))
        .await;
    replay.expect_end("-ERR 'Authorization Violation'").await;
    for (claimed, signer) in [(&other, &other), (&keys, &other)] {
        let (mut wrong, info) = Wire::dial(address).await;
        let nonce = info["nonce"].as_str().expect("a nonce");
        wrong
            .send(format!("CONNECT {}\r\n", connect(claimed, signer, nonce)))
            .await;
        wrong.expect_end("-ERR 'Authorization Violation'").await;
    }
    // Revoked while connected: cut at once, and not let in again.
    server.set_policy(Policy {
        clients: Rules::Users(Vec::new()),
        ..Policy::default()
    });
    good.expect_end("-ERR 'Authorization Violation'").await;
}

#[tokio::test]
async fn a_jwt_lets_nobody_in_whether_it_has_expired_or_not() {
    let keys = KeyPair::from_seed(&[9; 32]).expect("keys");
    let users = vec![User::new(Credential::Nkey(keys.public()))];
    let server = guarded(Rules::Users(users), Limits::default()).await;
    let address = server.addresses().clients.expect("an address");
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    for end in [1_u64, 4_000_000_000] {
        let (mut wire, info) = Wire::dial(address).await;
        let nonce = info["nonce"].as_str().expect("a nonce");
        let head = encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let claims = format!(r#"{{"sub":"{}","exp":{end}}}"#, keys.public());
        let text = format!("{head}.{}", encode(&claims));
        let signed = |what: &str| BASE64URL_NOPAD.encode(&keys.sign(what.as_bytes()));
        let (by, sig) = (signed(&text), signed(nonce));
        // Both signatures are good; but nobody here is told whose word counts.
        let connect = format!(r#"CONNECT {{"jwt":"{text}.{by}","sig":"{sig}"}}"#);
        wire.send(format!("{connect}\r\n")).await;
        wire.expect_end("-ERR 'Authorization Violation'").await;
    }
}

#[tokio::test]
async fn permissions_are_kept_word_for_word() {
    let mut permissions = Permissions::default();
    permissions.publish.allow = Some(vec![filter("out.>")]);
    permissions.publish.deny = vec![filter("out.secret")];
    permissions.subscribe.allow = Some(vec![rule("in.>"), rule("_INBOX.me.>")]);
    permissions.subscribe.deny = vec![rule("in.secret")];
    let limited = User {
        credential: Credential::Password {
            user: "u".into(),
            password: Secret::new("p"),
        },
        permissions: Some(Arc::new(permissions)),
    };
    let server = guarded(
        Rules::Users(vec![
            limited,
            User::new(Credential::Token(Secret::new("t"))),
        ]),
        Limits::default(),
    )
    .await;
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"user":"u","pass":"p"}"#)
        .await;
    for (bytes, answer) in [
        ("PUB out.a 0\r\n\r\n", ""),
        (
            "PUB out.secret 0\r\n\r\n",
            "-ERR 'Permissions Violation for Publish to \"out.secret\"'",
        ),
        (
            "PUB other 0\r\n\r\n",
            "-ERR 'Permissions Violation for Publish to \"other\"'",
        ),
        (
            "SUB > 1\r\n",
            "-ERR 'Permissions Violation for Subscription to \">\"'",
        ),
        (
            "SUB _INBOX.> 1\r\n",
            "-ERR 'Permissions Violation for Subscription to \"_INBOX.>\"'",
        ),
        (
            "SUB $SYS.> 1\r\n",
            "-ERR 'Permissions Violation for Subscription to \"$SYS.>\"'",
        ),
        (
            "SUB in.secret q 1\r\n",
            "-ERR 'Permissions Violation for Subscription to \"in.secret\" using queue \"q\"'",
        ),
        (
            "SUB in.a _sys_ 1\r\n",
            "-ERR 'Permissions Violation for Subscription to \"in.a\" using queue \"_sys_\"'",
        ),
        ("SUB in.* 1\r\n", ""),
    ] {
        assert_eq!(wire.ask(bytes).await, answer, "{bytes}");
    }
    let mut other = Wire::to(&server).await;
    other.connect(r#"{"verbose":false,"auth_token":"t"}"#).await;
    other
        .ask("PUB in.secret 1\r\nx\r\nPUB in.a 1\r\ny\r\n")
        .await;
    assert_eq!(wire.ask("").await, "MSG in.a 1 1|y");
}

#[tokio::test]
async fn who_was_asked_may_answer_once() {
    let permissions = Permissions {
        allow_responses: Some(AllowResponses::default()),
        publish: natsd::auth::SubjectRules {
            allow: Some(Vec::new()),
            deny: Vec::new(),
        },
        ..Permissions::default()
    };
    let responder = User {
        credential: Credential::Token(Secret::new("r")),
        permissions: Some(Arc::new(permissions)),
    };
    let users = vec![responder, User::new(Credential::Token(Secret::new("t")))];
    let server = guarded(Rules::Users(users), Limits::default()).await;
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"auth_token":"r"}"#).await;
    assert_eq!(wire.ask("SUB ask 1\r\n").await, "");
    let mut asker = Wire::to(&server).await;
    asker.connect(r#"{"verbose":false,"auth_token":"t"}"#).await;
    asker.ask("SUB inbox 1\r\nPUB ask inbox 1\r\n?\r\n").await;
    let denied = "-ERR 'Permissions Violation for Publish to \"inbox\"'";
    assert_eq!(
        wire.ask("PUB inbox 1\r\n!\r\nPUB inbox 1\r\n!\r\n").await,
        format!("MSG ask 1 inbox 1|?|{denied}")
    );
    assert_eq!(asker.ask("").await, "MSG inbox 1 1|!");
}

#[tokio::test]
async fn a_second_connect_starts_anew() {
    let server = guarded(Rules::token("t"), Limits::default()).await;
    let mut wire = Wire::to(&server).await;
    wire.connect(r#"{"verbose":false,"auth_token":"t"}"#).await;
    wire.ask("SUB a 1\r\n").await;
    wire.connect(r#"{"verbose":false,"auth_token":"t"}"#).await;
    assert_eq!(wire.ask("PUB a 0\r\n\r\n").await, "");
    wire.send("CONNECT {\"auth_token\":\"x\"}\r\n").await;
    wire.expect_end("-ERR 'Authorization Violation'").await;
}
