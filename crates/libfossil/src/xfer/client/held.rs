//! Replies of a clone that are stored while the next one is on its way.
//!
//! The end of a reply says where the next one begins, so the next request needs nothing of what came before it but that number. A reply that
//! brings contents and nothing else is therefore held back until [`Client::catch_up`] or the next reply; several short ones that come quickly
//! are stored in one transaction, together with the mark of how far the clone is. What is held when a program is killed comes again.

use super::clone::CloneState;
use super::{Client, SyncError};
use crate::db::{Receipt, Repository, Result, Transaction};
use crate::time::Timestamp;
use crate::xfer::card::{Card, Pragma};
use crate::xfer::extension::Extension;

/// Bytes of held contents from which on they are stored. Making a transaction last takes the disk as long as writing this much.
const ENOUGH_BYTES: usize = 8 << 20;

/// For how long contents are held at most before they are stored, in milliseconds. It is what a clone that is killed loses.
const LONG_MS: i64 = 1_000;

/// Contents that have come and are still to be stored.
#[derive(Debug)]
pub(super) struct Held {
    cards: Vec<Card>,
    bytes: usize,
    /// When the first of them came.
    since: Timestamp,
    /// The sequence number that the clone goes on from when these are stored.
    seqno: u32,
}

impl Held {
    fn is_due(&self, now: Timestamp) -> bool {
        let age = now.unix_millis().saturating_sub(self.since.unix_millis());
        // Where the clock was set back nobody knows how old they are.
        self.bytes >= ENOUGH_BYTES || !(0..LONG_MS).contains(&age)
    }
}

impl Client {
    /// Stores what came with earlier replies of a clone, once that is worth a transaction. Best called while a request is under way: the
    /// server makes the next reply meanwhile.
    ///
    /// # Errors
    /// What came cannot be used, or the repository can't be written. Nothing of it is stored then.
    pub fn catch_up(&mut self, repo: &mut Repository, now: Timestamp) -> Result<(), SyncError> {
        match &self.held {
            Some(held) if held.is_due(now) => self.put_away(repo, now),
            _ => Ok(()),
        }
    }

    /// Returns whether [`catch_up`](Self::catch_up) has something to do.
    #[must_use]
    pub fn is_behind(&self, now: Timestamp) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_due(now))
    }

    /// Stores all that has come. For an exchange that ends early, because a request got no answer.
    ///
    /// # Errors
    /// As those of [`catch_up`](Self::catch_up).
    pub fn put_away(&mut self, repo: &mut Repository, now: Timestamp) -> Result<(), SyncError> {
        if self.held.is_none() {
            return Ok(());
        }
        repo.write(now, |tx| {
            tx.set_receipt(Receipt::received(None, None, None));
            self.store_held(tx)
        })
    }

    /// Stores what is held, if anything, with the mark behind it.
    pub(super) fn store_held(&mut self, tx: &mut Transaction<'_>) -> Result<(), SyncError> {
        let Some(Held { cards, seqno, .. }) = self.held.take() else {
            return Ok(());
        };
        self.store(tx, &cards, false)?;
        self.mark(tx, seqno)
    }

    /// Holds a reply back that brings contents and where to go on, and nothing that the next request depends on. Returns the cards of any
    /// other reply.
    pub(super) fn hold(
        &mut self,
        repo: &mut Repository,
        cards: Vec<Card>,
        now: Timestamp,
    ) -> Result<Option<Vec<Card>>, SyncError> {
        let Some(seqno) = self.goes_on_at(repo, &cards)? else {
            return Ok(Some(cards));
        };
        self.judge(repo, &cards)?;
        if let Some(clone) = &mut self.clone {
            clone.come_to(seqno)?;
        }
        self.progress = true;
        self.catch_up(repo, now)?;
        let contents = cards
            .into_iter()
            .filter(|card| matches!(card, Card::Private | Card::CompressedFile { .. }));
        let held = self.held.get_or_insert_with(|| Held {
            cards: Vec::new(),
            bytes: 0,
            since: now,
            seqno,
        });
        held.seqno = seqno;
        for card in contents {
            if let Card::CompressedFile { content, .. } = &card {
                held.bytes = held.bytes.saturating_add(content.len());
            }
            held.cards.push(card);
        }
        Ok(None)
    }

    /// Returns where a clone goes on after a reply that can be held back.
    fn goes_on_at(&self, repo: &Repository, cards: &[Card]) -> Result<Option<u32>> {
        if self.clone.is_none() {
            return Ok(None);
        }
        let (mut next, mut contents, mut named) = (0, 0_usize, false);
        for card in cards {
            match card {
                Card::CompressedFile { .. } => contents += 1,
                Card::CloneSeqno(seqno) if next == 0 => next = *seqno,
                Card::Push { server, project } => {
                    named = repo
                        .project_code()
                        .is_ok_and(|known| known.as_str() == project)
                        && CloneState::is_answered_by(repo, server)?;
                    if !named {
                        return Ok(None);
                    }
                }
                Card::Private
                | Card::Pragma(
                    Pragma::ServerVersion(_) | Pragma::Extension(Extension::Budget(_)),
                ) => {}
                _ => return Ok(None),
            }
        }
        Ok((named && contents > 0 && next > 0).then_some(next))
    }
}
