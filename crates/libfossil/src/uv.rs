//! Unversioned files: named contents of which only the newest is kept, replaced and deleted by time stamp.
//!
//! They live in one table beside the artifacts. Two repositories compare their sets by one hash over all names, times and contents, and
//! settle each difference by [`Standing`]: the newer time wins, at equal times the greater hash.

use std::cmp::Ordering;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::blob::codec;
use crate::db::{Error, Repository, Result, Transaction};
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::{HashName, RepoPath};

/// The table, made when it is first needed.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS unversioned(
  uvid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, rcvid INTEGER, mtime DATETIME,
  hash TEXT, sz INTEGER, encoding INT, content BLOB
)";

/// Content is kept packed when that saves at least this part of it, as in stock.
const WORTHWHILE_PERCENT: usize = 80;

/// The config entry that remembers the hash of the whole set.
const SET_HASH: &str = "uv-hash";

/// One unversioned file, or the memory of one that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvFile {
    /// Its name: a simple path without white space.
    pub name: String,
    /// Time of its last change in seconds since 1970.
    pub mtime: i64,
    /// Name of its content; nothing when it was deleted.
    pub hash: Option<HashName>,
    /// Size of its content in bytes.
    pub size: u64,
}

/// Why a name can't be that of an unversioned file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't name an unversioned file: it must be a simple relative path without white space or backslash"
)]
pub struct UvNameError(pub String);

/// How the local version of a file stands against a remote one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no local version.
    Absent,
    /// The remote version replaces the local one.
    Loses,
    /// Same content, and the remote time is newer.
    SameButOlder,
    /// Nothing differs.
    Equal,
    /// Same content, and the local time is newer.
    SameButNewer,
    /// The local version replaces the remote one.
    Wins,
}

/// Checks that `name` can travel: a simple path in UTF-8 without white space, control characters or backslash.
///
/// # Errors
/// It can't.
pub fn check_name(name: &str) -> Result<(), UvNameError> {
    let simple = RepoPath::new(name.as_bytes()).is_ok();
    if simple
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Ok(());
    }
    Err(UvNameError(name.to_owned()))
}

/// Compares a local version with a remote one of the given time and hash.
#[must_use]
pub fn compare(local: Option<&UvFile>, mtime: i64, hash: Option<&HashName>) -> Standing {
    let Some(local) = local else {
        return Standing::Absent;
    };
    let digits = |hash: Option<&HashName>| hash.map_or_else(|| "-".to_owned(), ToString::to_string);
    let (here, there) = (digits(local.hash.as_ref()), digits(hash));
    match (local.mtime.cmp(&mtime), here.cmp(&there)) {
        (Ordering::Less, Ordering::Equal) => Standing::SameButOlder,
        (Ordering::Equal, Ordering::Equal) => Standing::Equal,
        (Ordering::Greater, Ordering::Equal) => Standing::SameButNewer,
        (Ordering::Less, _) | (Ordering::Equal, Ordering::Less) => Standing::Loses,
        (Ordering::Greater, _) | (Ordering::Equal, Ordering::Greater) => Standing::Wins,
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<UvFile> {
    let size: i64 = row.get(3)?;
    Ok(UvFile {
        name: row.get(0)?,
        mtime: row.get(1)?,
        hash: row.get(2)?,
        size: u64::try_from(size).unwrap_or(0),
    })
}

const COLUMNS: &str = "name, coalesce(CAST(mtime AS INTEGER), 0), hash, coalesce(sz, 0)";

fn has_table(conn: &Connection) -> Result<bool> {
    let mut query = conn.prepare_cached(
        "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type='table' AND name='unversioned')",
    )?;
    Ok(query.query_row([], |row| row.get(0))?)
}

impl Repository {
    /// Returns all unversioned files and memories of deleted ones, by name.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn unversioned(&self) -> Result<Vec<UvFile>> {
        if !has_table(self.conn())? {
            return Ok(Vec::new());
        }
        let mut query = self
            .conn()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM unversioned ORDER BY name"))?;
        let files = query.query_map([], from_row)?;
        Ok(files.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns those of [`Repository::unversioned`] that can travel. A name that could not stand in a card would spoil the whole message, and all
    /// behind it would be stuck.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn unversioned_to_tell(&self) -> Result<Vec<UvFile>> {
        let mut files = self.unversioned()?;
        files.retain(|file| check_name(&file.name).is_ok());
        Ok(files)
    }

    /// Returns what is known of one unversioned file.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn unversioned_file(&self, name: &str) -> Result<Option<UvFile>> {
        if !has_table(self.conn())? {
            return Ok(None);
        }
        let mut query = self
            .conn()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM unversioned WHERE name=?1"))?;
        Ok(query.query_row([name], from_row).optional()?)
    }

    /// Returns the content of an unversioned file; nothing when there is none or it was deleted.
    ///
    /// # Errors
    /// The file can't be read, or the stored content is damaged.
    pub fn unversioned_content(&self, name: &str) -> Result<Option<Bytes>> {
        let Some(UvFile {
            hash: Some(hash), ..
        }) = self.unversioned_file(name)?
        else {
            return Ok(None);
        };
        let mut query = self.conn().prepare_cached(
            "SELECT coalesce(encoding, 0), content FROM unversioned WHERE name=?1",
        )?;
        let (encoding, stored) = query.query_row([name], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
        })?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let content = match encoding {
            0 => stored,
            _ => codec::unpack(&stored, MAX_CONTENT_BYTES)
                .map_err(|_| Error::HashMismatch { name: hash })?,
        };
        if !hash.names(&content) {
            return Err(Error::HashMismatch { name: hash });
        }
        Ok(Some(content.into()))
    }

    /// Returns the name of an unversioned file whose content has this hash.
    pub(crate) fn unversioned_named(&self, hash: &HashName) -> Result<Option<String>> {
        if !has_table(self.conn())? {
            return Ok(None);
        }
        let mut query = self
            .conn()
            .prepare_cached("SELECT name FROM unversioned WHERE hash=?1")?;
        Ok(query
            .query_row([hash.as_str()], |row| row.get(0))
            .optional()?)
    }

    /// Returns how many bytes the content of an unversioned file takes in the table; 0 when there is none.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn unversioned_stored_bytes(&self, name: &str) -> Result<u64> {
        if !has_table(self.conn())? {
            return Ok(0);
        }
        let bytes: Option<Option<i64>> = self
            .conn()
            .prepare_cached("SELECT length(content) FROM unversioned WHERE name=?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        Ok(bytes
            .flatten()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or(0))
    }

    /// Returns the hash of the whole set: 40 digits, equal in two repositories exactly when no file that can travel differs.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn unversioned_hash(&self) -> Result<String> {
        if let Some(hash) = self.config(SET_HASH)? {
            return Ok(hash);
        }
        if !has_table(self.conn())? {
            return Ok(HashName::sha1_of(b"").as_str().to_owned());
        }
        let mut query = self.conn().prepare_cached(
            "SELECT name, name || ' ' || datetime(mtime, 'unixepoch') || ' ' || hash || char(10)
               FROM unversioned WHERE hash IS NOT NULL ORDER BY name",
        )?;
        let lines = query.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
        let travels = lines
            .into_iter()
            .filter(|(name, _)| check_name(name).is_ok());
        let text: String = travels.filter_map(|(_, line)| line).collect();
        Ok(HashName::sha1_of(text.as_bytes()).as_str().to_owned())
    }
}

impl Transaction<'_> {
    /// Writes an unversioned file; whatever had that name is gone.
    ///
    /// # Errors
    /// [`Error::UnversionedName`], or the file can't be written.
    pub fn put_unversioned(
        &mut self,
        name: &str,
        mtime: i64,
        hash: &HashName,
        content: &[u8],
    ) -> Result<()> {
        check_name(name)?;
        let packed = codec::pack(content);
        let worthwhile = packed.len() <= content.len() / 100 * WORTHWHILE_PERCENT;
        let stored = if worthwhile {
            packed.as_slice()
        } else {
            content
        };
        let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
        self.replace_unversioned(name, mtime, Some((hash, size, worthwhile, stored)))
    }

    /// Remembers that an unversioned file was deleted.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn delete_unversioned(&mut self, name: &str, mtime: i64) -> Result<()> {
        self.replace_unversioned(name, mtime, None)
    }

    /// Gives an unversioned file another time.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn touch_unversioned(&mut self, name: &str, mtime: i64) -> Result<()> {
        self.unset_config(SET_HASH)?;
        self.execute(
            "UPDATE unversioned SET mtime=?2 WHERE name=?1",
            params![name, mtime],
        )?;
        Ok(())
    }

    fn replace_unversioned(
        &mut self,
        name: &str,
        mtime: i64,
        file: Option<(&HashName, i64, bool, &[u8])>,
    ) -> Result<()> {
        self.execute(TABLE, [])?;
        self.unset_config(SET_HASH)?;
        let rcvid = self.rcvid()?;
        let (hash, size, packed, content) = match file {
            Some((hash, size, packed, content)) => (Some(hash), size, packed, Some(content)),
            None => (None, 0, false, None),
        };
        self.execute(
            "REPLACE INTO unversioned(name, rcvid, mtime, hash, sz, encoding, content) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![name, rcvid, mtime, hash, size, packed, content],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins_and_ties_are_settled_by_hash() {
        let (a, b) = (HashName::sha1_of(b"a"), HashName::sha1_of(b"b"));
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let file = |mtime, hash| UvFile {
            name: "f".into(),
            mtime,
            hash,
            size: 1,
        };
        let cases = [
            (5, Some(low), 5, Some(low), Standing::Equal),
            (4, Some(low), 5, Some(low), Standing::SameButOlder),
            (6, Some(low), 5, Some(low), Standing::SameButNewer),
            (4, Some(high), 5, Some(low), Standing::Loses),
            (5, Some(low), 5, Some(high), Standing::Loses),
            (5, Some(high), 5, Some(low), Standing::Wins),
            (6, Some(low), 5, Some(high), Standing::Wins),
            (5, None, 5, Some(low), Standing::Loses),
            (5, Some(low), 5, None, Standing::Wins),
            (5, None, 5, None, Standing::Equal),
        ];
        for (mtime, hash, remote_mtime, remote_hash, expected) in cases {
            let local = file(mtime, hash);
            assert_eq!(
                compare(Some(&local), remote_mtime, remote_hash.as_ref()),
                expected,
                "{local:?} {remote_mtime}"
            );
        }
        assert_eq!(compare(None, 1, None), Standing::Absent);
    }

    #[test]
    fn names_are_simple_and_have_no_white_space() {
        for name in ["a", "a/b.txt", "größe.pdf", "a-b_c.d"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in [
            "", "a b", "a\tb", "../a", "/a", "a//b", "a\u{a0}b", "a\nb", "_FOSSIL_", "a\\b",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
