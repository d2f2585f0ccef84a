//! From what a person types to a check-in.

use rusqlite::{OptionalExtension, Params};
use thiserror::Error;

use crate::db::{Error, Repository, Rid};
use crate::time::Timestamp;

/// Fewest digits of a hash that name a check-in; stock wants as many.
const MIN_PREFIX_DIGITS: usize = 4;

/// Most digits of a hash.
const MAX_PREFIX_DIGITS: usize = 64;

/// Why a version could not be found.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Nothing here has this name.
    #[error("no check-in is called {0:?}")]
    NotFound(String),
    /// The digits are the beginning of several hashes.
    #[error("{prefix} is the beginning of {count} check-ins' hashes")]
    Ambiguous {
        /// The digits given.
        prefix: String,
        /// How many check-ins they fit.
        count: usize,
    },
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] Error),
}

/// Returns the check-in that `version` names.
///
/// In this order, as stock does: `tip` (the newest check-in), `tag:NAME`, `root:NAME` (the check-in that branch NAME
/// grew from), a date (the newest check-in not after it), 4 to 64 digits of a hash, a tag or branch (the newest
/// check-in that carries it).
///
/// # Errors
/// [`VersionError::NotFound`], [`VersionError::Ambiguous`].
pub fn resolve(repo: &Repository, version: &str) -> Result<Rid, VersionError> {
    find(repo, version)?.ok_or_else(|| VersionError::NotFound(version.to_owned()))
}

fn find(repo: &Repository, version: &str) -> Result<Option<Rid>, VersionError> {
    if version == "tip" {
        return Ok(first(
            repo,
            "SELECT objid FROM event WHERE type='ci' ORDER BY mtime DESC, objid DESC LIMIT 1",
            [],
        )?);
    }
    if let Some(name) = version.strip_prefix("tag:") {
        return Ok(newest_tagged(repo, name)?);
    }
    if let Some(name) = version.strip_prefix("root:") {
        return Ok(match newest_tagged(repo, name)? {
            Some(rid) => Some(branch_root(repo, rid)?),
            None => None,
        });
    }
    if let Some(time) = as_date(version) {
        return Ok(first(
            repo,
            "SELECT objid FROM event WHERE type='ci' AND mtime<=?1 ORDER BY mtime DESC, objid DESC LIMIT 1",
            [time.to_julian() + 0.5 / 86_400_000.0],
        )?);
    }
    if let Some(rid) = by_prefix(repo, version)? {
        return Ok(Some(rid));
    }
    Ok(newest_tagged(repo, version)?)
}

/// Runs a query for one row number.
fn first(repo: &Repository, sql: &str, params: impl Params) -> Result<Option<Rid>, Error> {
    Ok(repo
        .conn()
        .prepare_cached(sql)?
        .query_row(params, |row| row.get(0))
        .optional()?)
}

fn newest_tagged(repo: &Repository, name: &str) -> Result<Option<Rid>, Error> {
    first(
        repo,
        "SELECT event.objid FROM tag JOIN tagxref USING(tagid) JOIN event ON event.objid=tagxref.rid
          WHERE tagname='sym-'||?1 AND tagtype>0 AND event.type='ci'
          ORDER BY event.mtime DESC, event.objid DESC LIMIT 1",
        [name],
    )
}

/// Follows primary parents from `rid` to the first one on another branch.
fn branch_root(repo: &Repository, rid: Rid) -> Result<Rid, Error> {
    let branch = super::branch_of(repo, rid)?;
    let mut parent = repo
        .conn()
        .prepare_cached("SELECT pid FROM plink WHERE cid=?1 AND isprim")?;
    let mut at = rid;
    let mut seen = std::collections::HashSet::new();
    while seen.insert(at) {
        let Some(next) = parent.query_row([at], |row| row.get(0)).optional()? else {
            break;
        };
        at = next;
        if super::branch_of(repo, at)? != branch {
            break;
        }
    }
    Ok(at)
}

/// Reads a date and time; a date alone means its last moment, a time without seconds the end of its minute.
fn as_date(version: &str) -> Option<Timestamp> {
    let is_date = version.len() >= 10 && version.as_bytes().get(4) == Some(&b'-');
    let time = Timestamp::parse(version.as_bytes())
        .ok()
        .filter(|_| is_date)?;
    let rest_ms = match version.len() {
        10 => 86_399_999,
        16 => 59_999,
        19 => 999,
        _ => 0,
    };
    Some(time.saturating_add_millis(rest_ms))
}

fn by_prefix(repo: &Repository, version: &str) -> Result<Option<Rid>, VersionError> {
    let prefix = version.to_ascii_lowercase();
    let fits = (MIN_PREFIX_DIGITS..=MAX_PREFIX_DIGITS).contains(&prefix.len())
        && prefix.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !fits {
        return Ok(None);
    }
    // 'g' sorts after every digit, so the range holds just the names with this prefix, and the index serves it.
    let mut query = repo
        .conn()
        .prepare_cached(
            "SELECT rid, uuid=?1 FROM blob JOIN event ON event.objid=blob.rid
              WHERE uuid>=?1 AND uuid<?1||'g' AND event.type='ci' ORDER BY uuid",
        )
        .map_err(Error::from)?;
    let mut found: Vec<(Rid, bool)> = Vec::new();
    let rows = query
        .query_map([&prefix], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(Error::from)?;
    for row in rows {
        found.push(row.map_err(Error::from)?);
    }
    if let Some((rid, _)) = found.iter().find(|(_, whole)| *whole) {
        return Ok(Some(*rid));
    }
    match found.as_slice() {
        [] => Ok(None),
        [(rid, _)] => Ok(Some(*rid)),
        several => Err(VersionError::Ambiguous {
            prefix,
            count: several.len(),
        }),
    }
}
