//! Machines for tests: network namespaces of this process, in a network of its own. A thread that enters a namespace is on that machine, and so are the
//! programs that it starts.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::mesh::{run, wait};
use crate::namespace;

/// Set for a test that is inside its own network.
const INSIDE: &str = "EDGESYNC_TEST_INSIDE";

/// Where machines get names that are gone with the network.
const BEGIN: &str = "set -eu\nPATH=$PATH:/usr/sbin:/sbin\nmount -t tmpfs none /run\n";

/// Returns whether this process is the test itself. Outside of it the whole test is run first, in a network of its own in which the shell script
/// `build` has made the machines and the wires between them.
pub(crate) fn is_inside(test: &str, build: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("a running test has a path");
    let script = format!("{BEGIN}{build}exec \"$@\"\n");
    let mut command = namespace::unshare();
    command
        .args(["sh", "-c", &script, "build"])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1");
    let said = namespace::run(&mut command, "ip and nft");
    assert!(said.contains("1 passed"), "{test} was not run: {said}");
    println!("{said}");
    false
}

/// Does something on one of the machines.
pub(crate) fn on<T: Send>(machine: &str, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            enter(machine);
            act()
        });
        match there.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Moves this thread to a machine.
pub(crate) fn enter(machine: &str) {
    let namespace = File::open(format!("/run/netns/{machine}")).expect("a machine of this name");
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(namespace.as_fd(), network).expect("entered");
}

/// Changes addresses on a machine.
pub(crate) fn ip(machine: &str, words: &str) {
    let words = words.split_whitespace();
    run(command("ip").args(["-n", machine]).args(words));
}

/// Returns a command of which Debian keeps the program where only root's PATH looks.
pub(crate) fn command(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Waits until something is so on a machine.
pub(crate) fn wait_on(machine: &str, done: impl FnMut() -> bool + Send) {
    on(machine, || wait(done));
}
