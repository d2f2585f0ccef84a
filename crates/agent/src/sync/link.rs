//! The tie between a repository and one remote: a task that exchanges when something changed here, when a person asks, and at
//! the poll; one exchange at a time, with growing pauses while the remote fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::condition::{Condition, Progress};
use super::exchange::{self, Outcome};
use super::http::Http;
use super::{Remote, Wishes};
use crate::api::{Level, State, Time};
use crate::limits;
use crate::repository::{Hosted, Origin};
use crate::text;

/// What starting a link takes.
#[derive(Debug, Clone)]
pub(crate) struct Linker {
    pub http: Http,
    pub wishes: Wishes,
    pub poll: Duration,
    pub tasks: TaskTracker,
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
        self.tasks
            .spawn(Arc::clone(&link).run(Arc::clone(hosted), self.clone()));
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
            self.stirred.notify_one();
        }
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
        let mut failing = false;
        loop {
            let cause = tokio::select! {
                () = self.cut.cancelled() => break,
                () = self.asked.notified() => Cause::Person,
                () = self.stirred.notified(), if !failing => Cause::Change,
                () = sleep_until(due) => Cause::Poll,
            };
            if cause == Cause::Change && !self.condition().is_changed() {
                // The exchange before this one took it along.
                continue;
            }
            let outcome = tokio::select! {
                () = self.cut.cancelled() => break,
                outcome = self.exchange(&hosted, &linker, cause) => outcome,
            };
            let wait = self.settle(&hosted, &linker, outcome);
            failing = wait.is_some();
            due = Instant::now() + wait.unwrap_or_else(|| spread(linker.poll));
        }
        self.condition().abandoned();
    }

    /// Makes one exchange, and shows that it is under way unless it is a poll that brings nothing.
    async fn exchange(
        &self,
        hosted: &Arc<Hosted>,
        linker: &Linker,
        cause: Cause,
    ) -> Result<Outcome, crate::api::Error> {
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
        let mut shown = Instant::now();
        let progress = |progress: Progress| {
            let worth_it = progress.done > 0 || shown.elapsed() > limits::QUIET_POLL;
            if worth_it && shown.elapsed() > limits::PROGRESS {
                shown = Instant::now();
                self.show(hosted, progress);
            }
        };
        exchange::run(hosted, &linker.http, &self.remote, linker.wishes, progress).await
    }

    /// Takes note of how an exchange ended. Returns how long to wait when it failed.
    fn settle(
        &self,
        hosted: &Arc<Hosted>,
        linker: &Linker,
        outcome: Result<Outcome, crate::api::Error>,
    ) -> Option<Duration> {
        let wait = match outcome {
            Ok(outcome) => {
                let was_failing = self.condition().is_failing();
                self.condition().completed(Time::now());
                if outcome.sent > 0 || outcome.received > 0 {
                    let message = format!(
                        "{}: received {}, sent {}",
                        self.remote, outcome.received, outcome.sent
                    );
                    hosted.log(Level::Info, message);
                } else if was_failing {
                    hosted.log(Level::Info, format!("{} answers again", self.remote));
                }
                if outcome.received > 0 {
                    hosted.changed(Origin::Link(self));
                }
                None
            }
            Err(error) => {
                if !self.condition().fails_with(&error) {
                    hosted.log(Level::Warn, format!("{}: {}", self.remote, error.message));
                }
                Some(self.condition().failed(error, Time::now(), jitter()))
            }
        };
        tracing::debug!(repository = hosted.name(), phase = ?linker.wishes.phase(), failed = wait.is_some(), "an exchange ended");
        hosted.publish();
        wait
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

/// Returns a random number from 0 to 1.
fn jitter() -> f64 {
    // Without random bytes waits are all the same, which is worse for the server but not wrong.
    text::random::<4>().map_or(0.5, |bytes| {
        f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
    })
}
