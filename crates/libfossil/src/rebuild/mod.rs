//! Computing all derived tables anew.
//!
//! The durable tables stay as they are, but for contents that are shunned and sizes that are wrong. Everything happens in
//! one transaction: whoever opens the file sees it as it was until it is as it should be.

mod expansion;
mod heads;
pub(crate) mod plan;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
mod tickets;

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::params;

use crate::artifact;
use crate::crosslink::Crosslinker;
use crate::db::schema::{self, FixedTag};
use crate::db::{Error, Repository, Result, Rid, Transaction};
use crate::time::Timestamp;

use plan::{Plan, Scope};
use stream::{Found, Outcome};

/// How sure a rebuild makes itself of the contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Contents were hashed when they were stored. What cannot be read is left out and reported.
    Stored,
    /// Nothing was hashed yet, as at the end of a clone. A content that is not what its name says fails the rebuild.
    Nothing,
}

/// What a rebuild did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Artifacts with content.
    pub artifacts: usize,
    /// Structural artifacts among them.
    pub structural: usize,
    /// Contents that cannot be expanded, with the reason.
    pub damaged: Vec<(Rid, Error)>,
}

/// What a rebuild is going through.
struct Work<'t, 'r> {
    tx: &'t mut Transaction<'r>,
    linker: Crosslinker,
    report: Rebuilt,
    trust: Trust,
}

impl Repository {
    /// Computes all derived tables anew from the artifacts. `progress` hears now and then how many of how many artifacts that
    /// have to be looked at are done.
    ///
    /// # Errors
    /// With [`Trust::Nothing`] the first damaged content; any of reading and writing the file. Nothing has changed then.
    pub fn rebuild(
        &mut self,
        now: Timestamp,
        trust: Trust,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Rebuilt> {
        let mut tx = Transaction::begin(self, now)?;
        let report = rebuild(&mut tx, trust, &mut progress)?;
        tx.commit()?;
        Ok(report)
    }
}

fn rebuild(
    tx: &mut Transaction<'_>,
    trust: Trust,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Rebuilt> {
    remove_shunned(tx)?;
    empty_tables(tx)?;
    let scope = match trust {
        Trust::Stored => Scope::Structural,
        Trust::Nothing => Scope::Everything,
    };
    let mut plan = Plan::new(tx, scope)?;
    for (rid, size) in &plan.wrong_sizes {
        let size = i64::try_from(*size).unwrap_or(i64::MAX);
        tx.execute("UPDATE blob SET size=?2 WHERE rid=?1", params![rid, size])?;
    }
    let wanted: HashSet<Rid> = plan.wanted().collect();
    let total = wanted.len();
    let mut done = 0;
    let mut work = Work {
        tx,
        linker: Crosslinker::for_rebuild(wanted, std::mem::take(&mut plan.rows)),
        report: Rebuilt::default(),
        trust,
    };
    for &rid in &plan.unavailable {
        if let Err(error) = work.tx.content_afresh(rid) {
            work.refuse(rid, error)?;
        }
    }
    stream::expand_all(
        &mut work,
        |work| work.tx,
        &plan,
        scope,
        |work, outcome| {
            done += 1;
            progress(done, total);
            work.take(outcome)
        },
    )?;
    let Work {
        tx,
        linker,
        mut report,
        ..
    } = work;
    linker.finish(tx)?;
    complete(tx)?;
    report.artifacts = tx
        .conn()
        .query_row("SELECT count(*) FROM blob WHERE size>=0", [], |row| {
            row.get::<_, i64>(0)
        })
        .map(|count| usize::try_from(count).unwrap_or_default())?;
    Ok(report)
}

impl Work<'_, '_> {
    fn take(&mut self, outcome: Outcome) -> Result<()> {
        let Outcome { rid, found } = outcome;
        self.linker.arrived(rid);
        match found {
            Found::Plain => return Ok(()),
            Found::Damaged(error) => return self.refuse(rid, error),
            Found::CheckIn(manifest) => {
                self.linker
                    .link_check_in(self.tx, rid, &Arc::from(manifest))?;
            }
            Found::Structural(content) => {
                if let Ok(artifact) = artifact::parse(&content) {
                    self.linker.link(self.tx, rid, &artifact)?;
                }
            }
        }
        self.report.structural += 1;
        Ok(())
    }

    fn refuse(&mut self, rid: Rid, error: Error) -> Result<()> {
        match self.trust {
            Trust::Nothing => Err(error),
            Trust::Stored => {
                self.report.damaged.push((rid, error));
                Ok(())
            }
        }
    }
}

/// Takes out what is shunned. What is stored as a delta on it becomes full text first.
fn remove_shunned(tx: &mut Transaction<'_>) -> Result<()> {
    let shunned: Vec<Rid> = {
        let mut query = tx
            .conn()
            .prepare("SELECT rid FROM blob WHERE uuid IN (SELECT uuid FROM shun)")?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for rid in &shunned {
        for dependant in tx.deltas_on(*rid)? {
            if tx.is_available(dependant)? {
                tx.undeltify(dependant)?;
            }
        }
    }
    for rid in shunned {
        for sql in [
            "DELETE FROM delta WHERE rid=?1",
            "DELETE FROM private WHERE rid=?1",
            "DELETE FROM blob WHERE rid=?1",
        ] {
            tx.execute(sql, [rid])?;
        }
    }
    Ok(())
}

/// Drops and creates the derived tables, and fills those that need no artifact to be read.
fn empty_tables(tx: &mut Transaction<'_>) -> Result<()> {
    for table in schema::DERIVED_TABLES {
        tx.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    tx.execute_batch(schema::DERIVED)?;
    tickets::create(tx)?;
    tx.insert_fixed_tags()?;
    tx.execute_batch(
        "INSERT INTO unclustered SELECT rid FROM blob EXCEPT SELECT rid FROM private;
         INSERT INTO phantom SELECT rid FROM blob WHERE size<0;
         DELETE FROM unsent WHERE rid NOT IN (SELECT rid FROM blob);
         DELETE FROM private WHERE rid NOT IN (SELECT rid FROM blob);
         DROP TABLE IF EXISTS fx_pending_crosslink;
         DROP TABLE IF EXISTS fx_pending_cherrypick;",
    )
}

/// Does what comes after linking: indexes that would only have been in the way, private files, the mark of the generation.
fn complete(tx: &mut Transaction<'_>) -> Result<()> {
    tx.execute_batch(schema::DERIVED_INDEXES)?;
    let private = FixedTag::Private.id();
    tx.execute(
        "INSERT OR IGNORE INTO private
         SELECT fid FROM mlink WHERE fid>0 AND mid IN
             (SELECT rid FROM tagxref WHERE tagid=?1 AND tagtype>0)
         EXCEPT SELECT fid FROM mlink WHERE mid NOT IN
             (SELECT rid FROM tagxref WHERE tagid=?1 AND tagtype>0)",
        [private],
    )?;
    tx.set_config("content-schema", schema::CONTENT_SCHEMA)?;
    tx.set_config("aux-schema", schema::AUX_SCHEMA_MAX)?;
    tx.set_config("rebuilt", schema::REBUILT_BY)
}
