//! Deltas that wait for their source: how many may, and what happens when it comes.
//!
//! A waiting artifact is not available: it is neither served nor cross-linked.

use super::{Error, Result, Rid, Transaction};
use crate::limits::{MAX_WAITING_BYTES, MAX_WAITING_CHAIN, MAX_WAITING_DELTAS};
use crate::name::HashName;

/// What waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    deltas: usize,
    bytes: u64,
}

impl Transaction<'_> {
    /// Returns whether one more delta may wait, for `source` and with a text of `bytes`, and counts it if so.
    pub(super) fn may_wait(&mut self, source: Option<Rid>, bytes: usize) -> Result<bool> {
        let mut waiting = match self.waiting {
            Some(waiting) => waiting,
            None => self.count_waiting()?,
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        waiting.deltas += 1;
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        let may = waiting.deltas <= MAX_WAITING_DELTAS
            && waiting.bytes <= MAX_WAITING_BYTES
            && !self.is_long_chain(source)?;
        if may {
            self.waiting = Some(waiting);
        }
        Ok(may)
    }

    fn is_long_chain(&self, source: Option<Rid>) -> Result<bool> {
        let mut next = source;
        for _ in 0..=MAX_WAITING_CHAIN {
            match next {
                Some(rid) => next = self.delta_source(rid)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn count_waiting(&self) -> Result<Waiting> {
        let mut query = self.conn().prepare_cached(
            "WITH RECURSIVE waiting(rid) AS (
                SELECT delta.rid FROM phantom CROSS JOIN delta ON delta.srcid=phantom.rid
                UNION SELECT delta.rid FROM waiting CROSS JOIN delta ON delta.srcid=waiting.rid)
             SELECT count(*), coalesce(sum(max(size, length(content))), 0) FROM waiting CROSS JOIN blob USING(rid)",
        )?;
        let (deltas, bytes): (i64, i64) =
            query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Waiting {
            deltas: usize::try_from(deltas).unwrap_or(usize::MAX),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        })
    }

    /// Fails if the artifact `name`, whose row is `own`, is among those that `source` waits for.
    pub(super) fn refuse_loop(&self, name: &HashName, own: Rid, source: Rid) -> Result<()> {
        let mut next = Some(source);
        while let Some(rid) = next {
            if rid == own {
                return Err(Error::DeltaLoop { name: *name });
            }
            next = self.delta_source(rid)?;
        }
        Ok(())
    }

    /// Takes in the artifacts that waited for `source`. One that turns out not to have the content its name
    /// promises becomes a phantom again, so that it can be asked for elsewhere.
    pub(super) fn settle_waiting(&mut self, source: Rid) -> Result<()> {
        let mut available = vec![source];
        while let Some(source) = available.pop() {
            for rid in self.deltas_on(source)? {
                if let Some(waiting) = &mut self.waiting {
                    waiting.deltas = waiting.deltas.saturating_sub(1);
                }
                let name = self.name(rid)?;
                match self.content(rid) {
                    Ok(content) if HashName::of(name.algorithm(), &content) == name => {
                        // The source may have turned out to be private.
                        if self.is_private(source)? && !self.is_private(rid)? {
                            self.undeltify(rid)?;
                        }
                        self.note_if_structural(rid)?;
                        available.push(rid);
                    }
                    Ok(_) | Err(Error::Delta { .. } | Error::Codec { .. }) => {
                        self.execute("UPDATE blob SET size=-1, content=NULL WHERE rid=?1", [rid])?;
                        self.execute("DELETE FROM delta WHERE rid=?1", [rid])?;
                        self.execute("INSERT OR IGNORE INTO phantom(rid) VALUES(?1)", [rid])?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Returns the rows whose content is a delta on the given one.
    pub(crate) fn deltas_on(&self, source: Rid) -> Result<Vec<Rid>> {
        let mut query = self
            .conn()
            .prepare_cached("SELECT rid FROM delta WHERE srcid=?1 ORDER BY rid")?;
        let rids = query.query_map([source], |row| row.get(0))?;
        Ok(rids.collect::<rusqlite::Result<_>>()?)
    }
}
