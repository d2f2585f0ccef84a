//! One check-in: who, when, why, what it follows, what follows it, and which files it changed.

use rusqlite::{OptionalExtension, Row};

use super::{VersionError, branch_of, symbolic_names, tags_among};
use crate::artifact::Permission;
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;
use crate::time::Timestamp;

/// A check-in with its relatives.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckInDetails {
    /// Its row.
    pub rid: Rid,
    /// Its name.
    pub name: HashName,
    /// When it was made, or what it was amended to say.
    pub time: Timestamp,
    /// Who made it.
    pub user: String,
    /// What was said.
    pub comment: String,
    /// The branch it is on.
    pub branch: String,
    /// Symbolic names, the branch's among them, in the order in which stock shows them.
    pub names: Vec<String>,
    /// What it follows, the primary parent first.
    pub parents: Vec<Relative>,
    /// What follows it, in order of time.
    pub children: Vec<Relative>,
}

/// A parent or child of a check-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Its row.
    pub rid: Rid,
    /// Its name.
    pub name: HashName,
    /// What was said; empty while it is known by name only.
    pub comment: String,
    /// Whether the link is a merge.
    pub merge: bool,
}

/// How a check-in differs from its primary parent in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The parent has no such file.
    Added,
    /// Other content or other permissions.
    Modified,
    /// The file is gone.
    Deleted,
    /// The file had another name, and perhaps other content.
    Renamed,
}

/// A file that a check-in changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path, the former one if it was deleted. As text: bytes that are no UTF-8 are replaced.
    pub path: String,
    /// Its former path if it was renamed.
    pub old_path: Option<String>,
    /// What happened to it.
    pub change: Change,
    /// Its permissions now.
    pub permission: Permission,
    /// Its content now.
    pub name: Option<HashName>,
    /// Its content before.
    pub old_name: Option<HashName>,
    /// Bytes of its content now, or before if it was deleted; `None` while the content is not here.
    pub size: Option<u64>,
}

/// Which rows of `mlink` are changes of check-in `?1` against its primary parent. A rename has a row for the path that
/// vanished too; the row of the new path tells both.
const SHOWN: &str = "mlink.mid=?1 AND NOT mlink.isaux AND NOT (mlink.fid=0 AND EXISTS(
    SELECT 1 FROM mlink AS renamed WHERE renamed.mid=?1 AND renamed.pfnid=mlink.fnid))";

/// Returns what is known of the check-in in row `rid`.
///
/// # Errors
/// [`VersionError::NotFound`] when the row is no check-in.
pub fn describe(repo: &Repository, rid: Rid) -> Result<CheckInDetails, VersionError> {
    let mut query = repo
        .conn()
        .prepare_cached(
            "SELECT uuid, mtime, coalesce(euser, user, ''), coalesce(ecomment, comment, '')
               FROM event JOIN blob ON blob.rid=event.objid WHERE objid=?1 AND type='ci'",
        )
        .map_err(crate::db::Error::from)?;
    let found = query
        .query_row([rid], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()
        .map_err(crate::db::Error::from)?;
    let (name, time, user, comment) =
        found.ok_or_else(|| VersionError::NotFound(rid.to_string()))?;
    Ok(CheckInDetails {
        rid,
        name,
        time,
        user,
        comment,
        branch: branch_of(repo, rid)?,
        names: symbolic_names(repo, rid)?,
        parents: relatives(
            repo,
            "SELECT pid, uuid, coalesce(ecomment, comment, ''), NOT isprim
               FROM plink JOIN blob ON blob.rid=pid LEFT JOIN event ON objid=pid
              WHERE cid=?1 ORDER BY isprim DESC, plink.rowid",
            rid,
        )?,
        children: relatives(
            repo,
            "SELECT cid, uuid, coalesce(ecomment, comment, ''), NOT isprim
               FROM plink JOIN blob ON blob.rid=cid LEFT JOIN event ON objid=cid
              WHERE pid=?1 ORDER BY plink.mtime, cid",
            rid,
        )?,
    })
}

fn relatives(repo: &Repository, sql: &str, rid: Rid) -> Result<Vec<Relative>> {
    let mut query = repo.conn().prepare_cached(sql)?;
    let rows = query.query_map([rid], |row| {
        Ok(Relative {
            rid: row.get(0)?,
            name: row.get(1)?,
            comment: row.get(2)?,
            merge: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl CheckInDetails {
    /// Returns the symbolic names besides the branch, sorted.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        tags_among(&self.names, Some(&self.branch))
    }

    /// Returns the files that differ from the primary parent, sorted by path: `limit` of them from `offset` on, and how
    /// many there are in all.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
    pub fn changed_files(
        &self,
        repo: &Repository,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<ChangedFile>, usize)> {
        let as_sql = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let total: i64 = repo
            .conn()
            .prepare_cached(&format!("SELECT count(*) FROM mlink WHERE {SHOWN}"))?
            .query_row([self.rid], |row| row.get(0))?;
        let mut query = repo.conn().prepare_cached(&format!(
            "SELECT filename.name, former.name, mlink.fid, mlink.pid, mlink.mperm, new.uuid, old.uuid,
                    coalesce(new.size, old.size)
               FROM mlink JOIN filename ON filename.fnid=mlink.fnid
               LEFT JOIN filename AS former ON former.fnid=mlink.pfnid
               LEFT JOIN blob AS new ON new.rid=mlink.fid
               LEFT JOIN blob AS old ON old.rid=mlink.pid
              WHERE {SHOWN} ORDER BY filename.name LIMIT ?2 OFFSET ?3"
        ))?;
        let rows = query.query_map((self.rid, as_sql(limit), as_sql(offset)), changed_file)?;
        Ok((
            rows.collect::<Result<_, _>>()?,
            usize::try_from(total).unwrap_or(0),
        ))
    }
}

fn changed_file(row: &Row<'_>) -> rusqlite::Result<ChangedFile> {
    let text = |at: usize| -> rusqlite::Result<Option<String>> {
        let bytes = row.get_ref(at)?.as_bytes_or_null()?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let (fid, pid): (i64, i64) = (row.get(2)?, row.get(3)?);
    let old_path = text(1)?;
    let change = match (fid, pid, &old_path) {
        (0, ..) => Change::Deleted,
        (_, _, Some(_)) => Change::Renamed,
        // -1 stands for a file that a merge brought.
        (_, ..=0, None) => Change::Added,
        _ => Change::Modified,
    };
    Ok(ChangedFile {
        path: text(0)?.unwrap_or_default(),
        old_path,
        change,
        permission: permission(row.get(4)?),
        name: row.get(5)?,
        old_name: row.get(6)?,
        size: row
            .get::<_, i64>(7)
            .ok()
            .and_then(|size| u64::try_from(size).ok()),
    })
}

/// Returns what `mlink.mperm` stands for.
const fn permission(mperm: i64) -> Permission {
    match mperm {
        1 => Permission::Executable,
        2 => Permission::Symlink,
        _ => Permission::Regular,
    }
}
