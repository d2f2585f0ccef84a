//! Taking content in, for both sides: each card becomes a change within one transaction, which is verified and cross-linked as a whole.

use bytes::Bytes;

use super::card::UvEntry;
use crate::blob::{codec, delta};
use crate::db::{
    Error, Intake, PackedContent, Result, Stored, Transaction, Visibility, sources_first,
};
use crate::limits::{MAX_CONTENT_BYTES, MAX_DELTA_OUTPUT_BYTES, MAX_NEW_PHANTOMS, MAX_PHANTOMS};
use crate::name::HashName;
use crate::uv::{self, Standing};

/// Bit of `uvfile` flags: the file was deleted.
const UV_DELETED: u32 = 1;

/// Bit of `uvfile` flags: no content, only the time changed.
const UV_TIME_ONLY: u32 = 4;

/// Why a message was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// The sender's fault; the text is for its user.
    #[error("{0}")]
    Refused(String),
    /// The repository's fault.
    #[error(transparent)]
    Repository(#[from] Error),
}

/// Counts what came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Artifacts that were not here before.
    pub artifacts: Vec<HashName>,
    /// Unversioned files that changed.
    pub unversioned: usize,
    /// Rows of configuration that changed.
    pub configuration: usize,
    /// Names of artifacts that are not here yet.
    pub phantoms: usize,
}

/// Takes in the content of one message.
pub(super) struct Receiver<'t, 'r> {
    tx: &'t mut Transaction<'r>,
    pub(super) received: Received,
    /// Artifacts that are to be asked for again.
    pub(super) passed_over: Vec<HashName>,
    /// Artifacts that came as deltas on themselves.
    pub(super) on_themselves: Vec<HashName>,
    phantoms_left: usize,
    /// Bytes that further deltas may come to.
    delta_output_left: u64,
}

impl<'t, 'r> Receiver<'t, 'r> {
    pub(super) fn new(tx: &'t mut Transaction<'r>) -> Result<Self> {
        let phantoms: i64 = tx
            .conn()
            .prepare_cached("SELECT count(*) FROM phantom")?
            .query_row([], |row| row.get(0))?;
        let phantoms = usize::try_from(phantoms).unwrap_or(0);
        let phantoms_left = MAX_NEW_PHANTOMS.min(MAX_PHANTOMS.saturating_sub(phantoms));
        Ok(Self {
            tx,
            received: Received::default(),
            passed_over: Vec::new(),
            on_themselves: Vec::new(),
            phantoms_left,
            delta_output_left: MAX_DELTA_OUTPUT_BYTES,
        })
    }

    pub(super) fn transaction(&mut self) -> &mut Transaction<'r> {
        self.tx
    }

    /// Takes in an artifact. What is shunned here is dropped, and deltas are passed over once those before came to very much; a wrong hash
    /// or a delta that does not fit refuses the message.
    pub(super) fn file(
        &mut self,
        hash: &HashName,
        source: Option<&HashName>,
        content: &Bytes,
        visibility: Visibility,
    ) -> Result<(), ReceiveError> {
        if self.tx.is_shunned(hash)? {
            return Ok(());
        }
        let stored = match source {
            None => self.tx.store_named(hash, content, visibility),
            // Stock makes such a delta of a file that was renamed in a check-in dated before the one that brought it. It tells no
            // more than the name, and asking for it brings the same again.
            Some(source) if source == hash => {
                self.on_themselves.push(*hash);
                return Ok(self.announced(hash, visibility)?);
            }
            Some(_) if self.delta_output_left == 0 => {
                self.passed_over.push(*hash);
                // Its name is what it is asked for by.
                return Ok(self.announced(hash, visibility)?);
            }
            Some(source) => {
                let output = delta::output_size(content).unwrap_or_default();
                self.delta_output_left = self.delta_output_left.saturating_sub(output as u64);
                self.tx.store_delta(hash, source, content, visibility)
            }
        };
        self.note(hash, stored)
    }

    /// Takes in artifacts in their stored form; hashes are checked when the clone ends.
    pub(super) fn packed_files(
        &mut self,
        contents: &[PackedContent<'_>],
    ) -> Result<(), ReceiveError> {
        if contents.is_empty() {
            return Ok(());
        }
        let mut intake = Intake::new(self.tx)?;
        let ordered = sources_first(contents).into_iter();
        for content in ordered.filter_map(|position| contents.get(position)) {
            let stored = intake.store(self.tx, content);
            self.note(content.name, stored)?;
        }
        Ok(())
    }

    fn note(&mut self, hash: &HashName, stored: Result<Stored>) -> Result<(), ReceiveError> {
        match stored {
            Ok(stored) => {
                if stored.is_new {
                    self.received.artifacts.push(*hash);
                }
                Ok(())
            }
            // Dropped; a delta on something shunned is no use either, and what had to wait too long comes again.
            Err(Error::Shunned { .. } | Error::TooManyWaiting { .. }) => Ok(()),
            Err(Error::HashMismatch { .. }) => Err(ReceiveError::Refused(format!(
                "wrong hash on received artifact: {hash}"
            ))),
            Err(
                error @ (Error::Delta { .. }
                | Error::DeltaLoop { .. }
                | Error::Codec { .. }
                | Error::TooLarge { .. }),
            ) => Err(ReceiveError::Refused(format!(
                "unusable content of artifact {hash}: {error}"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes note that the other side holds an artifact: it is asked for later if it is not here.
    pub(super) fn announced(&mut self, hash: &HashName, visibility: Visibility) -> Result<()> {
        if let Some(rid) = self.tx.rid(hash)? {
            return match visibility {
                Visibility::Public => self.tx.make_public(rid),
                // The one who made it public knows better than the one who did not.
                Visibility::Private => Ok(()),
            };
        }
        if self.phantoms_left == 0 {
            return Ok(());
        }
        if self.tx.phantom(hash, visibility)?.is_some() {
            self.phantoms_left -= 1;
            self.received.phantoms += 1;
        }
        Ok(())
    }

    /// Takes in an unversioned file, if it is newer than what is here.
    pub(super) fn unversioned(
        &mut self,
        entry: &UvEntry,
        flags: u32,
        content: &Bytes,
    ) -> Result<(), ReceiveError> {
        if uv::check_name(&entry.name).is_err() {
            return Err(ReceiveError::Refused(format!(
                "unusable name of an unversioned file: {}",
                entry.name
            )));
        }
        let local = self.tx.unversioned_file(&entry.name)?;
        let standing = uv::compare(local.as_ref(), entry.mtime, entry.hash.as_ref());
        match (standing, entry.hash.as_ref()) {
            (Standing::SameButOlder, _) => self.tx.touch_unversioned(&entry.name, entry.mtime)?,
            (Standing::Loses, None) => self.tx.delete_unversioned(&entry.name, entry.mtime)?,
            (Standing::Absent | Standing::Loses, Some(hash))
                if flags & (UV_DELETED | UV_TIME_ONLY) == 0 =>
            {
                if !hash.names(content) {
                    return Err(ReceiveError::Refused(format!(
                        "malformed uvfile: wrong hash on {}",
                        entry.name
                    )));
                }
                self.tx
                    .put_unversioned(&entry.name, entry.mtime, hash, content)?;
            }
            _ => return Ok(()),
        }
        self.received.unversioned += 1;
        Ok(())
    }
}

/// Returns the text or delta in the stored form that a `cfile` card carries.
pub(super) fn unpack(hash: &HashName, packed: &Bytes) -> Result<Bytes, ReceiveError> {
    match codec::unpack(packed, MAX_CONTENT_BYTES) {
        Ok(content) => Ok(content.into()),
        Err(error) => Err(ReceiveError::Refused(format!(
            "unusable content of artifact {hash}: {error}"
        ))),
    }
}
