//! Linking in slices: a large batch of artifacts is stored in one transaction and linked in several, so that no other
//! program waits long for the lock.
//!
//! What is stored but not linked yet is listed in a table of our own. Stock leaves tables called `fx_…` alone, also when it
//! rebuilds; so the list outlives a crash, and the next transaction goes on with it.

use super::Crosslinker;
use crate::db::{Repository, Result, Rid, Transaction};
use crate::time::Timestamp;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS fx_pending_crosslink(rid INTEGER PRIMARY KEY)";

/// How much linking one transaction does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Artifacts.
    artifacts: usize,
    /// Bytes of artifacts.
    bytes: usize,
}

impl Budget {
    /// What fits in a fifth of a second on a small machine: comparing check-ins of some thousand files and making
    /// deltas between them is most of the work, and that goes with their size.
    pub(crate) const SLICE: Self = Self {
        artifacts: 200,
        bytes: 2 << 20,
    };
}

/// Links `fresh` rows and what was left by earlier transactions, as far as the budget goes. Lists the rest.
pub(crate) fn link_slice(
    tx: &mut Transaction<'_>,
    mut fresh: Vec<Rid>,
    budget: Budget,
) -> Result<()> {
    let listed = listed(tx, budget.artifacts)?;
    let mut rows = listed.clone();
    fresh.sort_unstable();
    rows.append(&mut fresh);
    if rows.is_empty() {
        return Ok(());
    }
    let mut linker = Crosslinker::new();
    let (mut artifacts, mut bytes) = (0, 0);
    let mut rows = rows.into_iter();
    while artifacts < budget.artifacts && bytes < budget.bytes {
        let Some(rid) = rows.next() else { break };
        bytes += linker.link_row(tx, rid)?;
        artifacts += 1;
        if listed.contains(&rid) {
            tx.execute("DELETE FROM fx_pending_crosslink WHERE rid=?1", [rid])?;
        }
    }
    let rest: Vec<Rid> = rows.filter(|rid| !listed.contains(rid)).collect();
    if !rest.is_empty() {
        tx.execute_batch(CREATE)?;
    }
    for rid in rest {
        tx.execute(
            "INSERT OR IGNORE INTO fx_pending_crosslink(rid) VALUES(?1)",
            [rid],
        )?;
    }
    linker.finish(tx)
}

/// Returns rows that an earlier transaction stored without linking them.
fn listed(repo: &Repository, limit: usize) -> Result<Vec<Rid>> {
    let exists = repo
        .conn()
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name='fx_pending_crosslink'")?
        .exists([])?;
    if !exists {
        return Ok(Vec::new());
    }
    let mut query = repo
        .conn()
        .prepare_cached("SELECT rid FROM fx_pending_crosslink ORDER BY rid LIMIT ?1")?;
    let rows = query.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Returns every row that is stored but not linked yet.
pub(crate) fn pending_rows(repo: &Repository) -> Result<Vec<Rid>> {
    listed(repo, usize::MAX)
}

impl Repository {
    /// Links what earlier transactions stored without linking it, in slices short enough for others to get a turn.
    ///
    /// # Errors
    /// Any of reading and writing the file; what is linked by then stays linked.
    pub(crate) fn link_pending(&mut self, now: Timestamp) -> Result<()> {
        while !listed(self, 1)?.is_empty() {
            Transaction::begin(self, now)?.commit()?;
        }
        Ok(())
    }
}
