//! Our client and our server in memory: everything ends equal, and ends.

use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::xfer::Client;
use libfossil::xfer::client::{Goal, Summary, SyncError, UvRoom};
use rusqlite::Connection;

use super::rig::{self, PULL, PUSH, SYNC, granted, now};
use super::server_rules::put;
use crate::stock::Lab;
use crate::store::create;

/// Two repositories of one project, not yet equal.
struct Pair {
    lab: Lab,
    client: Repository,
    server: Repository,
}

impl Pair {
    fn new() -> Self {
        let lab = Lab::new();
        let client = create(&lab, "client.fossil");
        let server = create(&lab, "server.fossil");
        Self {
            lab,
            client,
            server,
        }
    }

    fn run(&mut self, goal: Goal, letters: &str) -> Result<Summary, SyncError> {
        let auth = granted(letters);
        let mut client = Client::new(goal, None);
        let server = &mut self.server;
        rig::drive(&mut client, &mut self.client, |request| {
            rig::ours(server, &auth, request)
        })
    }

    fn assert_equal(&self) {
        self.lab.assert_equal(
            &self.lab.path("client.fossil"),
            &self.lab.path("server.fossil"),
        );
    }
}

fn put_many(repo: &mut Repository, label: &str, count: usize) -> Vec<HashName> {
    let store = |number| format!("{label} {number}\n{}", "text\n".repeat(50)).into_bytes();
    repo.write(now(), |tx| {
        (0..count)
            .map(|number| Ok(tx.store(&store(number), Visibility::Public)?.name))
            .collect()
    })
    .map_err(|error: libfossil::db::Error| error)
    .unwrap()
}

fn holds(repo: &Repository, hash: &HashName) -> bool {
    repo.rid(hash)
        .unwrap()
        .is_some_and(|rid| repo.is_available(rid).unwrap())
}

#[test]
fn a_sync_makes_both_sides_equal_and_the_next_one_does_nothing() {
    let mut pair = Pair::new();
    put_many(&mut pair.client, "client", 350);
    put_many(&mut pair.server, "server", 1250);
    let summary = pair.run(SYNC, "io").unwrap();
    assert_eq!(summary.missing, 0);
    pair.assert_equal();
    let again = pair.run(SYNC, "io").unwrap();
    assert_eq!(
        (again.rounds, again.artifacts_sent, again.artifacts_received),
        (1, 0, 0)
    );
}

#[test]
fn an_exchange_that_brings_nothing_leaves_both_files_unlocked() {
    let mut pair = Pair::new();
    put(&mut pair.server, b"one", Visibility::Public);
    pair.run(SYNC, "io").unwrap();
    // Only one program at a time can have the right to write.
    let writers = ["client.fossil", "server.fossil"].map(|name| {
        let writer = Connection::open(pair.lab.path(name)).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer
    });
    assert_eq!(pair.run(SYNC, "io").unwrap().rounds, 1);
    drop(writers);
}

#[test]
fn pull_only_fetches_and_push_only_sends() {
    let mut pair = Pair::new();
    let (here, there) = (
        put(&mut pair.client, b"here", Visibility::Public),
        put(&mut pair.server, b"there", Visibility::Public),
    );
    pair.run(PULL, "io").unwrap();
    assert!(holds(&pair.client, &there) && !holds(&pair.server, &here));
    pair.run(PUSH, "io").unwrap();
    assert!(holds(&pair.server, &here));
}

#[test]
fn who_may_only_read_still_pulls_and_keeps_what_is_unsent() {
    let mut pair = Pair::new();
    let there = put(&mut pair.server, b"there", Visibility::Public);
    let here = put(&mut pair.client, b"here", Visibility::Public);
    let summary = pair.run(SYNC, "o").unwrap();
    assert!(summary.push_refused);
    assert!(holds(&pair.client, &there) && !holds(&pair.server, &here));
    assert!(matches!(
        pair.run(PUSH, "o"),
        Err(SyncError::NotAuthorized(_))
    ));
    // Nothing was forgotten: with the right it goes at once.
    assert_eq!(pair.run(PUSH, "io").unwrap().artifacts_sent, 2);
    pair.assert_equal();
}

#[test]
fn another_project_is_refused() {
    let mut pair = Pair::new();
    pair.server
        .write(now(), |tx| tx.set_config("project-code", &"8".repeat(40)))
        .unwrap();
    assert!(matches!(pair.run(SYNC, "io"), Err(SyncError::WrongProject)));
}

#[test]
fn private_content_travels_only_when_asked_for_and_allowed() {
    let mut pair = Pair::new();
    let here = put(&mut pair.client, b"private here", Visibility::Private);
    let there = put(&mut pair.server, b"private there", Visibility::Private);
    pair.run(SYNC, "iox").unwrap();
    assert!(!holds(&pair.server, &here) && !holds(&pair.client, &there));
    let private = Goal {
        private: true,
        ..SYNC
    };
    let public = put(&mut pair.client, b"public here", Visibility::Public);
    let summary = pair.run(private, "io").unwrap();
    assert!(summary.private_refused && holds(&pair.server, &public));
    assert!(!holds(&pair.server, &here) && !holds(&pair.client, &there));
    let summary = pair.run(private, "iox").unwrap();
    assert!(!summary.private_refused);
    for (repo, hash) in [(&pair.server, &here), (&pair.client, &there)] {
        let rid = repo.rid(hash).unwrap().unwrap();
        assert!(repo.is_available(rid).unwrap() && repo.is_private(rid).unwrap());
    }
}

#[test]
fn unversioned_files_become_equal_both_ways() {
    let mut pair = Pair::new();
    let put = |repo: &mut Repository, name: &str, mtime: i64, content: &str| {
        let hash = HashName::sha3_of(content.as_bytes());
        repo.write(now(), |tx| {
            tx.put_unversioned(name, mtime, &hash, content.as_bytes())
        })
        .unwrap();
    };
    put(
        &mut pair.client,
        "only-here",
        1000,
        &"compressible ".repeat(100),
    );
    put(&mut pair.server, "only-there", 1000, "there");
    put(&mut pair.client, "newer-here", 2000, "new");
    put(&mut pair.server, "newer-here", 1000, "old");
    put(&mut pair.client, "newer-there", 1000, "old");
    put(&mut pair.server, "newer-there", 2000, "new");
    put(&mut pair.client, "same-content", 1000, "same");
    put(&mut pair.server, "same-content", 3000, "same");
    put(&mut pair.client, "touched-here", 3000, "same");
    put(&mut pair.server, "touched-here", 1000, "same");
    put(&mut pair.client, "tie", 1000, "a");
    put(&mut pair.server, "tie", 1000, "b");
    put(&mut pair.client, "deleted-here", 1000, "x");
    put(&mut pair.server, "deleted-here", 1000, "x");
    put(&mut pair.client, "deleted-there", 1000, "x");
    pair.client
        .write(now(), |tx| tx.delete_unversioned("deleted-here", 2000))
        .unwrap();
    pair.server
        .write(now(), |tx| tx.delete_unversioned("deleted-there", 2000))
        .unwrap();

    let alone = Goal {
        unversioned: true,
        ..Goal::default()
    };
    let read_only = pair.run(alone, "o").unwrap();
    assert_eq!(
        (
            read_only.unversioned_sent,
            read_only.unversioned_received > 0
        ),
        (0, true)
    );
    assert_eq!(pair.server.unversioned_content("only-here").unwrap(), None);
    pair.run(alone, "oy").unwrap();
    assert_eq!(
        pair.client.unversioned_hash().unwrap(),
        pair.server.unversioned_hash().unwrap()
    );
    assert_eq!(
        pair.client.unversioned().unwrap(),
        pair.server.unversioned().unwrap()
    );
    for (name, content) in [
        ("newer-here", Some("new")),
        ("newer-there", Some("new")),
        ("deleted-here", None),
        ("deleted-there", None),
    ] {
        let found = pair.server.unversioned_content(name).unwrap();
        assert_eq!(found.as_deref(), content.map(str::as_bytes), "{name}");
    }
    assert_eq!(pair.run(alone, "oy").unwrap().rounds, 1);
}

#[test]
fn an_unversioned_file_whose_name_cannot_stand_in_a_card_holds_up_nothing_behind_it() {
    let mut pair = Pair::new();
    let hash = HashName::sha3_of(b"text");
    let put = |repo: &mut Repository, name: &str| {
        repo.write(now(), |tx| tx.put_unversioned(name, 1000, &hash, b"text"))
    };
    let refused = put(&mut pair.client, "a b");
    assert!(matches!(
        refused,
        Err(libfossil::db::Error::UnversionedName(_))
    ));
    // As an earlier version stored it, on both sides.
    for (file, repo, behind) in [
        ("client.fossil", &mut pair.client, "behind-here"),
        ("server.fossil", &mut pair.server, "behind-there"),
    ] {
        put(repo, file).unwrap();
        put(repo, behind).unwrap();
        let conn = Connection::open(pair.lab.path(file)).unwrap();
        let renamed = "UPDATE unversioned SET name='a file of ' || name WHERE name=?1";
        assert_eq!(conn.execute(renamed, [file]).unwrap(), 1);
    }
    let alone = Goal {
        unversioned: true,
        ..Goal::default()
    };
    pair.run(alone, "oy").unwrap();
    for (repo, own) in [
        (&pair.client, "a file of client.fossil"),
        (&pair.server, "a file of server.fossil"),
    ] {
        let files = repo.unversioned().unwrap().into_iter();
        let names: Vec<_> = files.map(|file| file.name).collect();
        assert_eq!(names, [own, "behind-here", "behind-there"]);
    }
    let again = pair.run(alone, "oy").unwrap();
    assert_eq!((again.rounds, again.unversioned_sent), (1, 0));
}

#[test]
fn unversioned_files_over_the_room_are_left_where_they_are() {
    let mut pair = Pair::new();
    let keep = |repo: &mut Repository, name: &str, size: usize| {
        let content = vec![b'x'; size];
        let hash = HashName::sha3_of(&content);
        let put = repo.write(now(), |tx| tx.put_unversioned(name, 1000, &hash, &content));
        put.unwrap();
    };
    keep(&mut pair.client, "mine", 60);
    keep(&mut pair.server, "fits", 20);
    keep(&mut pair.server, "too-long", 51);
    keep(&mut pair.server, "too-much", 30);
    let goal = Goal {
        unversioned: true,
        ..PULL
    };
    let room = UvRoom {
        file_bytes: 50,
        total_bytes: 100,
    };
    let auth = granted("gio");
    for _ in 0..2 {
        let mut client = Client::new(goal, None).with_uv_room(room);
        let server = &mut pair.server;
        rig::drive(&mut client, &mut pair.client, |request| {
            rig::ours(server, &auth, request)
        })
        .unwrap();
        let names: Vec<String> = pair
            .client
            .unversioned()
            .unwrap()
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["fits", "mine"]);
    }
}

#[test]
fn a_large_file_crosses_in_one_piece() {
    let mut pair = Pair::new();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(20 << 20)
    .collect();
    let here = put(&mut pair.client, &noise, Visibility::Public);
    pair.run(SYNC, "io").unwrap();
    assert!(holds(&pair.server, &here));
}
