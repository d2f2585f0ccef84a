//! What an agent listens on: `doctor` names all of it, and from another machine none of a default start's is to be reached. That machine is a
//! network namespace of its own.

use std::collections::BTreeSet;

use edgesync_tests::StockFossil;
use serde_json::json;

use crate::mesh::{Place, run, wait};
use crate::stock_nats::{Port, StockNats};
use crate::{namespace, workspace};

/// Returns the ports on which a process listens by TCP or has bound UDP, with whether only this machine reaches them. The system's own tables say so.
pub(crate) fn ports(process: u32) -> BTreeSet<(u16, bool)> {
    let folder = format!("/proc/{process}");
    let files = std::fs::read_dir(format!("{folder}/fd")).expect("its files");
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links
        .filter_map(|link| {
            let name = link.to_str()?.strip_prefix("socket:[")?;
            Some(name.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut found = BTreeSet::new();
    // 0A is LISTEN; 07 is what the table says of a UDP socket without a peer.
    for (table, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let text = std::fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] != state || !sockets.contains(words[9]) {
                continue;
            }
            let (address, port) = words[1].split_once(':').expect("an address");
            let local = address == "0100007F" || address.ends_with("00000000000001000000");
            let port = u16::from_str_radix(port, 16).expect("a port");
            found.insert((port, local));
        }
    }
    found
}

/// What an agent can do that might listen: Fossil clients, the tunnel, phones, a stock server bridged, a NATS server beside it, and all of a hub's.
#[test]
fn the_doctor_names_every_listener_with_who_is_let_in() {
    let place = Place::new(1);
    let port = Port::new();
    let _beside = StockNats::start(&format!(
        "leafnodes {{ listen: \"127.0.0.1:{}\" }}\nport: -1\nhost: \"127.0.0.1\"",
        port.number
    ));
    let upstream = format!("nats-leaf://127.0.0.1:{}", port.number);
    let served = place.home(0).join("served");
    run(place.fossil().args(["new"]).arg(&served));
    let everyone = ["user", "capabilities", "nobody", "gio", "-R"];
    run(place.fossil().args(everyone).arg(&served));
    let server = StockFossil::start(&served);
    let flags = [
        "--serve-http",
        "127.0.0.1:0",
        "--leaf-listen",
        "0.0.0.0:0",
        "--nats-upstream",
        &upstream,
        "--iroh",
        "--no-relay",
        "--notify",
    ];
    let agent = place.start_as(&["hub", "serve"], 0, &flags);
    let phones = json!({ "listen": "127.0.0.1" });
    agent.api("POST", "devices/offer", Some(&phones));
    let bridged = json!({ "url": server.url("") });
    agent.api("POST", "mesh/bridges", Some(&bridged));
    wait(|| agent.mesh()["bridges"][0]["state"]["kind"] == "connected");
    wait(|| agent.mesh()["upstream"]["state"]["kind"] == "connected");
    let told = told(&place, 0);
    // API, Fossil clients, programs, leaves, peers, phones and the tunnel's UDP, for IPv4 and IPv6 perhaps.
    assert!(told.len() >= 7, "{told:?}");
    assert_eq!(told, ports(agent.process_id()));
    // Leaves and the tunnel; the rest is for this machine alone.
    let open = told.iter().filter(|(_, local)| !local).count();
    assert!((2..=3).contains(&open), "{told:?}");
}

/// Returns the ports that the doctor of an agent names, with whether only this machine reaches them.
pub(crate) fn told(place: &Place, number: usize) -> BTreeSet<(u16, bool)> {
    let report = run(place.edgesync(number).args(["doctor", "--json"]));
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let checks = report["checks"].as_array().expect("checks").iter();
    let listeners = checks.filter(|check| check["name"] == "listener");
    listeners
        .filter_map(|check| {
            let message = check["message"].as_str().expect("a message");
            // What is not listened on is told too.
            let (url, who) = message.split_once(": ")?;
            assert!(
                ["by ", "for holders of", "nobody is let in"]
                    .iter()
                    .any(|it| who.contains(it)),
                "{message}"
            );
            let (host, port) = url.rsplit_once(':').expect("a port");
            let local = host.ends_with("//127.0.0.1");
            Some((port.parse().expect("a port"), local))
        })
        .collect()
}

/// Run in a namespace: looks from another one at the agent that it starts, and prints the ports that answer. Names and addresses are of the namespace.
const SCAN: &str = r#"
set -eu
mount -t tmpfs none /run
ip link set lo up
ip netns add other
ip link add here type veth peer name there netns other
ip address add 10.77.0.1/24 dev here
ip link set here up
ip -n other address add 10.77.0.2/24 dev there
ip -n other link set there up
"$@" > "$OUT" 2>/dev/null &
agent=$!
trap 'kill $agent' EXIT
while ! grep -q '"event":"ready"' "$OUT"; do kill -0 $agent; sleep 0.05; done
ip netns exec other python3 -c '
import socket
for port in range(1, 65536):
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex(("10.77.0.1", port)) == 0:
            print("tcp", port)
'
# What is bound by UDP and is not on this machine alone.
ss -H -n -u -a -l | awk '$4 !~ /^(127\.|\[::1\])/ { print "udp", $4 }'
"#;

/// Starts an agent with these flags in a network of its own, and returns what another machine reaches of it.
fn reached(flags: &[&str]) -> Vec<String> {
    let place = Place::new(1);
    let mut command = namespace::unshare();
    command
        .args(["sh", "-c", SCAN, "scan"])
        .arg(workspace::built("edgesync"))
        .args(["sync", "start", "--json", "-R"])
        .arg(place.repository(0))
        .args(flags)
        .env("EDGESYNC_HOME", place.home(0))
        .env("OUT", place.home(0).join("out"));
    let reached = namespace::run(&mut command, "ip, ss, awk and python3");
    reached.lines().map(str::to_owned).collect()
}

#[test]
fn a_port_scan_from_another_machine_finds_nothing_of_a_default_start() {
    assert_eq!(reached(&["--notify"]), Vec::<String>::new());
    // The scan finds what there is to find.
    let open = [
        "--leaf-listen",
        "0.0.0.0:7422",
        "--iroh",
        "--iroh-listen",
        "0.0.0.0:7423",
        "--iroh-lan",
    ];
    let reached: BTreeSet<String> = reached(&open).into_iter().collect();
    for open in ["tcp 7422", "udp 0.0.0.0:7423", "udp 0.0.0.0:5353"] {
        assert!(reached.contains(open), "{reached:?}");
    }
}
