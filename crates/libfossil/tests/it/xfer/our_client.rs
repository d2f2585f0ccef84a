//! Our client against a stock server, one fresh process for each request.

use std::path::Path;

use libfossil::db::{Access, Repository, Visibility};
use libfossil::name::HashName;
use libfossil::xfer::Client;
use libfossil::xfer::client::{Goal, Step, Summary, SyncError, is_partial_clone};

use super::project::{
    add_user, check_out, commit, commit_privately, on, private_names, stock_project,
};
use super::rig::{self, PULL, PUSH, SYNC};
use super::server_rules::put;
use crate::stock::Lab;

fn sync(
    lab: &Lab,
    repo: &mut Repository,
    server: &Path,
    goal: Goal,
    user: Option<(&str, &str)>,
) -> Result<Summary, SyncError> {
    let mut client = Client::new(
        goal,
        user.and_then(|(user, password)| rig::login(user, password)),
    );
    rig::drive(&mut client, repo, |request| {
        rig::stock(lab, server, request)
    })
}

/// Clones from a stock repository, as nobody in particular.
fn clone(lab: &Lab, theirs: &Path, path: &Path) -> Repository {
    let (repo, summary) =
        rig::clone(path, PULL, None, |request| rig::stock(lab, theirs, request)).expect("cloned");
    assert_eq!(summary.missing, 0);
    repo
}

/// Sent, received, and in how many rounds.
fn figures(summary: &Summary) -> (usize, usize, usize) {
    (
        summary.artifacts_sent,
        summary.artifacts_received,
        summary.rounds,
    )
}

const ADA: Option<(&str, &str)> = Some(("ada", "secret"));
const EVE: Option<(&str, &str)> = Some(("eve", "pw"));

#[test]
fn our_client_clones_from_stock_and_syncs_both_ways() {
    let lab = Lab::new();
    let (theirs, work) = stock_project(&lab, "theirs");
    let ours = lab.path("ours.fossil");
    let mut repo = clone(&lab, &theirs, &ours);
    lab.assert_equal(&theirs, &ours);

    commit(&lab, &work, "ada", "b.txt", "new there\n");
    let summary = sync(&lab, &mut repo, &theirs, PULL, None).unwrap();
    assert_eq!(summary.artifacts_received, 2);
    lab.assert_equal(&theirs, &ours);

    let here = check_out(&lab, &ours, "here");
    commit(&lab, &here, "cloner", "c.txt", "new here\n");
    let summary = sync(&lab, &mut repo, &theirs, PUSH, ADA).unwrap();
    assert_eq!(summary.artifacts_sent, 2);
    lab.assert_equal(&theirs, &ours);

    let summary = sync(&lab, &mut repo, &theirs, SYNC, ADA).unwrap();
    assert_eq!(figures(&summary), (0, 0, 1));
}

#[test]
fn refusals_of_a_stock_server_are_told_apart() {
    let lab = Lab::new();
    let (theirs, _) = stock_project(&lab, "theirs");
    let mut repo = clone(&lab, &theirs, &lab.path("ours.fossil"));
    let wrong = sync(&lab, &mut repo, &theirs, SYNC, Some(("ada", "wrong")));
    assert!(matches!(wrong, Err(SyncError::LoginFailed)), "{wrong:?}");
    let refused = sync(&lab, &mut repo, &theirs, PUSH, None);
    assert!(
        matches!(refused, Err(SyncError::NotAuthorized(_))),
        "{refused:?}"
    );
    let here = put(&mut repo, b"unsent here", Visibility::Public);
    let readable = sync(&lab, &mut repo, &theirs, SYNC, None).unwrap();
    assert!(readable.push_refused && !lab.artifacts(&theirs).contains(&here.to_string()));
    repo.write(rig::now(), |tx| {
        tx.set_config("project-code", &"8".repeat(40))
    })
    .unwrap();
    let other = sync(&lab, &mut repo, &theirs, SYNC, None);
    assert!(matches!(other, Err(SyncError::WrongProject)), "{other:?}");
    // A clone that nobody may make is refused for good, not for ever.
    on(&lab, &theirs, "user capabilities nobody o");
    for credentials in [None, rig::login("ada", "wrong")] {
        let name = format!("{}.fossil", credentials.is_some());
        let clone = rig::clone(&lab.path(&name), PULL, credentials, |request| {
            rig::stock(&lab, &theirs, request)
        });
        assert!(
            matches!(
                clone,
                Err(SyncError::NotAuthorized(_) | SyncError::LoginFailed)
            ),
            "{clone:?}"
        );
    }
    let path = lab.path("allowed.fossil");
    rig::clone(&path, PULL, rig::login("ada", "secret"), |request| {
        rig::stock(&lab, &theirs, request)
    })
    .unwrap();
    lab.assert_equal(&theirs, &path);
}

#[test]
fn an_interrupted_clone_goes_on_where_it_was() {
    let lab = Lab::new();
    let (theirs, work) = stock_project(&lab, "theirs");
    for number in 0..8_u32 {
        let noise: Vec<u8> = (0..3000_u32)
            .flat_map(|at| {
                HashName::sha1_of(&(at * 8 + number).to_le_bytes()).as_bytes()[..2].to_vec()
            })
            .collect();
        commit(&lab, &work, "ada", &format!("noise{number}"), noise);
    }
    lab.query_write(
        &theirs,
        "INSERT INTO config(name, value) VALUES('max-download', 8000)",
    );
    let path = lab.path("ours.fossil");
    let mut repo = rig::new_clone(&path);
    let mut client = rig::start_clone(&mut repo, PULL, None).unwrap();
    for _ in 0..2 {
        let Step::Send(request) = client.next(&mut repo, rig::now(), [0; 20]).unwrap() else {
            panic!("done too early")
        };
        client
            .receive(&mut repo, rig::stock(&lab, &theirs, &request), rig::now())
            .unwrap();
    }
    let so_far = client.progress().clone();
    drop((client, repo));

    let mut repo = Repository::open(&path, Access::ReadWrite).unwrap();
    assert!(is_partial_clone(&repo).unwrap());
    let mut client = rig::start_clone(&mut repo, PULL, None).unwrap();
    let rest = rig::drive(&mut client, &mut repo, |request| {
        rig::stock(&lab, &theirs, request)
    })
    .unwrap();
    assert!(so_far.artifacts_received > 0 && rest.artifacts_received > 0);
    assert!(!is_partial_clone(&repo).unwrap());
    assert_eq!(
        so_far.artifacts_received + rest.artifacts_received,
        lab.artifacts(&theirs).len()
    );
    lab.assert_equal(&theirs, &path);
    assert!(matches!(
        rig::start_clone(&mut repo, PULL, None),
        Err(SyncError::Misuse(_))
    ));
}

#[test]
fn a_clone_belongs_to_its_owner_and_knows_the_project() {
    let lab = Lab::new();
    let (theirs, _) = stock_project(&lab, "theirs");
    add_user(&lab, &theirs, "eve", "iox", "pw");
    on(&lab, &theirs, "settings ignore-glob *.o");
    lab.query_write(
        &theirs,
        "REPLACE INTO config(name, value, mtime) VALUES('project-name', 'Theirs', 1700000000)",
    );
    let path = lab.path("ours.fossil");
    let (repo, _) = rig::clone(&path, PULL, rig::login("ada", "secret"), |request| {
        rig::stock(&lab, &theirs, request)
    })
    .unwrap();
    let owner = repo.user("cloner").unwrap().unwrap();
    let secret =
        libfossil::db::password_secret(&repo.project_code().unwrap(), "cloner", "clone password");
    assert_eq!((owner.capabilities.as_str(), owner.secret), ("s", secret));
    assert_eq!(
        repo.config("project-name").unwrap().as_deref(),
        Some("Theirs")
    );
    assert_eq!(repo.config("ignore-glob").unwrap().as_deref(), Some("*.o"));
    let eve = repo.user("eve").unwrap().unwrap();
    assert_eq!(eve.capabilities, "iox");
    assert_eq!(
        eve.secret,
        lab.query(&theirs, "SELECT pw FROM user WHERE login='eve'")[0]
    );
    assert_ne!(
        repo.server_code().unwrap().to_string(),
        lab.query(&theirs, "SELECT value FROM config WHERE name='server-code'")[0]
    );
    assert_eq!(lab.query(&path, "SELECT count(*) FROM unsent"), ["0"]);
}

#[test]
fn private_content_of_a_stock_server_comes_only_when_asked_for() {
    let lab = Lab::new();
    let (theirs, work) = stock_project(&lab, "theirs");
    add_user(&lab, &theirs, "eve", "iox", "pw");
    let private = commit_privately(&lab, &theirs, &work, "secret", "private text\n");
    assert!(!private.is_empty());
    let path = lab.path("ours.fossil");
    let mut repo = clone(&lab, &theirs, &path);
    assert!(
        private
            .iter()
            .all(|hash| !lab.artifacts(&path).contains(hash))
    );
    let goal = Goal {
        private: true,
        ..SYNC
    };
    let public = put(&mut repo, b"public here", Visibility::Public);
    let refused = sync(&lab, &mut repo, &theirs, goal, ADA).unwrap();
    assert!(refused.private_refused && private_names(&lab, &path).is_empty());
    assert!(lab.artifacts(&theirs).contains(&public.to_string()));
    sync(&lab, &mut repo, &theirs, goal, EVE).unwrap();
    lab.assert_equal(&theirs, &path);
    assert_eq!(private_names(&lab, &path), private);

    let here = put(&mut repo, b"private here", Visibility::Private);
    sync(&lab, &mut repo, &theirs, SYNC, EVE).unwrap();
    assert!(!lab.artifacts(&theirs).contains(&here.to_string()));
    sync(&lab, &mut repo, &theirs, goal, EVE).unwrap();
    let there = private_names(&lab, &theirs);
    assert!(there.contains(&here.to_string()), "{there:?}");

    let clone = lab.path("private-clone.fossil");
    let goal = Goal {
        private: true,
        ..PULL
    };
    rig::clone(&clone, goal, rig::login("eve", "pw"), |request| {
        rig::stock(&lab, &theirs, request)
    })
    .unwrap();
    lab.assert_equal(&theirs, &clone);

    // Who has no login has no more rights later, and asks at once.
    let clone = |name: &str| {
        let path = lab.path(name);
        let cloned = rig::clone(&path, goal, None, |request| {
            rig::stock(&lab, &theirs, request)
        });
        cloned.map(|_| path)
    };
    let refused = clone("refused.fossil");
    assert!(
        matches!(refused, Err(SyncError::NotAuthorized(_))),
        "{refused:?}"
    );
    on(&lab, &theirs, "user capabilities nobody giox");
    lab.assert_equal(&theirs, &clone("open.fossil").unwrap());
}

#[test]
fn unversioned_files_of_a_stock_server_and_ours_become_equal() {
    let lab = Lab::new();
    let (theirs, _) = stock_project(&lab, "theirs");
    add_user(&lab, &theirs, "eve", "oy", "pw");
    std::fs::write(lab.path("file"), "from there\n".repeat(100)).unwrap();
    let file = lab.path("file").to_str().unwrap().to_owned();
    let add = format!("uv add {file} --as there.txt --mtime 2024-01-01 --user ada");
    on(&lab, &theirs, &add);
    let (mut repo, _) = rig::clone(
        &lab.path("ours.fossil"),
        Goal {
            unversioned: true,
            ..PULL
        },
        None,
        |request| rig::stock(&lab, &theirs, request),
    )
    .unwrap();
    assert_eq!(
        repo.unversioned_content("there.txt").unwrap().unwrap(),
        "from there\n".repeat(100)
    );
    let hash = HashName::sha3_of(b"from here");
    repo.write(rig::now(), |tx| {
        tx.put_unversioned("here.txt", 1_700_000_000, &hash, b"from here")
    })
    .unwrap();
    let alone = Goal {
        unversioned: true,
        ..Goal::default()
    };
    sync(&lab, &mut repo, &theirs, alone, EVE).unwrap();
    assert_eq!(on(&lab, &theirs, "uv cat here.txt"), "from here");
    let stock_hash = on(&lab, &theirs, "uv hash");
    assert_eq!(repo.unversioned_hash().unwrap(), stock_hash.trim());
    on(&lab, &theirs, "uv rm there.txt --user ada");
    sync(&lab, &mut repo, &theirs, alone, EVE).unwrap();
    assert_eq!(repo.unversioned_content("there.txt").unwrap(), None);
}

#[test]
fn many_and_large_artifacts_reach_a_stock_server_and_come_back() {
    let lab = Lab::new();
    let (theirs, _) = stock_project(&lab, "theirs");
    let path = lab.path("ours.fossil");
    let mut repo = clone(&lab, &theirs, &path);
    repo.write(rig::now(), |tx| {
        (0..350).try_for_each(|number| {
            tx.store(format!("content {number}").as_bytes(), Visibility::Public)
                .map(|_| ())
        })?;
        tx.store(
            &b"twenty megabytes\n".repeat((20 << 20) / 17),
            Visibility::Public,
        )
    })
    .unwrap();
    let summary = sync(&lab, &mut repo, &theirs, SYNC, ADA).unwrap();
    assert_eq!(summary.artifacts_sent, 351);
    sync(&lab, &mut repo, &theirs, SYNC, ADA).unwrap();
    lab.assert_equal(&theirs, &path);
    let idle = sync(&lab, &mut repo, &theirs, SYNC, ADA).unwrap();
    assert_eq!(figures(&idle), (0, 0, 1));
    let again = lab.path("again.fossil");
    clone(&lab, &theirs, &again);
    lab.assert_equal(&theirs, &again);
}

#[test]
fn shunned_artifacts_stay_away() {
    let lab = Lab::new();
    let (theirs, work) = stock_project(&lab, "theirs");
    let path = lab.path("ours.fossil");
    let mut repo = clone(&lab, &theirs, &path);
    commit(&lab, &work, "ada", "bad.txt", "shunned text\n");
    let bad = HashName::sha3_of(b"shunned text\n");
    let row = format!("INSERT INTO shun(uuid, mtime) VALUES('{bad}', 1700000000)");
    drop(repo);
    lab.query_write(&path, &row);
    repo = rig::open(&path);
    let summary = sync(&lab, &mut repo, &theirs, PULL, None).unwrap();
    assert_eq!((summary.artifacts_received, summary.missing), (1, 0));
    assert_eq!(repo.rid(&bad).unwrap(), None);
}
