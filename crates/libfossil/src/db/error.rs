//! What can go wrong with a repository file.

use std::path::PathBuf;

use thiserror::Error;

use crate::blob::codec::CodecError;
use crate::blob::delta::DeltaError;
use crate::db::Rid;
use crate::name::HashName;
use crate::uv::UvNameError;

/// An error of opening, reading or writing a repository.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no file at the path.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// A new repository was to be made where something already is.
    #[error("{} already exists", .0.display())]
    AlreadyExists(PathBuf),
    /// The file is no Fossil repository.
    #[error("{} is not a Fossil repository: {reason}", .path.display())]
    NotARepository {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
    /// The file is an SQLite database that is not whole.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database engine says.
        reason: String,
    },
    /// The file was written by a newer Fossil than is understood here.
    #[error("{} has {table}-schema {found:?}, newer than the {known:?} known here", .path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// `content` or `aux`.
        table: &'static str,
        /// What the file says.
        found: String,
        /// The newest that is understood.
        known: &'static str,
    },
    /// The file was written by a Fossil so old that it must be rebuilt by a stock program first.
    #[error("{} has {table}-schema {found:?}, too old to be used before a rebuild", .path.display())]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// `content` or `aux`.
        table: &'static str,
        /// What the file says.
        found: String,
    },
    /// Someone else held the lock for longer than the busy timeout.
    #[error("another program is using the repository {}", .0.display())]
    Busy(PathBuf),
    /// A write was asked of a repository opened for reading, or of a file that cannot be written.
    #[error("the repository {} is read-only here", .0.display())]
    ReadOnly(PathBuf),
    /// The disk that the file is on, or the user's share of it, is full. What was begun is undone.
    #[error("the disk that the repository is on is full")]
    DiskFull,
    /// A config entry that every repository has is missing or malformed.
    #[error("config entry {name:?} is missing or malformed")]
    BadConfig {
        /// Name of the entry.
        name: &'static str,
    },
    /// No row has this number.
    #[error("there is no artifact with rid {0}")]
    UnknownRid(Rid),
    /// A row of `blob` has a name that is no hash.
    #[error("the artifact with rid {0} has a malformed name")]
    BadName(Rid),
    /// An unversioned file with a name under which it could not travel.
    #[error(transparent)]
    UnversionedName(#[from] UvNameError),
    /// Only the name of the artifact is known, or that of one it is a delta of.
    #[error("the content of {name} is not here")]
    Missing {
        /// The artifact asked for.
        name: HashName,
    },
    /// The deltas that make up an artifact form a ring.
    #[error("the deltas behind {name} form a loop")]
    DeltaLoop {
        /// The artifact asked for.
        name: HashName,
    },
    /// As many deltas as may wait for their source do so already.
    #[error(
        "{name} is a delta on something that is not here, and too many such deltas wait already"
    )]
    TooManyWaiting {
        /// The artifact that cannot wait too.
        name: HashName,
    },
    /// The stored form of an artifact does not unpack.
    #[error("the stored form of rid {rid} is damaged")]
    Codec {
        /// The row whose content is damaged.
        rid: Rid,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
    /// A stored or received delta does not apply.
    #[error("the delta that makes rid {rid} does not apply")]
    Delta {
        /// The row whose content is a delta.
        rid: Rid,
        /// What is wrong with it.
        #[source]
        source: DeltaError,
    },
    /// Content does not have the hash that names it.
    #[error("the content given for {name} has another hash")]
    HashMismatch {
        /// The name that was claimed or stored.
        name: HashName,
    },
    /// The policy of this repository does not allow the artifact.
    #[error("{name} is shunned here")]
    Shunned {
        /// The artifact.
        name: HashName,
    },
    /// Content is longer than any artifact may be.
    #[error("content of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// A check-in was expected, and the artifact is something else.
    #[error("{name} is not a check-in")]
    NotACheckIn {
        /// The artifact.
        name: HashName,
    },
    /// A write call failed because a test asked for it.
    #[error("a write call failed by injection")]
    Injected,
    /// The database engine refused.
    #[error("the repository's database failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

impl Error {
    /// Whether the file as an SQLite database is not whole, so that nothing which reads it can put it right.
    #[must_use]
    pub fn is_damaged_file(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Sqlite(cause) => {
                cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
            }
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Sqlite(error),
        }
    }
}

/// The result of working with a repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names the file in errors whose cause is the file as a whole: locked, or not writable.
pub(crate) fn locate(error: Error, path: &std::path::Path) -> Error {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, ReadOnly};
    let Error::Sqlite(cause) = &error else {
        return error;
    };
    match cause.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Error::Busy(path.to_owned()),
        Some(ReadOnly | CannotOpen) => Error::ReadOnly(path.to_owned()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let conn = rusqlite::Connection::open_in_memory().expect("a database");
        conn.execute_batch("CREATE TABLE t(x); PRAGMA max_page_count=2;")
            .expect("a small database");
        let full = conn
            .execute("INSERT INTO t VALUES(zeroblob(100000))", ())
            .expect_err("it does not fit");
        assert!(matches!(Error::from(full), Error::DiskFull));
    }
}
