//! From a path to an open repository, trusting nothing in the file.
//!
//! A repository may come from anywhere, so the engine runs with its defences on: triggers and views of the
//! file are ignored, its schema cannot call functions with side effects, and nothing can be attached.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::cache::ContentCache;
use super::error::locate;
use super::{BUSY_TIMEOUT, CACHE_BYTES, Error, Repository, Result, schema};

/// The least bytes that SQLite writes: no page is smaller.
const SMALLEST_PAGE: u64 = 512;

/// What an open repository may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

impl Repository {
    /// Opens the repository at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotARepository`] for anything that is not of the right form,
    /// [`Error::Damaged`] for what is but is not whole, [`Error::NewerSchema`] and [`Error::OlderSchema`] for other generations of Fossil,
    /// [`Error::ReadOnly`] when writing is asked for and impossible, [`Error::Busy`] when locked.
    pub fn open(path: impl AsRef<Path>, access: Access) -> Result<Self> {
        let path = path.as_ref();
        let too_short = check_file(path)?;
        let flags = match access {
            Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
        } | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let repository = Connection::open_with_flags(path, flags)
            .map_err(Error::from)
            .and_then(|conn| Self::over(conn, path, access));
        match repository {
            Ok(_) if too_short => Err(not_a_repository(path, "it is too short")),
            opened => opened.map_err(|error| explain(error, path)),
        }
    }

    /// Takes a fresh connection into service and looks whether it leads to a repository.
    fn over(conn: Connection, path: &Path, access: Access) -> Result<Self> {
        harden(&conn)?;
        if access == Access::ReadWrite && conn.is_readonly("main")? {
            return Err(Error::ReadOnly(path.to_owned()));
        }
        let repository = Self {
            conn,
            path: path.to_owned(),
            access,
            cache: RefCell::new(ContentCache::new(CACHE_BYTES)),
            busy_timeout: Cell::new(BUSY_TIMEOUT),
            read_in_parts: RefCell::new(None),
            fail_after: Cell::new(None),
        };
        repository.check_tables()?;
        repository.check_generation()?;
        Ok(repository)
    }

    fn check_tables(&self) -> Result<()> {
        let mut query = self
            .conn
            .prepare("SELECT 1 FROM sqlite_schema WHERE type='table' AND name=?1")?;
        for table in schema::IDENTIFYING_TABLES {
            if !query.exists([table])? {
                return Err(not_a_repository(
                    &self.path,
                    format!("it is an SQLite file, but has no table {table:?}"),
                ));
            }
        }
        Ok(())
    }

    fn check_generation(&self) -> Result<()> {
        let content = schema::CONTENT_SCHEMA;
        self.check_schema("content", "content-schema", content, content)?;
        let (oldest, newest) = (schema::AUX_SCHEMA_MIN, schema::AUX_SCHEMA_MAX);
        self.check_schema("aux", "aux-schema", oldest, newest)
    }

    /// Compares a generation, as text, with the range that is understood.
    fn check_schema(
        &self,
        table: &'static str,
        entry: &str,
        oldest: &str,
        newest: &'static str,
    ) -> Result<()> {
        let found = self.config(entry)?.unwrap_or_default();
        let path = self.path.clone();
        if found.as_str() > newest {
            let known = newest;
            return Err(Error::NewerSchema {
                path,
                table,
                found,
                known,
            });
        }
        if found.as_str() < oldest {
            return Err(Error::OlderSchema { path, table, found });
        }
        Ok(())
    }
}

/// Switches the engine's defences on.
pub(super) fn harden(conn: &Connection) -> Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // Stock writes rows that refer to rcvid 0; the references in its schema are documentation.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    // Otherwise a cached statement may be planned anew for each value that is bound to it, which costs more than it saves here.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.execute_batch(
        "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA cache_size=-16000;
         PRAGMA temp_store=MEMORY;",
    )?;
    Ok(())
}

/// Looks at what is at the path, before the engine does. The file itself is left to the engine: closing a second
/// descriptor of it would drop the locks that other connections of this process hold. Returns whether the file is shorter than any
/// repository, which another program's database may be.
fn check_file(path: &Path) -> Result<bool> {
    let metadata = fs::metadata(path).map_err(|_| Error::NotFound(path.to_owned()))?;
    if !metadata.is_file() {
        return Err(not_a_repository(path, "it is not a file"));
    }
    // An unfinished transaction may have left the file at any length; the engine will repair it.
    let in_transaction = ["-journal", "-wal"].iter().any(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        Path::new(&name).exists()
    });
    if in_transaction {
        return Ok(false);
    }
    if metadata.len() < SMALLEST_PAGE {
        return Err(not_a_repository(path, "it is too short"));
    }
    Ok(metadata.len() < schema::MIN_FILE_BYTES)
}

fn not_a_repository(path: &Path, reason: impl Into<String>) -> Error {
    Error::NotARepository {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// Turns what the engine says about a file it cannot use into what that means.
fn explain(error: Error, path: &Path) -> Error {
    match &error {
        Error::Sqlite(cause) => match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => Error::Damaged {
                path: path.to_owned(),
                reason: cause.to_string(),
            },
            Some(ErrorCode::NotADatabase | ErrorCode::Unknown) | None => {
                not_a_repository(path, cause.to_string())
            }
            _ => locate(error, path),
        },
        _ => error,
    }
}
