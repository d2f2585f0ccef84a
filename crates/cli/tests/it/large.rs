//! Large artifacts: what one costs the agent that receives it, and an agent that is killed while it stores one.

use std::fs;
use std::process::Stdio;

use crate::lab::{Agent, Lab};

const ARTIFACT_BYTES: usize = 20 << 20;

/// Bytes that no one can pack.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).collect()
}

/// Makes `served.fossil`, which everyone may write, and `mine.fossil`, a copy with one more large file.
fn lab_with_large_file(bytes: usize) -> Lab {
    let lab = Lab::new();
    lab.fossil(&["new", "served.fossil"]);
    fs::copy(lab.path("served.fossil"), lab.path("mine.fossil")).expect("copied");
    lab.fossil(&[
        "user",
        "capabilities",
        "nobody",
        "gio",
        "-R",
        "served.fossil",
    ]);
    fs::create_dir(lab.path("work")).expect("a folder");
    lab.fossil_in("work", &["open", "../mine.fossil"]);
    lab.write("work/large.bin", noise(bytes));
    lab.fossil_in("work", &["add", "large.bin"]);
    lab.fossil_in("work", &["commit", "--no-warnings", "-m", "a large file"]);
    lab
}

/// Fails unless stock finds `served.fossil` sound and everything in it that is in `mine.fossil`.
fn assert_arrived(lab: &Lab) {
    let integrity = lab.fossil(&["test-integrity", "-R", "served.fossil"]);
    assert!(integrity.contains(" 0 errors"), "{integrity}");
    let count = "SELECT count(*) FROM blob WHERE size>=0";
    assert_eq!(
        lab.fossil(&["sql", "-R", "served.fossil", count]),
        lab.fossil(&["sql", "-R", "mine.fossil", count])
    );
}

const SERVE: [&str; 4] = ["--repo", "served.fossil", "--serve-http", "127.0.0.1:0"];

#[test]
fn an_agent_that_is_killed_while_it_stores_leaves_the_repository_whole() {
    let lab = lab_with_large_file(8 << 20);
    let agent = Agent::start(&lab, &SERVE);
    let mut push = lab
        .fossil_command(&["push", agent.http(), "--once", "-R", "mine.fossil"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("fossil runs");
    // The journal is there from the first write of a transaction to its end.
    let journal = lab.path("served.fossil-journal");
    while !journal.exists() {
        std::thread::yield_now();
    }
    agent.signal("KILL");
    assert_eq!(agent.exit_code(), None, "killed");
    assert!(journal.exists(), "killed within the transaction");
    push.wait().expect("it ends");

    let agent = Agent::start(&lab, &SERVE);
    lab.fossil(&["push", agent.http(), "--once", "-R", "mine.fossil"]);
    drop(agent);
    assert_arrived(&lab);
}

#[test]
fn a_large_artifact_of_a_stock_client_arrives_and_is_held_in_few_copies() {
    let lab = lab_with_large_file(ARTIFACT_BYTES);
    let agent = Agent::start(&lab, &SERVE);
    let before = agent.peak_bytes();
    let said = lab.fossil(&["push", agent.http(), "--once", "-R", "mine.fossil"]);
    assert!(!said.contains("time skew"), "{said}");
    let peak = agent.peak_bytes() - before;
    // It is there twice: as body and message, then as message and what goes into the file. What the allocator keeps of the
    // first when the second comes is as much again at most, for this size.
    let most = 3 * ARTIFACT_BYTES + (8 << 20);
    assert!(peak < most, "{peak} bytes for {ARTIFACT_BYTES}");

    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));
    assert_arrived(&lab);
}
