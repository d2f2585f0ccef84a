//! Long contents in pieces. The engine copies a value twice on its way into a row and once on its way out; a content of some
//! hundred megabytes is written into its row, and read back to be hashed, without any of that.

use bytes::Bytes;
use rusqlite::blob::Blob;
use rusqlite::types::ToSqlOutput;
use rusqlite::{MAIN_DB, OptionalExtension};

use super::{Error, Repository, Result, Rid, Transaction};
use crate::blob::codec::{self, Unpacker};
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::{HashInProgress, HashName};

/// Stored forms of at least this length are written and checked in pieces, in bytes. Shorter ones cost more in pieces.
const LARGE_BYTES: usize = 1 << 20;

/// Length of a piece that is read, in bytes.
const PIECE_BYTES: usize = 128 << 10;

/// Returns what a statement that makes a row is given as its content: zeros where [`Transaction::fill`] puts the content later.
pub(super) fn placeholder(packed: &[u8]) -> ToSqlOutput<'_> {
    match u64::try_from(packed.len()) {
        Ok(length) if packed.len() >= LARGE_BYTES => ToSqlOutput::ZeroBlob(length),
        _ => ToSqlOutput::Borrowed(packed.into()),
    }
}

impl Transaction<'_> {
    /// Puts a content into the row that was made with its [`placeholder`].
    pub(super) fn fill_content(&mut self, rid: Rid, packed: &[u8]) -> Result<()> {
        if !matches!(placeholder(packed), ToSqlOutput::ZeroBlob(_)) {
            return Ok(());
        }
        self.check_fault()?;
        let mut row = self.open_content(rid, false)?;
        row.write_all_at(packed, 0)?;
        Ok(row.close()?)
    }
}

impl Repository {
    /// Checks the content of a row against its name, if it is long and no delta. Returns whether it was.
    ///
    /// # Errors
    /// [`Error::HashMismatch`], [`Error::Codec`].
    pub(super) fn check_if_large(&self, rid: Rid) -> Result<bool> {
        let mut query = self.conn().prepare_cached(
            "SELECT uuid FROM blob WHERE rid=?1 AND length(content)>=?2 AND rid NOT IN (SELECT rid FROM delta)",
        )?;
        let threshold = i64::try_from(LARGE_BYTES).unwrap_or(i64::MAX);
        let name: Option<HashName> = query
            .query_row((rid, threshold), |row| row.get(0))
            .optional()?;
        let Some(name) = name else { return Ok(false) };
        // What has another hash may still be named by a hardened one, which takes the whole content.
        Ok(self.hash_in_pieces(rid, &name)? == name || self.content_afresh(rid).map(|_| true)?)
    }

    /// Returns the stored form of a row if its full text is long: as the engine gives it out it would be there twice.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub(crate) fn stored_if_large(&self, rid: Rid, text_bytes: usize) -> Result<Option<Bytes>> {
        if text_bytes < LARGE_BYTES {
            return Ok(None);
        }
        // What is no blob cannot be opened like one; the caller finds out what it is.
        let Ok(row) = self.open_content(rid, true) else {
            return Ok(None);
        };
        let mut stored = vec![0; row.len()];
        row.read_at_exact(&mut stored, 0)?;
        Ok(Some(stored.into()))
    }

    fn hash_in_pieces(&self, rid: Rid, name: &HashName) -> Result<HashName> {
        let damaged = |source| Error::Codec { rid, source };
        let row = self.open_content(rid, true)?;
        let mut piece = vec![0; PIECE_BYTES.min(row.len())];
        let mut at = 0;
        let mut hash = HashInProgress::new(name.algorithm());
        let mut unpacker: Option<Unpacker> = None;
        while at < row.len() {
            let read = row.read_at(&mut piece, at)?;
            let mut packed = piece.get(..read).unwrap_or_default();
            at = at.saturating_add(read);
            if unpacker.is_none() {
                let declared = codec::declared_size(packed).map_err(damaged)?;
                packed = packed.get(codec::HEADER_BYTES..).unwrap_or_default();
                unpacker = Some(Unpacker::new(declared, MAX_CONTENT_BYTES).map_err(damaged)?);
            }
            if let Some(unpacker) = &mut unpacker {
                unpacker
                    .feed(packed, |text| hash.update(text))
                    .map_err(damaged)?;
            }
        }
        if let Some(unpacker) = unpacker {
            unpacker.finish().map_err(damaged)?;
        }
        Ok(hash.finish())
    }

    fn open_content(&self, rid: Rid, read_only: bool) -> Result<Blob<'_>> {
        Ok(self
            .conn()
            .blob_open(MAIN_DB, c"blob", c"content", rid.get(), read_only)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Visibility;
    use crate::samples::{self, NOW};

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..length / 8).flat_map(|_| next()).collect()
    }

    #[test]
    fn a_long_content_is_stored_and_damage_to_it_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut repo = samples::repository(folder.path());
        for policy in ["0", "2"] {
            let content = [policy.as_bytes(), &noise(3 * LARGE_BYTES)].concat();
            let rid = repo
                .write(NOW, |tx| {
                    tx.set_config("hash-policy", policy)?;
                    Ok::<_, Error>(tx.store(&content, Visibility::Public)?.rid)
                })
                .expect("stored");
            assert_eq!(repo.content(rid).expect("content"), content);
            assert!(repo.check_if_large(rid).expect("sound"));

            let damaged = repo.write(NOW, |tx| {
                let mut row = tx.open_content(rid, false)?;
                let middle = row.len() / 2;
                row.write_all_at(&[0xaa; 64], middle)?;
                row.close()?;
                tx.check_if_large(rid)
            });
            assert!(
                matches!(
                    damaged,
                    Err(Error::Codec { .. } | Error::HashMismatch { .. })
                ),
                "{damaged:?}"
            );
            assert!(repo.check_if_large(rid).expect("rolled back"));
        }
    }
}
