//! The repository, with stock Fossil as the second reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use edgesync_notify::message::Message;
use edgesync_notify::name::Project;
use edgesync_notify::store::{self, NewStore, Store, StoreError, Unattached, attachment_path};
use libfossil::db::{Access, Repository};
use libfossil::name::ProjectCode;

use crate::lab::{Agent, at, project};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
    repo: Repository,
    store: Store,
}

impl Place {
    fn new(server: u8) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify.fossil");
        let new = NewStore {
            project_code: ProjectCode::from_random([7; 20]),
            server_code: ProjectCode::from_random([server; 20]),
            password: "secret",
        };
        let repo = store::create(&path, &new, at(i64::from(server))).expect("a repository");
        let store = Store::read(&repo).expect("read");
        Self {
            _folder: folder,
            path,
            repo,
            store,
        }
    }

    fn add(&mut self, messages: &[Message]) -> Result<usize, StoreError> {
        self.store.add(&mut self.repo, messages, at(99_000))
    }

    fn bodies(&self) -> Vec<String> {
        let threads = self.store.threads(None);
        let heads = threads.iter().flat_map(|thread| &thread.heads);
        heads.map(|head| head.fields.body.clone()).collect()
    }
}

fn fossil(path: &Path, arguments: &[&str]) -> String {
    let out = Command::new("fossil")
        .args(arguments)
        .arg("-R")
        .arg(path)
        .env("HOME", path.parent().expect("a folder"))
        .output()
        .expect("stock fossil runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    text
}

/// A question, an answer, and what one might say afterwards.
fn conversation() -> (Agent, Agent, [Message; 3]) {
    let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "Ada"));
    let question = ci.asks(1, "Deploy build <214>?", &["Yes", "No"]);
    let answer = ada.answers(2, &question, "yes");
    let mut thanks = ci.says(3, 1, "Thank you.\nDone in \u{1b}[1m3 s");
    thanks.after = Some(answer.id);
    let messages = [ci.signs(&question), ada.signs(&answer), ci.signs(&thanks)];
    (ci, ada, messages)
}

#[test]
fn stock_fossil_shows_the_conversation() {
    let mut place = Place::new(1);
    let (_, _, messages) = conversation();
    for message in &messages {
        assert_eq!(place.add(std::slice::from_ref(message)).expect("stored"), 1);
    }
    let timeline = fossil(
        &place.path,
        &["timeline", "-n", "10", "-W", "0", "-t", "ci"],
    );
    let at = |text: &str| {
        timeline
            .find(text)
            .unwrap_or_else(|| panic!("no {text:?} in {timeline}"))
    };
    assert!(at("ci: Thank you. Done in ␛[1m3 s") < at("Ada: yes (button)"));
    assert!(at("Ada: yes (button)") < at("ci: Deploy build <214>? [Yes] [No]"));
    assert!(timeline.contains("user: notify tags: thread-00000001"));
    let branches = fossil(&place.path, &["branch", "list"]);
    assert!(
        branches.contains(&messages[0].thread.to_string()),
        "{branches}"
    );
    let sound = fossil(&place.path, &["test-integrity"]);
    assert!(sound.contains(" 0 errors"), "{sound}");
    fossil(&place.path, &["rebuild"]);
    let again = Store::read(&place.repo).expect("read");
    assert_eq!(again.heads().len(), 3);
    // Each check-in stands on the one before it.
    let check_in = again
        .check_in(&place.repo, &messages[2].id)
        .expect("a check-in");
    let ancestors = fossil(
        &place.path,
        &["timeline", "parents", check_in.as_str(), "-W", "0"],
    );
    assert_eq!(ancestors.matches("user: notify").count(), 4, "{ancestors}");
}

#[test]
fn two_devices_that_heard_the_same_hold_the_same_check_ins() {
    let (mut one, mut two) = (Place::new(1), Place::new(2));
    let (_, _, messages) = conversation();
    one.add(&messages).expect("stored");
    let bob = Agent::new(3, "Bob");
    let other = bob.signs(&bob.answers(9, &messages[0], "no"));
    one.add(std::slice::from_ref(&other)).expect("stored");
    // The same in another order, and in pieces.
    two.add(&messages[..1]).expect("stored");
    two.add(&[other.clone(), messages[1].clone()])
        .expect("stored");
    two.add(&messages[2..]).expect("stored");
    for message in messages.iter().chain([&other]) {
        let name = |place: &Place| {
            place
                .store
                .check_in(&place.repo, &message.id)
                .expect("a check-in")
        };
        assert_eq!(name(&one), name(&two), "{}", message.body);
    }
    assert_eq!(one.bodies(), two.bodies());
}

#[test]
fn a_message_is_stored_once_and_its_id_is_taken() {
    let mut place = Place::new(1);
    let (ci, _, messages) = conversation();
    assert_eq!(place.add(&messages).expect("stored"), 3);
    assert_eq!(place.add(&messages).expect("stored"), 0);
    let mut other = ci.says(1, 1, "Something else");
    let same_id = ci.signs(&other);
    assert!(matches!(place.add(&[same_id]), Err(StoreError::Taken(_))));
    // An id that starts alike, within the same second: the file would be the same one.
    other.id = "msg-00000001ffffffffffffffffffffffff"
        .parse()
        .expect("an id");
    let new = ci.signs(&ci.says(8, 8, "in the same step"));
    let refused = place.add(&[new, ci.signs(&other)]);
    assert!(matches!(refused, Err(StoreError::Taken(_))));
    assert_eq!(
        Store::read(&place.repo).expect("read").heads().len(),
        3,
        "all or none"
    );
}

#[test]
fn whole_messages_come_back_byte_for_byte() {
    let mut place = Place::new(1);
    let ci = Agent::new(1, "ci");
    let long = ci.signs(&ci.says(1, 1, &"é\n".repeat(20_000)));
    place.add(std::slice::from_ref(&long)).expect("stored");
    let store = Store::read(&place.repo).expect("read");
    assert!(!store.head(&long.id).expect("known").whole);
    assert_eq!(store.message(&place.repo, &long.id).expect("read"), long);
}

#[test]
fn what_another_program_put_in_is_found_and_junk_is_passed_over() {
    let mut place = Place::new(1);
    let (_, _, messages) = conversation();
    let mut other = Repository::open(&place.path, Access::ReadWrite).expect("opened");
    let mut theirs = Store::read(&other).expect("read");
    theirs
        .add(&mut other, &messages[..2], at(1))
        .expect("stored");
    for path in [
        "demo/threads/00000001/1-00000009.json",
        "demo/readme.txt",
        "x/../y",
    ] {
        let Ok(path) = libfossil::name::RepoPath::new(path.as_bytes().to_vec()) else {
            continue;
        };
        let mut junk = libfossil::checkin::NewCheckIn::new("eve", "junk");
        junk.changes = vec![libfossil::checkin::Change::Put {
            path,
            content: "{\"v\":1}".into(),
            permission: libfossil::artifact::Permission::Regular,
        }];
        libfossil::checkin::commit(&mut other, at(2), &junk).expect("a check-in");
    }
    let found = place.store.refresh(&place.repo).expect("read");
    assert_eq!(
        found.iter().map(|it| it.id).collect::<Vec<_>>(),
        [messages[0].id, messages[1].id]
    );
    assert!(place.store.refresh(&place.repo).expect("read").is_empty());
    assert_eq!(place.store.bad_files(), 1);
    place.add(&messages).expect("the third is stored");
    assert_eq!(place.bodies().len(), 3);
}

#[test]
fn threads_are_found_by_their_first_digits() {
    let mut place = Place::new(1);
    let ci = Agent::new(1, "ci");
    let messages = [
        ci.signs(&ci.says(1, 0xa1, "one")),
        ci.signs(&ci.says(2, 0xa2, "two")),
    ];
    place.add(&messages).expect("stored");
    let find = |text: &str| {
        place
            .store
            .find_thread(Some(&project()), text)
            .map(|it| it.id)
    };
    assert_eq!(find("000000a1").expect("found"), messages[0].thread);
    assert_eq!(
        find(&messages[1].thread.to_string()).expect("found"),
        messages[1].thread
    );
    assert!(matches!(find("000000a"), Err(StoreError::Ambiguous(_))));
    assert!(matches!(find("ff"), Err(StoreError::NoThread(_))));
    assert!(matches!(find(""), Err(StoreError::NoThread(_))));
}

#[test]
fn a_messages_thread_and_the_projects_active_last_are_known() {
    let mut place = Place::new(1);
    let ci = Agent::new(1, "ci");
    let says = |number: u32, project: &str, said: i64| {
        let mut fields = ci.says(number, number, "hello");
        fields.project = Project::parse(project).expect("a name");
        fields.timestamp = at(said);
        ci.signs(&fields)
    };
    let messages = [
        says(1, "old", 100),
        says(2, "new", 300),
        says(3, "old", 50),
        says(4, "late", 200),
    ];
    place.add(&messages).expect("stored");
    let ids = |message: &Message| -> Vec<_> {
        let thread = place.store.thread_of(message);
        thread.heads.iter().map(|head| head.fields.id).collect()
    };
    assert_eq!(ids(&messages[0]), [messages[0].id]);
    assert_eq!(ids(&says(9, "new", 400)), []);
    let active = |most: usize| -> Vec<String> {
        let projects = place.store.active_projects(most);
        projects.iter().map(ToString::to_string).collect()
    };
    assert_eq!(active(2), ["late", "new"]);
    assert_eq!(active(9), ["late", "new", "old"]);
}

#[test]
fn an_attachment_whose_name_has_white_space_is_kept_under_one_that_travels() {
    let mut place = Place::new(1);
    let ci = Agent::new(1, "ci");
    let mut fields = ci.says(1, 1, "the files");
    let names = [
        "my file.txt",
        "my%20file.txt",
        "gr\u{f6}\u{df}e\u{a0}1.pdf",
        "_FOSSIL_",
    ];
    fields.media = names.map(str::to_owned).to_vec();
    let files = names.map(|name| (name, name.as_bytes()));
    Store::attach(&mut place.repo, &fields, &files, at(0)).expect("stored");
    place.add(&[ci.signs(&fields)]).expect("stored");
    let path = attachment_path(&fields, "my file.txt");
    assert_eq!(path, "demo/media/00000001/00000001/my:20file.txt");
    for name in names {
        let path = attachment_path(&fields, name);
        assert_eq!(libfossil::uv::check_name(&path), Ok(()));
        let kept = place.repo.unversioned_content(&path).expect("read");
        assert_eq!(kept.as_deref(), Some(name.as_bytes()), "{name}");
    }
}

#[test]
fn attachments_have_plain_names_and_a_quota() {
    let mut place = Place::new(1);
    let ci = Agent::new(1, "ci");
    let mut fields = ci.says(1, 1, "the log");
    fields.media = vec!["build.log".to_owned()];
    let log = [("build.log", b"all fine")];
    Store::attach(&mut place.repo, &fields, &log, at(0)).expect("stored");
    place.add(&[ci.signs(&fields)]).expect("stored");
    let path = attachment_path(&fields, "build.log");
    assert_eq!(path, "demo/media/00000001/00000001/build.log");
    let kept = place
        .repo
        .unversioned_content(&path)
        .expect("read")
        .expect("there");
    assert_eq!(&kept[..], b"all fine");
    for name in [
        "",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "c:x",
        " x",
        "a\u{202e}txt.exe",
    ] {
        let refused = Store::attach(&mut place.repo, &fields, &[(name, b"")], at(0));
        assert!(
            matches!(
                refused,
                Err(StoreError::Attachment {
                    why: Unattached::Name,
                    ..
                })
            ),
            "{name:?}"
        );
    }
    let large = vec![0; (16 << 20) + 1];
    let files = [("small", Vec::new()), ("large", large)];
    let refused = Store::attach(&mut place.repo, &fields, &files, at(0));
    let refused = refused.expect_err("too large").to_string();
    assert_eq!(
        refused,
        r#""large" cannot be attached: it has more than 16 MiB"#
    );
    let left = place.repo.unversioned().expect("read");
    assert_eq!(left.len(), 1, "none of what was refused");
}
