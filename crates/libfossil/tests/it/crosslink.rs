//! The derived tables that we compute are those that stock computes from the same artifacts.

use std::fs;
use std::path::{Path, PathBuf};

use libfossil::artifact::Md5;
use libfossil::db::{Access, NewRepository, Repository, Visibility};
use libfossil::name::{HashName, ProjectCode};
use libfossil::rebuild::Trust;
use rusqlite::Connection;

use crate::dump::{assert_same, dump};
use crate::stock::Lab;
use crate::store::{create, now};

/// Compares what a file says with what it says after stock has rebuilt it.
fn assert_as_rebuilt(lab: &Lab, repository: &Path) {
    let ours = dump(repository);
    let stock = dump(&lab.rebuilt_copy(repository));
    assert_same(&ours, &stock, &repository.display().to_string());
    assert!(ours.len() > 100, "too little to compare: {}", ours.len());
    lab.assert_sound(repository);
}

/// Returns all artifacts of a repository in order of their rows, with whether they are private.
pub(crate) fn artifacts(repository: &Path) -> Vec<(HashName, Vec<u8>, Visibility)> {
    let repo = Repository::open(repository, Access::ReadOnly).expect("opens");
    let conn = Connection::open(repository).expect("a database");
    let mut query = conn
        .prepare("SELECT uuid, rid IN private FROM blob WHERE size>=0 ORDER BY rid")
        .unwrap();
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
    });
    rows.unwrap()
        .map(|row| {
            let (name, private) = row.unwrap();
            let name = HashName::parse(name.as_bytes()).unwrap();
            let rid = repo.rid(&name).unwrap().unwrap();
            let visibility = if private {
                Visibility::Private
            } else {
                Visibility::Public
            };
            (name, repo.content(rid).unwrap().to_vec(), visibility)
        })
        .collect()
}

pub(crate) fn empty(lab: &Lab, name: &str) -> (Repository, PathBuf) {
    let path = lab.path(name);
    let new = NewRepository {
        project_code: Some(ProjectCode::from_random([7; 20])),
        server_code: ProjectCode::from_random([9; 20]),
        project_name: None,
        admin: "tester",
        password: "",
        initial_check_in: false,
        now: now(),
    };
    (Repository::create(&path, &new).unwrap(), path)
}

#[test]
fn rebuilding_computes_what_stock_computes() {
    let lab = Lab::new();
    let path = lab.everything("a.fossil");
    let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
    let mut heard = (0, 0);
    let report = repo
        .rebuild(now(), Trust::Stored, |done, total| heard = (done, total))
        .unwrap();
    drop(repo);
    assert!(report.damaged.is_empty(), "{:?}", report.damaged);
    assert!(report.structural > 40, "{report:?}");
    assert!(heard.0 == heard.1 && heard.1 > 40, "{heard:?}");
    assert_as_rebuilt(&lab, &path);
}

#[test]
fn storing_one_by_one_computes_what_stock_computes() {
    let lab = Lab::new();
    let (mut repo, path) = empty(&lab, "b.fossil");
    for (name, content, visibility) in artifacts(&lab.everything("a.fossil")) {
        repo.write(now(), |tx| tx.store_named(&name, &content, visibility))
            .unwrap();
    }
    drop(repo);
    assert_as_rebuilt(&lab, &path);
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let lab = Lab::new();
    let source = artifacts(&lab.everything("a.fossil"));
    for (step, batch) in [(1, 1000), (29, 10)] {
        let (mut repo, path) = empty(&lab, &format!("{step}-{batch}.fossil"));
        // Each artifact once, in strides that share no factor with their number.
        let count = source.len() + usize::from(source.len().is_multiple_of(step));
        let order = (0..count).map(|index| index * step % count);
        let mut order: Vec<_> = order.filter(|&index| index < source.len()).collect();
        order.reverse();
        for batch in order.chunks(batch) {
            repo.write(now(), |tx| {
                for &index in batch {
                    let (name, content, visibility) = &source[index];
                    tx.store_named(name, content, *visibility)?;
                }
                Ok::<_, libfossil::db::Error>(())
            })
            .unwrap();
        }
        drop(repo);
        assert_as_rebuilt(&lab, &path);
    }
}

/// Has stock import this project's own git history.
pub(crate) fn imported_from_git(lab: &Lab) -> PathBuf {
    let path = lab.path("git.fossil");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let stream = std::process::Command::new("git")
        .args(["fast-export", "--all", "--signed-tags=strip"])
        .current_dir(root)
        .output()
        .expect("git runs");
    assert!(stream.status.success());
    fs::write(lab.path("stream"), stream.stdout).unwrap();
    let mut import = lab.command(&lab.path(""), &["import", "--git", path.to_str().unwrap()]);
    let import = import.stdin(fs::File::open(lab.path("stream")).unwrap());
    assert!(import.output().expect("fossil runs").status.success());
    path
}

#[test]
fn an_imported_git_history_is_rebuilt_as_by_stock() {
    let lab = Lab::new();
    let path = imported_from_git(&lab);
    let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
    repo.rebuild(now(), Trust::Nothing, |_, _| {}).unwrap();
    drop(repo);
    assert_as_rebuilt(&lab, &path);
}

#[test]
fn a_check_in_that_was_given_another_parent_stands_where_stock_puts_it() {
    let lab = Lab::new();
    let path = lab.path("a.fossil");
    let tree = lab.dir("tree");
    drop(create(&lab, "a.fossil"));
    lab.fossil_in(&tree, &["open", path.to_str().unwrap()]);
    for name in ["a", "b", "c", "d"] {
        fs::write(tree.join(name), name).unwrap();
        lab.fossil_in(&tree, &["addremove"]);
        lab.fossil_in(&tree, &["commit", "-m", name, "--no-warnings"]);
    }
    let named = |name: &str| {
        let conn = Connection::open(&path).unwrap();
        let sql = "SELECT uuid FROM blob JOIN event ON objid=rid WHERE comment=?1";
        conn.query_row(sql, [name], |row| row.get::<_, String>(0))
            .unwrap()
    };
    let (child, first, second) = (named("d"), named("a"), named("b"));
    lab.fossil_in(&tree, &["reparent", &child, &first, &second]);
    let (mut one_by_one, copy) = empty(&lab, "b.fossil");
    for (name, content, visibility) in artifacts(&path) {
        one_by_one
            .write(now(), |tx| tx.store_named(&name, &content, visibility))
            .unwrap();
    }
    drop(one_by_one);
    let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
    repo.rebuild(now(), Trust::Stored, |_, _| {}).unwrap();
    drop(repo);
    for repository in [&path, &copy] {
        let ours = dump(repository);
        assert_same(&ours, &dump(&lab.rebuilt_copy(repository)), "reparented");
        let link = ours.iter().filter(|line| {
            line.starts_with("plink") && line.contains(&child) && line.contains(&first)
        });
        assert_eq!(link.count(), 1, "{ours:#?}");
    }
}

#[test]
fn a_file_that_a_merge_adds_is_new_whichever_ancestor_comes_last() {
    let lab = Lab::new();
    let path = lab.path("a.fossil");
    let tree = lab.dir("tree");
    drop(create(&lab, "a.fossil"));
    lab.fossil_in(&tree, &["open", path.to_str().unwrap()]);
    let commit = |name: &str, more: &[&str]| {
        fs::write(tree.join(name), name).unwrap();
        lab.fossil_in(&tree, &["add", name]);
        let args = ["commit", "-m", name, "--no-warnings"];
        lab.fossil_in(&tree, &[&args, more].concat());
    };
    commit("a", &[]);
    commit("branch", &["--branch", "side"]);
    lab.fossil_in(&tree, &["update", "trunk"]);
    commit("trunk", &[]);
    lab.fossil_in(&tree, &["merge", "side"]);
    // Neither of the two ancestors has this one; `branch` came by merging.
    commit("both", &[]);
    let mut source = artifacts(&path);
    let of_side = source
        .iter()
        .position(|(_, content, _)| content.starts_with(b"C branch\n"))
        .expect("the other ancestor");
    let last = source.remove(of_side);
    source.push(last);
    let (mut repo, late) = empty(&lab, "late.fossil");
    for (name, content, visibility) in source {
        repo.write(now(), |tx| tx.store_named(&name, &content, visibility))
            .unwrap();
    }
    drop(repo);
    // The rows are now in the order in which a rebuild goes through them, too.
    let rebuilt = lab.path("rebuilt.fossil");
    fs::copy(&late, &rebuilt).unwrap();
    let mut repo = Repository::open(&rebuilt, Access::ReadWrite).unwrap();
    repo.rebuild(now(), Trust::Stored, |_, _| {}).unwrap();
    drop(repo);
    for repository in [&late, &rebuilt] {
        let ours = dump(repository);
        assert_same(&ours, &dump(&lab.rebuilt_copy(repository)), "merged");
    }
    let merged = Connection::open(&rebuilt).unwrap();
    let merged: Vec<(String, i64)> = merged
        .prepare("SELECT name, pid FROM mlink JOIN filename USING(fnid) WHERE pid<=0 AND NOT isaux AND pmid>0")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(merged.contains(&("both".to_owned(), 0)), "{merged:?}");
    assert!(merged.contains(&("branch".to_owned(), -1)), "{merged:?}");
}

#[test]
fn a_project_chooses_its_ticket_columns_and_nothing_else() {
    let lab = Lab::new();
    let path = lab.everything("a.fossil");
    let own = "CREATE TABLE ticket(tkt_id INTEGER PRIMARY KEY, tkt_uuid TEXT UNIQUE, tkt_mtime DATE, title TEXT, extra);
               CREATE INDEX ticket_i ON ticket(title);";
    let hostile = format!("{own} DELETE FROM blob;");
    for (script, has_extra) in [
        (own, true),
        (&hostile, false),
        ("COMMIT; DROP TABLE user", false),
    ] {
        let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
        repo.write(now(), |tx| tx.set_config("ticket-table", script))
            .unwrap();
        repo.rebuild(now(), Trust::Stored, |_, _| {}).unwrap();
        drop(repo);
        let conn = Connection::open(&path).unwrap();
        let extra: bool = conn
            .query_row(
                "SELECT EXISTS(SELECT 1 FROM pragma_table_info('ticket') WHERE name='extra')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(extra, has_extra, "{script}");
        let title: String = conn
            .query_row("SELECT title FROM ticket", [], |row| row.get(0))
            .unwrap();
        assert_eq!(title, "It <breaks>");
        lab.assert_sound(&path);
    }
}

/// Returns an artifact made of the given cards, with its seal.
fn sealed(cards: &str) -> Vec<u8> {
    let seal = Md5::of(cards.as_bytes()).to_hex();
    [cards.as_bytes(), b"Z ", &seal, b"\n"].concat()
}

fn store_each(repo: &mut Repository, artifacts: &[Vec<u8>]) {
    for content in artifacts {
        repo.write(now(), |tx| tx.store(content, Visibility::Public))
            .unwrap();
    }
}

#[test]
fn forum_threads_carry_their_present_title() {
    let root = sealed("D 2024-01-01T10:00:00\nH A\\stitle\nU ann\nW 5\nhello\n");
    let root_name = HashName::sha3_of(&root);
    let reply = sealed(&format!(
        "D 2024-01-01T11:00:00\nG {root_name}\nI {root_name}\nU bob\nW 5\nreply\n"
    ));
    let reply_name = HashName::sha3_of(&reply);
    let retitled = sealed(&format!(
        "D 2024-01-01T12:00:00\nG {root_name}\nH Another\\s'title'\nP {root_name}\nU ann\nW 3\nhey\n"
    ));
    let edited = sealed(&format!(
        "D 2024-01-01T13:00:00\nG {root_name}\nI {root_name}\nP {reply_name}\nU bob\nW 6\nedited\n"
    ));
    let deleted = sealed(&format!(
        "D 2024-01-01T14:00:00\nG {root_name}\nI {root_name}\nP {}\nU bob\nW 0\n\n",
        HashName::sha3_of(&edited)
    ));
    let lab = Lab::new();
    let thread = [root, reply, retitled, edited, deleted];
    let backwards: Vec<Vec<u8>> = thread.iter().rev().cloned().collect();
    for (name, posts) in [("f.fossil", &thread[..]), ("b.fossil", &backwards)] {
        // With a trunk: where there is none, stock's rebuild makes one.
        let mut repo = create(&lab, name);
        let path = lab.path(name);
        store_each(&mut repo, posts);
        drop(repo);
        let ours = dump(&path);
        assert_same(&ours, &dump(&lab.rebuilt_copy(&path)), name);
        let titled = ours.iter().filter(|line| line.contains("Another 'title'"));
        assert_eq!(titled.count(), 5, "{ours:#?}");
    }
}

#[test]
fn check_ins_of_the_same_moment_stand_in_their_order() {
    let lab = Lab::new();
    let (mut repo, path) = empty(&lab, "a.fossil");
    let mut history: Vec<Vec<u8>> = Vec::new();
    // The fourth is by a clock that is a second behind.
    for (number, second) in [20, 20, 20, 19, 19, 21, 21].into_iter().enumerate() {
        let parent = history.last().map(|parent| HashName::sha3_of(parent));
        let parent = parent.map_or(String::new(), |parent| format!("P {parent}\n"));
        history.push(sealed(&format!(
            "C number\\s{number}\nD 2024-01-01T10:00:{second}\n{parent}R d41d8cd98f00b204e9800998ecf8427e\n\
             T *branch * trunk\nT *sym-trunk *\nU ann\n"
        )));
    }
    store_each(&mut repo, &history);
    drop(repo);
    assert_same(&dump(&path), &dump(&lab.rebuilt_copy(&path)), "close times");
}
