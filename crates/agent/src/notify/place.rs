//! Where `notify.fossil` is, made when it is not there.

use std::path::{Path, PathBuf};

use edgesync_notify::limits::{MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS_BYTES};
use edgesync_notify::store::{self, NewStore, StoreError};
use libfossil::db::{Access, Repository};
use libfossil::name::ProjectCode;
use libfossil::xfer::client::UvRoom;

use crate::api::{Code, Error};
use crate::clock;
use crate::text;

/// How much of other devices' attachments is taken.
pub(crate) const ATTACHMENTS: UvRoom = UvRoom {
    file_bytes: MAX_ATTACHMENT_BYTES,
    total_bytes: MAX_ATTACHMENTS_BYTES,
};

/// What the repository of messages is called.
pub const FILE_NAME: &str = "notify.fossil";

/// Makes a repository of messages at `path`, with this project code or a new one. Blocks on the file.
///
/// # Errors
/// `conflict` when there is something at `path`, `repository` when it cannot be made.
pub fn create(path: &Path, code: Option<ProjectCode>) -> Result<Repository, Error> {
    let no_random = |error: getrandom::Error| {
        Error::internal(format!("the system gives no random bytes: {error}"))
    };
    let random = || {
        text::random()
            .map(ProjectCode::from_random)
            .map_err(no_random)
    };
    let password = text::password().map_err(no_random)?;
    let new = NewStore {
        project_code: code.map_or_else(random, Ok)?,
        server_code: random()?,
        password: &password,
    };
    store::create(path, &new, clock::now()).map_err(|error| store_error(&error))
}

/// Makes sure that there is a repository of messages at `path`, and returns its canonical path. Blocks on the file.
///
/// # Errors
/// `repository` when it cannot be made, or its path cannot be told.
pub(crate) fn ready(path: &Path) -> Result<PathBuf, Error> {
    let failed = |error: std::io::Error| {
        let words = format!("{} cannot be used: {error}", path.display());
        Error::new(Code::Repository, words)
    };
    let path = std::path::absolute(path).map_err(failed)?;
    if !path.exists() {
        create(&path, None)?;
    }
    path.canonicalize().map_err(failed)
}

/// Opens the repository of messages at `path`. Blocks on the file.
///
/// # Errors
/// `not_found` when there is none, `repository` when it cannot be used.
pub fn open(path: &Path) -> Result<Repository, Error> {
    if !path.exists() {
        let none = format!("there is no {}", path.display());
        return Err(Error::not_found(none).with_hint("make one: edgesync notify init"));
    }
    Repository::open(path, Access::ReadWrite).map_err(|error| crate::repository::file_error(&error))
}

/// Returns the API's error for what the store refused.
pub(super) fn store_error(error: &StoreError) -> Error {
    let words = error.to_string();
    match error {
        StoreError::Repository(libfossil::db::Error::AlreadyExists(_)) | StoreError::Taken(_) => {
            Error::new(Code::Conflict, words)
        }
        StoreError::Repository(error) => crate::repository::file_error(error),
        StoreError::NoMessage(_) | StoreError::NoThread(_) => Error::not_found(words),
        StoreError::Ambiguous(_) | StoreError::Message(_) | StoreError::Attachment { .. } => {
            Error::bad_request(words)
        }
        StoreError::ThreadFull => Error::new(Code::Conflict, words),
        _ => Error::new(Code::Repository, words),
    }
}
