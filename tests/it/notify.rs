//! Questions asked on one machine and answered on another: real agents, joined by a leafnode link, and programs that have none.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::mesh::{Agent, Place, run, wait};

/// Who asks, and who answers.
const CI: usize = 0;
const ADA: usize = 1;
const BEN: usize = 2;

/// A code that both repositories of messages have, so that they replicate.
const CODE: &str = "0123456789abcdef0123456789abcdef01234567";

/// A running `notify ask`.
struct Ask(Child);

impl Ask {
    fn start(place: &Place, who: usize, arguments: &[&str]) -> Self {
        let mut command = place.edgesync(who);
        command
            .args(["notify", "ask", "--project", "demo", "--json"])
            .args(arguments);
        Self(piped(&mut command))
    }

    fn end(mut self) -> (ExitStatus, Value) {
        wait(|| self.0.try_wait().expect("its state").is_some());
        let mut output = String::new();
        let mut pipe = self.0.stdout.take().expect("its output");
        pipe.read_to_string(&mut output).expect("text");
        let status = self.0.wait().expect("it ends");
        (status, serde_json::from_str(&output).unwrap_or_default())
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn piped(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("edgesync starts")
}

fn start(place: &Place, who: usize, flags: &[&str]) -> Agent {
    start_by(place, place.edgesync(who), who, flags)
}

fn start_by(place: &Place, command: Command, who: usize, flags: &[&str]) -> Agent {
    let name = ["ci", "ada", "ben"][who];
    let flags = [&["--notify", "--peer-id", name], flags].concat();
    place.start_by(command, &["sync", "start"], who, &flags)
}

/// Starts both agents, and returns when a message of the one is heard by the other.
fn meet(place: &Place) -> (Agent, Agent) {
    let commands = [CI, ADA].map(|who| place.edgesync(who));
    meet_by(place, commands)
}

/// The same, with the programs and environments of these commands.
fn meet_by(place: &Place, [ci, ada]: [Command; 2]) -> (Agent, Agent) {
    let ci = start_by(place, ci, CI, &[]);
    let ada = start_by(place, ada, ADA, &["--join", ci.address("leaf")]);
    wait(|| {
        send(place, "Anybody there?");
        ada.api("GET", "notify", None)["messages"] != json!(0)
    });
    (ci, ada)
}

fn send(place: &Place, body: &str) -> Value {
    let send = ["notify", "send", "--json", "--project", "demo", body];
    serde_json::from_str(&run(place.edgesync(CI).args(send))).expect("JSON")
}

/// Returns the question of this text, once the agent has it.
fn question(agent: &Agent, body: &str) -> Value {
    let mut found = Value::Null;
    wait(|| {
        let threads = agent.api("GET", "notify/threads", None);
        let mut threads = threads.as_array().expect("threads").iter();
        let thread = threads.find(|thread| thread["waiting"]["body"] == body);
        found = thread
            .map(|thread| thread["waiting"].clone())
            .unwrap_or_default();
        !found.is_null()
    });
    found
}

fn reply(place: &Place, question: &Value, action: &str) {
    let thread = question["thread"].as_str().expect("a thread");
    let reply = ["notify", "reply", "--thread", thread, "--action", action];
    run(place.edgesync(ADA).args(reply));
}

/// The address of an agent's bus, for programs.
fn bus(agent: &Agent) -> String {
    let address = agent.address("nats");
    address.replace("nats://", &format!("nats://{}@", agent.bus_token()))
}

#[test]
fn a_question_crosses_the_bus_and_its_answer_comes_back() {
    let place = Place::new(2);
    let (_ci, ada) = meet(&place);
    let ask = Ask::start(
        &place,
        CI,
        &["--action", "Yes", "--action", "No", "Deploy?"],
    );
    let asked = question(&ada, "Deploy?");
    assert_eq!(
        (&asked["from_name"], &asked["sender"]),
        (&json!("ci"), &json!("trusted"))
    );
    reply(&place, &asked, "Yes");
    let (status, answer) = ask.end();
    assert!(status.success());
    assert_eq!(
        (&answer["answer"], &answer["by_name"], &answer["by"]),
        (&json!("yes"), &json!("ada"), &json!(place.ids[ADA]))
    );
    assert_eq!(answer["delivered_to"], json!([place.ids[ADA]]));
}

#[test]
fn a_question_that_somebody_has_and_nobody_answers_ends_with_2() {
    let place = Place::new(2);
    let (_ci, _ada) = meet(&place);
    let (status, answer) = Ask::start(&place, CI, &["--timeout", "5s", "Deploy?"]).end();
    assert_eq!(status.code(), Some(2));
    assert_eq!(answer["error"]["code"], "timed_out");
}

#[test]
fn a_device_whose_clock_is_wrong_by_hours_is_shown_questions_and_answers_them() {
    for wrong_minutes in [180, -180] {
        let place = Place::new(2);
        let mut command = place.edgesync(ADA);
        let mut clock = Clock::of(&mut command, &place.home(ADA).join("clock")).expect("a clock");
        clock.advance_minutes(wrong_minutes).expect("set");
        let (_ci, ada) = meet_by(&place, [place.edgesync(CI), command]);
        let deploy = ["--timeout", "10m", "--action", "Yes", "Deploy?"];
        let ask = Ask::start(&place, CI, &deploy);
        let asked = question(&ada, "Deploy?");
        let thread = asked["thread"].as_str().expect("a thread");
        let reply = json!({ "action": "yes" });
        let path = format!("notify/threads/{thread}/reply");
        ada.api("POST", &path, Some(&reply));
        let (status, answer) = ask.end();
        assert!(status.success(), "{answer}");
        assert_eq!(answer["by"], json!(place.ids[ADA]));
    }
}

#[test]
fn a_device_whose_clock_is_ahead_shows_what_waits_after_it_was_started_anew() {
    let place = Place::new(2);
    let file = place.home(ADA).join("clock");
    let ahead = || {
        let mut command = place.edgesync(ADA);
        let mut clock = Clock::of(&mut command, &file).expect("a clock");
        clock.advance_minutes(180).expect("set");
        command
    };
    let (ci, ada) = meet_by(&place, [place.edgesync(CI), ahead()]);
    let deploy = ["--timeout", "10m", "--action", "Yes", "Deploy?"];
    let ask = Ask::start(&place, CI, &deploy);
    question(&ada, "Deploy?");
    ada.stop();
    let ada = start_by(&place, ahead(), ADA, &["--join", ci.address("leaf")]);
    // By its own clock alone it would be over for hours.
    let asked = question(&ada, "Deploy?");
    assert_eq!(asked["question"]["kind"], "open");
    let thread = asked["thread"].as_str().expect("a thread");
    let path = format!("notify/threads/{thread}/reply");
    ada.api("POST", &path, Some(&json!({ "action": "yes" })));
    let (status, answer) = ask.end();
    assert!(status.success(), "{answer}");
}

#[test]
fn an_answer_that_comes_by_replication_counts_though_the_clock_of_its_device_is_hours_off() {
    let place = Place::new(2);
    for who in [CI, ADA] {
        let init = ["notify", "init", "--project-code", CODE];
        run(place.edgesync(who).args(init));
    }
    let wrong = || {
        let mut command = place.edgesync(ADA);
        let file = place.home(ADA).join("clock");
        let mut clock = Clock::of(&mut command, &file).expect("a clock");
        clock.advance_minutes(180).expect("set");
        command
    };
    let ci = start(&place, CI, &[]);
    let join = ["--join", ci.address("leaf")];
    let ada = start_by(&place, wrong(), ADA, &join);
    let ask = Ask::start(
        &place,
        CI,
        &["--timeout", "10m", "--action", "Yes", "Deploy?"],
    );
    let asked = question(&ada, "Deploy?");
    // She answers where nobody hears her.
    ada.stop();
    let thread = asked["thread"].as_str().expect("a thread");
    let reply = ["notify", "reply", "--thread", thread, "--action", "Yes"];
    run(wrong().args(reply));
    let _ada = start_by(&place, wrong(), ADA, &join);
    let (status, answer) = ask.end();
    assert!(status.success(), "{answer}");
    assert_eq!(answer["by"], json!(place.ids[ADA]));
}

#[test]
fn a_question_expires_in_time_though_the_clock_is_put_back_meanwhile() {
    let place = Place::new(2);
    let mut command = place.edgesync(CI);
    let mut clock = Clock::of(&mut command, &place.home(CI).join("clock")).expect("a clock");
    let (_ci, ada) = meet_by(&place, [command, place.edgesync(ADA)]);
    let ask = Ask::start(&place, CI, &["--timeout", "8s", "Deploy?"]);
    question(&ada, "Deploy?");
    clock.advance_minutes(-60).expect("set");
    let (status, answer) = ask.end();
    assert_eq!(status.code(), Some(2), "{answer}");
}

#[test]
fn who_listens_now_is_told_until_it_goes() {
    let place = Place::new(2);
    let (ci, ada) = meet(&place);
    let present = |agent: &Agent| agent.api("GET", "notify", None)["present"].clone();
    let there = |who: usize, name: &str| json!([{ "endpoint_id": place.ids[who], "name": name, "projects": ["demo"] }]);
    wait(|| present(&ci) == there(ADA, "ada"));
    wait(|| present(&ada) == there(CI, "ci"));
    let status = run(place.edgesync(CI).args(["notify", "status"]));
    assert!(status.contains("here now:    ada\n"), "{status}");
    ada.stop();
    wait(|| present(&ci) == json!([]));
}

#[test]
fn an_attachment_is_on_the_other_device_though_no_flag_asks_for_unversioned_files() {
    let place = Place::new(2);
    for who in [CI, ADA] {
        run(place
            .edgesync(who)
            .args(["notify", "init", "--project-code", CODE]));
    }
    let (_ci, ada) = meet(&place);
    let file = place.home(CI).join("build.log");
    std::fs::write(&file, "all fine\n").expect("written");
    let sent = run(place
        .edgesync(CI)
        .args(["notify", "send", "--json", "--project", "demo", "--attach"])
        .arg(&file)
        .arg("Built"));
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    let path = format!(
        "notify/messages/{}/media/build.log",
        sent["id"].as_str().expect("an id")
    );
    wait(|| ada.fetch(&path).is_some_and(|bytes| bytes == b"all fine\n"));
}

#[test]
fn a_program_without_an_agent_asks_and_hears_on_a_bus() {
    let place = Place::new(2);
    let trusted = start(&place, CI, &[]);
    let ada = json!({ "endpoint_id": place.ids[ADA] });
    trusted.api("POST", "mesh/trusted", Some(&ada));
    trusted.stop();

    let ada = start(&place, ADA, &[]);
    let url = bus(&ada);
    let ask = Ask::start(
        &place,
        CI,
        &["--nats", &url, "--actions", "Yes,No", "Deploy?"],
    );
    reply(&place, &question(&ada, "Deploy?"), "No");
    let (status, answer) = ask.end();
    assert!(status.success());
    assert_eq!(
        (&answer["answer"], &answer["by"]),
        (&json!("no"), &json!(place.ids[ADA]))
    );

    // What others say is heard, and what is said is heard by others.
    let mut watch = piped(
        place
            .edgesync(CI)
            .env("EDGESYNC_NATS", &url)
            .args(["notify", "watch", "--json"]),
    );
    let mut heard = BufReader::new(watch.stdout.take().expect("its output")).lines();
    let said = std::thread::scope(|scope| {
        let heard = scope.spawn(|| heard.next().expect("a line").expect("text"));
        while !heard.is_finished() {
            run(place
                .edgesync(ADA)
                .args(["notify", "send", "--project", "demo", "Tea?"]));
        }
        heard.join().expect("a line")
    });
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&said["body"], &said["sender"]),
        (&json!("Tea?"), &json!("trusted"))
    );
    watch.kill().expect("killed");
    watch.wait().expect("ended");
    let send = [
        "notify",
        "send",
        "--project",
        "demo",
        "--nats",
        &url,
        "Green",
    ];
    run(place.edgesync(CI).args(send));
    wait(|| {
        let threads = ada.api("GET", "notify/threads", None);
        let mut threads = threads.as_array().expect("threads").iter();
        threads.any(|thread| thread["last_body"] == "Green")
    });
}

#[test]
fn a_bus_that_refuses_ends_with_3_and_one_that_is_not_there_with_4() {
    let place = Place::new(2);
    run(place.edgesync(CI).args(["notify", "init"]));
    let ada = start(&place, ADA, &[]);
    let wrong = ada.address("nats").replace("nats://", "nats://wrong@");
    let (status, answer) = Ask::start(&place, CI, &["--nats", &wrong, "Deploy?"]).end();
    assert_eq!(status.code(), Some(3), "{answer}");
    ada.stop();
    let (status, answer) = Ask::start(&place, CI, &["--nats", &wrong, "Deploy?"]).end();
    assert_eq!(status.code(), Some(4), "{answer}");
    assert_eq!(answer["error"]["code"], "unreachable");
}

#[test]
fn two_who_answer_apart_learn_of_the_one_answer_that_ask_returned() {
    let place = Place::new(3);
    for who in [CI, ADA, BEN] {
        run(place
            .edgesync(who)
            .args(["notify", "init", "--project-code", CODE]));
    }
    let ci = start(&place, CI, &[]);
    let join = ["--join", ci.address("leaf")];
    let people: Vec<Agent> = [ADA, BEN].map(|who| start(&place, who, &join)).into();
    let ask = Ask::start(
        &place,
        CI,
        &["--action", "Yes", "--action", "No", "Deploy?"],
    );
    let asked: Vec<Value> = people.iter().map(|it| question(it, "Deploy?")).collect();
    // Both go where nobody hears them, and answer there.
    people.into_iter().for_each(Agent::stop);
    let thread = asked[0]["thread"].as_str().expect("a thread");
    for (who, action) in [(ADA, "Yes"), (BEN, "No")] {
        let reply = ["notify", "reply", "--thread", thread, "--action", action];
        run(place.edgesync(who).args(reply));
    }
    let people: Vec<Agent> = [ADA, BEN].map(|who| start(&place, who, &join)).into();
    let (status, returned) = ask.end();
    assert!(status.success(), "{returned}");
    let path = format!(
        "notify/messages/{}",
        asked[0]["id"].as_str().expect("an id")
    );
    for agent in people.iter().chain([&ci]) {
        wait(|| agent.api("GET", &path, None)["question"]["kind"] == "resolved");
        let decided = agent.api("GET", &path, None);
        for member in ["answer", "message", "by", "source"] {
            assert_eq!(decided["question"][member], returned[member], "{member}");
        }
    }
    // The other answer is kept, and called late.
    let conversation = format!("notify/threads/{thread}");
    wait(|| {
        let messages = ci.api("GET", &conversation, None)["messages"].clone();
        let late = |it: &&Value| it["late"] == json!(true);
        messages
            .as_array()
            .expect("messages")
            .iter()
            .filter(late)
            .count()
            == 1
    });
}
