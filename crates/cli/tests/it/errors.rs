//! Failures: the exit code follows from their kind, words go to standard error, JSON to standard output.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::lab::Lab;

#[test]
fn a_usage_error_ends_with_64_and_says_what_can_be_given() {
    let lab = Lab::new();
    let ran = lab.run(&["sync", "start", "--pol", "5s"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (64, ""));
    assert_eq!(
        ran.stderr,
        "error: unexpected argument '--pol' found\nhint: did you mean --poll?\n"
    );
    let ran = lab.run(&["sync", "start", "--poll", "5", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (64, ""));
    assert_eq!(ran.error()["code"], "usage");
    assert_eq!(lab.run(&["frobnicate"]).code, 64);
    assert_eq!(lab.run(&[]).code, 64);
}

#[test]
fn help_that_was_asked_for_is_no_error() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["--help"]).code, 0);
    assert_eq!(lab.run(&["--version"]).code, 0);
}

#[test]
fn what_is_not_there_ends_with_1_and_a_hint() {
    let lab = Lab::new();
    let ran = lab.run(&["timeline", "-R", "nowhere.fossil"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(
        ran.stderr,
        "error: nowhere.fossil does not exist\nhint: check the name; it is looked for from the current folder; edgesync new FILE makes a new one\n"
    );
    let ran = lab.run(&["timeline", "-R", "nowhere.fossil", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let error = json!({
        "code": "not_found",
        "message": "nowhere.fossil does not exist",
        "hint": "check the name; it is looked for from the current folder; edgesync new FILE makes a new one",
    });
    assert_eq!(ran.error(), error);
}

#[test]
fn a_file_that_is_not_there_and_a_folder_in_its_place_are_named_with_what_to_do() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("place")).expect("a folder");
    let said = |args: &[&str]| {
        let ran = lab.run(args);
        assert_ne!(ran.code, 0, "{args:?}: {}", ran.stdout);
        ran.stderr
    };
    let check = "hint: check the name; it is looked for from the current folder";
    for verb in ["info", "verify", "rebuild"] {
        let told = said(&[verb, "nosuch.fossil"]);
        let expected = format!("error: nosuch.fossil does not exist\n{check}");
        assert!(told.starts_with(&expected), "{verb}: {told}");
    }
    let told = said(&["info", "place"]);
    let expected = "error: place is not a Fossil repository: it is not a file\n";
    assert!(told.starts_with(expected), "{told}");
    for (file, error) in [
        ("place", "place is a folder"),
        ("place/", "place/ is a folder"),
        ("nowhere/", "nowhere/ names a folder"),
    ] {
        let told = said(&["new", file]);
        let expected = format!("error: {error}\nhint: name a file");
        assert!(told.starts_with(&expected), "{file}: {told}");
    }
    assert!(!lab.path("nowhere").exists());
    // With a repository here, a file is no version of it.
    lab.edgesync(&["new", "a.fossil"]);
    let told = said(&["info", "nosuch.fossil"]);
    assert!(
        told.starts_with("error: nosuch.fossil does not exist\n"),
        "{told}"
    );
    let told = said(&["timeline", "a.fossil"]);
    assert!(
        told.contains("hint: a repository's file is named with -R: -R 'a.fossil'"),
        "{told}"
    );
}

#[test]
fn nobody_to_talk_to_ends_with_4() {
    let lab = Lab::new();
    for args in [&["sync", "status", "--json"], &["sync", "now", "--json"]] {
        let ran = lab.run(args);
        assert_eq!(
            (ran.code, ran.error()["code"].as_str()),
            (4, Some("unreachable")),
            "{args:?}"
        );
    }
}

#[test]
fn without_r_the_only_repository_here_is_meant() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["info", "--json"]).error()["code"], "not_found");
    let code = lab.json(&["new", "a.fossil"])["project_code"].clone();
    assert_eq!(lab.json(&["info"])["project_code"], code);
    lab.edgesync(&["new", "b.fossil"]);
    let ran = lab.run(&["info", "--json"]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (64, Some("usage"))
    );
}

#[test]
fn in_a_check_out_its_repository_is_meant() {
    let lab = Lab::new();
    lab.fossil(&["new", "a.fossil"]);
    lab.fossil(&["new", "b.fossil"]);
    std::fs::create_dir_all(lab.path("work/deep")).expect("folders");
    lab.fossil_in("work", &["open", "../a.fossil", "--force"]);
    let shape: serde_json::Value =
        serde_json::from_str(&lab.run_in("work/deep", &["info", "--json"]).stdout).expect("JSON");
    assert_eq!(
        shape["project_code"],
        lab.json(&["info", "-R", "a.fossil"])["project_code"]
    );
    assert!(shape["check_out"]["hash"].is_string(), "{shape}");
}

#[test]
fn a_file_that_is_no_repository_is_refused_and_left_alone() {
    let lab = Lab::new();
    lab.write("x.fossil", "no database");
    let ran = lab.run(&["user", "list", "-R", "x.fossil", "--json"]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (1, Some("repository"))
    );
    assert_eq!(
        std::fs::read(lab.path("x.fossil")).expect("it is there"),
        b"no database"
    );
}

#[test]
fn what_is_not_there_is_named_for_what_it_is() {
    let lab = Lab::new();
    let ran = lab.run(&["new", "no-folder/a.fossil"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stderr,
        "error: no-folder/a.fossil cannot be made: there is no folder no-folder\n\
         hint: make the folder first, or choose another place\n"
    );
    let ran = lab.run(&["clone", "nowhere.fossil", "copy.fossil"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stderr,
        "error: nowhere.fossil does not exist\n\
         hint: check the path; a server's address begins with https:// or http://\n"
    );
    let left = std::fs::read_dir(lab.path("")).expect("the folder").count();
    assert_eq!(left, 0, "a clone of nothing leaves nothing");
}

#[test]
fn a_place_where_no_repository_can_be_made_is_named_with_the_reason() {
    let lab = Lab::new();
    lab.edgesync(&["new", "here.fossil"]);
    std::fs::create_dir(lab.path("shut")).expect("a folder");
    let shut = std::fs::Permissions::from_mode(0o500);
    std::fs::set_permissions(lab.path("shut"), shut).expect("shut");
    let folder = lab.path("");
    let folder = folder.to_str().expect("text").trim_end_matches('/');
    for (verb, at) in [
        (&["new"][..], String::new()),
        (&["clone", "here.fossil"][..], format!("{folder}/")),
    ] {
        let none = if verb == ["new"] {
            "none".to_owned()
        } else {
            format!("{at}none")
        };
        let shut = if verb == ["new"] {
            "shut".to_owned()
        } else {
            format!("{at}shut")
        };
        for (place, message) in [
            (
                "none/a.fossil",
                format!(
                    "error: {at}none/a.fossil cannot be made: there is no folder {none}\nhint: make the folder first, or choose another place\n"
                ),
            ),
            (
                "here.fossil",
                format!(
                    "error: {at}here.fossil is there already\nhint: choose another name, or move that file away\n"
                ),
            ),
            (
                "here.fossil/a.fossil",
                format!(
                    "error: {at}here.fossil/a.fossil cannot be made: {at}here.fossil is not a folder\nhint: choose another place\n"
                ),
            ),
            (
                "shut",
                format!("error: {at}shut is a folder\nhint: name a file in it\n"),
            ),
            (
                "shut/a.fossil",
                format!(
                    "error: {at}shut/a.fossil cannot be made in its folder: Permission denied (os error 13)\nhint: you have to be allowed to write in {shut}; or choose another place\n"
                ),
            ),
        ] {
            let args = [verb, &[place]].concat();
            let ran = lab.run_bound(&args);
            assert_eq!((ran.code, ran.stderr), (1, message), "{args:?}");
        }
    }
    assert_eq!(
        std::fs::read_dir(lab.path("shut"))
            .expect("a folder")
            .count(),
        0
    );
}

#[test]
fn words_from_elsewhere_do_not_steer_the_terminal() {
    let lab = Lab::new();
    let ran = lab.run(&["timeline", "-R", "a\u{1b}[31m\u{202e}.fossil"]);
    assert_eq!(
        ran.stderr,
        "error: a\\u{1b}[31m\\u{202e}.fossil does not exist\nhint: check the name; it is looked for from the current folder; edgesync new FILE makes a new one\n"
    );
}

#[test]
fn hints_say_what_helps_with_this_very_thing() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.write("there", "1");
    for (args, words) in [
        (
            &["push", "-R", "a.fossil"][..],
            "name it: edgesync push URL",
        ),
        (
            &["uv", "sync", "-R", "a.fossil"],
            "name it: edgesync uv sync URL",
        ),
        (
            &["ci", "-R", "a.fossil", "-m", "x", "gone"],
            "gone does not exist\nhint: check",
        ),
        (
            &["uv", "add", "-R", "a.fossil", "gone"],
            "gone does not exist\nhint: check",
        ),
        (
            &["ci", "-R", "a.fossil", "-m", " ", "there"],
            "the comment is empty\nhint: say",
        ),
        (
            &["clone", "http:///y", "b.fossil"],
            "names no host\nhint: it looks like",
        ),
        (
            &["clone", "ssh://x/y", "b.fossil"],
            "ssh: are not supported\nhint: it looks like",
        ),
        (
            &["clone", "http://127.0.0.1:9/", "a.fossil"],
            "\nhint: choose another name",
        ),
    ] {
        let ran = lab.run(args);
        assert!(
            ran.code != 0 && ran.stderr.contains(words),
            "{args:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_damaged_repository_is_not_sent_to_a_command_that_cannot_read_it() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let whole = std::fs::read(lab.path("a.fossil")).expect("read");
    std::fs::write(lab.path("cut.fossil"), &whole[..30_000]).expect("written");
    let ran = lab.run(&["verify", "-R", "cut.fossil"]);
    assert!(ran.stderr.contains("hint: bring it back"), "{}", ran.stderr);
    let ran = lab.run(&["doctor", "-R", "cut.fossil"]);
    assert!(
        ran.stdout.contains("edgesync clone URL") && !ran.stdout.contains("edgesync verify"),
        "{}",
        ran.stdout
    );
}
