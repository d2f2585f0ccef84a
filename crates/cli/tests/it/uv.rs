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
fn a_name_that_cannot_travel_is_refused() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.write("x", "x");
    for name in ["../x", "a b", "/x", ".fslckout"] {
        assert_eq!(lab.run(&["uv", "add", "x", "--as", name]).code, 3, "{name}");
    }
    assert_eq!(lab.edgesync(&["uv", "ls"]), "");
}
