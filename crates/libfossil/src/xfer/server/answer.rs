//! The reply: what the client asked for and may have, as far as the budget goes.

use std::collections::HashSet;

use rusqlite::params;

use super::lock;
use super::plan::Plan;
use super::{Deadline, Length};
use crate::db::{Repository, Result};
use crate::name::HashName;
use crate::uv::UvFile;
use crate::xfer::budget::HEAD_BYTES;
use crate::xfer::card::{Card, CloneRequest, Pragma, UvEntry};
use crate::xfer::extension::{ContentName, Extension, List, Place};
use crate::xfer::{Outbox, PEER_VERSION, config, send};

/// Most artifacts that are asked for in one reply.
const MAX_GIMMES: i64 = 500;

/// Clients from this date on understand that an artifact they asked for is private.
const PRIVATE_IGOT_SINCE: u32 = 20_200_413;

/// Builds one reply.
pub(super) struct Answer<'a> {
    pub(super) repo: &'a Repository,
    pub(super) plan: &'a Plan,
    length: Length,
    deadline: Deadline<'a>,
    pub(super) outbox: Outbox,
    /// What was sent or named in this reply.
    told: HashSet<HashName>,
    /// Whether a content is in this reply. Without one the client would take it that nothing more comes.
    carries_content: bool,
}

impl<'a> Answer<'a> {
    pub(super) fn new(
        repo: &'a Repository,
        plan: &'a Plan,
        length: Length,
        deadline: Deadline<'a>,
    ) -> Self {
        Self {
            repo,
            plan,
            length,
            deadline,
            outbox: Outbox::within(length.limit),
            told: HashSet::new(),
            carries_content: false,
        }
    }

    /// Returns the reply without its last line, and the number of errors in it.
    /// `wanted` are parts of what the client offered.
    pub(super) fn write(mut self, wanted: &[Card]) -> Result<(Outbox, usize)> {
        if let Some(text) = &self.plan.bad_command {
            self.outbox.push(&Card::Error(text.clone()));
            return Ok((self.outbox, 1));
        }
        if self.plan.client.date > 0 {
            self.outbox
                .push(&Card::Pragma(Pragma::ServerVersion(PEER_VERSION)));
        }
        if self.is_ranged() {
            let accepted = Extension::Budget(self.length.accepted);
            self.outbox.push(&extension(accepted));
        }
        self.plan
            .notes
            .iter()
            .for_each(|note| self.outbox.push(note));
        for card in lock::answer(self.repo, self.plan)? {
            self.outbox.push(&card);
        }
        for range in wanted {
            // What does not fit is asked for when the client offers again.
            self.outbox.push_fitting(range);
        }
        self.unversioned()?;
        self.configuration()?;
        self.requested()?;
        self.ranges()?;
        match self.plan.clone {
            Some(CloneRequest::Contents { version, seqno }) => self.contents(version, seqno)?,
            Some(CloneRequest::Names) => {
                self.project()?;
                self.list(List::Catalog, Place::Start)?;
            }
            None => {}
        }
        if self.plan.pull {
            self.names()?;
        }
        if self.plan.push {
            self.wanted()?;
        }
        let errors = self
            .plan
            .notes
            .iter()
            .filter(|note| matches!(note, Card::Error(_)))
            .count();
        Ok((self.outbox, errors))
    }

    /// Returns whether further contents are left to the next reply.
    pub(super) fn is_full(&self) -> bool {
        self.is_long() || (self.carries_content && self.deadline.is_over())
    }

    fn is_long(&self) -> bool {
        self.outbox.len() >= self.length.full
    }

    /// Returns whether the client understands our extensions.
    pub(super) fn is_ranged(&self) -> bool {
        self.plan.budget.is_some()
    }

    fn more(&mut self, list: List, place: Place) {
        if self.is_ranged() {
            self.outbox.push(&extension(Extension::More(list, place)));
        }
    }

    /// Answers the `gimme` cards.
    fn requested(&mut self) -> Result<()> {
        let plan = self.plan;
        for hash in &plan.gimmes {
            let Some(rid) = self.repo.rid(hash)? else {
                continue;
            };
            if self.told.contains(hash) || self.repo.is_shunned(hash)? {
                continue;
            }
            let private = self.repo.is_private(rid)?;
            if private && !plan.send_private {
                if plan.client.date >= PRIVATE_IGOT_SINCE && self.repo.is_available(rid)? {
                    self.name(*hash, true);
                }
                continue;
            }
            if self.is_full() {
                if self.is_ranged() {
                    self.more(List::Gimme, Place::Start);
                    break;
                }
                // The client asks again for what is only named.
                if self.repo.is_available(rid)? {
                    self.name(*hash, private);
                }
                continue;
            }
            let Some(card) = send::file_card(self.repo, rid, *hash)? else {
                // However often it is asked for.
                self.told.insert(*hash);
                continue;
            };
            if !self.content(&card, *hash, private, || self.repo.content_bytes(rid))? {
                self.more(List::Gimme, Place::Start);
                break;
            }
        }
        Ok(())
    }

    /// Adds an artifact: its content, or that it is too long for a message. Returns whether there was room.
    pub(super) fn content(
        &mut self,
        card: &Card,
        hash: HashName,
        private: bool,
        size: impl FnOnce() -> Result<u32>,
    ) -> Result<bool> {
        let mut cards = Vec::new();
        if private {
            cards.push(Card::Private);
        }
        if !self.outbox.is_too_long(card) {
            cards.push(card.clone());
        } else if self.is_ranged() {
            let name = ContentName::Artifact(hash);
            let size = size()?;
            cards.push(extension(Extension::Oversize { name, size }));
        } else {
            let text = format!("artifact {hash} is too long for this connection");
            self.outbox.push_fitting(&Card::Message(text));
            return Ok(true);
        }
        let fits = self.outbox.push_all_fitting(&cards);
        if fits {
            self.told.insert(hash);
            self.carries_content = true;
        }
        Ok(fits)
    }

    fn name(&mut self, hash: HashName, private: bool) {
        if !self.told.contains(&hash) && self.outbox.push_fitting(&Card::IGot { hash, private }) {
            self.told.insert(hash);
        }
    }

    /// Sends the parts of long contents that were asked for and may be had.
    fn ranges(&mut self) -> Result<()> {
        let plan = self.plan;
        for (name, range) in &plan.ranges {
            if !self.may_have(name)? {
                continue;
            }
            let room = self.outbox.room().saturating_sub(HEAD_BYTES);
            let end = range.end.min(range.start.saturating_add(room));
            let Some(content) = self.repo.part(name, range.start..end)? else {
                continue;
            };
            let Ok(offset) = u32::try_from(range.start) else {
                continue;
            };
            if !content.is_empty() {
                self.outbox.push_fitting(&Card::Piece {
                    name: *name,
                    offset,
                    content,
                });
            }
        }
        Ok(())
    }

    fn may_have(&self, name: &ContentName) -> Result<bool> {
        let ContentName::Artifact(hash) = name else {
            return Ok(true);
        };
        let Some(rid) = self.repo.rid(hash)? else {
            return Ok(false);
        };
        Ok(!self.repo.is_shunned(hash)?
            && (self.plan.send_private || !self.repo.is_private(rid)?))
    }

    /// Names what the client may not have yet.
    fn names(&mut self) -> Result<()> {
        if self.is_ranged() {
            // Such a client says which lists it wants, and from where on.
            for (list, place) in &self.plan.from {
                match list {
                    List::Private if !self.plan.send_private => {}
                    List::Unclustered | List::Private | List::Clusters | List::Catalog => {
                        self.list(*list, *place)?;
                    }
                    List::Unversioned | List::Config | List::Gimme | List::UvGimme => {}
                }
            }
            return Ok(());
        }
        if self.plan.send_private {
            self.list(List::Private, Place::Start)?;
        }
        if self.plan.send_catalog {
            return self.catalog();
        }
        self.list(List::Unclustered, Place::Start)?;
        if self.plan.send_clusters {
            self.outbox.comment("sending-clusters");
            self.list(List::Clusters, Place::Start)?;
            self.outbox.comment("end-of-clusters");
        }
        Ok(())
    }

    /// Names what is in a list, as far as there is room.
    fn list(&mut self, list: List, place: Place) -> Result<()> {
        let sql = match list {
            List::Private => {
                "SELECT uuid FROM private CROSS JOIN blob USING(rid) WHERE uuid>?1 AND size>=0 ORDER BY uuid"
            }
            List::Clusters => {
                "SELECT uuid FROM tag CROSS JOIN tagxref USING(tagid) CROSS JOIN blob USING(rid)
                  WHERE tagname='cluster' AND uuid>?1 AND size>=0 AND rid NOT IN unclustered AND rid NOT IN phantom
                    AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY uuid"
            }
            List::Unclustered => {
                "SELECT uuid FROM unclustered CROSS JOIN blob USING(rid)
                  WHERE uuid>?1 AND size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY uuid"
            }
            _ => {
                "SELECT uuid FROM blob WHERE uuid>?1 AND size>=0 AND rid NOT IN private
                    AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY uuid"
            }
        };
        let mut last = place;
        let mut query = self.repo.conn().prepare_cached(sql)?;
        let mut rows = query.query([place.name()])?;
        while let Some(row) = rows.next()? {
            let hash: HashName = row.get(0)?;
            let known = list == List::Unclustered && self.plan.known.contains(&hash);
            if !known && !self.told.contains(&hash) {
                let private = list == List::Private;
                if !self.outbox.push_fitting(&Card::IGot { hash, private }) {
                    self.more(list, last);
                    break;
                }
                self.told.insert(hash);
            }
            last = Place::Name(hash);
        }
        Ok(())
    }

    /// Names everything, newest first, until the reply is full.
    fn catalog(&mut self) -> Result<()> {
        let all = "SELECT uuid FROM blob WHERE size>=0 AND rid NOT IN private
              AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY rid DESC";
        let mut query = self.repo.conn().prepare_cached(all)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            if self.is_long() {
                break;
            }
            self.name(row.get(0)?, false);
        }
        Ok(())
    }

    /// Tells the configuration that was asked for.
    fn configuration(&mut self) -> Result<()> {
        let from = self.plan.from.get(&List::Config).copied();
        let from = from.unwrap_or_default().count();
        let cards = config::cards(self.repo, &self.plan.areas)?;
        for (number, card) in cards.into_iter().enumerate().skip(from) {
            if self.outbox.is_too_long(&card) {
                let text = "a setting is too long for this connection".to_owned();
                self.outbox.push_fitting(&Card::Message(text));
            } else if !self.outbox.push_fitting(&card) {
                let place = Place::Count(u32::try_from(number).unwrap_or(u32::MAX));
                self.more(List::Config, place);
                break;
            }
        }
        Ok(())
    }

    /// Asks for what is known by name only.
    fn wanted(&mut self) -> Result<()> {
        let mut query = self.repo.conn().prepare_cached(
            "SELECT uuid FROM phantom JOIN blob USING(rid)
              WHERE uuid NOT IN (SELECT uuid FROM shun) AND (?1 OR rid NOT IN private) LIMIT ?2",
        )?;
        let rows = query.query_map(params![self.plan.send_private, MAX_GIMMES], |row| {
            row.get::<_, HashName>(0)
        })?;
        for hash in rows {
            let hash = hash?;
            if self.plan.on_themselves.contains(&hash) {
                continue;
            }
            if !self.outbox.push_fitting(&Card::Gimme(hash)) {
                break;
            }
        }
        Ok(())
    }

    /// Tells the project's code; clients go on cloning when they see it, so it comes after the sequence number.
    pub(super) fn project(&mut self) -> Result<()> {
        let server = self.repo.server_code()?.as_str().to_owned();
        let project = self.repo.project_code()?.as_str().to_owned();
        self.outbox.push(&Card::Push { server, project });
        Ok(())
    }

    /// Compares the sets of unversioned files, and sends those asked for.
    fn unversioned(&mut self) -> Result<()> {
        let plan = self.plan;
        if let Some(hash) = &plan.uv_hash
            && *hash != self.repo.unversioned_hash()?
        {
            let writes = plan.capabilities.may_write_unversioned();
            let pragma = if writes {
                Pragma::UvPushOk
            } else {
                Pragma::UvPullOnly
            };
            self.outbox.push(&Card::Pragma(pragma));
            self.uv_catalogue(0)?;
        } else if let Some(place) = plan.from.get(&List::Unversioned)
            && plan.capabilities.may_read()
        {
            self.uv_catalogue(place.count())?;
        }
        for name in &plan.uv_gimmes {
            let Some(file) = self.repo.unversioned_file(name)? else {
                continue;
            };
            if !self.uv_file(&file)? {
                self.more(List::UvGimme, Place::Start);
                break;
            }
        }
        Ok(())
    }

    fn uv_catalogue(&mut self, from: usize) -> Result<()> {
        for (number, file) in self
            .repo
            .unversioned_to_tell()?
            .iter()
            .enumerate()
            .skip(from)
        {
            if !self.outbox.push_fitting(&Card::UvIGot(entry(file))) {
                let place = Place::Count(u32::try_from(number).unwrap_or(u32::MAX));
                self.more(List::Unversioned, place);
                break;
            }
        }
        Ok(())
    }

    /// Sends a file that was asked for, or says that it is too long for a message. Returns whether there was room.
    fn uv_file(&mut self, file: &UvFile) -> Result<bool> {
        let entry = entry(file);
        let Some(hash) = file.hash else {
            return Ok(self.outbox.push_fitting(&Card::UvFile {
                entry,
                flags: 1,
                content: bytes::Bytes::new(),
            }));
        };
        let size = entry.size;
        let too_long =
            usize::try_from(size).map_or(true, |size| self.outbox.is_too_long_content(size));
        if too_long && self.is_ranged() {
            let name = ContentName::Unversioned(hash);
            let offer = extension(Extension::Oversize { name, size });
            return Ok(self.outbox.push_fitting(&offer));
        }
        if self.is_full() || too_long {
            return Ok(!self.is_ranged() && self.outbox.push_fitting(&Card::UvIGot(entry)));
        }
        let Some(content) = self.repo.unversioned_content(&file.name)? else {
            return Ok(true);
        };
        let card = Card::UvFile {
            entry,
            flags: 0,
            content,
        };
        let fits = self.outbox.push_fitting(&card);
        self.carries_content |= fits;
        Ok(fits)
    }
}

pub(super) fn extension(extension: Extension) -> Card {
    Card::Pragma(Pragma::Extension(extension))
}

/// Returns the catalogue entry of a file.
fn entry(file: &UvFile) -> UvEntry {
    UvEntry {
        name: file.name.clone(),
        mtime: file.mtime,
        hash: file.hash,
        size: u32::try_from(file.size).unwrap_or(u32::MAX),
    }
}
