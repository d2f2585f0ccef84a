//! The server's side of the protocol, as a function from a request to a reply.
//!
//! A message is handled in three steps. [`plan`] reads all cards and decides what each may do, before any of them has done anything.
//! What may be stored is stored in one transaction: all of it or, if any hash is wrong, nothing. [`answer`] reads what the client asked for,
//! [`contents`] what a clone takes.
//! Nothing is remembered between requests.

mod answer;
mod contents;
mod lock;
mod offers;
mod plan;

use super::card::Card;
use super::frame::{self, ContentType, FrameError};
use super::receive::{ReceiveError, Received, Receiver};
use super::{Budget, Outbox, Request, budget};
use crate::auth::AuthContext;
use crate::db::{Access, Error, Receipt, Repository, Transaction};
use crate::time::Timestamp;
use answer::Answer;
use plan::{Act, Plan, Refusal};

/// Most bytes of a reply before the rest is left to the next one, unless the setting `max-download` says otherwise.
const MAX_DOWNLOAD_BYTES: usize = 5_000_000;

/// The smallest budget for a reply that is honoured, in bytes.
const MIN_DOWNLOAD_BYTES: usize = 1_000;

/// How long a request is worked on before the rest is left to the next one, unless the setting `max-download-time` says otherwise.
const MAX_DOWNLOAD_S: i64 = 30;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The request is no message.
    #[error("the request can't be read: {0}")]
    Frame(#[from] FrameError),
    /// The repository can't be read or written.
    #[error(transparent)]
    Repository(#[from] Error),
}

/// A reply, and what the request has changed.
#[derive(Clone, Debug)]
pub struct Reply {
    /// For the `Content-Type` header.
    pub content_type: ContentType,
    /// The body.
    pub body: bytes::Bytes,
    /// What was stored.
    pub received: Received,
    /// The user that the request was made as.
    pub user: String,
    /// What the client was told instead of an answer, if it was refused.
    pub refused: Option<String>,
}

/// How long one reply may become.
#[derive(Clone, Copy, Debug)]
struct Length {
    /// From there on the rest is left to the next reply, in bytes.
    full: usize,
    /// It never becomes longer, in bytes.
    limit: usize,
    /// The longest body of a request that the transport takes, for those who want to know.
    accepted: u32,
}

/// Until when contents are added to a reply.
struct Deadline<'a> {
    clock: &'a dyn Fn() -> Timestamp,
    end: Timestamp,
}

impl<'a> Deadline<'a> {
    /// Counts from `start`, for as long as the repository's setting says.
    fn of(
        repo: &Repository,
        start: Timestamp,
        clock: &'a dyn Fn() -> Timestamp,
    ) -> Result<Self, Error> {
        let seconds = repo
            .config_number("max-download-time")?
            .unwrap_or(MAX_DOWNLOAD_S);
        let end = start.saturating_add_millis(seconds.max(1).saturating_mul(1000));
        Ok(Self { clock, end })
    }

    fn is_over(&self) -> bool {
        (self.clock)() >= self.end
    }
}

/// Answers requests for one or more repositories.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Most bytes of a reply before the rest is left to the next one; the repository's setting when not given.
    pub max_download_bytes: Option<usize>,
    /// How long replies may be on the transport that the request came by, where that has a limit.
    pub budget: Option<Budget>,
}

impl Server {
    /// Handles one request.
    ///
    /// What a client did wrong, or may not do, is told in the reply; nothing is stored then. `clock` tells the present when
    /// something is stored, and again while the reply is made: in between long contents may have been written, and a client
    /// takes an old time for a clock that is slow. It also tells when the time for a reply is used up.
    ///
    /// # Errors
    /// The request is no message at all, or the repository fails. Nothing is stored then either.
    pub fn exchange(
        &self,
        repo: &mut Repository,
        auth: &AuthContext,
        request: Request,
        clock: impl Fn() -> Timestamp,
    ) -> Result<Reply, ExchangeError> {
        let Request {
            content_type,
            body,
            cookie,
        } = request;
        let start = clock();
        // A long body is gone when its message is there, and a long message when its artifacts are stored.
        let message = frame::decode(content_type, body)?;
        let plan = repo.read(|repo| Plan::read(repo, auth, cookie.as_deref(), message))?;
        let mut plan = match plan {
            Ok(plan) => plan,
            Err(refusal) => return Ok(refuse(content_type, refusal, clock())),
        };
        let offered = offers::settle(repo, &mut plan, clock())?;
        let received = match store(repo, &mut plan, auth, clock()) {
            Ok(received) => received,
            Err(ReceiveError::Refused(text)) => {
                let refusal = Refusal {
                    user: plan.user,
                    cards: vec![Card::Error(text)],
                };
                return Ok(refuse(content_type, refusal, clock()));
            }
            Err(ReceiveError::Repository(error)) => return Err(error.into()),
        };
        offered.end(repo, clock())?;
        let length = self.length(repo, &plan)?;
        let deadline = Deadline::of(repo, start, &clock)?;
        let (outbox, errors) =
            repo.read(|repo| Answer::new(repo, &plan, length, deadline).write(&offered.wanted))?;
        let content_type = if plan.replies_plain() {
            ContentType::Plain
        } else {
            content_type
        };
        Ok(Reply {
            content_type,
            body: frame::encode(content_type, finish(outbox, errors, clock())),
            received,
            user: plan.user,
            refused: plan.bad_command,
        })
    }

    fn length(&self, repo: &Repository, plan: &Plan) -> Result<Length, Error> {
        let bytes = match self.max_download_bytes {
            Some(bytes) => bytes,
            None => repo
                .config_number("max-download")?
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(MAX_DOWNLOAD_BYTES),
        };
        let full = bytes.max(MIN_DOWNLOAD_BYTES);
        let number = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        let accepted = self.budget.map_or(u32::MAX, |own| number(own.usual));
        let accepted = accepted.min(i32::MAX.unsigned_abs());
        let theirs = plan.budget.unwrap_or(usize::MAX);
        let (usual, most) = match (self.budget, plan.budget) {
            (None, None) => {
                return Ok(Length {
                    full,
                    limit: usize::MAX,
                    accepted,
                });
            }
            (Some(own), None) => (own.usual, own.most),
            (own, Some(_)) => {
                let usual = own.map_or(theirs, |own| own.usual.min(theirs));
                (usual, usual)
            }
        };
        Ok(Length {
            full: full.min(budget::room(usual)),
            limit: budget::room(most),
            accepted,
        })
    }
}

/// Returns the reply that says why there is no answer.
fn refuse(content_type: ContentType, refusal: Refusal, now: Timestamp) -> Reply {
    let mut outbox = Outbox::default();
    refusal.cards.iter().for_each(|card| outbox.push(card));
    let refused = refusal.cards.iter().find_map(|card| match card {
        Card::Error(text) => Some(text.clone()),
        _ => None,
    });
    Reply {
        content_type,
        body: frame::encode(content_type, finish(outbox, 1, now)),
        received: Received::default(),
        user: refusal.user,
        refused,
    }
}

/// Ends a reply with the time, by which clients notice that clocks differ.
fn finish(outbox: Outbox, errors: usize, now: Timestamp) -> Vec<u8> {
    let mut message = outbox.into_bytes();
    let time = now.to_string();
    let seconds = time.get(..19).unwrap_or(&time);
    message.extend_from_slice(format!("# timestamp {seconds} errors {errors}\n").as_bytes());
    message
}

/// Stores what the plan allows, in one transaction; no transaction is begun when there is nothing to write.
fn store(
    repo: &mut Repository,
    plan: &mut Plan,
    auth: &AuthContext,
    now: Timestamp,
) -> Result<Received, ReceiveError> {
    let clusters =
        plan.lists_content() && repo.access() == Access::ReadWrite && repo.wants_clusters()?;
    if !clusters && !plan.changes() && !lock::changes(repo, plan)? {
        return Ok(Received::default());
    }
    repo.write(now, |tx| {
        let address = Some(auth.address.as_str()).filter(|address| !address.is_empty());
        tx.set_receipt(Receipt::received(
            Some(&plan.user),
            plan.nonce.as_deref(),
            address,
        ));
        let received = act(tx, plan)?;
        lock::settle(tx, plan)?;
        if clusters {
            tx.make_clusters()?;
        }
        Ok(received)
    })
}

fn act(tx: &mut Transaction<'_>, plan: &mut Plan) -> Result<Received, ReceiveError> {
    let mut receiver = Receiver::new(tx)?;
    for act in std::mem::take(&mut plan.acts) {
        match act {
            Act::File {
                hash,
                source,
                content,
                visibility,
            } => receiver.file(&hash, source.as_ref(), &content, visibility)?,
            Act::PackedFile {
                hash,
                source,
                content,
                visibility,
            } => {
                let content = super::receive::unpack(&hash, &content)?;
                receiver.file(&hash, source.as_ref(), &content, visibility)?;
            }
            Act::Unversioned {
                entry,
                flags,
                content,
            } => receiver.unversioned(&entry, flags, &content)?,
            Act::Config { name, content } => {
                let areas = super::config::Area::named("/all");
                if super::config::apply(receiver.transaction(), &name, &content, &areas)? {
                    receiver.received.configuration += 1;
                }
            }
        }
    }
    for (hash, visibility) in &plan.announced {
        receiver.announced(hash, *visibility)?;
    }
    plan.on_themselves = receiver.on_themselves;
    Ok(receiver.received)
}
