//! Versions, timeline and files of histories that stock made.

use std::fs;
use std::path::PathBuf;

use libfossil::artifact::Permission;
use libfossil::db::{Access, Repository};
use libfossil::history::{self, Change, EventKind, Timeline, VersionError};
use libfossil::name::RepoPath;

use crate::stock::Lab;

/// A project with a branch, a merge, a rename, a deletion, permissions and unusual names.
struct Project {
    lab: Lab,
    checkout: PathBuf,
}

impl Project {
    fn new() -> Self {
        let lab = Lab::new();
        let checkout = lab.path("checkout");
        fs::create_dir(&checkout).expect("a directory");
        lab.fossil(&["new", "project.fossil"]);
        let project = Self { lab, checkout };
        project.fossil(&["open", "../project.fossil"]);
        project
    }

    fn fossil(&self, args: &[&str]) -> String {
        self.lab.fossil_in(&self.checkout, args)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.checkout.join(path), text).expect("a file");
    }

    fn commit(&self, comment: &str, more: &[&str]) -> String {
        self.fossil(&["addremove"]);
        let args = [&["commit", "--no-warnings", "-m", comment], more].concat();
        let said = self.fossil(&args);
        said.lines()
            .find_map(|line| line.strip_prefix("New_Version: "))
            .expect("a new version")
            .to_owned()
    }

    fn repository(&self) -> Repository {
        Repository::open(self.lab.path("project.fossil"), Access::ReadOnly).expect("opens")
    }

    /// One of each: trunk, a branch named `side`, its merge, a rename and a deletion.
    fn with_history() -> (Self, [String; 4]) {
        let project = Self::new();
        project.write("kept name.txt", "one\n");
        project.write("gone.txt", "gone\n");
        project.write("ünïcode.txt", "u\n");
        let first = project.commit("first", &["--tag", "release"]);
        project.write("side.txt", "side\n");
        let side = project.commit("on the side", &["--branch", "side"]);
        project.fossil(&["update", "trunk"]);
        project.fossil(&["rm", "--hard", "gone.txt"]);
        project.fossil(&["mv", "--hard", "kept name.txt", "new name.txt"]);
        project.write("new name.txt", "one\ntwo\n");
        let second = project.commit("second", &[]);
        project.fossil(&["merge", "side"]);
        let merge = project.commit("merge", &[]);
        (project, [first, side, second, merge])
    }
}

fn names(repo: &Repository, version: &str) -> Vec<String> {
    let rid = history::resolve(repo, version).expect("a version");
    let files = history::files(repo, rid).expect("files");
    files
        .iter()
        .map(|file| file.path.to_str_lossy().into_owned())
        .collect()
}

#[test]
fn a_version_is_found_by_every_name_that_stock_finds_it_by() {
    let (project, [first, side, second, merge]) = Project::with_history();
    let repo = project.repository();
    for (version, expected) in [
        ("tip", &merge),
        ("trunk", &merge),
        ("side", &side),
        ("tag:side", &side),
        ("root:side", &first),
        ("release", &first),
        (&first[..12], &first),
        (&second.to_uppercase()[..12], &second),
        (second.as_str(), &second),
        ("2999-01-01", &merge),
    ] {
        let rid = history::resolve(&repo, version).expect(version);
        assert_eq!(
            repo.name(rid).expect("a name").as_str(),
            expected,
            "{version}"
        );
        let said = project.fossil(&["info", version]);
        assert!(
            said.contains(&expected[..40]),
            "stock finds {version} too: {said}"
        );
    }
}

/// Returns a history of `count` check-ins as `git fast-export` writes it.
fn stream(count: usize) -> String {
    use std::fmt::Write;
    let mut stream = String::new();
    for number in 0..count {
        let text = format!("{number}\n");
        let seconds = 1_700_000_000 + number;
        write!(
            stream,
            "commit refs/heads/trunk\ncommitter A <a@b> {seconds} +0000\ndata 1\nm\nM 100644 inline file\ndata {}\n{text}\n",
            text.len()
        )
        .expect("written");
    }
    stream
}

#[test]
fn what_names_nothing_and_what_names_several_are_different_errors() {
    let lab = Lab::new();
    // Among so many hashes some pair is certain to begin with the same four digits.
    fs::write(lab.path("stream"), stream(3000)).expect("a file");
    lab.fossil(&["import", "--git", "project.fossil", "stream"]);
    let repo = Repository::open(lab.path("project.fossil"), Access::ReadOnly).expect("opens");
    let timeline = Timeline::read(&repo, Some(EventKind::CheckIn)).expect("a timeline");
    let rows = timeline.page(&repo, 0, usize::MAX).expect("rows");
    let mut prefixes: Vec<_> = rows.iter().map(|row| &row.name.as_str()[..4]).collect();
    prefixes.sort_unstable();
    let twice = prefixes
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .expect("a pair")[0];
    let error = history::resolve(&repo, twice).expect_err("several fit");
    assert!(
        matches!(error, VersionError::Ambiguous { count: 2.., .. }),
        "{error}"
    );
    for nothing in [
        "",
        "nothing",
        "ffffffffffff",
        "tag:nothing",
        "root:nothing",
        "1970-01-01",
        "' OR 1",
        "abc",
    ] {
        let error = history::resolve(&repo, nothing).expect_err("no such version");
        assert!(
            matches!(error, VersionError::NotFound(_)),
            "{nothing}: {error}"
        );
    }
}

#[test]
fn the_files_of_a_version_are_those_that_stock_lists() {
    let (project, versions) = Project::with_history();
    let repo = project.repository();
    for version in &versions {
        let said = project.fossil(&["ls", "-r", version]);
        assert_eq!(names(&repo, version), said.lines().collect::<Vec<_>>());
    }
    let rid = history::resolve(&repo, "tip").expect("a version");
    let path = RepoPath::new("new name.txt".as_bytes()).expect("a path");
    let (entry, content) = history::file(&repo, rid, &path)
        .expect("readable")
        .expect("there");
    assert_eq!(&content[..], b"one\ntwo\n");
    assert_eq!(entry.permission, Permission::Regular);
    assert_eq!(entry.size(&repo).expect("a size"), Some(8));
    let gone = RepoPath::new("gone.txt".as_bytes()).expect("a path");
    assert!(
        history::file(&repo, rid, &gone)
            .expect("readable")
            .is_none()
    );
}

#[test]
fn a_delta_manifest_gives_the_same_files_as_a_whole_one() {
    let project = Project::new();
    for number in 0..40 {
        project.write(&format!("file{number:02}"), &format!("{number}\n"));
    }
    project.commit("many", &[]);
    fs::remove_file(project.checkout.join("file03")).expect("removed");
    project.write("file07", "changed\n");
    project.write("later", "new\n");
    let version = project.commit("few", &["--delta"]);
    let repo = project.repository();
    let rid = history::resolve(&repo, &version).expect("a version");
    let manifest = repo.content(rid).expect("content");
    assert!(manifest.starts_with(b"B "), "stock wrote a delta manifest");
    let said = project.fossil(&["ls", "-r", &version]);
    assert_eq!(names(&repo, &version), said.lines().collect::<Vec<_>>());
}

#[test]
fn a_check_in_tells_its_relatives_and_what_it_changed() {
    let (project, [first, side, second, merge]) = Project::with_history();
    let repo = project.repository();
    let about = |version: &str| {
        let rid = history::resolve(&repo, version).expect("a version");
        history::describe(&repo, rid).expect("a check-in")
    };
    let details = about(&second);
    assert_eq!(
        (
            details.user.as_str(),
            details.comment.as_str(),
            details.branch.as_str()
        ),
        ("tester", "second", "trunk")
    );
    assert_eq!(
        details
            .parents
            .iter()
            .map(|parent| parent.name.as_str())
            .collect::<Vec<_>>(),
        [&first]
    );
    let (files, total) = details.changed_files(&repo, 0, 100).expect("files");
    let seen: Vec<_> = files
        .iter()
        .map(|file| (file.path.as_str(), file.old_path.as_deref(), file.change))
        .collect();
    assert_eq!(
        seen,
        [
            ("gone.txt", None, Change::Deleted),
            ("new name.txt", Some("kept name.txt"), Change::Renamed)
        ]
    );
    assert_eq!(total, 2);
    assert_eq!(
        details.changed_files(&repo, 1, 1).expect("files").0,
        files[1..]
    );

    let merged = about(&merge);
    let parents: Vec<_> = merged
        .parents
        .iter()
        .map(|parent| (parent.name.as_str(), parent.merge))
        .collect();
    assert_eq!(parents, [(second.as_str(), false), (side.as_str(), true)]);
    assert_eq!(about(&side).children[0].name.as_str(), merge);
    let (files, _) = merged.changed_files(&repo, 0, 100).expect("files");
    assert_eq!(
        (files[0].path.as_str(), files[0].change),
        ("side.txt", Change::Added)
    );
    assert_eq!(about(&first).tags(), ["release"]);
}

#[test]
fn the_timeline_has_every_event_in_order_with_its_graph() {
    let (project, [first, side, second, merge]) = Project::with_history();
    project.fossil(
        &[
            "wiki",
            "create",
            "Page",
            "-M",
            "text/plain",
            "kept name.txt",
        ]
        .map(|arg| {
            if arg == "kept name.txt" {
                "new name.txt"
            } else {
                arg
            }
        }),
    );
    let repo = project.repository();
    let timeline = Timeline::read(&repo, None).expect("a timeline");
    let rows = timeline.page(&repo, 0, 100).expect("rows");
    assert_eq!(rows.len(), timeline.len());
    assert_eq!(rows[0].kind, EventKind::Wiki);
    assert_eq!(rows[0].lane, None);
    let check_ins: Vec<_> = rows
        .iter()
        .filter(|row| row.kind == EventKind::CheckIn)
        .collect();
    let order: Vec<_> = check_ins.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(order[..4], [&merge, &second, &side, &first]);
    let lanes: Vec<_> = check_ins.iter().map(|row| row.lane).collect();
    assert_eq!(lanes, [Some(0), Some(0), Some(1), Some(0), Some(0)]);
    assert!(check_ins[0].merge && check_ins[0].leaf && !check_ins[1].leaf);
    assert_eq!(check_ins[2].branch.as_deref(), Some("side"));
    assert_eq!(timeline.lanes(), 2);
    assert_eq!(timeline.page(&repo, 2, 1).expect("rows"), rows[2..3]);
    assert!(timeline.page(&repo, 1000, 10).expect("rows").is_empty());
    let wiki = Timeline::read(&repo, Some(EventKind::Wiki)).expect("a timeline");
    assert_eq!(wiki.len(), 1);
}
