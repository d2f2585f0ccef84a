//! Unversioned files.

use crate::lab::Lab;

#[test]
fn unversioned_files_are_like_stocks() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.write("notes.txt", "some text\n".repeat(100));
    lab.write("tiny", "x");
    lab.edgesync(&["uv", "add", "notes.txt"]);
    lab.edgesync(&["uv", "add", "tiny", "--as", "deep/er.txt"]);
    for args in [
        &["uv", "ls"][..],
        &["uv", "ls", "-l"],
        &["uv", "list"],
        &["uv", "cat", "deep/er.txt"],
        &["uv", "hash"],
    ] {
        let args = [args, &["-R", "a.fossil"]].concat();
        assert_eq!(lab.edgesync(&args), lab.fossil(&args), "{args:?}");
    }
    lab.edgesync(&["uv", "export", "notes.txt", "copy.txt"]);
    assert_eq!(
        std::fs::read(lab.path("copy.txt")).expect("it"),
        std::fs::read(lab.path("notes.txt")).expect("it")
    );
    let files = lab.json(&["uv", "ls"]);
    assert_eq!(
        (files[0]["name"].as_str(), files[0]["size"].as_u64()),
        (Some("deep/er.txt"), Some(1))
    );
    lab.edgesync(&["uv", "rm", "notes.txt"]);
    assert_eq!(lab.fossil(&["uv", "ls", "-R", "a.fossil"]), "deep/er.txt\n");
    assert_eq!(lab.run(&["uv", "rm", "notes.txt"]).code, 1);
}

#[test]
fn a_change_carries_the_time_that_is_named() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.edgesync(&["new", "b.fossil"]);
    lab.write("x", "x");
    lab.write("y", "y");
    let time = |day: &str| format!("2024-05-{day} 10:00:00");
    let change = |args: &[&str], day: &str| {
        let time = time(day);
        let args = [args, &["--mtime", &time]].concat();
        lab.edgesync(&[&args[..], &["-R", "a.fossil"]].concat());
        lab.fossil(&[&args[..], &["-R", "b.fossil"]].concat());
        for list in [["uv", "list"], ["uv", "hash"]] {
            assert_eq!(
                lab.edgesync(&[&list[..], &["-R", "a.fossil"]].concat()),
                lab.fossil(&[&list[..], &["-R", "b.fossil"]].concat()),
                "{args:?}"
            );
        }
    };
    change(&["uv", "add", "x", "y"], "01");
    change(&["uv", "touch", "x"], "03");
    change(&["uv", "touch", "x", "y"], "02");
    change(&["uv", "rm", "y"], "04");
    let gone = lab.run(&["uv", "touch", "y", "-R", "a.fossil"]);
    assert_eq!(gone.code, 1, "{}", gone.stdout);
    let touched = lab.json(&["uv", "touch", "x", "--mtime", &time("05"), "-R", "a.fossil"]);
    assert_eq!(touched["time"], "2024-05-05T10:00:00.000Z");
}

#[test]
fn a_name_that_cannot_travel_is_refused() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.write("x", "x");
    for name in ["../x", "a b", "/x", ".fslckout"] {
        assert_eq!(lab.run(&["uv", "add", "x", "--as", name]).code, 3, "{name}");
    }
    assert_eq!(lab.edgesync(&["uv", "ls"]), "");
}
