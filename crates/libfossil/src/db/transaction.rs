//! One change of a repository: everything in it happens, or nothing does.
//!
//! A transaction takes the lock at its start, so it never fails half-way because another program was faster, and
//! takes it at a moment when nobody reads, so that no other program fails half-way because of it. Before it is committed, every artifact whose stored form it wrote is read back and hashed.

use std::ops::Deref;

use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::{OptionalExtension, Params, params};

use super::cache::ContentCache;
use super::error::locate;
use super::lock::lock;
use super::waiting::Waiting;
use super::{Access, CACHE_BYTES, Error, Repository, Result, Rid};
use crate::crosslink::{Budget, link_slice};
use crate::time::Timestamp;

/// Who brought the content that a transaction stores; one row of `rcvfrom`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    login: Option<String>,
    nonce: Option<String>,
    address: Option<String>,
    received: bool,
}

impl Receipt {
    /// Content made on this machine by the user `login`; it is to be sent with the next push.
    #[must_use]
    pub fn made_here(login: &str) -> Self {
        Self {
            login: Some(login.to_owned()),
            ..Self::default()
        }
    }

    /// Content that came from elsewhere: as which user, with which login nonce, from which address.
    #[must_use]
    pub fn received(login: Option<&str>, nonce: Option<&str>, address: Option<&str>) -> Self {
        Self {
            login: login.map(str::to_owned),
            nonce: nonce.map(str::to_owned),
            address: address.map(str::to_owned),
            received: true,
        }
    }
}

/// A change of a repository that is under way; made by [`Repository::write`]. Reads like the repository.
#[derive(Debug)]
pub struct Transaction<'r> {
    repo: &'r mut Repository,
    now: Timestamp,
    receipt: Receipt,
    rcvid: Option<i64>,
    /// Rows whose stored form this transaction wrote.
    written: Vec<Rid>,
    /// Rows whose content can be had since this transaction.
    fresh: Vec<Rid>,
    /// The deltas whose source is not here, when they were counted.
    pub(super) waiting: Option<Waiting>,
    finished: bool,
}

impl Repository {
    /// Runs `work` on a transaction, and commits what it did if it succeeds; otherwise nothing has happened.
    ///
    /// # Errors
    /// What `work` returns; [`Error::ReadOnly`] or [`Error::Busy`] before it runs; any error of checking and
    /// committing after it.
    pub fn write<T, E: From<Error>>(
        &mut self,
        now: Timestamp,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tx = Transaction::begin(self, now)?;
        let value = work(&mut tx)?;
        tx.commit()?;
        self.link_pending(now)?;
        Ok(value)
    }

    /// Tries whether the file, and the journal in its folder, can be written now. Nothing changes.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Busy`], [`Error::DiskFull`].
    pub fn try_writing(&mut self, now: Timestamp) -> Result<()> {
        let path = self.path.clone();
        // The engine makes the journal with the first real change, which goes away with the transaction.
        Transaction::begin(self, now)?
            .execute(
                "UPDATE config SET mtime=mtime+1 WHERE name='project-code'",
                (),
            )
            .map_err(|error| locate(error, &path))?;
        Ok(())
    }
}

impl<'r> Transaction<'r> {
    pub(crate) fn begin(repo: &'r mut Repository, now: Timestamp) -> Result<Self> {
        if repo.access == Access::ReadOnly {
            return Err(Error::ReadOnly(repo.path.clone()));
        }
        lock(repo).map_err(|error| locate(error, &repo.path))?;
        Ok(Self {
            repo,
            now,
            receipt: Receipt::default(),
            rcvid: None,
            written: Vec::new(),
            fresh: Vec::new(),
            waiting: None,
            finished: false,
        })
    }

    /// Returns the time that this transaction was given as the present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Names who brought the content that is stored from here on. The row in `rcvfrom` is written with the
    /// first new artifact, and not at all if there is none.
    pub fn set_receipt(&mut self, receipt: Receipt) {
        if self.receipt != receipt {
            self.receipt = receipt;
            self.rcvid = None;
        }
    }

    /// Runs one write statement. All writing passes here, so that tests can let any of it fail.
    pub(crate) fn execute(&mut self, sql: &str, params: impl Params) -> Result<usize> {
        self.repo.check_fault()?;
        Ok(self.repo.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// Runs write statements that take no parameters.
    pub(crate) fn execute_batch(&mut self, sql: &str) -> Result<()> {
        self.repo.check_fault()?;
        Ok(self.repo.conn.execute_batch(sql)?)
    }

    /// Runs write statements of doubtful origin, of which `guard` decides what they may do.
    pub(crate) fn execute_batch_guarded(
        &mut self,
        sql: &str,
        guard: fn(AuthContext<'_>) -> Authorization,
    ) -> Result<()> {
        self.repo.check_fault()?;
        self.repo.conn.authorizer(Some(guard))?;
        let result = self.repo.conn.execute_batch(sql);
        self.repo
            .conn
            .authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        Ok(result?)
    }

    /// Returns the number that the last inserting statement gave its row.
    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.repo.conn.last_insert_rowid()
    }

    /// Returns the number of the `rcvfrom` row of this transaction, writing it when it is first asked for.
    pub(crate) fn rcvid(&mut self) -> Result<i64> {
        if let Some(rcvid) = self.rcvid {
            return Ok(rcvid);
        }
        let uid: Option<i64> = self
            .conn()
            .prepare_cached("SELECT uid FROM user WHERE login=?1")?
            .query_row([self.receipt.login.as_deref()], |row| row.get(0))
            .optional()?;
        let Receipt { nonce, address, .. } = self.receipt.clone();
        self.execute(
            "INSERT INTO rcvfrom(uid, mtime, nonce, ipaddr) VALUES(?1, ?2, ?3, ?4)",
            params![uid.unwrap_or(0), self.now.to_julian(), nonce, address],
        )?;
        let rcvid = self.last_insert_rowid();
        self.rcvid = Some(rcvid);
        Ok(rcvid)
    }

    /// Returns whether what is stored now was made here, so that it is to be sent with the next push.
    pub(super) fn is_made_here(&self) -> bool {
        !self.receipt.received
    }

    /// Notes that the stored form of a row changed, so that it is read back before the commit.
    pub(super) fn note_written(&mut self, rid: Rid) {
        self.written.push(rid);
    }

    /// Notes that the content of a row can be had now, so that it is cross-linked before the commit.
    pub(super) fn note_fresh(&mut self, rid: Rid) {
        self.fresh.push(rid);
    }

    /// Cross-links what is new, reads back what was written, and makes all of it last.
    pub(crate) fn commit(mut self) -> Result<()> {
        let fresh = std::mem::take(&mut self.fresh);
        link_slice(&mut self, fresh, Budget::SLICE)?;
        self.verify_written()?;
        self.repo.check_fault()?;
        self.repo
            .conn
            .execute_batch("COMMIT")
            .map_err(|error| locate(error.into(), &self.repo.path))?;
        self.finished = true;
        Ok(())
    }

    /// Reads back every row that was written, past all caches, and compares it with its name.
    fn verify_written(&mut self) -> Result<()> {
        let mut rids = std::mem::take(&mut self.written);
        rids.sort_unstable();
        rids.dedup();
        let mut cache = ContentCache::new(CACHE_BYTES);
        for rid in rids {
            if self.is_available(rid)? && !self.check_if_large(rid)? {
                self.content_checked(rid, &mut cache)?;
            }
        }
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        self.repo
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.finished && !self.repo.conn.is_autocommit() {
            // A rollback that fails leaves it to the engine, which rolls back when the file is next opened.
            let _ = self.repo.conn.execute_batch("ROLLBACK");
        }
    }
}
