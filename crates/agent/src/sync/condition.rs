//! How a repository stands with one remote: a small machine without clock or I/O that is told what happened and says the state
//! to show. It says `up_to_date` only after a completed exchange with nothing changed since.

use std::time::Duration;

use crate::api::{Error, Phase, State, Time};
use crate::limits;

/// How far an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub phase: Phase,
    pub done: u64,
    pub total: Option<u64>,
}

/// How a repository stands with one remote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    last_ok: Option<Time>,
    changed: bool,
    running: Option<Progress>,
    failure: Option<Failure>,
    failures: u32,
}

#[derive(Debug, Clone)]
struct Failure {
    error: Error,
    since: Time,
    retry_at: Option<Time>,
}

impl Condition {
    /// Returns the state to show.
    pub(crate) fn state(&self) -> State {
        if let Some(Progress { phase, done, total }) = self.running {
            return State::Syncing { phase, done, total };
        }
        if let Some(Failure {
            error,
            since,
            retry_at,
        }) = &self.failure
        {
            return State::Error {
                code: error.code,
                message: error.message.clone(),
                hint: error.hint.clone(),
                since: *since,
                retry_at: *retry_at,
                last_ok: self.last_ok,
            };
        }
        match self.last_ok {
            at if self.changed => State::Pending { at },
            Some(at) => State::UpToDate { at },
            None => State::Never,
        }
    }

    /// Whether changes wait for the next exchange.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Whether the last exchange failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether the last exchange failed in the same words.
    pub(crate) fn fails_with(&self, error: &Error) -> bool {
        self.failure
            .as_ref()
            .is_some_and(|failure| failure.error == *error)
    }

    /// The local repository changed.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// An exchange begins. What changes from here on waits for the next one.
    pub(crate) fn began(&mut self) {
        self.changed = false;
    }

    /// An exchange that is worth showing is under way.
    pub(crate) fn progressed(&mut self, progress: Progress) {
        self.running = Some(progress);
    }

    /// The exchange was completed.
    pub(crate) fn completed(&mut self, now: Time) {
        *self = Self {
            last_ok: Some(now),
            changed: self.changed,
            ..Self::default()
        };
    }

    /// The exchange failed. Returns how long to wait before the next try; `jitter` is a random number from 0 to 1. What a person `asked` for does not
    /// put off the next try of which nobody has to think.
    pub(crate) fn failed(&mut self, error: Error, now: Time, jitter: f64, asked: bool) -> Duration {
        let planned = self.failure.as_ref().filter(|_| asked);
        let left = planned.and_then(|it| it.retry_at).map(|at| now.age(at));
        let left = left.filter(|left| !left.is_zero());
        if planned.is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        let earlier = self.failures.saturating_sub(1);
        let wait = left.unwrap_or_else(|| backoff(earlier, jitter));
        self.running = None;
        // What the failed exchange was to bring over is still to be brought.
        self.changed = true;
        let since = self.failure.as_ref().map_or(now, |failure| failure.since);
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let retry_at = Some(Time::from_unix_millis(
            now.unix_millis().saturating_add(millis),
        ));
        self.failure = Some(Failure {
            error,
            since,
            retry_at,
        });
        wait
    }

    /// Exchanges rest for a while. What failed before is tried anew after it.
    pub(crate) fn rested(&mut self) {
        self.failure = None;
        self.failures = 0;
    }

    /// The exchange was given up because the agent stops or the remote went away.
    pub(crate) fn abandoned(&mut self) {
        self.running = None;
        self.changed = true;
    }
}

/// Returns how long to wait after `failures` earlier ones: doubling, capped, and spread so that many agents do not come back at
/// the same moment.
pub(super) fn backoff(failures: u32, jitter: f64) -> Duration {
    let doubled = limits::BACKOFF_MIN.saturating_mul(1_u32 << failures.min(16));
    doubled
        .min(limits::BACKOFF_MAX)
        .mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;

    const NOW: Time = Time::from_unix_millis(1000);

    fn error() -> Error {
        Error::new(Code::Remote, "refused")
    }

    #[test]
    fn up_to_date_is_said_only_after_a_completed_exchange() {
        let mut condition = Condition::default();
        assert_eq!(condition.state(), State::Never);
        condition.began();
        assert_eq!(condition.state(), State::Never);
        condition.progressed(Progress {
            phase: Phase::Pull,
            done: 1,
            total: None,
        });
        assert!(matches!(condition.state(), State::Syncing { .. }));
        condition.completed(NOW);
        assert_eq!(condition.state(), State::UpToDate { at: NOW });
    }

    #[test]
    fn a_change_during_an_exchange_waits_for_the_next_one() {
        let mut condition = Condition::default();
        condition.changed();
        assert_eq!(condition.state(), State::Pending { at: None });
        condition.began();
        condition.changed();
        condition.completed(NOW);
        assert_eq!(condition.state(), State::Pending { at: Some(NOW) });
    }

    #[test]
    fn a_failure_is_kept_with_its_beginning_until_an_exchange_is_completed() {
        let mut condition = Condition::default();
        condition.completed(NOW);
        condition.failed(error(), Time::from_unix_millis(2000), 0.5, false);
        condition.began();
        condition.failed(error(), Time::from_unix_millis(3000), 0.5, false);
        let State::Error {
            since,
            retry_at,
            last_ok,
            ..
        } = condition.state()
        else {
            panic!("an error")
        };
        assert_eq!((since, last_ok), (Time::from_unix_millis(2000), Some(NOW)));
        assert_eq!(retry_at, Some(Time::from_unix_millis(5000)));
        condition.began();
        condition.completed(Time::from_unix_millis(9000));
        assert_eq!(
            condition.state(),
            State::UpToDate {
                at: Time::from_unix_millis(9000)
            }
        );
    }

    #[test]
    fn what_a_person_asks_for_in_vain_does_not_put_off_the_next_try_by_itself() {
        let mut condition = Condition::default();
        let mut fails = |at, asked| {
            condition.began();
            let wait = condition.failed(error(), Time::from_unix_millis(at), 0.5, asked);
            let State::Error { retry_at, .. } = condition.state() else {
                panic!("an error")
            };
            let retry_at = retry_at.expect("a time");
            assert_eq!(Time::from_unix_millis(at).age(retry_at), wait);
            retry_at.unix_millis()
        };
        assert_eq!(fails(1000, true), 2000, "the first one counts");
        assert_eq!(fails(2000, false), 4000);
        for at in 2001..2100 {
            assert_eq!(fails(at, true), 4000);
        }
        // One that takes longer than that waits as long as the last.
        assert_eq!(fails(4500, true), 6500);
        assert_eq!(fails(6500, false), 10_500);
    }

    #[test]
    fn waits_grow_stay_bounded_and_differ() {
        assert!(backoff(0, 0.5) < backoff(3, 0.5));
        for failures in [0, 5, 40, u32::MAX] {
            for jitter in [0.0, 1.0, -3.0, 7.0] {
                let wait = backoff(failures, jitter);
                assert!(
                    wait >= limits::BACKOFF_MIN.mul_f64(0.75)
                        && wait <= limits::BACKOFF_MAX.mul_f64(1.25)
                );
            }
        }
        assert_ne!(backoff(2, 0.0), backoff(2, 1.0));
    }
}
