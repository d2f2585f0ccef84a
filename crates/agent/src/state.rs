//! `agent.db`: what must survive a restart and is not in the repositories themselves, namely which repositories the app has,
//! their names, their remotes with the passwords, and which identities have which rights. The file is readable by its owner alone.
//! A damaged file is set aside under another name, never overwritten; one of a newer agent is refused.

mod bridges;
mod notify;
mod pauses;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use crate::api::{Role, SetTunnel, Time};
use crate::files::open_private;
use crate::sync::Remote;
use crate::trust::{EndpointId, TrustedId};

/// "ESag": tells `agent.db` from other SQLite files.
const APPLICATION_ID: i32 = 0x4553_6167;

/// The layout that this agent reads and writes.
const LAYOUT: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE repository(
        path TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        kept INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE remote(
        path TEXT PRIMARY KEY REFERENCES repository(path) ON DELETE CASCADE,
        url TEXT NOT NULL,
        user TEXT,
        password TEXT
    ) STRICT;
";

/// Tables that came later; an agent that does not know them leaves them alone.
const LATER: &str = "
    CREATE TABLE IF NOT EXISTS trusted(
        endpoint_id TEXT PRIMARY KEY,
        name TEXT,
        capabilities TEXT NOT NULL,
        since_ms INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS notify_done(
        project TEXT NOT NULL,
        thread TEXT NOT NULL,
        messages INTEGER NOT NULL,
        PRIMARY KEY(project, thread)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS notify_muted(
        project TEXT PRIMARY KEY
    ) STRICT;
    CREATE TABLE IF NOT EXISTS notify_delivered(
        message TEXT NOT NULL,
        device TEXT NOT NULL,
        UNIQUE(message, device)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS setting(
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS joined(
        url TEXT PRIMARY KEY
    ) STRICT;
";

/// The setting that holds the tunnel's UDP port.
const TUNNEL_PORT: &str = "tunnel-port";

/// The setting that holds whether the tunnel is open, and by what it meets others.
const TUNNEL: &str = "tunnel";

/// The setting that holds the role in the mesh.
const ROLE: &str = "role";

/// Names that mean something else in an address.
const RESERVED_NAMES: [&str; 4] = ["api", "healthz", "metrics", "xfer"];

/// The agent's database.
#[derive(Debug)]
pub(crate) struct StateDb {
    connection: Mutex<Connection>,
}

/// `agent.db` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It was written by a newer agent.
    #[error("{} was written by a newer EdgeSync (layout {found}, this one knows {LAYOUT})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i32,
    },
    /// The file or its folder cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot use {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// A repository that the app has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub path: PathBuf,
    pub name: String,
}

impl StateDb {
    /// Opens the database at `path`, making it on first use. Returns with it the name under which a damaged file was set aside.
    ///
    /// # Errors
    /// [`StateError`] when the file is of a newer agent, or cannot be read or written.
    pub(crate) fn open(path: &Path) -> Result<(Self, Option<PathBuf>), StateError> {
        match open_checked(path) {
            Ok(connection) => Ok((Self::of(connection), None)),
            Err(Unusable::Damaged(reason)) => {
                let aside = set_aside(path).map_err(|source| StateError::Io {
                    path: path.to_path_buf(),
                    source,
                })?;
                tracing::warn!(path = %path.display(), aside = %aside.display(), reason, "agent.db is damaged and was set aside");
                match open_checked(path) {
                    Ok(connection) => Ok((Self::of(connection), Some(aside))),
                    Err(Unusable::Refused(error)) => Err(error),
                    Err(Unusable::Damaged(_)) => {
                        let source = io::Error::new(
                            io::ErrorKind::InvalidData,
                            "a new file is damaged as well",
                        );
                        Err(StateError::Io {
                            path: path.to_path_buf(),
                            source,
                        })
                    }
                }
            }
            Err(Unusable::Refused(error)) => Err(error),
        }
    }

    fn of(connection: Connection) -> Self {
        Self {
            connection: Mutex::new(connection),
        }
    }

    /// Returns the repositories that the app has, by name.
    pub(crate) fn kept(&self) -> rusqlite::Result<Vec<Kept>> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT path, name FROM repository WHERE kept ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            Ok(Kept {
                path: row.get::<_, String>(0)?.into(),
                name: row.get(1)?,
            })
        })?;
        rows.collect()
    }

    /// Returns the name of the repository at `path`, giving it one that is free when it has none.
    pub(crate) fn name(&self, path: &Path) -> rusqlite::Result<String> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let key = path.to_string_lossy();
        let known = transaction
            .query_row(
                "SELECT name FROM repository WHERE path = ?1",
                [&key],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(name) = known {
            return Ok(name);
        }
        let wish = wished_name(path);
        let mut name = wish.clone();
        let mut number = 1_u32;
        while RESERVED_NAMES.contains(&name.to_ascii_lowercase().as_str())
            || transaction
                .prepare_cached("SELECT 1 FROM repository WHERE name = ?1")?
                .exists([&name])?
        {
            number = number.saturating_add(1);
            name = format!("{wish}-{number}");
        }
        transaction.execute(
            "INSERT INTO repository(path, name) VALUES(?1, ?2)",
            params![key, name],
        )?;
        transaction.commit()?;
        Ok(name)
    }

    /// Makes the named repository one that the app has.
    pub(crate) fn keep(&self, name: &str) -> rusqlite::Result<()> {
        self.connection()
            .execute("UPDATE repository SET kept = 1 WHERE name = ?1", [name])
            .map(drop)
    }

    /// Forgets the named repository, its remote and its name.
    pub(crate) fn forget(&self, name: &str) -> rusqlite::Result<()> {
        self.connection()
            .execute("DELETE FROM repository WHERE name = ?1", [name])
            .map(drop)
    }

    /// Returns the remote of the named repository. One that no longer parses counts as none.
    pub(crate) fn remote(&self, name: &str) -> rusqlite::Result<Option<Remote>> {
        let connection = self.connection();
        let row: Option<(String, Option<String>, Option<String>)> = connection
            .query_row(
                "SELECT url, user, password FROM remote JOIN repository USING(path) WHERE name = ?1",
                [name],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        Ok(
            row.and_then(|(url, user, password)| match url.parse::<Remote>() {
                Ok(remote) => Some(remote.with_login(user, password)),
                Err(error) => {
                    tracing::warn!(repository = name, %error, "the stored remote cannot be used");
                    None
                }
            }),
        )
    }

    /// Sets or removes the remote of the named repository.
    pub(crate) fn set_remote(&self, name: &str, remote: Option<&Remote>) -> rusqlite::Result<()> {
        let connection = self.connection();
        let changed = match remote {
            None => connection.execute("DELETE FROM remote WHERE path = (SELECT path FROM repository WHERE name = ?1)", [name]),
            Some(remote) => connection.execute(
                "INSERT OR REPLACE INTO remote(path, url, user, password) SELECT path, ?2, ?3, ?4 FROM repository WHERE name = ?1",
                params![name, remote.url(), remote.user(), remote.password()],
            ),
        };
        changed.map(drop)
    }

    /// Returns the identities that have rights here.
    pub(crate) fn trusted(&self) -> rusqlite::Result<Vec<TrustedId>> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT endpoint_id, name, capabilities, since_ms FROM trusted")?;
        let mut rows = statement.query([])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            match id.parse() {
                Ok(id) => entries.push(TrustedId {
                    id,
                    name: row.get(1)?,
                    capabilities: row.get(2)?,
                    since: row.get::<_, Option<i64>>(3)?.map(Time::from_unix_millis),
                }),
                Err(error) => tracing::warn!(id, %error, "a stored identity cannot be used"),
            }
        }
        Ok(entries)
    }

    /// Gives an identity rights.
    pub(crate) fn trust(&self, entry: &TrustedId) -> rusqlite::Result<()> {
        let TrustedId {
            id,
            name,
            capabilities,
            since,
        } = entry;
        self.connection()
            .execute(
                "INSERT OR REPLACE INTO trusted(endpoint_id, name, capabilities, since_ms) VALUES(?1, ?2, ?3, ?4)",
                params![id.to_string(), name, capabilities, since.map(Time::unix_millis)],
            )
            .map(drop)
    }

    /// Takes all rights from an identity.
    pub(crate) fn distrust(&self, id: &EndpointId) -> rusqlite::Result<()> {
        self.connection()
            .execute(
                "DELETE FROM trusted WHERE endpoint_id = ?1",
                [id.to_string()],
            )
            .map(drop)
    }

    /// Returns the role in the mesh that a person chose.
    pub(crate) fn role(&self) -> rusqlite::Result<Option<Role>> {
        let value = self.setting(ROLE)?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// Remembers the role in the mesh that a person chose.
    pub(crate) fn set_role(&self, role: Role) -> rusqlite::Result<()> {
        self.set_setting(ROLE, role.as_str())
    }

    /// Returns the UDP port that the tunnel had last.
    pub(crate) fn tunnel_port(&self) -> rusqlite::Result<Option<u16>> {
        let value: Option<String> = self.setting(TUNNEL_PORT)?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// Remembers the UDP port of the tunnel.
    pub(crate) fn set_tunnel_port(&self, port: u16) -> rusqlite::Result<()> {
        self.set_setting(TUNNEL_PORT, &port.to_string())
    }

    /// Returns what a person chose about the tunnel.
    pub(crate) fn tunnel(&self) -> rusqlite::Result<Option<SetTunnel>> {
        let value = self.setting(TUNNEL)?;
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }

    /// Remembers what a person chose about the tunnel.
    pub(crate) fn set_tunnel(&self, wish: &SetTunnel) -> rusqlite::Result<()> {
        let value = serde_json::json!(wish);
        self.set_setting(TUNNEL, &value.to_string())
    }

    fn setting(&self, name: &str) -> rusqlite::Result<Option<String>> {
        self.connection()
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
    }

    fn set_setting(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        self.connection()
            .execute(
                "INSERT OR REPLACE INTO setting(name, value) VALUES(?1, ?2)",
                [name, value],
            )
            .map(drop)
    }

    /// Returns the addresses that are dialled after each start.
    pub(crate) fn joins(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT url FROM joined ORDER BY rowid")?;
        let urls = query.query_map([], |row| row.get(0))?;
        urls.collect()
    }

    /// Has an address dialled after each start.
    pub(crate) fn add_join(&self, url: &str) -> rusqlite::Result<()> {
        self.connection()
            .execute("INSERT OR IGNORE INTO joined(url) VALUES(?1)", [url])
            .map(drop)
    }

    /// Forgets an address.
    pub(crate) fn remove_join(&self, url: &str) -> rusqlite::Result<()> {
        self.connection()
            .execute("DELETE FROM joined WHERE url = ?1", [url])
            .map(drop)
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        // SQLite undoes what a panicking thread had begun.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

enum Unusable {
    Damaged(String),
    Refused(StateError),
}

fn open_checked(path: &Path) -> Result<Connection, Unusable> {
    let io_error = |source| {
        Unusable::Refused(StateError::Io {
            path: path.to_path_buf(),
            source,
        })
    };
    // SQLite would make the file readable by everyone whom the umask allows.
    drop(open_private(path).map_err(io_error)?);
    let judge = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Unusable::Damaged(error.to_string())
        }
        _ => Unusable::Refused(StateError::Database {
            path: path.to_path_buf(),
            source: error,
        }),
    };
    let mut connection = Connection::open(path).map_err(judge)?;
    prepare(&mut connection).map_err(judge)?;
    let (application, layout) = marks(&connection).map_err(judge)?;
    if application != APPLICATION_ID {
        return Err(Unusable::Damaged(
            "it is another program's database".to_owned(),
        ));
    }
    if layout > LAYOUT {
        return Err(Unusable::Refused(StateError::Newer {
            path: path.to_path_buf(),
            found: layout,
        }));
    }
    for tables in [
        LATER,
        crate::pair::TABLES,
        crate::members::TABLES,
        crate::pairing::TABLES,
        crate::phone::TABLES,
        pauses::TABLE,
        bridges::TABLE,
    ] {
        connection.execute_batch(tables).map_err(judge)?;
    }
    let check: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(judge)?;
    if check == "ok" {
        Ok(connection)
    } else {
        Err(Unusable::Damaged(check))
    }
}

/// Sets the connection up, and writes the schema into an empty file.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL;",
    )?;
    let transaction = connection.transaction()?;
    let empty: bool =
        transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
            row.get(0)
        })?;
    if empty && marks(&transaction)? == (0, 0) {
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT};"
        ))?;
    }
    transaction.commit()
}

fn marks(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let layout = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((application, layout))
}

/// Renames a damaged file, and its journals with it, so that it can be looked at later. Returns the new name.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mark = Time::now().unix_millis();
    let renamed = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{mark}{suffix}"));
        PathBuf::from(name)
    };
    fs::rename(path, renamed(""))?;
    for suffix in ["-journal", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::rename(PathBuf::from(name), renamed(suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(renamed(""))
}

/// Returns the name that the file at `path` suggests, in characters that need no escape in an address.
fn wished_name(path: &Path) -> String {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let mut name: String = stem.chars().take(64).map(plain).collect();
    // Words in a script that is left out, or with signs between them, leave one stroke.
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() {
        "repository".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests;
