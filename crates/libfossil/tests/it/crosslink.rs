//! The derived tables that we compute are those that stock computes from the same artifacts.

use std::fs;
use std::path::{Path, PathBuf};

use libfossil::db::{Access, NewRepository, Repository, Visibility};
use libfossil::name::{HashName, ProjectCode};
use libfossil::rebuild::Trust;
use rusqlite::Connection;

use crate::dump::{assert_same, dump};
use crate::stock::Lab;
use crate::store::now;

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

#[test]
fn an_imported_git_history_is_rebuilt_as_by_stock() {
    let lab = Lab::new();
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
    let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
    repo.rebuild(now(), Trust::Nothing, |_, _| {}).unwrap();
    drop(repo);
    assert_as_rebuilt(&lab, &path);
}
