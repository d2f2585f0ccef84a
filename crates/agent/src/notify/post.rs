//! The running agent's side of notify: one office on the repository's own thread, the bus, the clock, and the events that fronts
//! see. What is said is stored first; that nobody hears it on the bus is no failure, because replication brings it.

mod choices;
mod clocks;
mod delivered;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use edgesync_bus::{Publish, SharedBus};
use edgesync_notify::desk::Effect;
use edgesync_notify::message::Message;
use edgesync_notify::moved::Moved;
use edgesync_notify::name::{MessageId, Project};
use edgesync_notify::subject;
use edgesync_notify::text;
use libfossil::db::Repository;
use libfossil::time::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::choices::Choices;
use self::clocks::Clocks;
use self::delivered::Delivered;
use super::hearing::acknowledgement;
use super::office::rights;
use super::presence::Presence;
use super::{Follows, Office, attached};
use crate::api::{
    Error, Event, Level, NotifyConversation, NotifyMessage, NotifyStatus, NotifyThread,
    NotifyTrace, QuestionState, ReplyNotify, SendNotify, Time,
};
use crate::clock;
use crate::events::Events;
use crate::identity::Identity;
use crate::repository::{Hosted, Origin};
use crate::state::StateDb;
use crate::trust::Trust;

/// How often refused messages are spoken of in the log.
const REFUSALS_TOLD_MS: i64 = 60_000;

/// The longest that the clock task sleeps: its sleep does not count the machine's.
const NAP: Duration = Duration::from_secs(60);

/// What notify needs of the agent.
pub(crate) struct Setting {
    pub(crate) hosted: Arc<Hosted>,
    pub(crate) events: Arc<Events>,
    pub(crate) state: Arc<StateDb>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) identity: Identity,
    pub(crate) name: String,
    pub(crate) tasks: TaskTracker,
    /// Held by who still has to say good-bye when the agent stops.
    pub(crate) farewells: TaskTracker,
    pub(crate) stopped: CancellationToken,
}

/// Notify in the running agent.
pub(crate) struct Post {
    pub(super) setting: Setting,
    office: Arc<Mutex<Office>>,
    /// The repository; another one once its project has changed.
    hosted: RwLock<Arc<Hosted>>,
    /// The record of a move that is to be followed.
    pub(super) to_follow: watch::Sender<Option<Moved>>,
    pub(super) bus: RwLock<Option<SharedBus>>,
    pub(super) bus_listens: AtomicBool,
    /// Moves whenever something was stored.
    pub(super) turn: watch::Sender<u64>,
    /// When the desk has something to do next, on the steady clock.
    next_due: Mutex<Option<Timestamp>>,
    /// The clock has to be set anew.
    due: Notify,
    pub(super) presence: Presence,
    delivered: Delivered,
    choices: Choices,
    clocks: Clocks,
    refused: AtomicU64,
    refusal_told: Mutex<Option<Time>>,
}

/// What follows from an input, in the forms that leave the repository's thread.
#[derive(Default)]
struct Outcome {
    stored: bool,
    publish: Vec<Message>,
    acknowledge: Vec<Message>,
    /// Questions of this agent to which others replied, with who did: they had them.
    had: Vec<(MessageId, String)>,
    events: Vec<Event>,
    refused: Vec<String>,
    next_due: Option<Timestamp>,
    clocks: BTreeMap<String, i64>,
}

impl Post {
    /// Opens the office and does what is due since it was closed.
    ///
    /// # Errors
    /// `repository` when the file cannot be used.
    pub(crate) async fn open(setting: Setting) -> Result<Arc<Self>, Error> {
        let project = setting.hosted.project_code().unwrap_or_default();
        let rights = rights(&setting.trust.register, &project);
        let (identity, name) = (setting.identity.clone(), setting.name.clone());
        let clocks = Clocks::read(&setting).await?;
        let known = clocks.known();
        let opened = setting.hosted.write(move |repo| {
            let (office, follows) = Office::open(repo, &identity, &name, rights, &known)?;
            let outcome = outcome(&office, repo, follows);
            Ok::<_, Error>((office, outcome))
        });
        let (office, outcome) = opened
            .await
            .map_err(crate::repository::TaskError::into_api)??;
        let choices = Choices::read(&setting).await?;
        let delivered = Delivered::read(&setting).await?;
        let post = Arc::new(Self {
            hosted: RwLock::new(Arc::clone(&setting.hosted)),
            to_follow: watch::Sender::default(),
            setting,
            office: Arc::new(Mutex::new(office)),
            bus: RwLock::default(),
            bus_listens: AtomicBool::new(false),
            turn: watch::Sender::new(0),
            next_due: Mutex::default(),
            due: Notify::new(),
            presence: Presence::default(),
            delivered,
            choices,
            clocks,
            refused: AtomicU64::new(0),
            refusal_told: Mutex::default(),
        });
        post.follow(outcome).await;
        let tasks = post.setting.tasks.clone();
        tasks.spawn(Arc::clone(&post).keep_time());
        tasks.spawn(Arc::clone(&post).keep_looking());
        Ok(post)
    }

    /// Returns the repository.
    pub(super) fn hosted(&self) -> Arc<Hosted> {
        let hosted = self.hosted.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&hosted)
    }

    /// Goes on with the same file, hosted anew.
    pub(super) fn go_on_with(&self, hosted: Arc<Hosted>) {
        *self.hosted.write().unwrap_or_else(PoisonError::into_inner) = hosted;
    }

    /// The desk and store, for who reads another repository beside them.
    pub(super) fn office(&self) -> Arc<Mutex<Office>> {
        Arc::clone(&self.office)
    }

    /// Looks what has come into the repository, and whether its messages go on elsewhere.
    pub(super) async fn look(&self) -> Result<(), Error> {
        let looked = self.act(|office, repo| {
            let follows = office.look(repo)?;
            Ok((office.move_to_follow(repo)?, follows))
        });
        if let Some(moved) = looked.await? {
            self.to_follow.send_replace(Some(moved));
        }
        Ok(())
    }

    /// Says something. Blocks on no network.
    pub(crate) async fn send(&self, wish: SendNotify) -> Result<NotifyMessage, Error> {
        let attached = attached::read(wish.attach.clone()).await?;
        self.act(move |office, repo| {
            let (message, follows) = office.send(repo, &wish, &attached)?;
            Ok((office.show(&message), follows))
        })
        .await
    }

    /// Answers a question of a thread, or says something in it.
    pub(crate) async fn reply(
        &self,
        thread: String,
        wish: ReplyNotify,
    ) -> Result<NotifyMessage, Error> {
        self.act(move |office, repo| {
            let (message, follows) = office.reply(repo, &thread, &wish)?;
            Ok((office.show(&message), follows))
        })
        .await
    }

    /// Takes back a question that was asked here.
    pub(crate) async fn cancel(&self, question: MessageId) -> Result<NotifyMessage, Error> {
        self.act(move |office, repo| {
            let follows = office.cancel(repo, &question)?;
            Ok((office.message(repo, &question)?, follows))
        })
        .await
    }

    /// Returns a message.
    pub(crate) async fn message(&self, id: MessageId) -> Result<NotifyMessage, Error> {
        let mut message = self
            .read(move |office, repo| office.message(repo, &id))
            .await?;
        self.add_delivered(&mut message);
        Ok(message)
    }

    /// Returns messages in the order in which they were stored here, as [`Office::stored`] does.
    pub(crate) async fn stored(
        &self,
        after: Option<Option<MessageId>>,
        most: usize,
    ) -> Result<Vec<NotifyMessage>, Error> {
        let ask = move |office: &Office, repo: &Repository| office.stored(repo, after, most);
        let mut messages = self.read(ask).await?;
        for message in &mut messages {
            self.add_delivered(message);
        }
        Ok(messages)
    }

    /// Returns a question as soon as it is decided, or as it is when the time is over.
    pub(crate) async fn answer(
        &self,
        id: MessageId,
        wait: Duration,
    ) -> Result<NotifyMessage, Error> {
        let deadline = Instant::now() + wait;
        let mut turn = self.turn.subscribe();
        loop {
            turn.mark_unchanged();
            let message = self.message(id).await?;
            let Some(state) = &message.question else {
                return Err(Error::bad_request("this message is no question"));
            };
            if matches!(state, QuestionState::Resolved(_)) {
                return Ok(message);
            }
            tokio::select! {
                changed = timeout_at(deadline, turn.changed()) => match changed {
                    Ok(Ok(())) => {}
                    _ => return Ok(message),
                },
                () = self.setting.stopped.cancelled() => return Ok(message),
            }
        }
    }

    /// Returns which way a message went.
    pub(crate) async fn trace(&self, id: MessageId) -> Result<NotifyTrace, Error> {
        let mut trace = self
            .read(move |office, repo| office.trace(repo, &id))
            .await?;
        self.add_delivered(&mut trace.message);
        Ok(trace)
    }

    /// Returns the bytes of an attached file.
    pub(crate) async fn attachment(
        &self,
        id: MessageId,
        name: String,
    ) -> Result<bytes::Bytes, Error> {
        self.read(move |office, repo| office.attachment(repo, &id, &name))
            .await
    }

    /// Returns the threads of a project, or all.
    pub(crate) async fn threads(
        &self,
        project: Option<Project>,
    ) -> Result<Vec<NotifyThread>, Error> {
        let mut threads = self
            .read(move |office, _| Ok(office.threads(project.as_ref())))
            .await?;
        let done = self.done().await?;
        threads.iter_mut().for_each(|thread| mark(thread, &done));
        Ok(threads)
    }

    /// Returns a thread and its messages.
    pub(crate) async fn conversation(&self, thread: String) -> Result<NotifyConversation, Error> {
        let mut conversation = self
            .read(move |office, repo| office.conversation(repo, &thread))
            .await?;
        mark(&mut conversation.thread, &self.done().await?);
        for message in &mut conversation.messages {
            self.add_delivered(message);
        }
        Ok(conversation)
    }

    /// Puts a thread away on this device until somebody says something in it, or takes it back.
    pub(crate) async fn set_done(&self, thread: String, done: bool) -> Result<NotifyThread, Error> {
        let mut found = self.conversation(thread).await?.thread;
        let state = Arc::clone(&self.setting.state);
        let (project, id) = (found.project.clone(), found.id.clone());
        let messages = done.then_some(found.messages);
        let set =
            tokio::task::spawn_blocking(move || state.set_notify_done(&project, &id, messages));
        joined(set.await)?;
        found.done = done;
        let thread = Box::new(found.clone());
        self.setting.events.publish(Event::Thread { thread });
        Ok(found)
    }

    /// Returns how notify is.
    pub(crate) async fn status(&self) -> Result<NotifyStatus, Error> {
        let (messages, threads, waiting, answering) = self
            .read(|office, _| {
                let (messages, threads, waiting) = office.counts();
                Ok((messages, threads, waiting, office.answering()))
            })
            .await?;
        Ok(NotifyStatus {
            repository: self.hosted().path().to_path_buf(),
            project_code: self.hosted().project_code(),
            messages: messages as u64,
            threads: threads as u64,
            waiting: waiting as u64,
            refused: self.refused.load(Ordering::Relaxed),
            bus: self.bus_listens.load(Ordering::Relaxed),
            answering: answering as u64,
            present: self.presence.show(),
        })
    }

    async fn done(&self) -> Result<HashMap<(String, String), u64>, Error> {
        let state = Arc::clone(&self.setting.state);
        joined(tokio::task::spawn_blocking(move || state.notify_done()).await)
    }

    /// Gives the office something to do, on the repository's own thread, and does what follows.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Office, &mut Repository) -> Result<(T, Follows), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let office = Arc::clone(&self.office);
        let hosted = self.hosted();
        let project = hosted.project_code().unwrap_or_default();
        let rights = rights(&self.setting.trust.register, &project);
        let done = hosted.write(move |repo| {
            let mut office = locked(&office);
            office.set_rights(rights);
            let (value, follows) = work(&mut office, repo)?;
            Ok::<_, Error>((value, outcome(&office, repo, follows)))
        });
        let (value, outcome) = done
            .await
            .map_err(crate::repository::TaskError::into_api)??;
        self.follow(outcome).await;
        Ok(value)
    }

    /// Asks the office something.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Office, &Repository) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let office = Arc::clone(&self.office);
        let ask = move |repo: &Repository| work(&locked(&office), repo);
        self.hosted().browse(ask).await
    }

    async fn follow(&self, outcome: Outcome) {
        for event in outcome.events {
            self.setting.events.publish(event);
        }
        for (question, device) in outcome.had {
            self.note_delivered(question, &device, true).await;
        }
        if outcome.stored {
            self.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
            self.hosted().changed(Origin::Push);
        }
        *locked(&self.next_due) = outcome.next_due;
        self.due.notify_one();
        self.remember_clocks(outcome.clocks).await;
        for reason in outcome.refused {
            self.count_refused(&reason);
        }
        let Some(bus) = self.bus() else { return };
        let messages = outcome.publish.iter().map(|message| {
            let subject = subject::of_thread(&message.project, &message.thread);
            Publish::new(subject, message.to_wire().into_bytes())
        });
        let acknowledgements = outcome
            .acknowledge
            .iter()
            .filter_map(|message| acknowledgement(message, self.setting.identity.endpoint_id()));
        for publish in messages.chain(acknowledgements) {
            if let Err(error) = bus.publish(publish).await {
                tracing::debug!(%error, "a message will come by replication only");
            }
        }
    }

    /// Returns the bus, where there is one.
    pub(super) fn bus(&self) -> Option<SharedBus> {
        let bus = self.bus.read().unwrap_or_else(PoisonError::into_inner);
        bus.clone()
    }

    /// Counts a message that was not taken, and speaks of it now and then.
    pub(super) fn count_refused(&self, reason: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(reason, "a message was refused");
        let now = Time::now();
        let mut told = locked(&self.refusal_told);
        if told.is_none_or(|at| now.unix_millis() - at.unix_millis() >= REFUSALS_TOLD_MS) {
            *told = Some(now);
            let words = format!("a message was refused: {reason}");
            self.hosted().log(Level::Warn, words);
        }
    }

    /// Does what is due by the clock.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let due = *locked(&self.next_due);
            let wait = due.map_or(NAP, |due| {
                let ms = due.unix_millis().saturating_sub(steady().unix_millis());
                Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(NAP)
            });
            tokio::select! {
                () = self.setting.stopped.cancelled() => return,
                () = self.due.notified() => continue,
                () = tokio::time::sleep(wait) => {}
            }
            if due.is_none_or(|due| due > steady()) {
                continue;
            }
            if let Err(error) = self.act(|office, repo| Ok(((), office.tick(repo)?))).await {
                self.hosted().log(Level::Error, error.message);
                // What cannot be stored now is tried again, not at once.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Looks into the repository when replication or another program changed it.
    async fn keep_looking(self: Arc<Self>) {
        let mut changes = self.setting.events.listen();
        loop {
            let event = tokio::select! {
                () = self.setting.stopped.cancelled() => return,
                event = changes.recv() => event,
            };
            let ours = match event {
                Ok(event) => match &*event {
                    Event::Repository { repository } => repository.name == self.hosted().name(),
                    _ => false,
                },
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => true,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            };
            if ours && let Err(error) = self.look().await {
                tracing::warn!(%error, "the repository of messages cannot be read");
            }
        }
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}

/// Puts what follows into the forms that fronts and the bus get.
fn outcome(office: &Office, repo: &Repository, follows: Follows) -> Outcome {
    let shown = |id: MessageId| {
        let is_it = |effect: &Effect| matches!(effect, Effect::Show(message) if message.id == id);
        follows.effects.iter().any(is_it)
    };
    let mut outcome = Outcome {
        stored: !follows.stored.is_empty(),
        next_due: office.next_due(),
        clocks: office.clocks(),
        ..Outcome::default()
    };
    for message in &follows.stored {
        if let Some(question) = message.reply_to.filter(|id| office.own(id).is_some())
            && office.own(&message.id).is_none()
        {
            outcome.had.push((question, message.from.clone()));
        }
        outcome.events.push(Event::Message {
            message: Box::new(office.show(message)),
            show: shown(message.id),
        });
    }
    for effect in follows.effects {
        match effect {
            Effect::Publish(message) => outcome.publish.push(message),
            Effect::Acknowledge(message) => outcome.acknowledge.push(message),
            Effect::Resolved { question, .. } | Effect::EndMoved(question) => {
                // The question may still be on its way.
                if let Ok(message) = office.message(repo, &question) {
                    let message = Box::new(message);
                    outcome.events.push(Event::Question { message });
                }
            }
            Effect::Refused { from, refusal, .. } => {
                let from = text::shown_on_a_line(&text::excerpt(&from, 16));
                outcome.refused.push(format!("{refusal} (from {from:?})"));
            }
            Effect::Folded {
                sender,
                name,
                count,
            } => outcome.events.push(Event::Folded {
                from: sender,
                from_name: name,
                count,
            }),
            _ => {}
        }
    }
    outcome
}

fn mark(thread: &mut NotifyThread, done: &HashMap<(String, String), u64>) {
    let key = (thread.project.clone(), thread.id.clone());
    thread.done = done
        .get(&key)
        .is_some_and(|messages| thread.messages <= *messages);
}

fn joined<T>(done: Result<rusqlite::Result<T>, tokio::task::JoinError>) -> Result<T, Error> {
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::internal(format!("agent.db: {error}"))),
        Err(error) => Err(Error::internal(error.to_string())),
    }
}

fn steady() -> Timestamp {
    clock::present().steady
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
