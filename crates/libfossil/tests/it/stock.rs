//! Runs the stock `fossil` program, away from the settings of whoever runs the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory of its own with a home for `fossil` in it.
pub(crate) struct Lab {
    dir: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        dir
    }

    /// Returns a command of stock fossil that runs in the directory `cwd`.
    pub(crate) fn command(&self, cwd: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("fossil");
        command
            .args(args)
            .current_dir(cwd)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("USER", "tester")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        command
    }

    /// Runs a command of stock fossil, which must succeed, and returns what it printed.
    pub(crate) fn fossil_in(&self, cwd: &Path, args: &[&str]) -> String {
        let output = self.command(cwd, args).output().expect("fossil runs");
        assert!(
            output.status.success(),
            "fossil {args:?}: {}",
            describe(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn fossil(&self, args: &[&str]) -> String {
        self.fossil_in(self.dir.path(), args)
    }

    /// Has stock make a repository with something of everything in it.
    pub(crate) fn everything(&self, name: &str) -> PathBuf {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/everything.sh");
        let repository = self.path(name);
        let output = Command::new("sh")
            .arg(script)
            .args([&repository, &self.path("tree of everything")])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("USER", "tester")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .output()
            .expect("sh runs");
        assert!(
            output.status.success(),
            "everything.sh: {}",
            describe(&output)
        );
        repository
    }

    /// Has stock compute the derived tables of a copy of a repository, and returns the copy.
    pub(crate) fn rebuilt_copy(&self, repository: &Path) -> PathBuf {
        let mut copy = repository.as_os_str().to_owned();
        copy.push(".stock");
        let copy = PathBuf::from(copy);
        std::fs::copy(repository, &copy).expect("a copy");
        self.fossil(&["rebuild", copy.to_str().expect("a plain path")]);
        copy
    }

    /// Asks stock to extract, hash and parse everything, and fails if it finds a mistake.
    pub(crate) fn assert_sound(&self, repository: &Path) {
        let repository = repository.to_str().expect("a plain path");
        let said = self.fossil(&["test-integrity", "--parse", "-R", repository]);
        // The exit code says nothing: "N non-phantom blobs (out of M total) checked:  E errors".
        let count = said
            .lines()
            .find_map(|line| line.split("checked:").nth(1)?.trim().split(' ').next());
        assert_eq!(count, Some("0"), "test-integrity: {said}");
    }
}

fn describe(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
