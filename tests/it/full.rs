//! A disk that is full: what others send is not stored, and the repository says so with what to do, until there is room again.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::machines::is_inside;
use crate::mesh::{Agent, Place, run, wait};

/// What the test is called, and a disk of its own with little room.
const TEST: &str = "full::what_a_full_disk_does_not_take_is_told_until_there_is_room";
const DISK: &str = "mount -t tmpfs -o size=3m none /mnt\nip link set lo up\n";

fn shown(agent: &Agent) -> Value {
    let status = agent.api("GET", "status", None);
    let mut all = status["repositories"].as_array().expect("a list").iter();
    let full = all.find(|it| it["path"] == "/mnt/full.fossil");
    full.expect("a repository").clone()
}

#[test]
fn what_a_full_disk_does_not_take_is_told_until_there_is_room() {
    if !is_inside(TEST, DISK) {
        return;
    }
    let place = Place::new(1);
    let full = Path::new("/mnt/full.fossil");
    run(place
        .fossil()
        .args(["new", "--admin-user", "ada"])
        .arg(full));
    let password = ["user", "password", "ada", "secret", "-R"];
    run(place.fossil().args(password).arg(full));
    let flags = ["-R", "/mnt/full.fossil", "--serve-http", "127.0.0.1:0"];
    let agent = place.start(0, &flags);
    let url = shown(&agent)["clone_url"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let url = url.replace("http://", "http://ada:secret@");
    let copy = place.home(0).join("copy.fossil");
    run(place.fossil().args(["clone", &url]).arg(&copy));
    // What does not become shorter.
    let mut bytes = vec![0; 6_000_000];
    let random = std::fs::File::open("/dev/urandom");
    let filled = random.and_then(|mut it| it.read_exact(&mut bytes));
    filled.expect("random bytes");
    std::fs::write(place.home(0).join("large"), bytes).expect("written");
    let check_in = ["ci", "-m", "large", "-R", "copy.fossil", "large"];
    run(place.edgesync(0).args(check_in).current_dir(place.home(0)));
    let push = || {
        place
            .fossil()
            .args(["push", &url, "--once", "-R"])
            .arg(&copy)
            .output()
    };
    push().expect("it runs");
    wait(|| shown(&agent)["state"]["kind"] == "error");
    let state = shown(&agent)["state"].clone();
    assert_eq!(state["code"], "repository", "{state}");
    assert_eq!(state["hint"], "Free some space.", "{state}");
    let status = run(place.edgesync(0).args(["sync", "status"]));
    for words in [
        "the disk that the repository is on is full",
        "Free some space.",
    ] {
        assert!(status.contains(words), "{status}");
    }
    run(Command::new("mount").args(["-o", "remount,size=64m", "/mnt"]));
    wait(|| shown(&agent)["state"]["kind"] == "local");
    push().expect("it runs");
    wait(|| shown(&agent)["check_ins"] == 2);
    assert_eq!(shown(&agent)["state"]["kind"], "local");
}
