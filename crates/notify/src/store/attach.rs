//! Attached files: unversioned files of the repository, under a quota. Their names are never paths.

use libfossil::db::Repository;
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::uv::check_name;

use super::{Store, StoreError};
use crate::limits::{MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS_BYTES};
use crate::message::{Fields, is_file_name};

/// Returns the name under which the repository holds a message's attachment. Where the attachment's own cannot travel, as one with white
/// space, everything in it but letters, digits and dots of ASCII is written as `:` and two hexadecimal digits a byte; no attachment's own name has a
/// colon.
#[must_use]
pub fn attachment_path(message: &Fields, name: &str) -> String {
    let folder = format!(
        "{}/media/{}/{}",
        message.project,
        message.thread.short(),
        message.id.short()
    );
    let plain = format!("{folder}/{name}");
    if check_name(&plain).is_ok() {
        return plain;
    }
    let written = name.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || byte == b'.' {
            char::from(byte).to_string()
        } else {
            format!(":{byte:02X}")
        }
    });
    format!("{folder}/{}", written.collect::<String>())
}

impl Store {
    /// Stores files that `message` names among its media, all or none. Stored before the message, so that nobody sees one without the
    /// other.
    ///
    /// # Errors
    /// [`StoreError::Attachment`] for bad names and over the limits; [`StoreError::Repository`].
    pub fn attach(
        repo: &mut Repository,
        message: &Fields,
        files: &[(impl AsRef<str>, impl AsRef<[u8]>)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if files.is_empty() {
            return Ok(());
        }
        let mut stored: u64 = repo.unversioned()?.iter().map(|file| file.size).sum();
        for (name, content) in files {
            let size = u64::try_from(content.as_ref().len()).unwrap_or(u64::MAX);
            stored = stored.saturating_add(size);
            if !is_file_name(name.as_ref())
                || size > MAX_ATTACHMENT_BYTES
                || stored > MAX_ATTACHMENTS_BYTES
            {
                return Err(StoreError::Attachment);
            }
        }
        repo.write::<_, StoreError>(now, |tx| {
            for (name, content) in files {
                let path = attachment_path(message, name.as_ref());
                let hash = HashName::sha3_of(content.as_ref());
                tx.put_unversioned(&path, now.unix_seconds(), &hash, content.as_ref())?;
            }
            Ok(())
        })
    }
}
