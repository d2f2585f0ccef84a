//! What an agent says of each port that somebody may name as a NATS server beside the mesh, by each scheme and with each kind of login.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use edgesync_tests::{Authority, StockFossil};

use super::{Ports, is_told};
use crate::mesh::{Place, wait};
use crate::stock_nats::{Port, StockNats};

const PASSWORD: &str = "authorization { user: ada, password: s3cret }";

const WEB: &str = "is a web server; a NATS server's ports for monitoring and WebSocket are such";
const SILENT: &str =
    "takes connections and says nothing; NATS servers greet, unless they wait for TLS first";
const ENDS: &str = "takes connections and ends them without a word";
const NEITHER: &str = "Take nats-leaf://127.0.0.1:7422, or nats://127.0.0.1:4222";

/// Rows are looked at by so many at a time: most of their time is waiting.
const AT_ONCE: usize = 4;

/// Listens, says this to whoever comes, and answers nothing; without words it also ends what comes, if that is wanted. No program that is
/// no NATS server has to be installed for tests to run.
fn says(words: &'static [u8], ends: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(words);
            if !ends {
                std::thread::spawn(
                    move || while stream.read(&mut [0; 64]).is_ok_and(|it| it > 0) {},
                );
            }
        }
    });
    port
}

/// What is expected of a row: an address, and what is said of it.
type Row = (String, &'static str, String);

/// What is said of a server's ports for clients, leafnodes and members, whatever login is shown.
fn of_a_server(ports: &Ports) -> Vec<Row> {
    let at = |port: &Port| format!("127.0.0.1:{}", port.number);
    let (client, leaf, route) = (at(&ports.client), at(&ports.leaf), at(&ports.route));
    let mut rows = Vec::new();
    for login in ["ada:s3cret@", "ada:wrong-s3cret@", ""] {
        rows.extend([
            (
                format!("nats-leaf://{login}{client}"),
                "is the server's port for clients",
                format!("Take nats-leaf://127.0.0.1:7422, its leafnode port unless it is configured otherwise, or nats://{client}"),
            ),
            (
                format!("nats://{login}{leaf}"),
                "is the server's leafnode port",
                format!("Take nats-leaf://{leaf}, or nats://127.0.0.1:4222"),
            ),
        ]);
        for scheme in ["nats", "nats-leaf"] {
            rows.push((
                format!("{scheme}://{login}{route}"),
                "is the port for members of the server's own cluster",
                format!("Take nats-leaf://{leaf}"),
            ));
        }
    }
    for (scheme, port, hint) in [
        (
            "nats",
            &client,
            "Compare it with the authorization of that server.",
        ),
        (
            "nats-leaf",
            &leaf,
            "Compare it with leafnodes { authorization }",
        ),
    ] {
        let without = "Put USER:PASSWORD@ or TOKEN@ before the host";
        for (login, whom, hint) in [
            (
                "ada:wrong-s3cret@",
                "does not let in the user \"ada\" with this password",
                hint,
            ),
            ("wrong-s3cret@", "does not let in this token", hint),
            ("", "does not let in who shows no credentials", without),
        ] {
            rows.push((format!("{scheme}://{login}{port}"), whom, hint.to_owned()));
        }
    }
    rows
}

/// Starts an agent for each row, and expects what it tells.
fn are_told(rows: &[Row]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || next.fetch_add(1, Ordering::Relaxed);
                while let Some((url, message, hint)) = rows.get(next()) {
                    is_told(&["--nats-upstream", url], message, hint);
                }
            });
        }
    });
}

#[test]
fn a_wrong_port_of_a_nats_server_and_a_wrong_login_are_named_with_the_right_one() {
    let ports = Ports::new();
    let _server = ports.serve(PASSWORD, PASSWORD);
    are_told(&of_a_server(&ports));
}

#[test]
fn what_is_no_port_for_clients_or_leafnodes_is_named_for_what_it_is() {
    let place = Place::new(1);
    let fossil = StockFossil::start(&place.repository(0));
    let folder = tempfile::tempdir().expect("a folder");
    let files = Authority::default().files(folder.path(), "127.0.0.1");
    let (websocket, secure, nobody) = (Port::new(), Port::new(), Port::new());
    let ports = Ports::new();
    let _server = ports.serve(
        &format!(
            "websocket {{ listen: \"127.0.0.1:{}\", no_tls: true }}",
            websocket.number
        ),
        "",
    );
    let _secure = StockNats::start(&format!(
        "port: -1\nhost: \"127.0.0.1\"\ncluster {{ name: secure, listen: \"127.0.0.1:{}\", tls {{ cert_file: \"{}\", key_file: \"{}\" }} }}",
        secure.number,
        files.certificate.display(),
        files.key.display()
    ));
    let (silent, ends) = (says(b"", false), says(b"", true));
    let banner = says(b"SSH-2.0-OpenSSH_9.2p1\r\n", false);
    let mut rows = Vec::new();
    for (scheme, listens) in [
        ("nats", "Servers listen for clients at port 4222"),
        ("nats-leaf", "leafnodes { listen }"),
    ] {
        for (port, message, hint) in [
            (ports.web.number, WEB, NEITHER),
            (websocket.number, WEB, NEITHER),
            (fossil.port, WEB, NEITHER),
            (secure.number, SILENT, NEITHER),
            (silent, SILENT, NEITHER),
            (ends, ENDS, NEITHER),
            (banner, "is no NATS server", NEITHER),
            (nobody.number, "cannot be reached", listens),
        ] {
            let url = format!("{scheme}://127.0.0.1:{port}");
            rows.push((url, message, hint.to_owned()));
        }
    }
    are_told(&rows);
}

/// Returns what a command says that needs a bus and is given this one.
fn told_by_one_off(place: &Place, bus: &str) -> String {
    let mut command: Command = place.edgesync(0);
    let output = command
        .args([
            "bridge",
            "serve",
            "--fossil-url",
            "http://127.0.0.1:1/",
            "--nats-url",
            bus,
        ])
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn commands_that_join_a_bus_themselves_name_a_wrong_port_and_take_users() {
    let place = Place::new(1);
    let ports = Ports::new();
    let _server = ports.serve(PASSWORD, PASSWORD);
    let at = |port: &Port| format!("127.0.0.1:{}", port.number);
    for (bus, said) in [
        // It joins, and asks the Fossil server that is not there.
        (
            format!("nats://ada:s3cret@{}", at(&ports.client)),
            "127.0.0.1:1 can't be reached",
        ),
        (
            format!("nats://ada:wrong-s3cret@{}", at(&ports.client)),
            "refuses us: the token or login is wrong",
        ),
        (
            format!("nats://ada:s3cret@{}", at(&ports.leaf)),
            "is the server's leafnode port",
        ),
        (
            format!("nats://{}", at(&ports.route)),
            "is the port for members of the server's own cluster",
        ),
        (format!("nats://{}", at(&ports.web)), "is a web server"),
        (
            format!("nats-leaf://s3cret@{}", at(&ports.leaf)),
            "a bus is nats://TOKEN@HOST:PORT",
        ),
    ] {
        let told = told_by_one_off(&place, &bus);
        assert!(
            told.contains(said) && !told.contains("s3cret"),
            "{bus}: {told}"
        );
    }
}

#[test]
fn what_is_no_agent_where_one_is_to_be_joined_is_named_with_the_right_address() {
    let ports = Ports::new();
    let _server = ports.serve(PASSWORD, PASSWORD);
    let nobody = Port::new();
    let at = |port: &Port| format!("127.0.0.1:{}", port.number);
    let (client, leaf, route) = (at(&ports.client), at(&ports.leaf), at(&ports.route));
    let banner = format!("127.0.0.1:{}", says(b"SSH-2.0-OpenSSH_9.2p1\r\n", false));
    let ends = format!("127.0.0.1:{}", says(b"", true));
    let (web, nobody) = (at(&ports.web), at(&nobody));
    let printed = "an agent prints its addresses when it starts";
    let upstream = |url: &str| format!("joined by --nats-upstream {url}");
    let mut rows = Vec::new();
    for scheme in ["nats-leaf", "nats-route"] {
        for (address, message, hint) in [
            (&client, "is the server's port for clients", printed),
            (&web, WEB, printed),
            (&banner, "is no NATS server", printed),
            (&ends, ENDS, printed),
            (&nobody, "cannot be reached", printed),
        ] {
            rows.push((scheme, address, message, hint.to_owned()));
        }
        let clients = upstream(&format!("nats://{client}"));
        rows.push((scheme, &client, "port for clients", clients));
    }
    let login = upstream(&format!("nats-leaf://USER:PASSWORD@{leaf}"));
    let member = "is the port for members of the server's own cluster";
    let leafnode = "is the server's leafnode port";
    rows.extend([
        ("nats-leaf", &leaf, "did not accept", login),
        (
            "nats-leaf",
            &route,
            member,
            format!("Take nats-leaf://{leaf}"),
        ),
        (
            "nats-route",
            &leaf,
            leafnode,
            format!("Take nats-leaf://{leaf}"),
        ),
        (
            "nats-route",
            &route,
            "did not prove",
            upstream(&format!("nats-leaf://{leaf}")),
        ),
    ]);
    let mut flags = Vec::new();
    for (scheme, address, ..) in &rows {
        let url = format!("{scheme}://{address}");
        if !flags.contains(&url) {
            flags.extend(["--join".to_owned(), url]);
        }
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let place = Place::new(1);
    let agent = place.start(0, &flags);
    for (scheme, address, message, hint) in rows {
        let url = format!("{scheme}://{address}");
        let state = || {
            let mesh = agent.mesh();
            let joins = mesh["joins"].as_array().expect("joins");
            let join = joins.iter().find(|it| it["url"] == url.as_str());
            join.expect("the join")["state"].clone()
        };
        wait(|| state()["kind"] == "error");
        let told = state();
        for (name, words) in [("message", message), ("hint", &hint)] {
            assert!(told[name].to_string().contains(words), "{url}: {told}");
        }
    }
}
