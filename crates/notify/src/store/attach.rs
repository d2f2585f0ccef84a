//! Attached files: unversioned files of the repository, under a quota. Their names are never paths.

use bytes::Bytes;
use libfossil::db::Repository;
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::uv::check_name;

use super::{Store, StoreError};
use crate::limits::{MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS_BYTES};
use crate::message::{Fields, is_file_name};

/// Why a file is not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unattached {
    /// Its name is not that of a file.
    #[error("its name is not that of a plain file")]
    Name,
    /// It is over [`MAX_ATTACHMENT_BYTES`].
    #[error("it has more than {} MiB", MAX_ATTACHMENT_BYTES >> 20)]
    TooLarge,
    /// All of them are over [`MAX_ATTACHMENTS_BYTES`].
    #[error("with it all attachments together have more than {} MiB", MAX_ATTACHMENTS_BYTES >> 20)]
    Full,
}

/// Returns the name under which the repository holds a message's attachment. Where the attachment's own cannot travel, as one with white
/// space, everything in it but letters, digits and dots of ASCII is written as `:` and two hexadecimal digits a byte; no attachment's own name has a
/// colon.
#[must_use]
pub fn attachment_path(message: &Fields, name: &str) -> String {
    let plain = own_path(message, name);
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
    own_path(message, &written.collect::<String>())
}

fn own_path(message: &Fields, name: &str) -> String {
    format!(
        "{}/media/{}/{}/{name}",
        message.project,
        message.thread.short(),
        message.id.short()
    )
}

impl Store {
    /// Returns the content of a message's attachment, if it is here. Older versions kept it under its own name also where that cannot travel;
    /// it is read there, and never written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn attachment(
        repo: &Repository,
        message: &Fields,
        name: &str,
    ) -> libfossil::db::Result<Option<Bytes>> {
        if !is_file_name(name) {
            return Ok(None);
        }
        match repo.unversioned_content(&attachment_path(message, name))? {
            None => repo.unversioned_content(&own_path(message, name)),
            found => Ok(found),
        }
    }

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
            let why = if !is_file_name(name.as_ref()) {
                Unattached::Name
            } else if size > MAX_ATTACHMENT_BYTES {
                Unattached::TooLarge
            } else if stored > MAX_ATTACHMENTS_BYTES {
                Unattached::Full
            } else {
                continue;
            };
            return Err(StoreError::Attachment {
                name: name.as_ref().to_owned(),
                why,
            });
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
