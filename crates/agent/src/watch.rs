//! Watches the files of repositories for changes by other programs. One watch of the system serves all repositories; it looks
//! at folders, because SQLite's journals come and go beside the file. What it misses (network shares), the poll catches.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// What SQLite puts behind a file's name for the files beside it.
const COMPANIONS: [&str; 2] = ["-journal", "-wal"];

/// How long the watch rests now and then while events come. The system merges the writes to one file that it has not told of yet, so
/// a folder in which somebody writes without a pause costs a few wake-ups a second, not one for each write.
const REST: Duration = Duration::from_millis(20);

/// The agent's watch of files.
#[derive(Debug)]
pub(crate) struct FileWatch {
    /// `None` where the system has no watches to give.
    watcher: Option<Mutex<RecommendedWatcher>>,
    interest: Arc<Mutex<Interest>>,
}

#[derive(Debug, Default)]
struct Interest {
    files: HashMap<PathBuf, Arc<Notify>>,
    folders: HashMap<PathBuf, usize>,
}

impl FileWatch {
    pub(crate) fn new() -> Self {
        let interest = Arc::new(Mutex::new(Interest::default()));
        let shared = Arc::clone(&interest);
        let mut last_rest = Instant::now();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            match event {
                Ok(event) if event.need_rescan() => locked(&shared).tell_all(),
                Ok(event) if is_change(event.kind) => locked(&shared).tell(&event.paths),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the file watch missed something");
                    locked(&shared).tell_all();
                }
            }
            if last_rest.elapsed() >= REST {
                std::thread::sleep(REST);
                last_rest = Instant::now();
            }
        });
        let watcher = watcher.inspect_err(
            |error| tracing::warn!(%error, "files cannot be watched; polling alone sees changes"),
        );
        Self {
            watcher: watcher.ok().map(Mutex::new),
            interest,
        }
    }

    /// Returns what is notified whenever something happens to `file`.
    pub(crate) fn watch(&self, file: &Path) -> Arc<Notify> {
        let touched = Arc::new(Notify::new());
        let Some(folder) = file.parent() else {
            return touched;
        };
        let first = {
            let mut interest = locked(&self.interest);
            interest
                .files
                .insert(file.to_path_buf(), Arc::clone(&touched));
            let count = interest.folders.entry(folder.to_path_buf()).or_default();
            *count += 1;
            *count == 1
        };
        // Not under the lock of `interest`, which the watcher's own thread takes.
        if let Some(watcher) = self.watcher.as_ref().filter(|_| first) {
            let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "a folder cannot be watched; polling alone sees changes");
            }
        }
        touched
    }

    /// Ends what [`FileWatch::watch`] began.
    pub(crate) fn unwatch(&self, file: &Path) {
        let Some(folder) = file.parent() else { return };
        let last = {
            let mut interest = locked(&self.interest);
            interest.files.remove(file);
            let left = interest
                .folders
                .get(folder)
                .map_or(0, |count| count.saturating_sub(1));
            interest.folders.insert(folder.to_path_buf(), left);
            left == 0 && interest.folders.remove(folder).is_some()
        };
        if let Some(watcher) = self.watcher.as_ref().filter(|_| last) {
            // The folder may be gone, and its watch with it.
            let _ = watcher
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .unwatch(folder);
        }
    }
}

impl Interest {
    fn tell(&self, paths: &[PathBuf]) {
        for path in paths {
            if let Some(touched) = self
                .files
                .get(path)
                .or_else(|| self.files.get(&owner(path)?))
            {
                touched.notify_one();
            }
        }
    }

    fn tell_all(&self) {
        for touched in self.files.values() {
            touched.notify_one();
        }
    }
}

/// Returns the database that a journal belongs to.
fn owner(path: &Path) -> Option<PathBuf> {
    let text = path.to_str()?;
    COMPANIONS
        .iter()
        .find_map(|companion| text.strip_suffix(companion))
        .map(PathBuf::from)
}

/// Whether an event may mean that content changed; that somebody opened or read a file does not.
pub(crate) fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn locked(interest: &Mutex<Interest>) -> MutexGuard<'_, Interest> {
    // Nothing here leaves it half changed.
    interest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_beside_the_file_is_told_and_another_file_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a folder");
        let watch = FileWatch::new();
        let first = watch.watch(&folder.join("a.fossil"));
        let second = watch.watch(&folder.join("b.fossil"));
        std::fs::write(folder.join("a.fossil-journal"), "x").expect("written");
        first.notified().await;
        std::fs::write(folder.join("b.fossil"), "x").expect("written");
        second.notified().await;
        watch.unwatch(&folder.join("a.fossil"));
        watch.unwatch(&folder.join("b.fossil"));
        assert!(locked(&watch.interest).folders.is_empty());
    }

    #[test]
    fn journals_belong_to_their_database() {
        assert_eq!(
            owner(Path::new("/x/a.fossil-wal")),
            Some("/x/a.fossil".into())
        );
        assert_eq!(owner(Path::new("/x/a.fossil")), None);
    }
}
