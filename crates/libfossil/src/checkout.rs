//! What a check-out says about itself: which repository it belongs to, and which version it shows.
//!
//! A check-out is a folder with a small SQLite file in it. Only that file's notes are read here.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::db::{Error, Result};
use crate::name::HashName;

/// Names that the file has had: on Unix, on Windows, and in early versions.
const FILE_NAMES: [&str; 3] = [".fslckout", "_FOSSIL_", ".fos"];

/// A check-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOut {
    root: PathBuf,
    repository: PathBuf,
    version: Option<HashName>,
    default_user: Option<String>,
}

impl CheckOut {
    /// Returns the check-out that `folder` lies in, looking upward from there.
    ///
    /// # Errors
    /// [`Error::NotARepository`] when the check-out's file is there but cannot be read.
    pub fn around(folder: &Path) -> Result<Option<Self>> {
        for root in folder.ancestors() {
            for name in FILE_NAMES {
                let file = root.join(name);
                if file.is_file() {
                    return Self::read(root, &file).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn read(root: &Path, file: &Path) -> Result<Self> {
        let damaged = |reason: String| Error::NotARepository {
            path: file.to_owned(),
            reason,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let note = |conn: &Connection, name: &str| {
            conn.query_row(
                "SELECT CAST(value AS TEXT) FROM vvar WHERE name=?1",
                [name],
                |row| row.get::<_, String>(0),
            )
            .optional()
        };
        let notes = Connection::open_with_flags(file, flags).and_then(|conn| {
            Ok((
                note(&conn, "repository")?,
                note(&conn, "checkout-hash")?,
                note(&conn, "default-user")?,
            ))
        });
        let (repository, version, default_user) =
            notes.map_err(|error| damaged(error.to_string()))?;
        let repository = repository.ok_or_else(|| damaged("it names no repository".to_owned()))?;
        Ok(Self {
            root: root.to_owned(),
            // Stock notes the path relative to the check-out where the setting `relative-paths` asks for that.
            repository: root.join(repository),
            version: version.and_then(|text| HashName::parse(text.as_bytes()).ok()),
            default_user,
        })
    }

    /// The folder at its top.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The repository's file.
    #[must_use]
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// The check-in that it shows; none in one that shows nothing yet.
    #[must_use]
    pub fn version(&self) -> Option<&HashName> {
        self.version.as_ref()
    }
    /// The login that check-ins made in it are by, where somebody has said so.
    #[must_use]
    pub fn default_user(&self) -> Option<&str> {
        self.default_user.as_deref()
    }
}
