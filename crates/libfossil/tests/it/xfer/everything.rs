//! A repository with something of everything in it, carried whole in each direction, anonymous and logged in.

use std::path::{Path, PathBuf};

use libfossil::db::{NewRepository, Repository};
use libfossil::name::ProjectCode;
use libfossil::xfer::client::Goal;
use libfossil::xfer::{Client, Server};

use super::project::{add_user, on, private_names};
use super::rig::{self, Loopback, PULL, PUSH, SYNC};
use crate::crosslink::imported_from_git;
use crate::dump;
use crate::stock::Lab;

/// Returns the repository, in which anyone may clone and `eve` may do all.
fn source(lab: &Lab) -> PathBuf {
    let path = lab.everything("source.fossil");
    add_user(lab, &path, "eve", "iox", "pw");
    std::fs::write(lab.path("twenty"), vec![7; 20 << 20]).unwrap();
    let file = lab.path("twenty").display().to_string();
    on(
        lab,
        &path,
        &format!("uv add {file} --as twenty.bin --user eve"),
    );
    path
}

/// Fails unless `clone` holds what `source` holds, private content left out where there is none, and has the tables that stock computes.
fn assert_whole(lab: &Lab, source: &Path, clone: &Path) {
    let mut expected = lab.artifacts(source);
    if private_names(lab, clone).is_empty() {
        let private = private_names(lab, source);
        assert!(!private.is_empty());
        expected.retain(|hash| !private.contains(hash));
    } else {
        assert_eq!(private_names(lab, clone), private_names(lab, source));
    }
    assert_eq!(lab.artifacts(clone), expected);
    lab.assert_sound(clone);
}

/// Fails unless the tables are those that stock computes from the same artifacts.
fn assert_as_stock_computes(lab: &Lab, path: &Path) {
    let stock = lab.rebuilt_copy(path);
    dump::assert_same(
        &dump::dump(path),
        &dump::dump(&stock),
        &path.display().to_string(),
    );
}

#[test]
fn stock_clones_everything_from_ours() {
    let lab = Lab::new();
    let ours = source(&lab);
    let server = Loopback::serve(ours.clone(), Server::default());
    for (name, user) in [("anonymous", None), ("eve", Some(("eve", "pw")))] {
        let clone = lab.path(&format!("{name}.fossil"));
        let path = clone.to_str().unwrap();
        lab.fossil(&[
            "clone",
            &server.url(user),
            path,
            "-A",
            "ada",
            "-u",
            "--once",
        ]);
        assert_whole(&lab, &ours, &clone);
        assert_eq!(on(&lab, &clone, "uv hash"), on(&lab, &ours, "uv hash"));
    }
    let clone = lab.path("eve.fossil");
    let url = server.url(Some(("eve", "pw")));
    on(&lab, &clone, &format!("sync {url} --private --user ada"));
    assert!(!private_names(&lab, &clone).is_empty());
    assert_whole(&lab, &ours, &clone);
    assert_eq!(server.refusals(), Vec::<String>::new());
}

#[test]
fn ours_clones_everything_from_stock() {
    let lab = Lab::new();
    let theirs = source(&lab);
    for (name, login, private) in [
        ("anonymous", None, false),
        ("eve", rig::login("eve", "pw"), false),
        ("all", rig::login("eve", "pw"), true),
    ] {
        let goal = Goal {
            private,
            unversioned: true,
            ..PULL
        };
        let clone = lab.path(&format!("{name}.fossil"));
        rig::clone(&clone, goal, login, |request| {
            rig::stock(&lab, &theirs, request)
        })
        .expect("cloned");
        assert_eq!(!private_names(&lab, &clone).is_empty(), private, "{name}");
        assert_whole(&lab, &theirs, &clone);
        assert_as_stock_computes(&lab, &clone);
        assert_eq!(on(&lab, &clone, "uv hash"), on(&lab, &theirs, "uv hash"));
    }
}

/// Returns a repository of the same project that holds nothing yet, where anyone may write and `eve` may do all.
fn empty_twin(lab: &Lab, source: &Path, name: &str) -> PathBuf {
    let path = lab.path(name);
    let code = lab.query(source, "SELECT value FROM config WHERE name='project-code'");
    let new = NewRepository {
        project_code: Some(ProjectCode::parse(code[0].as_bytes()).expect("a code")),
        server_code: ProjectCode::from_random([9; 20]),
        project_name: None,
        admin: "ada",
        password: "",
        initial_check_in: false,
        now: rig::now(),
    };
    drop(Repository::create(&path, &new).expect("created"));
    on(lab, &path, "user capabilities nobody gio");
    add_user(lab, &path, "eve", "ioxy", "pw");
    path
}

const LOGINS: [(&str, Option<(&str, &str)>); 2] =
    [("anonymous", None), ("eve", Some(("eve", "pw")))];

/// All that can travel.
const ALL: Goal = Goal {
    private: true,
    unversioned: true,
    ..SYNC
};

#[test]
fn stock_pushes_everything_to_ours_and_pulls_it_back() {
    let lab = Lab::new();
    let theirs = source(&lab);
    let stock = |repo: &Path, line: String| on(&lab, repo, &format!("{line} --once --user eve"));
    for (name, user) in LOGINS {
        let ours = empty_twin(&lab, &theirs, &format!("{name}.fossil"));
        let server = Loopback::serve(ours.clone(), Server::default());
        let url = server.url(user);
        stock(&theirs, format!("push {url}"));
        assert_whole(&lab, &theirs, &ours);
        assert_as_stock_computes(&lab, &ours);
        let back = empty_twin(&lab, &theirs, &format!("{name}-back.fossil"));
        stock(&back, format!("pull {url}"));
        assert_whole(&lab, &theirs, &back);
    }
    let ours = empty_twin(&lab, &theirs, "all.fossil");
    let server = Loopback::serve(ours.clone(), Server::default());
    let url = server.url(Some(("eve", "pw")));
    stock(&theirs, format!("sync {url} --private -u"));
    assert!(!private_names(&lab, &ours).is_empty());
    assert_whole(&lab, &theirs, &ours);
    assert_as_stock_computes(&lab, &ours);
    assert_eq!(on(&lab, &ours, "uv hash"), on(&lab, &theirs, "uv hash"));
    assert_eq!(server.refusals(), Vec::<String>::new());
}

#[test]
fn ours_pushes_everything_to_stock_and_pulls_it_back() {
    let lab = Lab::new();
    let ours = source(&lab);
    let exchange = |repo: &Path, goal, user: Option<(&str, &str)>, server: &Path| {
        let login = user.and_then(|(user, password)| rig::login(user, password));
        let mut client = Client::new(goal, login);
        rig::drive(&mut client, &mut rig::open(repo), |request| {
            rig::stock(&lab, server, request)
        })
        .expect("exchanged")
    };
    for (name, user) in LOGINS {
        let theirs = empty_twin(&lab, &ours, &format!("{name}.fossil"));
        exchange(&ours, PUSH, user, &theirs);
        assert_whole(&lab, &ours, &theirs);
        let back = empty_twin(&lab, &ours, &format!("{name}-back.fossil"));
        exchange(&back, PULL, user, &theirs);
        assert_whole(&lab, &ours, &back);
        assert_as_stock_computes(&lab, &back);
    }
    let theirs = empty_twin(&lab, &ours, "all.fossil");
    exchange(&ours, ALL, Some(("eve", "pw")), &theirs);
    assert!(!private_names(&lab, &theirs).is_empty());
    assert_whole(&lab, &ours, &theirs);
    assert_eq!(on(&lab, &theirs, "uv hash"), on(&lab, &ours, "uv hash"));
}

#[test]
fn a_history_imported_from_git_is_cloned_both_ways() {
    let lab = Lab::new();
    let source = imported_from_git(&lab);
    let ours = lab.path("ours.fossil");
    rig::clone(&ours, PULL, None, |request| {
        rig::stock(&lab, &source, request)
    })
    .expect("cloned");
    lab.assert_equal(&source, &ours);
    let server = Loopback::serve(ours.clone(), Server::default());
    on(&lab, &ours, "user capabilities nobody g");
    let theirs = lab.path("theirs.fossil");
    let path = theirs.to_str().unwrap();
    lab.fossil(&["clone", &server.url(None), path, "-A", "ada", "--once"]);
    lab.assert_equal(&ours, &theirs);
}

#[test]
fn a_public_delta_on_something_private_is_cloned_whole_by_stock() {
    let lab = Lab::new();
    let ours = source(&lab);
    let before = private_names(&lab, &ours).len();
    // As a stock that was killed between two statements leaves it.
    lab.query_write(
        &ours,
        "INSERT INTO private SELECT srcid FROM delta WHERE srcid NOT IN private AND srcid NOT IN (SELECT rid FROM delta) LIMIT 1",
    );
    assert_eq!(private_names(&lab, &ours).len(), before + 1);
    let server = Loopback::serve(ours.clone(), Server::default());
    let clone = lab.path("clone.fossil");
    let path = clone.to_str().unwrap();
    lab.fossil(&["clone", &server.url(None), path, "-A", "ada", "--once"]);
    assert_whole(&lab, &ours, &clone);
}
