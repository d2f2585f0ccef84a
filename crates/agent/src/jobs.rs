//! Long work in the background: listed, watched, cancelled. What a job does is up to its owner; this is the list.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::api::{Code, Error, Event, Job, JobKind, JobState, Remote};
use crate::events::Events;
use crate::limits;

/// The agent's jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    events: Arc<Events>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    cancel: CancellationToken,
    ended: Option<Instant>,
}

/// A running job, in the hands of who does it.
#[derive(Debug, Clone)]
pub(crate) struct JobHandle {
    jobs: Arc<Jobs>,
    id: u64,
    cancel: CancellationToken,
}

impl Jobs {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self {
            events,
            table: Mutex::default(),
        }
    }

    /// Enters a new running job. It is cancelled with `parent`.
    ///
    /// # Errors
    /// `conflict` when too many jobs run.
    pub(crate) fn start(
        self: &Arc<Self>,
        kind: JobKind,
        title: String,
        remote: Remote,
        path: PathBuf,
        parent: &CancellationToken,
    ) -> Result<JobHandle, Error> {
        let mut table = self.table();
        if table
            .entries
            .values()
            .filter(|entry| entry.ended.is_none())
            .count()
            >= limits::JOBS
        {
            return Err(Error::new(Code::Conflict, "too much is running already").retryable());
        }
        table.next = table.next.wrapping_add(1);
        let (id, cancel) = (table.next, parent.child_token());
        let job = Job {
            id: id.to_string(),
            kind,
            title,
            remote,
            path,
            state: JobState::Running,
            done: 0,
            total: None,
            bytes: 0,
            error: None,
            repository: None,
        };
        self.events.publish(Event::Job { job: job.clone() });
        table.entries.insert(
            id,
            Entry {
                job,
                cancel: cancel.clone(),
                ended: None,
            },
        );
        Ok(JobHandle {
            jobs: Arc::clone(self),
            id,
            cancel,
        })
    }

    /// Returns the jobs that run or ended lately, the oldest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        let mut table = self.table();
        table.entries.retain(|_, entry| {
            entry
                .ended
                .is_none_or(|ended| ended.elapsed() < limits::JOB_MEMORY)
        });
        table
            .entries
            .values()
            .map(|entry| entry.job.clone())
            .collect()
    }

    /// Asks a job to stop. One that has ended is taken off the list.
    ///
    /// # Errors
    /// `not_found` when there is no such job.
    pub(crate) fn cancel(&self, id: &str) -> Result<(), Error> {
        let mut table = self.table();
        let number = id
            .parse::<u64>()
            .ok()
            .filter(|number| table.entries.contains_key(number));
        let Some(number) = number else {
            return Err(Error::not_found("there is no such job"));
        };
        match table.entries.get(&number) {
            Some(entry) if entry.ended.is_none() => entry.cancel.cancel(),
            _ => drop(table.entries.remove(&number)),
        }
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing here leaves the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobHandle {
    /// Returns the job as it is now.
    pub(crate) fn show(&self) -> Option<Job> {
        self.jobs
            .table()
            .entries
            .get(&self.id)
            .map(|entry| entry.job.clone())
    }

    /// Becomes cancelled when a person or the agent stops the job.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Changes what is shown of the job.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Job)) {
        let mut table = self.jobs.table();
        if let Some(entry) = table.entries.get_mut(&self.id) {
            change(&mut entry.job);
            if entry.job.state != JobState::Running && entry.ended.is_none() {
                entry.ended = Some(Instant::now());
            }
            self.jobs.events.publish(Event::Job {
                job: entry.job.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(jobs: &Arc<Jobs>, parent: &CancellationToken) -> Result<JobHandle, Error> {
        let remote = Remote {
            url: "http://example.org/".to_owned(),
            user: None,
        };
        let path = PathBuf::from("/a.fossil");
        jobs.start(JobKind::Clone, "a clone".to_owned(), remote, path, parent)
    }

    #[test]
    fn a_job_is_listed_cancelled_and_then_taken_off_the_list() {
        let jobs = Arc::new(Jobs::new(Arc::new(Events::new())));
        let parent = CancellationToken::new();
        let job = start(&jobs, &parent).expect("a job");
        let id = job.show().expect("listed").id;
        jobs.cancel(&id).expect("cancelled");
        assert!(job.cancelled().is_cancelled() && !parent.is_cancelled());
        job.update(|job| job.state = JobState::Cancelled);
        assert_eq!(jobs.list().len(), 1);
        jobs.cancel(&id).expect("removed");
        assert_eq!(jobs.list(), []);
        assert_eq!(jobs.cancel(&id).expect_err("gone").code, Code::NotFound);
    }

    #[test]
    fn jobs_are_bounded() {
        let jobs = Arc::new(Jobs::new(Arc::new(Events::new())));
        let parent = CancellationToken::new();
        for _ in 0..limits::JOBS {
            start(&jobs, &parent).expect("a job");
        }
        let error = start(&jobs, &parent).expect_err("one too many");
        assert_eq!(error.code, Code::Conflict);
    }
}
