//! Projects made by stock, for both sides of the tests.

use std::path::{Path, PathBuf};
use std::process::Stdio;

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
    let message = format!("change-{file}");
    run(
        lab,
        work,
        &format!("commit -m {message} --no-warnings --hash --user {user}"),
    );
}

/// Commits one file privately. Returns the names of what is private then.
pub(crate) fn commit_privately(
    lab: &Lab,
    repo: &Path,
    work: &Path,
    file: &str,
    content: &str,
) -> Vec<String> {
    std::fs::write(work.join(file), content).unwrap();
    lab.fossil_in(work, &["addremove"]);
    run(
        lab,
        work,
        "commit --private -m hidden --no-warnings --user ada",
    );
    private_names(lab, repo)
}

/// Returns the names of what is private in a repository.
pub(crate) fn private_names(lab: &Lab, repo: &Path) -> Vec<String> {
    lab.query(
        repo,
        "SELECT uuid FROM private JOIN blob USING(rid) ORDER BY 1",
    )
}

/// Opens a repository in a new directory.
pub(crate) fn check_out(lab: &Lab, repo: &Path, name: &str) -> PathBuf {
    let work = lab.path(name);
    std::fs::create_dir(&work).unwrap();
    lab.fossil_in(&work, &["open", repo.to_str().unwrap(), "--nosync"]);
    lab.fossil_in(&work, &["settings", "autosync", "0"]);
    work
}

/// Runs stock in a directory. `line` is a command line without quotes.
pub(crate) fn run(lab: &Lab, work: &Path, line: &str) -> String {
    lab.fossil_in(work, &words(line))
}

/// Runs stock on a repository. `line` is a command line without quotes.
pub(crate) fn on(lab: &Lab, repo: &Path, line: &str) -> String {
    let repo = repo.to_str().expect("a plain path");
    lab.fossil(&[&words(line)[..], &["-R", repo]].concat())
}

/// Runs stock in a directory, and returns all it says, be it done or not.
pub(crate) fn try_to_run(lab: &Lab, work: &Path, line: &str) -> String {
    let mut command = lab.command(work, &words(line));
    let output = command.stdin(Stdio::null()).output().expect("fossil runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Adds a user with a password.
pub(crate) fn add_user(lab: &Lab, repo: &Path, login: &str, letters: &str, password: &str) {
    on(lab, repo, &format!("user new {login} contact {password}"));
    on(lab, repo, &format!("user capabilities {login} {letters}"));
}
