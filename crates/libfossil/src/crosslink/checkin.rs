//! Check-ins: their place in history, and their line on the timeline.

use std::sync::Arc;

use rusqlite::params;

use super::Crosslinker;
use super::manifest::Manifest;
use super::words::Words;
use crate::db::schema::FixedTag;
use crate::db::{Result, Rid, Transaction};
use crate::name::HashName;

impl Crosslinker {
    /// Links a check-in, and then those that were waiting for it as their baseline.
    pub(crate) fn link_check_in(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        manifest: &Arc<Manifest>,
    ) -> Result<()> {
        let mut ready = vec![(rid, Arc::clone(manifest))];
        while let Some((rid, manifest)) = ready.pop() {
            self.manifests.insert(rid, Arc::clone(&manifest));
            if !self.link_one(tx, rid, &manifest)? {
                continue;
            }
            for waiting in orphans_of(tx, rid)? {
                tx.execute("DELETE FROM orphan WHERE rid=?1", [waiting])?;
                if let Some(manifest) = self.manifest(tx, waiting)? {
                    ready.push((waiting, manifest));
                }
            }
        }
        Ok(())
    }

    /// Links a check-in unless its baseline is missing. Returns whether it did.
    fn link_one(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        manifest: &Arc<Manifest>,
    ) -> Result<bool> {
        if let Some(baseline) = &manifest.baseline {
            let baseline = self.row(tx, baseline)?;
            if self.tree(tx, rid)?.is_none() {
                tx.execute(
                    "INSERT OR IGNORE INTO orphan(rid, baseline) VALUES(?1, ?2)",
                    params![rid, baseline],
                )?;
                return Ok(false);
            }
            if tx.config("seen-delta-manifest")?.is_none() {
                tx.set_config("seen-delta-manifest", "1")?;
            }
        }
        for pick in &manifest.cherrypicks {
            self.link_pick(tx, rid, pick)?;
        }
        self.link_waiting_picks(tx, rid)?;
        self.linked.insert(rid);
        let parent = self.link_lineage(tx, rid, manifest, &manifest.parents.clone())?;
        write_event(tx, rid, manifest)?;
        for tag in &manifest.tags {
            let target = match &tag.target {
                Some(name) => self.row(tx, name)?,
                None => rid,
            };
            self.insert_tag(tx, rid, target, tag, manifest.date)?;
        }
        if let Some(parent) = parent {
            self.propagate_all(tx, parent)?;
        }
        Ok(true)
    }

    /// Writes from whom a check-in descends, and what it changed. Returns its first parent.
    fn link_lineage(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        manifest: &Arc<Manifest>,
        parents: &[HashName],
    ) -> Result<Option<Rid>> {
        let baseline = match &manifest.baseline {
            Some(name) => Some(self.row(tx, name)?),
            None => None,
        };
        let mut first = None;
        for (index, parent) in parents.iter().enumerate() {
            let parent = self.row(tx, parent)?;
            first = first.or(Some(parent));
            tx.execute(
                "INSERT OR IGNORE INTO plink(pid, cid, isprim, mtime, baseid)
                 VALUES(?1, ?2, ?3, ?4, ?5)",
                params![parent, rid, index == 0, manifest.date.to_julian(), baseline],
            )?;
        }
        if let Some(first) = first {
            self.link_files(tx, first, rid, true)?;
        } else {
            self.link_root_files(tx, rid)?;
        }
        mark_merged_files(tx, rid, manifest, parents.len())?;
        self.link_children(tx, rid)?;
        Ok(first)
    }

    /// Makes up for the changes of check-ins that descend from this one and were linked before it came.
    fn link_children(&mut self, tx: &mut Transaction<'_>, rid: Rid) -> Result<()> {
        let children: Vec<(Rid, bool)> = {
            let mut query = tx.conn().prepare_cached(
                "SELECT cid, isprim FROM plink WHERE pid=?1
                 UNION ALL
                 SELECT childid, 0 FROM cherrypick WHERE parentid=?1 AND NOT isExclude",
            )?;
            let rows = query.query_map([rid], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for (child, is_primary) in children {
            if self.link_files(tx, rid, child, is_primary)?
                && let Some(manifest) = self.manifest(tx, child)?
            {
                let parents = parent_count(tx, child)?;
                mark_merged_files(tx, child, &manifest, parents)?;
            }
        }
        Ok(())
    }

    /// Gives a check-in the parents that a tag says, in place of its own.
    pub(super) fn reparent(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        value: &[u8],
    ) -> Result<()> {
        let parents: Result<Vec<_>, _> = value
            .split(|&byte| byte == b' ')
            .map(HashName::parse)
            .collect();
        let (Ok(parents), Some(manifest)) = (parents, self.manifest(tx, rid)?) else {
            return Ok(());
        };
        // The parents that it had, and those that it gets.
        self.doubt_leaf(tx, rid)?;
        tx.execute("DELETE FROM plink WHERE cid=?1", [rid])?;
        tx.execute("DELETE FROM mlink WHERE mid=?1", [rid])?;
        self.link_lineage(tx, rid, &manifest, &parents)?;
        self.doubt_leaf(tx, rid)
    }

    /// Repeats the re-parenting of what this batch linked, now that all of it is in.
    pub(super) fn redo_reparenting(&mut self, tx: &mut Transaction<'_>) -> Result<()> {
        let tagged: Vec<(Rid, Vec<u8>)> = {
            let mut query = tx.conn().prepare_cached(
                "SELECT rid, CAST(value AS BLOB) FROM tagxref
                  WHERE tagid=?1 AND tagtype=1 AND value IS NOT NULL",
            )?;
            let rows = query.query_map([FixedTag::Parent.id()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for (rid, value) in tagged {
            if self.linked.contains(&rid) {
                self.reparent(tx, rid, &value)?;
            }
        }
        Ok(())
    }
}

/// Tells files that came by merging from files that are new: what one of several ancestors already had is not
/// new. Made anew with each ancestor that comes, because it counts in how many of them a file differs.
fn mark_merged_files(
    tx: &mut Transaction<'_>,
    rid: Rid,
    manifest: &Manifest,
    parents: usize,
) -> Result<()> {
    let links = parents + manifest.picked().count();
    if links < 2 {
        return Ok(());
    }
    tx.execute(
        "UPDATE mlink SET pid=-(fnid IN
           (SELECT fnid FROM mlink WHERE mid=?1 GROUP BY fnid HAVING count(*)<?2))
          WHERE mid=?1 AND pid<=0",
        params![rid, i64::try_from(links).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

fn orphans_of(tx: &Transaction<'_>, baseline: Rid) -> Result<Vec<Rid>> {
    let mut query = tx
        .conn()
        .prepare_cached("SELECT rid FROM orphan WHERE baseline=?1")?;
    let rows = query.query_map([baseline], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn parent_count(tx: &Transaction<'_>, rid: Rid) -> Result<usize> {
    let count: i64 = tx
        .conn()
        .prepare_cached("SELECT count(*) FROM plink WHERE cid=?1")?
        .query_row([rid], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Writes the line on the timeline; tags that came before the check-in show in it.
fn write_event(tx: &mut Transaction<'_>, rid: Rid, manifest: &Manifest) -> Result<()> {
    tx.execute(
        "REPLACE INTO event(type, mtime, objid, user, comment, bgcolor, euser, ecomment, omtime)
         VALUES('ci',
           coalesce((SELECT julianday(value) FROM tagxref WHERE tagid=?6 AND rid=?2), ?1),
           ?2, ?3, ?4,
           (SELECT value FROM tagxref WHERE tagid=?5 AND rid=?2 AND tagtype>0),
           (SELECT value FROM tagxref WHERE tagid=?7 AND rid=?2),
           (SELECT value FROM tagxref WHERE tagid=?8 AND rid=?2),
           ?1)",
        params![
            manifest.date.to_julian(),
            rid,
            manifest.user.as_deref().map(Words),
            manifest.comment.as_deref().map(Words),
            FixedTag::Bgcolor.id(),
            FixedTag::Date.id(),
            FixedTag::User.id(),
            FixedTag::Comment.id(),
        ],
    )?;
    Ok(())
}
