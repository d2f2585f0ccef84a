//! Sees what a repository's file holds as soon as it holds it, without getting into the way of those who write it: SQLite's count of
//! changes is read without a lock, and the database asked only when that count is another one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Where a database file counts its changes, and how long that count is: <https://sqlite.org/fileformat2.html>, section 1.3.
const CHANGES_AT: u64 = 24;
const CHANGES_BYTES: usize = 4;

/// One repository's file under observation.
pub(super) struct Presence {
    file: File,
    database: Connection,
    /// The count of changes at the last answer of the database.
    changes: [u8; CHANGES_BYTES],
    check_ins: u64,
}

impl Presence {
    /// Begins to observe the repository at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Self {
            file: File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
            database: Connection::open_with_flags(path, flags)?,
            changes: [0; CHANGES_BYTES],
            check_ins: 0,
        })
    }

    /// Returns how many check-ins the file holds, as far as that can be told while others write.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn check_ins(&mut self) -> anyhow::Result<u64> {
        let mut changes = [0; CHANGES_BYTES];
        self.file.read_exact_at(&mut changes, CHANGES_AT)?;
        if changes == self.changes {
            return Ok(self.check_ins);
        }
        let count = "SELECT count(*) FROM event WHERE type='ci'";
        match self
            .database
            .query_row(count, [], |row| row.get::<_, i64>(0))
        {
            Ok(count) => (self.check_ins, self.changes) = (count.unsigned_abs(), changes),
            // Its transaction is not over yet.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.check_ins)
    }
}
