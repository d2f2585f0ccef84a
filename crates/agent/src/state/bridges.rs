//! The stock servers that the app has on the bus, with the passwords.

use rusqlite::params;

use super::StateDb;
use crate::bridges::Place;
use crate::sync::Remote;

/// Came later; an agent that does not know it leaves it alone.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS bridged(
        project_code TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        user TEXT,
        password TEXT
    ) STRICT;
";

impl StateDb {
    /// Returns the servers that are on the bus after each start. One that no longer parses counts as none.
    pub(crate) fn bridges(&self) -> rusqlite::Result<Vec<Place>> {
        let connection = self.connection();
        let mut query = connection
            .prepare("SELECT project_code, url, user, password FROM bridged ORDER BY rowid")?;
        let mut rows = query.query([])?;
        let mut places = Vec::new();
        while let Some(row) = rows.next()? {
            let (code, url): (String, String) = (row.get(0)?, row.get(1)?);
            let (user, password) = (row.get(2)?, row.get(3)?);
            match (code.parse(), url.parse::<Remote>()) {
                (Ok(project), Ok(remote)) => places.push(Place {
                    remote: remote.with_login(user, password),
                    project,
                }),
                _ => tracing::warn!(url, code, "a stored bridge cannot be used"),
            }
        }
        Ok(places)
    }

    /// Has a server on the bus after each start.
    pub(crate) fn add_bridge(&self, place: &Place) -> rusqlite::Result<()> {
        let Place { remote, project } = place;
        self.connection()
            .execute(
                "INSERT OR REPLACE INTO bridged(project_code, url, user, password) VALUES(?1, ?2, ?3, ?4)",
                params![project.as_str(), remote.url(), remote.user(), remote.password()],
            )
            .map(drop)
    }

    /// Forgets a server.
    pub(crate) fn remove_bridge(&self, project: &str) -> rusqlite::Result<()> {
        self.connection()
            .execute("DELETE FROM bridged WHERE project_code = ?1", [project])
            .map(drop)
    }
}
