//! Attached files: unversioned files of the repository, under a quota. Their names are never paths.

use libfossil::db::Repository;
use libfossil::name::HashName;
use libfossil::time::Timestamp;

use super::{Store, StoreError};
use crate::limits::{MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS_BYTES};
use crate::message::{Fields, is_file_name};

/// Returns the name under which the repository holds a message's attachment.
#[must_use]
pub fn attachment_path(message: &Fields, name: &str) -> String {
    format!(
        "{}/media/{}/{}/{name}",
        message.project,
        message.thread.short(),
        message.id.short()
    )
}

impl Store {
    /// Stores a file that `message` names among its media. Stored before the message, so that nobody sees one without the other.
    ///
    /// # Errors
    /// [`StoreError::Attachment`] for bad names and over the limits; [`StoreError::Repository`].
    pub fn attach(
        repo: &mut Repository,
        message: &Fields,
        name: &str,
        content: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let stored: u64 = repo.unversioned()?.iter().map(|file| file.size).sum();
        if !is_file_name(name)
            || size > MAX_ATTACHMENT_BYTES
            || stored.saturating_add(size) > MAX_ATTACHMENTS_BYTES
        {
            return Err(StoreError::Attachment);
        }
        let path = attachment_path(message, name);
        repo.write::<_, StoreError>(now, |tx| {
            let hash = HashName::sha3_of(content);
            Ok(tx.put_unversioned(&path, now.unix_seconds(), &hash, content)?)
        })
    }
}
