//! What one large artifact costs the agent that receives it.

use std::fs;

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

#[test]
fn a_large_artifact_of_a_stock_client_arrives_and_is_held_in_few_copies() {
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
    lab.write("work/large.bin", noise(ARTIFACT_BYTES));
    lab.fossil_in("work", &["add", "large.bin"]);
    lab.fossil_in("work", &["commit", "--no-warnings", "-m", "a large file"]);

    let agent = Agent::start(
        &lab,
        &["--repo", "served.fossil", "--serve-http", "127.0.0.1:0"],
    );
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
    let integrity = lab.fossil(&["test-integrity", "-R", "served.fossil"]);
    assert!(integrity.contains(" 0 errors"), "{integrity}");
    let count = "SELECT count(*) FROM blob";
    assert_eq!(
        lab.fossil(&["sql", "-R", "served.fossil", count]),
        lab.fossil(&["sql", "-R", "mine.fossil", count])
    );
}
