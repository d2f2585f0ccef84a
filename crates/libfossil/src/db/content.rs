//! From an artifact's name or row to its bytes.
//!
//! A row holds full text or a delta on another row. The chain of deltas is walked without recursion up to
//! the first text that is at hand, then applied downwards; a ring of deltas is noticed, and no step may
//! give more than [`MAX_CONTENT_BYTES`].

use std::collections::HashSet;

use bytes::Bytes;
use rusqlite::OptionalExtension;

use super::cache::ContentCache;
use super::{Error, Repository, Result, Rid};
use crate::blob::{codec, delta};
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::HashName;

/// Of a long chain, every so many intermediate texts are kept in the cache: the next one asked for is
/// likely a neighbour.
const KEEP_EVERY: usize = 16;

/// One row of a chain: its content is a delta on the row after it.
struct Link {
    rid: Rid,
    name: HashName,
    packed: Vec<u8>,
}

impl Repository {
    /// Returns the row of the artifact called `name`, be its content here or not.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn rid(&self, name: &HashName) -> Result<Option<Rid>> {
        Ok(self
            .conn()
            .prepare_cached("SELECT rid FROM blob WHERE uuid=?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?)
    }

    /// Returns row and name of the artifact that came last and may travel, `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn newest(&self) -> Result<Option<(Rid, HashName)>> {
        Ok(self
            .conn()
            .prepare_cached(
                "SELECT rid, uuid FROM blob WHERE size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun)
                  ORDER BY rid DESC LIMIT 1",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?)
    }

    /// Returns the name of the artifact in a row.
    ///
    /// # Errors
    /// [`Error::UnknownRid`], [`Error::BadName`].
    pub fn name(&self, rid: Rid) -> Result<HashName> {
        let text: Option<String> = self
            .conn()
            .prepare_cached("SELECT uuid FROM blob WHERE rid=?1")?
            .query_row([rid], |row| row.get(0))
            .optional()?;
        let text = text.ok_or(Error::UnknownRid(rid))?;
        HashName::parse(text.as_bytes()).map_err(|_| Error::BadName(rid))
    }

    /// Returns the content of the artifact in a row.
    ///
    /// # Errors
    /// [`Error::Missing`] when only its name is known, or that of one it is a delta of;
    /// [`Error::DeltaLoop`], [`Error::Codec`] and [`Error::Delta`] when the file is damaged.
    pub fn content(&self, rid: Rid) -> Result<Bytes> {
        self.expand(rid, &mut self.cache.borrow_mut())
    }

    /// Returns the content of the artifact in a row, or nothing when [it cannot be had](Repository::is_available).
    ///
    /// # Errors
    /// [`Error::DeltaLoop`], [`Error::Codec`] and [`Error::Delta`] when the file is damaged.
    pub(crate) fn content_if_available(&self, rid: Rid) -> Result<Option<Bytes>> {
        match self.content(rid) {
            Ok(content) => Ok(Some(content)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns how long the content of the artifact in a row is, in bytes.
    pub(crate) fn content_bytes(&self, rid: Rid) -> Result<u32> {
        let size: i64 = self
            .conn()
            .prepare_cached("SELECT size FROM blob WHERE rid=?1")?
            .query_row([rid], |row| row.get(0))?;
        Ok(u32::try_from(size).unwrap_or(u32::MAX))
    }

    /// Returns whether the content of the artifact in a row can be had: neither it nor any it is a delta of
    /// is known by name only.
    ///
    /// # Errors
    /// [`Error::DeltaLoop`] when the file is damaged.
    pub fn is_available(&self, rid: Rid) -> Result<bool> {
        let mut query = self.conn().prepare_cached(
            "SELECT blob.size>=0, delta.srcid FROM blob LEFT JOIN delta USING(rid) WHERE rid=?1",
        )?;
        let mut seen = HashSet::new();
        let mut next = rid;
        loop {
            let row: Option<(bool, Option<Rid>)> = query
                .query_row([next], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match row {
                Some((true, Some(_))) if !seen.insert(next) => {
                    return Err(Error::DeltaLoop {
                        name: self.name(rid)?,
                    });
                }
                Some((true, Some(source))) => next = source,
                Some((true, None)) => return Ok(true),
                Some((false, _)) | None => return Ok(false),
            }
        }
    }

    /// Returns whether only the name of the artifact in a row is known.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn is_phantom(&self, rid: Rid) -> Result<bool> {
        self.probe("SELECT 1 FROM blob WHERE rid=?1 AND size<0", rid)
    }

    /// Returns whether the artifact in a row must not leave this repository unasked.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn is_private(&self, rid: Rid) -> Result<bool> {
        self.probe("SELECT 1 FROM private WHERE rid=?1", rid)
    }

    /// Returns whether artifacts of this name are refused here.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn is_shunned(&self, name: &HashName) -> Result<bool> {
        if !self.hash_policy()?.welcomes(name) {
            return Ok(true);
        }
        Ok(self
            .conn()
            .prepare_cached("SELECT 1 FROM shun WHERE uuid=?1")?
            .exists([name.as_str()])?)
    }

    /// Returns the row that the content of another is a delta of, if it is one.
    pub(crate) fn delta_source(&self, rid: Rid) -> Result<Option<Rid>> {
        Ok(self
            .conn()
            .prepare_cached("SELECT srcid FROM delta WHERE rid=?1")?
            .query_row([rid], |row| row.get(0))
            .optional()?)
    }

    /// Returns the content of a row as it can be read from the file now, and checks it against its name.
    ///
    /// # Errors
    /// As [`Repository::content`], and [`Error::HashMismatch`].
    pub(crate) fn content_checked(&self, rid: Rid, cache: &mut ContentCache) -> Result<Bytes> {
        let content = self.expand(rid, cache)?;
        let name = self.name(rid)?;
        if name.names(&content) {
            Ok(content)
        } else {
            Err(Error::HashMismatch { name })
        }
    }

    /// Returns the content of a row past all caches, checked against its name.
    ///
    /// # Errors
    /// As [`Repository::content`], and [`Error::HashMismatch`].
    pub(crate) fn content_afresh(&self, rid: Rid) -> Result<Bytes> {
        self.content_checked(rid, &mut ContentCache::new(0))
    }

    /// Returns the content of a row past all caches.
    ///
    /// # Errors
    /// As [`Repository::content`].
    pub(crate) fn expand_afresh(&self, rid: Rid) -> Result<Bytes> {
        self.expand(rid, &mut ContentCache::new(0))
    }

    fn probe(&self, sql: &str, rid: Rid) -> Result<bool> {
        Ok(self.conn().prepare_cached(sql)?.exists([rid])?)
    }

    /// Expands a row with the help of `cache`, and leaves there what it found.
    pub(crate) fn expand(&self, rid: Rid, cache: &mut ContentCache) -> Result<Bytes> {
        let mut chain = Vec::new();
        let mut text = self.walk_to_text(rid, cache, &mut chain)?;
        for (step, link) in chain.iter().enumerate().rev() {
            let damaged = |source| Error::Codec {
                rid: link.rid,
                source,
            };
            let change = codec::unpack(&link.packed, MAX_CONTENT_BYTES).map_err(damaged)?;
            text = delta::apply(&text, &change, MAX_CONTENT_BYTES)
                .map_err(|source| Error::Delta {
                    rid: link.rid,
                    source,
                })?
                .into();
            if step % KEEP_EVERY == 0 {
                cache.insert(link.name, text.clone());
            }
        }
        Ok(text)
    }

    /// Follows the deltas from `rid` to a full text, which it returns, collecting them on the way.
    fn walk_to_text(
        &self,
        rid: Rid,
        cache: &mut ContentCache,
        chain: &mut Vec<Link>,
    ) -> Result<Bytes> {
        let mut query = self.conn().prepare_cached(
            "SELECT uuid, size, srcid, content FROM blob LEFT JOIN delta USING(rid) WHERE rid=?1",
        )?;
        let mut seen = HashSet::new();
        let mut next = rid;
        loop {
            let mut rows = query.query([next])?;
            let row = rows.next()?.ok_or(Error::UnknownRid(next))?;
            let name = row.get_ref(0)?.as_bytes().ok();
            let name = name
                .and_then(|text| HashName::parse(text).ok())
                .ok_or(Error::BadName(next))?;
            if let Some(text) = cache.get(&name) {
                return Ok(text);
            }
            let asked = || chain.first().map_or(name, |link: &Link| link.name);
            let packed = match row.get_ref(3)?.as_bytes_or_null() {
                Ok(Some(packed)) if row.get::<_, i64>(1)? >= 0 => packed,
                _ => return Err(Error::Missing { name: asked() }),
            };
            let Some(source) = row.get::<_, Option<Rid>>(2)? else {
                let text = codec::unpack(packed, MAX_CONTENT_BYTES);
                let text = Bytes::from(text.map_err(|source| Error::Codec { rid: next, source })?);
                cache.insert(name, text.clone());
                return Ok(text);
            };
            if !seen.insert(next) {
                return Err(Error::DeltaLoop { name: asked() });
            }
            chain.push(Link {
                rid: next,
                name,
                packed: packed.to_vec(),
            });
            next = source;
        }
    }
}
