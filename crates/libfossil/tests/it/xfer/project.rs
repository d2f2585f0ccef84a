//! Projects made by stock, for both sides of the tests.

use std::path::{Path, PathBuf};

use crate::stock::Lab;

/// A stock repository with some history, open in the directory `work`.
pub(crate) fn stock_project(lab: &Lab, name: &str) -> (PathBuf, PathBuf) {
    let repo = lab.path(&format!("{name}.fossil"));
    let path = repo.to_str().unwrap();
    lab.fossil(&["new", path, "-A", "ada"]);
    lab.fossil(&["user", "password", "ada", "secret", "-R", path]);
    let work = check_out(lab, &repo, &format!("{name}-work"));
    for version in 1..=3 {
        commit(
            lab,
            &work,
            "ada",
            "a.txt",
            format!("{}version {version}\n", "line of text\n".repeat(40)),
        );
    }
    (repo, work)
}

/// Commits one file.
pub(crate) fn commit(lab: &Lab, work: &Path, user: &str, file: &str, content: impl AsRef<[u8]>) {
    std::fs::write(work.join(file), content).unwrap();
    lab.fossil_in(work, &["addremove"]);
    lab.fossil_in(
        work,
        &[
            "commit",
            "-m",
            &format!("change {file}"),
            "--no-warnings",
            "--hash",
            "--user",
            user,
        ],
    );
}

/// Opens a repository in a new directory.
pub(crate) fn check_out(lab: &Lab, repo: &Path, name: &str) -> PathBuf {
    let work = lab.path(name);
    std::fs::create_dir(&work).unwrap();
    lab.fossil_in(&work, &["open", repo.to_str().unwrap(), "--nosync"]);
    lab.fossil_in(&work, &["settings", "autosync", "0"]);
    work
}

/// Runs stock on a repository.
pub(crate) fn on(lab: &Lab, repo: &Path, args: &[&str]) -> String {
    let repo = repo.to_str().expect("a plain path");
    lab.fossil(&[args, &["-R", repo]].concat())
}

/// Adds a user with a password.
pub(crate) fn add_user(lab: &Lab, repo: &Path, login: &str, letters: &str, password: &str) {
    on(lab, repo, &["user", "new", login, "contact", password]);
    on(lab, repo, &["user", "capabilities", login, letters]);
}
