//! One agent per home: a lock on a file that the system releases when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io;

use crate::files::open_private;
use crate::home::Home;

/// The lock of a home, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `home`, or returns `None` when another agent holds it.
    pub(crate) fn take(home: &Home) -> io::Result<Option<Self>> {
        let file = open_private(&home.lock_file())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
