//! The leafnode port before whoever means harm, or came there by mistake.

use std::net::SocketAddr;
use std::time::Duration;

use natsd::auth::{Credential, Credentials, Policy, Rules, User};
use natsd::leaf::LeafRemote;
use natsd::nkey::KeyPair;
use natsd::{Limits, LinkStatus, Listeners, Options, Server};
use tokio::time::timeout;

use super::wire::{PATIENCE, Wire, loopback, options};

/// Starts a hub with these rules for leafnodes.
async fn hub(leaves: Rules, limits: Limits) -> (Server, SocketAddr) {
    let options = Options {
        server_name: Some("hub".to_owned()),
        listeners: Listeners {
            leaves: Some(loopback()),
            ..options().listeners
        },
        policy: Policy {
            leaves,
            ..Policy::default()
        },
        limits,
        ..Options::default()
    };
    let server = Server::start(options).await.expect("a server");
    let address = server.addresses().leaves.expect("a leafnode listener");
    (server, address)
}

fn keys(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).expect("keys")
}

fn only(keys: &KeyPair) -> Rules {
    Rules::Users(vec![User::new(Credential::Nkey(keys.public()))])
}

/// Says CONNECT as a server of this id and name, with these further members.
fn introduction(id: &str, more: &str) -> String {
    format!(
        "CONNECT {{\"verbose\":false,\"headers\":true,\"server_id\":\"{id}\",\"name\":\"{id}\"{more}}}\r\n"
    )
}

#[tokio::test]
async fn nobody_is_heard_before_they_have_proved_who_they_are() {
    let (server, address) = hub(only(&keys(1)), Limits::default()).await;
    for bytes in [
        "LS+ >\r\n",
        "LMSG a 1\r\nx\r\n",
        "PING\r\n",
        // The first step of compression, which other servers take before they know who asks.
        "INFO {\"compression\":\"s2_fast\"}\r\n",
        "CONNECT {}\r\n",
        "CONNECT {\"user\":\"a\",\"pass\":\"b\"}\r\n",
    ] {
        let (mut wire, _) = Wire::dial(address).await;
        wire.send(bytes).await;
        wire.expect_end("-ERR 'Authorization Violation'").await;
    }
    assert_eq!(server.stats().subscriptions, 0);
}

#[tokio::test]
async fn what_is_not_the_protocol_ends_the_connection() {
    let (server, address) = hub(Rules::Open, Limits::default()).await;
    let deep = format!("CONNECT {}\r\n", "[".repeat(10_000));
    for (bytes, answer) in [
        ("GET / HTTP/1.1\r\n", "-ERR 'Unknown Protocol Operation'"),
        ("SUB a 1\r\n", "-ERR 'Unknown Protocol Operation'"),
        ("\u{16}\u{3}\u{1}", "-ERR 'Unknown Protocol Operation'"),
        (
            "CONNECT {\"name\":1}\r\n",
            "-ERR 'Unknown Protocol Operation'",
        ),
        (&deep, "-ERR 'Unknown Protocol Operation'"),
        (
            "CONNECT {\"lang\":\"go\"}\r\n",
            "-ERR 'attempted to connect to leaf node port'",
        ),
    ] {
        let (mut wire, _) = Wire::dial(address).await;
        wire.send(bytes).await;
        wire.expect_end(answer).await;
    }
    for bytes in [
        "LS+ a..b\r\n",
        "LS+ a q\r\n",
        "LS+ a q 1 2\r\n",
        "LMSG a 99999999999\r\n",
        "LMSG a + 1\r\n",
        "HMSG a 5 1\r\n",
    ] {
        let (mut wire, _) = Wire::dial(address).await;
        wire.send(introduction("N1", "")).await;
        while !wire.line().await.starts_with("LS+ $LDS.") {}
        wire.send(bytes).await;
        wire.expect_end("-ERR 'Unknown Protocol Operation'").await;
    }
    assert_eq!(server.stats().subscriptions, 0);
}

#[tokio::test]
async fn a_signature_counts_for_its_own_nonce_and_key_only() {
    let (server, address) = hub(only(&keys(1)), Limits::default()).await;
    let (mut wire, _) = Wire::dial(address).await;
    let (_other, other) = Wire::dial(address).await;
    let nonce = other["nonce"].as_str().expect("a nonce");
    let signature = keys(1).sign(nonce.as_bytes());
    let signature = data_encoding::BASE64URL_NOPAD.encode(&signature);
    let public = keys(1).public();
    let proof = format!(",\"nkey\":\"{public}\",\"sig\":\"{signature}\"");
    wire.send(introduction("N1", &proof)).await;
    wire.expect_end("-ERR 'Authorization Violation'").await;
    let leaf = Server::start(options()).await.expect("a server");
    for (seed, accepted) in [(2, false), (1, true)] {
        let mut remote = LeafRemote::tcp(&[address.to_string()]).expect("an address");
        remote.credentials = Credentials::nkey(keys(seed));
        let mut link = leaf.dial_leaf(remote);
        let outcome = timeout(PATIENCE, async {
            loop {
                match link.changed().await {
                    LinkStatus::Up { .. } => return true,
                    LinkStatus::Down { why, .. } => {
                        assert!(why.contains("credentials"), "{why}");
                        return false;
                    }
                    _ => {}
                }
            }
        });
        assert_eq!(outcome.await.expect("in time"), accepted);
    }
    drop(server);
}

#[tokio::test]
async fn the_same_server_twice_keeps_the_younger_link_and_one_cluster_keeps_none() {
    let (server, address) = hub(Rules::Open, Limits::default()).await;
    server.set_cluster_name(Some("mesh"));
    let (mut first, _) = Wire::dial(address).await;
    first.send(introduction("N1", "")).await;
    while !first.line().await.starts_with("LS+ $LDS.") {}
    let (mut second, _) = Wire::dial(address).await;
    second.send(introduction("N1", "")).await;
    while !second.line().await.starts_with("LS+ $LDS.") {}
    first
        .expect_end("-ERR 'Duplicate Remote LeafNode Connection'")
        .await;
    let (mut member, _) = Wire::dial(address).await;
    member
        .send(introduction("N2", ",\"cluster\":\"mesh\""))
        .await;
    member
        .expect_end("-ERR 'remote leafnode has same cluster name'")
        .await;
    let (mut own, _) = Wire::dial(address).await;
    own.send(introduction(server.id(), "")).await;
    assert!(own.line().await.contains("Loop detected"));
}

#[tokio::test]
async fn a_leafnode_that_does_not_answer_pings_is_cut_after_two() {
    let limits = Limits {
        ping_interval: Duration::from_millis(50),
        ..Limits::default()
    };
    let (server, address) = hub(Rules::Open, limits).await;
    let (mut wire, _) = Wire::dial(address).await;
    wire.send(introduction("N1", "")).await;
    let (mut pings, most) = (0, Limits::default().ping_max);
    loop {
        match wire.line().await.as_str() {
            "PING" if pings < most => pings += 1,
            "PING" => panic!("it is not cut"),
            "-ERR 'Stale Connection'" => break,
            _ => {}
        }
    }
    assert_eq!(pings, most);
    drop(server);
}

#[tokio::test]
async fn silence_and_a_flood_of_connections_cost_only_themselves() {
    let limits = Limits {
        max_unauthenticated: 8,
        ..Limits::default()
    };
    let (server, address) = hub(only(&keys(1)), limits).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Wire::dial(address).await.0);
    }
    let leaf = Server::start(options()).await.expect("a server");
    let mut remote = LeafRemote::tcp(&[address.to_string()]).expect("an address");
    remote.credentials = Credentials::nkey(keys(1));
    let mut link = leaf.dial_leaf(remote);
    let up = timeout(PATIENCE, async {
        while !matches!(link.status(), LinkStatus::Up { .. }) {
            link.changed().await;
        }
    });
    up.await.expect("the flood keeps nobody out");
    for mut wire in silent {
        wire.expect_end("-ERR 'Authentication Timeout'").await;
    }
    drop(server);
}
