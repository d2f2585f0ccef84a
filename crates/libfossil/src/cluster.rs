//! Clusters: artifacts that name many others, so that two repositories can compare themselves by few names.
//!
//! What no cluster names is in the table `unclustered`. A server that is asked for content first gathers most of that into new clusters; the
//! clusters themselves stay unclustered until the next ones name them.

use crate::artifact::Cluster;
use crate::db::{Repository, Result, Rid, Transaction, Visibility};
use crate::name::HashName;

/// Fewer unclustered artifacts than this are left alone.
const MIN_UNCLUSTERED: usize = 100;

/// Most names in one cluster.
const MAX_NAMES: usize = 800;

impl Repository {
    /// Returns whether there is enough for a new cluster.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn wants_clusters(&self) -> Result<bool> {
        let mut query = self.conn().prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM unclustered CROSS JOIN blob USING(rid) WHERE size>=0 LIMIT ?1)",
        )?;
        let wanted = i64::try_from(MIN_UNCLUSTERED).unwrap_or(i64::MAX);
        let count: i64 = query.query_row([wanted], |row| row.get(0))?;
        Ok(count >= wanted)
    }

    /// Returns what is here and no cluster names, ordered by name.
    fn unclustered(&self) -> Result<Vec<(Rid, HashName)>> {
        let mut query = self.conn().prepare_cached(
            "SELECT rid, uuid FROM unclustered CROSS JOIN blob USING(rid)
              WHERE size>=0 AND NOT EXISTS(SELECT 1 FROM shun WHERE shun.uuid=blob.uuid)
                AND NOT EXISTS(SELECT 1 FROM private WHERE private.rid=blob.rid) ORDER BY uuid",
        )?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Makes clusters if there is enough for one. Returns how many were made.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn make_clusters(&mut self) -> Result<usize> {
        let loose = self.unclustered()?;
        if loose.len() < MIN_UNCLUSTERED {
            return Ok(0);
        }
        let mut rest = loose.as_slice();
        let mut made = 0;
        while !rest.is_empty() {
            // A remainder too small for a cluster of its own joins this one.
            let count = if rest.len() <= MAX_NAMES + MIN_UNCLUSTERED {
                rest.len()
            } else {
                MAX_NAMES
            };
            let (members, later) = rest.split_at(count);
            let cluster = Cluster {
                members: members.iter().map(|(_, name)| *name).collect(),
            };
            self.store(&cluster.to_bytes(), Visibility::Public)?;
            for (rid, _) in members {
                self.execute("DELETE FROM unclustered WHERE rid=?1", [rid])?;
            }
            made += 1;
            rest = later;
        }
        Ok(made)
    }
}
