//! Where things are: the repository, and the programs that this build made.

use std::path::{Path, PathBuf};

/// Returns the repository's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the repository")
}

/// Returns a program of this build: cargo puts it one folder above the tests.
///
/// # Panics
/// Without it: a test of a program that was not built must not pass.
pub(crate) fn built(program: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a running test has a path");
    let folder = tests.ancestors().nth(2).expect("target/debug/deps/it");
    let path = folder.join(program);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace`",
        path.display()
    );
    path
}
