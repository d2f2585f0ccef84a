//! The client's share in moving contents that are too long for a message: pieces asked for and pieces sent, several at a time.
//!
//! What has to come is learned from `edgesync-oversize`, what has to go from `edgesync-range`; both are known by name, so that an exchange that
//! is cut off is gone on with by the next one.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::{Client, SyncError};
use crate::db::{Receipt, Repository, Result, Transaction, Visibility};
use crate::pieces::Pieces;
use crate::time::Timestamp;
use crate::xfer::Outbox;
use crate::xfer::budget::{HEAD_BYTES, MAX_PIECE_BYTES};
use crate::xfer::card::{Card, Pragma, UvEntry};
use crate::xfer::extension::{ContentName, Extension};
use crate::xfer::receive::{ReceiveError, Receiver};

/// Requests with or for pieces that may be under way at once.
const IN_FLIGHT: usize = 4;

/// Answers without what was asked for before the rest is given up.
const MAX_FAILURES: u8 = 8;

/// A content that is to come.
#[derive(Debug)]
struct Incoming {
    size: u32,
    visibility: Visibility,
    /// The file that it belongs to, if it is that of an unversioned one.
    entry: Option<UvEntry>,
    /// Parts that were asked for and not answered yet.
    asked: Vec<Range<u32>>,
}

/// What is to be moved in pieces.
#[derive(Debug, Default)]
pub(super) struct Large {
    incoming: BTreeMap<ContentName, Incoming>,
    /// Parts that the server wants.
    outgoing: BTreeMap<ContentName, Range<u32>>,
    /// Requests that were not answered yet.
    under_way: usize,
    /// Whether those ask for pieces; otherwise they bring some. The two are not mixed, because an answer does not say what it answers.
    asking: bool,
    failures: u8,
}

/// What one request with or for a piece says.
enum Move {
    Ask(ContentName, Range<u32>),
    /// The last word says whether this is all that the server wants.
    Send(ContentName, Range<u32>, bool),
}

impl Large {
    /// Returns whether an answer to a request of this kind is still to come.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Takes note that a content is to come.
    pub(super) fn announce(
        &mut self,
        name: ContentName,
        size: u32,
        visibility: Visibility,
        entry: Option<UvEntry>,
    ) {
        self.incoming.entry(name).or_insert(Incoming {
            size,
            visibility,
            entry,
            asked: Vec::new(),
        });
    }

    /// Takes note that the server wants a part of a content.
    pub(super) fn want(&mut self, name: ContentName, range: Range<u32>) {
        // One part at a time: the next offer tells the others.
        self.outgoing.entry(name).or_insert(range);
    }

    /// Returns how many contents the server wants parts of.
    pub(super) fn outgoing_count(&self) -> usize {
        self.outgoing.len()
    }

    /// Returns whether the server wants a part of this content.
    pub(super) fn is_wanted(&self, name: &ContentName) -> bool {
        self.outgoing.contains_key(name)
    }

    /// Returns what to move next, if there is anything and it may be moved now.
    fn next(&mut self, repo: &Repository, piece: u32, now: Timestamp) -> Result<Option<Move>> {
        if self.under_way >= IN_FLIGHT {
            return Ok(None);
        }
        let turn = |asking| self.under_way == 0 || self.asking == asking;
        let (may_ask, may_send) = (turn(true), turn(false));
        if let Some(mut entry) = self.outgoing.first_entry().filter(|_| may_send) {
            let name = *entry.key();
            let rest = entry.get_mut();
            let end = rest.end.min(rest.start.saturating_add(piece));
            let part = rest.start..end;
            rest.start = end;
            let all = rest.start >= rest.end;
            if all {
                entry.remove();
            }
            self.asking = false;
            return Ok(Some(Move::Send(name, part, all)));
        }
        if self.incoming.is_empty() || !may_ask {
            return Ok(None);
        }
        self.asking = true;
        let mut pieces = Pieces::open(repo, now)?;
        let mut hopeless = Vec::new();
        let mut found = None;
        for (name, incoming) in &mut self.incoming {
            if !pieces.expect(name, incoming.size)? {
                hopeless.push(*name);
                continue;
            }
            let gaps = pieces.gaps(name)?.unwrap_or_default();
            if let Some(part) = first_free(&gaps, &incoming.asked, piece) {
                incoming.asked.push(part.clone());
                found = Some(Move::Ask(*name, part));
                break;
            }
        }
        for name in hopeless {
            self.incoming.remove(&name);
        }
        pieces.close()?;
        Ok(found)
    }

    /// Returns contents of which all pieces are here.
    fn whole(&self, repo: &Repository, now: Timestamp) -> Result<Vec<ContentName>> {
        let pieces = Pieces::open(repo, now)?;
        let mut whole = Vec::new();
        for name in self.incoming.keys() {
            if pieces.gaps(name)?.is_some_and(|gaps| gaps.is_empty()) {
                whole.push(*name);
            }
        }
        pieces.close()?;
        Ok(whole)
    }
}

/// Returns the first part of `gaps` that was not asked for, no longer than a piece.
fn first_free(gaps: &[Range<u32>], asked: &[Range<u32>], piece: u32) -> Option<Range<u32>> {
    for gap in gaps {
        let mut start = gap.start;
        while start < gap.end {
            let ahead = asked.iter().find(|part| part.contains(&start));
            match ahead {
                Some(part) => start = part.end,
                None => {
                    let next = asked.iter().map(|part| part.start);
                    let limit = next.filter(|other| *other > start).min();
                    let end = gap.end.min(start.saturating_add(piece));
                    return Some(start..end.min(limit.unwrap_or(u32::MAX)));
                }
            }
        }
    }
    None
}

impl Client {
    /// Returns the next request that moves a piece, or nothing when there is none to be made now.
    pub(super) fn compose_piece(
        &mut self,
        repo: &Repository,
        now: Timestamp,
    ) -> Result<Option<Outbox>> {
        let limit = self.room();
        let piece = u32::try_from(limit.saturating_sub(HEAD_BYTES)).unwrap_or(u32::MAX);
        let piece = piece.clamp(1, MAX_PIECE_BYTES);
        let Some(step) = self.large.next(repo, piece, now)? else {
            return Ok(None);
        };
        let mut outbox = self.opening();
        let (server, project) = (
            repo.server_code()?.as_str().to_owned(),
            repo.project_code()?.as_str().to_owned(),
        );
        match step {
            Move::Ask(name, part) => {
                if self.goal.private {
                    outbox.push(&Card::Pragma(Pragma::SendPrivate));
                }
                if matches!(name, ContentName::Artifact(_)) {
                    outbox.push(&Card::Pull { server, project });
                }
                outbox.push(&Card::Pragma(Pragma::Extension(Extension::Range {
                    name,
                    offset: part.start,
                    length: part.end - part.start,
                })));
            }
            Move::Send(name, part, all) => {
                if matches!(name, ContentName::Artifact(_)) {
                    outbox.push(&Card::Push { server, project });
                }
                let bounds = |at| usize::try_from(at).unwrap_or(usize::MAX);
                let content = repo.part(&name, bounds(part.start)..bounds(part.end))?;
                outbox.push(&Card::Piece {
                    name,
                    offset: part.start,
                    content: content.unwrap_or_default(),
                });
                if all {
                    self.offer_again(&name);
                }
            }
        }
        self.large.under_way += 1;
        Ok(Some(outbox))
    }

    /// Has a content offered again: the server says then whether it has all of it.
    fn offer_again(&mut self, name: &ContentName) {
        match name {
            ContentName::Artifact(hash) => self.wanted.push_back(*hash),
            ContentName::Unversioned(hash) => self.uv.offer_again(hash),
        }
    }

    /// Takes the answer to a request that moved a piece.
    pub(super) fn take_piece(
        &mut self,
        repo: &mut Repository,
        message: Bytes,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        self.large.under_way = self.large.under_way.saturating_sub(1);
        let asked = self.large.asking;
        let cards = self.read(repo, message, now)?;
        self.judge(repo, &cards)?;
        let mut came = Vec::new();
        for card in cards {
            if let Card::Piece {
                name,
                offset,
                content,
            } = card
                && let Some(incoming) = self.large.incoming.get_mut(&name)
            {
                incoming.asked.retain(|part| part.start != offset);
                let mut pieces = Pieces::open(repo, now)?;
                if pieces.put(&name, offset, &content)? {
                    came.push(name);
                }
            }
        }
        if came.is_empty() && asked {
            self.fail();
        }
        for name in came {
            self.large.failures = 0;
            self.complete(repo, name, now)?;
        }
        Ok(())
    }

    /// Takes note that an answer brought nothing.
    fn fail(&mut self) {
        self.large.failures = self.large.failures.saturating_add(1);
        if self.large.failures >= MAX_FAILURES {
            self.large.incoming.clear();
        } else if self.large.under_way == 0 {
            // Which request it was is not known; all that is missing is asked for again.
            for incoming in self.large.incoming.values_mut() {
                incoming.asked.clear();
            }
        }
    }

    /// Stores contents of which an earlier exchange had all pieces and was ended before it came to that.
    pub(super) fn complete_whole(
        &mut self,
        repo: &mut Repository,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        if self.large.under_way > 0 || self.large.incoming.is_empty() {
            return Ok(());
        }
        for name in self.large.whole(repo, now)? {
            self.complete(repo, name, now)?;
        }
        Ok(())
    }

    /// Stores a content if all of it is here.
    fn complete(
        &mut self,
        repo: &mut Repository,
        name: ContentName,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let mut pieces = Pieces::open(repo, now)?;
        let Some(content) = pieces.assemble(&name)? else {
            return Ok(());
        };
        let Some(incoming) = self.large.incoming.remove(&name) else {
            return Ok(());
        };
        if !name.hash().names(&content) {
            pieces.forget(&name)?;
            pieces.close()?;
            return Err(SyncError::Malformed(format!(
                "wrong hash on received artifact: {name}"
            )));
        }
        let stored = repo.write(now, |tx| {
            tx.set_receipt(Receipt::received(None, None, None));
            store(tx, &name, &incoming, &content)
        });
        let received = match stored {
            Ok(received) => received,
            Err(ReceiveError::Refused(text)) => return Err(SyncError::Malformed(text)),
            Err(ReceiveError::Repository(error)) => return Err(error.into()),
        };
        self.summary.artifacts_received += received.artifacts.len();
        self.summary.unversioned_received += received.unversioned;
        self.progress = true;
        pieces.forget(&name)?;
        pieces.close()?;
        Ok(())
    }
}

fn store(
    tx: &mut Transaction<'_>,
    name: &ContentName,
    incoming: &Incoming,
    content: &Bytes,
) -> Result<crate::xfer::Received, ReceiveError> {
    let mut receiver = Receiver::new(tx)?;
    match (name, &incoming.entry) {
        (ContentName::Unversioned(_), Some(entry)) => receiver.unversioned(entry, 0, content)?,
        _ => receiver.file(name.hash(), None, content, incoming.visibility)?,
    }
    Ok(receiver.received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::HashName;
    use crate::samples::{self, NOW};
    use crate::xfer::client::Goal;

    #[test]
    fn a_content_of_which_only_the_end_was_interrupted_is_stored() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut repo = samples::repository(folder.path());
        let content = b"all of it is here in two pieces";
        let hash = HashName::sha3_of(content);
        let name = ContentName::Artifact(hash);
        let size = u32::try_from(content.len()).expect("short");
        let put = |repo: &Repository, offset: u32, part: &[u8]| {
            let mut pieces = Pieces::open(repo, NOW).expect("opened");
            assert!(pieces.expect(&name, size).expect("expected"));
            assert!(pieces.put(&name, offset, part).expect("put"));
            pieces.close().expect("closed");
        };
        let mut client = Client::new(Goal::default(), None);
        client.large.announce(name, size, Visibility::Public, None);

        put(&repo, 0, &content[..10]);
        client.complete_whole(&mut repo, NOW).expect("looked");
        assert_eq!(repo.rid(&hash).expect("read"), None, "half of it");

        put(&repo, 10, &content[10..]);
        client.complete_whole(&mut repo, NOW).expect("stored");
        let rid = repo.rid(&hash).expect("read").expect("stored");
        assert_eq!(*repo.content(rid).expect("content"), content[..]);
        assert!(Pieces::existing(&repo, NOW).expect("looked").is_none());
    }

    #[test]
    fn parts_are_asked_for_once_and_never_beyond_a_gap() {
        let first = |gap: Range<u32>, asked: &[Range<u32>]| {
            first_free(std::slice::from_ref(&gap), asked, 4)
        };
        assert_eq!(first(0..10, &[]), Some(0..4));
        let asked = [0..4, 6..8];
        assert_eq!(first(0..10, &asked[..1]), Some(4..8));
        assert_eq!(first(0..10, &asked), Some(4..6));
        assert_eq!(first(6..10, &asked), Some(8..10));
        let whole = 0..10;
        let asked = std::slice::from_ref(&whole);
        assert_eq!(first_free(&[2..3, 5..6], asked, 4), None);
    }
}
