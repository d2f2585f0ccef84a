//! The client's side of the protocol: says what to send, takes the reply, until both sides hold the same.
//!
//! [`Client::next`] and [`Client::receive`] alternate; the caller carries the bytes. What has arrived is in the repository after each
//! [`Client::receive`], so a client that is dropped half-way has lost nothing: the next one goes on from there. A clone goes on too; of what
//! has arrived it stores the last contents a moment later, while the next are on their way ([`Client::catch_up`]), so that they come again
//! when it is dropped before ([`Client::put_away`]). An exchange ends when a round brings nothing new; a peer that keeps it going without
//! bringing anything is left.

mod clone;
mod compose;
mod held;
mod large;
mod lists;
mod take;
mod unversioned;

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;

use super::card::Version;
use super::frame::{ContentType, FrameError};
use super::{Budget, Request, budget, login};
use crate::blob::codec;
use crate::db::{Error, Repository, Rid};
use crate::name::HashName;
use crate::time::Timestamp;
pub use clone::{NewClone, is_empty_clone, is_partial_clone};
use large::Large;
use lists::Lists;
pub use unversioned::UvRoom;
use unversioned::UvState;

/// Most rounds of one exchange. A round moves at least one artifact or 200 names, so real exchanges end long before.
const MAX_ROUNDS: usize = 50_000;

/// What an exchange is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    /// Fetch what is new there.
    pub pull: bool,
    /// Send what is new here.
    pub push: bool,
    /// Private content too.
    pub private: bool,
    /// Unversioned files, both ways as far as the server lets us.
    pub unversioned: bool,
    /// Compare every name instead of trusting what is clustered.
    pub thorough: bool,
}

/// Who the client says it is.
#[derive(Clone)]
pub struct Credentials {
    /// The login on the server.
    pub user: String,
    /// The password, or the shared secret derived from it.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this and hand the answer to [`Client::receive`]. With a [`Budget`] more may be had before the answer is there.
    Send(Request),
    /// There is nothing to send before the next answer. Only told to who asks before it.
    Wait,
    /// The exchange is complete.
    Done(Summary),
}

/// What came back from the server.
#[derive(Clone, Debug)]
pub struct Response {
    /// The `Content-Type` header.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

/// Counts what an exchange has done so far, or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests answered.
    pub rounds: usize,
    /// Bytes of all request bodies.
    pub sent_bytes: u64,
    /// Bytes of all reply bodies.
    pub received_bytes: u64,
    /// Artifacts sent.
    pub artifacts_sent: usize,
    /// Artifacts received that were not here.
    pub artifacts_received: usize,
    /// Artifacts known by name that could not be had.
    pub missing: usize,
    /// Unversioned files sent or deleted there.
    pub unversioned_sent: usize,
    /// Unversioned files received or deleted here.
    pub unversioned_received: usize,
    /// The server does not let this user write; what is new here stayed here.
    pub push_refused: bool,
    /// The server does not let this user see private content; the public part went on without.
    pub private_refused: bool,
    /// What the server wants its user to read.
    pub messages: Vec<String>,
    /// Seconds that the server's clock is ahead, as far as known.
    pub clock_skew_s: Option<i64>,
    /// How far a clone is, in the server's sequence numbers; 0 when it is complete.
    pub clone_seqno: Option<u32>,
}

/// Why an exchange ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The server refused the login.
    #[error("the server does not accept this user name and password")]
    LoginFailed,
    /// The server has another project.
    #[error("the server has another project")]
    WrongProject,
    /// The server does not let this user do that.
    #[error("the server says: {0}")]
    NotAuthorized(String),
    /// The server reports an error.
    #[error("the server says: {0}")]
    Remote(String),
    /// The answer is a web page.
    #[error("the server answered with a web page, not as a Fossil server{}", .0.as_ref().map(|title| format!(": {title}")).unwrap_or_default())]
    WebPage(Option<String>),
    /// The answer is empty.
    #[error("the server's answer is empty")]
    Empty,
    /// The answer is not what the protocol knows.
    #[error("the server's answer is malformed: {0}")]
    Malformed(String),
    /// The answer can't be unpacked.
    #[error("the server's answer can't be read: {0}")]
    Frame(#[from] FrameError),
    /// The server keeps the exchange going without bringing anything.
    #[error("the server makes no progress")]
    Stalled,
    /// The local repository is not a clone in the making, or is one and something else was asked.
    #[error("{0}")]
    Misuse(&'static str),
    /// The local repository can't be read or written.
    #[error(transparent)]
    Repository(#[from] Error),
}

/// One exchange with one server.
#[derive(Debug)]
pub struct Client {
    goal: Goal,
    credentials: Option<Credentials>,
    clone: Option<clone::CloneState>,
    /// What a clone has got and not stored yet.
    held: Option<held::Held>,
    server: Version,
    summary: Summary,
    turn: Turn,
    /// Artifacts that the server asked for.
    wanted: VecDeque<HashName>,
    /// Artifacts sent, with how often.
    sent: HashMap<HashName, u8>,
    /// Artifacts that went with the request under way; they are no longer unsent once it is answered.
    in_flight: Vec<Rid>,
    /// Artifacts asked for in vain.
    asked: HashSet<HashName>,
    /// Most artifacts to ask for in the next request.
    gimme_limit: usize,
    /// Whether no reply was of use yet, so that the first request is still to be made.
    fresh: bool,
    /// Whether the last reply brought anything.
    progress: bool,
    /// Replies in a row without an artifact.
    idle_rounds: usize,
    /// Rounds in which the server was asked for its clusters.
    asked_clusters: bool,
    /// Whether the server has let us sync private content.
    private_ok: bool,
    uv: UvState,
    /// How long messages may be on this transport.
    budget: Option<Budget>,
    /// How long a request the server takes; it understands our extensions then.
    accepted: Option<usize>,
    lists: Lists,
    /// Artifacts that were asked for with the last request.
    last_asked: Vec<HashName>,
    /// Whether the server had no room for all that was asked for.
    cut: bool,
    large: Large,
    /// Artifacts that cannot be sent: too long for this transport and server, not here, or not for others.
    unsendable: HashSet<HashName>,
    /// Long artifacts that were offered with the request under way.
    offered: Vec<HashName>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Compose,
    Await,
}

/// Bytes of a login card beside its name.
const LOGIN_BYTES: usize = 128;

/// Replies in a row that may bring only names before a pull ends.
const MAX_IDLE_ROUNDS: usize = 4;

/// Artifacts asked for at once at first; stock's number.
const GIMMES: usize = 200;

impl Client {
    /// Returns a client for an exchange between existing repositories.
    #[must_use]
    pub fn new(goal: Goal, credentials: Option<Credentials>) -> Self {
        Self {
            goal,
            credentials,
            clone: None,
            held: None,
            server: Version::default(),
            summary: Summary::default(),
            turn: Turn::Compose,
            wanted: VecDeque::new(),
            sent: HashMap::new(),
            in_flight: Vec::new(),
            asked: HashSet::new(),
            gimme_limit: GIMMES,
            fresh: true,
            progress: true,
            idle_rounds: 0,
            asked_clusters: false,
            private_ok: false,
            uv: UvState::default(),
            budget: None,
            accepted: None,
            lists: Lists::of(goal),
            last_asked: Vec::new(),
            cut: false,
            large: Large::default(),
            unsendable: HashSet::new(),
            offered: Vec::new(),
        }
    }

    /// Keeps every request within `budget`, and asks the server to do so with its replies. What is too long then travels in pieces, of which
    /// several may be under way at once.
    #[must_use]
    pub fn within(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        if self.clone.is_none() {
            self.lists.read_in_parts(self.goal);
        }
        self
    }

    /// Lets requests become so long when the other side does not understand pieces: what is between takes longer ones than was thought when
    /// the [budget](Self::within) was given.
    pub fn allow(&mut self, most: usize) {
        if let Some(budget) = &mut self.budget {
            budget.most = most;
        }
    }

    /// Takes unversioned files only as far as there is this room for them.
    #[must_use]
    pub fn with_uv_room(mut self, room: UvRoom) -> Self {
        self.uv.room = Some(room);
        self
    }

    /// Returns whether the last request must be answered before there is another. While pieces are moved, that is not so.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        self.turn == Turn::Await
    }

    /// Returns how far the exchange is.
    #[must_use]
    pub fn progress(&self) -> &Summary {
        &self.summary
    }

    /// Returns the next request, or that there is none. `random` makes requests differ that say the same.
    ///
    /// # Errors
    /// The repository can't be read; or the clone is complete and turns out to be damaged.
    pub fn next(
        &mut self,
        repo: &mut Repository,
        now: Timestamp,
        random: [u8; 20],
    ) -> Result<Step, SyncError> {
        if self.turn == Turn::Await {
            return Err(SyncError::Misuse("the last request was not answered"));
        }
        if self.summary.rounds >= MAX_ROUNDS {
            return Err(SyncError::Stalled);
        }
        self.complete_whole(repo, now)?;
        let (outbox, turn) = if self.large.is_under_way() || self.is_complete(repo)? {
            match self.compose_piece(repo, now)? {
                Some(outbox) => (outbox, Turn::Compose),
                None if self.large.is_under_way() => return Ok(Step::Wait),
                None => {
                    self.finish(repo, now)?;
                    return Ok(Step::Done(self.summary.clone()));
                }
            }
        } else {
            (repo.read(|repo| self.compose(repo))?, Turn::Await)
        };
        let mut message = outbox.into_bytes();
        message.extend_from_slice(
            format!("# {}\n", crate::name::ProjectCode::from_random(random)).as_bytes(),
        );
        let request = self.sign(repo, &message);
        self.summary.sent_bytes += request.body.len() as u64;
        self.turn = turn;
        Ok(Step::Send(request))
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    /// The server refused or failed, the answer is malformed, or the repository can't be written. Nothing of this answer is stored then.
    pub fn receive(
        &mut self,
        repo: &mut Repository,
        response: Response,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        self.summary.received_bytes += response.body.len() as u64;
        if self.turn == Turn::Await {
            self.turn = Turn::Compose;
            let taken = self.take(repo, response, now);
            if taken.is_err() {
                // What came before is as good as ever.
                self.put_away(repo, now)?;
            }
            taken?;
        } else if self.large.is_under_way() {
            let message = take::open(response)?;
            self.take_piece(repo, message, now)?;
        } else {
            return Err(SyncError::Misuse("there is no request to answer"));
        }
        self.summary.rounds += 1;
        Ok(())
    }

    /// Returns whether another round would bring nothing. Pieces are another matter.
    fn is_complete(&self, repo: &Repository) -> Result<bool, SyncError> {
        if self.fresh {
            return Ok(false);
        }
        if let Some(clone) = &self.clone {
            // One that goes on may have everything but what is known by name, for which nobody has asked yet.
            let named = self.accepted.is_some() && (self.progress || self.asked.is_empty());
            return Ok(clone.is_complete()
                && self.uv.is_idle()
                && self.lists.is_idle()
                && (!named || self.missing(repo, 1)?.is_empty()));
        }
        if !self.wanted.is_empty() || !self.uv.is_idle() || !self.lists.is_idle() {
            return Ok(false);
        }
        if self.goal.push && self.has_sendable(repo)? {
            return Ok(false);
        }
        let in_vain = !self.progress || self.missing(repo, 1)?.is_empty();
        Ok(!self.goal.pull || (in_vain && !self.may_ask_clusters(repo)?))
    }

    /// Ends the exchange.
    fn finish(&mut self, repo: &mut Repository, now: Timestamp) -> Result<(), SyncError> {
        self.put_away(repo, now)?;
        if let Some(clone) = &self.clone {
            clone.finish(repo, now)?;
        }
        self.summary.missing = repo.count_missing()?;
        Ok(())
    }

    /// Returns how long the next request may become, but for its last lines.
    fn room(&self) -> usize {
        let Some(own) = self.budget else {
            return usize::MAX;
        };
        let body = match self.accepted {
            Some(accepted) => own.usual.min(accepted),
            None if self.fresh => own.usual,
            None => own.most,
        };
        let login = self.credentials.as_ref();
        let login = login.map_or(0, |login| login.user.len().saturating_mul(2) + LOGIN_BYTES);
        budget::room(body).saturating_sub(login)
    }

    /// Returns the request that carries `message`, signed if there is a user and the project is known.
    fn sign(&self, repo: &Repository, message: &[u8]) -> Request {
        let request = |parts: &[&[u8]]| Request {
            content_type: ContentType::Packed,
            body: codec::pack_parts(parts).into(),
            cookie: None,
        };
        let (Some(credentials), Ok(project)) = (&self.credentials, repo.project_code()) else {
            return request(&[message]);
        };
        let Credentials { user, password } = credentials;
        let secret = login::shared_secret(&project, user, password);
        let login = login::sign(user, &secret, message);
        // Only HTTP has cookies.
        if self.budget.is_none() && login::reads_cookie(self.server) {
            return Request {
                cookie: Some(login::to_cookie(&login)),
                ..request(&[message])
            };
        }
        request(&[login.line().as_bytes(), message])
    }
}
