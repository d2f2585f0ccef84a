//! The records in `agent.db`.

use super::record::{Record, RecordId};
use crate::state::StateDb;

/// The tables: the records, and those that are [held](super::held) apart as JSON.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS member_record(
        id BLOB PRIMARY KEY,
        text TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS member_unconfirmed(
        member TEXT PRIMARY KEY,
        records TEXT NOT NULL
    ) STRICT;
";

/// Returns the records. One that is no longer good is left out.
pub(super) fn records(state: &StateDb) -> rusqlite::Result<Vec<Record>> {
    let connection = state.connection();
    let mut query = connection.prepare("SELECT text FROM member_record")?;
    let mut rows = query.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        match Record::parse(&text) {
            Ok(record) => records.push(record),
            Err(error) => tracing::warn!(%error, "a stored record of the mesh cannot be used"),
        }
    }
    Ok(records)
}

/// Keeps records and forgets those that they replace, all or none.
pub(super) fn keep(
    state: &StateDb,
    records: &[Record],
    replaced: &[RecordId],
) -> rusqlite::Result<()> {
    let mut connection = state.connection();
    let transaction = connection.transaction()?;
    for record in records {
        transaction.execute(
            "INSERT OR IGNORE INTO member_record(id, text) VALUES(?1, ?2)",
            (record.id().bytes(), record.text()),
        )?;
    }
    for id in replaced {
        transaction.execute("DELETE FROM member_record WHERE id = ?1", [id.bytes()])?;
    }
    transaction.commit()
}
