//! Messages as the Go product writes them: read here, and ours readable by its rules.

use edgesync_notify::keyring::Author;
use edgesync_notify::message::{Kind, Message, Priority};
use edgesync_notify::store::{self, NewStore, Store};
use edgesync_notify::subject;
use libfossil::artifact::Permission;
use libfossil::checkin::{self, Change, NewCheckIn};
use libfossil::name::{ProjectCode, RepoPath};

use crate::lab::{Agent, at, project};

/// A question and a reply, laid out as in its repository.
const QUESTION: &str = include_str!("../fixtures/go-question.json");
const REPLY: &str = include_str!("../fixtures/go-reply.json");

#[test]
fn its_messages_are_read() {
    let question = Message::read(QUESTION.as_bytes()).expect("a message");
    assert_eq!(question.urgency(), Priority::ActionRequired);
    assert_eq!(question.actions[0].id(), "deploy_now");
    assert_eq!(question.timestamp.to_string(), "2026-03-14T09:26:53.590");
    assert_eq!(
        question.path(),
        "demo/threads/a1b2c3d4/1773480413-0f1e2d3c.json"
    );
    assert_eq!(Author::of(&question), Author::Nobody);
    assert!(question.is_question());
    assert_eq!(
        question.sender(),
        "unknown",
        "its command line names no sender"
    );

    let reply = Message::read(REPLY.as_bytes()).expect("a message");
    assert_eq!(reply.reply_to, Some(question.id));
    assert!(reply.action_response);
    assert!(edgesync_notify::question::answers(&reply, &question));
    assert!(edgesync_notify::question::is_offered(&reply, &question));
    assert_eq!(
        subject::of_thread(&reply.project, &reply.thread),
        "notify.demo.a1b2c3d4"
    );
}

#[test]
fn its_repository_is_read_and_its_threads_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify.fossil");
    let new = NewStore {
        project_code: ProjectCode::from_random([1; 20]),
        server_code: ProjectCode::from_random([2; 20]),
        password: "secret",
    };
    let mut repo = store::create(&path, &new, at(0)).expect("a repository");
    for json in [QUESTION, REPLY] {
        let message = Message::read(json.as_bytes()).expect("a message");
        // Each is a check-in on the main branch, and none lists the files of another.
        let comment = format!("notify: {}", message.id);
        let mut check_in = NewCheckIn::new("notify", &comment);
        check_in.changes = vec![Change::Put {
            path: RepoPath::new(message.path().into_bytes()).expect("a path"),
            content: json.as_bytes().to_vec().into(),
            permission: Permission::Regular,
        }];
        checkin::commit(&mut repo, at(0), &check_in).expect("a check-in");
    }
    let mut store = Store::read(&repo).expect("read");
    let ours = Agent::new(1, "ada");
    let thread = store
        .find_thread(Some(&project()), "a1b2c3d4")
        .expect("the thread");
    let mut next = ours.says(7, 0, "Thank you");
    next.thread = thread.id;
    next.after = thread.heads.last().map(|head| head.fields.id);
    let next = ours.signs(&next);
    store
        .add(&mut repo, std::slice::from_ref(&next), at(9))
        .expect("stored");

    let again = Store::read(&repo).expect("read");
    let thread = again.find_thread(None, "a1b2").expect("the thread");
    let bodies: Vec<&str> = thread.heads.iter().map(|head| &*head.fields.body).collect();
    assert_eq!(
        bodies,
        ["Deploy build 214 to production?", "deploy_now", "Thank you"]
    );
    assert_eq!(thread.priority(), Priority::ActionRequired);
}

/// Reads a repository as the Go product does: all file names, for each the newest row that gives it content, and the row's bytes
/// inflated, with deltas not known at all.
fn read_as_go(path: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let listed = std::process::Command::new("fossil")
        .args(["sql", "-R"])
        .arg(path)
        .arg(
            "SELECT name || ' ' || hex(substr(blob.content, 5)) || ' ' || (blob.rid IN (SELECT rid FROM delta))
               FROM filename, blob
              WHERE blob.rid=(SELECT fid FROM mlink WHERE mlink.fnid=filename.fnid ORDER BY rowid DESC LIMIT 1);",
        )
        .env("HOME", path.parent().expect("a folder"))
        .output()
        .expect("stock fossil runs");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout).expect("text");
    let row = |line: &str| {
        let line = line.trim_matches('\'');
        let mut parts = line.rsplitn(3, ' ');
        assert_eq!(
            parts.next(),
            Some("0"),
            "a delta, which it cannot read: {line}"
        );
        let packed = parts.next().expect("content");
        let bytes = (0..packed.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&packed[at..at + 2], 16).expect("hex"));
        (parts.next().expect("a name").to_owned(), bytes.collect())
    };
    text.lines().map(row).collect()
}

#[test]
fn ours_are_readable_by_its_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify.fossil");
    let new = NewStore {
        project_code: ProjectCode::from_random([1; 20]),
        server_code: ProjectCode::from_random([2; 20]),
        password: "secret",
    };
    let mut repo = store::create(&path, &new, at(0)).expect("a repository");
    let mut store = Store::read(&repo).expect("read");
    let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "ada"));
    let question = ci.asks(1, "Deploy?", &["Deploy now", "Wait"]);
    let answer = ada.answers(2, &question, "deploy_now");
    let messages = [ci.signs(&question), ada.signs(&answer)];
    // One after the other, so that the second check-in could have made a delta of anything in the first.
    for message in &messages {
        store
            .add(&mut repo, std::slice::from_ref(message), at(5))
            .expect("stored");
    }
    drop(repo);
    let read = read_as_go(&path);
    assert_eq!(read.len(), 2);
    for message in &messages {
        let (_, packed) = read
            .iter()
            .find(|(name, _)| *name == message.path())
            .expect("the file");
        let json = libfossil::blob::codec::unpack(
            &[
                &u32::try_from(message.to_file().len())
                    .expect("short")
                    .to_be_bytes()[..],
                packed,
            ]
            .concat(),
            1 << 20,
        )
        .expect("zlib");
        let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        // The members that its decoder knows have the types that it wants.
        assert_eq!(value["v"], 1);
        for name in [
            "id",
            "thread",
            "project",
            "from",
            "from_name",
            "timestamp",
            "body",
        ] {
            assert!(value[name].is_string(), "{name}");
        }
        assert!(
            value["timestamp"]
                .as_str()
                .is_some_and(|it| it.ends_with('Z') && it.contains('T'))
        );
        assert!(json.starts_with(b"{\n  \""), "two spaces of indent");
    }
    let reply: serde_json::Value = serde_json::from_str(&messages[1].to_wire()).expect("JSON");
    assert_eq!(reply["action_response"], true);
    assert_eq!(reply["body"], "deploy_now");
    assert_eq!(messages[1].kind, Kind::Answer);
}
