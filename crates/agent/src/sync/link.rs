//! The tie between a repository and one remote: a task that exchanges when something changed here, when a person asks, and at
//! the poll; one exchange at a time, with growing pauses while the remote fails, which a change here cuts short.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libfossil::db::Repository;
use libfossil::xfer::client::Summary;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Http;
use super::condition::{Condition, Progress};
use super::{Remote, Wishes, check_private, client, exchange, jitter};
use crate::api::{Code, Error, Level, State, Time};
use crate::limits;
use crate::metrics::Tally;
use crate::repository::{Hosted, Origin, file_error};
use crate::supervise::supervise;

/// What starting a link takes.
#[derive(Debug, Clone)]
pub(crate) struct Linker {
    pub http: Http,
    pub wishes: Wishes,
    pub poll: Duration,
    pub tasks: TaskTracker,
    /// How the exchanges of all links went.
    pub tally: Arc<Tally>,
}

/// The tie between a repository and one remote.
#[derive(Debug)]
pub(crate) struct Link {
    remote: Remote,
    condition: Mutex<Condition>,
    /// Something changed here.
    stirred: Notify,
    /// A person asked.
    asked: Notify,
    pushes: bool,
    cut: CancellationToken,
}

/// Why an exchange is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Poll,
    Change,
    Person,
}

impl Linker {
    /// Starts the link of `hosted` with `remote`. It begins with an exchange.
    pub(crate) fn start(&self, hosted: &Arc<Hosted>, remote: Remote) -> Arc<Link> {
        let link = Arc::new(Link {
            remote,
            condition: Mutex::default(),
            stirred: Notify::new(),
            asked: Notify::new(),
            pushes: self.wishes.push,
            cut: hosted.closed().child_token(),
        });
        let (begun, host, linker) = (Arc::clone(&link), Arc::clone(hosted), self.clone());
        let begin = move || Arc::clone(&begun).run(Arc::clone(&host), linker.clone());
        let (events, name) = (Arc::clone(hosted.events()), hosted.name().to_owned());
        supervise(&self.tasks, events, name, link.cut.clone(), begin);
        link
    }
}

impl Link {
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns the state to show.
    pub(crate) fn state(&self) -> State {
        self.condition().state()
    }

    /// The repository changed here.
    pub(crate) fn changed(&self) {
        if self.pushes {
            self.condition().changed();
        }
        // Also where nothing is pushed: what failed may have failed for want of the file.
        self.stirred.notify_one();
    }

    /// Asks for an exchange now, also while the remote fails.
    pub(crate) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Ends the link.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    async fn run(self: Arc<Self>, hosted: Arc<Hosted>, linker: Linker) {
        let mut due = Instant::now();
        // While the remote fails: before this no change of ours brings the next try.
        let mut rests: Option<Instant> = None;
        let mut pauses = hosted.pauses();
        let mut paused = pauses.borrow_and_update().is_some();
        loop {
            let cause = tokio::select! {
                () = self.cut.cancelled() => break,
                () = self.asked.notified() => Cause::Person,
                changed = pauses.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let before = std::mem::replace(&mut paused, pauses.borrow_and_update().is_some());
                    match (before, paused) {
                        (false, true) => self.condition().rested(),
                        // Its end makes up for it.
                        (true, false) => due = Instant::now(),
                        _ => {}
                    }
                    rests = None;
                    continue;
                }
                () = self.stirred.notified(), if !paused => match rests {
                    // A change may be what the remote or the file waited for; a flood of them must not become one of tries.
                    Some(until) => {
                        due = due.min(until);
                        continue;
                    }
                    // The exchange before this one took it along.
                    None if !self.condition().is_changed() => continue,
                    None => Cause::Change,
                },
                () = sleep_until(due), if !paused => Cause::Poll,
            };
            let outcome = tokio::select! {
                () = self.cut.cancelled() => break,
                outcome = self.exchange(&hosted, &linker, cause) => outcome,
            };
            // What fails because the repository is being closed is no failure.
            if self.cut.is_cancelled() {
                break;
            }
            let asked = cause == Cause::Person;
            let wait = self.settle(&hosted, outcome, asked).await;
            linker.tally.count(wait.is_none());
            let now = Instant::now();
            rests = wait.map(|wait| now + wait.min(limits::BACKOFF_MIN));
            due = now + wait.unwrap_or_else(|| spread(linker.poll));
        }
        self.condition().abandoned();
    }

    /// Makes one exchange, and shows that it is under way unless it is a poll that brings nothing.
    async fn exchange(
        &self,
        hosted: &Arc<Hosted>,
        linker: &Linker,
        cause: Cause,
    ) -> Result<Summary, Error> {
        // The login is bound to the project: the remote would complain of the password.
        hosted.check_project().await?;
        let worth_showing = {
            let mut condition = self.condition();
            let changed = condition.is_changed() && !condition.is_failing();
            condition.began();
            changed || cause == Cause::Person
        };
        if worth_showing {
            self.show(
                hosted,
                Progress {
                    phase: linker.wishes.phase(),
                    done: 0,
                    total: None,
                },
            );
        }
        let phase = linker.wishes.phase();
        let mut shown = Instant::now();
        let progress = |summary: &Summary| {
            let done = (summary.artifacts_received + summary.artifacts_sent) as u64;
            if (done > 0 || shown.elapsed() > limits::QUIET_POLL)
                && shown.elapsed() > limits::PROGRESS
            {
                shown = Instant::now();
                self.show(
                    hosted,
                    Progress {
                        phase,
                        done,
                        total: None,
                    },
                );
            }
        };
        let (goal, room) = (linker.wishes.goal(), hosted.uv_room());
        let start = move |_: &mut Repository, login| Ok(client(goal, login, room));
        exchange::run(hosted.writer(), &linker.http, &self.remote, start, progress).await
    }

    /// Makes sure that a completed exchange left nothing behind: a server that does not let us write, or see what is private, says so in passing.
    async fn check_whole(&self, hosted: &Hosted, summary: &Summary) -> Result<(), Error> {
        check_private(summary)?;
        if !summary.push_refused {
            return Ok(());
        }
        match hosted.write(|repository| repository.has_unsent()).await {
            Ok(Ok(false)) => Ok(()),
            Ok(Ok(true)) => {
                let who = self.remote.user().map_or_else(
                    || "anonymous users".to_owned(),
                    |user| format!("the user {user}"),
                );
                let message =
                    format!("the server does not let {who} write; what is new here stays here");
                Err(Error::new(Code::RemoteLogin, message)
                    .with_hint("Set a user and password that may write there."))
            }
            Ok(Err(error)) => Err(file_error(&error)),
            Err(error) => Err(error.into_api()),
        }
    }

    /// Takes note of how an exchange ended. Returns how long to wait when it failed.
    async fn settle(
        &self,
        hosted: &Arc<Hosted>,
        exchanged: Result<Summary, Error>,
        asked: bool,
    ) -> Option<Duration> {
        let outcome = match exchanged {
            Ok(summary) => {
                self.tell(hosted, &summary);
                self.check_whole(hosted, &summary).await
            }
            Err(error) => Err(error),
        };
        let wait = match outcome {
            Ok(()) => {
                if self.condition().is_failing() {
                    hosted.log(Level::Info, format!("{} answers again", self.remote));
                }
                self.condition().completed(Time::now());
                None
            }
            Err(error) => {
                if !self.condition().fails_with(&error) {
                    hosted.log(Level::Warn, format!("{}: {}", self.remote, error.message));
                }
                Some(self.condition().failed(error, Time::now(), jitter(), asked))
            }
        };
        hosted.publish();
        wait
    }

    /// Tells what a completed exchange moved.
    fn tell(&self, hosted: &Hosted, summary: &Summary) {
        let received = summary.artifacts_received + summary.unversioned_received;
        let sent = summary.artifacts_sent + summary.unversioned_sent;
        tracing::debug!(
            repository = hosted.name(),
            rounds = summary.rounds,
            received,
            sent,
            missing = summary.missing,
            "exchanged"
        );
        for message in &summary.messages {
            hosted.log(Level::Info, format!("{} says: {message}", self.remote));
        }
        if received > 0 || sent > 0 {
            hosted.log(
                Level::Info,
                format!("{}: received {received}, sent {sent}", self.remote),
            );
        }
        if received > 0 {
            hosted.changed(Origin::Link(self));
        }
    }

    fn show(&self, hosted: &Hosted, progress: Progress) {
        self.condition().progressed(progress);
        hosted.publish();
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        // Every method of a condition leaves it whole.
        self.condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `poll`, up to a tenth more or less: agents that were started together should not ask together for ever.
fn spread(poll: Duration) -> Duration {
    poll.mul_f64(0.9 + 0.2 * jitter())
}
