//! The ticket tables, whose columns each project may choose.
//!
//! The choice is a piece of SQL in the setting `ticket-table`, and may come from anywhere. It runs with nothing allowed but
//! to create tables and indexes whose names begin with `ticket`; if it does anything else, the usual tables take its place.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::db::{Error, Result, Transaction, schema};

/// Creates the ticket tables anew.
pub(super) fn create(tx: &mut Transaction<'_>) -> Result<()> {
    tx.execute_batch("DROP TABLE IF EXISTS ticket; DROP TABLE IF EXISTS ticketchng;")?;
    let Some(own) = tx.config("ticket-table")? else {
        return tx.execute_batch(schema::DEFAULT_TICKET);
    };
    tx.execute_batch("SAVEPOINT ticket_tables")?;
    let created = tx.execute_batch_guarded(&own, guard);
    if created.is_ok() && has_ticket_table(tx)? {
        return tx.execute_batch("RELEASE ticket_tables");
    }
    tx.execute_batch("ROLLBACK TO ticket_tables; RELEASE ticket_tables")?;
    match created {
        Err(error @ Error::Injected) => Err(error),
        _ => tx.execute_batch(schema::DEFAULT_TICKET),
    }
}

fn has_ticket_table(tx: &Transaction<'_>) -> Result<bool> {
    let mut query = tx
        .conn()
        .prepare("SELECT 1 FROM pragma_table_info('ticket') WHERE name='tkt_uuid'")?;
    Ok(query.exists([])?)
}

/// Decides what the SQL of a project may do.
fn guard(context: AuthContext<'_>) -> Authorization {
    let is_ours = |name: &str| name.to_ascii_lowercase().starts_with("ticket");
    let is_schema = |name: &str| matches!(name, "sqlite_master" | "sqlite_schema");
    let allowed = match context.action {
        AuthAction::CreateTable { table_name } => is_ours(table_name),
        AuthAction::CreateIndex { table_name, .. } | AuthAction::Read { table_name, .. } => {
            is_ours(table_name) || is_schema(table_name)
        }
        AuthAction::Insert { table_name } | AuthAction::Update { table_name, .. } => {
            is_schema(table_name)
        }
        AuthAction::Reindex { .. } => true,
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}
