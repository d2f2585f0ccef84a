//! What a version consists of: its files, with the baseline's where the check-in only lists changes to it.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::artifact::{self, Artifact, CheckIn, FileCard, Permission};
use crate::db::{Error, Repository, Result, Rid};
use crate::name::{HashName, RepoPath};

/// A file of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it is.
    pub path: RepoPath<'static>,
    /// Its content.
    pub name: HashName,
    /// What it is besides its content.
    pub permission: Permission,
}

impl FileEntry {
    /// Returns the size of the content in bytes; `None` while it is not here.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the repository cannot be read.
    pub fn size(&self, repo: &Repository) -> Result<Option<u64>> {
        use rusqlite::OptionalExtension;
        let size: Option<i64> = repo
            .conn()
            .prepare_cached("SELECT size FROM blob WHERE uuid=?1")?
            .query_row([&self.name], |row| row.get(0))
            .optional()?;
        Ok(size.and_then(|size| u64::try_from(size).ok()))
    }
}

/// Returns the files of the check-in in row `rid`, by ascending path.
///
/// # Errors
/// [`Error::NotACheckIn`] when the row holds something else, [`Error::Missing`] when it or its baseline is known by name
/// only.
pub fn files(repo: &Repository, rid: Rid) -> Result<Vec<FileEntry>> {
    let name = repo.name(rid)?;
    let content = repo.content(rid)?;
    let check_in = parse(&content, name)?;
    let Some(baseline) = check_in.baseline else {
        return Ok(check_in.files.into_iter().filter_map(entry).collect());
    };
    let base_rid = repo
        .rid(&baseline)?
        .ok_or(Error::Missing { name: baseline })?;
    let base_content = repo.content(base_rid)?;
    let base = parse(&base_content, baseline)?;
    Ok(overlay(base.files, check_in.files))
}

/// Returns the file at `path` in the check-in in row `rid`, and its content; `None` when the version has no such file.
///
/// # Errors
/// As [`files`], and [`Error::Missing`] when the file's content is not here.
pub fn file(
    repo: &Repository,
    rid: Rid,
    path: &RepoPath<'_>,
) -> Result<Option<(FileEntry, Bytes)>> {
    let files = files(repo, rid)?;
    let Some(found) = files
        .into_iter()
        .find(|file| file.path.as_bytes() == path.as_bytes())
    else {
        return Ok(None);
    };
    let content_rid = repo
        .rid(&found.name)?
        .ok_or(Error::Missing { name: found.name })?;
    let content = repo.content(content_rid)?;
    Ok(Some((found, content)))
}

fn parse(content: &[u8], name: HashName) -> Result<CheckIn<'_>> {
    match artifact::parse(content) {
        Ok(Artifact::CheckIn(check_in)) => Ok(check_in),
        _ => Err(Error::NotACheckIn { name }),
    }
}

/// Lays `changes` over `base`, both by ascending path. A change without content takes the file away.
fn overlay(base: Vec<FileCard<'_>>, changes: Vec<FileCard<'_>>) -> Vec<FileEntry> {
    let mut files = Vec::with_capacity(base.len() + changes.len());
    let mut base = base.into_iter().peekable();
    for change in changes {
        while let Some(kept) = base.next_if(|file| file.path < change.path) {
            files.extend(entry(kept));
        }
        base.next_if(|file| file.path.cmp(&change.path) == Ordering::Equal);
        files.extend(entry(change));
    }
    files.extend(base.filter_map(entry));
    files
}

fn entry(card: FileCard<'_>) -> Option<FileEntry> {
    Some(FileEntry {
        path: card.path.into_owned(),
        name: card.hash?,
        permission: card.permission,
    })
}
