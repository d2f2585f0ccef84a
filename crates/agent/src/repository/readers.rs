//! Readers of a repository: a few connections that work beside the writer, off the async threads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libfossil::db::{Access, Repository};
use tokio::sync::Semaphore;

use super::writer::{FileId, TaskError};
use crate::limits;

/// The readers of one repository.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    places: Semaphore,
    idle: Arc<Mutex<Vec<Reader>>>,
}

#[derive(Debug)]
struct Reader {
    repository: Repository,
    file: Option<FileId>,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
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
        done.await.unwrap_or_else(|error| {
            Err(if error.is_panic() {
                TaskError::Panicked
            } else {
                TaskError::Closed
            })
        })
    }

    /// Closes the readers that nobody uses.
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
