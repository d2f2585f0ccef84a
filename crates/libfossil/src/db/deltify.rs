//! Saving space: the older version of something becomes a delta on the newer one.

use rusqlite::params;

use super::{Result, Rid, Transaction};
use crate::blob::{codec, delta};

/// Shorter contents are not worth a delta, on either side.
const MIN_BYTES: usize = 50;

impl Transaction<'_> {
    /// Stores the content of `rid` as a delta on `source`, if it is full text now and that makes it shorter by a
    /// quarter. Public content never comes to depend on private content. Returns whether it did.
    ///
    /// # Errors
    /// Any error of reading or writing the rows concerned.
    pub fn deltify(&mut self, rid: Rid, source: Rid) -> Result<bool> {
        if rid == source
            || self.delta_source(rid)?.is_some()
            || !self.is_available(rid)?
            || !self.is_available(source)?
            || (self.is_private(source)? && !self.is_private(rid)?)
        {
            return Ok(false);
        }
        let text = self.content(rid)?;
        let basis = self.content(source)?;
        if text.len() < MIN_BYTES || basis.len() < MIN_BYTES {
            return Ok(false);
        }
        let change = delta::encode(&basis, &text);
        if change.len() >= text.len() / 4 * 3 {
            return Ok(false);
        }
        if self.depends_on(source, rid)? {
            self.undeltify(source)?;
        }
        self.execute(
            "UPDATE blob SET content=?2 WHERE rid=?1",
            params![rid, codec::pack(&change)],
        )?;
        self.execute(
            "REPLACE INTO delta(rid, srcid) VALUES(?1, ?2)",
            params![rid, source],
        )?;
        self.note_written(rid);
        Ok(true)
    }

    /// Stores the content of `rid` as full text.
    ///
    /// # Errors
    /// Any error of reading or writing the row.
    pub(crate) fn undeltify(&mut self, rid: Rid) -> Result<()> {
        if self.delta_source(rid)?.is_none() {
            return Ok(());
        }
        let text = self.content(rid)?;
        self.execute(
            "UPDATE blob SET content=?2 WHERE rid=?1",
            params![rid, codec::pack(&text)],
        )?;
        self.execute("DELETE FROM delta WHERE rid=?1", [rid])?;
        self.note_written(rid);
        Ok(())
    }

    /// Returns whether the deltas from `rid` lead to `other`. Both must be available, so there is no ring.
    fn depends_on(&self, rid: Rid, other: Rid) -> Result<bool> {
        let mut next = self.delta_source(rid)?;
        while let Some(source) = next {
            if source == other {
                return Ok(true);
            }
            next = self.delta_source(source)?;
        }
        Ok(false)
    }
}
