//! What is deployed on servers: units for systemd, judged by its own `systemd-analyze`, and a hub with leaves that come by TCP and over the tunnel.

use std::path::PathBuf;
use std::process::Command;

use crate::mesh::Place;
use crate::workspace;

/// Writes a unit of `deploy` with the program of this build in it.
fn unit(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    let text = std::fs::read_to_string(workspace::root().join("deploy").join(name));
    let text = text.expect("the unit");
    assert!(text.contains("ExecStart=/usr/bin/edgesync "), "{text}");
    let program = workspace::built("edgesync");
    let file = folder.path().join(name);
    let text = text.replace("/usr/bin/edgesync", program.to_str().expect("a path"));
    std::fs::write(&file, text).expect("written");
    file
}

fn analyze(arguments: &[&str], unit: &PathBuf) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .env("XDG_RUNTIME_DIR", unit.parent().expect("a folder"))
        .output()
        .expect("systemd-analyze runs (scripts/setup.sh test installs it)");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn systemd_understands_the_units_and_finds_the_hub_well_locked_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = unit(&folder, "edgesync-hub.service");
    let (good, said) = analyze(&["verify"], &hub);
    assert!(good && said.is_empty(), "{said}");
    let agent = unit(&folder, "edgesync.service");
    let (good, said) = analyze(&["--user", "verify"], &agent);
    assert!(good && said.is_empty(), "{said}");
    // 0 is nothing allowed, 100 everything; a service that says nothing has 96.
    let (good, said) = analyze(&["security", "--offline=yes", "--threshold=15"], &hub);
    assert!(good, "{said}");
    let (good, said) = analyze(&["security", "--offline=yes", "--threshold=15"], &agent);
    assert!(!good, "the judge passes everything: {said}");
}

#[test]
fn leaves_come_to_a_hub_by_tcp_and_over_the_tunnel() {
    const TUNNEL: [&str; 4] = ["--iroh", "--no-relay", "--iroh-listen", "127.0.0.1:0"];
    let place = Place::new(3);
    let flags = [&TUNNEL[..], &["--leaf-listen", "127.0.0.1:0"]].concat();
    let hub = place.start_as(&["hub", "serve"], 0, &flags);
    assert_eq!(hub.mesh()["role"], "hub");
    let join = ["--nats-role", "leaf", "--join", hub.address("leaf")];
    let by_tcp = place.start(1, &join);
    let ticket = hub.address("ticket").to_owned();
    let join = ["--nats-role", "leaf", "--iroh-peer", &ticket];
    let over_tunnel = place.start(2, &[&TUNNEL[..], &join].concat());
    for agent in [&hub, &by_tcp, &over_tunnel] {
        agent.meets(2);
    }
    place.commit(1, "by-tcp");
    over_tunnel.receives("by-tcp");
    place.commit(2, "over-the-tunnel");
    by_tcp.receives("over-the-tunnel");
    assert!(hub.holds("by-tcp"));
    hub.receives("over-the-tunnel");
}
