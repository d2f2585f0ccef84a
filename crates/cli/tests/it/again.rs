//! What listens and waits goes on when the agent is started anew.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use serde_json::Value;

use crate::lab::{Agent, Lab};
use crate::notify::{ask, end};

/// The flags of the agent.
const CI: [&str; 3] = ["--notify", "--peer-id", "ci"];

/// A program that runs, and what it says.
struct Program {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    errors: std::io::Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(lab: &Lab, arguments: &[&str]) -> Self {
        let mut child = lab
            .edgesync_command(&[&["notify"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("edgesync starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let errors = BufReader::new(child.stderr.take().expect("its errors")).lines();
        Self {
            child,
            lines,
            errors,
        }
    }

    /// Starts `notify watch`, and returns when it listens.
    fn watch(lab: &Lab, arguments: &[&str]) -> Self {
        let mut watch = Self::start(lab, &[&["watch"], arguments].concat());
        // It hears what is said after it began to listen; when that is, only hearing tells.
        let mut said = 0;
        let mut line = std::thread::scope(|scope| {
            let first = scope.spawn(|| watch.line());
            while !first.is_finished() {
                said += 1;
                send(lab, &format!("listening {said};"));
            }
            first.join().expect("a line")
        });
        while !line.contains(&format!("listening {said};")) {
            line = watch.line();
        }
        watch
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }

    fn error(&mut self) -> String {
        self.errors.next().expect("a line").expect("text")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(lab: &Lab, body: &str) -> String {
    let sent = lab.edgesync(&["notify", "send", "-q", "--project", "demo", body]);
    sent.trim().to_owned()
}

fn stop(agent: Agent) {
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));
}

#[test]
fn watch_prints_messages_and_runs_a_command_for_each() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &CI);
    let command = "printf '%s|%s|' \"$EDGESYNC_PROJECT\" \"$EDGESYNC_BODY\"; cat; echo";
    let mut watch = Program::watch(&lab, &["--project", "demo", "--exec", command]);
    lab.edgesync(&["notify", "send", "--project", "other", "not this"]);
    send(&lab, "$(touch hacked); `id`");
    let line = watch.line();
    let rest = line
        .strip_prefix("demo|$(touch hacked); `id`|")
        .expect("the message");
    let message: Value = serde_json::from_str(rest).expect("JSON");
    assert_eq!(message["from_name"], "ci");
    assert!(!lab.path("hacked").exists());
}

#[test]
fn watch_waits_for_an_agent_that_is_started_anew_and_misses_and_repeats_nothing() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &CI);
    let mut watch = Program::watch(&lab, &["--project", "demo"]);
    send(&lab, "before");
    let line = watch.line();
    assert!(line.ends_with("text:before"), "{line}");
    stop(agent);
    let waits = "the agent has stopped; waiting until it runs again";
    assert_eq!(watch.error(), waits);
    // Without an agent, into its repository.
    send(&lab, "meanwhile 1");
    send(&lab, "meanwhile 2");
    let agent = Agent::start(&lab, &CI);
    send(&lab, "after");
    for said in ["meanwhile 1", "meanwhile 2", "after"] {
        let line = watch.line();
        assert!(line.ends_with(&format!("text:{said}")), "{line}");
    }
    agent.signal("KILL");
    assert_eq!(agent.exit_code(), None, "it was killed");
    assert_eq!(watch.error(), waits, "it is said once each time");
    let _agent = Agent::start(&lab, &CI);
    send(&lab, "at last");
    let line = watch.line();
    assert!(line.ends_with("text:at last"), "{line}");
}

#[test]
fn a_command_of_watch_that_fails_is_named_with_its_message_and_the_next_one_runs() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &CI);
    let command =
        "echo \"$EDGESYNC_BODY\"; case $EDGESYNC_BODY in bad) exit 3;; worse) kill -9 $$;; esac";
    let mut watch = Program::watch(&lab, &["--exec", command]);
    for (body, how) in [
        ("bad", "ended with exit code 3"),
        ("worse", "was ended by signal: 9"),
    ] {
        let id = send(&lab, body);
        assert_eq!(watch.line(), body);
        let said = watch.error();
        assert!(said.starts_with(&format!("{id}: echo ")), "{said}");
        assert!(said.contains(&format!(": {how}")), "{said}");
    }
    send(&lab, "good");
    assert_eq!(watch.line(), "good");
}

#[test]
fn ask_waits_for_an_agent_that_is_started_anew_and_returns_the_answer() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &CI);
    let (child, thread) = ask(&lab, &["--actions", "Yes,No", "Deploy?"]);
    stop(agent);
    let agent = Agent::start(&lab, &CI);
    let threads = lab.json(&["notify", "threads"]);
    assert_eq!(threads[0]["waiting"]["question"]["kind"], "open");
    agent.signal("KILL");
    assert_eq!(agent.exit_code(), None, "it was killed");
    // Answered while nobody runs; the agent decides when it is back.
    lab.edgesync(&["notify", "reply", "--thread", &thread, "--action", "No"]);
    let _agent = Agent::start(&lab, &CI);
    assert_eq!(end(child), (0, "no\n".to_owned()));
    let log = lab.edgesync(&["notify", "log", &thread]);
    assert!(log.contains("from:ci resolved:no"), "{log}");
}

#[test]
fn an_agent_that_is_gone_for_good_ends_ask_with_its_time_and_the_question_stays_open() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &CI);
    let question = [
        "ask",
        "--project",
        "demo",
        "--timeout",
        "8s",
        "--action",
        "Yes",
    ];
    let mut asking = Program::start(&lab, &[&question[..], &["Deploy?"]].concat());
    let first = asking.error();
    let thread = first.strip_prefix("thread:").expect("a thread");
    agent.signal("KILL");
    let rest: Vec<String> = asking.errors.by_ref().map_while(Result::ok).collect();
    assert_eq!(asking.child.wait().expect("it ends").code(), Some(4));
    let waits = |line: &&String| line.starts_with("the agent has stopped; waiting until");
    assert_eq!(rest.iter().filter(waits).count(), 1, "{rest:?}");
    let hint = format!(
        "hint: the question stays open; once the agent runs again, edgesync notify log {thread} tells"
    );
    assert!(rest.iter().any(|line| line.starts_with(&hint)), "{rest:?}");
}
