//! Long contents that a client pushes in pieces: which parts are wanted, and what to do when all are here.
//!
//! The client offers a content, is told what is missing, sends that, and offers again, until nothing is missing. Nothing but the pieces is
//! remembered in between.

use super::answer::extension;
use super::plan::{Act, Offer, Plan};
use crate::db::{Repository, Result};
use crate::pieces::Pieces;
use crate::time::Timestamp;
use crate::uv::{self, Standing};
use crate::xfer::card::{Card, UvEntry};
use crate::xfer::extension::{ContentName, Extension};

/// What came of the offers in a request.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// Says of each offer what is missing.
    pub(super) wanted: Vec<Card>,
    /// Contents that are no longer needed in pieces once the request is done.
    done: Vec<ContentName>,
}

/// Takes in pieces, and adds to the plan what is whole.
pub(super) fn settle(repo: &Repository, plan: &mut Plan, now: Timestamp) -> Result<Offered> {
    let mut offered = Offered::default();
    if plan.pieces.is_empty() && plan.offers.is_empty() {
        return Ok(offered);
    }
    let mut pieces = Pieces::open(repo, now)?;
    for (name, offset, content) in std::mem::take(&mut plan.pieces) {
        pieces.put(&name, offset, &content)?;
    }
    for offer in std::mem::take(&mut plan.offers) {
        let (name, size) = match &offer {
            Offer::Artifact { hash, size, .. } => (ContentName::Artifact(*hash), *size),
            Offer::Unversioned(UvEntry { hash, size, .. }) => match hash {
                Some(hash) => (ContentName::Unversioned(*hash), *size),
                None => continue,
            },
        };
        if !is_welcome(repo, &offer)? {
            if let Offer::Artifact {
                hash, visibility, ..
            } = offer
            {
                // It may be private here and no longer there.
                plan.announced.push((hash, visibility));
            }
            offered.done(name);
            continue;
        }
        if !pieces.expect(&name, size)? {
            plan.notes
                .push(Card::Error(format!("{name} is too long for a repository")));
            continue;
        }
        match pieces.assemble(&name)? {
            None => offered.want(&pieces, name)?,
            Some(content) if name.hash().names(&content) => {
                plan.acts.push(act(offer, content));
                offered.done(name);
            }
            Some(_) => {
                pieces.forget(&name)?;
                let text = format!("wrong hash on received artifact: {name}");
                plan.notes.push(Card::Error(text));
            }
        }
    }
    pieces.close()?;
    Ok(offered)
}

impl Offered {
    /// Asks for the first part that is missing.
    fn want(&mut self, pieces: &Pieces, name: ContentName) -> Result<()> {
        if let Some(gap) = pieces.gaps(&name)?.unwrap_or_default().first() {
            self.wanted.push(extension(Extension::Range {
                name,
                offset: gap.start,
                length: gap.end - gap.start,
            }));
        }
        Ok(())
    }

    /// Says that nothing is missing.
    fn done(&mut self, name: ContentName) {
        self.wanted.push(extension(Extension::Range {
            name,
            offset: 0,
            length: 0,
        }));
        self.done.push(name);
    }

    /// Drops the pieces of what has been stored.
    pub(super) fn end(&self, repo: &Repository, now: Timestamp) -> Result<()> {
        if self.done.is_empty() {
            return Ok(());
        }
        if let Some(mut pieces) = Pieces::existing(repo, now)? {
            for name in &self.done {
                pieces.forget(name)?;
            }
            pieces.close()?;
        }
        Ok(())
    }
}

/// Returns whether what is offered is not here and may be stored.
fn is_welcome(repo: &Repository, offer: &Offer) -> Result<bool> {
    match offer {
        Offer::Artifact { hash, .. } => Ok(!repo.is_shunned(hash)?
            && match repo.rid(hash)? {
                Some(rid) => !repo.is_available(rid)?,
                None => true,
            }),
        Offer::Unversioned(entry) => {
            let local = repo.unversioned_file(&entry.name)?;
            let standing = uv::compare(local.as_ref(), entry.mtime, entry.hash.as_ref());
            Ok(uv::check_name(&entry.name).is_ok()
                && matches!(standing, Standing::Absent | Standing::Loses))
        }
    }
}

fn act(offer: Offer, content: bytes::Bytes) -> Act {
    match offer {
        Offer::Artifact {
            hash, visibility, ..
        } => Act::File {
            hash,
            source: None,
            content,
            visibility,
        },
        Offer::Unversioned(entry) => Act::Unversioned {
            entry,
            flags: 0,
            content,
        },
    }
}
