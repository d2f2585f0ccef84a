//! How old the contents of a version are.

use std::collections::HashMap;

use crate::db::{Repository, Result, Rid};
use crate::name::HashName;
use crate::time::Timestamp;

/// Returns, for the contents that the check-in in row `rid` and its ancestors brought, the time of the first check-in that
/// has them.
///
/// # Errors
/// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
pub fn first_seen(repo: &Repository, rid: Rid) -> Result<HashMap<HashName, Timestamp>> {
    let mut query = repo.conn().prepare_cached(
        "WITH RECURSIVE ancestor(id) AS (
             VALUES(?1) UNION SELECT plink.pid FROM ancestor JOIN plink ON plink.cid=ancestor.id)
         SELECT blob.uuid, min(event.mtime)
           FROM ancestor JOIN mlink ON mlink.mid=ancestor.id JOIN event ON event.objid=mlink.mid
           JOIN blob ON blob.rid=mlink.fid
          GROUP BY mlink.fid",
    )?;
    let rows = query.query_map([rid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
