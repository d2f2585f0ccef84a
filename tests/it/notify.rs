//! A question asked on one machine and answered on another: real agents, joined by a leafnode link.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::workspace;

/// The homes of two agents that trust each other.
struct Place(tempfile::TempDir);

/// A running agent. It is killed with the test that started it.
struct Agent {
    process: Child,
    ready: Value,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        for name in ["ci", "ada"] {
            std::fs::create_dir(place.home(name)).expect("a home");
        }
        place
    }

    fn home(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edgesync(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(workspace::built("edgesync"));
        command
            .env("EDGESYNC_HOME", self.home(name))
            .args(arguments);
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.edgesync(name, arguments).output().expect("it runs");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {words}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn start(&self, name: &str, trusts: &str, flags: &[&str]) -> Agent {
        let id = self.run(trusts, &["id"]);
        let mut process = self
            .edgesync(
                name,
                &[
                    "sync",
                    "start",
                    "--json",
                    "--notify",
                    "--peer-id",
                    name,
                    "--trust",
                    id.trim(),
                ],
            )
            .args(flags)
            .current_dir(self.home(name))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("edgesync starts");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let ready = lines
            .map_while(Result::ok)
            .map(|line| -> Value { serde_json::from_str(&line).expect("JSON") })
            .find(|event| event["event"] == "ready")
            .expect("it gets ready");
        Agent { process, ready }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_question_crosses_the_bus_and_its_answer_comes_back() {
    let place = Place::new();
    let asker = place.start("ci", "ada", &[]);
    let leaf = asker.ready["leaf"].as_str().expect("an address");
    let _person = place.start("ada", "ci", &["--join", leaf]);
    // Begins to listen before the question is asked, and ends with the first that it hears.
    let mut watch = place
        .edgesync("ada", &["notify", "watch", "--project", "demo", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("edgesync starts");
    let mut heard = BufReader::new(watch.stdout.take().expect("its output")).lines();
    // Until the link stands and the watch listens, what is said is heard by replication or by nobody.
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| heard.next().expect("a line").expect("text"));
        while !first.is_finished() {
            place.run(
                "ci",
                &["notify", "send", "--project", "demo", "Anybody there?"],
            );
        }
        first.join().expect("a line")
    });
    let first: Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(
        (&first["from_name"], &first["sender"]),
        (&"ci".into(), &"trusted".into())
    );

    let mut ask = place
        .edgesync(
            "ci",
            &[
                "notify",
                "ask",
                "--project",
                "demo",
                "--action",
                "Yes",
                "--action",
                "No",
                "--json",
                "Deploy?",
            ],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("edgesync starts");
    let question = heard
        .map_while(Result::ok)
        .map(|line| -> Value { serde_json::from_str(&line).expect("JSON") })
        .find(|message| message["body"] == "Deploy?")
        .expect("the question is heard");
    let thread = question["thread"].as_str().expect("a thread");
    place.run(
        "ada",
        &["notify", "reply", "--thread", thread, "--action", "Yes"],
    );
    let mut answer = String::new();
    ask.stdout
        .take()
        .expect("its output")
        .read_to_string(&mut answer)
        .expect("an answer");
    assert!(ask.wait().expect("it ends").success());
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let ada = place.run("ada", &["id"]);
    assert_eq!(
        (&answer["answer"], &answer["by_name"]),
        (&"yes".into(), &"ada".into())
    );
    assert_eq!(answer["by"], ada.trim());
    assert_eq!(answer["delivered_to"][0], ada.trim());
    watch.kill().expect("killed");
    watch.wait().expect("ended");
}
