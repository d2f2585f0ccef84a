//! A stock client against our server, over a loopback socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libfossil::name::HashName;
use libfossil::xfer::Server;

use super::project::{
    add_user, check_out, commit, commit_privately, on, private_names, run, stock_project,
    try_to_run,
};
use super::rig::Loopback;
use crate::stock::Lab;

/// A project that we serve, and a clone that stock made of it.
struct Cloned {
    ours: PathBuf,
    theirs: PathBuf,
    server: Loopback,
}

/// Serves a project made by stock as it is, and has stock clone it as `user`.
fn cloned(lab: &Lab, user: &str) -> Cloned {
    let (ours, _) = stock_project(lab, "ours");
    clone_of(lab, ours, Server::default(), user)
}

fn clone_of(lab: &Lab, ours: PathBuf, server: Server, user: &str) -> Cloned {
    let server = Loopback::serve(ours.clone(), server);
    let theirs = lab.path("theirs.fossil");
    clone(lab, &server, &theirs, user);
    Cloned {
        ours,
        theirs,
        server,
    }
}

fn clone(lab: &Lab, server: &Loopback, theirs: &Path, user: &str) {
    let theirs = theirs.to_str().unwrap();
    lab.fossil(&["clone", &server.url(None), theirs, "-A", user]);
}

#[test]
fn a_stock_client_clones_from_ours_and_syncs_both_ways() {
    let lab = Lab::new();
    let pair = cloned(&lab, "eve");
    lab.assert_equal(&pair.ours, &pair.theirs);

    let work = check_out(&lab, &pair.theirs, "theirs-work");
    commit(&lab, &work, "eve", "b.txt", "from the stock client\n");
    let url = pair.server.url(Some(("ada", "secret")));
    run(&lab, &work, &format!("sync {url} --user eve"));
    lab.assert_equal(&pair.ours, &pair.theirs);
    assert_eq!(pair.server.refusals(), Vec::<String>::new());
}

#[test]
fn a_stock_commit_with_autosync_takes_the_lock_and_arrives_at_once() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    on(&lab, &ours, "user capabilities nobody gio");
    let pair = clone_of(&lab, ours, Server::default(), "ada");
    let work = check_out(&lab, &pair.theirs, "work");
    run(&lab, &work, "settings autosync 1");
    commit(&lab, &work, "ada", "b.txt", "committed with autosync\n");
    lab.assert_equal(&pair.ours, &pair.theirs);
    assert_eq!(pair.server.refusals(), Vec::<String>::new());
    // Someone else holds the lock on the tip: stock warns and does not commit.
    let tip = lab.query(&pair.ours, "SELECT uuid FROM leaf JOIN blob USING(rid)")[0].clone();
    let lock = format!(
        "INSERT INTO config(name, value, mtime) VALUES('ci-lock-{tip}', '{{\"login\":\"bob\",\"clientid\":\"{}\"}}', strftime('%s', 'now'))",
        "f".repeat(40)
    );
    lab.query_write(&pair.ours, &lock);
    std::fs::write(work.join("b.txt"), "more\n").unwrap();
    let said = try_to_run(&lab, &work, "commit -m x --no-warnings --hash --user ada");
    assert!(said.contains("bob"), "{said}");
}

#[test]
fn refusals_reach_the_user_of_a_stock_client() {
    let lab = Lab::new();
    let pair = cloned(&lab, "eve");
    let work = check_out(&lab, &pair.theirs, "work");
    commit(&lab, &work, "eve", "b.txt", "only here\n");
    let before = lab.artifacts(&pair.ours);
    let nobody = pair.server.url(None);
    let wrong = pair.server.url(Some(("ada", "wrong")));
    let wrong = try_to_run(&lab, &work, &format!("push {wrong} --once --user eve"));
    assert!(wrong.contains("login failed"), "{wrong}");
    let reader = try_to_run(&lab, &work, &format!("push {nobody} --once --user eve"));
    assert!(reader.contains("not authorized to write"), "{reader}");
    assert_eq!(lab.artifacts(&pair.ours), before);
    lab.query_write(&pair.theirs, "UPDATE config SET value='8888888888888888888888888888888888888888' WHERE name='project-code'");
    let other = try_to_run(&lab, &work, &format!("pull {nobody} --once --user eve"));
    assert!(other.contains("wrong project"), "{other}");
}

#[test]
fn a_stock_clone_in_many_small_replies_is_whole() {
    let lab = Lab::new();
    let (ours, work) = stock_project(&lab, "ours");
    for number in 0..6 {
        let content = format!("{number}\n").repeat(5000);
        commit(&lab, &work, "ada", &format!("file{number}"), content);
    }
    let large = b"twenty megabytes\n".repeat((20 << 20) / 17);
    std::fs::write(work.join("large"), large).unwrap();
    commit(&lab, &work, "ada", "small", "x");
    let server = Server {
        max_download_bytes: Some(1000),
        ..Server::default()
    };
    let pair = clone_of(&lab, ours, server, "eve");
    lab.assert_equal(&pair.ours, &pair.theirs);
}

#[test]
fn when_the_time_for_a_reply_is_used_up_a_stock_client_goes_on_in_the_next_round() {
    let lab = Lab::new();
    let (ours, work) = stock_project(&lab, "ours");
    for number in 0..10 {
        commit(&lab, &work, "ada", &format!("file{number}"), "text\n");
    }
    lab.query_write(
        &ours,
        "INSERT INTO config(name, value) VALUES('max-download-time', 1)",
    );
    let theirs = lab.path("theirs.fossil");
    // Four contents in a second, of more than twenty.
    let server = Loopback::serve_slowly(ours.clone(), Duration::from_millis(250));
    clone(&lab, &server, &theirs, "eve");
    assert!(server.rounds() > 6, "{}", server.rounds());
    lab.assert_equal(&ours, &theirs);

    for number in 10..20 {
        commit(&lab, &work, "ada", &format!("file{number}"), "more\n");
    }
    // A machine on which the time is always used up still gives one content in each round.
    let slowest = Loopback::serve_slowly(ours.clone(), Duration::from_secs(1));
    let pull = format!("pull {} --user eve", slowest.url(None));
    on(&lab, &theirs, &pull);
    // Ten check-ins and one text.
    assert!(slowest.rounds() >= 11, "{}", slowest.rounds());
    lab.assert_equal(&ours, &theirs);
}

#[test]
fn private_content_goes_to_a_stock_client_with_the_right_only() {
    let lab = Lab::new();
    let (ours, work) = stock_project(&lab, "ours");
    add_user(&lab, &ours, "eve", "iox", "pw");
    let private = commit_privately(&lab, &ours, &work, "secret", "private text\n");
    let pair = clone_of(&lab, ours, Server::default(), "eve");
    assert_eq!(private_names(&lab, &pair.theirs), Vec::<String>::new());
    assert!(lab.artifacts(&pair.theirs).len() < lab.artifacts(&pair.ours).len());
    let url = pair.server.url(Some(("eve", "pw")));
    on(
        &lab,
        &pair.theirs,
        &format!("sync {url} --private --user eve"),
    );
    lab.assert_equal(&pair.ours, &pair.theirs);
    assert_eq!(private_names(&lab, &pair.theirs), private);
}

#[test]
fn unversioned_files_of_a_stock_client_and_ours_become_equal() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    add_user(&lab, &ours, "eve", "oy", "pw");
    let text = "from here\n".repeat(100);
    std::fs::write(lab.path("file"), &text).unwrap();
    let add = format!("uv add {} --as", lab.path("file").display());
    on(
        &lab,
        &ours,
        &format!("{add} ours.txt --mtime 2024-01-01 --user ada"),
    );
    let server = Loopback::serve(ours.clone(), Server::default());
    let theirs = lab.path("theirs.fossil");
    let path = theirs.to_str().unwrap();
    lab.fossil(&["clone", &server.url(None), path, "-A", "eve", "-u"]);
    assert_eq!(on(&lab, &theirs, "uv cat ours.txt"), text);
    on(&lab, &theirs, &format!("{add} theirs.txt --user eve"));
    on(&lab, &theirs, "uv rm ours.txt --user eve");
    let url = server.url(Some(("eve", "pw")));
    on(&lab, &theirs, &format!("uv sync {url} --user eve"));
    assert_eq!(on(&lab, &ours, "uv cat theirs.txt"), text);
    let hash = |repo: &Path| on(&lab, repo, "uv hash");
    assert_eq!(hash(&ours), hash(&theirs));
    assert_eq!(server.refusals(), Vec::<String>::new());
}

#[test]
fn many_artifacts_of_a_stock_client_are_clustered_and_verified() {
    let lab = Lab::new();
    let pair = cloned(&lab, "eve");
    let work = check_out(&lab, &pair.theirs, "work");
    for number in 0..250 {
        let content = format!("content {number}\n");
        std::fs::write(work.join(format!("file{number}")), content).unwrap();
    }
    commit(&lab, &work, "eve", "last", HashName::sha1_of(b"x").as_str());
    let url = pair.server.url(Some(("ada", "secret")));
    for how in ["", "", "--verily"] {
        on(&lab, &pair.theirs, &format!("sync {url} --user eve {how}"));
    }
    lab.assert_equal(&pair.ours, &pair.theirs);
    let unclustered = lab.query(&pair.ours, "SELECT count(*)<20 FROM unclustered");
    assert_eq!(unclustered, ["1"]);
    assert_eq!(pair.server.refusals(), Vec::<String>::new());
}
