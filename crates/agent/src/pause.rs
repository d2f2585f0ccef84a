//! Pauses, of the whole agent or of one repository: while one lasts, nothing is pulled or pushed unless a person asks for it, and its
//! end makes up for that. Others are still answered, and what they push is taken. Pauses are kept in `agent.db`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::api::{Code, Error, Event, Level, Pause, Time};
use crate::core::{Core, state_failure};
use crate::state::StateDb;

/// How long the end of a pause is slept towards at once. A machine that slept meanwhile has a clock that jumped, and timers do not see it.
const NAP: Duration = Duration::from_secs(20);

/// The pauses of the agent and its repositories.
#[derive(Debug)]
pub(crate) struct Pauses {
    state: Arc<StateDb>,
    /// By repository; that of the whole agent has none.
    kept: Mutex<BTreeMap<Option<String>, Pause>>,
    changed: Notify,
}

impl Pauses {
    /// Returns the pauses that were made before the last stop.
    ///
    /// # Errors
    /// When `agent.db` cannot be read.
    pub(crate) fn open(state: Arc<StateDb>) -> rusqlite::Result<Self> {
        let kept = state.pauses()?;
        Ok(Self {
            state,
            kept: Mutex::new(kept),
            changed: Notify::new(),
        })
    }

    /// Returns the pause of the whole agent.
    pub(crate) fn of_all(&self) -> Option<Pause> {
        self.kept().get(&None).copied()
    }

    /// Returns the pause of a repository, its own or that of the whole agent.
    pub(crate) fn of(&self, name: &str) -> Option<Pause> {
        let kept = self.kept();
        let (whole, own) = (kept.get(&None), kept.get(&Some(name.to_owned())));
        match (whole.copied(), own.copied()) {
            (Some(whole), Some(own)) => Some(whole.longer(own)),
            (whole, own) => whole.or(own),
        }
    }

    /// Sets or ends a pause. Blocks on `agent.db`.
    pub(crate) fn set(&self, name: Option<&str>, pause: Option<Pause>) -> rusqlite::Result<()> {
        self.state.set_pause(name, pause)?;
        let key = name.map(ToOwned::to_owned);
        match pause {
            Some(pause) => self.kept().insert(key, pause),
            None => self.kept().remove(&key),
        };
        self.changed.notify_one();
        Ok(())
    }

    /// Returns those that are over.
    fn over(&self, now: Time) -> Vec<Option<String>> {
        let kept = self.kept();
        let over = kept.iter().filter(|(_, pause)| pause.is_over(now));
        over.map(|(name, _)| name.clone()).collect()
    }

    /// Returns how long to sleep until one may be over.
    fn nap(&self, now: Time) -> Option<Duration> {
        let next = self.kept().values().filter_map(|pause| pause.until).min()?;
        let left = next.unix_millis().saturating_sub(now.unix_millis());
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(NAP))
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Option<String>, Pause>> {
        // It changes by single calls that leave it whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Pauses a repository, or the whole agent. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `not_found` when there is no repository of that name, `internal` when `agent.db` cannot be written.
    pub(crate) fn pause(&self, name: Option<&str>, pause: Pause) -> Result<(), Error> {
        if let Some(name) = name {
            self.repository(name)?;
        }
        self.set_pause(name, Some(pause))?;
        let until = pause.until.map(|until| format!(" until {until}"));
        let message = format!("paused{}", until.unwrap_or_default());
        self.events.log(Level::Info, name, message);
        Ok(())
    }

    /// Ends the pause of a repository, or of the whole agent. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `not_found` when there is no repository of that name, `conflict` when the whole agent is paused and not just that repository,
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn resume(&self, name: Option<&str>) -> Result<(), Error> {
        if let Some(name) = name {
            self.repository(name)?;
            if self.pauses.of_all().is_some() {
                let error = Error::new(Code::Conflict, "the whole agent is paused");
                return Err(error.with_hint("Resume it as a whole."));
            }
        }
        let was = match name {
            Some(name) => self.pauses.of(name),
            None => self.pauses.of_all(),
        };
        self.set_pause(name, None)?;
        if was.is_some() {
            self.events.log(Level::Info, name, "resumed");
        }
        Ok(())
    }

    fn set_pause(&self, name: Option<&str>, pause: Option<Pause>) -> Result<(), Error> {
        self.pauses
            .set(name, pause)
            .map_err(|error| state_failure(&error))?;
        for hosted in self.all() {
            hosted.set_pause(self.pauses.of(hosted.name()));
        }
        if name.is_none() {
            self.events.publish(Event::Status(self.status()));
        }
        Ok(())
    }

    /// Ends pauses when their time has come, until the agent stops.
    pub(crate) async fn end_pauses(self: Arc<Self>) {
        loop {
            let over = self.pauses.over(Time::now());
            if !over.is_empty() {
                let core = Arc::clone(&self);
                let ended = tokio::task::spawn_blocking(move || {
                    over.iter().try_for_each(|name| {
                        core.set_pause(name.as_deref(), None)?;
                        let message = "the pause is over";
                        core.events.log(Level::Info, name.as_deref(), message);
                        Ok::<_, Error>(())
                    })
                });
                if let Ok(Err(error)) = ended.await {
                    self.events.log(Level::Error, None, error.message);
                }
            }
            let nap = self.pauses.nap(Time::now());
            tokio::select! {
                () = self.stopped.cancelled() => return,
                () = self.pauses.changed.notified() => {}
                // One that could not be ended is not tried without a pause.
                () = tokio::time::sleep(nap.unwrap_or(NAP).max(Duration::from_millis(10))), if nap.is_some() => {}
            }
        }
    }
}
