//! Locks on files, which the system releases when the process ends, however it ends: one agent per home, one clone at a time into a file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::files::open_private;

/// A lock, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock that the file at `path` stands for, or returns `None` when another process holds it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = open_private(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// A lock whose file goes with it.
#[derive(Debug)]
pub(crate) struct PassingLock {
    path: PathBuf,
    _lock: Lock,
}

impl PassingLock {
    /// Takes the lock that the file at `path` stands for, or returns `None` when another process holds it.
    pub(crate) fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let Some(lock) = Lock::take(&path)? else {
            return Ok(None);
        };
        // Whoever held it may have let it go, and the file with it, after this process had opened the file.
        Ok(is_at(&lock.file, &path)?.then_some(Self { path, _lock: lock }))
    }
}

impl Drop for PassingLock {
    fn drop(&mut self) {
        // A file that stays holds up nobody.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::metadata(path) {
        Ok(there) => Ok(there.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere the name of an open file is not given to another one.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
    Ok(path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_lock_is_held_by_one_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let take = || PassingLock::take(path.clone()).expect("the folder can be written in");
        let held = take().expect("nobody holds it");
        assert!(take().is_none());
        drop(held);
        assert!(!path.exists());
        // What a killed process left.
        fs::write(&path, "").expect("written");
        assert!(take().is_some());
    }
}
