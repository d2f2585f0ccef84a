//! Check-ins made by us, judged by stock Fossil: it opens them, builds on them and finds nothing wrong.

mod random;
mod refusals;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use libfossil::artifact::{self, Artifact, CheckIn, Permission};
use libfossil::checkin::{self, Change, CheckInError, Committed, Date, NewCheckIn};
use libfossil::db::{NewRepository, Repository, Visibility};
use libfossil::history;
use libfossil::name::{HashName, ProjectCode, RepoPath};
use libfossil::time::Timestamp;

use crate::stock::Lab;

/// 2026-01-02T03:04:05Z, when these tests happen.
const START: Timestamp = Timestamp::from_unix_millis(1_767_323_045_000);

/// A repository of ours, and a stock that looks at it.
struct Project {
    lab: Lab,
    repo: Repository,
    path: PathBuf,
    now: Timestamp,
}

impl Project {
    fn new() -> Self {
        Self::starting_with(true)
    }

    fn starting_with(initial_check_in: bool) -> Self {
        let lab = Lab::new();
        let path = lab.path("ours.fossil");
        let new = NewRepository {
            project_code: Some(ProjectCode::from_random([7; 20])),
            server_code: ProjectCode::from_random([8; 20]),
            project_name: None,
            admin: "tester",
            password: "secret",
            initial_check_in,
            now: START,
        };
        let repo = Repository::create(&path, &new).expect("created");
        Self {
            lab,
            repo,
            path,
            now: START,
        }
    }

    /// Makes a check-in, a minute after the one before.
    fn commit(&mut self, new: &NewCheckIn<'_>) -> Result<Committed, CheckInError> {
        self.now = self.now.saturating_add_millis(60_000);
        checkin::commit(&mut self.repo, self.now, new)
    }

    /// Makes a check-in of `changes` on the main branch.
    fn change(&mut self, changes: Vec<Change>) -> Committed {
        self.commit(&NewCheckIn {
            changes,
            ..NewCheckIn::new("tester", "a change")
        })
        .expect("committed")
    }

    fn check_in(&self, name: &HashName) -> CheckIn<'static> {
        let rid = self.repo.rid(name).expect("read").expect("present");
        let content = self.repo.content(rid).expect("read");
        match artifact::parse(&content) {
            Ok(Artifact::CheckIn(check_in)) => check_in.into_owned(),
            other => panic!("not a check-in: {other:?}"),
        }
    }

    fn paths(&self, version: &str) -> Vec<String> {
        let rid = history::resolve(&self.repo, version).expect("resolved");
        let files = history::files(&self.repo, rid).expect("read");
        files.iter().map(|file| file.path.to_string()).collect()
    }

    /// Opens a stock check-out of the repository.
    fn open(&self, args: &[&str]) -> PathBuf {
        let checkout = self.lab.path("checkout");
        fs::create_dir(&checkout).expect("made");
        self.lab
            .fossil_in(&checkout, &[&["open", "../ours.fossil"], args].concat());
        checkout
    }

    /// Lets stock read everything and derive everything anew, which must give what we derived.
    fn assert_accepted(&self) {
        self.lab.assert_sound(&self.path);
        let before = self.derived();
        self.lab.fossil(&["rebuild", "ours.fossil"]);
        assert_eq!(self.derived(), before);
    }

    /// Returns the main derived tables as stock shows them.
    fn derived(&self) -> String {
        const DUMP: &str = "
            SELECT type, round(mtime*86400.0, 3), b.uuid, user, comment FROM event JOIN blob b ON b.rid=objid ORDER BY 3;
            SELECT p.uuid, c.uuid, isprim, round(mtime*86400.0, 3) FROM plink JOIN blob p ON p.rid=pid
              JOIN blob c ON c.rid=cid ORDER BY 1, 2;
            SELECT b.uuid, tagname, tagtype, value, srcid>0 FROM tagxref JOIN tag USING(tagid) JOIN blob b USING(rid)
              ORDER BY 1, 2;
            SELECT b.uuid FROM leaf JOIN blob b USING(rid) ORDER BY 1;
            SELECT m.uuid, f.name, coalesce((SELECT uuid FROM blob WHERE rid=fid),''), mperm, isaux,
                   coalesce((SELECT name FROM filename WHERE fnid=pfnid),'')
              FROM mlink JOIN blob m ON m.rid=mid JOIN filename f USING(fnid) ORDER BY 1, 2, 5, 3;";
        self.lab.fossil(&["sql", "-R", "ours.fossil", DUMP])
    }
}

fn path(path: &str) -> RepoPath<'static> {
    path.parse().expect("storable")
}

fn put(file: &str, content: &str) -> Change {
    put_as(file, content, Permission::Regular)
}

fn put_as(file: &str, content: &str, permission: Permission) -> Change {
    Change::Put {
        path: path(file),
        content: content.to_owned().into(),
        permission,
    }
}

fn delete(file: &str) -> Change {
    Change::Delete { path: path(file) }
}

fn rename(from: &str, to: &str) -> Change {
    Change::Rename {
        from: path(from),
        to: path(to),
    }
}

#[test]
fn without_a_parent_named_the_branch_continues_and_files_carry_forward() {
    let mut project = Project::new();
    let first = project.change(vec![put("a", "1\n"), put("b/c", "2\n"), put("z ü", "3\n")]);
    let second = project.change(vec![put("a", "changed\n"), delete("b/c")]);
    assert_eq!(second.parent, Some(first.name));
    assert_eq!(second.branch, "trunk");
    assert_eq!(project.paths("tip"), ["a", "z ü"]);

    let checkout = project.open(&[]);
    assert_eq!(
        fs::read_to_string(checkout.join("a")).expect("read"),
        "changed\n"
    );
    assert!(!checkout.join("b/c").exists());
    fs::write(checkout.join("a"), "by stock\n").expect("written");
    project
        .lab
        .fossil_in(&checkout, &["commit", "-m", "on top", "--no-warnings"]);
    let stocks = history::resolve(&project.repo, "tip").expect("resolved");

    // The clock of these tests is behind stock's, and the new check-in is dated after its parent all the same.
    let third = project.change(vec![put("d", "4\n")]);
    assert_eq!(
        third.parent,
        Some(project.repo.name(stocks).expect("named"))
    );
    let (parent, child) = (
        project.check_in(&third.parent.expect("a parent")),
        project.check_in(&third.name),
    );
    assert!(child.date > parent.date);
    project.lab.fossil_in(&checkout, &["update"]);
    assert_eq!(
        fs::read_to_string(checkout.join("a")).expect("read"),
        "by stock\n"
    );
    assert_eq!(fs::read_to_string(checkout.join("d")).expect("read"), "4\n");
    assert_eq!(project.lab.fossil_in(&checkout, &["changes"]), "");
    project.assert_accepted();
}

#[test]
fn permissions_reach_a_stock_check_out() {
    let mut project = Project::new();
    project.change(vec![
        put_as("run", "#!/bin/sh\n", Permission::Executable),
        put_as("link", "run", Permission::Symlink),
        put("plain", "x\n"),
    ]);
    project.change(vec![Change::SetPermission {
        path: path("plain"),
        permission: Permission::Executable,
    }]);
    project
        .lab
        .fossil(&["settings", "-R", "ours.fossil", "allow-symlinks", "on"]);
    let checkout = project.open(&[]);
    for file in ["run", "plain"] {
        let mode = fs::metadata(checkout.join(file))
            .expect("there")
            .permissions()
            .mode();
        assert_ne!(mode & 0o100, 0, "{file}");
    }
    assert_eq!(
        fs::read_link(checkout.join("link")).expect("a link"),
        PathBuf::from("run")
    );
    project.assert_accepted();
}

#[test]
fn renames_are_told_apart_from_new_files() {
    let mut project = Project::new();
    project.change(vec![put("a", "1\n"), put("b", "2\n"), put("c", "3\n")]);
    // Two files change places, and a third is renamed and changed; there is a new one in its old place.
    let second = project.change(vec![
        rename("a", "aside"),
        rename("b", "a"),
        rename("aside", "b"),
        rename("c", "d"),
        put("d", "3, changed\n"),
        put("c", "new\n"),
    ]);
    let files = project.check_in(&second.name).files;
    let told: Vec<(String, Option<String>)> = files
        .into_iter()
        .map(|file| {
            (
                file.path.to_string(),
                file.old_path.map(|old| old.to_string()),
            )
        })
        .collect();
    let renamed = |to: &str, from: Option<&str>| (to.to_owned(), from.map(str::to_owned));
    assert_eq!(
        told,
        [
            renamed("a", Some("b")),
            renamed("b", Some("a")),
            renamed("c", None),
            renamed("d", Some("c"))
        ]
    );
    project.assert_accepted();
}

#[test]
fn a_new_branch_starts_once_and_is_continued_by_name() {
    let mut project = Project::new();
    let first = project.change(vec![put("a", "1\n")]);
    let side = |change| NewCheckIn {
        branch: Some("side"),
        changes: vec![change],
        ..NewCheckIn::new("tester", "side")
    };
    let second = project.commit(&side(put("b", "2\n"))).expect("started");
    let third = project.commit(&side(put("c", "3\n"))).expect("continued");
    let fourth = project.change(vec![put("d", "4\n")]);
    assert_eq!(second.parent, Some(first.name));
    assert_eq!(
        (third.parent, third.branch.as_str()),
        (Some(second.name), "side")
    );
    assert_eq!(fourth.parent, Some(first.name));

    let text = String::from_utf8(project.check_in(&second.name).to_bytes()).expect("text");
    assert!(
        text.contains("\nT *branch * side\nT *sym-side *\nT -sym-trunk *\nU "),
        "{text}"
    );
    assert!(project.check_in(&third.name).tags.is_empty());
    let branches = project.lab.fossil(&["branch", "list", "-R", "ours.fossil"]);
    assert_eq!(
        branches.split_whitespace().collect::<Vec<_>>(),
        ["side", "trunk"]
    );
    assert_eq!(project.paths("side"), ["a", "b", "c"]);
    assert_eq!(project.paths("trunk"), ["a", "d"]);

    let elsewhere = NewCheckIn {
        parent: Some(first.name),
        ..side(put("e", "5\n"))
    };
    assert!(
        matches!(project.commit(&elsewhere), Err(CheckInError::BranchExists(name)) if name == "side")
    );
    project.assert_accepted();
}

#[test]
fn a_merge_has_both_parents_and_ends_the_fork() {
    let mut project = Project::new();
    let first = project.change(vec![put("a", "1\n")]);
    let side = NewCheckIn {
        branch: Some("side"),
        changes: vec![put("b", "2\n")],
        tags: vec!["release 1"],
        ..NewCheckIn::new("tester", "side")
    };
    let side = project.commit(&side).expect("committed");
    project.change(vec![put("c", "3\n")]);
    let merge = NewCheckIn {
        changes: vec![put("b", "2\n")],
        merged: vec![side.name],
        ..NewCheckIn::new("tester", "merge")
    };
    let merge = project.commit(&merge).expect("merged");
    assert_eq!(
        project.check_in(&merge.name).parents,
        [merge.parent.expect("a parent"), side.name]
    );
    assert_eq!(project.paths("release 1"), ["a", "b"]);
    let info = project.lab.fossil(&["info", "trunk", "-R", "ours.fossil"]);
    assert!(
        info.contains("merged-from:") && info.contains(side.name.as_str().split_at(40).0),
        "{info}"
    );

    let twice = NewCheckIn {
        merged: vec![first.name, first.name],
        ..NewCheckIn::new("tester", "twice")
    };
    assert!(
        matches!(project.commit(&twice), Err(CheckInError::RepeatedParent(name)) if name == first.name)
    );
    project.assert_accepted();
}

#[test]
fn the_checksum_over_all_files_is_the_one_that_stock_computes() {
    let mut project = Project::new();
    let ours = project.change(vec![
        put("a b", "1\n"),
        put("a-b", ""),
        put("a/b", "no newline"),
        put_as("run", "x\n", Permission::Executable),
    ]);
    let checkout = project.open(&[]);
    project.lab.fossil_in(
        &checkout,
        &["commit", "-m", "same", "--no-warnings", "--allow-empty"],
    );
    let rid = history::resolve(&project.repo, "tip").expect("resolved");
    let stocks = project.repo.name(rid).expect("named");
    let checksum = project.check_in(&ours.name).checksum;
    assert!(checksum.is_some());
    assert_eq!(project.check_in(&stocks).checksum, checksum);

    project
        .repo
        .write(START, |tx| tx.set_config("repo-cksum", "off"))
        .expect("set");
    let without = project.change(vec![put("a b", "2\n")]);
    assert_eq!(project.check_in(&without.name).checksum, None);
    project.assert_accepted();
}

#[test]
fn an_empty_repository_gets_a_first_check_in_on_the_main_branch() {
    let mut project = Project::starting_with(false);
    let first = project.change(vec![put("a", "1\n")]);
    assert_eq!((first.parent, first.branch.as_str()), (None, "trunk"));
    let second = project.change(vec![put("b", "2\n")]);
    assert_eq!(second.parent, Some(first.name));
    project.open(&[]);
    project.assert_accepted();
}

#[test]
fn what_is_built_on_a_private_check_in_is_private() {
    let mut project = Project::new();
    let secret = NewCheckIn {
        visibility: Visibility::Private,
        branch: Some("secret"),
        changes: vec![put("a", "1\n")],
        ..NewCheckIn::new("tester", "secret")
    };
    let secret = project.commit(&secret).expect("committed");
    let on_top = NewCheckIn {
        parent: Some(secret.name),
        changes: vec![put("b", "2\n")],
        ..NewCheckIn::new("tester", "on top")
    };
    let on_top = project.commit(&on_top).expect("committed");
    for name in [secret.name, on_top.name, HashName::sha3_of(b"2\n")] {
        let rid = project.repo.rid(&name).expect("read").expect("present");
        assert!(project.repo.is_private(rid).expect("read"), "{name}");
    }
    project.assert_accepted();
}

#[test]
fn a_version_with_a_shunned_file_is_built_on() {
    let mut project = Project::new();
    project.change(vec![put("kept.txt", "kept"), put("shunned.txt", "gone")]);
    let gone = HashName::sha3_of(b"gone");
    let shun = format!("INSERT INTO shun(uuid, mtime) VALUES('{gone}', 0)");
    project.lab.fossil(&["sql", "-R", "ours.fossil", &shun]);
    project.lab.fossil(&["rebuild", "ours.fossil"]);
    assert_eq!(project.repo.rid(&gone).expect("read"), None);
    let next = project.change(vec![put("new.txt", "new")]);
    assert_eq!(project.paths("tip"), ["kept.txt", "new.txt", "shunned.txt"]);
    // Nobody can compute a checksum over what is not here.
    assert_eq!(project.check_in(&next.name).checksum, None);
    project.assert_accepted();
}

#[test]
fn long_histories_stay_small_and_readable() {
    let mut project = Project::new();
    let mut text: String = (0..400)
        .map(|n| format!("line {n} of a file that changes a little all the time\n"))
        .collect();
    for n in 0..30 {
        text.push_str(&format!("appended {n}\n"));
        project.change(vec![put("log", &text), put(&format!("file {n}"), "x\n")]);
    }
    let stored: i64 = rusqlite::Connection::open(&project.path)
        .expect("opened")
        .query_row("SELECT sum(length(content)) FROM blob", [], |row| {
            row.get(0)
        })
        .expect("summed");
    assert!(
        stored < 40_000,
        "{stored} bytes; older versions are stored as deltas"
    );
    assert_eq!(project.paths("tip").len(), 31);
    project.assert_accepted();
}
