//! A repository of the agent: its file, what is known about it, and how it stands with its remotes. A keeper task notices what
//! other programs do to the file, tells the links to the remotes, and keeps the figures that everyone sees fresh.

pub(crate) mod browse;
mod create;
mod facts;
mod readers;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use edgesync_replica::Origin as Arrival;
use libfossil::db::Repository as File;
use libfossil::history::{EventKind, Timeline};
use libfossil::xfer::client::UvRoom;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Level, State};
use crate::events::{Events, Telling};
use crate::limits;
use crate::metrics::Tally;
use crate::supervise::supervise;
use crate::sync::{Link, Linker, Remote};
use facts::Unreadable;
use readers::Readers;
use trouble::Trouble;

pub(crate) use create::{create, system_user};
pub(crate) use facts::Facts;
pub(crate) use writer::{TaskError, Writer, file_error};

/// A repository that the agent hosts.
#[derive(Debug)]
pub(crate) struct Hosted {
    name: String,
    path: PathBuf,
    clone_url: Option<String>,
    /// It holds the questions and answers.
    notify: AtomicBool,
    /// The code of the project that the file was first seen with.
    project: OnceLock<String>,
    events: Arc<Events>,
    writer: Writer,
    readers: Readers,
    facts: Mutex<Result<Facts, Unreadable>>,
    facts_due: Notify,
    /// Counts changes of the content.
    revision: AtomicU64,
    timelines: Mutex<HashMap<Option<EventKind>, KeptTimeline>>,
    links: Mutex<Vec<Arc<Link>>>,
    telling: Telling,
    /// How it stands with the peers on the bus, where there are any.
    mesh: Mutex<Option<State>>,
    /// Why what others sent is not stored.
    trouble: Mutex<Option<Trouble>>,
    /// How the sync requests of others went.
    served: Tally,
    /// Cancelled once the file was looked at for the first time: a test's changes before that would count as found by chance.
    #[cfg(test)]
    pub(crate) kept: CancellationToken,
    /// A person wants nothing pulled or pushed.
    pause: watch::Sender<Option<api::Pause>>,
    /// Who tells the peers on the bus of changes.
    arrivals: Mutex<Option<UnboundedSender<Arrival>>>,
    /// Unversioned files travel in every exchange, as far as there is this room.
    uv_room: OnceLock<UvRoom>,
    closed: CancellationToken,
}

/// A timeline's order and graph, with the revision at which they were read.
type KeptTimeline = (u64, Arc<Timeline>);

/// Who changed a repository.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// Another program; the watch of the file told.
    Watch,
    /// Another program; looking at the file now and then found it.
    Poll,
    /// A client that pushed.
    Push,
    /// The exchange with a remote, which therefore knows already.
    Link(&'a Link),
    /// An exchange over the bus, whose maker tells the other peers itself.
    Bus,
}

impl Origin<'_> {
    /// Returns this as replication counts it, where it is to be told.
    fn arrival(self) -> Option<Arrival> {
        match self {
            Self::Watch => Some(Arrival::Watch),
            Self::Poll => Some(Arrival::FilePoll),
            Self::Push => Some(Arrival::Push),
            Self::Link(_) => Some(Arrival::Remote),
            Self::Bus => None,
        }
    }
}

impl Hosted {
    /// Looks at the repository at `path`, which does not have to be readable now. Blocks on the file.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn open(
        name: String,
        path: PathBuf,
        clone_url: Option<String>,
        events: Arc<Events>,
        closed: CancellationToken,
    ) -> std::io::Result<Self> {
        let facts = Facts::read(&path);
        let project = facts.as_ref().ok().map(|facts| facts.project_code.clone());
        let writer = Writer::start(&name, &path)?;
        Ok(Self {
            readers: Readers::new(&path, Arc::clone(writer.used())),
            writer,
            facts: Mutex::new(facts),
            facts_due: Notify::new(),
            revision: AtomicU64::new(0),
            timelines: Mutex::default(),
            links: Mutex::default(),
            telling: Telling::default(),
            mesh: Mutex::default(),
            trouble: Mutex::default(),
            served: Tally::default(),
            #[cfg(test)]
            kept: CancellationToken::new(),
            pause: watch::Sender::default(),
            arrivals: Mutex::default(),
            uv_room: OnceLock::new(),
            name,
            path,
            clone_url,
            notify: AtomicBool::new(false),
            project: project.map_or_else(OnceLock::new, OnceLock::from),
            events,
            closed,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes this the repository of questions and answers.
    pub(crate) fn hold_notify(&self) {
        self.notify.store(true, Ordering::Relaxed);
    }

    /// Returns whether this is the repository of questions and answers.
    pub(crate) fn holds_notify(&self) -> bool {
        self.notify.load(Ordering::Relaxed)
    }

    /// Returns the project code, where the file could be read.
    pub(crate) fn project_code(&self) -> Option<String> {
        locked(&self.facts)
            .as_ref()
            .ok()
            .map(|facts| facts.project_code.clone())
    }

    /// Becomes cancelled when the repository leaves the agent.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Has unversioned files travel in every exchange, whatever the flags say, as far as there is this room.
    pub(crate) fn sync_unversioned(&self, room: UvRoom) {
        // It is said once, when the repository is opened.
        let _ = self.uv_room.set(room);
    }

    /// Returns the room for unversioned files, where they always travel.
    pub(crate) fn uv_room(&self) -> Option<UvRoom> {
        self.uv_room.get().copied()
    }

    /// Returns the repository as the API shows it.
    pub(crate) fn show(&self) -> api::Repository {
        let links = locked(&self.links).clone();
        let facts = locked(&self.facts);
        let state = match &*facts {
            Err(unreadable) => State::Missing {
                message: unreadable.to_string(),
                hint: unreadable.hint(),
            },
            Ok(_) => {
                let pause = *self.pause.borrow();
                let mut states: Vec<State> = links.iter().map(|link| link.state()).collect();
                // Peers that failed before are not tried again in a pause.
                let tried =
                    |state: &State| pause.is_none() || !matches!(state, State::Error { .. });
                // Where remotes are, the age is that of the exchanges with them; peers are not asked again what they have said.
                let counts =
                    |state: &State| links.is_empty() || !matches!(state, State::UpToDate { .. });
                let mesh = locked(&self.mesh).clone();
                states.extend(mesh.filter(|state| tried(state) && counts(state)));
                let trouble = locked(&self.trouble).clone();
                let trouble = trouble.map(|it| it.state(&states));
                states.extend(trouble);
                let worst = State::worst(&states);
                match pause {
                    Some(pause) => worst.in_pause(pause),
                    None => worst,
                }
            }
        };
        let facts = facts.as_ref().ok();
        api::Repository {
            name: self.name.clone(),
            path: self.path.clone(),
            project_code: facts.map(|facts| facts.project_code.clone()),
            project_name: facts.and_then(|facts| facts.project_name.clone()),
            size: facts.map_or(0, |facts| facts.size),
            check_ins: facts.map_or(0, |facts| facts.check_ins),
            artifacts: facts.map_or(0, |facts| facts.artifacts),
            last_check_in: facts.and_then(|facts| facts.last_check_in.clone()),
            remote: links.first().map(|link| link.remote().shown()),
            clone_url: self.clone_url.clone(),
            notify: self.holds_notify(),
            state,
        }
    }

    /// Tells everyone how the repository is now.
    pub(crate) fn publish(&self) {
        self.events
            .publish_now(&self.telling, || api::Event::Repository {
                repository: self.show(),
            });
    }

    /// Writes to the log, naming this repository.
    pub(crate) fn log(&self, level: Level, message: impl Into<String>) {
        self.events.log(level, Some(&self.name), message);
    }

    /// The thread that writes the repository.
    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Does `work` on the repository, alone with it.
    ///
    /// # Errors
    /// [`TaskError`] when the file cannot be used or the work panicked.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> T + Send + 'static,
    ) -> Result<T, TaskError> {
        self.report(self.writer.run(work).await)
    }

    /// Does `work` on the repository, beside others.
    ///
    /// # Errors
    /// [`TaskError`] when the file cannot be used or the work panicked.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> T + Send + 'static,
    ) -> Result<T, TaskError> {
        self.report(self.readers.run(work).await)
    }

    /// Makes sure that the file still holds the project that it was first seen with: another one may have taken its place.
    ///
    /// # Errors
    /// `repository` when it holds another one or cannot be used.
    pub(crate) async fn check_project(&self) -> Result<(), api::Error> {
        let held = self
            .browse(|file| file.project_code().map_err(|error| file_error(&error)))
            .await?;
        let known = self.project.get_or_init(|| held.to_string());
        if known == held.as_str() {
            return Ok(());
        }
        let message = format!("{} is now another project", self.path.display());
        Err(api::Error::new(api::Code::Repository, message).with_hint(
            "Put the file of the project back, or remove the repository from the list and add it anew.",
        ))
    }

    /// Looks at the repository for people.
    ///
    /// # Errors
    /// What `work` returns, and `repository` when the file cannot be used.
    pub(crate) async fn browse<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, api::Error> + Send + 'static,
    ) -> Result<T, api::Error> {
        self.read(work)
            .await
            .unwrap_or_else(|error| Err(error.into_api()))
    }

    /// Returns a page of the timeline. Order and graph of all rows are kept until something changes.
    ///
    /// # Errors
    /// `repository` when the file cannot be used.
    pub(crate) async fn timeline(
        &self,
        kind: Option<EventKind>,
        offset: usize,
        limit: usize,
    ) -> Result<api::Timeline, api::Error> {
        let revision = self.revision.load(Ordering::Relaxed);
        let kept = locked(&self.timelines)
            .get(&kind)
            .filter(|(of, _)| *of == revision)
            .map(|(_, timeline)| Arc::clone(timeline));
        let work = move |file: &File| {
            let timeline = match kept {
                Some(timeline) => timeline,
                None => Arc::new(Timeline::read(file, kind).map_err(|error| file_error(&error))?),
            };
            Ok((
                browse::timeline_page(file, &timeline, offset, limit)?,
                timeline,
            ))
        };
        let (page, timeline) = self.browse(work).await?;
        locked(&self.timelines).insert(kind, (revision, timeline));
        Ok(page)
    }

    fn report<T>(&self, done: Result<T, TaskError>) -> Result<T, TaskError> {
        if let Err(TaskError::Panicked) = &done {
            self.log(
                Level::Error,
                "a bug stopped the work on this repository; it goes on after a pause",
            );
        }
        done
    }

    /// The content changed: tells the links that do not know yet, and has the figures read again.
    pub(crate) fn changed(&self, by: Origin<'_>) {
        self.revision.fetch_add(1, Ordering::Relaxed);
        for link in locked(&self.links).iter() {
            match by {
                Origin::Link(known) if std::ptr::eq(known, Arc::as_ptr(link)) => {}
                _ => link.changed(),
            }
        }
        if let (Some(arrival), Some(tell)) = (by.arrival(), &*locked(&self.arrivals)) {
            // Who listened has left the bus.
            let _ = tell.send(arrival);
        }
        self.facts_due.notify_one();
    }

    /// Returns a listener for changes that the peers on the bus do not know of. There is one at a time.
    pub(crate) fn arrivals(&self) -> UnboundedReceiver<Arrival> {
        let (tell, arrivals) = unbounded_channel();
        *locked(&self.arrivals) = Some(tell);
        arrivals
    }

    /// Sets how the repository stands with the peers on the bus, and tells everyone when that is news.
    pub(crate) fn set_mesh(&self, state: Option<State>) {
        let news = {
            let mut mesh = locked(&self.mesh);
            let same = match (&*mesh, &state) {
                // That it was so a moment later again is no news.
                (Some(State::UpToDate { .. }), Some(State::UpToDate { .. })) => true,
                (old, new) => old == new,
            };
            *mesh = state;
            !same
        };
        if news {
            self.publish();
        }
    }

    /// How the sync requests of others went.
    pub(crate) fn served(&self) -> &Tally {
        &self.served
    }

    /// Returns whether a person wants nothing pulled or pushed, now and as that changes.
    pub(crate) fn pauses(&self) -> watch::Receiver<Option<api::Pause>> {
        self.pause.subscribe()
    }

    /// Begins, changes or ends a pause, and tells everyone when that is news.
    pub(crate) fn set_pause(&self, pause: Option<api::Pause>) {
        let set = |old: &mut Option<api::Pause>| std::mem::replace(old, pause) != pause;
        if self.pause.send_if_modified(set) {
            self.publish();
        }
    }

    /// Returns the first remote.
    pub(crate) fn remote(&self) -> Option<Remote> {
        locked(&self.links)
            .first()
            .map(|link| link.remote().clone())
    }

    /// The events of the agent that hosts this.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Sets the remotes. Links to earlier ones are cut.
    pub(crate) fn link(self: &Arc<Self>, remotes: Vec<Remote>, linker: &Linker) {
        let links: Vec<_> = remotes
            .into_iter()
            .map(|remote| linker.start(self, remote))
            .collect();
        let cut = std::mem::replace(&mut *locked(&self.links), links);
        cut.iter().for_each(|link| link.cut());
        self.publish();
    }

    /// Asks every remote for an exchange now.
    pub(crate) fn sync_now(&self) {
        locked(&self.links).iter().for_each(|link| link.ask());
    }

    /// Starts the task that notices what others do to the file: at once when `touched` is notified, else every `poll`.
    pub(crate) fn keep(
        self: &Arc<Self>,
        touched: Arc<Notify>,
        poll: Duration,
        tasks: &TaskTracker,
    ) {
        let hosted = Arc::clone(self);
        let begin = move || Arc::clone(&hosted).watch_over(Arc::clone(&touched), poll);
        supervise(
            tasks,
            Arc::clone(&self.events),
            self.name.clone(),
            self.closed.clone(),
            begin,
        );
    }

    async fn watch_over(self: Arc<Self>, touched: Arc<Notify>, poll: Duration) {
        // What changed before the watch began.
        self.look(Origin::Poll).await;
        #[cfg(test)]
        self.kept.cancel();
        let mut next_poll = Instant::now() + poll;
        let (mut look_from, mut settled_at) = (Instant::now(), None);
        let mut idle_at = None;
        loop {
            tokio::select! {
                () = self.closed.cancelled() => break,
                () = self.facts_due.notified() => self.refresh().await,
                // A commit touches the file many times. To look costs less than to wait until it rests.
                () = touched_after(look_from, &touched) => {
                    self.look(Origin::Watch).await;
                    look_from = Instant::now() + limits::LOOK_PAUSE;
                    settled_at = Some(Instant::now() + limits::SETTLE);
                }
                // What a transaction did shows a moment after its last touch, and nothing else may tell of it.
                () = until(settled_at) => {
                    settled_at = None;
                    self.look(Origin::Watch).await;
                }
                () = sleep_until(next_poll) => {
                    self.look(Origin::Poll).await;
                    next_poll = Instant::now() + poll;
                }
                () = until(self.trouble_due()) => self.try_storing().await,
                () = self.writer.used().notified() => idle_at = Some(Instant::now() + limits::IDLE),
                () = until(idle_at) => {
                    idle_at = None;
                    self.rest().await;
                }
            }
        }
    }

    /// Gives back the memory that only makes reading faster.
    async fn rest(&self) {
        locked(&self.timelines).clear();
        self.readers.rest().await;
        if let Err(error) = self.writer.rest().await {
            tracing::debug!(repository = self.name, %error, "memory was not given back");
        }
    }

    /// Looks whether others changed the file.
    async fn look(&self, origin: Origin<'_>) {
        let readable = locked(&self.facts).is_ok();
        match self.report(self.writer.look().await) {
            Ok(true) => self.changed(origin),
            Ok(false) if readable => {}
            // It went away or came back; the figures say which.
            Ok(false) | Err(TaskError::File(_)) => self.refresh().await,
            Err(_) => {}
        }
    }

    /// Reads the figures again, and tells everyone when they are other ones.
    async fn refresh(&self) {
        let path = self.path.clone();
        let Ok(facts) = tokio::task::spawn_blocking(move || Facts::read(&path)).await else {
            return;
        };
        let was_readable = {
            let mut known = locked(&self.facts);
            let same = match (&*known, &facts) {
                (Ok(old), Ok(new)) => old == new,
                (Err(old), Err(new)) => old.to_string() == new.to_string(),
                _ => false,
            };
            if same {
                return;
            }
            std::mem::replace(&mut *known, facts).is_ok()
        };
        let trouble = locked(&self.facts).as_ref().err().map(ToString::to_string);
        if was_readable == trouble.is_some() {
            // What the engine remembers of a file that was written over may be of the time when it was not whole.
            self.readers.rest().await;
            if let Err(error) = self.writer.reopen().await {
                tracing::debug!(repository = self.name, %error, "the file was not opened anew");
            }
        }
        match trouble {
            Some(trouble) if was_readable => self.log(Level::Error, trouble),
            None if !was_readable => {
                self.log(Level::Info, "the file can be read again");
                // It may hold something else now, and what failed for want of it need not wait any longer.
                self.changed(Origin::Watch);
            }
            _ => {}
        }
        self.publish();
    }

    /// Ends everything that runs for this repository. Returns its thread, which ends when what was handed over is written.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        self.closed.cancel();
        self.readers.close();
        self.writer.close()
    }
}

/// Waits for a time; for ever where there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until the file was touched, and for this moment.
async fn touched_after(moment: Instant, touched: &Notify) {
    sleep_until(moment).await;
    touched.notified().await;
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single assignments.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
