//! Looking at what happened: versions by name, the timeline with its graph, check-ins and their files.
//!
//! Everything here reads; the derived tables that it reads are kept by [`crosslink`](crate::crosslink).
//!
//! - [`resolve`]: from what a person types to a check-in.
//! - [`recent`], [`count`]: events, newest first; [`Timeline`]: all of them, in pages, with a [`graph`].
//! - [`Selection`]: which of them, by branch, path, moment or relation.
//! - [`describe`]: one check-in with its relatives and the files it changed.
//! - [`files`], [`file`], [`first_seen`]: what a version consists of, and since when; [`file_versions`]: what was ever in any.

mod age;
mod describe;
mod events;
mod ever;
mod files;
pub mod graph;
mod select;
mod timeline;
mod version;

pub use age::first_seen;
pub use describe::{Change, ChangedFile, CheckInDetails, Relative, describe};
pub use events::{EventKind, EventRow, LaidOutLine, count, recent};
pub use ever::{FileVersion, file_versions};
pub use files::{FileEntry, file, files};
pub use select::{Moment, Selection};
pub use timeline::Timeline;
pub use version::{VersionError, resolve};

use crate::db::{Repository, Result, Rid};

/// Returns the branch that a check-in is on; `trunk` when it carries no branch tag, as stock assumes.
///
/// # Errors
/// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
pub fn branch_of(repo: &Repository, rid: Rid) -> Result<String> {
    use rusqlite::OptionalExtension;
    let branch: Option<Option<String>> = repo
        .conn()
        .prepare_cached(
            "SELECT value FROM tagxref
              WHERE rid=?1 AND tagid=(SELECT tagid FROM tag WHERE tagname='branch') AND tagtype>0",
        )?
        .query_row([rid], |row| row.get(0))
        .optional()?;
    Ok(branch.flatten().unwrap_or_else(|| MAIN_BRANCH.to_owned()))
}

/// Returns the symbolic names that a check-in carries, its branch's among them, in the order in which stock shows them.
fn symbolic_names(repo: &Repository, rid: Rid) -> Result<Vec<String>> {
    let mut query = repo.conn().prepare_cached(
        "SELECT substr(tagname, 5) FROM tagxref JOIN tag USING(tagid)
          WHERE rid=?1 AND tagtype>0 AND tagname GLOB 'sym-*' ORDER BY tagid",
    )?;
    let names = query.query_map([rid], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Returns the names besides the branch's, sorted.
fn tags_among(names: &[String], branch: Option<&str>) -> Vec<String> {
    let others = names.iter().filter(|name| Some(name.as_str()) != branch);
    let mut tags: Vec<String> = others.cloned().collect();
    tags.sort_unstable();
    tags
}

/// The branch that stock gives check-ins without a branch tag, and that new repositories start with.
pub const MAIN_BRANCH: &str = "trunk";
