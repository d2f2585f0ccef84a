//! Clusters whose members let each other in by key: both ends of a route prove who they are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use natsd::auth::{Credentials, Judge, Policy, Rules};
use natsd::nkey::{KeyPair, PublicKey};
use natsd::proto::Connect;
use natsd::{Close, Event, Link, LinkStatus, Listeners, Options, RouteOptions, Server, Target};

use super::route::{client_of, down, each_message_arrives_once, joined, routes_of, up};
use super::stock::Stock;
use super::wire::{PATIENCE, Wire, loopback, options};

/// Lets the owners of some keys in, who call their servers by the number of the key.
#[derive(Debug, Default)]
pub(super) struct Friends {
    now: Mutex<BTreeSet<u8>>,
    revoked: Mutex<BTreeSet<u8>>,
}

impl Friends {
    pub(super) fn of(friends: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(friends.iter().copied().collect()),
            revoked: Mutex::default(),
        })
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<u8>)) {
        change(&mut self.now.lock().expect("the list"));
    }

    pub(super) fn revoke(&self, friend: u8) {
        self.change(|friends| {
            friends.remove(&friend);
        });
        self.revoked.lock().expect("the list").insert(friend);
    }

    fn number(&self, key: &PublicKey) -> Option<u8> {
        of_key(&self.now, key)
    }
}

fn of_key(list: &Mutex<BTreeSet<u8>>, key: &PublicKey) -> Option<u8> {
    let list = list.lock().expect("the list");
    list.iter().copied().find(|seed| public(*seed) == *key)
}

impl Judge for Friends {
    fn key(&self, connect: &Connect) -> Option<PublicKey> {
        let key = PublicKey::parse(connect.nkey.as_deref()?).ok()?;
        (self.still(&key) || self.was_revoked(&key)).then_some(key)
    }

    fn still(&self, key: &PublicKey) -> bool {
        self.number(key).is_some()
    }

    fn was_revoked(&self, key: &PublicKey) -> bool {
        of_key(&self.revoked, key).is_some()
    }

    fn may_be_called(&self, key: &PublicKey, server_name: &str) -> bool {
        self.number(key)
            .is_some_and(|seed| server_name == format!("server-{seed}"))
    }
}

pub(super) fn keys(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).expect("keys")
}

pub(super) fn public(seed: u8) -> PublicKey {
    keys(seed).public()
}

pub(super) fn policy(friends: &Arc<Friends>) -> Policy {
    let friends: Arc<dyn Judge> = Arc::<Friends>::clone(friends);
    Policy {
        leaves: Rules::Judge(Arc::clone(&friends)),
        routes: Rules::Judge(friends),
        ..Policy::default()
    }
}

/// Starts a member with this key.
pub(super) async fn member(seed: u8, friends: &Arc<Friends>) -> Server {
    named(format!("server-{seed}"), seed, friends).await
}

async fn named(name: String, seed: u8, friends: &Arc<Friends>) -> Server {
    let options = Options {
        server_name: Some(name),
        listeners: Listeners {
            leaves: Some(loopback()),
            routes: Some(loopback()),
            ..options().listeners
        },
        routes: RouteOptions {
            credentials: Credentials::nkey(keys(seed)),
            ..RouteOptions::default()
        },
        policy: policy(friends),
        ..Options::default()
    };
    Server::start(options).await.expect("a server")
}

pub(super) fn dial(from: &Server, to: &Server) -> Link {
    from.dial_route(Target::Tcp(routes_of(to)))
}

/// Waits until a link is down, and returns why, in words.
async fn why(link: &mut Link) -> String {
    down(link).await;
    match link.status() {
        LinkStatus::Down { why, .. } => why,
        status => panic!("{status:?}"),
    }
}

#[tokio::test]
async fn members_that_trust_each_other_are_joined() {
    let everybody = Friends::of(&[1, 2, 3]);
    let (a, b, c) = (
        member(1, &everybody).await,
        member(2, &everybody).await,
        member(3, &everybody).await,
    );
    let _links = [dial(&b, &a), dial(&c, &a)];
    let mut wires = joined(&[client_of(&a), client_of(&b), client_of(&c)]).await;
    each_message_arrives_once(&mut wires).await;
}

#[tokio::test]
async fn a_route_takes_trust_of_both_ends() {
    let (one, both) = (Friends::of(&[1]), Friends::of(&[1, 2]));
    // Who is dialled does not know who dials.
    let (a, b) = (member(1, &one).await, member(2, &both).await);
    let mut link = dial(&b, &a);
    assert_eq!(down(&mut link).await, Close::Refused);
    let text = why(&mut link).await;
    assert!(text.contains("did not accept"), "{text}");
    // Who dials does not know who is dialled.
    let mut link = dial(&a, &b);
    assert_eq!(down(&mut link).await, Close::NotTrusted);
    match link.status() {
        LinkStatus::Down { server_name, .. } => {
            assert_eq!(server_name.as_deref(), Some("server-2"));
        }
        status => panic!("{status:?}"),
    }
    assert_eq!(a.stats().subscriptions + b.stats().subscriptions, 0);
}

#[tokio::test]
async fn who_is_dialled_has_to_have_the_key_that_it_shows() {
    let both = Friends::of(&[1, 2]);
    let a = member(1, &both).await;
    // It has no key at all, or another one than the name belongs to.
    for credentials in [Credentials::None, Credentials::nkey(keys(1))] {
        let options = Options {
            server_name: Some("server-2".to_owned()),
            listeners: Listeners {
                routes: Some(loopback()),
                ..options().listeners
            },
            routes: RouteOptions {
                credentials,
                ..RouteOptions::default()
            },
            ..Options::default()
        };
        let impostor = Server::start(options).await.expect("a server");
        let name = a.cluster_name();
        let mut link = dial(&a, &impostor);
        assert_eq!(down(&mut link).await, Close::NotTrusted);
        // Nor does it have a say in what the cluster is called.
        assert!(impostor.cluster_name() > name);
        assert_eq!(a.cluster_name(), name);
    }
    let stock = Stock::start("cluster { name: m, listen: \"@route\" }").await;
    let routes = stock.routes().expect("a route port").to_owned();
    let mut link = a.dial_route(Target::Tcp(routes));
    assert_eq!(down(&mut link).await, Close::NotTrusted);
}

#[tokio::test]
async fn nobody_takes_another_members_name() {
    let both = Friends::of(&[1, 2]);
    let a = member(1, &both).await;
    let liar = named("server-3".to_owned(), 2, &both).await;
    assert_eq!(down(&mut dial(&liar, &a)).await, Close::Refused);
    assert_eq!(down(&mut dial(&a, &liar)).await, Close::NotTrusted);
}

#[tokio::test]
async fn a_proof_is_good_for_its_own_challenge_and_end_only() {
    let both = Friends::of(&[1, 2]);
    let a = member(1, &both).await;
    let address = a.addresses().routes.expect("a route listener");
    let sign = |text: &str| data_encoding::BASE64URL_NOPAD.encode(&keys(2).sign(text.as_bytes()));
    let show = |signature: &str, more: &str| {
        let key = public(2);
        format!("CONNECT {{\"nkey\":\"{key}\",\"sig\":\"{signature}\"{more}}}\r\n")
    };
    let (mut wire, info) = Wire::dial(address).await;
    let nonce = info["nonce"].as_str().expect("a nonce").to_owned();
    wire.send(show(&sign(&format!("{nonce} accepted")), ""))
        .await;
    wire.expect_end("-ERR 'Authorization Violation'").await;
    let (mut wire, _) = Wire::dial(address).await;
    wire.send(show(&sign(&nonce), "")).await;
    wire.expect_end("-ERR 'Authorization Violation'").await;
    // What is no nonce is not signed.
    for challenge in ["", "two words", &"x".repeat(65)] {
        let (mut wire, info) = Wire::dial(address).await;
        let nonce = info["nonce"].as_str().expect("a nonce").to_owned();
        let more = format!(",\"challenge\":\"{challenge}\"");
        wire.send(show(&sign(&nonce), &more)).await;
        wire.expect_end("-ERR 'Unknown Protocol Operation'").await;
    }
    let (mut wire, info) = Wire::dial(address).await;
    let nonce = info["nonce"].as_str().expect("a nonce").to_owned();
    wire.send(show(&sign(&nonce), ",\"challenge\":\"abc\""))
        .await;
    let proof = wire.line().await;
    let proof = proof.strip_prefix("CONNECT ").expect("a proof");
    let proof: serde_json::Value = serde_json::from_str(proof).expect("JSON");
    let signature = proof["sig"].as_str().expect("a signature");
    let signature = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes());
    assert!(public(1).verify(b"abc accepted", &signature.expect("base64")));
}

#[tokio::test]
async fn trust_that_is_taken_cuts_both_ends_and_trust_that_is_given_joins_who_was_told_of() {
    let (everybody, some) = (Friends::of(&[1, 2, 3]), Friends::of(&[1, 2]));
    let (a, b, c) = (
        member(1, &everybody).await,
        member(2, &some).await,
        member(3, &everybody).await,
    );
    let _links = [dial(&b, &a), dial(&c, &a)];
    drop(joined(&[client_of(&a), client_of(&b)]).await);
    let mut events = b.events();
    some.change(|friends| {
        friends.insert(3);
    });
    b.set_policy(policy(&some));
    let meets = async |events: &mut tokio::sync::broadcast::Receiver<Event>| loop {
        if let Event::LinkUp { server_name, .. } = events.recv().await.expect("an event")
            && server_name == "server-3"
        {
            return;
        }
    };
    let met = tokio::time::timeout(PATIENCE, meets(&mut events));
    met.await.expect("b and c are joined");
    some.change(|friends| {
        friends.remove(&3);
    });
    b.set_policy(policy(&some));
    let cut = async |events: &mut tokio::sync::broadcast::Receiver<Event>| loop {
        if let Event::Disconnected { why, .. } = events.recv().await.expect("an event")
            && why == Close::Unauthorized
        {
            return;
        }
    };
    let cut = tokio::time::timeout(PATIENCE, cut(&mut events));
    cut.await.expect("b cuts c");
}

#[tokio::test]
async fn a_wrong_port_is_named() {
    let both = Friends::of(&[1, 2]);
    let (a, b) = (member(1, &both).await, member(2, &both).await);
    let leaves = a.addresses().leaves.expect("a leafnode listener");
    for (address, name) in [
        (leaves.to_string(), "leafnode port"),
        (client_of(&a), "client port"),
    ] {
        let mut link = b.dial_route(Target::Tcp(address));
        let text = why(&mut link).await;
        assert!(text.contains(name) && text.contains("route port"), "{text}");
    }
    let remote = natsd::leaf::LeafRemote::tcp(&[routes_of(&a)]).expect("an address");
    let text = why(&mut b.dial_leaf(remote)).await;
    assert!(text.contains("route port"), "{text}");
}

#[tokio::test]
async fn two_that_dial_each_other_at_once_keep_one_route() {
    for _ in 0..5 {
        let both = Friends::of(&[1, 2]);
        let (a, b) = (member(1, &both).await, member(2, &both).await);
        let (mut there, mut back) = (dial(&a, &b), dial(&b, &a));
        up(&mut there).await;
        up(&mut back).await;
        let mut wires = joined(&[client_of(&a), client_of(&b)]).await;
        each_message_arrives_once(&mut wires).await;
    }
}
