//! Failing writes, and other programs at work on the same file.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libfossil::db::{Access, Error, Repository, Visibility};
use libfossil::name::HashName;
use rusqlite::Connection;

use crate::crosslink::{artifacts, empty};
use crate::dump::dump;
use crate::stock::Lab;
use crate::store::{create, now};

type Artifact = (HashName, Vec<u8>, Visibility);

fn store_all(repo: &mut Repository, artifacts: &[Artifact]) -> Result<(), Error> {
    repo.write(now(), |tx| {
        for (name, content, visibility) in artifacts {
            tx.store_named(name, content, *visibility)?;
        }
        Ok(())
    })
}

/// Returns everything that a reader of the file sees.
fn state(repository: &Path) -> Vec<String> {
    let conn = Connection::open(repository).unwrap();
    let mut query = conn
        .prepare("SELECT rid || ' ' || uuid || ' ' || size FROM blob ORDER BY rid")
        .unwrap();
    let blobs = query.query_map([], |row| row.get(0)).unwrap();
    let mut lines = dump(repository);
    lines.extend(blobs.map(Result::unwrap));
    lines
}

#[test]
fn whichever_write_fails_the_file_is_as_before_or_as_after() {
    let lab = Lab::new();
    let (mut repo, base) = empty(&lab, "base.fossil");
    let source = artifacts(&lab.everything("a.fossil"));
    let (first, last) = source.split_at(source.len() - 8);
    store_all(&mut repo, first).unwrap();
    drop(repo);
    let before = state(&base);
    let trial = lab.path("trial.fossil");
    let mut failures = 0;
    loop {
        fs::copy(&base, &trial).unwrap();
        let mut repo = Repository::open(&trial, Access::ReadWrite).unwrap();
        repo.fail_at(failures + 1);
        let result = store_all(&mut repo, last);
        if repo.fail_never() {
            result.unwrap();
            break;
        }
        assert!(matches!(result, Err(Error::Injected)), "{result:?}");
        // The same handle goes on working, and sees nothing of the failed attempt.
        assert_eq!(repo.rid(&last[0].0).unwrap(), None);
        drop(repo);
        assert_eq!(state(&trial), before, "after failure {}", failures + 1);
        failures += 1;
    }
    assert!(failures > 50, "only {failures} writes were tried");
    assert_ne!(state(&trial), before);
    lab.assert_sound(&trial);
}

#[test]
fn stock_waits_while_we_write_and_reads_and_commits_right_after() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let path = lab.path("a.fossil");
    let tree = lab.dir("tree");
    lab.fossil_in(&tree, &["open", path.to_str().unwrap()]);
    fs::write(tree.join("f.txt"), "hello\n").unwrap();
    lab.fossil_in(&tree, &["add", "f.txt"]);
    let commands: [&[&str]; 3] = [
        &["info"],
        &["timeline"],
        &["commit", "-m", "theirs", "--no-warnings"],
    ];
    for (number, args) in commands.iter().enumerate() {
        let waiting = repo
            .write(now(), |tx| {
                tx.store(format!("ours {number}").as_bytes(), Visibility::Public)?;
                let mut command = lab.command(&tree, args);
                let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
                Ok::<_, Error>(command.spawn().expect("fossil runs"))
            })
            .unwrap();
        let output = waiting.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
    }
    assert!(lab.fossil_in(&tree, &["timeline"]).contains("theirs"));
    let ours = HashName::sha3_of(b"ours 2");
    let rid = repo.rid(&ours).unwrap().expect("kept");
    assert_eq!(repo.content(rid).unwrap(), &b"ours 2"[..]);
    lab.assert_sound(&path);
}

#[test]
fn stock_commits_in_quick_succession_while_we_keep_writing() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let tree = lab.dir("tree");
    lab.fossil_in(&tree, &["open", lab.path("a.fossil").to_str().unwrap()]);
    fs::write(tree.join("f.txt"), "").unwrap();
    lab.fossil_in(&tree, &["add", "f.txt"]);
    let (start, starts) = mpsc::channel();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in starts {
                for part in 0..5 {
                    let text = format!("{number} {part}");
                    repo.write(now(), |tx| tx.store(text.as_bytes(), Visibility::Public))
                        .unwrap();
                }
            }
        });
        let mut commits = Vec::new();
        for number in 0..12 {
            fs::write(tree.join("f.txt"), "x".repeat(number + 1)).unwrap();
            start.send(number).expect("the writer listens");
            let mut commit = lab.command(&tree, &["commit", "-m", "theirs", "--no-warnings"]);
            commits.push(commit.output().expect("fossil runs"));
        }
        // The writer has to be let go before anything is asserted, or a failure would never end.
        drop(start);
        writer.join().expect("the writer goes through");
        for commit in commits {
            let said = String::from_utf8_lossy(&commit.stderr);
            assert!(commit.status.success(), "{said}");
        }
    });
    lab.assert_sound(&lab.path("a.fossil"));
}

#[test]
fn a_lock_that_is_not_given_back_is_named() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    repo.set_busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(lab.path("a.fossil")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = repo.write(now(), |tx| tx.set_config("project-name", "x"));
    assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    repo.write(now(), |tx| tx.set_config("project-name", "x"))
        .unwrap();
}

#[test]
fn a_large_batch_is_linked_in_slices_without_leftovers() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let comments: Vec<Vec<u8>> = (0..450).map(control).collect();
    repo.write(now(), |tx| {
        for content in &comments {
            tx.store(content, Visibility::Public)?;
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    drop(repo);
    let conn = Connection::open(lab.path("a.fossil")).unwrap();
    let count = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM event WHERE type='g'"), 450);
    assert_eq!(count("SELECT count(*) FROM fx_pending_crosslink"), 0);
}

/// Returns a control artifact that puts a tag of its own on some artifact.
fn control(number: usize) -> Vec<u8> {
    use libfossil::artifact::{Control, Tag, TagKind};
    use libfossil::text::Text;
    let tag = Tag {
        kind: TagKind::Once,
        name: Text::new(format!("sym-tag-{number}").into_bytes()),
        target: Some(HashName::sha3_of(b"some check-in")),
        value: None,
    };
    Control {
        date: now(),
        tags: vec![tag],
        user: Text::new(&b"tester"[..]),
    }
    .to_bytes()
}

#[test]
fn verify_finds_what_is_wrong() {
    let lab = Lab::new();
    let path = lab.everything("a.fossil");
    let look = || {
        let repo = Repository::open(&path, Access::ReadOnly).unwrap();
        repo.verify(|_, _| {}).unwrap()
    };
    let sound = look();
    assert!(sound.problems.is_empty(), "{:?}", sound.problems);
    assert!(sound.structural > 40 && sound.artifacts > sound.structural);
    for damage in [
        "UPDATE blob SET content=(SELECT content FROM blob WHERE rid=1) WHERE rid=3",
        "UPDATE blob SET content=x'00112233445566' WHERE rid=5",
        "UPDATE blob SET content=NULL WHERE rid=7",
        "UPDATE blob SET uuid=replace(uuid, '1', 'X') WHERE rid=4",
        "DELETE FROM leaf",
        "DELETE FROM event WHERE objid=1",
        "INSERT INTO phantom VALUES(1)",
    ] {
        let whole = fs::read(&path).unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch(damage)
            .unwrap();
        assert!(!look().problems.is_empty(), "{damage} goes unnoticed");
        fs::write(&path, whole).unwrap();
    }
}
