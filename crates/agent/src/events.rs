//! What happens in the agent, told to everyone who listens: the page, the tray, tests. A listener that falls behind is given
//! a whole status instead of what it missed, so nobody is ever slowed down by it and nobody ends up with a wrong picture.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::api::{Event, Level, Status, Time};
use crate::core::Core;
use crate::limits;

/// The place where events are published.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Arc<Event>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::channel(limits::EVENTS).0,
        }
    }

    /// Returns a listener that is told what happens from now on, and nothing of before.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }

    /// Tells everyone how one thing is now; `telling` is that thing's own. Of two tasks that tell of it at once, the one that
    /// looked first could else speak last, and leave everyone with what is not true any more. `look` must not tell of it itself.
    pub(crate) fn publish_now(&self, telling: &Telling, look: impl FnOnce() -> Event) {
        let _alone = telling.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish(look());
    }

    /// Tells everyone who listens. That nobody does is fine.
    pub(crate) fn publish(&self, event: Event) {
        let _ = self.sender.send(Arc::new(event));
    }

    /// Writes to the log and tells everyone who listens.
    pub(crate) fn log(&self, level: Level, repository: Option<&str>, message: impl Into<String>) {
        let message = message.into();
        match level {
            Level::Error => tracing::error!(repository, "{message}"),
            Level::Warn => tracing::warn!(repository, "{message}"),
            Level::Info => tracing::info!(repository, "{message}"),
            Level::Debug => tracing::debug!(repository, "{message}"),
            Level::Trace => tracing::trace!(repository, "{message}"),
        }
        let repository = repository.map(ToOwned::to_owned);
        self.publish(Event::Log {
            at: Time::now(),
            level,
            message,
            repository,
        });
    }
}

/// Keeps what is told of one thing in the order in which it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Telling(Mutex<()>);

/// A listener's place in the stream of events. The first event is the whole status.
#[derive(Debug)]
pub struct Subscription {
    core: Arc<Core>,
    receiver: broadcast::Receiver<Arc<Event>>,
    stopped: CancellationToken,
    status_due: bool,
}

impl Subscription {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let receiver = core.events.sender.subscribe();
        let stopped = core.stopped.clone();
        Self {
            core,
            receiver,
            stopped,
            status_due: true,
        }
    }

    /// Returns the next event, or `None` when the agent has stopped.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if std::mem::take(&mut self.status_due) {
            return Some(Arc::new(Event::Status(self.status())));
        }
        let received = tokio::select! {
            received = self.receiver.recv() => received,
            () = self.stopped.cancelled() => return None,
        };
        match received {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "a listener fell behind and gets a whole status");
                self.receiver = self.receiver.resubscribe();
                Some(Arc::new(Event::Status(self.status())))
            }
            Err(RecvError::Closed) => None,
        }
    }

    fn status(&self) -> Status {
        self.core.status()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_is_told_of_one_thing_is_never_older_than_what_was_told_before() {
        let (events, telling, thing) = (Events::new(), Telling::default(), AtomicUsize::new(0));
        let mut told = events.listen();
        let change_and_tell = || {
            for _ in 0..limits::EVENTS / 8 {
                thing.fetch_add(1, Ordering::SeqCst);
                events.publish_now(&telling, || {
                    let name = thing.load(Ordering::SeqCst).to_string();
                    std::thread::yield_now();
                    Event::Removed { name }
                });
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(change_and_tell);
            }
        });
        let mut last = 0;
        while let Ok(event) = told.try_recv() {
            let Event::Removed { name } = &*event else {
                panic!("nothing else is told here: {event:?}");
            };
            let now: usize = name.parse().unwrap();
            assert!(now >= last, "{now} was told after {last}");
            last = now;
        }
        assert_eq!(last, thing.load(Ordering::SeqCst));
    }
}
