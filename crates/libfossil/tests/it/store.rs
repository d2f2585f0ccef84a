//! Creating, opening and writing repositories.

use std::fs;

use libfossil::db::{Access, Error, NewRepository, Repository, Visibility};
use libfossil::name::{HashName, ProjectCode};
use libfossil::time::Timestamp;

use crate::stock::Lab;

pub(crate) fn create(lab: &Lab, name: &str) -> Repository {
    let new = NewRepository {
        project_code: Some(ProjectCode::from_random([7; 20])),
        server_code: ProjectCode::from_random([9; 20]),
        project_name: Some("Test"),
        admin: "tester",
        password: "secret",
        initial_check_in: true,
        now: now(),
    };
    Repository::create(lab.path(name), &new).expect("created")
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_123)
}

#[test]
fn stock_opens_commits_to_and_rebuilds_a_repository_made_here() {
    let lab = Lab::new();
    let repo = create(&lab, "a.fossil");
    drop(repo);
    let path = lab.path("a.fossil");
    let tree = lab.dir("tree");
    lab.fossil_in(&tree, &["open", path.to_str().unwrap()]);
    fs::write(tree.join("f.txt"), "hello\n").unwrap();
    lab.fossil_in(&tree, &["add", "f.txt"]);
    lab.fossil_in(&tree, &["commit", "-m", "first", "--no-warnings"]);
    lab.assert_sound(&path);
    lab.fossil(&["rebuild", path.to_str().unwrap()]);
    lab.assert_sound(&path);
    assert!(lab.fossil_in(&tree, &["timeline"]).contains("first"));
}

#[test]
fn a_new_repository_gives_strangers_nothing() {
    let lab = Lab::new();
    let repo = create(&lab, "a.fossil");
    for login in ["nobody", "anonymous"] {
        assert_eq!(repo.user(login).unwrap().unwrap().capabilities, "");
    }
    let admin = repo.user("tester").unwrap().unwrap();
    assert_eq!(admin.capabilities, "s");
    let project = repo.project_code().unwrap();
    let secret = libfossil::db::password_secret(&project, "tester", "secret");
    assert_eq!(admin.secret, secret);
    assert!(!format!("{admin:?}").contains(&secret));
}

#[test]
fn creating_over_something_is_refused_and_leaves_it_alone() {
    let lab = Lab::new();
    fs::write(lab.path("a.fossil"), "mine").unwrap();
    let new = NewRepository {
        project_code: None,
        server_code: ProjectCode::from_random([9; 20]),
        project_name: None,
        admin: "tester",
        password: "",
        initial_check_in: false,
        now: now(),
    };
    let refused = Repository::create(lab.path("a.fossil"), &new);
    assert!(matches!(refused, Err(Error::AlreadyExists(_))));
    assert_eq!(fs::read(lab.path("a.fossil")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(lab.path("")).unwrap().count(), 1);
}

#[test]
fn what_is_no_repository_is_refused_with_a_reason() {
    let lab = Lab::new();
    let whole = {
        drop(create(&lab, "a.fossil"));
        fs::read(lab.path("a.fossil")).unwrap()
    };
    let bad = lab.path("bad.fossil");
    let mut noise = whole.clone();
    for (index, byte) in noise.iter_mut().enumerate().skip(100) {
        *byte = u8::try_from(index * 31 % 251).unwrap();
    }
    for content in [
        &b""[..],
        b"SQLite format 3\0",
        &whole[..whole.len() / 2],
        &noise,
        &[7; 40_000],
    ] {
        fs::write(&bad, content).unwrap();
        for access in [Access::ReadOnly, Access::ReadWrite] {
            let refused = Repository::open(&bad, access);
            assert!(
                matches!(
                    refused,
                    Err(Error::NotARepository { .. } | Error::Damaged { .. })
                ),
                "{refused:?}"
            );
        }
    }
    drop(fs::remove_file(&bad));
    rusqlite::Connection::open(&bad)
        .unwrap()
        .execute_batch("CREATE TABLE other(x)")
        .unwrap();
    let foreign = Repository::open(&bad, Access::ReadWrite).err();
    assert!(
        matches!(&foreign, Some(Error::NotARepository { reason, .. }) if reason.contains("SQLite file")),
        "{foreign:?}"
    );
    fs::write(&bad, &whole[..30_000]).unwrap();
    let cut = Repository::open(&bad, Access::ReadOnly).err();
    assert!(cut.as_ref().is_some_and(Error::is_damaged_file), "{cut:?}");
    let missing = Repository::open(lab.path("none.fossil"), Access::ReadOnly);
    assert!(matches!(missing, Err(Error::NotFound(_))));
}

#[test]
fn a_newer_generation_is_refused_by_name() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    repo.write(now(), |tx| tx.set_config("aux-schema", "2031-01-01"))
        .unwrap();
    let refused = Repository::open(lab.path("a.fossil"), Access::ReadOnly);
    assert!(
        matches!(&refused, Err(Error::NewerSchema { found, .. }) if found == "2031-01-01"),
        "{refused:?}"
    );
}

#[test]
fn a_delta_whose_source_comes_later_becomes_available_then() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let old = b"a line that is long enough to be worth a delta\n".repeat(20);
    let new = [&old[..], b"and one more\n"].concat();
    let (old_name, new_name) = (HashName::sha3_of(&old), HashName::sha3_of(&new));
    let change = libfossil::blob::delta::encode(&old, &new);
    let waiting = repo
        .write(now(), |tx| {
            tx.store_delta(&new_name, &old_name, &change, Visibility::Public)
        })
        .unwrap();
    assert!(waiting.is_new);
    assert!(!repo.is_available(waiting.rid).unwrap());
    assert!(matches!(
        repo.content(waiting.rid),
        Err(Error::Missing { .. })
    ));
    repo.write(now(), |tx| tx.store(&old, Visibility::Public))
        .unwrap();
    assert_eq!(repo.content(waiting.rid).unwrap(), new);
    lab.assert_sound(&lab.path("a.fossil"));
}

#[test]
fn a_waiting_delta_that_lies_becomes_a_phantom_again() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let old = b"a line that is long enough to be worth a delta\n".repeat(20);
    let claimed = HashName::sha3_of(b"something else");
    let change = libfossil::blob::delta::encode(&old, &[&old[..], b"x"].concat());
    let old_name = HashName::sha3_of(&old);
    let lie = repo
        .write(now(), |tx| {
            tx.store_delta(&claimed, &old_name, &change, Visibility::Public)
        })
        .unwrap();
    repo.write(now(), |tx| tx.store(&old, Visibility::Public))
        .unwrap();
    assert!(repo.is_phantom(lie.rid).unwrap());
    lab.assert_sound(&lab.path("a.fossil"));
}

#[test]
fn deltas_that_wait_for_each_other_are_refused() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let [one, two] = [b"one", b"two"].map(|text| HashName::sha3_of(text));
    let change = libfossil::blob::delta::encode(b"one", b"two");
    let ring = repo.write(now(), |tx| {
        tx.store_delta(&two, &one, &change, Visibility::Public)?;
        tx.store_delta(&one, &two, &change, Visibility::Public)
    });
    assert!(matches!(ring, Err(Error::DeltaLoop { .. })), "{ring:?}");
    assert_eq!(repo.rid(&one).unwrap(), None);
}

#[test]
fn content_under_a_wrong_name_is_not_stored() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let name = HashName::sha1_of(b"right");
    let refused = repo.write(now(), |tx| {
        tx.store_named(&name, b"wrong", Visibility::Public)
    });
    assert!(matches!(refused, Err(Error::HashMismatch { .. })));
    assert_eq!(repo.rid(&name).unwrap(), None);
}

#[test]
fn content_keeps_the_name_that_it_is_here_under_unless_the_policy_forbids_that() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let old = HashName::sha1_of(b"old content");
    let set = |repo: &mut Repository, policy: &str| {
        repo.write(now(), |tx| tx.set_config("hash-policy", policy))
            .unwrap();
    };
    let name_of = |repo: &mut Repository, content: &[u8]| {
        repo.write(now(), |tx| tx.store(content, Visibility::Public))
            .map(|stored| stored.name)
    };
    repo.write(now(), |tx| {
        tx.store_named(&old, b"old content", Visibility::Public)
    })
    .unwrap();
    for policy in ["0", "1", "2"] {
        set(&mut repo, policy);
        assert_eq!(name_of(&mut repo, b"old content").unwrap(), old, "{policy}");
    }
    set(&mut repo, "1");
    assert_eq!(
        name_of(&mut repo, b"more").unwrap(),
        HashName::sha1_of(b"more")
    );
    let new = HashName::sha3_of(b"new content");
    repo.write(now(), |tx| {
        tx.store_named(&new, b"new content", Visibility::Public)
    })
    .unwrap();
    assert_eq!(repo.config("hash-policy").unwrap().as_deref(), Some("2"));
    set(&mut repo, "3");
    let twice = name_of(&mut repo, b"old content").unwrap();
    assert_eq!(twice, HashName::sha3_of(b"old content"));
    set(&mut repo, "4");
    let turned_away = HashName::sha1_of(b"by its old name");
    let refused = repo.write(now(), |tx| {
        tx.store_named(&turned_away, b"by its old name", Visibility::Public)
    });
    assert!(matches!(refused, Err(Error::Shunned { .. })), "{refused:?}");
}

#[test]
fn what_is_shunned_goes_with_a_rebuild_and_what_was_stored_as_a_change_of_it_stays_whole() {
    let lab = Lab::new();
    let path = lab.path("a.fossil");
    drop(create(&lab, "a.fossil"));
    let tree = lab.dir("tree");
    lab.fossil_in(&tree, &["open", path.to_str().unwrap()]);
    let mut text = String::new();
    for version in 0..4 {
        text.push_str(&format!("{version} {}\n", "many words ".repeat(30)));
        fs::write(tree.join("f.txt"), &text).unwrap();
        lab.fossil_in(&tree, &["addremove"]);
        lab.fossil_in(&tree, &["commit", "-m", "more", "--no-warnings", "--hash"]);
    }
    let count = |sql: &str| lab.query(&path, sql);
    let sources =
        "SELECT uuid FROM blob JOIN delta ON srcid=blob.rid JOIN mlink ON fid=srcid ORDER BY 1";
    let source = count(sources).first().expect("a source of a delta").clone();
    lab.query_write(
        &path,
        &format!("INSERT INTO shun(uuid, mtime) VALUES('{source}', 0)"),
    );
    let stock = lab.rebuilt_copy(&path);
    let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
    repo.rebuild(now(), libfossil::rebuild::Trust::Stored, |_, _| {})
        .unwrap();
    drop(repo);
    assert!(!lab.artifacts(&path).contains(&source));
    assert_eq!(lab.artifacts(&path), lab.artifacts(&stock));
    lab.assert_sound(&path);
}
