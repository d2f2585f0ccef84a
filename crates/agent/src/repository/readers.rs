//! Readers of a repository: a few connections that work beside the writer, off the async threads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libfossil::db::{Access, Repository};
use tokio::sync::{Notify, Semaphore};

use super::writer::{FileId, TaskError};
use crate::limits;

/// The readers of one repository.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    places: Semaphore,
    used: Arc<Notify>,
    idle: Arc<Mutex<Vec<Reader>>>,
}

#[derive(Debug)]
struct Reader {
    repository: Repository,
    file: Option<FileId>,
}

impl Readers {
    /// Returns the readers of the file at `path`, which tell `used` of their work.
    pub(crate) fn new(path: &Path, used: Arc<Notify>) -> Self {
        Self {
            used,
            path: path.to_path_buf(),
            places: Semaphore::new(limits::READERS),
            idle: Arc::default(),
        }
    }

    /// Does `work` on a repository opened for reading and returns what it returns.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Repository) -> T + Send + 'static,
    ) -> Result<T, TaskError> {
        let _place = self.places.acquire().await.map_err(|_| TaskError::Closed)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let done = tokio::task::spawn_blocking(move || {
            let reader = take(&path, &idle)?;
            let value = work(&reader.repository);
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(reader);
            Ok(value)
        });
        let done = done.await.unwrap_or_else(|error| {
            Err(if error.is_panic() {
                TaskError::Panicked
            } else {
                TaskError::Closed
            })
        });
        self.used.notify_one();
        done
    }

    /// Closes the readers that nobody uses; new ones are opened when they are needed.
    pub(crate) async fn rest(&self) {
        let idle = Arc::clone(&self.idle);
        let clear = move || {
            idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        };
        // Only a runtime that ends does not do it.
        let _ = tokio::task::spawn_blocking(clear).await;
    }

    #[cfg(test)]
    pub(super) fn are_at_rest(&self) -> bool {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.is_empty()
    }

    /// Closes the readers that nobody uses, and opens no more.
    pub(crate) fn close(&self) {
        self.places.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Returns an idle reader of the file that is at `path` now, or a new one.
fn take(path: &Path, idle: &Mutex<Vec<Reader>>) -> Result<Reader, TaskError> {
    let file = FileId::of(path);
    let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
    idle.retain(|reader| file.is_some() && reader.file == file);
    if let Some(reader) = idle.pop() {
        return Ok(reader);
    }
    drop(idle);
    Ok(Reader {
        repository: Repository::open(path, Access::ReadOnly)?,
        file,
    })
}
