//! What is refused, or fails, changes nothing.

use super::*;

#[test]
fn a_check_in_that_changes_nothing_is_made_only_if_asked_for() {
    let mut project = Project::new();
    let first = project.change(vec![put("a", "1\n")]);
    let mut same = NewCheckIn {
        changes: vec![
            put("a", "1\n"),
            put("b", "2\n"),
            delete("b"),
            rename("a", "c"),
            rename("c", "a"),
        ],
        ..NewCheckIn::new("tester", "nothing")
    };
    assert!(matches!(project.commit(&same), Err(CheckInError::Empty)));
    assert_eq!(
        project.repo.rid(&HashName::sha3_of(b"2\n")).expect("read"),
        None,
        "nothing of it stays"
    );
    same.allow_empty = true;
    let second = project.commit(&same).expect("committed");
    assert_eq!(second.parent, Some(first.name));
    assert_eq!(project.paths("tip"), ["a"]);
}

#[test]
fn a_time_before_the_parent_is_moved_up_or_refused_as_it_was_asked_for() {
    let mut project = Project::new();
    let first = project.change(vec![put("a", "1\n")]);
    let before = project.check_in(&first.name).date;
    let dated = |date| NewCheckIn {
        changes: vec![put("a", "2\n")],
        date,
        ..NewCheckIn::new("tester", "dated")
    };
    for early in [before, START] {
        let refused = project.commit(&dated(Date::Exactly(early)));
        let Err(CheckInError::NotLater { date, parent, at }) = refused else {
            panic!("{early} was taken: {refused:?}");
        };
        assert_eq!((date, parent, at), (early, first.name, before));
    }
    let moved = project.commit(&dated(Date::About(START))).expect("made");
    let next = before.saturating_add_millis(1);
    assert_eq!(project.check_in(&moved.name).date, next);
    let later = Date::Exactly(next.saturating_add_millis(1));
    let exact = NewCheckIn {
        allow_empty: true,
        ..dated(later)
    };
    let exact = project.commit(&exact).expect("made");
    assert_eq!(Date::Exactly(project.check_in(&exact.name).date), later);
}

#[test]
fn a_closed_branch_is_not_continued() {
    let mut project = Project::new();
    let first = project.change(vec![put("a", "1\n")]);
    project.lab.fossil(&[
        "tag",
        "add",
        "closed",
        "trunk",
        "-R",
        "ours.fossil",
        "--raw",
    ]);
    for parent in [None, Some(first.name)] {
        let new = NewCheckIn {
            parent,
            changes: vec![put("b", "2\n")],
            ..NewCheckIn::new("tester", "more")
        };
        let refused = project.commit(&new);
        assert!(
            matches!(&refused, Err(CheckInError::Closed { name, .. }) if *name == first.name),
            "{refused:?}"
        );
    }
    let reopened = NewCheckIn {
        branch: Some("again"),
        changes: vec![put("b", "2\n")],
        ..NewCheckIn::new("tester", "more")
    };
    assert_eq!(
        project.commit(&reopened).expect("started").parent,
        Some(first.name)
    );
}

/// Whether a refusal is the right one.
type Expected = fn(&CheckInError) -> bool;

#[test]
fn changes_that_make_no_sense_are_refused_by_name() {
    use CheckInError as E;
    let changes = |changes| NewCheckIn {
        changes,
        ..NewCheckIn::new("tester", "bad")
    };
    assert_refused(vec![
        (changes(vec![delete("none")]), |e| {
            matches!(e, E::NoSuchFile(_))
        }),
        (changes(vec![rename("none", "x")]), |e| {
            matches!(e, E::NoSuchFile(_))
        }),
        (changes(vec![rename("file", "dir/file")]), |e| {
            matches!(e, E::FileExists(_))
        }),
        (changes(vec![put("dir", "x")]), |e| {
            matches!(e, E::FileIsDirectory { .. })
        }),
        (changes(vec![put("file/x/y", "x")]), |e| {
            matches!(e, E::FileIsDirectory { .. })
        }),
        (changes(vec![rename("file", "dir")]), |e| {
            matches!(e, E::FileIsDirectory { .. })
        }),
    ]);
}

#[test]
fn parents_and_names_that_make_no_sense_are_refused_by_name() {
    use CheckInError as E;
    let file = HashName::sha3_of(b"1\n");
    let absent = HashName::sha3_of(b"absent");
    let new = || NewCheckIn::new("tester", "bad");
    assert_refused(vec![
        (
            NewCheckIn {
                parent: Some(absent),
                ..new()
            },
            |e| matches!(e, E::UnknownParent(_)),
        ),
        (
            NewCheckIn {
                parent: Some(file),
                ..new()
            },
            |e| matches!(e, E::UnknownParent(_)),
        ),
        (
            NewCheckIn {
                merged: vec![file],
                ..new()
            },
            |e| matches!(e, E::UnknownParent(_)),
        ),
        (
            NewCheckIn {
                branch: Some(""),
                ..new()
            },
            |e| matches!(e, E::BadTagName(_)),
        ),
        (
            NewCheckIn {
                branch: Some("tip"),
                ..new()
            },
            |e| matches!(e, E::BadTagName(_)),
        ),
        (
            NewCheckIn {
                tags: vec!["a\nb"],
                ..new()
            },
            |e| matches!(e, E::BadTagName(_)),
        ),
        (
            NewCheckIn {
                tags: vec![" a"],
                ..new()
            },
            |e| matches!(e, E::BadTagName(_)),
        ),
    ]);
}

/// Tries each on a project with the files `file` and `dir/file`; a refusal changes nothing.
fn assert_refused(cases: Vec<(NewCheckIn<'_>, Expected)>) {
    let mut project = Project::new();
    project.change(vec![put("dir/file", "1\n"), put("file", "2\n")]);
    let before = project.derived();
    for (new, expected) in cases {
        let refused = project.commit(&new).expect_err("refused");
        assert!(expected(&refused), "{refused:?}");
    }
    assert_eq!(project.derived(), before);
}

#[test]
fn a_file_may_make_room_for_a_directory_and_a_directory_for_a_file() {
    let mut project = Project::new();
    project.change(vec![put("dir/file", "1\n"), put("file", "2\n")]);
    project.change(vec![
        delete("file"),
        put("file/x", "3\n"),
        delete("dir/file"),
        put("dir", "4\n"),
    ]);
    assert_eq!(project.paths("tip"), ["dir", "file/x"]);
    project.assert_accepted();
}

#[test]
fn a_write_that_fails_at_any_point_leaves_nothing_behind() {
    let mut project = Project::new();
    project.change(vec![put("a", "1\n"), put("b", "2\n")]);
    let before = project.derived();
    let new = NewCheckIn {
        branch: Some("side"),
        changes: vec![put("a", "changed\n"), delete("b"), put("c", "3\n")],
        ..NewCheckIn::new("tester", "side")
    };
    let mut failures = 0;
    loop {
        project.repo.fail_at(failures + 1);
        let result = project.commit(&new);
        if project.repo.fail_never() {
            result.expect("no write call was left to fail");
            break;
        }
        assert!(result.is_err(), "write call {failures} failed unnoticed");
        failures += 1;
    }
    assert!(failures > 10, "{failures}");
    assert_eq!(project.paths("trunk"), ["a", "b"]);
    assert_eq!(project.paths("side"), ["a", "c"]);
    // What is there now is what was there before, and one check-in.
    let after = project.derived();
    for line in before.lines() {
        assert!(after.contains(line), "{line}");
    }
    project.assert_accepted();
}
