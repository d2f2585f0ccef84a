//! The repository file: opening, reading and writing it in the form that stock Fossil uses.
//!
//! [`Repository`] is one open file and reads; all writing goes through [`Repository::write`], one
//! [`Transaction`] at a time. What is stored is read back and hashed before it is committed, and
//! structural artifacts are [cross-linked](crate::crosslink) in the same breath. Content never changes
//! once stored, so readers need no transaction.
//!
//! - [`schema`]: the tables.
//! - `open`, `create`: from a path to a [`Repository`].
//! - `content`: from a name to its bytes, through deltas and a bounded cache.
//! - `transaction`, `store`, `waiting`, `packed`, `large`, `deltify`: writing.
//! - `config`, `user`, `remembered`: settings, people, the server of the last sync.

mod cache;
mod config;
mod content;
mod create;
mod deltify;
mod error;
mod large;
mod lock;
mod open;
mod packed;
mod remembered;
mod rid;
pub mod schema;
mod store;
mod transaction;
mod user;
mod waiting;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;

use crate::xfer::extension::ContentName;
use cache::ContentCache;
pub use create::NewRepository;
pub use error::{Error, Result};
pub use open::Access;
pub(crate) use packed::{Intake, PackedContent, sources_first};
pub use remembered::RememberedRemote;
pub use rid::Rid;
pub use store::{Stored, Visibility};
pub use transaction::{Receipt, Transaction};
pub use user::{SPECIAL_USERS, User, password_secret};

/// Most bytes of expanded content that one open repository keeps at hand.
const CACHE_BYTES: usize = 64 << 20;

/// How long a lock held by another program is waited for; stock waits as long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// One open repository file.
#[derive(Debug)]
pub struct Repository {
    conn: Connection,
    path: PathBuf,
    access: Access,
    cache: RefCell<ContentCache>,
    /// How long a lock held by another program is waited for.
    busy_timeout: Cell<Duration>,
    /// The long content of which a part was read last.
    read_in_parts: RefCell<Option<(ContentName, Bytes)>>,
    /// Write calls left until one fails, when a test asked for it.
    fail_after: Cell<Option<u64>>,
}

impl Repository {
    /// Returns the path that the file was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file was opened for writing too.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Sets how long a lock held by another program is waited for.
    ///
    /// # Errors
    /// [`Error::Sqlite`] if the engine refuses.
    pub fn set_busy_timeout(&self, timeout: Duration) -> Result<()> {
        self.conn.busy_timeout(timeout)?;
        self.busy_timeout.set(timeout);
        Ok(())
    }

    /// Gives back the memory that only makes further reading faster: contents at hand, and the engine's pages and statements.
    ///
    /// # Errors
    /// [`Error::Sqlite`] if the engine refuses.
    pub fn release_memory(&self) -> Result<()> {
        self.cache.replace(ContentCache::new(CACHE_BYTES));
        self.read_in_parts.take();
        self.conn.flush_prepared_statement_cache();
        Ok(self.conn.execute_batch("PRAGMA shrink_memory")?)
    }

    /// Returns how many bytes of contents are at hand.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let in_parts = self.read_in_parts.borrow();
        let in_parts = in_parts.as_ref().map_or(0, |(_, content)| content.len());
        self.cache.borrow().held_bytes() + in_parts
    }

    /// Returns a number that changes whenever another connection or program has changed the file.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn data_version(&self) -> Result<i64> {
        Ok(self
            .conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?)
    }

    /// Lets the engine look through the file's pages; returns what it complains about, nothing when they are sound. The artifacts
    /// themselves are looked at by [`Repository::verify`].
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file is too damaged to be looked through.
    pub fn quick_check(&self) -> Result<Vec<String>> {
        let mut query = self.conn.prepare("PRAGMA quick_check(10)")?;
        let lines = query.query_map([], |row| row.get::<_, String>(0))?;
        let mut complaints = lines.collect::<rusqlite::Result<Vec<_>>>()?;
        complaints.retain(|line| line != "ok");
        Ok(complaints)
    }

    /// Runs `work` on one state of the file, whatever other programs do to it meanwhile. Without this, each query takes the file's lock
    /// and looks whether the engine's page cache is still good, which costs more than most queries themselves.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        // Ended without a change when it is dropped, however `work` ends.
        let _snapshot = self.conn.unchecked_transaction()?;
        work(self)
    }

    /// Returns a part of a long content, and how long that is; `None` when it is not here. The content stays at hand until its end was
    /// read, because parts are read one after the other.
    pub(crate) fn part(
        &self,
        name: &ContentName,
        range: std::ops::Range<usize>,
    ) -> Result<Option<Bytes>> {
        let held = self.read_in_parts.take();
        let content = match held {
            Some((held, content)) if held == *name => content,
            _ => match self.long_content(name)? {
                Some(content) => content,
                None => return Ok(None),
            },
        };
        let end = range.end.min(content.len());
        let part = content.slice(range.start.min(end)..end);
        if end < content.len() {
            self.read_in_parts.replace(Some((*name, content)));
        }
        Ok(Some(part))
    }

    fn long_content(&self, name: &ContentName) -> Result<Option<Bytes>> {
        match name {
            ContentName::Artifact(hash) => match self.rid(hash)? {
                Some(rid) => self.content_if_available(rid),
                None => Ok(None),
            },
            ContentName::Unversioned(hash) => match self.unversioned_named(hash)? {
                Some(file) => self.unversioned_content(&file),
                None => Ok(None),
            },
        }
    }

    /// Returns the connection, for reading by the modules of this crate.
    pub(crate) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Makes the `n`-th write call from now fail, as a full disk would. For tests.
    #[doc(hidden)]
    pub fn fail_at(&self, n: u64) {
        self.fail_after.set(Some(n));
    }

    /// Ends what [`Repository::fail_at`] began. Returns whether the failure is still to come.
    #[doc(hidden)]
    pub fn fail_never(&self) -> bool {
        self.fail_after.take().is_some()
    }

    /// Counts a write call, and fails it if a test asked for that.
    fn check_fault(&self) -> Result<()> {
        match self.fail_after.get() {
            None => Ok(()),
            Some(0 | 1) => {
                self.fail_after.set(None);
                Err(Error::Injected)
            }
            Some(left) => {
                self.fail_after.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
