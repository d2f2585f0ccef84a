//! The reply to a clone: every row from a sequence number on, in the form in which it is stored, in one pass over the table.

use bytes::Bytes;
use rusqlite::{Row, params};

use super::answer::Answer;
use crate::blob::codec;
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;
use crate::xfer::card::Card;

/// The rows that a client may have, and of those stored as a delta the source's name, unless the client does not get that source.
const ROWS: &str = "
    SELECT blob.rid, blob.uuid, blob.size, blob.content, blob.rid IN private, delta.srcid IS NOT NULL,
           iif(source.size>=0 AND source.uuid NOT IN (SELECT uuid FROM shun) AND (?2 OR source.rid NOT IN private), source.uuid, NULL)
      FROM blob LEFT JOIN delta USING(rid) LEFT JOIN blob AS source ON source.rid=delta.srcid
     WHERE blob.rid>=?1 AND blob.size>=0 AND blob.uuid NOT IN (SELECT uuid FROM shun) AND (?2 OR blob.rid NOT IN private)
     ORDER BY blob.rid";

/// The first version of the protocol in which contents travel as they are stored.
const STORED_FORM_SINCE: u32 = 3;

impl Answer<'_> {
    /// Sends contents in the order of their rows, which are a clone's sequence numbers, and says where to go on.
    pub(super) fn contents(&mut self, version: u32, seqno: u32) -> Result<()> {
        let repo = self.repo;
        let policy = repo.hash_policy()?;
        let mut query = repo.conn().prepare_cached(ROWS)?;
        let mut rows = query.query(params![seqno, self.plan.send_private])?;
        let mut next = 0;
        while let Some(row) = rows.next()? {
            let rid: Rid = row.get(0)?;
            if self.is_full() {
                next = u32::try_from(rid.get()).unwrap_or(0);
                break;
            }
            let hash: HashName = row.get(1)?;
            if !policy.welcomes(&hash) {
                continue;
            }
            let card = if version >= STORED_FORM_SINCE {
                let source: Option<HashName> = row.get(6)?;
                let source = source.filter(|source| policy.welcomes(source));
                compressed_card(repo, row, hash, source)?
            } else {
                repo.content_if_available(rid)?.map(|content| Card::File {
                    hash,
                    source: None,
                    content,
                })
            };
            let Some(card) = card else { continue };
            let size = || Ok(u32::try_from(row.get::<_, i64>(2)?).unwrap_or(u32::MAX));
            if !self.content(&card, hash, row.get(4)?, size)? {
                next = u32::try_from(rid.get()).unwrap_or(0);
                break;
            }
        }
        self.outbox.push(&Card::CloneSeqno(next));
        self.project()
    }
}

/// Returns the content of a row of [`ROWS`] as it is stored, or repacked as full text where it is a delta on something that the client does
/// not get. Nothing is returned for what is not here.
fn compressed_card(
    repo: &Repository,
    row: &Row<'_>,
    hash: HashName,
    source: Option<HashName>,
) -> Result<Option<Card>> {
    let (size, is_delta): (i64, bool) = (row.get(2)?, row.get(5)?);
    let Ok(size) = u32::try_from(size) else {
        return Ok(None);
    };
    let content = if is_delta && source.is_none() {
        let content = repo.content_if_available(row.get(0)?)?;
        content.map(|content| codec::pack(&content).into())
    } else if let Some(stored) = repo.stored_if_large(row.get(0)?, size as usize)? {
        Some(stored)
    } else {
        let stored = row.get_ref(3)?.as_blob_or_null();
        stored.ok().flatten().map(Bytes::copy_from_slice)
    };
    Ok(content.map(|content| Card::CompressedFile {
        hash,
        source,
        size,
        content,
    }))
}
