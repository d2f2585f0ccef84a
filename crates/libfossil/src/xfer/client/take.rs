//! What a reply means: read as a whole first, then stored in one transaction.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;

use super::lists::Lists;
use super::{Client, GIMMES, MAX_IDLE_ROUNDS, Response, SyncError};
use crate::db::{PackedContent, Receipt, Repository, Transaction, Visibility};
use crate::limits::{MAX_REPLIED_CARDS, MAX_REPLIED_NAMES};
use crate::name::HashName;
use crate::time::Timestamp;
use crate::xfer::card::{Card, Pragma};
use crate::xfer::config::{self, Area};
use crate::xfer::extension::{ContentName, Extension, List};
use crate::xfer::frame::{self, ContentType};
use crate::xfer::parse::{Item, Items};
use crate::xfer::receive::{self, ReceiveError, Received, Receiver};

/// Messages for the user that are kept, at most.
const MAX_MESSAGES: usize = 100;

/// How often one artifact is sent before the server is taken to be lost.
const MAX_SENDS: u8 = 3;

/// Longest text that a server may have kept for it, in bytes.
const MAX_COOKIE_BYTES: usize = 4096;

/// What servers say first when a user may only read.
const PULL_ONLY: &str = "pull only ";

/// What servers say to a user who may not see private content.
const NO_PRIVATE: &str = "not authorized to sync private content";

impl Client {
    /// Takes a reply.
    pub(super) fn take(
        &mut self,
        repo: &mut Repository,
        response: Response,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let message = open(response)?;
        let cards = self.read(repo, message, now)?;
        let Some(cards) = self.hold(repo, cards, now)? else {
            self.end();
            return Ok(());
        };
        if self.judge(repo, &cards)? {
            return self.put_away(repo, now);
        }
        let settled = self.note_extensions(&cards);
        if settled.is_empty() && !self.changes(repo, &cards)? {
            self.settle(&Received::default(), false);
            self.end();
            return Ok(());
        }
        let discard = self.clone.is_some()
            && self.goal.private
            && self.credentials.is_some()
            && repo.project_code().is_err();
        repo.write(now, |tx| {
            tx.set_receipt(Receipt::received(None, None, None));
            for hash in &settled {
                tx.execute(
                    "DELETE FROM unsent WHERE rid=(SELECT rid FROM blob WHERE uuid=?1)",
                    [hash.as_str()],
                )?;
            }
            self.store_held(tx)?;
            self.store(tx, &cards, discard)
        })?;
        self.end();
        Ok(())
    }

    /// Notes that a reply was taken.
    fn end(&mut self) {
        self.fresh = false;
        self.private_ok = self.goal.private;
        let arrived = self.uv.end_reply(self.lists.goes_on(List::Unversioned));
        self.lists.end_reply(self.progress || arrived);
        self.summary.unversioned_sent = self.uv.sent;
    }

    /// Returns whether anything in a reply, or that it came at all, may change the repository. A transaction for nothing would
    /// lock out a stock command that has begun to read and then wants to write: it does not wait, it fails.
    fn changes(&self, repo: &Repository, cards: &[Card]) -> Result<bool, SyncError> {
        if self.clone.is_some() || !self.in_flight.is_empty() {
            return Ok(true);
        }
        for card in cards {
            let changes = match card {
                Card::Message(_) | Card::Error(_) | Card::Pragma(Pragma::ServerVersion(_)) => false,
                Card::Pragma(Pragma::Extension(extension)) => {
                    matches!(extension, Extension::Oversize { .. })
                }
                Card::IGot { hash, private } if self.goal.pull => match repo.rid(hash)? {
                    Some(rid) => !repo.is_available(rid)? || (!private && repo.is_private(rid)?),
                    None => !private || self.goal.private,
                },
                _ => true,
            };
            if changes {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the cards of a message, and what its comments tell.
    pub(super) fn read(
        &mut self,
        repo: &Repository,
        message: Bytes,
        now: Timestamp,
    ) -> Result<Vec<Card>, SyncError> {
        let mut cards = Vec::new();
        let mut items = 0_usize;
        let mut names = 0_usize;
        for item in Items::new(message) {
            items += 1;
            match item {
                Item::Card(Card::IGot { .. } | Card::Gimme(_)) if names >= MAX_REPLIED_NAMES => {}
                Item::Card(card) if cards.len() - names < MAX_REPLIED_CARDS => {
                    names += usize::from(matches!(card, Card::IGot { .. } | Card::Gimme(_)));
                    cards.push(card);
                }
                Item::Card(_) => {
                    return Err(SyncError::Malformed("it has too many lines".to_owned()));
                }
                Item::Comment(text) => self.comment(&text, now),
                Item::Blank => {}
                Item::Unknown(line) => {
                    return Err(SyncError::Malformed(format!(
                        "unknown command: {}",
                        line.trim_end()
                    )));
                }
                Item::Malformed(fault) => return Err(SyncError::Malformed(fault.to_owned())),
            }
        }
        if items == 0 {
            return Err(SyncError::Empty);
        }
        // A clone's first reply brings the project's code, or there is nothing to go on with.
        let names_project = cards.iter().any(|card| matches!(card, Card::Push { .. }));
        let refused = cards.iter().any(|card| matches!(card, Card::Error(_)));
        if self.clone.is_some() && repo.project_code().is_err() && !names_project && !refused {
            return Err(SyncError::Malformed(
                "the project's code is missing".to_owned(),
            ));
        }
        Ok(cards)
    }

    /// Looks at the time in a reply's last line.
    fn comment(&mut self, text: &str, now: Timestamp) {
        let time = text
            .strip_prefix("timestamp ")
            .and_then(|rest| rest.split(' ').next());
        if let Some(Ok(there)) = time.map(|time| Timestamp::parse(time.as_bytes())) {
            self.summary.clock_skew_s =
                Some(there.unix_seconds().saturating_sub(now.unix_seconds()));
        }
    }

    /// Looks for messages and errors. Returns whether the reply holds nothing else of use.
    pub(super) fn judge(&mut self, repo: &Repository, cards: &[Card]) -> Result<bool, SyncError> {
        let unsigned_clone = self.clone.is_some() && repo.project_code().is_err();
        let names_project = cards.iter().any(|card| matches!(card, Card::Push { .. }));
        for card in cards {
            match card {
                Card::Message(text) => self.message(text),
                Card::Pragma(Pragma::ServerVersion(version)) => self.server = *version,
                Card::Pragma(Pragma::Extension(Extension::Budget(bytes))) => {
                    self.accepted = Some(usize::try_from(*bytes).unwrap_or(usize::MAX));
                }
                // The first request of a clone can't be signed; the second one will be.
                Card::Error(_) if unsigned_clone && names_project && self.credentials.is_some() => {
                }
                Card::Error(text)
                    if text.starts_with("not authorized to write")
                        && self.goal.pull
                        && self.goal.push =>
                {
                    self.refuse_push();
                    return Ok(true);
                }
                Card::Error(text)
                    if text.starts_with(NO_PRIVATE)
                        && self.goal.private
                        && self.clone.is_none() =>
                {
                    self.refuse_private();
                    return Ok(true);
                }
                Card::Error(text) => return Err(error(text)),
                _ => {}
            }
        }
        Ok(false)
    }

    fn message(&mut self, text: &str) {
        if text.starts_with(PULL_ONLY) {
            self.refuse_push();
        }
        if self.summary.messages.len() < MAX_MESSAGES {
            self.summary.messages.push(text.to_owned());
        }
    }

    /// Goes on without sending.
    fn refuse_push(&mut self) {
        self.goal.push = false;
        self.summary.push_refused = true;
        self.take_back();
        self.lists.stop_telling();
    }

    /// Goes on with public content alone. Some servers take the rest of such a request, others nothing of it: all of it is said again.
    fn refuse_private(&mut self) {
        self.goal.private = false;
        self.summary.private_refused = true;
        self.take_back();
        self.lists = Lists::of(self.goal);
        if self.budget.is_some() {
            self.lists.read_in_parts(self.goal);
        }
    }

    /// Counts nothing that was sent as stored.
    fn take_back(&mut self) {
        self.summary.artifacts_sent = 0;
        self.sent.clear();
        self.in_flight.clear();
        self.wanted.clear();
        self.offered.clear();
    }

    /// Stores what a reply brings. With `discard`, only the project's code is taken.
    pub(super) fn store(
        &mut self,
        tx: &mut Transaction<'_>,
        cards: &[Card],
        discard: bool,
    ) -> Result<(), SyncError> {
        let stored = self.store_cards(tx, cards, discard);
        stored.map_err(|error| match error {
            Fault::Sync(error) => error,
            Fault::Receive(ReceiveError::Refused(text)) => SyncError::Malformed(text),
            Fault::Receive(ReceiveError::Repository(error)) => error.into(),
        })
    }

    fn store_cards(
        &mut self,
        tx: &mut Transaction<'_>,
        cards: &[Card],
        discard: bool,
    ) -> Result<(), Fault> {
        for rid in std::mem::take(&mut self.in_flight) {
            tx.execute("DELETE FROM unsent WHERE rid=?1", [rid])?;
        }
        let mut queued: HashSet<HashName> = self.wanted.iter().copied().collect();
        let mut receiver = Receiver::new(tx)?;
        let mut visibility = Visibility::Public;
        let mut named_again = false;
        let mut packed = Vec::new();
        let elsewhere = self.is_elsewhere(receiver.transaction(), cards)?;
        for card in cards {
            match card {
                Card::Push { project, .. } => self.project(receiver.transaction(), project)?,
                _ if discard => {}
                Card::Private => visibility = Visibility::Private,
                Card::File {
                    hash,
                    source,
                    content,
                } if self.takes(visibility) => {
                    receiver.file(hash, source.as_ref(), content, visibility)?;
                }
                Card::CompressedFile {
                    hash,
                    source,
                    size,
                    content,
                } if self.takes(visibility) => {
                    if self.clone.is_some() {
                        packed.push(PackedContent {
                            name: hash,
                            source: source.as_ref(),
                            size: *size as usize,
                            packed: content,
                            visibility,
                        });
                    } else {
                        receiver.file(
                            hash,
                            source.as_ref(),
                            &receive::unpack(hash, content)?,
                            visibility,
                        )?;
                    }
                }
                Card::IGot { hash, private }
                    if self.goal.pull && (!private || self.goal.private) =>
                {
                    named_again |= self.asked.remove(hash);
                    receiver.announced(hash, visibility_of(*private))?;
                }
                Card::Gimme(hash) if self.goal.push && self.may_send(hash) => {
                    if queued.insert(*hash) {
                        self.wanted.push_back(*hash);
                    }
                }
                Card::Pragma(Pragma::Extension(Extension::Oversize { name, size })) => {
                    self.oversize(&mut receiver, *name, *size, visibility)?;
                }
                Card::CloneSeqno(_) if elsewhere => {}
                Card::CloneSeqno(seqno) => self.advance(receiver.transaction(), *seqno)?,
                other => self.store_other(&mut receiver, other)?,
            }
            if !matches!(card, Card::Private) {
                visibility = Visibility::Public;
            }
        }
        receiver.packed_files(&packed)?;
        for hash in &receiver.passed_over {
            self.asked.remove(hash);
        }
        let received = receiver.received;
        self.settle(&received, named_again);
        Ok(())
    }

    /// Counts what a reply brought. `named_again` says that it named content which was asked for before and did not come.
    fn settle(&mut self, received: &Received, named_again: bool) {
        self.idle_rounds = if received.artifacts.is_empty() {
            self.idle_rounds + 1
        } else {
            0
        };
        self.progress = !received.artifacts.is_empty()
            || (self.idle_rounds <= MAX_IDLE_ROUNDS
                && (named_again || std::mem::take(&mut self.cut) || received.phantoms > 0));
        self.gimme_limit = GIMMES.max(received.artifacts.len().saturating_mul(2));
        self.summary.artifacts_received += received.artifacts.len();
        self.summary.unversioned_received += received.unversioned;
    }

    /// Takes note of what our extensions say that changes nothing here. Returns artifacts that were offered and that the server has now.
    fn note_extensions(&mut self, cards: &[Card]) -> Vec<HashName> {
        let mut settled = Vec::new();
        let offered = std::mem::take(&mut self.offered);
        let mut answered = HashSet::new();
        for card in cards {
            let Card::Pragma(Pragma::Extension(extension)) = card else {
                continue;
            };
            match extension {
                Extension::More(List::Gimme, _) => {
                    self.cut = true;
                    for hash in &self.last_asked {
                        self.asked.remove(hash);
                    }
                }
                Extension::More(List::UvGimme, _) => self.uv.cut(),
                Extension::More(list, place) => self.lists.more(*list, *place),
                Extension::Range {
                    name,
                    offset,
                    length,
                } => {
                    let wants = *length > 0;
                    let ours = match name {
                        ContentName::Artifact(hash) if offered.contains(hash) => {
                            answered.insert(*hash);
                            if !wants {
                                settled.push(*hash);
                            }
                            true
                        }
                        ContentName::Artifact(_) => false,
                        ContentName::Unversioned(hash) => self.uv.answered(hash, wants),
                    };
                    if ours && wants {
                        let end = offset.saturating_add(*length);
                        self.large.want(*name, *offset..end);
                    }
                }
                _ => {}
            }
        }
        // What the server had no room to answer is offered again.
        let unanswered = offered.into_iter().filter(|hash| !answered.contains(hash));
        self.wanted.extend(unanswered);
        self.summary.artifacts_sent += settled.len();
        settled
    }

    /// Takes note of content that is too long for a message.
    fn oversize(
        &mut self,
        receiver: &mut Receiver<'_, '_>,
        name: ContentName,
        size: u32,
        visibility: Visibility,
    ) -> Result<(), Fault> {
        match name {
            ContentName::Artifact(hash) if self.takes(visibility) => {
                receiver.announced(&hash, visibility)?;
                let tx = receiver.transaction();
                let awaited = match tx.rid(&hash)? {
                    Some(rid) => !tx.is_available(rid)?,
                    None => false,
                };
                if awaited {
                    self.asked.insert(hash);
                    self.large.announce(name, size, visibility, None);
                }
            }
            ContentName::Artifact(_) => {}
            ContentName::Unversioned(hash) => {
                if let Some(entry) = self.uv.too_long(&hash, size.into()) {
                    let visibility = Visibility::Public;
                    self.large.announce(name, size, visibility, Some(entry));
                }
            }
        }
        Ok(())
    }

    /// Returns whether an artifact that the server asks for is worth sending: it was not sent in vain, and is not on its way.
    fn may_send(&self, hash: &HashName) -> bool {
        self.sent.get(hash).is_none_or(|times| *times < MAX_SENDS)
            && !self.large.is_wanted(&ContentName::Artifact(*hash))
            && !self.unsendable.contains(hash)
    }

    /// Returns whether content of this kind was asked for.
    fn takes(&self, visibility: Visibility) -> bool {
        self.goal.pull && (visibility == Visibility::Public || self.goal.private)
    }

    fn store_other(&mut self, receiver: &mut Receiver<'_, '_>, card: &Card) -> Result<(), Fault> {
        match card {
            Card::UvIGot(entry) => {
                let changed = self.uv.entry(receiver.transaction(), entry)?;
                receiver.received.unversioned += usize::from(changed);
            }
            Card::UvFile {
                entry,
                flags,
                content,
            } if self.uv.arrived(entry) => {
                receiver.unversioned(entry, *flags, content)?;
            }
            Card::Config { name, content } if self.clone.is_some() => {
                let areas: BTreeSet<Area> = Area::named("/all");
                config::apply(receiver.transaction(), name, content, &areas)?;
            }
            Card::Cookie(text) if text.len() <= MAX_COOKIE_BYTES => {
                receiver.transaction().set_config("cookie", text)?;
            }
            Card::Pragma(Pragma::UvPushOk) => {
                self.uv.begin_catalogue(receiver.transaction(), true)?;
            }
            Card::Pragma(Pragma::UvPullOnly) => {
                self.uv.begin_catalogue(receiver.transaction(), false)?;
            }
            Card::Login(_)
            | Card::Clone(_)
            | Card::Pull { .. }
            | Card::ReqConfig(_)
            | Card::UvGimme(_) => {
                return Err(
                    SyncError::Malformed("a server does not ask for that".to_owned()).into(),
                );
            }
            // What was not asked for, and hints that need no answer.
            _ => {}
        }
        Ok(())
    }

    /// Learns the project's code, or checks that it is still the same.
    fn project(&mut self, tx: &mut Transaction<'_>, project: &str) -> Result<(), Fault> {
        match tx.project_code() {
            Ok(known) if known.as_str() == project => Ok(()),
            Ok(_) => Err(SyncError::WrongProject.into()),
            Err(_)
                if self.clone.is_some()
                    && crate::name::ProjectCode::parse(project.as_bytes()).is_ok() =>
            {
                Ok(tx.set_config("project-code", project)?)
            }
            Err(_) => {
                Err(SyncError::Malformed("the project's code is malformed".to_owned()).into())
            }
        }
    }

    /// Returns whether a clone is now answered by another server than before.
    fn is_elsewhere(&mut self, tx: &mut Transaction<'_>, cards: &[Card]) -> Result<bool, Fault> {
        let Some(clone) = &mut self.clone else {
            return Ok(false);
        };
        let server = cards.iter().find_map(|card| match card {
            Card::Push { server, .. } => Some(server),
            _ => None,
        });
        match server {
            Some(server) => Ok(clone.answered_by(tx, server)?),
            None => Ok(false),
        }
    }
}

fn visibility_of(private: bool) -> Visibility {
    if private {
        Visibility::Private
    } else {
        Visibility::Public
    }
}

/// What can go wrong while a reply is stored.
enum Fault {
    Sync(SyncError),
    Receive(ReceiveError),
}

impl From<SyncError> for Fault {
    fn from(error: SyncError) -> Self {
        Self::Sync(error)
    }
}

impl From<ReceiveError> for Fault {
    fn from(error: ReceiveError) -> Self {
        Self::Receive(error)
    }
}

impl From<crate::db::Error> for Fault {
    fn from(error: crate::db::Error) -> Self {
        Self::Sync(error.into())
    }
}

/// Returns the message in a response.
pub(super) fn open(response: Response) -> Result<Bytes, SyncError> {
    if response.body.is_empty() {
        return Err(SyncError::Empty);
    }
    let Ok(content_type) = ContentType::parse(&response.content_type) else {
        return Err(SyncError::WebPage(title(&response.body)));
    };
    if response.body.trim_ascii_start().first() == Some(&b'<') {
        return Err(SyncError::WebPage(title(&response.body)));
    }
    let message = frame::decode(content_type, response.body)?;
    if message.is_empty() {
        Err(SyncError::Empty)
    } else {
        Ok(message)
    }
}

/// Returns the title of a web page, cut to a length fit for a message.
fn title(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(page.get(..4096).unwrap_or(page)).into_owned();
    let start = page.to_ascii_lowercase().find("<title>")? + "<title>".len();
    let text: String = page
        .get(start..)?
        .chars()
        .take_while(|c| *c != '<')
        .take(100)
        .collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

/// Returns what an error card means.
fn error(text: &str) -> SyncError {
    match text {
        "login failed" => SyncError::LoginFailed,
        "wrong project" => SyncError::WrongProject,
        text if text.starts_with("not authorized") => SyncError::NotAuthorized(text.to_owned()),
        text => SyncError::Remote(text.to_owned()),
    }
}
