//! All contents that files ever had, whatever check-in holds them.

use crate::db::{Repository, Result, Rid};
use crate::name::RepoPath;

/// A content that a file got in a check-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// Where the file is.
    pub path: RepoPath<'static>,
    /// Its content, which may not be here yet.
    pub content: Rid,
    /// The check-in that it came with.
    pub check_in: Rid,
}

/// Returns every content that every file ever got, in the order in which the check-ins became known; on all branches, and of
/// files that are gone too.
///
/// # Errors
/// [`Error::Sqlite`](crate::db::Error::Sqlite) when the repository cannot be read.
pub fn file_versions(repo: &Repository) -> Result<Vec<FileVersion>> {
    let mut query = repo.conn().prepare_cached(
        "SELECT filename.name, mlink.fid, mlink.mid FROM mlink JOIN filename ON filename.fnid=mlink.fnid
          WHERE mlink.fid>0 ORDER BY mlink.mid, mlink.fid",
    )?;
    let rows = query.query_map([], |row| {
        Ok(FileVersion {
            path: row.get(0)?,
            content: row.get(1)?,
            check_in: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
