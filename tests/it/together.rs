//! Two agents that have messages of their own are paired: from then on they have all of them in one repository, and lose none.

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::pairing::{is_linked, is_member, pair};
use crate::tunnel::{self, peer};

fn start(place: &Place, number: usize) -> Agent {
    tunnel::start(place, number, None, &["--notify"])
}

fn say(agent: &Agent, body: &str) {
    let wish = json!({ "project": "demo", "body": body });
    agent.api("POST", "notify/send", Some(&wish));
}

/// The code of the project that an agent has its messages in, and what they say; nothing while the file is in other hands.
fn said(agent: &Agent) -> Option<(Value, Vec<String>)> {
    let read = |path: &str| -> Option<Value> { serde_json::from_slice(&agent.fetch(path)?).ok() };
    let threads = read("notify/threads")?;
    let bodies = threads.as_array()?.iter();
    let mut bodies: Vec<String> = bodies
        .filter_map(|it| Some(it["last_body"].as_str()?.to_owned()))
        .collect();
    bodies.sort_unstable();
    Some((read("notify")?["project_code"].clone(), bodies))
}

/// Waits until all of these have the same repository with these messages.
fn share(agents: &[&Agent], bodies: &[&str]) {
    wait(|| {
        let all: Vec<_> = agents.iter().map(|agent| said(agent)).collect();
        let first = all.first().cloned().flatten();
        first.is_some_and(|it| it.1 == bodies) && all.windows(2).all(|two| two[0] == two[1])
    });
}

/// The thread of a question that an agent has and nobody has answered.
fn waiting(agent: &Agent, body: &str) -> String {
    let find = || {
        let threads = agent.api("GET", "notify/threads", None);
        let mut threads = threads.as_array().expect("threads").iter();
        let thread = threads.find(|it| it["waiting"]["body"] == body);
        thread.map(|it| it["id"].as_str().expect("an id").to_owned())
    };
    wait(|| find().is_some());
    find().expect("a thread")
}

/// One asks, and the other answers.
fn is_answered(asks: &Agent, answers: &Agent, body: &str) {
    let question =
        json!({ "project": "demo", "body": body, "kind": "question", "actions": ["Yes"] });
    let asked = asks.api("POST", "notify/send", Some(&question));
    let to = asked["id"].as_str().expect("an id");
    let thread = waiting(answers, body);
    let reply = format!("notify/threads/{thread}/reply");
    let answer = json!({ "to": to, "action": "Yes" });
    answers.api("POST", &reply, Some(&answer));
    let decided = format!("notify/messages/{to}/answer?wait_ms=60000");
    let decided = asks.api("GET", &decided, None);
    assert_eq!(decided["question"]["kind"], json!("resolved"), "{decided}");
}

#[test]
fn what_each_said_before_they_were_paired_both_have_afterwards_and_questions_go_both_ways() {
    let mut place = Place::new(3);
    place.ids.clear();
    let agents = [0, 1, 2].map(|number| start(&place, number));
    let [ada, ben, eva] = &agents;
    say(ada, "from ada");
    say(ben, "from ben");
    say(eva, "from eva");
    pair(ada, ben);
    share(&[ada, ben], &["from ada", "from ben"]);
    // A whole mesh meets another, by two of their members.
    pair(eva, ben);
    let all = ["from ada", "from ben", "from eva"];
    share(&[ada, ben, eva], &all);
    // What waits under the old code, for members that were away, is offered to nobody.
    let left = |number: usize| {
        let files = std::fs::read_dir(place.home(number)).expect("a home");
        let names = files.map(|it| it.expect("a file").file_name());
        let left = |it: &std::ffi::OsString| it.to_string_lossy().starts_with("notify-moved-");
        names.filter(left).count()
    };
    wait(|| (0..3).map(left).sum::<usize>() > 0);
    let mesh = |agent: &Agent| agent.mesh()["mesh"].clone();
    wait(|| mesh(ada) == mesh(eva) && mesh(ada)["notify"] == said(ada).expect("notify").0);

    // Each asks, and the other answers.
    for (asks, answers) in [(0, 2), (2, 0)] {
        is_answered(&agents[asks], &agents[answers], &format!("Deploy, {asks}?"));
    }

    for agent in &agents {
        let members = agent.mesh()["members"].to_string();
        assert!(!members.contains("notify-moved-"), "{members}");
    }

    // It lasts.
    for agent in agents {
        agent.stop();
    }
    let again = [0, 1, 2].map(|number| start(&place, number));
    say(&again[0], "later");
    wait(|| said(&again[2]).is_some_and(|it| it.1.contains(&"later".to_owned())));
}

#[test]
fn an_answer_of_one_that_was_unpaired_while_the_asker_was_away_counts_for_nothing() {
    let mut place = Place::new(3);
    let ids = std::mem::take(&mut place.ids);
    let [asker, mate, out] = [0, 1, 2].map(|number| start(&place, number));
    pair(&asker, &mate);
    pair(&out, &mate);
    say(&asker, "hello");
    share(&[&asker, &mate, &out], &["hello"]);
    let question = json!({ "project": "demo", "body": "Deploy?", "kind": "question", "actions": ["Yes", "No"] });
    let asked = asker.api("POST", "notify/send", Some(&question));
    let to = asked["id"].as_str().expect("an id").to_owned();
    let thread = waiting(&out, "Deploy?");
    waiting(&mate, "Deploy?");
    asker.stop();
    let reply = |agent: &Agent, action: &str| {
        let answer = json!({ "to": to, "action": action });
        agent.api(
            "POST",
            &format!("notify/threads/{thread}/reply"),
            Some(&answer),
        );
    };
    reply(&out, "Yes");
    let conversation = |agent: &Agent| agent.api("GET", &format!("notify/threads/{thread}"), None);
    let said = |agent: &Agent| {
        conversation(agent)["messages"]
            .as_array()
            .map_or(0, Vec::len)
    };
    wait(|| said(&mate) == 2);
    mate.stop();
    out.stop();

    // Nobody else runs when it is unpaired; then the answer comes by somebody who is none the wiser.
    let asker = start(&place, 0);
    run(place.edgesync(0).args(["unpair", &ids[2]]));
    let mate = start(&place, 1);
    wait(|| said(&asker) == 2);
    let state = || asker.api("GET", &format!("notify/messages/{to}"), None)["question"].clone();
    assert_eq!(state()["kind"], json!("open"), "{}", conversation(&asker));
    reply(&mate, "No");
    wait(|| state()["kind"] == "resolved");
    assert_eq!(state()["label"], json!("No"));
}

#[test]
fn the_ends_of_a_row_stay_together_with_their_messages_when_one_unpairs_the_one_between() {
    let mut place = Place::new(3);
    let ids = std::mem::take(&mut place.ids);
    let [ada, ben, eva] = [0, 1, 2].map(|number| start(&place, number));
    pair(&ada, &ben);
    pair(&eva, &ben);
    say(&ada, "hello");
    share(&[&ada, &ben, &eva], &["hello"]);
    wait(|| is_linked(&ada, &ids[2]) && is_linked(&eva, &ids[0]));

    // Both others have the name of this machine.
    let name = ada.mesh()["members"][0]["name"].clone();
    let mut command = place.edgesync(0);
    let command = command.args(["unpair", name.as_str().expect("a name"), "--json"]);
    let refused = command.output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    let words = error["error"]["message"].as_str().expect("words");
    assert!(
        words.contains(&ids[1]) && words.contains(&ids[2]),
        "{words}"
    );
    run(place.edgesync(0).args(["unpair", &ids[1][..16]]));
    wait(|| [&ada, &eva].iter().all(|it| !is_member(it, &ids[1])));
    wait(|| [&ada, &eva].iter().all(|it| peer(it, &ids[1]).is_null()));
    wait(|| !is_linked(&ben, &ids[0]) && !is_linked(&ben, &ids[2]));
    for (agent, other) in [(&ada, &ids[2]), (&eva, &ids[0])] {
        wait(|| agent.mesh()["revoked"][0]["unheard"] == json!([]));
        assert_eq!(agent.mesh()["revoked"][0]["endpoint_id"], json!(ids[1]));
        wait(|| is_member(agent, other) && is_linked(agent, other));
    }
    is_answered(&ada, &eva, "Deploy?");
    is_answered(&eva, &ada, "And now?");

    // It lasts, and who was unpaired stays outside.
    ada.stop();
    eva.stop();
    let (ada, eva) = (start(&place, 0), start(&place, 2));
    wait(|| is_linked(&ada, &ids[2]) && is_linked(&eva, &ids[0]));
    is_answered(&ada, &eva, "Still?");
    for agent in [&ada, &eva] {
        assert!(!is_linked(agent, &ids[1]) && !is_member(agent, &ids[1]));
    }
}
