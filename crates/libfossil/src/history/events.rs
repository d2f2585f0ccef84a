//! Events: what happened in a repository, one row of the timeline each, without a graph.

use rusqlite::{OptionalExtension, Row};

use super::graph::LineKind;
use super::{MAIN_BRANCH, tags_among};
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;
use crate::time::Timestamp;

/// What an event is about. The letters are those of `event.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A check-in, `ci`.
    CheckIn,
    /// A wiki page, `w`.
    Wiki,
    /// A ticket, `t`.
    Ticket,
    /// A technical note, `e`.
    Technote,
    /// A change of tags or other control artifact, `g`.
    Control,
    /// A forum post, `f`.
    Forum,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CheckIn,
        Self::Wiki,
        Self::Ticket,
        Self::Technote,
        Self::Control,
        Self::Forum,
    ];

    /// Returns the letters that stand for it in `event.type`.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::CheckIn => "ci",
            Self::Wiki => "w",
            Self::Ticket => "t",
            Self::Technote => "e",
            Self::Control => "g",
            Self::Forum => "f",
        }
    }

    /// Returns the kind that `letters` stand for.
    #[must_use]
    pub fn from_letters(letters: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letters() == letters)
    }
}

/// A stroke of the graph between one row and the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidOutLine {
    /// Column at this row.
    pub from: u32,
    /// Column at the next row.
    pub to: u32,
    /// Name of the branch that it belongs to.
    pub branch: String,
    /// What it stands for.
    pub kind: LineKind,
}

/// One row of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The row of the artifact behind it.
    pub rid: Rid,
    /// What it is about.
    pub kind: EventKind,
    /// The artifact behind it.
    pub name: HashName,
    /// When, as the timeline sorts it.
    pub time: Timestamp,
    /// Who.
    pub user: String,
    /// What was said.
    pub comment: String,
    /// The branch; only check-ins have one.
    pub branch: Option<String>,
    /// Symbolic names, the branch's among them, in the order in which stock shows them.
    pub names: Vec<String>,
    /// Whether the check-in closes its branch.
    pub closed: bool,
    /// Whether nothing on the same branch follows.
    pub leaf: bool,
    /// Whether it has more than one parent.
    pub merge: bool,
    /// How many check-ins have it as their primary parent.
    pub primary_children: u32,
    /// Where there are more than one of them, how many are on its own branch.
    pub same_branch_children: u32,
    /// Whether it stays in this repository.
    pub private: bool,
    /// Column of its dot, where a graph was laid out.
    pub lane: Option<u32>,
    /// Strokes to the next row, where a graph was laid out.
    pub lines: Vec<LaidOutLine>,
}

impl EventRow {
    /// Returns the symbolic names besides the branch, sorted.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        tags_among(&self.names, self.branch.as_deref())
    }
}

/// Reads at most `limit` events of `kind`, or of all kinds, newest first from `offset` on. No graph is laid out.
///
/// # Errors
/// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
pub fn recent(
    repo: &Repository,
    kind: Option<EventKind>,
    offset: usize,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let as_sql = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let mut query = repo.conn().prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE ?1 IS NULL OR type=?1 ORDER BY event.mtime DESC, objid DESC LIMIT ?2 OFFSET ?3"
    ))?;
    let params = (kind.map(EventKind::letters), as_sql(limit), as_sql(offset));
    let rows = query.query_map(params, event_row)?;
    rows.filter_map(|row| row.map_err(Into::into).transpose())
        .collect()
}

/// Returns how many events of `kind` there are.
///
/// # Errors
/// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
pub fn count(repo: &Repository, kind: EventKind) -> Result<usize> {
    let count: i64 = repo
        .conn()
        .prepare_cached("SELECT count(*) FROM event WHERE type=?1")?
        .query_row([kind.letters()], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Reads the event of the artifact in row `rid`; `None` when it has none.
pub(super) fn event(repo: &Repository, rid: Rid) -> Result<Option<EventRow>> {
    let mut query = repo
        .conn()
        .prepare_cached(&format!("SELECT {COLUMNS} WHERE objid=?1"))?;
    Ok(query.query_row([rid], event_row).optional()?.flatten())
}

/// What [`event_row`] reads. Tag 8 names the branch and tag 9 closes it, in every repository.
const COLUMNS: &str =
    "objid, type, uuid, event.mtime, coalesce(euser, user, ''), coalesce(ecomment, comment, ''),
    (SELECT value FROM tagxref WHERE tagxref.rid=objid AND tagid=8 AND tagtype>0),
    (SELECT group_concat(substr(tagname, 5), char(10) ORDER BY tagid) FROM tagxref JOIN tag USING(tagid)
      WHERE tagxref.rid=objid AND tagtype>0 AND tagname GLOB 'sym-*'),
    EXISTS(SELECT 1 FROM tagxref WHERE tagxref.rid=objid AND tagid=9 AND tagtype>0),
    EXISTS(SELECT 1 FROM leaf WHERE leaf.rid=objid),
    (SELECT count(*) FROM plink WHERE cid=objid)>1,
    (SELECT count(*) FROM plink WHERE pid=objid AND isprim),
    EXISTS(SELECT 1 FROM private WHERE private.rid=objid),
    CASE WHEN (SELECT count(*) FROM plink WHERE pid=objid AND isprim)>1 THEN
      (SELECT count(*) FROM plink WHERE pid=objid AND isprim AND
        coalesce((SELECT value FROM tagxref WHERE tagxref.rid=cid AND tagid=8 AND tagtype>0), 'trunk')=
        coalesce((SELECT value FROM tagxref WHERE tagxref.rid=objid AND tagid=8 AND tagtype>0), 'trunk')) ELSE 0 END
    FROM event JOIN blob ON blob.rid=event.objid";

/// Reads a row of [`COLUMNS`]; `None` for kinds that only a newer program knows.
fn event_row(row: &Row<'_>) -> rusqlite::Result<Option<EventRow>> {
    let Some(kind) = row
        .get_ref(1)?
        .as_str()
        .ok()
        .and_then(EventKind::from_letters)
    else {
        return Ok(None);
    };
    let is_check_in = kind == EventKind::CheckIn;
    let branch: Option<String> = row.get(6)?;
    let branch = is_check_in.then(|| branch.unwrap_or_else(|| MAIN_BRANCH.to_owned()));
    let names: Option<String> = row.get(7)?;
    let names = names.filter(|_| is_check_in).unwrap_or_default();
    Ok(Some(EventRow {
        rid: row.get(0)?,
        kind,
        name: row.get(2)?,
        time: row.get(3)?,
        user: row.get(4)?,
        comment: row.get(5)?,
        branch,
        names: names.lines().map(str::to_owned).collect(),
        closed: row.get(8)?,
        leaf: row.get(9)?,
        merge: row.get(10)?,
        primary_children: row.get(11)?,
        private: row.get(12)?,
        same_branch_children: row.get(13)?,
        lane: None,
        lines: Vec::new(),
    }))
}
