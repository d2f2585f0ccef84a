//! `edgesync bridge serve --project` at a server that has another project.

use std::io::{BufRead as _, BufReader};
use std::process::{Output, Stdio};

use serde_json::Value;

use super::lab::Stock;
use crate::mesh::{Place, run};

#[test]
fn a_server_with_another_project_than_was_named_ends_it_and_one_that_is_away_is_waited_for() {
    let place = Place::new(1);
    let agent = place.start(0, &[]);
    let server = Stock::new(&place, "one");
    let port = server.port();
    let url = server.url("");
    let wrong = "1234567890123456789012345678901234567890";
    let serve = || {
        let mut command = place.edgesync(0);
        command.args(["bridge", "serve", "--json", "--poll", "300ms"]);
        command.args(["--fossil-url", &url, "--project", wrong]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let info = run(place.fossil().args(["info", "-R"]).arg(&server.repository));
    let code = info
        .lines()
        .find_map(|line| line.strip_prefix("project-code:"));
    let code = code.expect("a project code").trim();
    let ended = |output: Output| {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let told: Value = serde_json::from_str(&said).expect("JSON");
        let message = told["error"]["message"].to_string();
        assert!(message.contains(&url), "{said}");
        assert!(
            message.contains(&format!("another project than {wrong}")),
            "{said}"
        );
        let hint = told["error"]["hint"].to_string();
        assert!(hint.contains(&format!("--project {code}")), "{said}");
    };
    let output = serve().wait_with_output().expect("it ends");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ready"));
    // Where the right code is known, nobody is sent to look for it.
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!log.contains("fossil info"), "{log}");
    ended(output);

    // Away at first: that is said, and it goes on until there is an answer.
    let file = server.repository.clone();
    drop(server);
    let mut bridge = serve();
    let mut lines = BufReader::new(bridge.stdout.take().expect("its output")).lines();
    let ready = lines.next().expect("a line").expect("text");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    assert_eq!(ready["event"], "ready", "{ready}");
    let state = &ready["bridges"][0]["state"];
    assert_eq!(state["code"], "unreachable", "{ready}");
    let _server = Stock::on(&file, port).expect("its port");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let status = bridge.wait().expect("it ends");
    ended(Output {
        status,
        stdout: rest.join("\n").into_bytes(),
        stderr: Vec::new(),
    });
    drop(agent);
}
