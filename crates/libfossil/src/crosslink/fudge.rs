//! Check-ins made within the same moment, and by clocks that disagree a little.
//!
//! The timeline is in order of time, and a check-in must not stand above its own child. Where a child is not later than
//! its parent, or earlier by less than two seconds, the parent's line is moved to just before the child's, and so on
//! upwards. The artifacts keep their dates.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use crate::db::schema::FixedTag;
use crate::db::{Result, Rid, Transaction};
use crate::time::Timestamp;

/// How much earlier than its parent a child may be for the parent's line to be moved, in days.
const WINDOW: f64 = 2.0 / 86_400.0;

/// How far before its child a moved line is placed, in days.
const DISTANCE: f64 = 25.0 / 86_400_000.0;

/// How many generations a move travels upwards at most.
const PASSES: usize = 30;

/// Parents whose child is close in time.
#[derive(Debug, Default)]
pub(super) struct CloseTimes {
    by_parent: HashMap<Rid, Close>,
}

#[derive(Clone, Copy, Debug)]
struct Close {
    parent_time: f64,
    child: Rid,
    /// `None` once the child turns out not to be moved itself.
    child_time: Option<f64>,
}

impl CloseTimes {
    /// Takes note of a parent and a child, if they are close.
    pub(super) fn note(&mut self, parent: Rid, date: Timestamp, child: Rid, child_date: Timestamp) {
        let (parent_time, child_time) = (date.to_julian(), child_date.to_julian());
        if child_time < parent_time + WINDOW {
            let close = Close {
                parent_time,
                child,
                child_time: Some(child_time),
            };
            self.by_parent.insert(parent, close);
        }
    }

    /// Moves the lines. Lines that a tag gave a time stay.
    pub(super) fn settle(mut self, tx: &mut Transaction<'_>) -> Result<()> {
        self.add_ancestors(tx)?;
        for _ in 0..PASSES {
            if !self.pass() {
                break;
            }
        }
        for (rid, close) in self.by_parent {
            tx.execute(
                "UPDATE event SET mtime=?1 WHERE objid=?2 AND (mtime=omtime OR omtime IS NULL
                    OR NOT EXISTS (SELECT 1 FROM tagxref WHERE tagid=?3 AND rid=objid))",
                params![close.parent_time, rid, FixedTag::Date.id()],
            )?;
        }
        Ok(())
    }

    /// Moves each line that is not before its child's. Returns whether any was moved.
    fn pass(&mut self) -> bool {
        let mut moved = false;
        for close in self.by_parent.values_mut() {
            let Some(child) = close.child_time else {
                continue;
            };
            if close.parent_time >= child && close.parent_time < child + WINDOW {
                close.parent_time = child - DISTANCE;
                moved = true;
            }
        }
        let times: HashMap<Rid, f64> = self
            .by_parent
            .iter()
            .map(|(rid, close)| (*rid, close.parent_time))
            .collect();
        for close in self.by_parent.values_mut() {
            close.child_time = times.get(&close.child).copied();
        }
        moved
    }

    /// Adds what is close above the noted ones: they were settled in an earlier batch, and may move again.
    fn add_ancestors(&mut self, tx: &Transaction<'_>) -> Result<()> {
        let mut query = tx.conn().prepare_cached(
            "SELECT pid, up.omtime, low.omtime FROM plink
               JOIN event AS up ON up.objid=pid JOIN event AS low ON low.objid=cid
              WHERE cid=?1 AND low.omtime < up.omtime + ?2",
        )?;
        let mut frontier: Vec<Rid> = self.by_parent.keys().copied().collect();
        for _ in 0..PASSES {
            let mut next = Vec::new();
            for child in frontier {
                let rows = query.query_map(params![child, WINDOW], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
                for above in rows {
                    let (parent, parent_time, child_time): (Rid, f64, f64) = above?;
                    if self.by_parent.contains_key(&parent) {
                        continue;
                    }
                    let close = Close {
                        parent_time,
                        child: last_close_child(tx, parent, parent_time)?.unwrap_or(child),
                        child_time: Some(child_time),
                    };
                    self.by_parent.insert(parent, close);
                    next.push(parent);
                }
            }
            frontier = next;
        }
        Ok(())
    }
}

/// Returns the child that decides about its parent's line among several that are close: the one that came last.
fn last_close_child(tx: &Transaction<'_>, parent: Rid, time: f64) -> Result<Option<Rid>> {
    Ok(tx
        .conn()
        .prepare_cached(
            "SELECT cid FROM plink JOIN event ON objid=cid
              WHERE pid=?1 AND omtime < ?2 ORDER BY cid DESC LIMIT 1",
        )?
        .query_row(params![parent, time + WINDOW], |row| row.get(0))
        .optional()?)
}
