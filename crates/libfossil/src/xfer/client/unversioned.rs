//! The client's share in keeping unversioned files equal: which to ask for, which to send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::compose::{MAX_OFFERS, MAX_UPLOAD_BYTES};
use crate::db::{Repository, Result, Transaction};
use crate::name::HashName;
use crate::uv::{self, Standing, UvFile};
use crate::xfer::Outbox;
use crate::xfer::card::{Card, Pragma, UvEntry};
use crate::xfer::extension::Extension;

/// How often a file is asked for before it is given up.
const MAX_ATTEMPTS: u8 = 3;

/// `uvfile` flags: the file was deleted, only its time changed.
const DELETED: u32 = 1;
const TIME_ONLY: u32 = 4;

/// How much room there is for the unversioned files that a server offers. What is over is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UvRoom {
    /// Most bytes of one file.
    pub file_bytes: u64,
    /// Most bytes of all files, those that are here already included.
    pub total_bytes: u64,
}

/// What is still to be exchanged.
#[derive(Debug, Default)]
pub(super) struct UvState {
    /// How much is taken; without it, all.
    pub(super) room: Option<UvRoom>,
    /// Bytes of the files that were here when the catalogue began.
    held_bytes: u64,
    /// Whether the sets were to be compared with the last request.
    asked: bool,
    /// Whether the server lets us write.
    may_push: bool,
    /// Files to ask for.
    wanted: BTreeMap<String, Wanted>,
    /// Files to send: with content, or only with their time.
    outgoing: VecDeque<(String, bool)>,
    /// Local files that the server's catalogue has not named.
    unnamed: Option<BTreeSet<String>>,
    /// Whether a file has arrived with this reply.
    arrived: bool,
    /// Long files that were offered, by hash.
    offered: BTreeMap<HashName, Offered>,
    /// Replies in a row without a file, for want of room.
    cuts: u8,
    /// Files sent.
    pub(super) sent: usize,
}

/// A file to ask for.
#[derive(Debug)]
struct Wanted {
    entry: UvEntry,
    /// How often it was asked for.
    attempts: u8,
}

/// A long file that was offered.
#[derive(Debug)]
struct Offered {
    name: String,
    times: u8,
}

impl UvState {
    /// Returns whether nothing is left to ask for or to send.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
            && self
                .wanted
                .values()
                .all(|wanted| wanted.attempts >= MAX_ATTEMPTS)
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

    /// Adds what is to be asked for and sent, as far as there is room. `in_pieces` says that the server takes long files in pieces.
    pub(super) fn compose(
        &mut self,
        repo: &Repository,
        in_pieces: bool,
        outbox: &mut Outbox,
    ) -> Result<()> {
        let askable = |wanted: &&mut Wanted| wanted.attempts < MAX_ATTEMPTS;
        for wanted in self.wanted.values_mut().filter(askable) {
            if !outbox.push_fitting(&Card::UvGimme(wanted.entry.name.clone())) {
                break;
            }
            wanted.attempts += 1;
        }
        while outbox.len() < MAX_UPLOAD_BYTES {
            let Some((name, with_content)) = self.outgoing.front().cloned() else {
                break;
            };
            let fits = match repo.unversioned_file(&name)? {
                None => true,
                Some(file) => self.send_file(repo, file, with_content, in_pieces, outbox)?,
            };
            if !fits {
                break;
            }
            self.outgoing.pop_front();
        }
        Ok(())
    }

    /// Sends a file, or offers it where it is too long. Returns whether there was room.
    fn send_file(
        &mut self,
        repo: &Repository,
        file: UvFile,
        with_content: bool,
        in_pieces: bool,
        outbox: &mut Outbox,
    ) -> Result<bool> {
        let bytes = usize::try_from(file.size).unwrap_or(usize::MAX);
        if let Some(hash) = file
            .hash
            .filter(|_| with_content && outbox.is_too_long_content(bytes))
        {
            let offered = self.offered.entry(hash).or_insert(Offered {
                name: file.name.clone(),
                times: 0,
            });
            if !in_pieces || offered.times >= MAX_OFFERS {
                return Ok(true);
            }
            offered.times += 1;
            let Some(entry) = entry(file) else {
                return Ok(true);
            };
            let offer = Card::Pragma(Pragma::Extension(Extension::UvOffer(entry)));
            return Ok(outbox.push_fitting(&offer));
        }
        let Some(card) = outgoing(repo, file, with_content)? else {
            return Ok(true);
        };
        let fits = outbox.push_fitting(&card);
        self.sent += usize::from(fits);
        Ok(fits)
    }

    /// Takes note that the server had no room for all that was asked for.
    pub(super) fn cut(&mut self) {
        if self.cuts < MAX_ATTEMPTS {
            self.cuts += 1;
            for wanted in self.wanted.values_mut() {
                wanted.attempts = wanted.attempts.saturating_sub(1);
            }
        }
    }

    /// Takes note of what the server wants of a long file: nothing any more, or pieces.
    pub(super) fn answered(&mut self, hash: &HashName, wants: bool) -> bool {
        if !wants && self.offered.remove(hash).is_some() {
            self.sent += 1;
        }
        self.offered.contains_key(hash)
    }

    /// Offers a long file again.
    pub(super) fn offer_again(&mut self, hash: &HashName) {
        if let Some(offered) = self.offered.get(hash) {
            self.outgoing.push_back((offered.name.clone(), true));
        }
    }

    /// Takes note that a file which was asked for is too long for a message. Returns its entry.
    pub(super) fn too_long(&mut self, hash: &HashName, size: u64) -> Option<UvEntry> {
        let mut wanted = self.wanted.iter();
        let (name, wanted) = wanted.find(|(_, wanted)| wanted.entry.hash.as_ref() == Some(hash))?;
        if !self.is_as_announced(wanted, size) {
            return None;
        }
        let name = name.clone();
        self.arrived = true;
        self.wanted.remove(&name).map(|wanted| wanted.entry)
    }

    /// Takes note that the server begins its catalogue.
    pub(super) fn begin_catalogue(&mut self, repo: &Repository, may_push: bool) -> Result<()> {
        self.may_push = may_push;
        if self.unnamed.is_none() {
            self.held_bytes = repo.unversioned()?.iter().map(|file| file.size).sum();
            let files = repo.unversioned_to_tell()?.into_iter();
            let files = files.filter(|file| file.hash.is_some());
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
            (Standing::Absent | Standing::Loses, Some(_)) if !self.has_room_for(entry) => {}
            (Standing::Absent | Standing::Loses, Some(_)) => {
                self.wanted.entry(entry.name.clone()).or_insert(Wanted {
                    entry: entry.clone(),
                    attempts: 0,
                });
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

    fn has_room_for(&self, entry: &UvEntry) -> bool {
        let Some(room) = self.room else {
            return true;
        };
        let size = |entry: &UvEntry| u64::from(entry.size);
        let others = self
            .wanted
            .values()
            .filter(|it| it.entry.name != entry.name);
        let wanted: u64 = others.map(|it| size(&it.entry)).sum();
        let total = self
            .held_bytes
            .saturating_add(wanted)
            .saturating_add(size(entry));
        size(entry) <= room.file_bytes && total <= room.total_bytes
    }

    /// Whether a file is no longer than the catalogue said, where that matters.
    fn is_as_announced(&self, wanted: &Wanted, size: u64) -> bool {
        self.room.is_none() || size <= u64::from(wanted.entry.size)
    }

    fn send(&mut self, name: &str, with_content: bool) {
        if self.may_push {
            self.outgoing.push_back((name.to_owned(), with_content));
        }
    }

    /// Takes note that a file has arrived. Returns whether it was asked for, and is no longer than its entry said.
    pub(super) fn arrived(&mut self, entry: &UvEntry) -> bool {
        let wanted = self.wanted.remove(&entry.name);
        let asked = wanted.is_some_and(|it| self.is_as_announced(&it, u64::from(entry.size)));
        self.arrived |= asked;
        asked
    }

    /// Ends a reply: what the catalogue has not named is new here, unless it goes on. While files arrive, those left out were over the server's
    /// budget. Returns whether any has arrived.
    pub(super) fn end_reply(&mut self, goes_on: bool) -> bool {
        let arrived = std::mem::take(&mut self.arrived);
        if arrived {
            self.cuts = 0;
            self.wanted
                .values_mut()
                .for_each(|wanted| wanted.attempts = 0);
        }
        if goes_on {
            return arrived;
        }
        for name in self.unnamed.take().unwrap_or_default() {
            self.send(&name, true);
        }
        arrived
    }
}

/// Returns a file's catalogue entry, if its size can be told.
fn entry(file: UvFile) -> Option<UvEntry> {
    let UvFile {
        name,
        mtime,
        hash,
        size,
    } = file;
    let size = u32::try_from(size).ok()?;
    Some(UvEntry {
        name,
        mtime,
        hash,
        size,
    })
}

/// Returns the card that sends a file, its deletion or its time.
fn outgoing(repo: &Repository, file: UvFile, with_content: bool) -> Result<Option<Card>> {
    let Some(entry) = entry(file) else {
        return Ok(None);
    };
    let (flags, content) = match (entry.hash, with_content) {
        (None, _) => (DELETED, Bytes::new()),
        (Some(_), false) => (TIME_ONLY, Bytes::new()),
        (Some(_), true) => match repo.unversioned_content(&entry.name)? {
            Some(content) => (0, content),
            None => return Ok(None),
        },
    };
    Ok(Some(Card::UvFile {
        entry,
        flags,
        content,
    }))
}
