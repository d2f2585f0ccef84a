//! Requests for one project from the bus to its Fossil server, and the answers back.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use edgesync_bus::{Headers, Message, Publish, SendError, SharedBus, Subscription};
use libfossil::auth::Capabilities;
use libfossil::xfer::card::Card;
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::parse::{Item, Items};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::envelope::{self, Envelope, Key, Note};
use crate::limits;
use crate::probe::{self, Fault, Standing};
use crate::rights::{self, Passed};
use crate::server::FossilServer;
use crate::shelf::{Shelf, ShelfError, Work};

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Tells callers apart.
    pub name: String,
    /// What they may.
    pub capabilities: Capabilities,
    /// What the answer has to repeat.
    pub nonce: Option<[u8; 16]>,
}

/// Who asks is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Not at all: the message is a copy of one that is being answered.
    Silently,
    /// But for the reason.
    With(String),
}

/// Judges who asks, and signs what is answered.
pub trait Gate: Send + Sync + 'static {
    /// Returns the bridge's own name on the bus, the last part of its subject.
    fn name(&self) -> String;

    /// Returns who asks.
    ///
    /// # Errors
    /// [`Denied`], for who has no rights in the project above all.
    fn admit(&self, message: &Message) -> Result<Caller, Denied>;

    /// Returns the headers of an answer.
    fn seal(&self, inbox: &str, nonce: Option<[u8; 16]>, envelope: &Envelope) -> Headers;
}

/// What a bridge takes.
#[derive(Clone)]
pub struct Setup {
    /// The bus.
    pub bus: SharedBus,
    /// What subjects begin with.
    pub prefix: String,
    /// The other side.
    pub server: FossilServer,
    /// Who may use it.
    pub gate: Arc<dyn Gate>,
    /// How often to ask the server what it holds.
    pub poll: Duration,
    /// How long who asks is kept waiting before the answer is promised; [`limits::PROMISE`].
    pub promise: Duration,
}

/// What happened on a bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that the server answered.
    pub answered: u64,
    /// Requests that were refused or that the server did not answer.
    pub failed: u64,
}

/// A bridge for one project.
pub struct Bridge {
    setup: Setup,
    began: Instant,
    /// Requests that may be made of the server now. One until it has answered: the first requests that a stock server ever gets for an address,
    /// if they come together, trip over each other in its `config` table, and one is answered 400.
    server_places: Semaphore,
    answered_once: AtomicBool,
    shelf: Mutex<Shelf>,
    standing: watch::Sender<Standing>,
    counts: watch::Sender<Counts>,
    /// Asks for a look at the server.
    nudge: Notify,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("server", &self.setup.server)
            .finish_non_exhaustive()
    }
}

impl Bridge {
    /// Returns a bridge that is not yet on the bus.
    #[must_use]
    pub fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Self {
            setup,
            began: Instant::now(),
            server_places: Semaphore::new(1),
            answered_once: AtomicBool::new(false),
            shelf: Mutex::default(),
            standing: watch::Sender::default(),
            counts: watch::Sender::default(),
            nudge: Notify::new(),
        })
    }

    /// What it is a bridge to.
    pub fn server(&self) -> &FossilServer {
        &self.setup.server
    }

    /// Returns how it stands, now and as that changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Returns what happened, now and as that changes.
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Looks at the server soon, instead of at its time.
    pub fn look(&self) {
        self.nudge.notify_one();
    }

    /// Answers requests and looks at the server until `stop`, or the bus ends. `ready` is notified once no request is missed any more.
    ///
    /// # Errors
    /// [`SendError`] when the bus does not take the subscriptions.
    pub async fn run(
        self: Arc<Self>,
        ready: Arc<Notify>,
        stop: CancellationToken,
    ) -> Result<(), SendError> {
        let (bus, prefix) = (&self.setup.bus, &self.setup.prefix);
        let project = self.setup.server.project.to_string();
        let queue = envelope::queue(&project);
        let any = envelope::subject(prefix, &project);
        let own = envelope::subject_of(prefix, &project, &self.setup.gate.name());
        let mut any = bus.subscribe(&any, Some(&queue)).await?;
        let mut own = bus.subscribe(&own, None).await?;
        bus.flush().await?;
        ready.notify_one();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch_server() => {}
            () = self.answer_all(&mut any, &mut own) => {}
        }
        // What is under way holds the bridge, and the bridge it.
        locked(&self.shelf).clear();
        Ok(())
    }

    /// Answers requests. One that waits for its turn waits in the bus.
    async fn answer_all(self: &Arc<Self>, any: &mut Subscription, own: &mut Subscription) {
        let places = Arc::new(Semaphore::new(limits::MESSAGES));
        // They end with this loop.
        let mut answers = JoinSet::new();
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let message = tokio::select! {
                message = own.next() => message,
                message = any.next() => message,
            };
            let Some(message) = message else { return };
            let bridge = Arc::clone(self);
            answers.spawn(async move {
                bridge.answer(message).await;
                drop(place);
            });
            while answers.try_join_next().is_some() {}
        }
    }

    async fn answer(self: &Arc<Self>, message: Message) {
        let Some(inbox) = message.reply.clone() else {
            return;
        };
        let (nonce, answer) = match self.setup.gate.admit(&message) {
            Ok(caller) => {
                let handled = self.handle(&caller, &message).await;
                (caller.nonce, handled)
            }
            Err(Denied::Silently) => return,
            Err(Denied::With(text)) => (None, Err(text)),
        };
        let answer = answer.unwrap_or_else(|text| {
            let project = self.setup.server.project;
            tracing::debug!(%project, text, "a request was not answered");
            self.counts.send_modify(|counts| counts.failed += 1);
            Envelope::failure(&text)
        });
        let publish = Publish {
            headers: self.setup.gate.seal(&inbox, nonce, &answer),
            subject: inbox,
            reply: None,
            payload: answer.payload,
        };
        if let Err(error) = self.setup.bus.publish(publish).await {
            tracing::warn!(%error, "an answer could not be sent");
        }
    }

    /// Returns the answer to a message; the error is a text for who asked.
    async fn handle(
        self: &Arc<Self>,
        caller: &Caller,
        message: &Message,
    ) -> Result<Envelope, String> {
        let content_type = envelope::content_type(message).map_err(|error| error.to_string())?;
        let body = message.payload.clone();
        let body = match envelope::note(message) {
            Some(Note::More { key, offset }) => {
                let work = locked(&self.shelf).take_work(&caller.name, &key);
                if let Some(work) = work {
                    return self.answer_or_promise(caller, message, key, work).await;
                }
                let part = self.part(&caller.name, key, offset);
                return part.map_err(|error| error.to_string());
            }
            Some(Note::Part { key, offset, total }) => {
                let now = self.began.elapsed();
                let place = (offset, total);
                let taken = locked(&self.shelf).take_part(now, &caller.name, &key, place, body);
                match taken.map_err(|error| error.to_string())? {
                    Some(whole) => whole,
                    None => return Ok(received()),
                }
            }
            Some(Note::Parts | Note::Later { .. }) | None => body,
        };
        self.pass_on(caller, message, content_type, body).await
    }

    /// Returns the part of a long reply that begins at `offset`.
    fn part(&self, caller: &str, key: Key, offset: usize) -> Result<Envelope, ShelfError> {
        let range = (offset, self.part_bytes());
        let now = self.began.elapsed();
        let (content_type, part, total) = locked(&self.shelf).part(now, caller, &key, range)?;
        let note = Note::Part { key, offset, total };
        Ok(Envelope::new(content_type, part).with_note(note))
    }

    /// Has the server answer a request, if its sender may make it.
    async fn pass_on(
        self: &Arc<Self>,
        caller: &Caller,
        message: &Message,
        content_type: ContentType,
        body: Bytes,
    ) -> Result<Envelope, String> {
        let passed = match self.judge(caller, content_type, body.clone()).await? {
            Ok(passed) => passed,
            // In the server's words, which clients know.
            Err(text) => {
                self.counts.send_modify(|counts| counts.failed += 1);
                let refusal = frame::encode(ContentType::Packed, Card::Error(text).to_bytes());
                return Ok(Envelope::new(ContentType::Packed, refusal));
            }
        };
        if envelope::note(message).is_none() {
            let asked = self.converse(passed, content_type, body, limits::ANSWER);
            let (content_type, body) = asked.await?;
            return self.inward(caller, message, content_type, body);
        }
        // It goes on when nobody waits for it any more: what was pushed is not pushed again.
        let bridge = Arc::clone(self);
        let work = AbortOnDropHandle::new(tokio::spawn(async move {
            let patience = limits::ROUND_TRIP_DEADLINE;
            let asked = bridge.converse(passed, content_type, body, patience);
            asked.await
        }));
        self.answer_or_promise(caller, message, new_key()?, work)
            .await
    }

    /// Waits for the server as long as who asked waits for a message; then promises the answer.
    async fn answer_or_promise(
        &self,
        caller: &Caller,
        message: &Message,
        key: Key,
        mut work: Work,
    ) -> Result<Envelope, String> {
        if let Ok(done) = timeout(self.setup.promise, &mut work).await {
            let (content_type, body) = done.map_err(|error| error.to_string())??;
            return self.inward(caller, message, content_type, body);
        }
        let now = self.began.elapsed();
        let kept = locked(&self.shelf).keep_work(now, &caller.name, key.clone(), work);
        kept.map_err(|error| error.to_string())?;
        Ok(comment(b"# later\n").with_note(Note::Later { key }))
    }

    /// Makes a request of the server, and takes note of how that went.
    async fn converse(
        &self,
        passed: Passed,
        content_type: ContentType,
        body: Bytes,
        patience: Duration,
    ) -> Result<(ContentType, Bytes), String> {
        let (content_type, body) = self.outward(&passed, content_type, body).await?;
        let reply = timeout(patience, async {
            // The semaphore is never closed.
            let _place = self.server_places.acquire().await;
            let asked = self.setup.server.ask(content_type, body, patience).await;
            if asked.is_ok() {
                self.has_answered();
            }
            asked
        });
        let reply = reply
            .await
            .map_err(|_| "the Fossil server did not answer in time".to_owned())?;
        let was_down = matches!(*self.standing.borrow(), Standing::Down(_));
        if passed.writes || was_down == reply.is_ok() {
            self.nudge.notify_one();
        }
        let (content_type, body) = reply.map_err(|error| error.to_string())?;
        if passed.clones {
            self.check_project(content_type, body.clone()).await?;
        }
        self.counts.send_modify(|counts| counts.answered += 1);
        Ok((content_type, body))
    }

    /// Reads a request. The outer error is for who asked; the inner one is the server's word for what he may not do.
    async fn judge(
        &self,
        caller: &Caller,
        content_type: ContentType,
        body: Bytes,
    ) -> Result<Result<Passed, String>, String> {
        let (capabilities, lent) = (caller.capabilities, self.setup.server.account.is_some());
        aside(body.len(), move || {
            let message = frame::decode(content_type, body).map_err(|error| error.to_string())?;
            Ok(rights::judge(&message, capabilities, lent))
        })
        .await
    }

    /// Returns what is sent to the server: what came, or the same in the account's name.
    async fn outward(
        &self,
        passed: &Passed,
        content_type: ContentType,
        body: Bytes,
    ) -> Result<(ContentType, Bytes), String> {
        let server = &self.setup.server;
        if passed.signed || server.account.is_none() {
            return Ok((content_type, body));
        }
        let (server, message) = (server.clone(), passed.message.clone());
        let body = aside(message.len(), move || Ok(server.body(&message))).await?;
        Ok((ContentType::Packed, body))
    }

    /// Returns the answer with the server's reply, or with its first part.
    fn inward(
        &self,
        caller: &Caller,
        message: &Message,
        content_type: ContentType,
        body: Bytes,
    ) -> Result<Envelope, String> {
        if envelope::note(message).is_none() {
            let answer = envelope::for_sender_of(message, content_type, body);
            let (bytes, most) = (answer.payload.len(), self.most_bytes());
            if bytes > most {
                return Err(format!(
                    "the reply has {bytes} bytes and the bus takes {most}; lower the setting max-download of the Fossil server"
                ));
            }
            return Ok(answer);
        }
        if body.len() <= self.part_bytes() {
            return Ok(Envelope::new(content_type, body).with_note(Note::Parts));
        }
        let key = new_key()?;
        let now = self.began.elapsed();
        let reply = (content_type, body);
        let kept = locked(&self.shelf).keep_reply(now, &caller.name, key.clone(), reply);
        kept.and_then(|()| self.part(&caller.name, key, 0))
            .map_err(|error| error.to_string())
    }

    /// Makes sure that a clone is of this project: its request names none.
    async fn check_project(&self, content_type: ContentType, body: Bytes) -> Result<(), String> {
        let project = self.setup.server.project;
        aside(body.len(), move || {
            let message = frame::decode(content_type, body).map_err(|error| error.to_string())?;
            let other = Items::new(message).find_map(|item| match item {
                Item::Card(Card::Push { project, .. }) => Some(project),
                _ => None,
            });
            match other {
                Some(other) if other != project.as_str() => {
                    Err(format!("the Fossil server has the project {other}"))
                }
                _ => Ok(()),
            }
        })
        .await
    }

    /// Returns the longest body that the bus takes.
    fn most_bytes(&self) -> usize {
        let most = self.setup.bus.max_payload();
        most.saturating_sub(limits::BUS_HEADERS_BYTES)
    }

    /// Returns the longest part.
    fn part_bytes(&self) -> usize {
        self.most_bytes().clamp(1, limits::BUS_BODY_BYTES)
    }

    /// Looks at the server now and then, and soon after what may have changed it.
    async fn watch_server(&self) {
        let mut wait = self.setup.poll;
        loop {
            let before = self.standing.borrow().clone();
            let mut random = [0; 20];
            match getrandom::fill(&mut random) {
                Ok(()) => {
                    let place = self.server_places.acquire().await;
                    let standing = probe::look(&self.setup.server, random, &before).await;
                    if !matches!(standing, Standing::Down(Fault::Server(_))) {
                        self.has_answered();
                    }
                    drop(place);
                    self.settle(standing, &mut wait);
                }
                Err(error) => tracing::warn!(%error, "no random bytes"),
            }
            // What nobody fetched must not wait for the next one who does.
            locked(&self.shelf).sweep(self.began.elapsed());
            tokio::select! {
                () = sleep(wait) => {}
                () = self.nudge.notified() => sleep(limits::SETTLE).await,
            }
        }
    }

    /// Takes note that the server has answered: from now on it is asked several things at once.
    fn has_answered(&self) {
        if !self.answered_once.swap(true, Ordering::Relaxed) {
            self.server_places.add_permits(limits::SERVER_REQUESTS - 1);
        }
    }

    /// Takes note of how the server stands, and decides when it is asked again.
    fn settle(&self, standing: Standing, wait: &mut Duration) {
        let poll = self.setup.poll;
        *wait = match &standing {
            Standing::Down(_) => wait
                .saturating_mul(2)
                .min(limits::PROBE_BACKOFF_MAX)
                .max(poll),
            _ => poll,
        };
        self.standing.send_if_modified(|known| {
            let is_news = *known != standing;
            *known = standing;
            is_news
        });
    }
}

/// Returns the answer to a part that is not the last one.
fn received() -> Envelope {
    comment(b"# part\n").with_note(Note::Parts)
}

/// Returns an answer that says nothing in the sync protocol's terms.
fn comment(line: &[u8]) -> Envelope {
    let message = frame::encode(ContentType::Packed, line.to_vec());
    Envelope::new(ContentType::Packed, message)
}

fn new_key() -> Result<Key, String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    Ok(Key::from_random(random))
}

/// Does `work`, beside the runtime's threads where there are many bytes to it.
async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    if bytes <= limits::QUICK_BYTES {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())?
}

fn locked(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    // Every method leaves it whole.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
