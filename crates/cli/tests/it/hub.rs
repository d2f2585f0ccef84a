//! The agent on a server: `hub serve` with its own flags.

use crate::lab::{Agent, Lab};

/// A port for leaves that no other test has.
const LEAVES: [&str; 2] = ["--leaf-listen", "127.0.0.1:0"];

fn hub(lab: &Lab, flags: &[&str]) -> Agent {
    Agent::run(lab, &[&["hub", "serve"], flags, &LEAVES[..]].concat())
}

#[test]
fn a_hub_keeps_all_repositories_of_a_folder() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("repositories")).expect("a folder");
    for name in ["b", "a", "notify"] {
        lab.edgesync(&["new", &format!("repositories/{name}.fossil")]);
    }
    lab.write("repositories/README.txt", "no repository");
    let hub = hub(&lab, &["-R", "repositories", "--json"]);
    assert!(
        hub.ready()["leaf"]
            .as_str()
            .expect("an address")
            .starts_with("nats-leaf://")
    );
    let name = hub.ready()["peer_id"].as_str().expect("a name").to_owned();
    assert!(name.ends_with("-hub") && !name.contains('.'), "{name}");
    let status = lab.json(&["sync", "status"]);
    assert_eq!(status["mesh"]["role"], "hub");
    let names = status["repositories"].as_array().expect("a list").iter();
    let names: Vec<&str> = names.filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    drop(hub);
    // The role can be another, as can the name.
    let agent = self::hub(&lab, &["--nats-role", "peer", "--name", "studio", "--json"]);
    assert_eq!(agent.ready()["peer_id"], "studio");
    assert_eq!(lab.json(&["sync", "status"])["mesh"]["role"], "peer");
}

#[test]
fn a_file_is_made_for_its_project_or_cloned_and_another_project_is_refused() {
    let lab = Lab::new();
    let code = "5f".repeat(20);
    let flags = ["-R", "new.fossil", "--project-code", &code];
    drop(hub(&lab, &flags));
    assert!(lab.fossil(&["info", "-R", "new.fossil"]).contains(&code));
    drop(hub(&lab, &flags));
    let other = "60".repeat(20);
    let ran = lab.run(&[
        "hub",
        "serve",
        "-R",
        "new.fossil",
        "--project-code",
        &other,
        "--json",
    ]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (1, Some("conflict"))
    );
    let message = ran.error()["message"].to_string();
    assert!(
        message.contains(&code) && message.contains(&other),
        "{message}"
    );

    let server = Lab::new();
    server.stock_history("project.fossil");
    server.fossil(&[
        "user",
        "capabilities",
        "nobody",
        "gjorz",
        "-R",
        "project.fossil",
    ]);
    let origin = Agent::start(
        &server,
        &["-R", "project.fossil", "--serve-http", "127.0.0.1:0"],
    );
    let url = origin.http().to_owned();
    let seeded = ["-R", "seeded.fossil", "--seed-from-upstream", &url];
    drop(hub(&lab, &seeded));
    let timeline = lab.fossil(&["timeline", "-t", "ci", "-n", "0", "-R", "seeded.fossil"]);
    assert!(timeline.contains("merge the feature"), "{timeline}");
    // It is there: nobody is asked for it again.
    drop(origin);
    drop(hub(&lab, &seeded));
    // Of a clone that is not the project that was meant, nothing stays.
    let origin = Agent::start(
        &server,
        &["-R", "project.fossil", "--serve-http", "127.0.0.1:0"],
    );
    let url = origin.http();
    let wrong = [
        "-R",
        "wrong.fossil",
        "--seed-from-upstream",
        url,
        "--project-code",
        &code,
    ];
    let ran = lab.run(&[&["hub", "serve"], &wrong[..]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(!lab.path("wrong.fossil").exists());
    let ran = lab.run(&[
        "hub",
        "serve",
        "--project-code",
        &code,
        "-R",
        "a",
        "-R",
        "b",
    ]);
    assert_eq!(ran.code, 64, "{}", ran.stderr);
}

#[test]
fn everyone_may_what_the_flag_says_and_never_administer() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let rights = || lab.edgesync(&["user", "capabilities", "nobody", "-R", "a.fossil"]);
    drop(hub(&lab, &["-R", "a.fossil"]));
    assert_eq!(rights().trim(), "");
    drop(hub(&lab, &["-R", "a.fossil", "--nobody-caps", "go"]));
    assert_eq!(rights().trim(), "go");
    for letters in ["s", "ga", "g o"] {
        let ran = lab.run(&["hub", "serve", "-R", "a.fossil", "--nobody-caps", letters]);
        assert_eq!(ran.code, 64, "{letters}: {}", ran.stderr);
    }
    assert_eq!(rights().trim(), "go");
}
