//! A stock client against our server, over a loopback socket.

use libfossil::name::HashName;
use libfossil::xfer::Server;

use super::project::{add_user, check_out, commit, on, stock_project};
use super::rig::Loopback;
use crate::stock::Lab;

#[test]
fn a_stock_client_clones_from_ours_and_syncs_both_ways() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    let server = Loopback::serve(ours.clone(), Server::default());
    let theirs = lab.path("theirs.fossil");
    let path = theirs.to_str().unwrap();
    lab.fossil(&["clone", &server.url(None), path, "-A", "eve"]);
    lab.assert_equal(&ours, &theirs);

    let work = check_out(&lab, &theirs, "theirs-work");
    commit(&lab, &work, "eve", "b.txt", "from the stock client\n");
    lab.fossil_in(
        &work,
        &[
            "sync",
            &server.url(Some(("ada", "secret"))),
            "--user",
            "eve",
        ],
    );
    lab.assert_equal(&ours, &theirs);
    assert_eq!(*server.refusals.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn a_stock_commit_with_autosync_takes_the_lock_and_arrives_at_once() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    let server = Loopback::serve(ours.clone(), Server::default());
    on(&lab, &ours, &["user", "capabilities", "nobody", "gio"]);
    let theirs = lab.path("theirs.fossil");
    lab.fossil(&[
        "clone",
        &server.url(None),
        theirs.to_str().unwrap(),
        "-A",
        "ada",
    ]);
    let work = check_out(&lab, &theirs, "work");
    lab.fossil_in(&work, &["settings", "autosync", "1"]);
    commit(&lab, &work, "ada", "b.txt", "committed with autosync\n");
    lab.assert_equal(&ours, &theirs);
    assert_eq!(*server.refusals.lock().unwrap(), Vec::<String>::new());
    // Someone else holds the lock on the tip: stock warns and does not commit.
    let tip = lab.query(&ours, "SELECT uuid FROM leaf JOIN blob USING(rid)")[0].clone();
    let lock = format!(
        "INSERT INTO config(name, value, mtime) VALUES('ci-lock-{tip}', '{{\"login\":\"bob\",\"clientid\":\"{}\"}}', strftime('%s', 'now'))",
        "f".repeat(40)
    );
    lab.query_write(&ours, &lock);
    std::fs::write(work.join("b.txt"), "more\n").unwrap();
    let refused = lab.command(
        &work,
        &[
            "commit",
            "-m",
            "x",
            "--no-warnings",
            "--hash",
            "--user",
            "ada",
        ],
    );
    let output = { refused }
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("bob"), "{said}");
}

#[test]
fn refusals_reach_the_user_of_a_stock_client() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    let server = Loopback::serve(ours.clone(), Server::default());
    let theirs = lab.path("theirs.fossil");
    lab.fossil(&[
        "clone",
        &server.url(None),
        theirs.to_str().unwrap(),
        "-A",
        "eve",
    ]);
    let work = check_out(&lab, &theirs, "work");
    commit(&lab, &work, "eve", "b.txt", "only here\n");
    let before = lab.artifacts(&ours);
    let run = |args: &[&str]| {
        let output = lab
            .command(&work, args)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let wrong = run(&[
        "push",
        &server.url(Some(("ada", "wrong"))),
        "--once",
        "--user",
        "eve",
    ]);
    assert!(wrong.contains("login failed"), "{wrong}");
    let reader = run(&["push", &server.url(None), "--once", "--user", "eve"]);
    assert!(reader.contains("not authorized to write"), "{reader}");
    assert_eq!(lab.artifacts(&ours), before);
    lab.query_write(&theirs, "UPDATE config SET value='8888888888888888888888888888888888888888' WHERE name='project-code'");
    let other = run(&["pull", &server.url(None), "--once", "--user", "eve"]);
    assert!(other.contains("wrong project"), "{other}");
}

#[test]
fn a_stock_clone_in_many_small_replies_is_whole() {
    let lab = Lab::new();
    let (ours, work) = stock_project(&lab, "ours");
    for number in 0..6 {
        commit(
            &lab,
            &work,
            "ada",
            &format!("file{number}"),
            format!("{number}\n").repeat(5000),
        );
    }
    std::fs::write(
        work.join("large"),
        b"twenty megabytes\n".repeat((20 << 20) / 17),
    )
    .unwrap();
    commit(&lab, &work, "ada", "small", "x");
    let server = Loopback::serve(
        ours.clone(),
        Server {
            max_download_bytes: Some(1000),
            ..Server::default()
        },
    );
    let theirs = lab.path("theirs.fossil");
    lab.fossil(&[
        "clone",
        &server.url(None),
        theirs.to_str().unwrap(),
        "-A",
        "eve",
    ]);
    lab.assert_equal(&ours, &theirs);
}

#[test]
fn private_content_goes_to_a_stock_client_with_the_right_only() {
    let lab = Lab::new();
    let (ours, work) = stock_project(&lab, "ours");
    add_user(&lab, &ours, "eve", "iox", "pw");
    std::fs::write(work.join("secret"), "private text\n").unwrap();
    lab.fossil_in(&work, &["add", "secret"]);
    lab.fossil_in(
        &work,
        &[
            "commit",
            "--private",
            "-m",
            "hidden",
            "--no-warnings",
            "--user",
            "ada",
        ],
    );
    let server = Loopback::serve(ours.clone(), Server::default());
    let theirs = lab.path("theirs.fossil");
    lab.fossil(&[
        "clone",
        &server.url(None),
        theirs.to_str().unwrap(),
        "-A",
        "eve",
    ]);
    assert_eq!(lab.query(&theirs, "SELECT count(*) FROM private"), ["0"]);
    assert!(lab.artifacts(&theirs).len() < lab.artifacts(&ours).len());
    on(
        &lab,
        &theirs,
        &[
            "sync",
            &server.url(Some(("eve", "pw"))),
            "--private",
            "--user",
            "eve",
        ],
    );
    lab.assert_equal(&ours, &theirs);
    let names = "SELECT uuid FROM private JOIN blob USING(rid) ORDER BY 1";
    assert_eq!(lab.query(&ours, names), lab.query(&theirs, names));
}

#[test]
fn unversioned_files_of_a_stock_client_and_ours_become_equal() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    add_user(&lab, &ours, "eve", "oy", "pw");
    std::fs::write(lab.path("file"), "from here\n".repeat(100)).unwrap();
    let file = lab.path("file").to_str().unwrap().to_owned();
    on(
        &lab,
        &ours,
        &[
            "uv",
            "add",
            &file,
            "--as",
            "ours.txt",
            "--mtime",
            "2024-01-01",
            "--user",
            "ada",
        ],
    );
    let server = Loopback::serve(ours.clone(), Server::default());
    let theirs = lab.path("theirs.fossil");
    lab.fossil(&[
        "clone",
        &server.url(None),
        theirs.to_str().unwrap(),
        "-A",
        "eve",
        "-u",
    ]);
    assert_eq!(
        on(&lab, &theirs, &["uv", "cat", "ours.txt"]),
        "from here\n".repeat(100)
    );
    on(
        &lab,
        &theirs,
        &["uv", "add", &file, "--as", "theirs.txt", "--user", "eve"],
    );
    on(&lab, &theirs, &["uv", "rm", "ours.txt", "--user", "eve"]);
    on(
        &lab,
        &theirs,
        &[
            "uv",
            "sync",
            &server.url(Some(("eve", "pw"))),
            "--user",
            "eve",
        ],
    );
    assert_eq!(
        on(&lab, &ours, &["uv", "cat", "theirs.txt"]),
        "from here\n".repeat(100)
    );
    assert_eq!(
        on(&lab, &ours, &["uv", "hash"]),
        on(&lab, &theirs, &["uv", "hash"])
    );
    assert_eq!(*server.refusals.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn many_artifacts_of_a_stock_client_are_clustered_and_verified() {
    let lab = Lab::new();
    let (ours, _) = stock_project(&lab, "ours");
    let server = Loopback::serve(ours.clone(), Server::default());
    let theirs = lab.path("theirs.fossil");
    lab.fossil(&[
        "clone",
        &server.url(None),
        theirs.to_str().unwrap(),
        "-A",
        "eve",
    ]);
    let work = check_out(&lab, &theirs, "work");
    for number in 0..250 {
        std::fs::write(
            work.join(format!("file{number}")),
            format!("content {number}\n"),
        )
        .unwrap();
    }
    commit(&lab, &work, "eve", "last", HashName::sha1_of(b"x").as_str());
    let url = server.url(Some(("ada", "secret")));
    for arguments in [&["sync"][..], &["sync"], &["sync", "--verily"]] {
        on(
            &lab,
            &theirs,
            &[arguments, &[url.as_str(), "--user", "eve"]].concat(),
        );
    }
    lab.assert_equal(&ours, &theirs);
    assert_eq!(
        lab.query(&ours, "SELECT count(*)<20 FROM unclustered"),
        ["1"]
    );
    assert_eq!(*server.refusals.lock().unwrap(), Vec::<String>::new());
}
