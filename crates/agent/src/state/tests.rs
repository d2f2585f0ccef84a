//! What is told to `agent.db` is there after the next opening; damaged and newer files are never overwritten.

use super::*;

fn open(path: &Path) -> StateDb {
    let (state, aside) = StateDb::open(path).expect("the database opens");
    assert_eq!(aside, None);
    state
}

#[test]
fn names_are_unique_stable_and_safe_in_an_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.db");
    let state = open(&path);
    assert_eq!(
        state.name(Path::new("/a/proj.fossil")).expect("a name"),
        "proj"
    );
    assert_eq!(
        state.name(Path::new("/b/Proj.fossil")).expect("a name"),
        "Proj-2"
    );
    assert_eq!(
        state.name(Path::new("/b/ü b/…/.fossil")).expect("a name"),
        "fossil"
    );
    assert_eq!(
        state.name(Path::new("/b/healthz.fossil")).expect("a name"),
        "healthz-2"
    );
    assert_eq!(
        state
            .name(Path::new("/b/we ird & ü.fossil"))
            .expect("a name"),
        "we-ird"
    );
    assert_eq!(
        state.name(Path::new("/b/a & b.fossil")).expect("a name"),
        "a-b"
    );
    assert_eq!(
        state.name(Path::new("/b/é.fossil")).expect("a name"),
        "repository"
    );
    drop(state);
    let state = open(&path);
    assert_eq!(
        state.name(Path::new("/b/Proj.fossil")).expect("a name"),
        "Proj-2"
    );
    assert_eq!(state.kept().expect("rows"), []);
    state.keep("Proj-2").expect("kept");
    assert_eq!(state.kept().expect("rows").len(), 1);
    state.forget("Proj-2").expect("forgotten");
    assert_eq!(state.kept().expect("rows"), []);
}

#[test]
fn a_remote_is_kept_with_its_login_and_goes_with_its_repository() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = open(&folder.path().join("agent.db"));
    let name = state.name(Path::new("/a/proj.fossil")).expect("a name");
    let remote: Remote = "https://ada:se%20cret@example.org/proj"
        .parse()
        .expect("a remote");
    state.set_remote(&name, Some(&remote)).expect("stored");
    assert_eq!(state.remote(&name).expect("read"), Some(remote));
    state.set_remote(&name, None).expect("removed");
    assert_eq!(state.remote(&name).expect("read"), None);
}

#[test]
fn a_damaged_file_is_set_aside_with_its_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.db");
    let garbage = vec![7_u8; 10_000];
    fs::write(&path, &garbage).expect("written");
    let (state, aside) = StateDb::open(&path).expect("a new database");
    assert_eq!(fs::read(aside.expect("set aside")).expect("read"), garbage);
    state
        .name(Path::new("/a/proj.fossil"))
        .expect("the new one works");
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.db");
    drop(open(&path));
    Connection::open(&path)
        .and_then(|db| db.execute_batch("PRAGMA user_version = 99"))
        .expect("marked");
    let before = fs::read(&path).expect("read");
    assert!(matches!(
        StateDb::open(&path),
        Err(StateError::Newer { found: 99, .. })
    ));
    assert_eq!(fs::read(&path).expect("read"), before);
}
