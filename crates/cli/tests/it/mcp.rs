//! `edgesync mcp` as coding agents meet it: driven by the stock MCP client for Python, and by bytes.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::lab::{Agent, Lab, Ran, python};

/// Ways to begin a session: the handshake that all clients know, and what the newest agree on.
const MODES: [&str; 2] = ["legacy", "auto"];

/// Runs a scenario of `mcp_client.py`, which must pass.
fn scenario(lab: &Lab, mode: &str, name: &str) {
    scenario_with(lab, &[mode, name]);
}

fn scenario_with(lab: &Lab, which: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_client.py");
    let mut args = vec![script, env!("CARGO_BIN_EXE_edgesync")];
    args.extend(which);
    let ran = Ran::of(&mut lab.command(python(), &args));
    assert_eq!(ran.code, 0, "{which:?}: {}{}", ran.stdout, ran.stderr);
}

#[test]
fn ask_tells_accepted_declined_cancelled_and_expired_apart() {
    for mode in MODES {
        let lab = Lab::new();
        let _agent = Agent::start(&lab, &["--notify"]);
        scenario(&lab, mode, "outcomes");
    }
}

#[test]
fn a_question_outlives_a_call_that_runs_out_of_time() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    scenario(&lab, "auto", "time_outs");
}

#[test]
fn a_cancelled_call_takes_its_question_back_and_a_lost_one_does_not() {
    for mode in MODES {
        let lab = Lab::new();
        let _agent = Agent::start(&lab, &["--notify"]);
        scenario(&lab, mode, "cancellation");
    }
}

#[test]
fn messages_threads_timelines_and_the_status_are_there() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let _agent = Agent::start(&lab, &["-R", "a.fossil", "--notify"]);
    scenario(&lab, "auto", "looks");
}

#[test]
fn a_call_whose_agent_is_killed_says_how_to_go_on() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    scenario(&lab, "auto", "lost");
}

#[test]
fn without_an_agent_each_tool_says_what_to_start() {
    scenario(&Lab::new(), "auto", "nobody");
}

/// Returns the JSON file of this name that the document for coding agents shows.
fn shown(file: &str) -> Value {
    let document = include_str!("../../../../docs/agents.md");
    let start = format!("```json file={file}\n");
    let (_, rest) = document.split_once(&start).expect("it shows the file");
    let (block, _) = rest.split_once("\n```").expect("the block ends");
    serde_json::from_str(block).expect("JSON")
}

#[test]
fn the_configuration_that_the_document_shows_starts_the_server() {
    let server = &shown("mcp.json")["mcpServers"]["edgesync"];
    assert_eq!(server["command"], "edgesync");
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    scenario_with(&lab, &["auto", "configured", &server["args"].to_string()]);
}

#[test]
fn the_hook_that_the_document_shows_outlasts_its_script() {
    let hook = &shown("settings.json")["hooks"]["PreToolUse"][0]["hooks"][0];
    assert_eq!(hook["command"], "./permit.sh");
    // The script waits for ten minutes.
    assert!(hook["timeout"].as_u64() > Some(600), "{hook}");
}

#[test]
fn standard_output_carries_only_the_protocol() {
    let lab = Lab::new();
    let mut child = lab
        .edgesync_command(&["mcp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("edgesync starts");
    let said = [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "this is no JSON",
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"status","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"ask","arguments":{"actions":7}}}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"tools/list"}"#,
    ];
    let mut input = child.stdin.take().expect("its input");
    writeln!(input, "{}", said.join("\n")).expect("written");
    drop(input);
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let mut ids = Vec::new();
    for line in ran.stdout.lines() {
        let message: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        ids.extend(message["id"].as_u64());
    }
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4], "{}", ran.stdout);
}
