//! Which events a timeline is asked for besides their kind: those about a branch, those that touch a path, those around a moment, and the
//! relatives of a check-in. The meaning of each is that of stock's `timeline`.

use std::collections::HashSet;

use rusqlite::Params;

use crate::db::{Repository, Result, Rid};
use crate::time::Timestamp;

/// A moment that events are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// When the timeline has the check-in in this row.
    Of(Rid),
    /// A time.
    At(Timestamp),
}

/// One condition on events.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// The check-ins of a branch, the edits of their tags, and the wiki pages about the branch and about them.
    Branch(String),
    /// The check-ins that changed a file, or a file below a folder; the path counts from the root of the tree.
    Path(String),
    /// What is not after a moment.
    Before(Moment),
    /// What is not before a moment.
    After(Moment),
    /// The check-in in this row and its ancestors by any parent, the newest `max` of them.
    Ancestors {
        /// Where to begin.
        of: Rid,
        /// How many at most, itself among them.
        max: usize,
    },
    /// The check-in in this row and its descendants by any parent, the oldest `max` of them.
    Descendants {
        /// Where to begin.
        of: Rid,
        /// How many at most, itself among them.
        max: usize,
    },
}

impl Selection {
    /// Returns the rows of the artifacts whose events fit.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
    pub fn rows(&self, repo: &Repository) -> Result<HashSet<Rid>> {
        match self {
            Self::Branch(name) => rows(repo, BRANCH, [name]),
            Self::Path(path) => rows(repo, PATH, [path.trim_end_matches('/')]),
            Self::Before(Moment::Of(rid)) => rows(repo, BEFORE_ROW, [rid]),
            Self::Before(Moment::At(time)) => rows(repo, BEFORE, [end_of(*time)]),
            Self::After(Moment::Of(rid)) => rows(repo, AFTER_ROW, [rid]),
            Self::After(Moment::At(time)) => rows(repo, AFTER, [time.to_julian()]),
            Self::Ancestors { of, max } => rows(repo, ANCESTORS, (of, as_sql(*max))),
            Self::Descendants { of, max } => rows(repo, DESCENDANTS, (of, as_sql(*max))),
        }
    }
}

/// Tags of a check-in tell its branch twice: tag 8 holds the name, and `sym-` with the name makes it one to ask for.
const BRANCH: &str = "
    WITH named(tagid) AS (SELECT tagid FROM tag WHERE tagname='sym-'||?1),
    wanted(rid) AS (
      SELECT rid FROM tagxref WHERE tagid IN named AND tagtype>0
      UNION SELECT srcid FROM tagxref WHERE origid IN (SELECT rid FROM tagxref WHERE tagid IN named)
      UNION SELECT objid FROM event WHERE type='w' AND substr(comment, 2)='branch/'||?1
      UNION SELECT event.objid FROM event JOIN blob ON blob.uuid=substr(comment, 10)
        JOIN tagxref ON tagxref.rid=blob.rid AND tagxref.tagid=8
        WHERE event.type='w' AND substr(comment, 2, 8)='checkin/' AND tagxref.value=?1)
    SELECT rid FROM wanted WHERE NOT EXISTS(
      SELECT 1 FROM tagxref WHERE tagxref.rid=wanted.rid AND tagid=8 AND tagtype>0 AND value<>?1)";

const PATH: &str = "
    SELECT DISTINCT mid FROM mlink JOIN filename USING(fnid)
     WHERE name=?1 OR substr(name, 1, length(?1)+1)=?1||'/'";

const BEFORE: &str = "SELECT objid FROM event WHERE mtime<=?1";
const AFTER: &str = "SELECT objid FROM event WHERE mtime>=?1";
const BEFORE_ROW: &str =
    "SELECT objid FROM event WHERE mtime<=(SELECT mtime FROM event WHERE objid=?1)";
const AFTER_ROW: &str =
    "SELECT objid FROM event WHERE mtime>=(SELECT mtime FROM event WHERE objid=?1)";

/// Those that the timeline has after the first, because of an edited date, are no ancestors to show, as with stock.
const ANCESTORS: &str = "
    WITH RECURSIVE line(rid, mtime) AS (
      SELECT objid, mtime FROM event WHERE objid=?1
      UNION SELECT event.objid, event.mtime FROM line JOIN plink ON plink.cid=line.rid
        JOIN event ON event.objid=plink.pid ORDER BY 2 DESC LIMIT ?2)
    SELECT rid FROM line WHERE mtime<=(SELECT mtime FROM event WHERE objid=?1)";

const DESCENDANTS: &str = "
    WITH RECURSIVE line(rid, mtime) AS (
      SELECT objid, mtime FROM event WHERE objid=?1
      UNION SELECT event.objid, event.mtime FROM line JOIN plink ON plink.pid=line.rid
        JOIN event ON event.objid=plink.cid ORDER BY 2 LIMIT ?2)
    SELECT rid FROM line WHERE mtime>=(SELECT mtime FROM event WHERE objid=?1)";

/// Returns a julian day that is after every one that rounds to `time`: the tables hold fractions that binary numbers cannot.
fn end_of(time: Timestamp) -> f64 {
    time.to_julian() + 0.5 / 86_400_000.0
}

fn as_sql(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rows(repo: &Repository, sql: &str, params: impl Params) -> Result<HashSet<Rid>> {
    let mut query = repo.conn().prepare_cached(sql)?;
    let found = query.query_map(params, |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
