//! Which repositories the agents of this user host. One repository file in two agents stays whole, as SQLite sees to that, but each of them
//! syncs it, serves it and announces it under a name of its own, and both decide its questions. So each agent writes what it hosts into one
//! folder of the session's runtime directory, and says so when another one hosts the same. Nothing is kept from happening by it: a file of an
//! agent counts as long as its process holds a lock on it, and the repository file itself is never touched.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use directories::BaseDirs;
use serde::{Deserialize, Serialize};

use crate::files::{check_private, create_private_dir, private_file, read_while_held};
use crate::limits;
use crate::repository::locked;
use crate::text::to_hex;

/// Returns the folder in which agents of this user tell what they host, where the system has one for what lives as long as a session.
pub fn hosting_folder() -> Option<PathBuf> {
    let folders = BaseDirs::new()?;
    Some(folders.runtime_dir()?.join("edgesync").join("hosting"))
}

/// What one agent hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Its process.
    pub(crate) pid: u32,
    /// The folder of what it keeps.
    pub(crate) home: PathBuf,
    /// Canonical paths.
    pub(crate) repositories: BTreeSet<PathBuf>,
}

impl Host {
    /// Returns what a person is told who has a repository in this agent and in another one.
    pub(crate) fn words(&self) -> String {
        let (home, pid) = (self.home.display(), self.pid);
        format!("another agent hosts this file too: process {pid}, with its home in {home}")
    }
}

/// What this agent hosts, as others are told, and what was said about others.
#[derive(Debug)]
pub(crate) struct Hosting {
    /// This agent's file, unless nothing is to be told.
    path: Option<PathBuf>,
    home: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The file as it stays locked.
    file: Option<File>,
    /// Repositories that were found in another agent.
    shared: BTreeSet<PathBuf>,
}

impl Hosting {
    /// Returns what tells in `folder` of the agent whose home has its data in `home`; `mark` tells it from others of this process.
    pub(crate) fn new(folder: Option<PathBuf>, home: PathBuf, mark: [u8; 8]) -> Self {
        let name = format!("{}-{}.json", std::process::id(), to_hex(&mark));
        Self {
            path: folder.map(|folder| folder.join(name)),
            home,
            inner: Mutex::default(),
        }
    }

    /// Tells what is hosted now, and returns which of it another agent was found to host since the last time. Blocks on files.
    ///
    /// # Errors
    /// When the folder is not the user's alone, or cannot be written.
    pub(crate) fn tell(&self, repositories: BTreeSet<PathBuf>) -> io::Result<Vec<(PathBuf, Host)>> {
        let Some((path, folder)) = self.path.as_ref().zip(self.folder()) else {
            return Ok(Vec::new());
        };
        create_private_dir(folder)?;
        check_private(folder)?;
        let host = Host {
            pid: std::process::id(),
            home: self.home.clone(),
            repositories,
        };
        let mut inner = locked(&self.inner);
        inner.file = Some(private_file(path, |file| {
            // Before anybody can see it: without the lock it would count as left behind.
            file.try_lock()?;
            Ok(serde_json::to_writer(file, &host)?)
        })?);
        // After this agent can be seen itself: of two that come at once, at least one sees the other.
        let shared = shared(folder, &self.home, &host.repositories);
        let news = shared
            .iter()
            .filter(|(path, _)| !inner.shared.contains(path));
        let news = news.cloned().collect();
        inner.shared = shared.into_iter().map(|(path, _)| path).collect();
        Ok(news)
    }

    fn folder(&self) -> Option<&Path> {
        self.path.as_deref().and_then(Path::parent)
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that stays counts for nothing.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns which of the repositories agents with other homes host, and which agents these are. Blocks on files.
pub(crate) fn shared<'a>(
    folder: &Path,
    home: &Path,
    repositories: impl IntoIterator<Item = &'a PathBuf>,
) -> Vec<(PathBuf, Host)> {
    let others = hosts(folder);
    let of_others = |path: &PathBuf| {
        let mut others = others.iter().filter(|it| it.home != home);
        let other = others.find(|it| it.repositories.contains(path))?;
        Some((path.clone(), other.clone()))
    };
    repositories.into_iter().filter_map(of_others).collect()
}

/// Returns what the agents that run tell.
fn hosts(folder: &Path) -> Vec<Host> {
    if check_private(folder).is_err() {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = entries
        .take(limits::NEIGHBOURS)
        .filter_map(|entry| read_while_held(&entry.path(), limits::HOSTING_BYTES));
    texts
        .filter_map(|text| serde_json::from_slice(&text).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: &Path, home: &str, mark: u8) -> Hosting {
        Hosting::new(Some(folder.to_path_buf()), home.into(), [mark; 8])
    }

    fn set(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_repository_of_two_homes_is_named_once_and_no_more_when_one_of_them_is_gone() {
        let runtime = tempfile::tempdir().expect("a folder");
        let folder = runtime.path().join("hosting");
        let (one, other) = (of(&folder, "/one", 1), of(&folder, "/other", 2));
        assert!(one.tell(set(&["/a", "/b"])).expect("told").is_empty());
        let found = other.tell(set(&["/b", "/c"])).expect("told");
        let (path, host) = found.first().expect("one");
        assert_eq!(
            (found.len(), path, &host.home),
            (1, &"/b".into(), &"/one".into())
        );
        assert!(other.tell(set(&["/b", "/c"])).expect("told").is_empty());
        // Its file stays, as that of a process that was killed.
        locked(&one.inner).file = None;
        assert!(folder.read_dir().expect("listed").count() == 2);
        assert!(shared(&folder, Path::new("/other"), &set(&["/b"])).is_empty());
    }

    #[test]
    fn an_agent_of_the_same_home_and_one_without_a_folder_are_no_others() {
        let runtime = tempfile::tempdir().expect("a folder");
        let folder = runtime.path().join("hosting");
        let one = of(&folder, "/one", 1);
        one.tell(set(&["/a"])).expect("told");
        assert!(shared(&folder, Path::new("/one"), &set(&["/a"])).is_empty());
        let nowhere = Hosting::new(None, "/other".into(), [2; 8]);
        assert!(nowhere.tell(set(&["/a"])).expect("nothing").is_empty());
        drop(one);
        assert!(folder.read_dir().expect("listed").next().is_none());
    }
}
