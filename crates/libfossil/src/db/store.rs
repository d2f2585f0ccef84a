//! Adding artifacts: whole, as a delta on another, or by name only.
//!
//! Storing what is already here changes nothing but its visibility. Content whose delta source has not
//! arrived is kept, unusable, until it does.

use rusqlite::{OptionalExtension, params};

use super::large::placeholder;
use super::{Error, Result, Rid, Transaction};
use crate::artifact::may_be_structural;
use crate::blob::{codec, delta};
use crate::hash_policy::HashPolicy;
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::{HashAlgorithm, HashName};

/// Whether an artifact may be sent to others unasked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// Sent to everyone who may read.
    Public,
    /// Stays here, unless private content is synchronised expressly.
    Private,
}

/// What became of content that was handed to a repository.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The row.
    pub rid: Rid,
    /// The artifact's name.
    pub name: HashName,
    /// Whether the content was not here before.
    pub is_new: bool,
}

/// An artifact in the form it takes in a row.
struct Packed<'a> {
    name: HashName,
    /// Length of the full text.
    size: usize,
    /// The full text, or a delta on `source`.
    packed: &'a [u8],
    source: Option<Rid>,
    visibility: Visibility,
    /// Whether cross-linking may find something in it; told where the full text was at hand.
    may_be_structural: Option<bool>,
}

impl Transaction<'_> {
    /// Stores content under the name that the hash policy gives it.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Shunned`].
    pub fn store(&mut self, content: &[u8], visibility: Visibility) -> Result<Stored> {
        check_size(content.len())?;
        let policy = self.hash_policy()?;
        let name = self.name_for(content, policy)?;
        self.put_text(name, content, visibility)
    }

    /// Stores content that is said to be called `name`.
    ///
    /// # Errors
    /// [`Error::HashMismatch`] when it is not; [`Error::TooLarge`], [`Error::Shunned`].
    pub fn store_named(
        &mut self,
        name: &HashName,
        content: &[u8],
        visibility: Visibility,
    ) -> Result<Stored> {
        check_size(content.len())?;
        if HashName::of(name.algorithm(), content) != *name {
            return Err(Error::HashMismatch { name: *name });
        }
        self.put_text(*name, content, visibility)
    }

    /// Stores content that is said to be called `name` and comes as a delta on the artifact `source`.
    ///
    /// While the source is not here the delta is kept as it is, and the artifact is not available.
    ///
    /// # Errors
    /// [`Error::Delta`], [`Error::HashMismatch`], [`Error::TooLarge`]; [`Error::Shunned`] for either name;
    /// [`Error::DeltaLoop`] when the source is itself waiting for this artifact; [`Error::TooManyWaiting`].
    pub fn store_delta(
        &mut self,
        name: &HashName,
        source: &HashName,
        change: &[u8],
        visibility: Visibility,
    ) -> Result<Stored> {
        if self.is_shunned(name)? {
            return Err(Error::Shunned { name: *name });
        }
        let damaged = |rid| move |source| Error::Delta { rid, source };
        let known = self.rid(source)?;
        if let Some(source) = known
            && self.is_available(source)?
        {
            let text = self.content(source)?;
            let content =
                delta::apply(&text, change, MAX_CONTENT_BYTES).map_err(damaged(source))?;
            return self.store_named(name, &content, visibility);
        }
        let size = delta::output_size(change).map_err(damaged(known.unwrap_or(Rid::new(0))))?;
        check_size(size)?;
        if !self.may_wait(known, size.max(change.len()))? {
            return Err(Error::TooManyWaiting { name: *name });
        }
        let source_rid = self.source_row(source, visibility)?;
        // Nothing can wait for what nothing has named yet.
        if let Some(own) = self.rid(name)? {
            self.refuse_loop(name, own, source_rid)?;
        }
        self.put(&Packed {
            name: *name,
            size,
            packed: &codec::pack(change),
            source: Some(source_rid),
            visibility,
            may_be_structural: None,
        })
    }

    /// Makes a row for an artifact of which only the name is known; returns the row it has if it has one,
    /// and `None` if it is shunned.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be written.
    pub fn phantom(&mut self, name: &HashName, visibility: Visibility) -> Result<Option<Rid>> {
        if let Some(rid) = self.rid(name)? {
            return Ok(Some(rid));
        }
        if self.is_shunned(name)? {
            return Ok(None);
        }
        self.execute(
            "INSERT INTO blob(rcvid, size, uuid, content) VALUES(0, -1, ?1, NULL)",
            [name.as_str()],
        )?;
        let rid = Rid::new(self.last_insert_rowid());
        self.execute("INSERT INTO phantom(rid) VALUES(?1)", [rid])?;
        self.mark_new(rid, visibility)?;
        Ok(Some(rid))
    }

    /// Lets an artifact be sent to everyone who may read.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be written, or any of reading the artifact.
    pub fn make_public(&mut self, rid: Rid) -> Result<()> {
        if self.execute("DELETE FROM private WHERE rid=?1", [rid])? == 0 {
            return Ok(());
        }
        self.execute("INSERT OR IGNORE INTO unclustered(rid) VALUES(?1)", [rid])?;
        // Others could never apply a delta on something that they may not have.
        match self.delta_source(rid)? {
            Some(source) if self.is_private(source)? && self.is_available(rid)? => {
                self.undeltify(rid)
            }
            _ => Ok(()),
        }
    }

    /// Keeps an artifact from being sent to others unasked.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be written.
    pub fn make_private(&mut self, rid: Rid) -> Result<()> {
        self.execute("INSERT OR IGNORE INTO private(rid) VALUES(?1)", [rid])?;
        self.execute("DELETE FROM unclustered WHERE rid=?1", [rid])?;
        self.execute("DELETE FROM unsent WHERE rid=?1", [rid])?;
        Ok(())
    }

    /// Returns what content is to be called: by its other name if it is here under that one.
    fn name_for(&self, content: &[u8], policy: HashPolicy) -> Result<HashName> {
        if policy.reuses_other_name() {
            let other = match policy.algorithm() {
                HashAlgorithm::Sha1 => HashAlgorithm::Sha3,
                HashAlgorithm::Sha3 => HashAlgorithm::Sha1,
            };
            let other = HashName::of(other, content);
            if self.rid(&other)?.is_some() {
                return Ok(other);
            }
        }
        Ok(HashName::of(policy.algorithm(), content))
    }

    fn put_text(
        &mut self,
        name: HashName,
        content: &[u8],
        visibility: Visibility,
    ) -> Result<Stored> {
        if self.is_shunned(&name)? {
            return Err(Error::Shunned { name });
        }
        self.put(&Packed {
            name,
            size: content.len(),
            packed: &codec::pack(content),
            source: None,
            visibility,
            may_be_structural: Some(may_be_structural(content)),
        })
    }

    /// Writes the row, and notes what is available since.
    fn put(&mut self, artifact: &Packed<'_>) -> Result<Stored> {
        let stored = self.insert_row(artifact)?;
        if stored.is_new {
            self.note_written(stored.rid);
            if self.is_available(stored.rid)? {
                match artifact.may_be_structural {
                    Some(true) => self.note_fresh(stored.rid),
                    Some(false) => {}
                    None => self.note_if_structural(stored.rid)?,
                }
                self.settle_waiting(stored.rid)?;
            }
        }
        Ok(stored)
    }

    fn insert_row(&mut self, artifact: &Packed<'_>) -> Result<Stored> {
        let Packed { name, packed, .. } = *artifact;
        let held: Option<(Rid, i64)> = self
            .conn()
            .prepare_cached("SELECT rid, size FROM blob WHERE uuid=?1")?
            .query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((rid, _)) = held
            && artifact.visibility == Visibility::Public
        {
            self.make_public(rid)?;
        }
        if let Some((rid, 0..)) = held {
            return Ok(Stored {
                rid,
                name,
                is_new: false,
            });
        }
        self.adapt_policy(&name)?;
        let rcvid = self.rcvid()?;
        let size = i64::try_from(artifact.size).unwrap_or(i64::MAX);
        let rid = if let Some((rid, _)) = held {
            self.execute(
                "UPDATE blob SET rcvid=?1, size=?2, content=?3 WHERE rid=?4",
                params![rcvid, size, placeholder(packed), rid],
            )?;
            self.execute("DELETE FROM phantom WHERE rid=?1", [rid])?;
            if artifact.visibility == Visibility::Private {
                self.make_private(rid)?;
            }
            rid
        } else {
            self.execute(
                "INSERT INTO blob(rcvid, size, uuid, content) VALUES(?1, ?2, ?3, ?4)",
                params![rcvid, size, name.as_str(), placeholder(packed)],
            )?;
            let rid = Rid::new(self.last_insert_rowid());
            self.mark_new(rid, artifact.visibility)?;
            rid
        };
        self.fill_content(rid, packed)?;
        if let Some(source) = artifact.source {
            self.execute(
                "REPLACE INTO delta(rid, srcid) VALUES(?1, ?2)",
                params![rid, source],
            )?;
        }
        if self.is_made_here() && artifact.visibility == Visibility::Public {
            self.execute("INSERT OR IGNORE INTO unsent(rid) VALUES(?1)", [rid])?;
        }
        Ok(Stored {
            rid,
            name,
            is_new: true,
        })
    }

    fn mark_new(&mut self, rid: Rid, visibility: Visibility) -> Result<()> {
        let sql = match visibility {
            Visibility::Public => "INSERT OR IGNORE INTO unclustered(rid) VALUES(?1)",
            Visibility::Private => "INSERT OR IGNORE INTO private(rid) VALUES(?1)",
        };
        self.execute(sql, [rid])?;
        Ok(())
    }

    fn adapt_policy(&mut self, name: &HashName) -> Result<()> {
        let policy = self.hash_policy()?;
        let after = policy.after_storing(name);
        if after != policy {
            self.set_config("hash-policy", &after.to_config().to_string())?;
        }
        Ok(())
    }

    /// Returns the row of a delta's source, which may be known by name only.
    pub(super) fn source_row(&mut self, source: &HashName, visibility: Visibility) -> Result<Rid> {
        self.phantom(source, visibility)?
            .ok_or(Error::Shunned { name: *source })
    }

    /// Has a row cross-linked before the commit, if that can be anything to cross-link.
    pub(super) fn note_if_structural(&mut self, rid: Rid) -> Result<()> {
        if may_be_structural(&self.content(rid)?) {
            self.note_fresh(rid);
        }
        Ok(())
    }
}

pub(super) fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_CONTENT_BYTES {
        return Err(Error::TooLarge {
            bytes,
            limit: MAX_CONTENT_BYTES,
        });
    }
    Ok(())
}
