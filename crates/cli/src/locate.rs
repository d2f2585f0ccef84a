//! Which repository a command means: `-R FILE`, else the one of the check-out around here, else the only `*.fossil` here.

use std::path::{Path, PathBuf};

use clap::Args;
use libfossil::checkout::CheckOut;
use libfossil::db::{Access, Repository, Rid};
use libfossil::history::resolve;
use libfossil::name::HashName;

use crate::error::{Failure, Kind, OrFail};
use crate::repo::failure::{database, version};

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

/// `-R`, for commands about everything that the running agent keeps, or one repository of it.
#[derive(Args)]
pub(crate) struct OneArg {
    /// Only this repository
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

/// The repository as an argument or with `-R`, for commands that stock gives the file itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct GivenRepository {
    /// The repository, as with -R
    #[arg(value_name = "FILE", conflicts_with = "repo")]
    file: Option<PathBuf>,

    #[command(flatten)]
    repository: RepositoryArg,
}

impl GivenRepository {
    /// Opens it.
    pub(crate) fn open(&self, access: Access) -> Result<Repository, Failure> {
        match &self.file {
            Some(file) => Repository::open(file, access).map_err(database),
            None => self.repository.open(access),
        }
    }
}

/// Returns the current directory.
pub(crate) fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().or_fail(Kind::Failed, "the current directory")
}

/// Returns the check-out around here, when it belongs to this repository.
pub(crate) fn check_out_of(repository: &Repository) -> Result<Option<CheckOut>, Failure> {
    let Some(check_out) = CheckOut::around(&current_dir()?).map_err(database)? else {
        return Ok(None);
    };
    let same = match (
        check_out.repository().canonicalize(),
        repository.path().canonicalize(),
    ) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    };
    Ok(same.then_some(check_out))
}

/// Returns the check-in that is checked out around here, when the check-out belongs to this repository.
pub(crate) fn checked_out(repository: &Repository) -> Result<Option<HashName>, Failure> {
    Ok(check_out_of(repository)?.and_then(|check_out| check_out.version().copied()))
}

/// Returns the row of the version that was named, else of the one checked out here, else of the newest.
pub(crate) fn version_or_default(
    repository: &Repository,
    named: Option<&str>,
) -> Result<Rid, Failure> {
    if let Some(name) = named {
        return resolve(repository, name).map_err(version);
    }
    if let Some(name) = checked_out(repository)?
        && let Some(rid) = repository.rid(&name).map_err(database)?
    {
        return Ok(rid);
    }
    resolve(repository, "tip").map_err(version)
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
