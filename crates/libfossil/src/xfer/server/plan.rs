//! What a request asks for, and which of it its sender may have: decided card by card, in order, before any card acts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;

use crate::auth::{AuthContext, Capabilities};
use crate::db::{Repository, Result, Visibility};
use crate::limits::{MAX_NAMES, MAX_NEW_PHANTOMS, MAX_WISHES};
use crate::name::{HashName, ProjectCode};
use crate::xfer::card::{Card, CloneRequest, Login, Pragma, UvEntry, Version};
use crate::xfer::config::Area;
use crate::xfer::extension::{ContentName, Extension, List, Place};
use crate::xfer::login;
use crate::xfer::parse::{Item, Items};

/// Who a request is from when nothing says so.
const DEFAULT_USER: &str = "anonymous";

/// Logins that need no proof, and get no more rights than everyone has.
const UNPROVEN_USERS: [&str; 2] = ["anonymous", "nobody"];

/// Longest id of a check-out that asks for a lock, in bytes; stock ids have 40.
const MAX_CLIENT_ID_BYTES: usize = 64;

/// Most parts of long contents in one message; a client asks for as many as fit, which is one or two.
const MAX_RANGES: usize = 64;

/// A change that the sender may make.
#[derive(Debug)]
pub(super) enum Act {
    /// Store an artifact.
    File {
        hash: HashName,
        source: Option<HashName>,
        content: Bytes,
        visibility: Visibility,
    },
    /// Store an artifact that came in its stored form.
    PackedFile {
        hash: HashName,
        source: Option<HashName>,
        content: Bytes,
        visibility: Visibility,
    },
    /// Store an unversioned file.
    Unversioned {
        entry: UvEntry,
        flags: u32,
        content: Bytes,
    },
    /// Store a row of configuration.
    Config { name: String, content: Bytes },
}

/// A long content that the client could send.
#[derive(Debug)]
pub(super) enum Offer {
    /// An artifact.
    Artifact {
        hash: HashName,
        size: u32,
        visibility: Visibility,
    },
    /// An unversioned file.
    Unversioned(UvEntry),
}

/// Why a request is not answered, as cards for the client.
#[derive(Debug)]
pub(super) struct Refusal {
    /// As whom the request was made.
    pub(super) user: String,
    /// The reply.
    pub(super) cards: Vec<Card>,
}

/// What a request asks for, as far as its sender may.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) user: String,
    pub(super) nonce: Option<String>,
    pub(super) capabilities: Capabilities,
    pub(super) client: Version,
    pub(super) pull: bool,
    pub(super) push: bool,
    pub(super) clone: Option<CloneRequest>,
    pub(super) acts: Vec<Act>,
    /// What the client holds and is not here, or is private here; as far as it may say so.
    pub(super) announced: Vec<(HashName, Visibility)>,
    /// What the client sent as deltas on themselves: asked for it, it would send the same again.
    pub(super) on_themselves: Vec<HashName>,
    /// What the client holds.
    pub(super) known: Names,
    pub(super) gimmes: Vec<HashName>,
    pub(super) uv_gimmes: Vec<String>,
    pub(super) uv_hash: Option<String>,
    pub(super) areas: BTreeSet<Area>,
    pub(super) send_private: bool,
    pub(super) send_catalog: bool,
    pub(super) send_clusters: bool,
    pub(super) ci_lock: Option<(HashName, String)>,
    pub(super) ci_unlock: Option<String>,
    /// The longest body that the client takes; it understands our extensions then.
    pub(super) budget: Option<usize>,
    /// Where lists are to go on.
    pub(super) from: BTreeMap<List, Place>,
    /// Parts of long contents that are asked for.
    pub(super) ranges: Vec<(ContentName, std::ops::Range<usize>)>,
    /// Parts of long contents that came.
    pub(super) pieces: Vec<(ContentName, u32, Bytes)>,
    /// Long contents that the client could send.
    pub(super) offers: Vec<Offer>,
    /// Messages and errors that don't end the exchange.
    pub(super) notes: Vec<Card>,
    /// A line that was no card. The rest is done, but not answered.
    pub(super) bad_command: Option<String>,
}

/// Names that a client says it holds. Of each only the start is kept: a client that makes names with equal starts fools itself alone.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<[u8; NAME_START_BYTES]>);

/// Digits that tell names apart.
const NAME_START_BYTES: usize = 32;

impl Names {
    pub(super) fn contains(&self, hash: &HashName) -> bool {
        start_of(hash).is_some_and(|start| self.0.contains(&start))
    }

    /// Returns whether the name is new here and there was room for it.
    fn insert(&mut self, hash: &HashName) -> bool {
        self.0.len() < MAX_NAMES && start_of(hash).is_some_and(|start| self.0.insert(start))
    }
}

fn start_of(hash: &HashName) -> Option<[u8; NAME_START_BYTES]> {
    hash.as_bytes().first_chunk().copied()
}

/// Reads a message into a plan.
struct Reader<'r> {
    repo: &'r Repository,
    project: ProjectCode,
    /// A transport vouches for the sender.
    granted: bool,
    logged_in: bool,
    /// The next file is private.
    private: bool,
    plan: Plan,
}

impl Plan {
    /// Reads the whole message. The outer error is the repository's; the inner one is for the client.
    pub(super) fn read(
        repo: &Repository,
        auth: &AuthContext,
        cookie: Option<&str>,
        message: Bytes,
    ) -> Result<Result<Self, Refusal>> {
        let mut reader = Reader {
            repo,
            project: repo.project_code()?,
            granted: auth.granted.is_some(),
            logged_in: false,
            private: false,
            plan: Self::default(),
        };
        match &auth.granted {
            Some(grant) => {
                reader.plan.user.clone_from(&grant.login);
                reader.plan.capabilities = grant.capabilities;
            }
            None => reader.become_user(DEFAULT_USER)?,
        }
        if let Some(login) = cookie.and_then(login::from_cookie)
            && let Err(refusal) = reader.login(login, &message)?
        {
            return Ok(Err(refusal));
        }
        let mut items = Items::new(message);
        while let Some(item) = items.next() {
            let outcome = match item {
                Item::Card(Card::Login(login)) => reader.login(login, items.rest())?,
                Item::Card(Card::IGot { hash, private }) => {
                    reader.igot(hash, private)?;
                    Ok(())
                }
                Item::Card(card) => reader.card(card),
                Item::Comment(_) => Ok(()),
                Item::Blank => reader.bad_command("\n"),
                Item::Unknown(line) => reader.bad_command(&line),
                Item::Malformed(fault) => Err(reader.refusal(fault)),
            };
            if let Err(refusal) = outcome {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(reader.plan))
    }

    /// Returns whether the reply lists what the client may not have yet.
    pub(super) fn lists_content(&self) -> bool {
        self.pull || self.clone == Some(CloneRequest::Names)
    }

    /// Returns whether the reply is sent unpacked, because most of it is packed already.
    pub(super) fn replies_plain(&self) -> bool {
        matches!(
            self.clone,
            Some(CloneRequest::Contents { version: 3.., .. })
        )
    }

    /// Returns whether anything in the plan may change the repository. Announcing what is known and public does not.
    pub(super) fn changes(&self) -> bool {
        !self.acts.is_empty() || !self.announced.is_empty()
    }
}

impl Reader<'_> {
    fn refusal(&self, text: &str) -> Refusal {
        Refusal {
            user: self.plan.user.clone(),
            cards: vec![Card::Error(text.to_owned())],
        }
    }

    fn bad_command(&mut self, line: &str) -> Result<(), Refusal> {
        self.plan
            .bad_command
            .get_or_insert_with(|| format!("bad command: {line}"));
        Ok(())
    }

    /// Takes on the rights of a user without further proof.
    fn become_user(&mut self, login: &str) -> Result<()> {
        let letters = |login: &str| {
            let user = self.repo.user(login)?;
            Ok::<_, crate::db::Error>(
                user.map(|user| Capabilities::from_letters(&user.capabilities)),
            )
        };
        let own = letters(login)?.unwrap_or_default();
        self.plan.capabilities = Capabilities::inherited(login, own, letters)?;
        self.plan.user = login.to_owned();
        Ok(())
    }

    fn login(&mut self, login: Login, tail: &[u8]) -> Result<Result<(), Refusal>> {
        if self.granted {
            return Ok(Ok(()));
        }
        if self.logged_in {
            return Ok(Err(self.refusal("multiple login cards")));
        }
        self.logged_in = true;
        if UNPROVEN_USERS.contains(&login.user.as_str()) {
            self.become_user(&login.user)?;
            return Ok(Ok(()));
        }
        let stored = self.repo.user(&login.user)?;
        let secret = stored.as_ref().map(|user| user.secret.as_str());
        if !login::verify(&login, tail, secret, &self.project) {
            return Ok(Err(self.refusal("login failed")));
        }
        self.become_user(&login.user)?;
        self.plan.nonce = Some(login.nonce);
        Ok(Ok(()))
    }

    fn card(&mut self, card: Card) -> Result<(), Refusal> {
        let capabilities = self.plan.capabilities;
        match card {
            Card::Pull { project, .. } => self.pull(&project)?,
            Card::Push { project, .. } => self.push(&project)?,
            Card::Clone(request) => self.clone_everything(request)?,
            Card::Private if capabilities.may_see_private() => self.private = true,
            Card::Private => return Err(self.refusal("not authorized to sync private content")),
            Card::File {
                hash,
                source,
                content,
            } => {
                let visibility = self.file()?;
                self.plan.acts.push(Act::File {
                    hash,
                    source,
                    content,
                    visibility,
                });
            }
            Card::CompressedFile {
                hash,
                source,
                content,
                ..
            } => {
                let visibility = self.file()?;
                self.plan.acts.push(Act::PackedFile {
                    hash,
                    source,
                    content,
                    visibility,
                });
            }
            Card::Gimme(hash) if self.plan.pull && self.plan.gimmes.len() < MAX_WISHES => {
                self.plan.gimmes.push(hash);
            }
            Card::UvGimme(name) if capabilities.may_read() => self.plan.uv_gimmes.push(name),
            // Logins were looked at before; the others need a right, or nobody reads them.
            Card::Gimme(_)
            | Card::UvGimme(_)
            | Card::Cookie(_)
            | Card::Login(_)
            | Card::IGot { .. } => {}
            Card::UvFile {
                entry,
                flags,
                content,
            } if capabilities.may_write_unversioned() => {
                self.plan.acts.push(Act::Unversioned {
                    entry,
                    flags,
                    content,
                });
            }
            Card::UvFile { .. } => {
                return Err(self.refusal("Write permissions for unversioned files missing"));
            }
            Card::Config { name, content } if capabilities.may_administer() => {
                self.plan.acts.push(Act::Config { name, content });
            }
            Card::Config { .. } => return Err(self.refusal("not authorized to push configuration")),
            Card::ReqConfig(name) => {
                self.plan.areas.extend(
                    Area::named(&name)
                        .into_iter()
                        .filter(|area| area.may_be_seen_by(capabilities)),
                );
            }
            Card::Pragma(Pragma::Extension(extension)) => self.extension(extension)?,
            Card::Pragma(pragma) => self.pragma(pragma),
            piece @ Card::Piece { .. } => self.piece(piece)?,
            Card::UvIGot(_) | Card::CloneSeqno(_) | Card::Message(_) | Card::Error(_) => {
                let line = String::from_utf8_lossy(&card.to_bytes()).into_owned();
                self.bad_command(&line)?;
            }
        }
        Ok(())
    }

    fn pull(&mut self, project: &str) -> Result<(), Refusal> {
        self.check_project(project)?;
        if !self.plan.capabilities.may_read() {
            return Err(self.refusal("not authorized to read"));
        }
        self.plan.pull = true;
        Ok(())
    }

    fn push(&mut self, project: &str) -> Result<(), Refusal> {
        self.check_project(project)?;
        if self.plan.capabilities.may_write() {
            self.plan.push = true;
        } else if self.plan.pull {
            self.plan.notes.push(Card::Message(
                "pull only - not authorized to push".to_owned(),
            ));
        } else {
            return Err(self.refusal("not authorized to write"));
        }
        Ok(())
    }

    fn check_project(&self, project: &str) -> Result<(), Refusal> {
        if project == self.project.as_str() {
            Ok(())
        } else {
            Err(self.refusal("wrong project"))
        }
    }

    fn clone_everything(&mut self, request: CloneRequest) -> Result<(), Refusal> {
        if !self.plan.capabilities.may_clone() {
            // The first request of a clone can't be signed before the client has learned the project's code.
            let mut refusal = self.refusal("not authorized to clone");
            let server = self
                .repo
                .server_code()
                .map_or_else(|_| "0".repeat(40), |code| code.as_str().to_owned());
            refusal.cards.insert(
                0,
                Card::Push {
                    server,
                    project: self.project.as_str().to_owned(),
                },
            );
            return Err(refusal);
        }
        if matches!(
            request,
            CloneRequest::Contents { seqno: 0, .. } | CloneRequest::Contents { version: 0..2, .. }
        ) {
            return Err(self.refusal("malformed clone request"));
        }
        self.plan.clone = Some(request);
        Ok(())
    }

    /// Decides about a file: returns how it may be stored.
    fn file(&mut self) -> Result<Visibility, Refusal> {
        if !self.plan.push {
            return Err(self.refusal("not authorized to write"));
        }
        let private = std::mem::take(&mut self.private);
        Ok(if private {
            Visibility::Private
        } else {
            Visibility::Public
        })
    }

    fn extension(&mut self, extension: Extension) -> Result<(), Refusal> {
        match extension {
            Extension::Budget(bytes) => {
                self.plan.budget = Some(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            Extension::From(list, place) => {
                self.plan.from.insert(list, place);
            }
            Extension::Oversize {
                name: ContentName::Artifact(hash),
                size,
            } => {
                let visibility = self.file()?;
                self.plan.offers.push(Offer::Artifact {
                    hash,
                    size,
                    visibility,
                });
            }
            Extension::UvOffer(_) if !self.plan.capabilities.may_write_unversioned() => {
                return Err(self.refusal("Write permissions for unversioned files missing"));
            }
            Extension::UvOffer(entry) => self.plan.offers.push(Offer::Unversioned(entry)),
            Extension::Range {
                name,
                offset,
                length,
            } if self.plan.capabilities.may_read() && self.plan.ranges.len() < MAX_RANGES => {
                let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
                let start = number(offset);
                let range = start..start.saturating_add(number(length));
                self.plan.ranges.push((name, range));
            }
            // What only a server says, and what needs a right.
            Extension::More(..) | Extension::Oversize { .. } | Extension::Range { .. } => {}
        }
        Ok(())
    }

    fn piece(&mut self, card: Card) -> Result<(), Refusal> {
        let Card::Piece {
            name,
            offset,
            content,
        } = card
        else {
            return Ok(());
        };
        let may = match name {
            ContentName::Artifact(_) => self.plan.push,
            ContentName::Unversioned(_) => self.plan.capabilities.may_write_unversioned(),
        };
        if !may {
            return Err(self.refusal("not authorized to write"));
        }
        self.plan.pieces.push((name, offset, content));
        Ok(())
    }

    /// Takes note of what the client holds. Who may neither read nor write has nobody to tell it to.
    fn igot(&mut self, hash: HashName, private: bool) -> Result<()> {
        if !self.plan.pull && !self.plan.push {
            return Ok(());
        }
        let is_new = self.plan.known.insert(&hash);
        if !is_new || !self.plan.push {
            return Ok(());
        }
        if private && !self.plan.capabilities.may_see_private() {
            return Ok(());
        }
        let visibility = if private {
            Visibility::Private
        } else {
            Visibility::Public
        };
        let is_news = match self.repo.rid(&hash)? {
            None => self.plan.announced.len() < MAX_NEW_PHANTOMS,
            Some(rid) => !private && self.repo.is_private(rid)?,
        };
        if is_news {
            self.plan.announced.push((hash, visibility));
        }
        Ok(())
    }

    fn pragma(&mut self, pragma: Pragma) {
        let capabilities = self.plan.capabilities;
        match pragma {
            Pragma::ClientVersion(version) => self.plan.client = version,
            Pragma::SendPrivate if capabilities.may_see_private() => self.plan.send_private = true,
            Pragma::SendPrivate => {
                self.plan.notes.push(Card::Error(
                    "not authorized to sync private content".to_owned(),
                ));
            }
            Pragma::SendCatalog => self.plan.send_catalog = true,
            Pragma::ReqClusters => self.plan.send_clusters = true,
            Pragma::UvHash(hash) if capabilities.may_read() => {
                self.plan.uv_hash.get_or_insert(hash);
            }
            Pragma::CiLock { check_in, client }
                if capabilities.may_write() && is_client_id(&client) =>
            {
                self.plan.ci_lock = Some((check_in, client));
            }
            Pragma::CiUnlock(client) if is_client_id(&client) => self.plan.ci_unlock = Some(client),
            _ => {}
        }
    }
}

fn is_client_id(text: &str) -> bool {
    text.len() <= MAX_CLIENT_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
