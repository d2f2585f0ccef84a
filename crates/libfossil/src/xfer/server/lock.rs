//! Locks on leaves: a check-out that is about to commit asks for one, so that two people do not fork a branch by accident.
//!
//! A lock is advice. It is a config entry that names user and check-out, and counts for a minute and only while the check-in is a leaf.

use rusqlite::{OptionalExtension, params};

use super::plan::Plan;
use crate::db::{Repository, Result, Transaction};
use crate::name::HashName;
use crate::xfer::card::{Card, Pragma};

/// How long a lock counts unless the setting `lock-timeout` says otherwise, in seconds.
const TIMEOUT_S: i64 = 60;

/// The name of a lock's config entry before the check-in's hash.
const PREFIX: &str = "ci-lock-";

/// Returns whether the plan may give or take a lock. Check-outs give theirs back with every message, held or not.
pub(super) fn changes(repo: &Repository, plan: &Plan) -> Result<bool> {
    if plan.ci_lock.is_some() || plan.ci_unlock.is_none() {
        return Ok(plan.ci_lock.is_some());
    }
    let mut held = repo
        .conn()
        .prepare_cached("SELECT 1 FROM config WHERE name GLOB ?1 || '*'")?;
    Ok(held.exists([PREFIX])?)
}

/// Gives and takes locks as the plan says, and clears away those that no longer count.
pub(super) fn settle(tx: &mut Transaction<'_>, plan: &Plan) -> Result<()> {
    if plan.ci_lock.is_none() && plan.ci_unlock.is_none() {
        return Ok(());
    }
    let oldest = tx.now().unix_seconds().saturating_sub(timeout_s(tx)?);
    tx.execute(
        "DELETE FROM config WHERE name GLOB ?1 || '*' AND (mtime<=?2 OR NOT EXISTS(
            SELECT 1 FROM blob JOIN leaf USING(rid) WHERE uuid=substr(name, length(?1)+1)))",
        params![PREFIX, oldest],
    )?;
    if let Some(client) = &plan.ci_unlock {
        tx.execute(
            "DELETE FROM config WHERE name GLOB ?1 || '*' AND iif(json_valid(value), value->>'clientid', '')=?2",
            params![PREFIX, client],
        )?;
    }
    if let Some((check_in, client)) = &plan.ci_lock {
        let now = tx.now().unix_seconds();
        tx.execute(
            "INSERT INTO config(name, value, mtime) VALUES(?1 || ?2, json_object('login', ?3, 'clientid', ?4), ?5)
             ON CONFLICT(name) DO UPDATE SET value=excluded.value, mtime=excluded.mtime
                WHERE iif(json_valid(value), value->>'clientid', '')=?4",
            params![PREFIX, check_in.as_str(), plan.user, client, now],
        )?;
    }
    Ok(())
}

/// Returns what a client that asked for a lock is told.
pub(super) fn answer(repo: &Repository, plan: &Plan) -> Result<Vec<Card>> {
    let Some((check_in, client)) = &plan.ci_lock else {
        return Ok(Vec::new());
    };
    let mut cards = Vec::new();
    if let Some((user, holder, mtime)) = holder(repo, check_in)?
        && holder != *client
    {
        cards.push(Card::Pragma(Pragma::CiLockFail { user, mtime }));
    }
    if repo
        .config("forbid-delta-manifests")?
        .is_some_and(|value| is_on(&value))
    {
        cards.push(Card::Pragma(Pragma::AvoidDeltaManifests));
    }
    Ok(cards)
}

fn holder(repo: &Repository, check_in: &HashName) -> Result<Option<(String, String, i64)>> {
    let mut query = repo.conn().prepare_cached(
        "SELECT coalesce(value->>'login', ''), coalesce(value->>'clientid', ''), CAST(mtime AS INTEGER)
           FROM config WHERE name=?1 || ?2 AND json_valid(value)",
    )?;
    let row = query.query_row(params![PREFIX, check_in.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    Ok(row.optional()?)
}

fn timeout_s(repo: &Repository) -> Result<i64> {
    Ok(repo
        .config_number("lock-timeout")?
        .filter(|seconds| *seconds >= 0)
        .unwrap_or(TIMEOUT_S))
}

/// Reads a setting that is on or off, as stock does.
fn is_on(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "1" | "on" | "yes" | "true"
    )
}
