//! Questions and answers on the command line: with a running agent, and alone on a file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::lab::{Agent, Lab};

/// Starts `notify ask`, and returns it with the thread that it names.
pub(crate) fn ask(lab: &Lab, args: &[&str]) -> (Child, String) {
    let mut all = vec!["notify", "ask", "--project", "demo"];
    all.extend(args);
    let mut child = lab
        .edgesync_command(&all)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("edgesync starts");
    let mut first = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("its errors"));
    stderr.read_line(&mut first).expect("a line");
    let thread = first
        .trim()
        .strip_prefix("thread:")
        .expect("a thread")
        .to_owned();
    // Whatever else it says must not fill the pipe, nor break it.
    std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
    (child, thread)
}

pub(crate) fn end(child: Child) -> (i32, String) {
    let out = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(out.stdout).expect("text");
    (out.status.code().expect("an exit code"), text)
}

#[test]
fn a_question_is_asked_and_answered_through_the_agent() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &["--notify", "--peer-id", "ci"]);
    let (child, thread) = ask(&lab, &["--actions", "Yes,No", "Deploy?"]);
    let threads = lab.json(&["notify", "threads", "--project", "demo"]);
    assert_eq!(threads[0]["short"], thread.as_str());
    assert_eq!(threads[0]["waiting"]["body"], "Deploy?");
    let question = threads[0]["waiting"]["id"].as_str().expect("an id");
    // The question tells its thread.
    lab.edgesync(&[
        "notify",
        "reply",
        "--to",
        question,
        "--from-name",
        "Ada",
        "Yes",
    ]);
    assert_eq!(end(child), (0, "yes\n".to_owned()));
    let nowhere = lab.run(&["notify", "reply", "Yes"]);
    assert_eq!(nowhere.code, 64, "{}", nowhere.stderr);

    let log = lab.edgesync(&["notify", "log", &thread]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(
        lines[0].ends_with("from:ci text:Deploy? [Yes] [No] (Yes, by Ada)"),
        "{log}"
    );
    assert!(lines[1].ends_with("from:Ada action:yes"), "{log}");
    assert!(lines[2].ends_with("from:ci resolved:yes"), "{log}");
    let threads = lab.json(&["notify", "threads"]);
    assert_eq!(
        (&threads[0]["title"], &threads[0]["last_body"]),
        (&"Deploy?".into(), &"Yes".into())
    );
    let again = lab.run(&[
        "notify", "reply", "--thread", &thread, "--action", "No", "--json",
    ]);
    assert_eq!(
        (again.code, again.error()["code"].as_str()),
        (1, Some("conflict"))
    );
    let status = lab.edgesync(&["notify", "status"]);
    assert!(status.contains("messages:    3 in 1 thread\n"), "{status}");
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));
}

#[test]
fn a_question_whose_asking_program_was_killed_is_still_decided() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify", "--peer-id", "ci"]);
    let (mut child, thread) = ask(&lab, &["--actions", "Yes,No", "Deploy?"]);
    child.kill().expect("killed");
    child.wait().expect("ended");
    lab.edgesync(&["notify", "reply", "--thread", &thread, "--action", "Yes"]);
    let log = lab.edgesync(&["notify", "log", &thread]);
    assert!(log.contains("from:ci resolved:yes"), "{log}");
}

#[test]
fn a_person_who_stops_ask_at_the_terminal_takes_the_question_back() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify", "--peer-id", "ci"]);
    let (child, thread) = ask(&lab, &["--actions", "Yes,No", "Deploy?"]);
    let pid = child.id().to_string();
    lab.command("kill", &["-INT", &pid])
        .status()
        .expect("kill runs");
    assert_eq!(end(child), (1, String::new()));
    let log = lab.edgesync(&["notify", "log", &thread]);
    assert!(log.contains("(taken back)"), "{log}");
    assert!(
        log.ends_with("from:ci resolved without an answer\n"),
        "{log}"
    );
    assert_eq!(lab.json(&["notify", "threads"])[0]["waiting"], Value::Null);
    let threads = lab.edgesync(&["notify", "threads"]);
    assert!(threads.ends_with("  last:Taken back\n"), "{threads}");
}

#[test]
fn a_thread_or_message_without_a_name_is_told_to_be_missing() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    for (arguments, what) in [
        (&["log", ""][..], "thread"),
        (&["reply", "--thread", "", "Yes"], "thread"),
        (&["trace", ""], "message"),
    ] {
        let ran = lab.run(&[&["notify"], arguments].concat());
        let words = format!("error: the {what} is missing: its text is empty\n");
        assert_eq!((ran.code, ran.stderr), (64, words));
    }
    // Nobody waits for what cannot come.
    let watched = lab.run(&["notify", "watch", "--thread", "0123abcd"]);
    assert!(
        watched.code > 0 && watched.stderr.contains("0123abcd"),
        "{}",
        watched.stderr
    );
    let listed = lab.run(&["notify", "threads", "--project", "a/b"]);
    assert_eq!(listed.code, 64, "{}", listed.stderr);
    assert_eq!(
        lab.edgesync(&["notify", "threads", "--project", "later"]),
        "no threads\n"
    );
}

#[test]
fn answers_come_as_json_with_where_they_are_from() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    let silent = [
        "notify",
        "ask",
        "--project",
        "demo",
        "--approval",
        "--timeout",
        "50ms",
        "Go on?",
    ];
    let answer = lab.json(&silent);
    assert_eq!(
        (&answer["answer"], &answer["source"]),
        (&"no".into(), &"default".into())
    );
    let declared = lab.edgesync(&[
        "notify",
        "ask",
        "--project",
        "demo",
        "--timeout",
        "50ms",
        "--action",
        "Go",
        "--action",
        "Stop",
        "--default",
        "Go",
        "Go on?",
    ]);
    assert_eq!(declared, "go\n");
    let (child, thread) = ask(&lab, &["--json", "Which branch?"]);
    lab.edgesync(&["notify", "reply", "--thread", &thread, "release/1.2"]);
    let (code, text) = end(child);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &answer["answer"]), (0, &"release/1.2".into()));
}

#[test]
fn exit_codes_say_why_there_is_no_answer() {
    let lab = Lab::new();
    let without = lab.run(&["notify", "ask", "--project", "demo", "Deploy?"]);
    assert_eq!(without.code, 4);
    assert!(
        without.stderr.contains("hint: start one"),
        "{}",
        without.stderr
    );
    assert!(
        without.stderr.contains("edgesync sync start --notify"),
        "{}",
        without.stderr
    );

    let _agent = Agent::start(&lab, &["--notify"]);
    let nobody = [
        "notify",
        "ask",
        "--project",
        "demo",
        "--timeout",
        "50ms",
        "Deploy?",
        "--json",
    ];
    let nobody = lab.run(&nobody);
    assert_eq!(
        (nobody.code, nobody.error()["code"].as_str()),
        (4, Some("unreachable"))
    );
    for wrong in [
        &["--project", "a.b", "x"][..],
        &["--project", "demo", "--default", "Yes", "x"],
        &["x"],
    ] {
        let mut args = vec!["notify", "ask"];
        args.extend(wrong);
        let code = lab.run(&args).code;
        assert!(matches!(code, 1 | 64), "{wrong:?}: {code}");
    }
}

#[test]
fn commands_work_on_a_file_when_no_agent_runs() {
    let lab = Lab::new();
    let missing = lab.run(&["notify", "send", "--project", "demo", "hello"]);
    assert_eq!(missing.code, 1);
    assert!(
        missing.stderr.contains("edgesync notify init"),
        "{}",
        missing.stderr
    );

    lab.edgesync(&["new", "a.fossil"]);
    let path = lab.edgesync(&["notify", "init", "-R", "a.fossil"]);
    assert_eq!(path.trim(), lab.path("notify.fossil").display().to_string());
    assert_eq!(lab.run(&["notify", "init", "-R", "a.fossil"]).code, 1);
    assert_eq!(
        lab.edgesync(&["notify", "threads", "-R", "a.fossil"]),
        "no threads\n"
    );
    lab.write("build.log", "all fine\n");
    let sent = lab.json(&[
        "notify",
        "send",
        "-R",
        "a.fossil",
        "--project",
        "demo",
        "--priority",
        "urgent",
        "--attach",
        "build.log",
        "\u{1b}[31mBuild\nfailed",
    ]);
    assert_eq!(
        (&sent["priority"], &sent["media"][0]),
        (&"urgent".into(), &"build.log".into())
    );
    let id = sent["id"].as_str().expect("an id");
    let thread = &sent["thread"].as_str().expect("a thread")["thread-".len()..][..8];
    let line = lab.edgesync(&["notify", "log", "-R", "a.fossil", thread]);
    assert!(line.contains("text:␛[31mBuild failed"), "{line:?}");
    let trace = lab.edgesync(&["notify", "trace", "-R", "a.fossil", id]);
    assert!(
        trace.contains(&format!("subject:   notify.demo.{thread}\n")),
        "{trace}"
    );
    let timeline = lab.fossil(&["timeline", "-R", "notify.fossil", "-n", "1", "-W", "0"]);
    assert!(timeline.contains("Build failed"), "{timeline}");
    assert_eq!(
        lab.run(&["notify", "log", "-R", "a.fossil", "ffff"]).code,
        1
    );

    // An agent that starts later has it.
    let _agent = Agent::start(&lab, &["-R", "a.fossil", "--notify"]);
    assert_eq!(lab.json(&["notify", "threads"])[0]["short"], thread);
}

/// Sends a request to an agent's API, and returns the answer.
pub(crate) fn http(ready: &Value, what: &str, head: &str, body: &str) -> String {
    let api = ready["api"].as_str().expect("an address");
    let address = api.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(address).expect("connected");
    let request =
        format!("{what} HTTP/1.1\r\nHost: {address}\r\n{head}Connection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn who_asks_over_http_waits_by_a_long_poll_or_hears_it_in_the_stream() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &["--notify", "--json"]);
    let ready = agent.ready();
    let token = ready["token"].as_str().expect("a token");
    let login = format!("Authorization: Bearer {token}\r\n");
    let api = ready["api"].as_str().expect("an address");
    let address = api.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut events = BufReader::new(stream).lines().map(|it| it.expect("text"));
    // Its first event says how things are; what comes later is not missed from then on.
    events
        .find(|line| line.starts_with(r#"{"event":"#))
        .expect("an event");

    let answer = std::thread::scope(|scope| {
        let head = format!(
            "{login}Actions: Ship it, Wait\r\nFrom-Name: ci\r\nWait: 60s\r\nContent-Length: 8\r\n"
        );
        let ready = &ready;
        let asked = scope.spawn(move || http(ready, "POST /notify/demo", &head, "Release?"));
        let asks = |line: &String| line.contains(r#""body":"Release?""#);
        let question = events.find(asks).expect("the question");
        let question: Value = serde_json::from_str(&question).expect("JSON");
        let thread = question["message"]["thread"].as_str().expect("a thread");
        lab.edgesync(&["notify", "reply", "--thread", thread, "--action", "Ship it"]);
        asked.join().expect("an answer")
    });
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let (_, answer) = answer.split_once("\r\n\r\n").expect("a body");
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let told = events.find(|line| line.starts_with(r#"{"event":"question""#));
    let told: Value = serde_json::from_str(&told.expect("it is told")).expect("JSON");
    for question in [&answer, &told["message"]] {
        let fate = &question["question"];
        assert_eq!(
            (&fate["kind"], &fate["source"], &fate["answer"]),
            (&"resolved".into(), &"answer".into(), &"ship_it".into())
        );
    }
}

#[test]
fn curl_says_something_with_one_line() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &["--notify", "--json"]);
    let ready = agent.ready();
    let token = ready["token"].as_str().expect("a token");
    let post = |login: &str| {
        let head = format!(
            "{login}Title: =?utf-8?q?B=C3=A4ckup?=\r\nPriority: high\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\n"
        );
        http(&ready, "POST /notify/demo", &head, "done")
    };
    assert!(post("").starts_with("HTTP/1.1 401 "));
    let answer = post(&format!("Authorization: Bearer {token}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let threads = lab.json(&["notify", "threads"]);
    assert_eq!(threads[0]["last_body"], "Bäckup\ndone");
    assert_eq!(threads[0]["priority"], "action_required");
}

#[test]
fn an_answer_that_is_not_offered_is_refused_with_those_that_are() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    let (child, thread) = ask(&lab, &["--actions", "Yes,Not now", "Deploy?"]);
    let wrong = lab.run(&["notify", "reply", "--thread", &thread, "--action", "Maybe"]);
    assert_eq!(wrong.code, 1);
    assert_eq!(
        wrong.stderr,
        "error: the question does not offer this answer\nhint: it offers: yes, not_now\n"
    );
    lab.edgesync(&[
        "notify", "reply", "--thread", &thread, "--action", "not now",
    ]);
    assert_eq!(end(child), (0, "not_now\n".to_owned()));
}

#[test]
fn unsigned_messages_are_accepted_by_the_name_of_their_project_but_not_by_a_bridge() {
    let lab = Lab::new();
    let accept = |name| ["--accept-unsigned", name];
    let wrong = lab.run(&[&["sync", "start"][..], &accept("de.mo")].concat());
    assert_eq!(wrong.code, 64);
    let words = "neither a project code nor the name of a notify project";
    assert!(wrong.stderr.contains(words), "{}", wrong.stderr);
    let bridge = ["bridge", "serve", "--fossil-url", "http://127.0.0.1:9/"];
    let wrong = lab.run(&[&bridge[..], &accept("demo")].concat());
    assert_eq!(wrong.code, 64);
    assert!(wrong.stderr.contains("carries no messages"));
    Agent::start(&lab, &["--notify", "--accept-unsigned", "demo"]);
}

#[test]
fn words_that_are_an_action_answer_with_it_and_others_are_refused_unsent_where_no_text_is_taken() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    let (child, thread) = ask(&lab, &["--actions", "Yes,Not now", "Deploy?"]);
    let wrong = lab.run(&["notify", "reply", "--thread", &thread, "maybe"]);
    assert_eq!(wrong.code, 64);
    assert_eq!(
        wrong.stderr,
        "error: the question takes no answer in words of one's own\nhint: it offers: yes, not_now\n"
    );
    let threads = lab.json(&["notify", "threads", "--project", "demo"]);
    assert_eq!(threads[0]["messages"], 1);
    lab.edgesync(&["notify", "reply", "--thread", &thread, "NOT now"]);
    assert_eq!(end(child), (0, "not_now\n".to_owned()));
    let args = ["--actions", "Yes,No", "--text", "Deploy?"];
    let (child, thread) = ask(&lab, &args);
    lab.edgesync(&["notify", "reply", "--thread", &thread, "after lunch"]);
    assert_eq!(end(child), (0, "after lunch\n".to_owned()));
}

#[test]
fn a_log_is_told_by_project_where_threads_of_two_begin_alike() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.edgesync(&["notify", "init", "-R", "a.fossil"]);
    let send = |project: &str, thread: &str, body: &str| {
        let thread = format!("thread-{thread}{}", "0".repeat(24));
        let about = ["--project", project, "--thread", &thread];
        lab.edgesync(&[&["notify", "send", "-R", "a.fossil"], &about[..], &[body]].concat());
    };
    send("demo", "aaaaaaaa", "of demo");
    send("other", "aaaaaaab", "of another");
    send("other", "aaaaaaac", "of another again");
    let log = ["notify", "log", "-R", "a.fossil"];
    assert_eq!(lab.run(&[&log[..], &["aaaaaaa"]].concat()).code, 1);
    let told = lab.edgesync(&[&log[..], &["--project", "demo", "aaaaaaa"]].concat());
    assert!(told.ends_with("text:of demo\n"), "{told}");
    for (project, says) in [
        (
            "other",
            "error: several threads start with aaaaaaa; give more digits\n",
        ),
        ("third", "error: there is no thread aaaaaaa in third\n"),
    ] {
        let ran = lab.run(&[&log[..], &["--project", project, "aaaaaaa"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (1, says));
    }
}
