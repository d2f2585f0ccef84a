//! The few figures that every list of repositories shows, read from the file in one go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::api::{CheckInSummary, Time};

/// Fossil's mark in the header of its repository files.
const APPLICATION_ID: i64 = 252_006_673;

/// What a list shows of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub project_code: String,
    pub project_name: Option<String>,
    pub size: u64,
    pub check_ins: u64,
    pub artifacts: u64,
    pub last_check_in: Option<CheckInSummary>,
}

/// A repository's file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Unreadable {
    /// There is no such file.
    #[error("{} is not there", path.display())]
    Gone { path: PathBuf },
    /// The system refuses.
    #[error("{} cannot be read: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// It is something else.
    #[error("{} is not a Fossil repository", path.display())]
    Foreign { path: PathBuf },
    /// SQLite refuses.
    #[error("{} cannot be read: {source}", path.display())]
    Database {
        path: PathBuf,
        source: rusqlite::Error,
    },
}

impl Unreadable {
    /// Returns what a person can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Gone { .. } => "Put the file back, or remove the repository from the list.",
            Self::Io { .. } => "Check the file's permissions.",
            Self::Foreign { .. } => return None,
            Self::Database { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) =>
            {
                "Bring the file back from a backup, or clone it anew."
            }
            Self::Database { .. } => "Check the file with `edgesync repo verify`.",
        };
        Some(hint.to_owned())
    }
}

impl Facts {
    /// Reads the facts of the repository at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, Unreadable> {
        let size = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => {
                return Err(Unreadable::Foreign {
                    path: path.to_path_buf(),
                });
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Unreadable::Gone {
                    path: path.to_path_buf(),
                });
            }
            Err(source) => {
                return Err(Unreadable::Io {
                    path: path.to_path_buf(),
                    source,
                });
            }
        };
        let database = |source| Unreadable::Database {
            path: path.to_path_buf(),
            source,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(database)?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(database)?;
        let facts = query(&connection, size).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => Unreadable::Foreign {
                path: path.to_path_buf(),
            },
            _ => database(error),
        })?;
        facts.ok_or_else(|| Unreadable::Foreign {
            path: path.to_path_buf(),
        })
    }
}

/// Returns the facts, or `None` when the database is no repository.
fn query(connection: &Connection, size: u64) -> rusqlite::Result<Option<Facts>> {
    let snapshot = connection.unchecked_transaction()?;
    let application: i64 = snapshot.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Ok(None);
    }
    let config = |name: &str| {
        snapshot
            .query_row("SELECT value FROM config WHERE name = ?1", [name], |row| {
                row.get::<_, String>(0)
            })
            .optional()
    };
    let count = |sql: &str| {
        snapshot
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    };
    let Some(project_code) = config("project-code")? else {
        return Ok(None);
    };
    Ok(Some(Facts {
        project_code,
        project_name: config("project-name")?,
        size,
        check_ins: count("SELECT count(*) FROM event WHERE type = 'ci'")?,
        artifacts: count("SELECT count(*) FROM blob WHERE size >= 0")?,
        last_check_in: last_check_in(&snapshot)?,
    }))
}

fn last_check_in(connection: &Connection) -> rusqlite::Result<Option<CheckInSummary>> {
    let sql = "SELECT blob.uuid, CAST(round((event.mtime - 2440587.5) * 86400000) AS INTEGER), coalesce(euser, user, ''),
                      coalesce(ecomment, comment, ''),
                      coalesce((SELECT value FROM tagxref WHERE rid = objid AND tagtype > 0
                                  AND tagid = (SELECT tagid FROM tag WHERE tagname = 'branch')), '')
                 FROM event JOIN blob ON blob.rid = objid WHERE type = 'ci' ORDER BY event.mtime DESC LIMIT 1";
    connection
        .query_row(sql, [], |row| {
            Ok(CheckInSummary {
                hash: row.get(0)?,
                time: Time::from_unix_millis(row.get(1)?),
                user: row.get(2)?,
                comment: row.get(3)?,
                branch: row.get(4)?,
            })
        })
        .optional()
}
