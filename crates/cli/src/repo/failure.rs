//! What an error of the repository library means to the one who typed the command.

use std::io;
use std::path::Path;

use edgesync_agent::sync::{ExchangeError, HttpError};
use libfossil::db;
use libfossil::history::VersionError;
use libfossil::xfer::client::SyncError;

use crate::error::{Failure, Kind, chain, hint_from_page};

/// What to do about a file that is not there.
const LOOKED_FOR: &str = "check the name; it is looked for from the current folder";

/// Returns the failure for an error of the repository file.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn database(error: db::Error) -> Failure {
    let message = chain(&error);
    if error.is_damaged_file() {
        return Failure::new(Kind::Repository, message)
            .hint("bring it back from a backup, or clone it anew; fossil cannot read it either");
    }
    match &error {
        db::Error::NotFound(_) => Failure::new(Kind::NotFound, message)
            .hint(format!("{LOOKED_FOR}; edgesync new FILE makes a new one")),
        db::Error::AlreadyExists(_) => Failure::new(Kind::Conflict, message)
            .hint("choose another name, or move that file away"),
        db::Error::Busy(_) => Failure::new(Kind::Conflict, message)
            .hint("run the command again when the other program is done"),
        db::Error::ReadOnly(path) => Failure::new(Kind::Refused, message)
            .hint(format!("chmod u+w '{}', or work on a copy", path.display())),
        db::Error::DiskFull => Failure::new(Kind::Repository, message)
            .hint("free some space, then run the command again"),
        db::Error::Shunned { .. } => Failure::new(Kind::Refused, message),
        db::Error::NewerSchema { .. } => {
            Failure::new(Kind::Repository, message).hint("use a newer EdgeSync")
        }
        db::Error::OlderSchema { path, .. } => Failure::new(Kind::Repository, message)
            .hint(format!("fossil rebuild '{}'", path.display())),
        db::Error::NotARepository { .. } => Failure::new(Kind::Repository, message)
            .hint("name a repository with -R FILE, or make one: edgesync new FILE"),
        db::Error::Sqlite(_) => Failure::new(Kind::Repository, message),
        db::Error::Missing { .. } => {
            Failure::new(Kind::NotFound, message).hint("edgesync pull may bring it")
        }
        _ => Failure::new(Kind::Repository, message)
            .hint("edgesync verify says what else is damaged"),
    }
}

/// Returns the failure for a file of the disk that is to be put in and cannot be read.
pub(crate) fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let file = file.display();
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new(Kind::NotFound, format!("{file} does not exist")).hint(LOOKED_FOR);
    }
    Failure::new(Kind::Failed, format!("{file}: {error}"))
        .hint("it has to be a file that you may read")
}

/// Whether a text that could be a version is meant as a repository's file.
pub(crate) fn is_file_name(text: &str) -> bool {
    Path::new(text).extension().is_some_and(|it| it == "fossil")
}

/// Returns the failure for a version that was not found.
pub(crate) fn version(error: VersionError) -> Failure {
    match error {
        VersionError::Repository(error) => database(error),
        VersionError::NotFound(ref name) if is_file_name(name) => {
            let hint = format!("a repository's file is named with -R: -R '{name}'");
            Failure::new(Kind::NotFound, error).hint(hint)
        }
        VersionError::NotFound(_) => Failure::new(Kind::NotFound, error)
            .hint("a version is a hash or 4 digits of it, a tag, a branch, a date, or tip"),
        VersionError::Ambiguous { .. } => {
            Failure::new(Kind::NotFound, error).hint("give more digits")
        }
        _ => Failure::new(Kind::Failed, error),
    }
}

/// Returns the failure for an exchange that did not come to its end.
pub(crate) fn exchange(error: ExchangeError) -> Failure {
    let message = chain(&error);
    match error {
        // The file here was opened before: it is the other one that is not there.
        ExchangeError::Sync(SyncError::Repository(db::Error::NotFound(_))) => {
            Failure::new(Kind::NotFound, message)
                .hint("check the path; a server's address begins with https:// or http://")
        }
        ExchangeError::Sync(SyncError::Repository(error)) => database(error),
        ExchangeError::Sync(SyncError::LoginFailed) => {
            Failure::new(Kind::Refused, message).hint("check the user in the URL and the password")
        }
        ExchangeError::Sync(SyncError::NotAuthorized(_)) => Failure::new(Kind::Refused, message)
            .hint("log in as a user with the right: put the user into the URL"),
        ExchangeError::Sync(SyncError::WrongProject) => Failure::new(Kind::Conflict, message)
            .hint("check the URL: it is that of another project"),
        ExchangeError::Sync(_) => Failure::new(Kind::Remote, message),
        ExchangeError::Http(error) => {
            let kind = match error {
                HttpError::Unreachable { .. } | HttpError::Slow { .. } => Kind::Unreachable,
                HttpError::Unauthorized { .. } => Kind::Refused,
                _ => Kind::Remote,
            };
            let hint = error.hint().map(hint_from_page);
            Failure {
                hint,
                ..Failure::new(kind, message)
            }
        }
        ExchangeError::Bus(error) | ExchangeError::Place(error) => error.into(),
        ExchangeError::File { .. } => Failure::new(Kind::Repository, message),
        _ => Failure::new(Kind::Failed, message),
    }
}
