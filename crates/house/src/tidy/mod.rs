//! The house rules that a program can check, run over every file of the repository: sizes, words, places. A rule is a
//! function from a file to findings, and each is shown to find something on a small bad sample.

mod rust;
mod text;

use std::fmt;
use std::process::Command;

use crate::root;

/// A text file of the repository.
struct File {
    /// Path from the repository's top, with `/`.
    path: String,
    text: String,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extensions.contains(&extension))
    }

    /// Returns each line with its number, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }
}

/// A broken rule.
#[derive(PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Returns the text files that git tracks or would track.
fn repository() -> Vec<File> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .expect("git lists the repository's files");
    assert!(listed.status.success(), "git ls-files failed");
    let listed = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    listed
        .split_terminator('\0')
        .filter_map(|path| {
            // A file that was deleted but not yet committed is still listed; pictures are not text.
            let bytes = std::fs::read(root().join(path)).ok()?;
            Some(File {
                path: path.to_owned(),
                text: String::from_utf8(bytes).ok()?,
            })
        })
        .collect()
}

fn assert_tidy(findings: &[Finding]) {
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(
        list.is_empty(),
        "{} findings:\n{}",
        list.len(),
        list.join("\n")
    );
}

#[test]
fn the_repository_is_tidy() {
    let files = repository();
    assert!(
        files
            .iter()
            .any(|file| file.path == "crates/house/src/tidy/mod.rs"),
        "found no files"
    );
    let mut findings: Vec<Finding> = files.iter().flat_map(text::check).collect();
    findings.extend(
        files
            .iter()
            .filter(|file| file.has_extension(&["rs"]))
            .flat_map(rust::check),
    );
    findings.extend(text::dead_fixtures(&files));
    assert_tidy(&findings);
}

/// Returns the findings of `check` on a file with this path and text, as `line: what`.
fn found(check: impl Fn(&File) -> Vec<Finding>, path: &str, text: &str) -> Vec<String> {
    check(&File {
        path: path.to_owned(),
        text: text.to_owned(),
    })
    .into_iter()
    .map(|finding| format!("{}: {}", finding.line, finding.what))
    .collect()
}
