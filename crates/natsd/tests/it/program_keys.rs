//! The keys of the example program's configuration file, each by its effect.

use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use natsd::nkey::KeyPair;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::program::Running;
use super::route::{each_message_arrives_once, joined_with};
use super::wire::{PATIENCE, Reserved, Wire, loopback};

const QUIET: &str = r#"{"verbose":false,"pedantic":false}"#;

/// The seed of a user's key, as people write it.
pub(super) const SEED: &str = "SUAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6IC5CQ";

/// A folder for files of a test.
pub(super) struct Files(TempDir);

impl Files {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Starts the program with this configuration.
    pub(super) async fn start(&self, name: &str, config: &str) -> Running {
        Running::start_with(&self.write(name, config)).await
    }
}

/// Connects as a client, with further members of CONNECT.
async fn client(server: &mut Running, more: &str) -> Wire {
    let (mut wire, _) = Wire::dial(server.address("nats").await).await;
    wire.connect(&format!("{{\"verbose\":false,\"pedantic\":false{more}}}"))
        .await;
    wire
}

/// Writes PINGs without reading until the connection is cut.
async fn flood(wire: &mut Wire) {
    let pings = "PING\r\n".repeat(10_000);
    let flooding = async { while wire.stream.write_all(pings.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, flooding).await.expect("it is cut");
}

/// Waits until a log says something.
async fn says(log: &Path, text: &str) {
    let said = async {
        while !std::fs::read_to_string(log).is_ok_and(|log| log.contains(text)) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let said = timeout(PATIENCE, said).await;
    said.unwrap_or_else(|_| panic!("{:?}", std::fs::read_to_string(log)));
}

#[tokio::test]
async fn an_address_is_given_in_each_of_its_ways() {
    let files = Files::new();
    for (number, listen) in [
        "listen: \"127.0.0.2:-1\"",
        "net: 127.0.0.2\nport: -1",
        "host = 127.0.0.2\nport = -1",
    ]
    .into_iter()
    .enumerate()
    {
        let mut server = files.start(&format!("{number}"), listen).await;
        let at = server.address("nats").await;
        assert_eq!(at.ip().to_string(), "127.0.0.2", "{listen}");
    }
}

#[tokio::test]
async fn the_limits_of_the_file_hold() {
    let files = Files::new();
    let limits = "listen: \"127.0.0.1:-1\"\nserver_name: small\nmax_payload: 1KB\nmax_control_line: 256\nmax_connections: 2\nmax_subscriptions: 2\n";
    let mut server = files.start("limits", limits).await;
    let at = server.address("nats").await;
    let (mut wire, info) = Wire::dial(at).await;
    assert_eq!(
        (&info["server_name"], &info["max_payload"]),
        (&"small".into(), &1024.into())
    );
    wire.connect(QUIET).await;
    let answer = wire.ask("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n").await;
    assert_eq!(answer, "-ERR 'maximum subscriptions exceeded'");
    let (mut second, _) = Wire::dial(at).await;
    second.connect(QUIET).await;
    let (mut third, _) = Wire::dial(at).await;
    third
        .expect_end("-ERR 'maximum connections exceeded'")
        .await;
    second.send("PUB a 1025\r\n").await;
    second.expect_end("-ERR 'Maximum Payload Violation'").await;
    wire.send(format!("SUB {}", "a".repeat(256))).await;
    wire.expect_end("-ERR 'maximum control line exceeded'")
        .await;
}

#[tokio::test]
async fn who_is_silent_or_does_not_read_is_cut_as_the_file_says() {
    let files = Files::new();
    let log = files.path("log");
    let file = |rest: &str| {
        format!(
            "listen: \"127.0.0.1:-1\"\ndebug: true\nlog_file: \"{}\"\n{rest}",
            log.display()
        )
    };
    let pings = file("ping_interval: \"50ms\"\nping_max: 1\n");
    let mut server = files.start("pings", &pings).await;
    let (mut wire, _) = Wire::dial(server.address("nats").await).await;
    wire.expect_end("PING|-ERR 'Stale Connection'").await;
    let timeout = file("authorization { token: secret, timeout: 0.1 }\n");
    let mut server = files.start("timeout", &timeout).await;
    let (mut wire, _) = Wire::dial(server.address("nats").await).await;
    wire.expect_end("-ERR 'Authentication Timeout'").await;
    for (rest, why) in [
        ("max_payload: 64KB\nmax_pending: 64KB\n", "reads too slowly"),
        (
            "max_pending: 1GB\nwrite_deadline: \"100ms\"\n",
            "took no bytes for too long",
        ),
    ] {
        let mut server = files.start("slow", &file(rest)).await;
        let mut deaf = client(&mut server, "").await;
        flood(&mut deaf).await;
        says(&log, why).await;
    }
}

#[tokio::test]
async fn what_is_asked_for_is_logged_and_no_secret() {
    let files = Files::new();
    for (name, level, expected) in [
        ("quiet", "", [false, false]),
        ("debug", "debug: on\n", [true, false]),
        ("trace", "trace: on\n", [true, true]),
    ] {
        let (log, pid) = (files.path(&format!("{name}.log")), files.path("pid"));
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nauthorization {{ token: secret }}\nlog_file: \"{}\"\npid_file: \"{}\"\n{level}",
            log.display(),
            pid.display()
        );
        let mut server = files.start(name, &config).await;
        let number = std::fs::read_to_string(&pid).expect("a number");
        assert_eq!(number, server.number().to_string());
        let mut wire = client(&mut server, ",\"auth_token\":\"secret\"").await;
        wire.ask("PUB told.of 7\r\npayload\r\n").await;
        drop(wire);
        let mut last = client(&mut server, ",\"auth_token\":\"secret\"").await;
        last.ask("").await;
        let said = std::fs::read_to_string(&log).expect("a log");
        let found = ["connected", "PUB told.of 7"].map(|text| said.contains(text));
        assert_eq!(found, expected, "{said}");
        for secret in ["secret", "payload"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[tokio::test]
async fn users_of_the_file_may_do_what_it_says() {
    let files = Files::new();
    let key = KeyPair::from_seed_text(SEED).expect("a seed");
    let config = format!(
        "listen: \"127.0.0.1:-1\"\nauthorization {{
           default_permissions {{ publish: \"a.>\" }}
           users = [
             {{ user: ann, password: one }}
             {{ user: bob, password: two, permissions {{ publish {{ deny: a.b }}, subscribe: [c, \"d q\"] }} }}
             {{ nkey: {} }}
           ]
         }}",
        key.public()
    );
    let mut server = files.start("users", &config).await;
    let mut ann = client(&mut server, r#","user":"ann","pass":"one""#).await;
    let answer = ann.ask("PUB a.b 0\r\n\r\nPUB b 0\r\n\r\n").await;
    assert_eq!(answer, "-ERR 'Permissions Violation for Publish to \"b\"'");
    let mut bob = client(&mut server, r#","user":"bob","pass":"two""#).await;
    let answer = bob
        .ask("PUB b 0\r\n\r\nPUB a.b 0\r\n\r\nSUB c 1\r\nSUB d q 2\r\nSUB d 3\r\n")
        .await;
    assert_eq!(
        answer,
        "-ERR 'Permissions Violation for Publish to \"a.b\"'|-ERR 'Permissions Violation for Subscription to \"d\"'"
    );
    let (mut wire, info) = Wire::dial(server.address("nats").await).await;
    let nonce = info["nonce"].as_str().expect("a nonce");
    let sig = BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()));
    wire.connect(&format!(
        "{{\"verbose\":false,\"nkey\":\"{}\",\"sig\":\"{sig}\"}}",
        key.public()
    ))
    .await;
    let answer = wire.ask("PUB b 0\r\n\r\n").await;
    assert_eq!(answer, "-ERR 'Permissions Violation for Publish to \"b\"'");
    let (mut nobody, _) = Wire::dial(server.address("nats").await).await;
    nobody
        .send(r#"CONNECT {"user":"ann","pass":"two"}"#.to_owned() + "\r\n")
        .await;
    nobody.expect_end("-ERR 'Authorization Violation'").await;
}

#[tokio::test]
async fn a_cluster_is_made_and_told_of_as_the_file_says() {
    let files = Files::new();
    let cluster = |name: &str, more: &str| {
        format!(
            "listen: \"127.0.0.1:-1\"\nserver_name: {name}\ncluster {{ name: mesh, listen: \"127.0.0.1:-1\", authorization {{ user: r, password: p, timeout: \"100ms\" }}, pool_size: 3, compression: off, {more} }}"
        )
    };
    let told = "no_advertise: true, advertise: \"member.example:1234\"";
    let mut east = files.start("east", &cluster("east", told)).await;
    let routes = east.address("cluster").await;
    let (mut wire, info) = Wire::dial(routes).await;
    assert_eq!(
        (&info["cluster"], &info["ip"], &info["connect_urls"]),
        (
            &"mesh".into(),
            &"nats-route://member.example:1234/".into(),
            &serde_json::Value::Null
        )
    );
    wire.expect_end("-ERR 'Authentication Timeout'").await;
    let dials = |login: &str| format!("routes: [ \"nats-route://{login}@{routes}\" ]");
    let mut west = files.start("west", &cluster("west", &dials("r:p"))).await;
    let (here, there) = (east.address("nats").await, west.address("nats").await);
    let mut wires = joined_with(&[(here, "\"protocol\":1"), (there, "\"protocol\":1")]).await;
    each_message_arrives_once(&mut wires).await;
    // Clients of the one that keeps it to itself are told of no member, and the other's not of its clients.
    for at in [here, there] {
        let (_, info) = Wire::dial(at).await;
        let urls = info["connect_urls"].to_string();
        assert!(!urls.contains(&here.to_string()) || at == there, "{urls}");
        assert!(!urls.contains(&there.to_string()) || at == there, "{urls}");
    }
    let log = files.path("log");
    let wrong = cluster("wrong", &dials("r:x")) + &format!("\nlog_file: \"{}\"", log.display());
    let _wrong = files.start("wrong", &wrong).await;
    says(&log, "Authorization Violation").await;
    // Only who says where accepts members.
    let mut none = files
        .start("none", "listen: \"127.0.0.1:-1\"\ncluster { name: mesh }")
        .await;
    assert_eq!(none.ports().await["cluster"], serde_json::json!([]));
}

/// Starts a leafnode of the hub whose remote has these further keys, and returns it with a client once they hear each other.
async fn leaf(files: &Files, name: &str, url: &str, more: &str, hub: &mut Wire) -> (Running, Wire) {
    let config = format!(
        "listen: \"127.0.0.1:-1\"\nserver_name: {name}\nleafnodes {{ reconnect: 1, remotes: [ {{ url: \"{url}\", compression: off, {more} }} ] }}"
    );
    let mut leaf = files.start(name, &config).await;
    let mut wire = client(&mut leaf, "").await;
    wire.ask("SUB > 1\r\n").await;
    let heard = async {
        loop {
            hub.ask(format!("PUB to.{name} 0\r\n\r\n")).await;
            if wire.ask("").await.contains(&format!("to.{name}")) {
                return;
            }
        }
    };
    timeout(PATIENCE, heard).await.expect(name);
    (leaf, wire)
}

#[tokio::test]
async fn leafnodes_are_accepted_and_dialled_as_the_file_says() {
    let files = Files::new();
    let key = KeyPair::from_seed_text(SEED).expect("a seed");
    let hub = format!(
        "listen: \"127.0.0.1:-1\"\nleafnodes {{ listen: \"127.0.0.1:-1\", advertise: \"hub.example\", no_advertise: false, isolate_leafnode_interest: true, compression: off
           authorization {{ timeout: \"100ms\", users = [ {{ user: u, password: p, permissions {{ publish: \"up.>\" }} }}, {{ nkey: {} }} ] }} }}",
        key.public()
    );
    let mut hub = files.start("hub", &hub).await;
    let at = hub.address("leafnodes").await;
    let (mut silent, info) = Wire::dial(at).await;
    let expected = format!("hub.example:{}", at.port());
    assert_eq!(info["leafnode_urls"], serde_json::json!([expected]));
    silent.expect_end("-ERR 'Authentication Timeout'").await;
    let mut here = client(&mut hub, "").await;
    here.ask("SUB up.> u\r\nSUB open o\r\n").await;
    let seed = files.write("user.nk", &format!("{SEED}\n"));
    let url = format!("nats-leaf://{at}");
    let user = format!("nats-leaf://u:p@{at}");
    let deny = "account: \"$G\", deny_imports: [ \"not.in\" ], deny_exports: \"not.out\"";
    let (_one, mut one) = leaf(&files, "one", &user, deny, &mut here).await;
    // What the hub lets it say, and what its own file lets in and out.
    here.ask("SUB not.out n\r\nPUB not.in 0\r\n\r\nPUB may.in 0\r\n\r\n")
        .await;
    let mut seen = String::new();
    let heard = async {
        while !seen.contains("may.in") {
            seen += &one.ask("").await;
        }
    };
    timeout(PATIENCE, heard).await.expect("what may comes in");
    assert!(!seen.contains("not.in"), "{seen}");
    one.ask("PUB open 0\r\n\r\nPUB not.out 0\r\n\r\nPUB up.a 0\r\n\r\n")
        .await;
    let heard = timeout(PATIENCE, here.line()).await.expect("in time");
    assert_eq!(heard, "MSG up.a u 0");
    // Each of the two ways to give a key; and a leafnode is not told what another one wants.
    for (name, more) in [
        ("seed", format!("nkey: {SEED}")),
        ("file", format!("nkey: \"{}\"", seed.display())),
    ] {
        let (_leaf, mut wire) = leaf(&files, name, &url, &more, &mut here).await;
        wire.ask("PUB aside 0\r\n\r\nPUB up.b 0\r\n\r\n").await;
        let heard = async { while here.line().await != "MSG up.b u 0" {} };
        timeout(PATIENCE, heard).await.expect("it arrives");
        assert!(!one.ask("").await.contains("aside"));
    }
}

#[tokio::test]
async fn a_remote_is_dialled_at_the_first_of_its_addresses_that_answers_and_told_what_the_file_wants()
 {
    let files = Files::new();
    let seed = "-----BEGIN USER NKEY SEED-----";
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\ne30.e30.x\n------END-\n{seed}\n{SEED}\n------END-\n"
    );
    let creds = files.write("creds", &creds);
    let nobody = Reserved::new();
    let hub = TcpListener::bind(loopback()).await.expect("a listener");
    let config = format!(
        "listen: \"127.0.0.1:-1\"\nleafnodes {{ remotes: [ {{ urls: [ \"nats-leaf://{}\", \"nats-leaf://{}\" ], hub: true, credentials: \"{}\" }} ] }}",
        nobody.address,
        hub.local_addr().expect("an address"),
        creds.display()
    );
    let _server = files.start("remote", &config).await;
    let dialled = timeout(PATIENCE, hub.accept()).await.expect("in time");
    let mut wire = Wire::over(dialled.expect("a connection").0);
    let info =
        r#"{"server_id":"N","client_id":1,"leafnode_urls":["h:1"],"nonce":"abc","max_payload":1}"#;
    wire.send(format!("INFO {info}\r\n")).await;
    let line = wire.line().await;
    let connect = line.strip_prefix("CONNECT ").expect("CONNECT");
    let connect: serde_json::Value = serde_json::from_str(connect).expect("JSON");
    assert_eq!(
        (&connect["is_hub"], &connect["jwt"]),
        (&true.into(), &"e30.e30.x".into())
    );
    let sig = connect["sig"].as_str().expect("a signature");
    let sig = BASE64URL_NOPAD.decode(sig.as_bytes()).expect("base64");
    let key = KeyPair::from_seed_text(SEED).expect("a seed").public();
    assert!(key.verify(b"abc", &sig));
}
