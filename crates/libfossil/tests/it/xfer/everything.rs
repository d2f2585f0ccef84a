//! A repository with something of everything in it, carried whole in each direction, anonymous and logged in.

use std::path::{Path, PathBuf};

use libfossil::xfer::Server;
use libfossil::xfer::client::Goal;

use super::project::{add_user, on, private_names};
use super::rig::{self, Loopback, PULL};
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
