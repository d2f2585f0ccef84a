//! The clock that a program under test goes by: a library that stands before the system's own tells it a time which the test sets.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

/// Where the library is; the loader knows what `$LIB` is here.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// A clock in the test's hand.
pub(crate) struct Clock {
    file: PathBuf,
    ahead_minutes: i64,
}

impl Clock {
    /// Has the program that `command` starts go by a clock that is kept in `file`, and is right at first. How long it sleeps is not
    /// changed: only what time it takes it to be.
    pub(crate) fn of(command: &mut Command, file: &Path) -> Result<Self> {
        let clock = Self {
            file: file.to_path_buf(),
            ahead_minutes: 0,
        };
        clock.write()?;
        command
            .env("LD_PRELOAD", LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Ok(clock)
    }

    /// Moves the clock on, or with a number below zero back.
    pub(crate) fn advance_minutes(&mut self, minutes: i64) -> Result<()> {
        self.ahead_minutes += minutes;
        self.write()
    }

    /// Writes the file in one step: the program may read it at any moment.
    fn write(&self) -> Result<()> {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{:+}", self.ahead_minutes * 60))?;
        Ok(std::fs::rename(new, &self.file)?)
    }
}
