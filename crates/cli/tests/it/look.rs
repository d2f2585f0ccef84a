//! Commands that look at a repository print what stock prints.

use crate::lab::{Lab, Ran};

/// Asserts that ours and stock print the same for these arguments.
fn assert_like_stock(lab: &Lab, commands: &[&[&str]]) {
    for args in commands {
        let mut args = args.to_vec();
        args.extend(["-R", "a.fossil"]);
        assert_eq!(lab.edgesync(&args), lab.fossil(&args), "{args:?}");
    }
}

#[test]
fn the_timeline_is_like_stocks() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    assert_like_stock(
        &lab,
        &[
            &["timeline"],
            &["timeline", "-n", "0"],
            &["timeline", "-n", "2"],
            &["timeline", "-n", "-3"],
            &["timeline", "--offset", "1", "-n", "2"],
            &["timeline", "-t", "ci"],
            &["timeline", "-t", "w"],
            &["timeline", "-W", "60"],
            &["timeline", "--oneline"],
            &["timeline", "--oneline", "-v", "-n", "2"],
            &["timeline", "--medium", "-n", "-7"],
            &["timeline", "--full", "-n", "0"],
            &["timeline", "-F", "full", "-v", "-n", "2"],
            &["timeline", "-F", "%h|%H|%a|%d|%c|%b|%t|%p|%%|%n%x größe %"],
            &["timeline", "-b", "feature"],
            &["timeline", "-p", "src"],
            &["timeline", "-p", "walk.sh", "-b", "trunk"],
            &["timeline", "before", "2024-05-01 12:03:30"],
            &["timeline", "after", "2024-05-01 12:02:30", "-n", "2"],
        ],
    );
    for (args, code, word) in [
        (&["children", "2024-05-01"][..], 64, "a date has no"),
        (&["between", "tip"], 64, "not a place in time"),
        (&["before", "nonsense"], 1, "nonsense"),
    ] {
        let ran = lab.run(&[&["timeline"], args, &["-R", "a.fossil"]].concat());
        assert_eq!(ran.code, code, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn information_and_files_are_like_stocks() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    assert_like_stock(
        &lab,
        &[
            &["info", "tip"],
            &["info", "feature"],
            &["info", "rel-1"],
            &["ls", "-r", "trunk"],
            &["ls", "-r", "feature", "-v"],
            &["ls", "-r", "tip", "-v"],
            &["ls", "-r", "tip", "src"],
            &["ls", "-r", "tip", "--age"],
            &["ls", "-r", "tip", "-t"],
            &["ls", "-r", "tip", "-v", "-t"],
            &["cat", "src/main.rs", "größe.txt", "-r", "feature"],
            &["cat", "a b.txt", "-r", "root:feature"],
        ],
    );
}

#[test]
fn a_repository_with_something_of_everything_reads_like_stocks() {
    let lab = Lab::new();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../libfossil/tests/it/everything.sh"
    );
    let folder = lab.path("");
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    let made = Ran::of(&mut lab.command("sh", &[script, &path("a.fossil"), &path("work")]));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let types = ["all", "ci", "w", "t", "e", "g", "f"];
    for kind in types {
        assert_like_stock(&lab, &[&["timeline", "-n", "0", "-t", kind]]);
    }
    for branch in ["trunk", "feature", "renamed", "side", "nowhere"] {
        assert_like_stock(
            &lab,
            &[
                &["timeline", "-n", "0", "-b", branch],
                &["timeline", "-n", "0", "-b", branch, "-t", "ci"],
            ],
        );
    }
    for path in ["branch.txt", "dir with space", "source.c", "nothing"] {
        assert_like_stock(&lab, &[&["timeline", "-n", "0", "-p", path]]);
    }
    for point in ["tip", "root:feature", "release-1"] {
        for when in [
            "before",
            "after",
            "parents",
            "ancestors",
            "children",
            "desc",
        ] {
            for limit in ["0", "3"] {
                assert_like_stock(&lab, &[&["timeline", when, point, "-n", limit]]);
            }
        }
        assert_like_stock(&lab, &[&["timeline", point]]);
    }
    let check_ins = lab.json(&["timeline", "-n", "0", "-t", "ci", "-R", "a.fossil"]);
    let rows = check_ins["rows"].as_array().expect("rows");
    assert!(rows.len() > 10, "{}", rows.len());
    for row in rows {
        let hash = row["hash"].as_str().expect("a hash");
        assert_like_stock(&lab, &[&["info", hash]]);
    }
    assert_like_stock(
        &lab,
        &[&["timeline"], &["user", "list"], &["uv", "ls", "-l"]],
    );
}

#[test]
fn entries_of_every_kind_are_shown_in_a_given_form_as_by_stock() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    let commit = |args: &[&str]| {
        let usual = ["commit", "--no-warnings", "--allow-empty"];
        lab.fossil_in("work", &[&usual, args].concat());
    };
    commit(&["-m", "two  spaces\tand\n\nan empty line\r\n"]);
    commit(&["-m", "kept here", "--private", "--branch", "hidden"]);
    lab.fossil_in("work", &["update", "rel-1"]);
    commit(&["-m", "a fork", "--allow-fork"]);
    lab.write("work/page", "text\n");
    lab.fossil_in("work", &["wiki", "create", "Home", "page"]);
    lab.fossil_in("work", &["tag", "add", "late", "trunk"]);
    // What is said about something private stays here with it.
    lab.fossil_in("work", &["tag", "add", "quiet", "hidden"]);
    for form in ["oneline", "medium", "full", "%h %p"] {
        for args in [
            &["timeline", "-n", "0", "-F", form][..],
            // Of a rename stock tells the old name alone, as deleted.
            &["timeline", "-n", "7", "-F", form, "-v"],
            &["timeline", "-n", "0", "-F", form, "--current-branch"],
        ] {
            let run = lab.run_in("work", args);
            assert_eq!(run.stdout, lab.fossil_in("work", args), "{args:?}");
        }
    }
    let elsewhere = lab.run(&["timeline", "-c", "-R", "a.fossil"]);
    assert_eq!(elsewhere.code, 1, "{}", elsewhere.stdout);
    assert!(
        elsewhere.stderr.contains("--branch"),
        "{}",
        elsewhere.stderr
    );
    assert_eq!(
        lab.run(&["timeline", "--full", "--oneline"]).code,
        64,
        "two forms at once"
    );
}

#[test]
fn json_has_the_shapes_of_the_api() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    let timeline = lab.json(&["timeline", "-n", "1", "-R", "a.fossil"]);
    assert_eq!(timeline["total"], 6);
    assert_eq!(timeline["rows"].as_array().expect("rows").len(), 1);
    let row = &timeline["rows"][0];
    assert_eq!(
        (row["kind"].as_str(), row["comment"].as_str()),
        (Some("ci"), Some("on trunk"))
    );
    assert_eq!(row["time"], "2024-05-01T12:05:00.000Z");
    assert_eq!(row["hash"].as_str().expect("a hash").len(), 64);
    let merge = lab.json(&["info", "2024-05-01 12:04:00"]);
    assert_eq!(merge["parents"].as_array().expect("parents").len(), 2);
    assert_eq!(merge["parents"][1]["merge"], true);
    let rename = lab.json(&["info", "2024-05-01 12:03:00"]);
    let file = &rename["files"][0];
    assert_eq!(
        (file["change"].as_str(), file["old_path"].as_str()),
        (Some("renamed"), Some("run.sh"))
    );
    assert_eq!(
        (file["path"].as_str(), file["permissions"].as_str()),
        (Some("walk.sh"), Some("executable"))
    );
    let files = lab.json(&["ls", "-r", "feature"]);
    assert_eq!(files["files"].as_array().expect("files").len(), 4);
    let content = lab.json(&["cat", "link", "-r", "tip"]);
    assert_eq!(
        (
            content[0]["permissions"].as_str(),
            content[0]["text"].as_str()
        ),
        (Some("symlink"), Some("src/main.rs"))
    );
}

#[test]
fn a_file_or_version_that_is_not_there_is_named() {
    let lab = Lab::new();
    lab.stock_history("a.fossil");
    for args in [
        &["cat", "nothing.txt", "-r", "tip"][..],
        &["ls", "-r", "nowhere"],
        &["info", "nowhere"],
        &["ls", "nothing"],
    ] {
        let ran = lab.run(&[args, &["-R", "a.fossil"]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{args:?}");
        assert!(
            ran.stderr.contains("noth") || ran.stderr.contains("nowhere"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn control_characters_of_a_comment_do_not_reach_the_terminal() {
    let lab = Lab::new();
    lab.fossil(&["new", "a.fossil"]);
    std::fs::create_dir(lab.path("work")).expect("a folder");
    lab.fossil_in("work", &["open", "../a.fossil"]);
    lab.fossil_in(
        "work",
        &[
            "commit",
            "--allow-empty",
            "--no-warnings",
            "-m",
            "x\u{1b}[31mred",
        ],
    );
    let text = lab.edgesync(&["timeline", "-n", "1", "-R", "a.fossil"]);
    assert!(text.contains("x\\u{1b}[31mred"), "{text}");
}
