//! The example program, from outside: flags, files and signals as suites for the reference server use them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::route::{each_message_arrives_once, joined_with};
use super::wire::{PATIENCE, Wire};

/// Returns where `cargo test` puts the program: beside the folder of this one.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let target = own.parent().and_then(Path::parent).expect("a folder");
    target.join("examples").join("server")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs the program to its end.
async fn output(arguments: &[&str]) -> Output {
    let done = timeout(PATIENCE, command(arguments).output()).await;
    let done = done.expect("it ends in time");
    done.expect("`cargo test --package natsd` builds the program")
}

/// Runs the program, which has to refuse, and returns what it says.
async fn refusal(arguments: &[&str]) -> String {
    let done = output(arguments).await;
    assert!(!done.status.success(), "{arguments:?}");
    String::from_utf8(done.stderr).expect("text")
}

/// The program while it runs.
pub(super) struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    /// Starts it with these arguments, and a file with its ports in a folder of its own.
    pub(super) async fn start(arguments: &[&str]) -> Self {
        Self::start_as(&["-a", "127.0.0.1"], arguments).await
    }

    /// Starts it where its file says.
    pub(super) async fn start_with(config: &Path) -> Self {
        let path = config.to_str().expect("a path");
        Self::start_as(&["-c", path], &[]).await
    }

    async fn start_as(first: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("a path").to_owned();
        let child = command(first)
            .args(["--ports_file_dir", &path])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("`cargo test --package natsd` builds the program");
        let mut running = Self { child, folder };
        running.ports().await;
        running
    }

    fn ports_file(&self) -> PathBuf {
        let name = format!("server_{}.ports", self.child.id().expect("it runs"));
        self.folder.path().join(name)
    }

    /// Returns what it says of its ports, once it does.
    pub(super) async fn ports(&mut self) -> serde_json::Value {
        let file = self.ports_file();
        let told = async {
            loop {
                let text = std::fs::read(&file).unwrap_or_default();
                if let Ok(ports) = serde_json::from_slice(&text) {
                    return ports;
                }
                let ended = self.child.try_wait().expect("it can be asked");
                assert!(ended.is_none(), "{ended:?}");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, told).await.expect("it says its ports")
    }

    /// Returns where it listens for clients (`nats`), leafnodes (`leafnodes`) or members (`cluster`).
    pub(super) async fn address(&mut self, kind: &str) -> SocketAddr {
        let ports = self.ports().await;
        let url = ports[kind][0].as_str().expect("a URL");
        let address = url.strip_prefix("nats://").expect("a scheme");
        address.parse().expect("an address")
    }

    /// The number of its process.
    pub(super) fn number(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    async fn ended(&mut self) {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends in time").expect("it can be asked");
    }
}

/// Says whether a client with this CONNECT is let in.
async fn lets_in(address: SocketAddr, connect: &str) -> bool {
    let (mut wire, _) = Wire::dial(address).await;
    wire.send(format!("CONNECT {connect}\r\nPING\r\n")).await;
    wire.line().await == "PONG"
}

#[tokio::test]
async fn its_flags_are_those_of_the_reference() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("a path")
            .to_owned()
    };
    let (pid, log) = (file("pid"), file("log"));
    let flags = "-p -1 -n east -DV --auth secret --store_dir /nowhere --cluster_name mesh";
    let files = ["-P", &pid, "-l", &log, "--cluster", "nats://127.0.0.1:-1"];
    let flags: Vec<&str> = flags.split(' ').chain(files).collect();
    let mut east = Running::start(&flags).await;
    let clients = east.address("nats").await;
    let number = std::fs::read_to_string(&pid).expect("a number");
    let number: u32 = number.trim().parse().expect("a number");
    assert_eq!(Some(number), east.child.id());
    let said = std::fs::read_to_string(&log).expect("a log");
    let listening = format!("Listening for client connections on {clients}");
    assert!(said.contains(&listening), "{said}");
    let (_, info) = Wire::dial(clients).await;
    assert_eq!(
        (
            &info["server_name"],
            &info["cluster"],
            &info["auth_required"]
        ),
        (&"east".into(), &"mesh".into(), &true.into())
    );
    for (token, expected) in [("secret", true), ("other", false)] {
        let connect = format!("{{\"verbose\":false,\"auth_token\":\"{token}\"}}");
        assert_eq!(lets_in(clients, &connect).await, expected);
    }
    let ports = east.ports_file();
    let sent = output(&["--signal", &format!("term={pid}")]).await;
    assert!(sent.status.success());
    east.ended().await;
    assert!(!ports.exists() && !Path::new(&pid).exists());
}

#[tokio::test]
async fn programs_become_a_cluster_by_their_flags() {
    let flags = "--port -1 --user u --pass p --cluster nats://127.0.0.1:-1 --cluster_name mesh";
    let flags: Vec<&str> = flags.split(' ').collect();
    let mut east = Running::start(&[&flags[..], &["--name", "east"]].concat()).await;
    let route = format!("nats://{}", east.address("cluster").await);
    let more = ["--name", "west", "--routes", &route];
    let mut west = Running::start(&[&flags[..], &more].concat()).await;
    let login = r#""user":"u","pass":"p""#;
    let (here, there) = (east.address("nats").await, west.address("nats").await);
    assert!(!lets_in(here, r#"{"verbose":false,"user":"u","pass":"x"}"#).await);
    let mut wires = joined_with(&[(here, login), (there, login)]).await;
    each_message_arrives_once(&mut wires).await;
    let number = west.number();
    let sent = output(&["--signal", &format!("quit={number}")]).await;
    assert!(sent.status.success());
    west.ended().await;
}

#[tokio::test]
async fn the_command_line_wins_over_the_file_which_is_read_again_when_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("nats.conf");
    let path = config.to_str().expect("a path");
    let write = |token: &str| {
        let text = format!(
            "port: 1\nserver_name: file\nmax_payload: 64KB\nlame_duck_grace_period: \"10ms\"\nlame_duck_duration: \"20ms\"\nauthorization {{ token: {token} }}\n"
        );
        std::fs::write(&config, text).expect("written");
    };
    write("first");
    let mut running = Running::start(&["-c", path, "-p", "-1", "-n", "line"]).await;
    let clients = running.address("nats").await;
    let (_, info) = Wire::dial(clients).await;
    assert_eq!(
        (&info["server_name"], &info["max_payload"]),
        (&"line".into(), &65536.into())
    );
    assert!(lets_in(clients, r#"{"verbose":false,"auth_token":"first"}"#).await);
    write("second");
    let number = running.number();
    let sent = output(&["--signal", &format!("reload={number}")]).await;
    assert!(sent.status.success());
    let reloaded =
        async { while !lets_in(clients, r#"{"verbose":false,"auth_token":"second"}"#).await {} };
    timeout(PATIENCE, reloaded).await.expect("it is read again");
    assert!(!lets_in(clients, r#"{"verbose":false,"auth_token":"first"}"#).await);
    let (mut last, _) = Wire::dial(clients).await;
    last.connect(r#"{"verbose":false,"protocol":1,"auth_token":"second"}"#)
        .await;
    let sent = output(&["--signal", &format!("ldm={number}")]).await;
    assert!(sent.status.success());
    let told = last.line().await;
    assert!(told.contains("\"ldm\":true"), "{told}");
    running.ended().await;
}

#[tokio::test]
async fn what_it_does_not_do_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("nats.conf");
    let path = config.to_str().expect("a path");
    for (text, error) in [
        (
            "websocket { port: 1 }",
            "line 1: `websocket` is not supported",
        ),
        ("port: 1\nprot: 2", "line 2: unknown key `prot`"),
    ] {
        std::fs::write(&config, text).expect("written");
        for check in [&["-c", path, "-t"][..], &["-c", path]] {
            let said = refusal(check).await;
            assert!(said.contains(error), "{said}");
        }
    }
    for (arguments, name) in [
        (&["-m", "8222"][..], "http_port"),
        (&["--tls"], "--tls"),
        (&["--tlscert", "x"], "--tlscert"),
        (&["--tlscacert", "x"], "--tlscacert"),
        (&["--jetstream"], "--jetstream"),
        (&["--tlskey", "x"], "--tlskey"),
        (&["--tlsverify"], "--tlsverify"),
        (&["--signal", "dance=1"], "dance"),
        (&["--routes", "nats://127.0.0.1:1"], "--cluster"),
        (&["--cluster", "nats://u:secret@here"], "HOST:PORT"),
        (&["-c", "/nowhere.conf"], "/nowhere.conf"),
    ] {
        let said = refusal(arguments).await;
        assert!(said.contains(name) && !said.contains("secret"), "{said}");
    }
    std::fs::write(&config, "port: 1\ninclude nope.conf\n").expect("written");
    for (file, missing) in [(path, "nope.conf"), ("/nowhere.conf", "/nowhere.conf")] {
        let said = refusal(&["-c", file]).await;
        let told = said.contains("cannot read") && said.contains(missing);
        assert!(told && said.matches("os error").count() == 1, "{said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let said = refusal(&["-a", "127.0.0.1", "-p", &port]).await;
    assert!(
        said.contains(&port) && said.matches("os error").count() == 1,
        "{said}"
    );
    std::fs::write(&config, "port: 1\njetstream { }\n").expect("written");
    assert!(output(&["-c", path, "-t"]).await.status.success());
    for version in ["-v", "--version"] {
        let said = String::from_utf8(output(&[version]).await.stdout).expect("text");
        assert_eq!(said, format!("nats-server: v{}\n", natsd::VERSION));
    }
}
