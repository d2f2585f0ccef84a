//! Check-ins of named files, judged by stock.

use crate::lab::{Lab, make_executable, symlink};

/// Returns a lab with a new repository that has two files and another.
fn lab_with_files() -> Lab {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.write("src/main.rs", "fn main() {}\n");
    lab.write("run.sh", "#!/bin/sh\n");
    make_executable(&lab.path("run.sh"));
    symlink("src/main.rs", &lab.path("link"));
    let said = lab.edgesync(&["ci", "src/main.rs", "run.sh", "link", "-m", "First"]);
    assert!(
        said.starts_with("New_Version: ") && said.trim_end().len() == 13 + 64,
        "{said}"
    );
    lab
}

#[test]
fn files_are_named_from_here_and_keep_what_they_are() {
    let lab = lab_with_files();
    assert_eq!(
        lab.fossil(&["ls", "-R", "a.fossil", "-r", "tip"]),
        "link\nrun.sh\nsrc/main.rs\n"
    );
    std::fs::create_dir(lab.path("work")).expect("a folder");
    lab.fossil_in("work", &["open", "../a.fossil"]);
    let about = std::fs::symlink_metadata(lab.path("work/run.sh")).expect("it is there");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&about) & 0o111, 0o111);
    assert_eq!(lab.json(&["cat", "link"])[0]["permissions"], "symlink");
    assert_eq!(lab.json(&["cat", "link"])[0]["text"], "src/main.rs");
    assert!(
        lab.fossil(&["test-integrity", "a.fossil"])
            .contains(" 0 errors")
    );
}

#[test]
fn files_that_are_not_named_stay_and_a_deletion_is_said() {
    let lab = lab_with_files();
    lab.write("new.txt", "new\n");
    let made = lab.json(&[
        "ci",
        "new.txt",
        "--delete",
        "run.sh",
        "-m",
        "Second",
        "--user-override",
        "eve",
    ]);
    assert_eq!(made["branch"], "trunk");
    let about = lab.json(&["info", "tip"]);
    assert_eq!(
        (about["user"].as_str(), about["comment"].as_str()),
        (Some("eve"), Some("Second"))
    );
    assert_eq!(about["parents"][0]["hash"], made["parent"]);
    assert_eq!(
        lab.edgesync(&["ls", "-r", "tip"]),
        "link\nnew.txt\nsrc/main.rs\n"
    );
    assert_eq!(
        lab.edgesync(&["ls", "-r", "tip"]),
        lab.fossil(&["ls", "-R", "a.fossil", "-r", "tip"])
    );
}

#[test]
fn a_branch_is_started_once_and_then_continued() {
    let lab = lab_with_files();
    lab.write("a", "1");
    let first = lab.json(&[
        "ci",
        "a",
        "-m",
        "on a branch",
        "--branch",
        "feature",
        "--tag",
        "try-1",
    ]);
    lab.write("a", "2");
    let second = lab.json(&["ci", "a", "-m", "again", "--branch", "feature"]);
    assert_eq!(
        (second["parent"].clone(), second["branch"].as_str()),
        (first["hash"].clone(), Some("feature"))
    );
    let tags = lab.fossil(&["info", "-R", "a.fossil", "try-1"]);
    assert!(tags.contains("feature, try-1"), "{tags}");
    lab.write("a", "3");
    let fork = lab.json(&["ci", "a", "-m", "a fork", "--parent", "try-1"]);
    assert_eq!(
        (fork["parent"].clone(), fork["branch"].as_str()),
        (first["hash"].clone(), Some("feature"))
    );
}

#[test]
fn nothing_from_outside_gets_in() {
    let lab = lab_with_files();
    lab.write("../outside.txt", "secret");
    symlink("../..", &lab.path("src/up"));
    for file in [
        "../outside.txt",
        "src/up/outside.txt",
        "src/../../outside.txt",
    ] {
        let ran = lab.run(&["ci", file, "-m", "no", "--json"]);
        assert_eq!(
            (ran.code, ran.error()["code"].as_str()),
            (3, Some("refused")),
            "{file}"
        );
    }
    lab.write("src/.fslckout-wal", "x");
    assert_eq!(lab.run(&["ci", "src/.fslckout-wal", "-m", "no"]).code, 3);
    let itself = lab.run(&["ci", "a.fossil", "-m", "no", "--json"]);
    let message = itself.error()["message"].clone();
    assert_eq!(
        (itself.code, message.as_str()),
        (3, Some("a.fossil is the repository itself"))
    );
    assert_eq!(lab.json(&["timeline"])["total"], 2);
}

#[test]
fn mistakes_change_nothing_and_say_what_to_do() {
    let lab = lab_with_files();
    let code = |args: &[&str]| {
        lab.run(&[&["ci"], args, &["--json"]].concat()).error()["code"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(
        code(&["run.sh", "-m", "no change"]).as_deref(),
        Some("failed")
    );
    assert_eq!(code(&["nothing", "-m", "x"]).as_deref(), Some("not_found"));
    assert_eq!(code(&["src", "-m", "x"]).as_deref(), Some("usage"));
    assert_eq!(code(&["run.sh"]).as_deref(), Some("usage"));
    assert_eq!(
        code(&["run.sh", "-m", "x", "--parent", "nowhere"]).as_deref(),
        Some("not_found")
    );
    assert_eq!(
        code(&["--delete", "nothing", "-m", "x"]).as_deref(),
        Some("not_found")
    );
    assert_eq!(
        code(&["run.sh", "-m", "x", "--branch", "tip"]).as_deref(),
        Some("usage")
    );
    let dated = ["--allow-empty", "-m", "x", "--date-override", "2020-12-25"];
    assert_eq!(code(&dated).as_deref(), Some("refused"));
    assert_eq!(lab.json(&["timeline"])["total"], 2);
}

#[test]
fn a_time_that_is_given_is_the_one_that_the_check_in_carries() {
    let lab = lab_with_files();
    let time = "2099-12-25T01:02:03";
    lab.edgesync(&["ci", "--allow-empty", "-m", "Late", "--date-override", time]);
    let said = lab.fossil(&["info", "tip", "-R", "a.fossil"]);
    assert!(said.contains("2099-12-25 01:02:03 UTC"), "{said}");
}

#[test]
fn in_a_check_out_names_start_at_its_top_and_a_fork_is_not_made_by_accident() {
    let lab = lab_with_files();
    std::fs::create_dir_all(lab.path("work")).expect("folders");
    lab.fossil_in("work", &["open", "../a.fossil"]);
    lab.write("work/src/lib.rs", "// lib\n");
    let ran = lab.run_in("work/src", &["ci", "lib.rs", "-m", "from below"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(lab.edgesync(&["ls", "-r", "tip"]).contains("src/lib.rs\n"));
    lab.write("work/src/lib.rs", "// changed\n");
    let ran = lab.run_in("work/src", &["ci", "lib.rs", "-m", "stale"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    lab.fossil_in("work", &["update"]);
    lab.write("work/src/lib.rs", "// fresh\n");
    let ran = lab.run_in("work/src", &["ci", "lib.rs", "-m", "fresh"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
