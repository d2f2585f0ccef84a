//! Which repository a command means: `-R FILE`, else the one of the check-out around here, else the only `*.fossil` here.

use std::path::{Path, PathBuf};

use clap::Args;
use libfossil::checkout::CheckOut;
use libfossil::db::{Access, Repository};

use crate::error::{Failure, Kind, OrFail};
use crate::repo::failure::database;

/// `-R`, for every command that works on one repository.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RepositoryArg {
    /// The repository; otherwise that of the check-out around here, or the only *.fossil here
    #[arg(
        short = 'R',
        long = "repo",
        visible_alias = "repository",
        value_name = "FILE"
    )]
    pub(crate) repo: Option<PathBuf>,
}

impl RepositoryArg {
    /// Returns the file that is meant.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        match &self.repo {
            Some(path) => Ok(path.clone()),
            None => discover(&current_dir()?),
        }
    }

    /// Opens it.
    pub(crate) fn open(&self, access: Access) -> Result<Repository, Failure> {
        Repository::open(self.path()?, access).map_err(database)
    }
}

/// Returns the current directory.
pub(crate) fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().or_fail(Kind::Failed, "the current directory")
}

/// Returns the repository that somebody in `folder` means without saying so.
pub(crate) fn discover(folder: &Path) -> Result<PathBuf, Failure> {
    if let Some(check_out) = CheckOut::around(folder).map_err(database)? {
        return Ok(check_out.repository().to_owned());
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .or_fail(Kind::Failed, folder.display())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "fossil")
                && path.is_file()
        })
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(
            Failure::new(Kind::Usage, "there are several repositories here")
                .hint("name the one you mean with -R FILE"),
        ),
        (None, _) => Err(Failure::new(Kind::NotFound, "there is no repository here")
            .hint("name one with -R FILE, or make one: edgesync new FILE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_repository_here_is_meant_and_of_two_none() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(
            discover(folder.path()).expect_err("nothing here").kind,
            Kind::NotFound
        );
        std::fs::write(folder.path().join("a.fossil"), b"").expect("written");
        std::fs::create_dir(folder.path().join("b.fossil")).expect("a folder is no repository");
        assert_eq!(
            discover(folder.path()).expect("one"),
            folder.path().join("a.fossil")
        );
        std::fs::write(folder.path().join("c.fossil"), b"").expect("written");
        assert_eq!(discover(folder.path()).expect_err("two").kind, Kind::Usage);
    }
}
