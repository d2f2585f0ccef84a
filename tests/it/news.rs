//! However a change comes into one agent, the others have it soon and say what led them to it; and where a peer does not give it out, they say so.

use std::path::Path;

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::tunnel::peer;

/// Stores a check-in in a copy of the repository that no agent has.
fn commit_elsewhere(place: &Place, name: &str) -> std::path::PathBuf {
    let folder = place.home(0).join(name);
    std::fs::create_dir(&folder).expect("a folder");
    let copy = folder.join("copy.fossil");
    std::fs::copy(place.repository(0), &copy).expect("copied");
    let fossil = |arguments: &[&str]| {
        run(place.fossil().current_dir(&folder).args(arguments));
    };
    fossil(&["open", "--force", "copy.fossil"]);
    std::fs::write(folder.join(name), name).expect("written");
    fossil(&["add", name]);
    fossil(&["commit", "-m", name, "--no-warnings"]);
    copy
}

fn repository(agent: &Agent) -> Value {
    agent.api("GET", "status", None)["repositories"][0].clone()
}

#[test]
fn what_is_pushed_into_one_agent_is_announced_to_all() {
    let mut place = Place::new(4);
    // The last one is no agent: it pushes.
    let pusher = place.edgesync(3);
    let password = ["user", "password", "ada", "secret", "-R"];
    run(place.fossil().args(password).arg(place.repository(0)));
    let first = place.start(0, &["--serve-http", "127.0.0.1:0"]);
    place.ids.truncate(3);
    let second = place.start(1, &["--join", first.address("leaf")]);
    let third = place.start(2, &["--join", second.address("leaf")]);
    first.meets(2);
    third.meets(2);

    let copy = commit_elsewhere(&place, "by-http");
    let served = repository(&first)["clone_url"].clone();
    let url = served.as_str().expect("it is served");
    let url = url.replace("http://", "http://ada:secret@");
    run(place
        .fossil()
        .args(["push", &url, "--once", "-R"])
        .arg(copy));
    second.receives("by-http");
    third.receives("by-http");
    second.was_announced(1);
    third.was_announced(1);

    let copy = commit_elsewhere(&place, "by-bus");
    push_by_bus(pusher, &first, &copy);
    first.receives("by-bus");
    third.receives("by-bus");
    third.was_announced(2);
}

fn push_by_bus(mut edgesync: std::process::Command, to: &Agent, copy: &Path) {
    let url = bus_url(to);
    run(edgesync.args(["push", &url, "--once", "-R"]).arg(copy));
}

/// Returns the address of an agent's project for those who come by its bus.
pub(crate) fn bus_url(agent: &Agent) -> String {
    let host = agent.address("nats").trim_start_matches("nats://");
    let code = repository(agent)["project_code"].clone();
    let code = code.as_str().expect("a project code");
    format!("nats://{}@{host}/{code}", agent.bus_token())
}

#[test]
fn what_was_announced_while_the_link_was_down_a_hello_tells() {
    let place = Place::new(2);
    let first = place.start(0, &[]);
    let second = place.start(1, &[]);
    let url = json!({ "url": first.address("leaf") });
    let join = second.api("POST", "mesh/joins", Some(&url));
    first.meets(1);
    second.meets(1);
    let id = join["id"].as_str().expect("an id");
    second.api("DELETE", &format!("mesh/joins/{id}"), None);
    wait(|| peer(&first, &place.ids[1])["link"] != "leaf");
    place.commit(0, "told-to-nobody");
    wait(|| first.mesh()["counters"]["announced"] == 1);
    assert!(!second.holds("told-to-nobody"));
    second.api("POST", "mesh/joins", Some(&url));
    second.receives("told-to-nobody");
    wait(|| second.found_by("hello") == 1);
    assert_eq!(
        (second.found_by("announcement"), second.found_by("poll")),
        (0, 0)
    );
}

#[test]
fn a_peer_that_gives_nothing_out_is_shown_and_left_alone_for_a_while() {
    let place = Place::new(1);
    let others = Place::new(1);
    let file = others.repository(0);
    std::fs::copy(place.repository(0), &file).expect("copied");
    for nobody in ["nobody", "anonymous"] {
        let take = ["user", "capabilities", nobody, "", "-R"];
        run(others.fossil().args(take).arg(&file));
    }
    let id = &others.ids[0];
    let first = place.start(0, &["--trust", id]);
    let other = others.start(0, &["--join", first.address("leaf")]);
    first.meets(1);
    others.commit(0, "withheld");
    wait(|| !peer(&first, id)["error"]["retry_at"].is_null());
    let error = peer(&first, id)["error"].clone();
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("not authorized"), "{error}");
    let shown = run(place.edgesync(0).args(["sync", "status", "--json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let state = &shown["repositories"][0]["state"];
    assert_eq!(
        (&state["kind"], &state["message"]),
        (&json!("error"), &json!(message))
    );
    assert_eq!(shown["mesh"]["peers"][0]["error"]["message"], message);
    assert!(!first.holds("withheld"));
    // Allowed from now on, it is given what it asks for the next time.
    let trusted = json!({ "endpoint_id": place.ids[0] });
    other.api("POST", "mesh/trusted", Some(&trusted));
    first.receives("withheld");
    wait(|| peer(&first, id)["error"].is_null());
    wait(|| repository(&first)["state"]["kind"] == "up_to_date");
}

#[test]
fn during_a_pause_nothing_is_pulled_or_told_and_its_end_makes_up_for_it() {
    let place = Place::new(2);
    let first = place.start(0, &[]);
    let second = place.start(1, &["--join", first.address("leaf")]);
    first.meets(1);
    second.meets(1);
    let pause = |agent: usize, words: &[&str]| {
        run(place.edgesync(agent).arg("sync").args(words));
    };
    pause(1, &["pause"]);
    place.commit(0, "while-it-rests");
    wait(|| first.mesh()["counters"]["announced"] == 1);
    place.commit(1, "kept-to-itself");
    wait(|| repository(&second)["check_ins"] == 2);
    assert_eq!(repository(&second)["state"]["kind"], "paused");
    assert_eq!(second.mesh()["counters"]["announced"], 0);
    assert!(!second.holds("while-it-rests") && !first.holds("kept-to-itself"));
    pause(1, &["resume"]);
    second.receives("while-it-rests");
    first.receives("kept-to-itself");
}
