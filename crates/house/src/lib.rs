//! The house rules that a program can check, as tests. They stand apart from all that they judge, so that a broken rule is told in the first seconds
//! of a test run and not after the long build.

#![cfg(test)]

mod arrows;
mod tidy;

use std::path::Path;

/// Returns the repository's top folder.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("a package in crates")
}
