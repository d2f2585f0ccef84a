//! Agents at stock NATS servers: joined as leafnodes and as clients, by each kind of credentials, and what is said when it goes wrong.

mod ports;
mod tls;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::stock_nats::{Port, StockNats};
use crate::workspace;

/// The ports of one server.
struct Ports {
    client: Port,
    leaf: Port,
    route: Port,
    web: Port,
}

impl Ports {
    fn new() -> Self {
        Self {
            client: Port::new(),
            leaf: Port::new(),
            route: Port::new(),
            web: Port::new(),
        }
    }

    /// Starts a server on all of them, with this put into the sections for clients and leafnodes.
    fn serve(&self, clients: &str, leaves: &str) -> StockNats {
        let Self {
            client,
            leaf,
            route,
            web,
        } = self;
        StockNats::start(&format!(
            "listen: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\n{clients}\n\
             leafnodes {{ listen: \"127.0.0.1:{}\"\n {leaves} }}\n\
             cluster {{ name: stock, listen: \"127.0.0.1:{}\" }}\n",
            client.number, web.number, leaf.number, route.number
        ))
    }
}

fn upstream(agent: &Agent) -> Value {
    agent.mesh()["upstream"].clone()
}

fn stands(agent: &Agent) {
    wait(|| upstream(agent)["state"]["kind"] == "connected");
}

/// Starts two agents with these flags each, which nothing else joins, and has commits go both ways.
fn equal_by(first: &[&str], second: &[&str]) {
    let place = Place::new(2);
    let first = place.start(0, first);
    let second = place.start(1, second);
    for agent in [&first, &second] {
        stands(agent);
        agent.meets(1);
    }
    place.commit(0, "from-the-first");
    second.receives("from-the-first");
    place.commit(1, "from-the-second");
    first.receives("from-the-second");
    assert_eq!(first.mesh()["counters"]["refused"], 0);
}

#[test]
fn agents_are_equal_over_a_stock_server_as_leafnode_and_as_client_with_user_and_token() {
    let ports = Ports::new();
    let users = "authorization { user: ada, password: s3cret }";
    let _server = ports.serve(users, users);
    let leaf = format!("nats-leaf://ada:s3cret@127.0.0.1:{}", ports.leaf.number);
    let client = format!("nats://ada:s3cret@127.0.0.1:{}", ports.client.number);
    equal_by(&["--nats-upstream", &leaf], &["--nats-upstream", &client]);
    let by_token = Ports::new();
    let _server = by_token.serve("authorization { token: s3cret }", "");
    let client = format!("nats://s3cret@127.0.0.1:{}", by_token.client.number);
    let leaf = format!("nats-leaf://127.0.0.1:{}", by_token.leaf.number);
    equal_by(
        &["--nats-upstream", &client],
        &["--nats-upstream", &leaf, "--nats-role", "leaf"],
    );
}

/// A key in NATS's text form.
struct Key {
    pair: Ed25519KeyPair,
    public: String,
    /// The half that is shown to nobody.
    seed: String,
}

impl Key {
    /// Makes a key of one kind: operators have the prefix 14 << 3, accounts 0, users 20 << 3.
    fn new(kind: u8, number: u8) -> Self {
        let seed = [number; 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key");
        let public = text_form(&[&[kind], pair.public_key().as_ref()].concat());
        // "S" and the kind share two bytes, five bits each.
        let head = [(18 << 3) | (kind >> 5), (kind & 31) << 3];
        let seed = text_form(&[&head, &seed[..]].concat());
        Self { pair, public, seed }
    }
}

/// Returns bytes with their CRC-16/XMODEM, in base 32.
fn text_form(bytes: &[u8]) -> String {
    let crc = bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    BASE32_NOPAD.encode(&[bytes, &crc.to_le_bytes()].concat())
}

/// Returns a signed statement, as `nsc` writes them.
fn jwt(issuer: &Key, subject: &Key, nats: &Value) -> String {
    jwt_until(None, issuer, subject, nats)
}

/// Returns a signed statement that counts until this second since 1970.
fn jwt_until(end: Option<u64>, issuer: &Key, subject: &Key, nats: &Value) -> String {
    let mut claims = json!({
        "jti": "x", "iat": 1, "name": "test",
        "iss": issuer.public, "sub": subject.public, "nats": nats,
    });
    if let Some(end) = end {
        claims["exp"] = json!(end);
    }
    let encode = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let head = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let text = format!("{head}.{}", encode(&claims));
    let signature = issuer.pair.sign(text.as_bytes());
    format!("{text}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

#[test]
fn a_server_of_short_messages_between_agents_is_sent_none_that_it_would_not_take() {
    let ports = Ports::new();
    let _server = ports.serve("max_payload: 64KB", "");
    let leaf = format!("nats-leaf://127.0.0.1:{}", ports.leaf.number);
    let client = format!("nats://127.0.0.1:{}", ports.client.number);
    for ways in [[&leaf, &leaf], [&leaf, &client]] {
        let place = Place::new(2);
        let [first, second] = [0, 1].map(|at| place.start(at, &["--nats-upstream", ways[at]]));
        for agent in [&first, &second] {
            stands(agent);
            agent.meets(1);
        }
        let before = [&first, &second].map(|agent| upstream(agent)["state"].clone());
        place.commit_large(0, "long", 2_000_000);
        second.receives("long");
        // A check-in is here before the files that it names.
        let whole = |at| {
            let count = "SELECT count(*) FROM blob WHERE size<0";
            let sql = ["sql", "--readonly", count, "-R"];
            run(place.fossil().args(sql).arg(place.repository(at))).trim() == "0"
        };
        wait(|| whole(1));
        place.commit_large(1, "back", 2_000_000);
        first.receives("back");
        wait(|| whole(0));
        let after = [&first, &second].map(|agent| upstream(agent)["state"].clone());
        assert_eq!(before, after, "no link was lost");
        for agent in [&first, &second] {
            assert_eq!(agent.mesh()["counters"]["violations"], 0);
        }
    }
}

#[test]
fn a_creds_file_opens_both_ports_of_a_server_with_an_operator() {
    let (operator, account, user) = (Key::new(14 << 3, 1), Key::new(0, 2), Key::new(20 << 3, 3));
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1,
    });
    let of_operator = json!({ "type": "operator", "version": 2 });
    let of_operator = jwt(&operator, &operator, &of_operator);
    let of_account = json!({ "type": "account", "version": 2, "limits": limits });
    let of_account = jwt(&operator, &account, &of_account);
    let of_user = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let creds = |of_user: &str| {
        format!(
            "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.to_str().expect("a path").to_owned()
    };
    let good = write("good.creds", creds(&jwt(&account, &user, &of_user)));
    // Signed by an account that the server does not know.
    let stranger = Key::new(0, 4);
    let bad = write("bad.creds", creds(&jwt(&stranger, &user, &of_user)));
    let expired = jwt_until(Some(1_700_000_000), &account, &user, &of_user);
    let expired = write("expired.creds", creds(&expired));
    let operator = write("operator.jwt", of_operator);
    let ports = Ports::new();
    let section = format!(
        "operator: \"{operator}\"\nresolver: MEMORY\nresolver_preload: {{ {}: \"{of_account}\" }}",
        account.public
    );
    let _server = ports.serve(&section, "");
    let leaf = format!("nats-leaf://127.0.0.1:{}", ports.leaf.number);
    let client = format!("nats://127.0.0.1:{}", ports.client.number);
    let by = |url| ["--nats-upstream", url, "--nats-creds", &good];
    equal_by(&by(&leaf), &by(&client));
    let message = "does not let in the credentials of --nats-creds";
    for (url, creds) in [&leaf, &client]
        .into_iter()
        .flat_map(|url| [(url, &bad), (url, &expired)])
    {
        let flags = ["--nats-upstream", url, "--nats-creds", creds];
        is_told(&flags, message, "Compare it with");
    }
}

/// Starts an agent with these flags, and expects what it tells.
fn is_told(flags: &[&str], message: &str, hint: &str) {
    let url = flags[1];
    let place = Place::new(1);
    let agent = place.start(0, flags);
    wait(|| upstream(&agent)["state"]["kind"] == "error");
    let told = upstream(&agent);
    let text = |name: &str| told["state"][name].as_str().unwrap_or_default().to_owned();
    assert!(text("message").contains(message), "{url}: {told}");
    assert!(text("hint").contains(hint), "{url}: {told}");
    let status = run(place.edgesync(0).args(["sync", "status"]));
    for words in [message, hint] {
        assert!(status.contains(words), "{url}: {status}");
    }
    for told in [told.to_string(), status] {
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn a_leaf_that_joins_an_agent_makes_no_second_link() {
    let ports = Ports::new();
    let _server = ports.serve("", "");
    let server = format!("nats-leaf://127.0.0.1:{}", ports.leaf.number);
    let place = Place::new(2);
    let hub = place.start(0, &["--nats-role", "hub", "--nats-upstream", &server]);
    stands(&hub);
    let join = hub.address("leaf");
    let flags = ["--nats-role", "leaf", "--join", join];
    let flags = [&flags[..], &["--nats-upstream", &server]].concat();
    let leaf = place.start(1, &flags);
    leaf.meets(1);
    assert_eq!(upstream(&leaf)["state"]["kind"], "unused");
    wait(|| leaf.mesh()["joins"][0]["state"]["kind"] == "connected");
    place.commit(0, "from-the-hub");
    leaf.receives("from-the-hub");
    let id = leaf.mesh()["joins"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    leaf.api("DELETE", &format!("mesh/joins/{id}"), None);
    stands(&leaf);
    place.commit(0, "by-the-server");
    leaf.receives("by-the-server");
}

/// Returns what `deploy/compose.yaml` puts into the environment of each server, with these passwords.
fn deployed() -> Vec<(String, String)> {
    let file = workspace::root().join("deploy/compose.yaml");
    let text = std::fs::read_to_string(file).expect("the file");
    let (_, section) = text.split_once("x-environment:").expect("a section");
    let (section, _) = section.split_once("services:").expect("its end");
    let filled = |value: &str| {
        let mut value = value.to_owned();
        while let Some((before, rest)) = value.split_once("${") {
            let (name, after) = rest.split_once('}').expect("an end");
            let password = match name.split(':').next() {
                Some("EDGESYNC_BUS_PASSWORD") => "agents",
                Some("EDGESYNC_ROUTE_PASSWORD") => "among-them",
                _ => panic!("{name} is asked for"),
            };
            value = format!("{before}{password}{after}");
        }
        value
    };
    let lines = section
        .lines()
        .filter_map(|line| line.trim().split_once(": "));
    lines
        .map(|(name, value)| (name.to_owned(), filled(value)))
        .collect()
}

/// Starts one server of the cluster in `deploy`. All are on this machine, on ports of their own; the rest is as it is deployed.
fn clustered(number: usize, all: &[Ports]) -> StockNats {
    let own = &all[number];
    let mut command = StockNats::program();
    command
        .arg("-c")
        .arg(workspace::root().join("deploy/nats/cluster.conf"))
        .env("NATS_NAME", format!("nats-{}", number + 1));
    for (name, value) in deployed() {
        let here = match (name.as_str(), value.as_str()) {
            ("NATS_HOST", "0.0.0.0") => "127.0.0.1".to_owned(),
            ("NATS_CLIENT_PORT", "4222") => own.client.number.to_string(),
            ("NATS_LEAF_PORT", "7422") => own.leaf.number.to_string(),
            ("NATS_ROUTE_PORT", "6222") => own.route.number.to_string(),
            _ => (1..).zip(all).fold(value, |value, (number, other)| {
                let here = format!("@127.0.0.1:{}", other.route.number);
                value.replace(&format!("@nats-{number}:6222"), &here)
            }),
        };
        command.env(name, here);
    }
    StockNats::run(command, tempfile::tempdir().expect("a folder"))
}

#[test]
fn agents_at_different_servers_of_the_deployed_cluster_stay_equal_when_one_is_killed() {
    let ports: Vec<Ports> = (0..3).map(|_| Ports::new()).collect();
    let mut servers: Vec<StockNats> = (0..3).map(|number| clustered(number, &ports)).collect();
    let leaves: Vec<String> = ports
        .iter()
        .map(|it| format!("127.0.0.1:{}", it.leaf.number))
        .collect();
    let leaf = format!("nats-leaf://edgesync:agents@{}", leaves.join(","));
    let clients = [&ports[1], &ports[2]].map(|it| format!("127.0.0.1:{}", it.client.number));
    let client = format!("nats://edgesync:agents@{}", clients.join(","));
    let place = Place::new(3);
    let first = place.start(0, &["--nats-upstream", &leaf]);
    let second = place.start(1, &["--nats-upstream", &client]);
    let last = format!("nats-leaf://edgesync:agents@{}", leaves[2]);
    let third = place.start(2, &["--nats-upstream", &last]);
    let agents = [&first, &second, &third];
    for agent in agents {
        stands(agent);
        agent.meets(2);
    }
    place.commit(0, "with-three");
    place.commit(2, "with-three-as-well");
    for agent in agents {
        agent.receives("with-three");
        agent.receives("with-three-as-well");
    }
    // The first agent's.
    drop(servers.remove(0));
    place.commit(0, "with-two");
    for agent in agents {
        agent.receives("with-two");
    }
    place.commit(1, "with-two-as-well");
    first.receives("with-two-as-well");
    stands(&first);
}
