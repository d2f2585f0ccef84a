//! What a repository holds, in 32 bytes: two that hold the same artifacts have the same fingerprint, in whatever order these came.
//!
//! It is the sum modulo 2^256 of the SHA-256 of the name of every artifact that is here with its content and may travel: not private, not
//! shunned, and no cluster, because clusters are each repository's own way of listing the others. A sum can be kept up as artifacts
//! come: [`Fingerprints`] looks only at rows that are new and at names whose content has arrived since, and counts anew when a rebuild, a
//! purge, another list of shunned or private artifacts, or fewer rows than before say that more has changed. New rows are found by their
//! number, because no index leads from a `rcvid` to its rows.

use std::collections::BTreeSet;
use std::fmt;

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::crosslink::pending_rows;
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;

/// What a repository holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint {
    /// Of the artifacts.
    pub artifacts: [u8; 32],
    /// Of the unversioned files: the SHA-256 of [`Repository::unversioned_hash`].
    pub unversioned: [u8; 32],
}

impl Fingerprint {
    /// Returns one value for artifacts and unversioned files together.
    #[must_use]
    pub fn combined(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.artifacts);
        hash.update(self.unversioned);
        hash.finalize().into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.combined()
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Keeps up the fingerprint of one repository.
#[derive(Clone, Debug, Default)]
pub struct Fingerprints {
    sum: Sum,
    /// The last row that was looked at.
    last: i64,
    /// Rows up to there of which only the name was known, or that were not read as what they are yet.
    unsettled: BTreeSet<Rid>,
    private: BTreeSet<Rid>,
    marks: Option<Marks>,
}

/// What changes when more than new rows has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marks {
    rebuilt: Option<String>,
    /// The hash policy, which may shun every SHA1 name.
    policy: Option<String>,
    /// Number of shunned names, and when the last of them was added.
    shun: (i64, String),
    /// Number of purges.
    purges: i64,
}

/// A number modulo 2^256, most significant byte first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum([u8; 32]);

impl Sum {
    fn add(&mut self, name: &HashName) {
        let term: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let mut carry = 0_u16;
        for (digit, other) in self.0.iter_mut().zip(term).rev() {
            let [high, low] = (u16::from(*digit) + u16::from(other) + carry).to_be_bytes();
            *digit = low;
            carry = u16::from(high);
        }
    }
}

impl Fingerprints {
    /// Returns the present fingerprint of `repo`, which must be the same repository each time.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
    pub fn read(&mut self, repo: &Repository) -> Result<Fingerprint> {
        let artifacts = repo.read(|repo| self.update(repo))?;
        let unversioned = repo.unversioned_hash()?;
        Ok(Fingerprint {
            artifacts,
            unversioned: Sha256::digest(unversioned.as_bytes()).into(),
        })
    }

    fn update(&mut self, repo: &Repository) -> Result<[u8; 32]> {
        let marks = Marks::read(repo)?;
        let private = rows(repo, "SELECT rid FROM private")?;
        let mut unsettled = rows(repo, "SELECT rid FROM phantom")?;
        unsettled.extend(pending_rows(repo)?);
        let end: i64 = repo
            .conn()
            .prepare_cached("SELECT coalesce(max(rid), 0) FROM blob")?
            .query_row([], |row| row.get(0))?;
        let last = Rid::new(self.last);
        let anew = self.marks.as_ref() != Some(&marks)
            || end < self.last
            || unsettled
                .difference(&self.unsettled)
                .any(|rid| *rid <= last)
            || private
                .symmetric_difference(&self.private)
                .any(|rid| *rid <= last);
        if anew {
            *self = Self::default();
        }
        for rid in std::mem::take(&mut self.unsettled) {
            if !unsettled.contains(&rid) {
                self.add(repo, rid)?;
            }
        }
        self.add_rows_after_last(repo, &unsettled)?;
        self.last = end;
        self.unsettled = unsettled;
        self.private = private;
        self.marks = Some(marks);
        Ok(self.sum.0)
    }

    /// Adds a row that is settled now.
    fn add(&mut self, repo: &Repository, rid: Rid) -> Result<()> {
        let name: Option<HashName> = repo
            .conn()
            .prepare_cached(&format!("{COUNTED} AND rid=?1"))?
            .query_row([rid], |row| row.get(0))
            .optional()?;
        let policy = repo.hash_policy()?;
        if let Some(name) = name.filter(|name| policy.welcomes(name)) {
            self.sum.add(&name);
        }
        Ok(())
    }

    fn add_rows_after_last(&mut self, repo: &Repository, unsettled: &BTreeSet<Rid>) -> Result<()> {
        let mut query = repo
            .conn()
            .prepare_cached(&format!("{COUNTED} AND rid>?1"))?;
        let policy = repo.hash_policy()?;
        let mut rows = query.query(params![self.last])?;
        while let Some(row) = rows.next()? {
            let name: HashName = row.get(0)?;
            if policy.welcomes(&name) && !unsettled.contains(&row.get(1)?) {
                self.sum.add(&name);
            }
        }
        Ok(())
    }
}

/// The rows that count, but for names of a kind that the hash policy shuns.
const COUNTED: &str = "SELECT uuid, rid FROM blob WHERE size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun)
    AND NOT EXISTS(SELECT 1 FROM tagxref WHERE tagxref.rid=blob.rid AND tagid=7 AND tagtype>0)";

impl Marks {
    fn read(repo: &Repository) -> Result<Self> {
        let conn = repo.conn();
        let mut shun = conn
            .prepare_cached("SELECT count(*), coalesce(CAST(max(mtime) AS TEXT), '') FROM shun")?;
        let rebuilt = conn
            .prepare_cached("SELECT coalesce(value, '')||' '||coalesce(mtime, '') FROM config WHERE name='rebuilt'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let purged = conn
            .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name='purgeevent'")?
            .exists([])?;
        let purges = match purged {
            false => 0,
            true => conn
                .prepare_cached("SELECT coalesce(max(peid), 0) FROM purgeevent")?
                .query_row([], |row| row.get(0))?,
        };
        Ok(Self {
            rebuilt,
            policy: repo.config("hash-policy")?,
            shun: shun.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?,
            purges,
        })
    }
}

fn rows(repo: &Repository, sql: &str) -> Result<BTreeSet<Rid>> {
    let mut query = repo.conn().prepare_cached(sql)?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
