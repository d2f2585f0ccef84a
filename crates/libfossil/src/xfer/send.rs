//! From a row of the repository to the card that carries its content.
//!
//! An artifact travels as a delta on its earlier version where that saves enough, otherwise whole. Nothing ever travels as a delta on
//! something private or shunned, which the receiver could not have.

use bytes::Bytes;
use rusqlite::OptionalExtension;

use super::card::Card;
use crate::blob::delta;
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;

/// Contents up to this length travel whole, in bytes.
const MIN_DELTA_BYTES: usize = 100;

/// Contents beyond this length travel whole, in bytes: finding a delta would hold up the reply.
const MAX_DELTA_BYTES: usize = 8 << 20;

/// A delta must be shorter than the content by this much, in bytes.
const MIN_SAVING_BYTES: usize = 50;

/// Returns the card with the content of `rid`, or nothing when that is not here.
pub(super) fn file_card(repo: &Repository, rid: Rid, hash: HashName) -> Result<Option<Card>> {
    let Some(content) = repo.content_if_available(rid)? else {
        return Ok(None);
    };
    let (source, content) = match as_delta(repo, rid, &content)? {
        Some((source, change)) => (Some(source), change.into()),
        None => (None, content),
    };
    Ok(Some(Card::File {
        hash,
        source,
        content,
    }))
}

/// Returns a delta on the earlier version of `rid`, if there is one that pays.
fn as_delta(repo: &Repository, rid: Rid, content: &Bytes) -> Result<Option<(HashName, Vec<u8>)>> {
    if !(MIN_DELTA_BYTES..=MAX_DELTA_BYTES).contains(&content.len()) {
        return Ok(None);
    }
    let Some(parent) = earlier_version(repo, rid)? else {
        return Ok(None);
    };
    let source = repo.name(parent)?;
    if repo.is_private(parent)? || repo.is_shunned(&source)? {
        return Ok(None);
    }
    let basis = repo.content_if_available(parent)?;
    let Some(basis) = basis.filter(|basis| basis.len() <= MAX_DELTA_BYTES) else {
        return Ok(None);
    };
    let change = delta::encode(&basis, content);
    Ok((change.len() + MIN_SAVING_BYTES <= content.len()).then_some((source, change)))
}

/// Returns the first parent of a check-in, or what a file was before a check-in changed it.
fn earlier_version(repo: &Repository, rid: Rid) -> Result<Option<Rid>> {
    let queries = [
        "SELECT pid FROM plink WHERE cid=?1 ORDER BY isprim DESC LIMIT 1",
        "SELECT pid FROM mlink WHERE fid=?1 AND pid>0 AND pid<>?1 AND NOT isaux LIMIT 1",
    ];
    for query in queries {
        let parent = repo
            .conn()
            .prepare_cached(query)?
            .query_row([rid], |row| row.get(0))
            .optional()?;
        if parent.is_some() {
            return Ok(parent);
        }
    }
    Ok(None)
}
