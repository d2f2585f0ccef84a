//! Commands that make a repository and change its users and settings.

use std::path::PathBuf;

use serde_json::json;

use crate::lab::{Lab, Ran};

#[test]
fn a_new_repository_is_one_for_stock_too() {
    let lab = Lab::new();
    let made = lab.json(&[
        "new",
        "a.fossil",
        "--project-name",
        "My project",
        "--admin-user",
        "zoe",
    ]);
    assert_eq!(made["user"], "zoe");
    assert_eq!(made["password"].as_str().expect("a password").len(), 10);
    let info = lab.fossil(&["info", "a.fossil"]);
    assert!(info.contains("project-name: My project"), "{info}");
    assert!(
        info.contains(made["project_code"].as_str().expect("a code")),
        "{info}"
    );
    let ran = lab.run(&["new", "a.fossil", "--json"]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (1, Some("conflict"))
    );
}

#[test]
fn new_prints_the_password_once_in_stocks_words() {
    let lab = Lab::new();
    let said = lab.edgesync(&["new", "a.fossil"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].starts_with("project-id: ") && lines[1].starts_with("server-id:  "),
        "{said}"
    );
    assert!(
        lines[2].starts_with("admin-user: ada (initial password is \""),
        "{said}"
    );
}

#[test]
fn the_first_user_is_somebody() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    for login in ["", "a\tb", "nobody", "anonymous", "reader", "developer"] {
        let made = lab.run(&["new", "-A", login, "b.fossil"]);
        let cloned = lab.run(&["clone", "-A", login, "a.fossil", "b.fossil"]);
        for ran in [made, cloned] {
            assert_eq!(ran.code, 64, "{login:?}: {}", ran.stderr);
            assert!(ran.stderr.ends_with("\nhint: name another with -A NAME\n"));
        }
        assert!(!lab.path("b.fossil").exists());
    }
}

#[test]
fn users_are_like_stocks() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let ran = lab.run_with_input(&["user", "new", "bob", "Bob B."], "a secret\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(
        lab.edgesync(&["user", "list"]),
        lab.fossil(&["user", "list", "-R", "a.fossil"])
    );
    assert_eq!(lab.edgesync(&["user", "capabilities", "bob"]), "u\n");
    assert_eq!(lab.edgesync(&["user", "capabilities", "bob", "ei"]), "ei\n");
    assert_eq!(
        lab.fossil(&["user", "capabilities", "bob", "-R", "a.fossil"]),
        "ei\n"
    );
    assert_eq!(lab.run(&["user", "capabilities", "bob", "e!"]).code, 64);
    assert_eq!(lab.run(&["user", "capabilities", "somebody"]).code, 1);
    assert_eq!(
        lab.run(&["user", "new", "bob", "", "pw", "--json"]).error()["code"],
        "conflict"
    );
    let users = lab.json(&["user", "list"]);
    let bob = users
        .as_array()
        .expect("users")
        .iter()
        .find(|user| user["login"] == "bob");
    assert_eq!(
        bob,
        Some(
            &json!({"login": "bob", "capabilities": "ei", "info": "Bob B.", "has_password": true})
        )
    );
}

#[test]
fn a_password_is_stored_as_stock_stores_it() {
    let lab = Lab::new();
    let secret = || {
        lab.fossil(&[
            "sql",
            "-R",
            "a.fossil",
            "SELECT pw FROM user WHERE login='bob'",
        ])
    };
    lab.edgesync(&["new", "a.fossil"]);
    lab.write("password", "from a file\n");
    lab.edgesync(&["user", "new", "bob", "--password-file", "password"]);
    let ours = secret();
    lab.fossil(&["user", "password", "bob", "from a file", "-R", "a.fossil"]);
    assert_eq!(ours, secret());
    let ran = lab.run_with_input(&["user", "password", "bob"], "another\n");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "", "")
    );
    let ours = secret();
    lab.fossil(&["user", "password", "bob", "another", "-R", "a.fossil"]);
    assert_eq!(ours, secret());
    assert_eq!(lab.run(&["user", "password", "bob"]).code, 1);
}

#[test]
fn the_default_user_is_stocks_too() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    assert_eq!(lab.edgesync(&["user", "default"]), "ada\n");
    lab.edgesync(&["user", "new", "bob", "Bob", "pw"]);
    lab.edgesync(&["user", "default", "bob"]);
    assert_eq!(lab.fossil(&["user", "default", "-R", "a.fossil"]), "bob\n");
    assert_eq!(lab.edgesync(&["user", "default"]), "bob\n");
}

#[test]
fn who_you_are_is_found_as_stock_finds_it() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil", "--admin-user", "wanda"]);
    for login in ["bob", "cora", "dan"] {
        lab.edgesync(&["user", "new", login, login, "pw", "-R", "a.fossil"]);
    }
    let ask = |environment: &[(&str, &str)], program: PathBuf| {
        let mut command = lab.command(program, &["user", "default", "-R", "a.fossil"]);
        command.env_remove("USER").envs(environment.iter().copied());
        Ran::of(&mut command)
    };
    let found = |environment: &[(&str, &str)]| {
        let stock = ask(environment, "fossil".into());
        let ours = ask(environment, env!("CARGO_BIN_EXE_edgesync").into());
        assert_eq!(ours.code, stock.code, "{environment:?}: {}", ours.stderr);
        assert!(
            ours.code != 0 || ours.stdout == stock.stdout,
            "{environment:?}: {} {}",
            ours.stdout,
            stock.stdout
        );
        ours.stdout
    };
    assert_eq!(found(&[("USER", "bob"), ("LOGNAME", "cora")]), "bob\n");
    assert_eq!(found(&[("USER", "zoe"), ("LOGNAME", "cora")]), "cora\n");
    assert_eq!(found(&[("FOSSIL_USER", "dan"), ("USER", "bob")]), "dan\n");
    assert_eq!(found(&[("USER", "zoe")]), "");
    let remember = "REPLACE INTO config(name, value, mtime) VALUES('last-sync-url', 'http://wanda@localhost/', 0)";
    lab.fossil(&["sql", "-R", "a.fossil", remember]);
    assert_eq!(found(&[("USER", "zoe")]), "wanda\n");
    assert_eq!(found(&[("USER", "bob")]), "bob\n");
    lab.fossil(&["user", "default", "cora", "-R", "a.fossil"]);
    assert_eq!(found(&[("FOSSIL_USER", "dan")]), "cora\n");

    // The check-in is by the one who was found, and a check-out has a user of its own.
    let by = || lab.json(&["timeline", "-n", "1", "-R", "a.fossil"])["rows"][0]["user"].clone();
    lab.write("here/a.txt", "one\n");
    lab.fossil_in("here", &["open", "../a.fossil", "--force", "--nosync"]);
    lab.edgesync(&["ci", "here/a.txt", "-m", "one", "-R", "a.fossil"]);
    assert_eq!(by(), "cora");
    lab.fossil_in("here", &["user", "default", "dan"]);
    lab.write("here/b.txt", "two\n");
    let ran = lab.run_in("here", &["ci", "b.txt", "-m", "two", "--parent", "tip"]);
    assert_eq!((ran.code, by()), (0, "dan".into()), "{}", ran.stderr);
}

#[test]
fn settings_are_shown_and_changed() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    assert_eq!(lab.run(&["config", "get", "max-upload"]).code, 1);
    lab.edgesync(&["config", "set", "max-upload", "100000"]);
    assert_eq!(lab.edgesync(&["config", "get", "max-upload"]), "100000\n");
    let stock = lab.fossil(&["settings", "max-upload", "--exact", "-R", "a.fossil"]);
    assert!(lab.edgesync(&["config", "ls"]).contains(&stock), "{stock}");
    lab.edgesync(&["config", "unset", "max-upload"]);
    assert_eq!(
        lab.json(&["config", "get", "max-upload"]),
        json!({"name": "max-upload", "value": null})
    );
    let ran = lab.run(&["config", "set", "project-code", "0000", "--json"]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (1, Some("not_found"))
    );
}
