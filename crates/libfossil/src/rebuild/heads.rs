//! How the stored contents of a repository begin.
//!
//! One pass over the table takes the first packed bytes of each content; threads of their own unpack what was taken while the pass goes
//! on.

use std::collections::VecDeque;
use std::thread::{self, ScopedJoinHandle};

use rusqlite::blob::Blob;
use rusqlite::types::ValueRef;
use rusqlite::{MAIN_DB, params};

use super::plan::START_BYTES;
use crate::blob::{codec, delta};
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;

/// How many bytes of a delta are unpacked to learn how its target begins.
const DELTA_START_BYTES: usize = 64;

/// How many bytes of the packed form are read for that. More are read where these do not suffice.
const PACKED_START_BYTES: u32 = 256;

/// Contents that are no longer than this in their packed form are at hand in whole with their row; of others, only the beginning is
/// read.
const AT_HAND_BYTES: u32 = 1800;

/// Contents that a thread unpacks the beginning of together.
const BATCH: usize = 2048;

/// A row of the table, and how its content begins.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) rid: Rid,
    /// The artifact's name, if it is one.
    pub(super) name: Option<HashName>,
    /// What column `size` says.
    pub(super) size: i64,
    pub(super) has_content: bool,
    /// The row that the content is a delta of.
    pub(super) source: Option<Rid>,
    /// The first bytes of the content, or of the delta that it is; `None` if they are damaged.
    pub(super) start: Option<Vec<u8>>,
    /// The length that the content has by what its packed form says.
    pub(super) content_size: Option<usize>,
    /// Length of the packed form.
    packed_bytes: usize,
    /// Length of what the packed form holds: the content, or the delta.
    unpacked_bytes: usize,
}

/// Rows with the first bytes of their packed forms.
#[derive(Default)]
struct Batch {
    heads: Vec<Head>,
    packed: Vec<Vec<u8>>,
}

/// Returns all rows of the repository, in order of their numbers.
pub(super) fn read(repo: &Repository) -> Result<Vec<Head>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|threads| {
        let mut heads = Vec::new();
        let mut under_way: VecDeque<ScopedJoinHandle<'_, Batch>> = VecDeque::new();
        let mut scan = Scan::new(repo);
        let mut query = repo.conn().prepare(
            "SELECT rid, uuid, size, size>=0 AND typeof(content)='blob', srcid,
                    CASE WHEN length(content)<=?1 THEN substr(content, 1, ?2) END, coalesce(length(content), 0)
               FROM blob LEFT JOIN delta USING(rid) ORDER BY rid",
        )?;
        let mut rows = query.query(params![AT_HAND_BYTES, PACKED_START_BYTES])?;
        loop {
            let mut batch = Batch::default();
            while batch.heads.len() < BATCH
                && let Some(row) = rows.next()?
            {
                scan.add(row, &mut batch)?;
            }
            if batch.heads.is_empty() {
                break;
            }
            if under_way.len() > workers
                && let Some(oldest) = under_way.pop_front()
            {
                scan.complete(oldest, &mut heads)?;
            }
            under_way.push_back(threads.spawn(move || batch.unpack()));
        }
        for batch in under_way {
            scan.complete(batch, &mut heads)?;
        }
        Ok(heads)
    })
}

/// Reads packed forms.
struct Scan<'r> {
    repo: &'r Repository,
    /// What long contents are read with, once there is one.
    long: Option<Blob<'r>>,
}

impl<'r> Scan<'r> {
    fn new(repo: &'r Repository) -> Self {
        Self { repo, long: None }
    }

    /// Adds a row to a batch.
    fn add(&mut self, row: &rusqlite::Row<'_>, batch: &mut Batch) -> Result<()> {
        let rid = row.get(0)?;
        let has_content = row.get(3)?;
        let name = row.get_ref(1)?.as_bytes().unwrap_or_default();
        batch.packed.push(match row.get_ref(5)? {
            ValueRef::Blob(packed) => packed.to_vec(),
            _ if has_content => self.first_bytes(rid, PACKED_START_BYTES as usize)?,
            _ => Vec::new(),
        });
        batch.heads.push(Head {
            rid,
            name: HashName::parse(name).ok(),
            size: row.get(2)?,
            has_content,
            source: row.get(4)?,
            start: None,
            content_size: None,
            packed_bytes: usize::try_from(row.get::<_, i64>(6)?).unwrap_or(usize::MAX),
            unpacked_bytes: 0,
        });
        Ok(())
    }

    /// Takes over the rows of a batch. Where the beginning of the packed form did not suffice, all of it is read.
    fn complete(
        &mut self,
        batch: ScopedJoinHandle<'_, Batch>,
        heads: &mut Vec<Head>,
    ) -> Result<()> {
        let batch = batch.join();
        let batch = batch.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        for (mut head, packed) in batch.heads.into_iter().zip(batch.packed) {
            if head.start.is_none() && packed.len() >= PACKED_START_BYTES as usize {
                let whole = self.first_bytes(head.rid, usize::MAX)?;
                head.unpack(&whole);
            }
            heads.push(head);
        }
        Ok(())
    }

    /// Returns the first bytes of a packed form, at most `count`.
    fn first_bytes(&mut self, rid: Rid, count: usize) -> Result<Vec<u8>> {
        let content = match &mut self.long {
            Some(content) => {
                content.reopen(rid.get())?;
                content
            }
            none => {
                let conn = self.repo.conn();
                none.insert(conn.blob_open(MAIN_DB, "blob", "content", rid.get(), true)?)
            }
        };
        let mut bytes = vec![0; content.len().min(count)];
        content.read_at_exact(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl Batch {
    fn unpack(mut self) -> Self {
        for (head, packed) in self.heads.iter_mut().zip(&self.packed) {
            if head.has_content {
                head.unpack(packed);
            }
        }
        self
    }
}

impl Head {
    fn unpack(&mut self, packed: &[u8]) {
        let is_delta = self.source.is_some();
        let wanted = if is_delta {
            DELTA_START_BYTES
        } else {
            START_BYTES
        };
        self.start = codec::peek(packed, wanted).ok();
        self.content_size = match &self.start {
            Some(start) if is_delta => delta::output_size(start).ok(),
            _ => codec::declared_size(packed).ok(),
        };
        self.unpacked_bytes = codec::declared_size(packed).unwrap_or_default();
    }

    /// Returns the most bytes that are needed at once to expand the content, of length `size`, beside its source.
    pub(super) fn work_bytes(&self, size: usize) -> usize {
        let unpacked = match self.source {
            Some(_) => self.unpacked_bytes.saturating_add(size),
            None => self.unpacked_bytes.max(size),
        };
        unpacked.saturating_add(self.packed_bytes)
    }

    /// Returns how the content begins, as far as that can be told from how that of its source does, and its length; `None` if its
    /// packed form is damaged.
    pub(super) fn beginning(&self, source_start: &[u8]) -> Option<(Vec<u8>, usize)> {
        let start = self.start.as_deref()?;
        let start = match self.source {
            Some(_) => delta::beginning(source_start, start, START_BYTES),
            None => start.to_vec(),
        };
        Some((start, self.content_size?))
    }
}
