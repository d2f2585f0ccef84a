//! Paired phones, in `agent.db`: of their sessions only hashes.

use ring::digest::{SHA256, digest};
use rusqlite::params;

use crate::api::Time;
use crate::pair::{DeviceName, Party};
use crate::state::StateDb;
use crate::text::to_hex;

/// The tables.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS device(
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        session TEXT NOT NULL UNIQUE,
        projects TEXT,
        answers INTEGER NOT NULL,
        paired_ms INTEGER NOT NULL,
        used_ms INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS device_door(
        one INTEGER PRIMARY KEY CHECK(one = 1),
        listen TEXT NOT NULL,
        public_url TEXT
    ) STRICT;
";

/// A paired phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) id: Party,
    pub(crate) name: DeviceName,
    pub(crate) session: SessionHash,
    /// The projects whose messages it reads; all when it is `None`.
    pub(crate) projects: Option<Vec<String>>,
    pub(crate) answers: bool,
    pub(crate) paired: Time,
    pub(crate) used: Option<Time>,
}

/// What is kept of a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionHash(String);

/// Where phones reach the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoorPlace {
    pub(crate) listen: std::net::SocketAddr,
    pub(crate) public_url: Option<String>,
}

impl SessionHash {
    /// Returns what is kept of the session with this bearer token.
    pub(crate) fn of(token: &str) -> Self {
        let text = format!("edgesync device session 1 {token}");
        Self(to_hex(digest(&SHA256, text.as_bytes()).as_ref()))
    }
}

impl Device {
    /// Whether it may see what is said in a project.
    pub(crate) fn reads(&self, project: &str) -> bool {
        let projects = self.projects.as_ref();
        projects.is_none_or(|them| them.iter().any(|it| it == project))
    }
}

/// Returns the paired phones. A row that makes no sense counts as none.
pub(super) fn devices(state: &StateDb) -> rusqlite::Result<Vec<Device>> {
    let connection = state.connection();
    let mut query = connection.prepare(
        "SELECT id, name, session, projects, answers, paired_ms, used_ms FROM device ORDER BY paired_ms",
    )?;
    let mut rows = query.query([])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
        let projects: Option<String> = row.get(3)?;
        let projects = projects.map(|text| serde_json::from_str::<Vec<String>>(&text));
        if let (Ok(id), Ok(name), Ok(projects)) = (id.parse(), name.parse(), projects.transpose()) {
            let used: Option<i64> = row.get(6)?;
            devices.push(Device {
                id,
                name,
                session: SessionHash(row.get(2)?),
                projects,
                answers: row.get(4)?,
                paired: Time::from_unix_millis(row.get(5)?),
                used: used.map(Time::from_unix_millis),
            });
        }
    }
    Ok(devices)
}

/// Keeps a phone.
pub(super) fn keep(state: &StateDb, device: &Device) -> rusqlite::Result<()> {
    let projects = device
        .projects
        .as_ref()
        .map(|them| serde_json::json!(them).to_string());
    state.connection().execute(
        "INSERT OR REPLACE INTO device(id, name, session, projects, answers, paired_ms, used_ms)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            device.id.to_string(),
            device.name.as_str(),
            device.session.0,
            projects,
            device.answers,
            device.paired.unix_millis(),
            device.used.map(Time::unix_millis)
        ],
    )?;
    Ok(())
}

/// Forgets a phone, and its session with it.
pub(super) fn remove(state: &StateDb, id: &Party) -> rusqlite::Result<()> {
    let connection = state.connection();
    connection.execute("DELETE FROM device WHERE id = ?1", [id.to_string()])?;
    Ok(())
}

/// Takes note that a phone was here.
pub(super) fn used(state: &StateDb, id: &Party, at: Time) -> rusqlite::Result<()> {
    state.connection().execute(
        "UPDATE device SET used_ms = ?2 WHERE id = ?1",
        params![id.to_string(), at.unix_millis()],
    )?;
    Ok(())
}

/// Returns where phones reach the agent, if that was ever chosen.
pub(super) fn place(state: &StateDb) -> rusqlite::Result<Option<DoorPlace>> {
    use rusqlite::OptionalExtension as _;
    let connection = state.connection();
    let row = connection.query_row("SELECT listen, public_url FROM device_door", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?))
    });
    let row: Option<(String, Option<String>)> = row.optional()?;
    Ok(row.and_then(|(listen, public_url)| {
        let listen = listen.parse().ok()?;
        Some(DoorPlace { listen, public_url })
    }))
}

/// Remembers where phones reach the agent.
pub(super) fn set_place(state: &StateDb, place: &DoorPlace) -> rusqlite::Result<()> {
    state.connection().execute(
        "INSERT OR REPLACE INTO device_door(one, listen, public_url) VALUES(1, ?1, ?2)",
        params![place.listen.to_string(), place.public_url],
    )?;
    Ok(())
}
