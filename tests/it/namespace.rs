//! Networks of their own for tests, in namespaces: what happens there reaches no other network, and goes with the last process in it.

use std::path::Path;
use std::process::{Command, Output};

/// Returns the beginning of a command that runs in a new network namespace with new mounts, as its root.
pub(crate) fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount"]);
    command
}

/// Runs such a command and returns what it said.
///
/// # Panics
/// When it fails: a test that finds no namespaces must not pass.
pub(crate) fn run(command: &mut Command, needs: &str) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("unshare runs (package util-linux)");
    let [said, wrong] = [stdout, stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(
        status.success(),
        "this test needs root, or a system that lets users make namespaces, and {needs}: {wrong}{said}"
    );
    said
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(Path::new("/proc/self"))
        .expect("this process")
        .uid()
        == 0
}
