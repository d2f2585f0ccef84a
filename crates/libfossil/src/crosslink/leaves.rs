//! Leaves: check-ins without a child on their own branch.

use super::Crosslinker;
use crate::db::schema::FixedTag;
use crate::db::{Result, Rid, Transaction};

impl Crosslinker {
    /// Notes that a check-in, or a parent of it, may have become a leaf or ceased to be one.
    pub(super) fn doubt_leaf(&mut self, tx: &Transaction<'_>, rid: Rid) -> Result<()> {
        self.doubtful_leaves.insert(rid);
        let mut query = tx
            .conn()
            .prepare_cached("SELECT pid FROM plink WHERE cid=?1 AND pid>0")?;
        for parent in query.query_map([rid], |row| row.get(0))? {
            self.doubtful_leaves.insert(parent?);
        }
        Ok(())
    }

    /// Decides about all that were noted.
    pub(super) fn settle_leaves(&mut self, tx: &mut Transaction<'_>) -> Result<()> {
        for rid in std::mem::take(&mut self.doubtful_leaves) {
            let has_child = tx
                .conn()
                .prepare_cached(
                    "SELECT 1 FROM plink WHERE pid=?1 AND
                       coalesce((SELECT value FROM tagxref WHERE tagid=?2 AND rid=?1), 'trunk') =
                       coalesce((SELECT value FROM tagxref WHERE tagid=?2 AND rid=cid), 'trunk')",
                )?
                .exists(rusqlite::params![rid, FixedTag::Branch.id()])?;
            let sql = if has_child {
                "DELETE FROM leaf WHERE rid=?1"
            } else {
                "INSERT OR IGNORE INTO leaf(rid) VALUES(?1)"
            };
            tx.execute(sql, [rid])?;
        }
        Ok(())
    }
}
