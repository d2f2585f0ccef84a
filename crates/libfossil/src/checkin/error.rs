//! Why a check-in was not made.

use crate::artifact::ParseError;
use crate::db;
use crate::name::{HashName, RepoPath};
use crate::time::Timestamp;

/// Why a check-in was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckInError {
    /// It would change nothing, and that was not asked for.
    #[error("nothing has changed")]
    Empty,
    /// A parent that this repository does not have as a check-in.
    #[error("{0} is no check-in of this repository")]
    UnknownParent(HashName),
    /// A parent that is named twice.
    #[error("{0} is named twice as a parent")]
    RepeatedParent(HashName),
    /// There are check-ins but none on the main branch, so there is no telling where to continue.
    #[error("nothing is on the branch {branch:?}; name a parent or another branch")]
    NoTip {
        /// The main branch.
        branch: String,
    },
    /// The branch exists elsewhere than where it was to be started.
    #[error("there is a branch {0:?} already, and the parent is not on it")]
    BranchExists(String),
    /// The parent is the closed end of its branch.
    #[error("the branch {branch:?} is closed at {name:.10}")]
    Closed {
        /// The branch.
        branch: String,
        /// Its closed end.
        name: HashName,
    },
    /// A branch or tag name that is empty, has control characters or outer spaces, or means something else.
    #[error("{0:?} can't be the name of a branch or tag")]
    BadTagName(String),
    /// A change to a file that is not there.
    #[error("there is no file {0}")]
    NoSuchFile(RepoPath<'static>),
    /// A file was to be renamed to the name of another.
    #[error("there is a file {0} already")]
    FileExists(RepoPath<'static>),
    /// A file would be where another file needs a directory.
    #[error("{file} can't be a file and the directory of {inside}")]
    FileIsDirectory {
        /// The file.
        file: RepoPath<'static>,
        /// A file below it.
        inside: RepoPath<'static>,
    },
    /// A time that is not after that of a parent.
    #[error("{date} is not after the version before, {parent:.10}, which is of {at}")]
    NotLater {
        /// The time.
        date: Timestamp,
        /// The latest parent.
        parent: HashName,
        /// Its time.
        at: Timestamp,
    },
    /// The check-in would break a rule of the format, such as its longest size.
    #[error("the check-in can't be written: {0}")]
    Unwritable(#[source] ParseError),
    /// The repository could not be read or written.
    #[error(transparent)]
    Repository(#[from] db::Error),
}

impl From<rusqlite::Error> for CheckInError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Repository(error.into())
    }
}
