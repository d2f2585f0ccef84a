//! What a person chose about questions and answers: threads that were put away, muted projects, quiet hours. And what is known of the clocks
//! of those who ask, and which devices said that they have a question of this agent.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension as _, params};

use super::StateDb;
use crate::api::QuietHours;

/// The setting that holds the quiet hours, written `22:00-07:00`.
const QUIET: &str = "notify_quiet";

/// The setting that holds what is known of others' clocks: a line for each, its endpoint id and the milliseconds.
const CLOCKS: &str = "notify_clocks";

/// How many times a device has a question are remembered, the last ones: more than wait at once.
const DELIVERED: u32 = 4_096;

impl StateDb {
    /// Returns the threads of messages that a person put away, by project and id, and how many messages each had then.
    pub(crate) fn notify_done(&self) -> rusqlite::Result<HashMap<(String, String), u64>> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT project, thread, messages FROM notify_done")?;
        let rows = statement.query_map([], |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get::<_, u32>(2)?.into()))
        })?;
        rows.collect()
    }

    /// Puts a thread away that has this many messages, or takes it back.
    pub(crate) fn set_notify_done(
        &self,
        project: &str,
        thread: &str,
        messages: Option<u64>,
    ) -> rusqlite::Result<()> {
        let connection = self.connection();
        let changed = match messages {
            Some(messages) => connection.execute(
                "INSERT OR REPLACE INTO notify_done(project, thread, messages) VALUES(?1, ?2, ?3)",
                params![project, thread, i64::try_from(messages).unwrap_or(i64::MAX)],
            ),
            None => connection.execute(
                "DELETE FROM notify_done WHERE project = ?1 AND thread = ?2",
                [project, thread],
            ),
        };
        changed.map(drop)
    }

    /// Returns the projects that a person muted, by name.
    pub(crate) fn notify_muted(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT project FROM notify_muted ORDER BY project")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// Mutes a project, or not.
    pub(crate) fn set_notify_muted(&self, project: &str, muted: bool) -> rusqlite::Result<()> {
        let change = if muted {
            "INSERT OR IGNORE INTO notify_muted(project) VALUES(?1)"
        } else {
            "DELETE FROM notify_muted WHERE project = ?1"
        };
        self.connection().execute(change, [project]).map(drop)
    }

    /// Returns by how many milliseconds the clock of each agent was ahead of this machine's, where they differed.
    pub(crate) fn notify_clocks(&self) -> rusqlite::Result<BTreeMap<String, i64>> {
        let value = self.notify_setting(CLOCKS)?.unwrap_or_default();
        let line = |line: &str| {
            let (id, ms) = line.split_once(' ')?;
            Some((id.to_owned(), ms.parse().ok()?))
        };
        Ok(value.lines().filter_map(line).collect())
    }

    /// Remembers by how many milliseconds the clock of each agent is ahead of this machine's.
    pub(crate) fn set_notify_clocks(&self, ahead: &BTreeMap<String, i64>) -> rusqlite::Result<()> {
        let lines: String = ahead
            .iter()
            .map(|(id, ms)| format!("{id} {ms}\n"))
            .collect();
        self.set_notify_setting(CLOCKS, Some(lines).filter(|it| !it.is_empty()))
    }

    /// Returns which devices have said that they have which question, oldest first.
    pub(crate) fn notify_delivered(&self) -> rusqlite::Result<Vec<(String, String)>> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT message, device FROM notify_delivered ORDER BY rowid")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// Remembers that a device has a question.
    pub(crate) fn add_notify_delivered(&self, message: &str, device: &str) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        let change = connection.transaction()?;
        change.execute(
            "INSERT OR IGNORE INTO notify_delivered(message, device) VALUES(?1, ?2)",
            [message, device],
        )?;
        change.execute(
            "DELETE FROM notify_delivered WHERE rowid <= (SELECT max(rowid) FROM notify_delivered) - ?1",
            [DELIVERED],
        )?;
        change.commit()
    }

    fn notify_setting(&self, name: &str) -> rusqlite::Result<Option<String>> {
        let asked = "SELECT value FROM setting WHERE name = ?1";
        let connection = self.connection();
        connection
            .query_row(asked, [name], |row| row.get(0))
            .optional()
    }

    fn set_notify_setting(&self, name: &str, value: Option<String>) -> rusqlite::Result<()> {
        let connection = self.connection();
        let changed = match value {
            Some(value) => connection.execute(
                "INSERT OR REPLACE INTO setting(name, value) VALUES(?1, ?2)",
                params![name, value],
            ),
            None => connection.execute("DELETE FROM setting WHERE name = ?1", [name]),
        };
        changed.map(drop)
    }

    /// Returns the quiet hours. Ones that no longer parse count as none.
    pub(crate) fn notify_quiet(&self) -> rusqlite::Result<Option<QuietHours>> {
        Ok(self.notify_setting(QUIET)?.and_then(|value| {
            let (from, until) = value.split_once('-')?;
            Some(QuietHours {
                from: from.parse().ok()?,
                until: until.parse().ok()?,
            })
        }))
    }

    /// Sets the quiet hours, or that there are none.
    pub(crate) fn set_notify_quiet(&self, quiet: Option<QuietHours>) -> rusqlite::Result<()> {
        let written = quiet.map(|QuietHours { from, until }| format!("{from}-{until}"));
        self.set_notify_setting(QUIET, written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_about_notifications_survives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.db");
        let open = || StateDb::open(&path).expect("the database opens").0;
        let state = open();
        assert_eq!(state.notify_quiet().expect("read"), None);
        let quiet = Some(QuietHours {
            from: "22:00".parse().expect("a time"),
            until: "07:30".parse().expect("a time"),
        });
        state.set_notify_quiet(quiet).expect("stored");
        state.set_notify_muted("demo", true).expect("stored");
        state.set_notify_muted("demo", true).expect("stored");
        drop(state);
        let state = open();
        assert_eq!(state.notify_quiet().expect("read"), quiet);
        assert_eq!(state.notify_muted().expect("read"), ["demo"]);
        state.set_notify_quiet(None).expect("stored");
        state.set_notify_muted("demo", false).expect("stored");
        assert_eq!(state.notify_quiet().expect("read"), None);
        assert!(state.notify_muted().expect("read").is_empty());
    }

    #[test]
    fn what_is_known_of_others_clocks_survives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.db");
        let open = || StateDb::open(&path).expect("the database opens").0;
        let state = open();
        assert!(state.notify_clocks().expect("read").is_empty());
        let known = BTreeMap::from([("ab".to_owned(), 10_800_000), ("cd".to_owned(), -7)]);
        state.set_notify_clocks(&known).expect("stored");
        drop(state);
        let state = open();
        assert_eq!(state.notify_clocks().expect("read"), known);
        state.set_notify_clocks(&BTreeMap::new()).expect("stored");
        assert!(state.notify_clocks().expect("read").is_empty());
    }

    #[test]
    fn who_has_a_question_survives_and_only_the_last_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.db");
        let open = || StateDb::open(&path).expect("the database opens").0;
        let state = open();
        let before = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO notify_delivered(message, device) SELECT 'msg-' || i, 'ab' FROM n";
        state
            .connection()
            .execute(before, [DELIVERED])
            .expect("stored");
        for _ in 0..2 {
            state.add_notify_delivered("last", "cd").expect("stored");
        }
        drop(state);
        let known = open().notify_delivered().expect("read");
        assert_eq!(known.len(), usize::try_from(DELIVERED).expect("fits"));
        let ends = [&known[0].0, &known[known.len() - 1].0];
        assert_eq!(ends, ["msg-2", "last"]);
    }
}
