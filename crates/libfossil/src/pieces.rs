//! Contents that arrive in pieces, until they are whole.
//!
//! They are kept in a database beside the repository, `PATH-pieces`, so that an interrupted transfer goes on where it was, from whichever peer.
//! Only announced contents are taken in, up to a bound for all of them together: who needs room takes that of what was untouched for longest, and
//! what nobody touched for a week goes. Nothing here is trusted: a content is checked against its name when it is whole. So the file is written
//! without waiting for the disk, and a damaged one is simply made anew. It goes when nothing is left in it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::db::{Repository, Result};
use crate::limits::{MAX_CONTENT_BYTES, MAX_PARTIAL_BYTES};
use crate::time::Timestamp;
use crate::xfer::extension::ContentName;

/// What is added to the repository's path.
const SUFFIX: &str = "-pieces";

const SCHEMA: &str = "
    PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;
    CREATE TABLE IF NOT EXISTS content(
        name TEXT PRIMARY KEY, size INTEGER NOT NULL, touched_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS piece(
        name TEXT NOT NULL REFERENCES content(name) ON DELETE CASCADE, start INTEGER NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY(name, start)
    ) STRICT;";

/// How long what nobody touches is kept.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long another program that writes is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The contents of which pieces are here.
#[derive(Debug)]
pub(crate) struct Pieces {
    conn: Connection,
    path: PathBuf,
    now_ms: i64,
}

/// Returns where the pieces for the repository at `path` are.
#[must_use]
pub fn path_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

impl Pieces {
    /// Opens the database beside `repo`, making it where there is none.
    pub(crate) fn open(repo: &Repository, now: Timestamp) -> Result<Self> {
        let path = path_beside(repo.path());
        let now_ms = now.unix_millis();
        let opened = match Self::over(&path, now_ms) {
            Err(error) if is_damaged(&error) => {
                // What cannot be removed cannot be opened the second time either.
                let _ = fs::remove_file(&path);
                Self::over(&path, now_ms)
            }
            opened => opened,
        };
        Ok(opened?)
    }

    /// Opens the database beside `repo` if there is one.
    pub(crate) fn existing(repo: &Repository, now: Timestamp) -> Result<Option<Self>> {
        if path_beside(repo.path()).exists() {
            Self::open(repo, now).map(Some)
        } else {
            Ok(None)
        }
    }

    fn over(path: &Path, now_ms: i64) -> rusqlite::Result<Self> {
        let conn = Connection::open(path)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.execute_batch(SCHEMA)?;
        let patience = i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
        conn.execute(
            "DELETE FROM content WHERE touched_ms < ?1",
            [now_ms.saturating_sub(patience)],
        )?;
        Ok(Self {
            conn,
            path: path.to_owned(),
            now_ms,
        })
    }

    /// Takes note that a content of this size is to come. Returns whether there is room for it. An earlier note of another size was a lie, or this
    /// one is: what came by then goes.
    pub(crate) fn expect(&mut self, name: &ContentName, size: u32) -> Result<bool> {
        let known = self.size(name)?;
        if known == Some(size) {
            return Ok(true);
        }
        self.forget(name)?;
        let wanted = u64::from(size);
        if usize::try_from(size).map_or(true, |size| size > MAX_CONTENT_BYTES) {
            return Ok(false);
        }
        while self.expected_bytes()? + wanted > MAX_PARTIAL_BYTES {
            self.conn.execute(
                "DELETE FROM content WHERE name=(SELECT name FROM content ORDER BY touched_ms LIMIT 1)",
                [],
            )?;
        }
        self.conn.execute(
            "INSERT INTO content(name, size, touched_ms) VALUES(?1, ?2, ?3)",
            params![name.to_string(), size, self.now_ms],
        )?;
        Ok(true)
    }

    fn expected_bytes(&self) -> Result<u64> {
        let sum: i64 =
            self.conn
                .query_row("SELECT coalesce(sum(size), 0) FROM content", [], |row| {
                    row.get(0)
                })?;
        Ok(u64::try_from(sum).unwrap_or(u64::MAX))
    }

    fn size(&self, name: &ContentName) -> Result<Option<u32>> {
        Ok(self
            .conn
            .query_row(
                "SELECT size FROM content WHERE name=?1",
                [name.to_string()],
                |row| row.get(0),
            )
            .optional()?)
    }

    /// Takes in a piece. Returns whether it is part of what is to come and brings something.
    pub(crate) fn put(&mut self, name: &ContentName, offset: u32, bytes: &[u8]) -> Result<bool> {
        let Some(size) = self.size(name)? else {
            return Ok(false);
        };
        let end = u64::from(offset) + bytes.len() as u64;
        if bytes.is_empty() || end > u64::from(size) {
            return Ok(false);
        }
        // Pieces that overlap would make more of a content than its size.
        let free = self.gaps(name)?.is_some_and(|gaps| {
            gaps.iter()
                .any(|gap| gap.start <= offset && end <= u64::from(gap.end))
        });
        if !free {
            return Ok(false);
        }
        let key = name.to_string();
        let tx = self.conn.transaction()?;
        tx.execute(
            "INSERT INTO piece(name, start, bytes) VALUES(?1, ?2, ?3)",
            params![key, offset, bytes],
        )?;
        tx.execute(
            "UPDATE content SET touched_ms=?2 WHERE name=?1",
            params![key, self.now_ms],
        )?;
        tx.commit()?;
        Ok(true)
    }

    /// Returns what is missing of a content, in order; `None` when it is not to come.
    pub(crate) fn gaps(&self, name: &ContentName) -> Result<Option<Vec<Range<u32>>>> {
        let Some(size) = self.size(name)? else {
            return Ok(None);
        };
        let mut query = self.conn.prepare_cached(
            "SELECT start, length(bytes) FROM piece WHERE name=?1 ORDER BY start",
        )?;
        let rows = query.query_map([name.to_string()], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?))
        })?;
        let (mut gaps, mut end) = (Vec::new(), 0);
        for row in rows {
            let (start, length) = row?;
            if start > end {
                gaps.push(end..start);
            }
            end = end.max(start.saturating_add(length));
        }
        if end < size {
            gaps.push(end..size);
        }
        Ok(Some(gaps))
    }

    /// Returns a content that is whole, not yet checked against its name.
    pub(crate) fn assemble(&self, name: &ContentName) -> Result<Option<Bytes>> {
        if self.gaps(name)?.is_none_or(|gaps| !gaps.is_empty()) {
            return Ok(None);
        }
        let mut query = self
            .conn
            .prepare_cached("SELECT bytes FROM piece WHERE name=?1 ORDER BY start")?;
        let mut rows = query.query([name.to_string()])?;
        let mut content = Vec::new();
        while let Some(row) = rows.next()? {
            let piece = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            content.extend_from_slice(piece);
        }
        Ok(Some(content.into()))
    }

    /// Drops what is here of a content. The file goes with the last one.
    pub(crate) fn forget(&mut self, name: &ContentName) -> Result<()> {
        self.conn
            .execute("DELETE FROM content WHERE name=?1", [name.to_string()])?;
        Ok(())
    }

    /// Removes the file if nothing is in it.
    pub(crate) fn close(self) -> Result<()> {
        let used = self
            .conn
            .prepare("SELECT 1 FROM content LIMIT 1")?
            .exists([])?;
        if !used {
            drop(self.conn);
            // It may be gone: what it would hold is asked for again.
            let _ = fs::remove_file(&self.path);
        }
        Ok(())
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

#[cfg(test)]
mod tests;
