//! The client's share in keeping unversioned files equal: which to ask for, which to send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::compose::MAX_UPLOAD_BYTES;
use crate::db::{Repository, Result, Transaction};
use crate::uv::{self, Standing, UvFile};
use crate::xfer::Outbox;
use crate::xfer::card::{Card, Pragma, UvEntry};

/// How often a file is asked for before it is given up.
const MAX_ATTEMPTS: u8 = 3;

/// `uvfile` flags: the file was deleted, only its time changed.
const DELETED: u32 = 1;
const TIME_ONLY: u32 = 4;

/// What is still to be exchanged.
#[derive(Debug, Default)]
pub(super) struct UvState {
    /// Whether the sets were to be compared with the last request.
    asked: bool,
    /// Whether the server lets us write.
    may_push: bool,
    /// Files to ask for, with how often that was done.
    wanted: BTreeMap<String, u8>,
    /// Files to send: with content, or only with their time.
    outgoing: VecDeque<(String, bool)>,
    /// Local files that the server's catalogue has not named.
    unnamed: Option<BTreeSet<String>>,
    /// Whether a file has arrived with this reply.
    arrived: bool,
    /// Files sent.
    pub(super) sent: usize,
}

impl UvState {
    /// Returns whether nothing is left to ask for or to send.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
            && self
                .wanted
                .values()
                .all(|attempts| *attempts >= MAX_ATTEMPTS)
    }

    /// Asks the server to compare the sets.
    pub(super) fn ask(
        &mut self,
        repo: &Repository,
        wanted: bool,
        outbox: &mut Outbox,
    ) -> Result<()> {
        if wanted && !self.asked {
            self.asked = true;
            outbox.push(&Card::Pragma(Pragma::UvHash(repo.unversioned_hash()?)));
        }
        Ok(())
    }

    /// Adds what is to be asked for and sent.
    pub(super) fn compose(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        for (name, attempts) in self
            .wanted
            .iter_mut()
            .filter(|(_, attempts)| **attempts < MAX_ATTEMPTS)
        {
            *attempts += 1;
            outbox.push(&Card::UvGimme(name.clone()));
        }
        while outbox.len() < MAX_UPLOAD_BYTES {
            let Some((name, with_content)) = self.outgoing.pop_front() else {
                break;
            };
            if let Some(card) = outgoing(repo, &name, with_content)? {
                outbox.push(&card);
                self.sent += 1;
            }
        }
        Ok(())
    }

    /// Takes note that the server begins its catalogue.
    pub(super) fn begin_catalogue(&mut self, repo: &Repository, may_push: bool) -> Result<()> {
        self.may_push = may_push;
        if self.unnamed.is_none() {
            let files = repo
                .unversioned()?
                .into_iter()
                .filter(|file| file.hash.is_some());
            self.unnamed = Some(files.map(|file| file.name).collect());
        }
        Ok(())
    }

    /// Takes an entry of the catalogue. Returns whether that changed the local set.
    pub(super) fn entry(&mut self, tx: &mut Transaction<'_>, entry: &UvEntry) -> Result<bool> {
        if !self.asked || uv::check_name(&entry.name).is_err() {
            return Ok(false);
        }
        if let Some(unnamed) = &mut self.unnamed {
            unnamed.remove(&entry.name);
        }
        let local = tx.unversioned_file(&entry.name)?;
        match (
            uv::compare(local.as_ref(), entry.mtime, entry.hash.as_ref()),
            entry.hash,
        ) {
            (Standing::Absent | Standing::Loses, Some(_)) => {
                self.wanted.entry(entry.name.clone()).or_default();
            }
            (Standing::Loses, None) => {
                tx.delete_unversioned(&entry.name, entry.mtime)?;
                return Ok(true);
            }
            (Standing::SameButOlder, _) => {
                tx.touch_unversioned(&entry.name, entry.mtime)?;
                return Ok(true);
            }
            (Standing::SameButNewer, _) => self.send(&entry.name, false),
            (Standing::Wins, _) => self.send(&entry.name, true),
            (Standing::Absent, None) | (Standing::Equal, _) => {}
        }
        Ok(false)
    }

    fn send(&mut self, name: &str, with_content: bool) {
        if self.may_push {
            self.outgoing.push_back((name.to_owned(), with_content));
        }
    }

    /// Takes note that a file has arrived. Returns whether it was asked for.
    pub(super) fn arrived(&mut self, name: &str) -> bool {
        let asked = self.wanted.remove(name).is_some();
        self.arrived |= asked;
        asked
    }

    /// Ends a reply: what the catalogue has not named is new here. While files arrive, those left out were over the server's budget.
    pub(super) fn end_reply(&mut self) {
        if std::mem::take(&mut self.arrived) {
            self.wanted.values_mut().for_each(|attempts| *attempts = 0);
        }
        for name in self.unnamed.take().unwrap_or_default() {
            self.send(&name, true);
        }
    }
}

/// Returns the card that sends a file, its deletion or its time.
fn outgoing(repo: &Repository, name: &str, with_content: bool) -> Result<Option<Card>> {
    let Some(UvFile {
        name,
        mtime,
        hash,
        size,
    }) = repo.unversioned_file(name)?
    else {
        return Ok(None);
    };
    let Ok(size) = u32::try_from(size) else {
        return Ok(None);
    };
    let entry = UvEntry {
        name,
        mtime,
        hash,
        size,
    };
    let card = match (hash, with_content) {
        (None, _) => Card::UvFile {
            entry,
            flags: DELETED,
            content: Bytes::new(),
        },
        (Some(_), false) => Card::UvFile {
            entry,
            flags: TIME_ONLY,
            content: Bytes::new(),
        },
        (Some(_), true) => match repo.unversioned_content(&entry.name)? {
            Some(content) => Card::UvFile {
                entry,
                flags: 0,
                content,
            },
            None => return Ok(None),
        },
    };
    Ok(Some(card))
}
