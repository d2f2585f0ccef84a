//! Taking the lock for a transaction that writes, without getting into the way of other programs.

use std::thread;
use std::time::Duration;

use super::{Repository, Result};

/// How often, and with what pause, a moment without readers is looked for.
const POLITE_TRIES: u32 = 80;
const POLITE_PAUSE: Duration = Duration::from_millis(25);

/// Begins the engine's transaction.
///
/// A stock `fossil` reads within its transaction before it writes. If we held the write lock meanwhile it would fail at
/// once, without waiting, because two programs that want to go from reading to writing would wait for each other. So
/// the whole file is locked while nobody else is in it, and tried again otherwise; others then wait before they read.
/// Only if there is always somebody do we queue up with a lock that lets no new reader in at the end.
pub(super) fn lock(repo: &Repository) -> Result<()> {
    let patience = repo.busy_timeout.get();
    repo.conn.busy_timeout(Duration::ZERO)?;
    let mut begun = repo.conn.execute_batch("BEGIN EXCLUSIVE");
    for _ in 0..POLITE_TRIES.min(tries_within(patience)) {
        match &begun {
            Err(error) if is_busy(error) => thread::sleep(POLITE_PAUSE),
            _ => break,
        }
        begun = repo.conn.execute_batch("BEGIN EXCLUSIVE");
    }
    repo.conn.busy_timeout(patience)?;
    match begun {
        Err(error) if is_busy(&error) => Ok(repo.conn.execute_batch("BEGIN IMMEDIATE")?),
        begun => Ok(begun?),
    }
}

fn tries_within(patience: Duration) -> u32 {
    u32::try_from(patience.as_millis() / POLITE_PAUSE.as_millis()).unwrap_or(u32::MAX)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}
