//! From artifacts to the derived tables: what is on the timeline, who descends from whom, which tags hold where.
//!
//! Artifacts may arrive in any order. Whatever needs something that is not here yet is left out, and is made up for
//! when that arrives: a check-in looks for its children, a baseline for the check-ins built on it. So the result does
//! not depend on the order, as far as Fossil's own rules do not (two tags of the very same time, for example).

mod attachment;
mod checkin;
mod control;
mod files;
mod forum;
mod fudge;
mod leaves;
mod manifest;
mod page;
mod pending;
mod picks;
mod tags;
mod ticket;
mod words;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::artifact::{self, Artifact};
use crate::db::{Repository, Result, Rid, Transaction, Visibility};
use crate::name::HashName;
use crate::time::Timestamp;

use fudge::CloseTimes;
pub(crate) use manifest::Manifest;
use manifest::{ManifestCache, Tree};
pub(crate) use pending::{Budget, link_slice, pending_rows};
use ticket::TicketColumns;
use words::Digits;

/// Links artifacts one by one, and at the end what only shows when all of them are in.
#[derive(Debug)]
pub(crate) struct Crosslinker {
    manifests: ManifestCache,
    /// Rows that the caller will still hand in by itself: they are waited for instead of being read.
    announced: HashSet<Rid>,
    /// The rows of artifacts that were asked for. They stay where they are while this links.
    rows: HashMap<HashName, Rid>,
    /// Whether older versions are stored as deltas on newer ones while at it.
    deltify: bool,
    file_numbers: HashMap<Vec<u8>, i64>,
    digits: Option<Digits>,
    ticket_columns: Option<TicketColumns>,
    close_times: CloseTimes,
    /// Check-ins that may have become leaves, or ceased to be.
    doubtful_leaves: BTreeSet<Rid>,
    /// Tickets that changed.
    tickets: BTreeSet<HashName>,
    /// Whether picks may be waiting for their source, once that was looked up.
    picks_wait: Option<bool>,
    /// Check-ins that were linked.
    linked: HashSet<Rid>,
}

impl Crosslinker {
    /// Returns a linker for artifacts that have just been stored.
    pub(crate) fn new() -> Self {
        Self {
            manifests: ManifestCache::default(),
            announced: HashSet::new(),
            rows: HashMap::new(),
            deltify: true,
            file_numbers: HashMap::new(),
            digits: None,
            ticket_columns: None,
            close_times: CloseTimes::default(),
            doubtful_leaves: BTreeSet::new(),
            tickets: BTreeSet::new(),
            picks_wait: None,
            linked: HashSet::new(),
        }
    }

    /// Returns a linker that will be handed all of `announced`, in any order, and leaves stored forms alone. `rows` are all that
    /// there are.
    pub(crate) fn for_rebuild(announced: HashSet<Rid>, rows: HashMap<HashName, Rid>) -> Self {
        Self {
            announced,
            rows,
            deltify: false,
            ..Self::new()
        }
    }

    /// Takes note that a row that was announced has been handed in.
    pub(crate) fn arrived(&mut self, rid: Rid) {
        self.announced.remove(&rid);
    }

    /// Links the artifact in a row if it is structural. Returns how many bytes were looked at.
    pub(crate) fn link_row(&mut self, tx: &mut Transaction<'_>, rid: Rid) -> Result<usize> {
        let content = tx.content(rid)?;
        if let Ok(artifact) = artifact::parse(&content) {
            self.link(tx, rid, &artifact)?;
        }
        Ok(content.len())
    }

    /// Links a structural artifact.
    pub(crate) fn link(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        artifact: &Artifact<'_>,
    ) -> Result<()> {
        match artifact {
            Artifact::CheckIn(check_in) => {
                self.link_check_in(tx, rid, &Arc::new(Manifest::new(check_in)))
            }
            Artifact::Cluster(cluster) => self.link_cluster(tx, rid, &cluster.members),
            Artifact::Control(control) => self.link_control(tx, rid, control),
            Artifact::Wiki(wiki) => self.link_wiki(tx, rid, wiki),
            Artifact::Ticket(ticket) => self.link_ticket(tx, rid, ticket),
            Artifact::Attachment(attachment) => self.link_attachment(tx, rid, attachment),
            Artifact::Technote(technote) => self.link_technote(tx, rid, technote),
            Artifact::Forum(post) => self.link_forum(tx, rid, post),
        }
    }

    /// Does what needs all artifacts of this batch to be in.
    pub(crate) fn finish(mut self, tx: &mut Transaction<'_>) -> Result<()> {
        self.redo_reparenting(tx)?;
        for ticket in std::mem::take(&mut self.tickets) {
            self.rebuild_ticket(tx, &ticket)?;
        }
        std::mem::take(&mut self.close_times).settle(tx)?;
        self.settle_leaves(tx)
    }

    /// A cluster names artifacts that need not be announced one by one any more.
    fn link_cluster(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        members: &[HashName],
    ) -> Result<()> {
        // A cluster carries no date: its tag is as old as the transaction that brings it.
        let now = tx.now();
        self.tag_self(tx, rid, b"cluster", None, now)?;
        let is_public = !tx.is_private(rid)?;
        for member in members {
            let member = self.row(tx, member)?;
            if is_public {
                // What only something private had named here so far, everybody may know.
                tx.execute(
                    "DELETE FROM private WHERE rid=?1 AND rid IN (SELECT rid FROM phantom)",
                    [member],
                )?;
            }
            tx.execute("DELETE FROM unclustered WHERE rid=?1", [member])?;
        }
        Ok(())
    }

    /// Returns the row of the artifact called `name`, if there is one.
    fn known_row(&mut self, tx: &Repository, name: &HashName) -> Result<Option<Rid>> {
        if let Some(rid) = self.rows.get(name) {
            return Ok(Some(*rid));
        }
        let rid = tx.rid(name)?;
        if let Some(rid) = rid {
            self.rows.insert(*name, rid);
        }
        Ok(rid)
    }

    /// Returns the row of the artifact called `name`, making one if there is none; 0 if it is shunned.
    fn row(&mut self, tx: &mut Transaction<'_>, name: &HashName) -> Result<Rid> {
        if let Some(rid) = self.known_row(tx, name)? {
            return Ok(rid);
        }
        Ok(tx.phantom(name, Visibility::Public)?.unwrap_or(Rid::new(0)))
    }

    /// Returns a check-in, if it can be had now.
    fn manifest(&mut self, tx: &Transaction<'_>, rid: Rid) -> Result<Option<Arc<Manifest>>> {
        if let Some(manifest) = self.manifests.get(rid) {
            return Ok(Some(manifest));
        }
        if self.announced.contains(&rid) || !tx.is_available(rid)? {
            return Ok(None);
        }
        let content = tx.content(rid)?;
        let Ok(Artifact::CheckIn(check_in)) = artifact::parse(&content) else {
            return Ok(None);
        };
        let manifest = Arc::new(Manifest::new(&check_in));
        self.manifests.insert(rid, Arc::clone(&manifest));
        Ok(Some(manifest))
    }

    /// Returns a check-in with the baseline it needs, if both can be had now.
    fn tree(&mut self, tx: &Transaction<'_>, rid: Rid) -> Result<Option<Tree>> {
        let Some(own) = self.manifest(tx, rid)? else {
            return Ok(None);
        };
        let Some(baseline) = own.baseline else {
            return Ok(Some(Tree {
                own,
                baseline: None,
            }));
        };
        let baseline = match self.known_row(tx, &baseline)? {
            Some(rid) => self.manifest(tx, rid)?,
            None => None,
        };
        // A baseline that has a baseline itself is no baseline.
        let baseline = baseline.filter(|manifest| manifest.baseline.is_none());
        Ok(baseline.map(|baseline| Tree {
            own,
            baseline: Some(baseline),
        }))
    }

    /// Returns how many digits of a hash texts for people show.
    fn digits(&mut self, tx: &Repository) -> Result<Digits> {
        if self.digits.is_none() {
            self.digits = Some(Digits::configured(tx)?);
        }
        Ok(self.digits.unwrap_or_default())
    }
}

/// Writes what descends from what among pages and posts, and passes the tags of the first parent on.
fn link_page_parents(
    linker: &mut Crosslinker,
    tx: &mut Transaction<'_>,
    rid: Rid,
    parents: &[HashName],
    date: Timestamp,
) -> Result<()> {
    let mut first = None;
    for (index, parent) in parents.iter().enumerate() {
        let parent = linker.row(tx, parent)?;
        first = first.or(Some(parent));
        tx.execute(
            "INSERT OR IGNORE INTO plink(pid, cid, isprim, mtime, baseid)
             VALUES(?1, ?2, ?3, ?4, NULL)",
            rusqlite::params![parent, rid, index == 0, date.to_julian()],
        )?;
    }
    match first {
        Some(parent) => linker.propagate_all(tx, parent),
        None => Ok(()),
    }
}
