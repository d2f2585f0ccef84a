//! The pauses that a person made, of the whole agent or of one repository: a restart does not end them.

use std::collections::BTreeMap;

use rusqlite::params;

use super::StateDb;
use crate::api::{Pause, Time};

/// Came later; an agent that does not know it leaves it alone.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS paused(
        name TEXT PRIMARY KEY COLLATE NOCASE,
        until_ms INTEGER
    ) STRICT;
";

/// Stands for the whole agent; no repository is called so.
const WHOLE: &str = "";

impl StateDb {
    /// Returns the pauses by repository; that of the whole agent has none.
    pub(crate) fn pauses(&self) -> rusqlite::Result<BTreeMap<Option<String>, Pause>> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT name, until_ms FROM paused")?;
        let rows = query.query_map([], |row| {
            let (name, until): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            let until = until.map(Time::from_unix_millis);
            Ok(((name != WHOLE).then_some(name), Pause { until }))
        })?;
        rows.collect()
    }

    /// Remembers or forgets the pause of a repository, or of the whole agent.
    pub(crate) fn set_pause(
        &self,
        name: Option<&str>,
        pause: Option<Pause>,
    ) -> rusqlite::Result<()> {
        let connection = self.connection();
        let name = name.unwrap_or(WHOLE);
        let changed = match pause {
            None => connection.execute("DELETE FROM paused WHERE name = ?1", [name]),
            Some(Pause { until }) => connection.execute(
                "INSERT OR REPLACE INTO paused(name, until_ms) VALUES(?1, ?2)",
                params![name, until.map(Time::unix_millis)],
            ),
        };
        changed.map(drop)
    }
}
