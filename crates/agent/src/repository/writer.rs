//! The one thread that writes a repository. Work is handed to it and done in order; a panic in it is caught, reported, and the
//! file opened anew after a pause, so that one bad artifact neither ends the agent nor makes it spin.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libfossil::db::{Access, Error as FileError, Repository};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::api::{Code, Error};

/// Work that may wait for the thread before whoever brings more has to wait.
const QUEUE: usize = 64;

/// The first pause after a panic; it doubles up to [`REST_MAX`].
const REST_MIN: Duration = Duration::from_secs(1);

/// The longest pause after a panic.
const REST_MAX: Duration = Duration::from_secs(300);

/// Work on a repository was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TaskError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The work panicked.
    #[error("a bug stopped the work on this repository")]
    Panicked,
    /// The pause after a panic is not over.
    #[error("the work on this repository rests after a bug")]
    Resting,
    /// The agent stops, or the repository was removed from it.
    #[error("the repository is being closed")]
    Closed,
}

impl TaskError {
    /// Returns this as the API's error.
    pub(crate) fn into_api(self) -> Error {
        match self {
            Self::File(error) => file_error(&error),
            Self::Panicked | Self::Resting => Error::internal(self.to_string()),
            Self::Closed => Error::new(Code::Conflict, self.to_string()).retryable(),
        }
    }
}

/// Returns the API's error for a repository file that cannot be used.
pub(crate) fn file_error(error: &FileError) -> Error {
    let api = Error::new(Code::Repository, error.to_string());
    match error {
        FileError::Busy(_) => api
            .retryable()
            .with_hint("Another program holds the file; it is tried again."),
        FileError::NotFound(_) => {
            api.with_hint("Put the file back, or remove the repository from the list.")
        }
        FileError::ReadOnly(_) => {
            api.with_hint("Check the permissions of the file and its folder.")
        }
        FileError::DiskFull => api.retryable().with_hint("Free some space."),
        error if error.is_damaged_file() => {
            api.with_hint("Bring the file back from a backup, or clone it anew.")
        }
        FileError::NewerSchema { .. } => api.with_hint("Update EdgeSync."),
        FileError::OlderSchema { .. } => api.with_hint("Run `fossil rebuild` on it first."),
        FileError::Missing { .. } => {
            Error::new(Code::NotFound, error.to_string()).with_hint("Sync to receive it.")
        }
        _ => api,
    }
}

type Task = Box<dyn FnOnce(&mut Desk) + Send>;

/// A handle of the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    used: Arc<Notify>,
    tasks: Mutex<Option<mpsc::Sender<Task>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread for the repository at `path`. The file is opened when there is work.
    pub(crate) fn start(name: &str, path: &Path) -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::channel::<Task>(QUEUE);
        let mut desk = Desk::new(path.to_path_buf());
        let thread = std::thread::Builder::new()
            .name(format!("repo {name}"))
            .spawn(move || {
                while let Some(task) = receiver.blocking_recv() {
                    task(&mut desk);
                }
            })?;
        Ok(Self {
            used: Arc::default(),
            tasks: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Does `work` on the open repository and returns what it returns.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Repository) -> T + Send + 'static,
    ) -> Result<T, TaskError> {
        let done = self.hand_over(move |desk| desk.work(work)).await;
        self.used.notify_one();
        done
    }

    /// Returns what is told of each work that was done.
    pub(crate) fn used(&self) -> &Arc<Notify> {
        &self.used
    }

    /// Gives back the memory that only makes further work faster.
    pub(crate) async fn rest(&self) -> Result<(), TaskError> {
        self.hand_over(Desk::rest).await
    }

    /// Closes the file; it is opened anew for the next work.
    pub(crate) async fn reopen(&self) -> Result<(), TaskError> {
        self.hand_over(|desk| {
            desk.open = None;
            Ok(())
        })
        .await
    }

    /// Returns whether another program changed the file, or another file took its place, since this was asked last.
    pub(crate) async fn look(&self) -> Result<bool, TaskError> {
        self.hand_over(Desk::look).await
    }

    async fn hand_over<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, TaskError> + Send + 'static,
    ) -> Result<T, TaskError> {
        let sender = self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(TaskError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |desk| {
            // Nobody waits for the answer when the asker was cancelled; the work is done all the same.
            let _ = answer.send(work(desk));
        });
        sender.send(task).await.map_err(|_| TaskError::Closed)?;
        answered.await.unwrap_or(Err(TaskError::Closed))
    }

    /// Takes no more work. Returns the thread, which ends when what was handed over is done.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        drop(
            self.tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        self.thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What the thread has before it.
struct Desk {
    path: PathBuf,
    open: Option<Open>,
    panics: u32,
    resting_until: Option<Instant>,
}

struct Open {
    repository: Repository,
    file: Option<FileId>,
    /// SQLite's count of foreign changes at the last look; `None` before the first one.
    version: Option<i64>,
}

impl Desk {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: None,
            panics: 0,
            resting_until: None,
        }
    }

    fn work<T>(&mut self, work: impl FnOnce(&mut Repository) -> T) -> Result<T, TaskError> {
        // What could not be written may be writable by now.
        self.open
            .take_if(|open| open.repository.access() == Access::ReadOnly);
        let open = self.opened()?;
        // The repository is dropped after a panic, so nobody sees it half changed; SQLite rolls back what was not committed.
        match catch_unwind(AssertUnwindSafe(|| work(&mut open.repository))) {
            Ok(value) => {
                self.panics = 0;
                Ok(value)
            }
            Err(_) => {
                self.open = None;
                let rest = REST_MIN
                    .saturating_mul(1 << self.panics.min(16))
                    .min(REST_MAX);
                self.panics = self.panics.saturating_add(1);
                self.resting_until = Some(Instant::now() + rest);
                tracing::error!(path = %self.path.display(), rest_ms = rest.as_millis(), "work on a repository panicked");
                Err(TaskError::Panicked)
            }
        }
    }

    fn rest(&mut self) -> Result<(), TaskError> {
        match &self.open {
            Some(open) => Ok(open.repository.release_memory()?),
            None => Ok(()),
        }
    }

    fn look(&mut self) -> Result<bool, TaskError> {
        let open = self.opened()?;
        let version = Some(open.repository.data_version()?);
        let changed = open.version != version;
        open.version = version;
        Ok(changed)
    }

    /// Returns the open repository, after opening it where it is not, or not any more, the file at the path.
    fn opened(&mut self) -> Result<&mut Open, TaskError> {
        if self
            .resting_until
            .is_some_and(|until| Instant::now() < until)
        {
            return Err(TaskError::Resting);
        }
        self.resting_until = None;
        let file = FileId::of(&self.path);
        let kept = self
            .open
            .take()
            .filter(|open| file.is_some() && open.file == file);
        let open = match kept {
            Some(open) => open,
            None => Open {
                repository: open_as_allowed(&self.path)?,
                file,
                version: None,
            },
        };
        Ok(self.open.insert(open))
    }
}

/// Opens a repository to write, or only to read where it cannot be written: it is served all the same, as stock does.
fn open_as_allowed(path: &Path) -> Result<Repository, FileError> {
    match Repository::open(path, Access::ReadWrite) {
        Err(FileError::ReadOnly(_)) => Repository::open(path, Access::ReadOnly),
        opened => opened,
    }
}

/// Tells whether a path still leads to the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// Returns the identity of the file at `path`, or `None` when there is none. Where the system has no such thing, every file
    /// is the same.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Some(Self(metadata.dev(), metadata.ino()))
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Some(Self(0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use libfossil::time::Timestamp;

    use super::*;
    use crate::samples::repository;

    #[tokio::test]
    async fn a_panic_is_reported_and_the_thread_lives_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.fossil");
        drop(repository(&path));
        let mut desk = Desk::new(path);
        assert!(matches!(
            desk.work(|_| panic!("for the test")),
            Err::<(), _>(TaskError::Panicked)
        ));
        assert!(matches!(desk.work(|_| ()), Err(TaskError::Resting)));
        desk.resting_until = None;
        assert!(
            desk.work(|repository| repository.project_code())
                .expect("done")
                .is_ok()
        );
    }

    #[test]
    fn what_could_only_be_read_is_read_and_written_as_soon_as_it_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.fossil");
        drop(repository(&path));
        let mut desk = Desk::new(path.clone());
        desk.open = Some(Open {
            repository: Repository::open(&path, Access::ReadOnly).expect("opened"),
            file: FileId::of(&path),
            version: None,
        });
        assert!(desk.look().expect("looked"));
        assert!(!desk.look().expect("looked"), "it stays open");
        let access = desk.work(|repository| repository.access());
        assert_eq!(access.expect("done"), Access::ReadWrite);
    }

    #[tokio::test]
    async fn changes_by_others_are_seen_once_and_own_ones_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.fossil");
        let mut other = repository(&path);
        let writer = Writer::start("r", &path).expect("a thread");
        let now = Timestamp::from_unix_millis(1_700_000_001_000);
        assert!(
            writer.look().await.expect("looked"),
            "the first look does not know what was before"
        );
        assert!(!writer.look().await.expect("looked"));
        let own =
            writer.run(move |repository| repository.write(now, |tx| tx.set_config("own", "1")));
        own.await.expect("done").expect("written");
        assert!(!writer.look().await.expect("looked"));
        other
            .write(now, |tx| tx.set_config("other", "1"))
            .expect("written");
        assert!(writer.look().await.expect("looked"));
        assert!(!writer.look().await.expect("looked"));

        drop(other);
        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(
            writer.look().await,
            Err(TaskError::File(FileError::NotFound(_)))
        ));
        drop(repository(&path));
        assert!(
            writer.look().await.expect("looked"),
            "another file took its place"
        );
        writer.close().expect("the thread").join().expect("ended");
        assert!(matches!(writer.look().await, Err(TaskError::Closed)));
    }
}
