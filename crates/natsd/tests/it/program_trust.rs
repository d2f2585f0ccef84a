//! Who comes in by the ports for servers, with one configuration for the example program and the reference: the same.

use std::net::SocketAddr;

use data_encoding::BASE64URL_NOPAD;
use natsd::nkey::KeyPair;
use serde_json::{Value, json};

use super::program_keys::{Files, SEED};
use super::stock::Stock;
use super::wire::Wire;

/// What somebody shows who dials.
enum Shown {
    /// These members of CONNECT.
    Members(&'static str),
    /// A key, and a signature by another or by the same.
    Signed { by_owner: bool },
}

const SHOWN: [Shown; 11] = [
    Shown::Members(r"{}"),
    Shown::Members(r#"{"user":"u","pass":"p"}"#),
    Shown::Members(r#"{"user":"u","pass":"WRONG"}"#),
    Shown::Members(r#"{"user":"u"}"#),
    Shown::Members(r#"{"user":"stranger","pass":"p"}"#),
    Shown::Members(r#"{"user":"own","pass":"mine"}"#),
    Shown::Members(r#"{"auth_token":"t"}"#),
    Shown::Members(r#"{"auth_token":"WRONG"}"#),
    Shown::Members(
        r#"{"nkey":"UB43KVROR7TFJ6KAPCYRF2FJROTZAH4FHLTJLPWX4DRZCC5NASLGJBFE","sig":"x"}"#,
    ),
    Shown::Signed { by_owner: true },
    Shown::Signed { by_owner: false },
];

fn key() -> KeyPair {
    KeyPair::from_seed_text(SEED).expect("a seed")
}

impl Shown {
    /// Returns it as members of a CONNECT that answers this nonce.
    fn members(&self, nonce: &str) -> Value {
        let signer = match self {
            Self::Members(json) => return serde_json::from_str(json).expect("JSON"),
            Self::Signed { by_owner: true } => key(),
            Self::Signed { by_owner: false } => KeyPair::from_seed(&[8; 32]).expect("keys"),
        };
        let sig = BASE64URL_NOPAD.encode(&signer.sign(nonce.as_bytes()));
        json!({ "nkey": key().public().to_string(), "sig": sig })
    }
}

/// Comes to a port as a server that shows this, and returns what it is told: whether it is let in, and what it may do there.
async fn outcome(at: SocketAddr, id: &str, shown: &Shown, cluster: Option<&str>) -> String {
    let (mut wire, info) = Wire::dial(at).await;
    let mut connect = shown.members(info["nonce"].as_str().unwrap_or_default());
    let more = json!({
        "server_id": id, "name": id, "version": "2.9.10", "protocol": 1, "verbose": false, "headers": true, "cluster": cluster,
    });
    let members = connect.as_object_mut().expect("members");
    members.extend(more.as_object().expect("members").clone());
    let mut said = format!("CONNECT {connect}\r\n");
    if cluster.is_some() {
        let info = json!({
            "server_id": id, "server_name": id, "version": "2.9.10", "proto": 1, "host": "127.0.0.1", "port": 1, "headers": true,
            "max_payload": 1024, "cluster": cluster,
        });
        said += &format!("INFO {info}\r\n");
    }
    // All at once, because who is refused is cut.
    wire.send(said + "PING\r\n").await;
    let mut limits = String::new();
    loop {
        let line = wire.line().await;
        match line.split_once(' ').map_or(line.as_str(), |(verb, _)| verb) {
            "PONG" => return format!("let in{limits}"),
            "-ERR" => return line,
            "INFO" => {
                let told: Value = serde_json::from_str(&line["INFO ".len()..]).expect("JSON");
                let told = (&told["import"], &told["export"]);
                if told != (&Value::Null, &Value::Null) {
                    limits = format!(", {told:?}");
                }
            }
            _ => {}
        }
    }
}

/// Starts both with this configuration, in which `@leaf` or `@route` is the port to come to, and compares what becomes of each who comes.
/// Returns how many were let in.
async fn compare(config: &str, kind: &str, cluster: Option<&str>) -> usize {
    let stock = Stock::start(config).await;
    let stock_at = match kind {
        "cluster" => stock.routes().expect("a port for routes"),
        _ => stock.leafs(),
    };
    let stock_at = stock_at.parse().expect("an address");
    let own = ["@leaf", "@route"]
        .iter()
        .fold(config.to_owned(), |text, port| {
            text.replace(port, "127.0.0.1:-1")
        });
    let files = Files::new();
    let mut ours = files
        .start("ours", &format!("listen: \"127.0.0.1:-1\"\n{own}"))
        .await;
    let ours_at = ours.address(kind).await;
    let mut let_in = 0;
    for (number, shown) in SHOWN.iter().enumerate() {
        let id = format!("S{number}");
        let expected = outcome(stock_at, &id, shown, cluster).await;
        let found = outcome(ours_at, &id, shown, cluster).await;
        assert_eq!(found, expected, "{} to\n{config}", shown.members("nonce"));
        let_in += usize::from(found.starts_with("let in"));
    }
    let_in
}

#[tokio::test]
async fn leafnodes_come_in_where_the_reference_lets_them_in() {
    let key = key().public();
    let list = format!(
        "authorization {{ users: [ {{ user: u, password: p, permissions {{ publish: \"a.>\", subscribe: \"b.>\" }} }}, {{ nkey: {key} }} ] }}"
    );
    let keys = format!("authorization {{ users: [ {{ nkey: {key} }} ] }}");
    for (clients, own, let_in) in [
        ("", "", 11),
        ("authorization { user: u, password: p }", "", 11),
        ("authorization { token: t }", "", 11),
        (
            "authorization { users: [ { user: u, password: p } ] }",
            "",
            7,
        ),
        (&list, "", 5),
        (&list, "authorization { timeout: 3 }", 5),
        (&keys, "", 9),
        (&list, "authorization { user: own, password: mine }", 1),
        (
            "authorization { token: t }",
            "authorization { users: [ { user: own, password: mine } ] }",
            1,
        ),
        ("", "authorization { user: own, password: mine }", 1),
    ] {
        let config = format!("{clients}\nleafnodes {{ listen: \"@leaf\"\n{own} }}\n");
        assert_eq!(
            compare(&config, "leafnodes", None).await,
            let_in,
            "{config}"
        );
    }
}

#[tokio::test]
async fn members_come_in_where_the_reference_lets_them_in() {
    for (clients, own, let_in) in [
        (
            "authorization { users: [ { user: u, password: p } ] }",
            "",
            11,
        ),
        (
            "authorization { token: t }",
            "authorization { user: own, password: mine }",
            1,
        ),
        ("", "authorization { user: own, password: mine }", 1),
    ] {
        let config = format!("{clients}\ncluster {{ name: c, listen: \"@route\"\n{own} }}\n");
        assert_eq!(
            compare(&config, "cluster", Some("c")).await,
            let_in,
            "{config}"
        );
    }
}
