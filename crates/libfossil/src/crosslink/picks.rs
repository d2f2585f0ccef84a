//! Cherry-picks: check-ins that took over, or took back, the changes of another.
//!
//! Unlike for parents, stock makes no row for a picked check-in that is not known: it may be private elsewhere for ever, and
//! would be asked for for ever. So that a pick shows nevertheless when its source comes later, it is listed by name in a
//! table of our own, which stock leaves alone.

use rusqlite::params;

use super::Crosslinker;
use crate::artifact::Cherrypick;
use crate::db::{Result, Rid, Transaction};

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS fx_pending_cherrypick(
  source TEXT, childid INT, isExclude BOOLEAN, PRIMARY KEY(source, childid)
) WITHOUT ROWID";

impl Crosslinker {
    /// Writes that the check-in in row `child` picked another, or lists it for when that is known.
    pub(super) fn link_pick(
        &mut self,
        tx: &mut Transaction<'_>,
        child: Rid,
        pick: &Cherrypick,
    ) -> Result<()> {
        let source = pick.target.as_str();
        if let Some(source) = self.known_row(tx, &pick.target)? {
            tx.execute(
                "REPLACE INTO cherrypick(parentid, childid, isExclude) VALUES(?1, ?2, ?3)",
                params![source, child, pick.backout],
            )?;
        } else {
            tx.execute_batch(CREATE)?;
            self.picks_wait = Some(true);
            tx.execute(
                "REPLACE INTO fx_pending_cherrypick(source, childid, isExclude) VALUES(?1, ?2, ?3)",
                params![source, child, pick.backout],
            )?;
        }
        Ok(())
    }

    /// Writes the picks that were waiting for the check-in in row `source`.
    pub(super) fn link_waiting_picks(
        &mut self,
        tx: &mut Transaction<'_>,
        source: Rid,
    ) -> Result<()> {
        let is_any_waiting = match self.picks_wait {
            Some(known) => known,
            None => tx
                .conn()
                .prepare("SELECT 1 FROM sqlite_schema WHERE name='fx_pending_cherrypick'")?
                .exists([])?,
        };
        self.picks_wait = Some(is_any_waiting);
        if is_any_waiting {
            let name = tx.name(source)?;
            tx.execute(
                "REPLACE INTO cherrypick(parentid, childid, isExclude)
                 SELECT ?1, childid, isExclude FROM fx_pending_cherrypick WHERE source=?2",
                params![source, name.as_str()],
            )?;
            tx.execute(
                "DELETE FROM fx_pending_cherrypick WHERE source=?1",
                [name.as_str()],
            )?;
        }
        Ok(())
    }
}
