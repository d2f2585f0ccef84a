//! Pairings of which one side does not know how they ended on the other. Each asks the other until it answers: it lets this agent in as a member, or
//! it does not. So in the end both are paired or neither is.
//!
//! - Who claimed lost the link after it had said that it has everything, and before it heard that the other side keeps it. What both signed is written
//!   down before, and counts for nothing yet. When the other side comes first and asks, that is its answer: it asks those whom it keeps.
//! - Who offered keeps the pairing then, and does not know whether the other has heard so, and whether a person there did not end it meanwhile. Until the
//!   two meet, the other is let in and counts for nobody else: see [`Members::hold`](crate::members::Members::hold). Only the other's own word, which
//!   its key proves, ends that, and no clock: one that was switched off right after it was paired keeps its pairing, too.

use std::sync::Arc;

use edgesync_tunnel::Ticket;
use rusqlite::{OptionalExtension as _, params};

use super::claim::Claiming;
use super::{End, Pairings, locked};
use crate::api::{Error, Level};
use crate::limits;
use crate::mesh::Mesh;
use crate::pair::{Party, Why};
use crate::state::StateDb;

/// The table.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS pairing_doubt(
        host TEXT PRIMARY KEY,
        ticket TEXT NOT NULL,
        records TEXT NOT NULL
    ) STRICT;
";

/// What both sides signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) ticket: String,
    pub(super) records: Vec<String>,
}

impl Doubt {
    fn write(&self, state: &StateDb, host: &Party) -> rusqlite::Result<()> {
        let records = serde_json::Value::from(self.records.clone()).to_string();
        let row = params![host.to_string(), self.ticket, records];
        state
            .connection()
            .execute(
                "INSERT OR REPLACE INTO pairing_doubt(host, ticket, records) VALUES(?1, ?2, ?3)",
                row,
            )
            .map(drop)
    }

    fn read(state: &StateDb, host: &Party) -> rusqlite::Result<Option<Self>> {
        let connection = state.connection();
        let found = connection.query_row(
            "SELECT ticket, records FROM pairing_doubt WHERE host = ?1",
            [host.to_string()],
            |row| Ok((row.get(0)?, row.get::<_, String>(1)?)),
        );
        let found = found.optional()?;
        Ok(found.map(|(ticket, records)| Self {
            ticket,
            // What cannot be read vouches for nobody.
            records: serde_json::from_str(&records).unwrap_or_default(),
        }))
    }

    pub(super) fn hosts(state: &StateDb) -> rusqlite::Result<Vec<Party>> {
        let connection = state.connection();
        let mut query = connection.prepare("SELECT host FROM pairing_doubt")?;
        let hosts = query.query_map([], |row| row.get::<_, String>(0))?;
        let hosts: rusqlite::Result<Vec<String>> = hosts.collect();
        Ok(hosts?.iter().filter_map(|id| id.parse().ok()).collect())
    }

    fn forget(state: &StateDb, host: &Party) -> rusqlite::Result<()> {
        let forgotten = state.connection().execute(
            "DELETE FROM pairing_doubt WHERE host = ?1",
            [host.to_string()],
        );
        forgotten.map(drop)
    }
}

impl Pairings {
    /// Works on `agent.db`.
    async fn in_doubt<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StateDb) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let state = Arc::clone(&self.parts.state);
        let done = tokio::task::spawn_blocking(move || work(&state)).await;
        done.map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| crate::core::state_failure(&error))
    }

    /// Writes down what both sides signed, before this side says that it has it.
    pub(super) async fn doubt(&self, host: Party, doubt: Doubt) -> Result<(), End> {
        let written = self.in_doubt(move |state| doubt.write(state, &host));
        written.await?;
        self.parts.members.await_word_of(host, true);
        Ok(())
    }

    /// Forgets a pairing that is in doubt.
    pub(super) async fn forget_doubt(&self, host: Party) -> Result<(), Error> {
        self.in_doubt(move |state| Doubt::forget(state, &host))
            .await?;
        self.parts.members.await_word_of(host, false);
        Ok(())
    }

    /// Ends a doubt: the other side keeps the pairing, or it knows nothing of it. Returns whether the two are paired.
    pub(super) async fn settle_doubt(&self, host: Party, kept: bool) -> Result<bool, Error> {
        let settling = self.settling.lock().await;
        let doubt = self
            .in_doubt(move |state| Doubt::read(state, &host))
            .await?;
        let Some(doubt) = doubt else {
            return Ok(false);
        };
        if kept {
            self.of_members(move |members| members.take(&doubt.records))
                .await?;
            locked(&self.claims).remove(&host);
        }
        self.forget_doubt(host).await?;
        if !kept {
            self.claim_ended(&host, &End::Said(Why::Lost));
        }
        drop(settling);
        self.settle().await?;
        Ok(kept)
    }

    /// Hears from an agent that comes as to a member: if a pairing with it is in doubt here, it keeps it.
    pub(crate) async fn hears_from(self: &Arc<Self>, mesh: &Arc<Mesh>, host: Party) {
        if self.parts.members.view().members.contains_key(&host) {
            return;
        }
        let doubt = self.in_doubt(move |state| Doubt::read(state, &host)).await;
        let Ok(Some(doubt)) = doubt else { return };
        let settled = self.settle_doubt(host, true).await;
        if let (Ok(true), Ok(ticket)) = (settled, doubt.ticket.parse::<Ticket>()) {
            let (pairings, mesh) = (Arc::clone(self), Arc::clone(mesh));
            mesh.clone()
                .spawn(async move { pairings.link(&mesh, &ticket).await });
        }
    }

    /// Hears whether one that this agent keeps a pairing with keeps it, too.
    pub(super) async fn is_answered(&self, guest: Party, kept: bool) -> Result<bool, Error> {
        self.of_members(move |members| match kept {
            true => members.confirm(&guest),
            false => members.is_not_kept_by(&guest),
        })
        .await
    }

    /// Asks those with whom this agent keeps a pairing, and who have not shown yet that they keep it, until the agent stops.
    pub(crate) async fn ask_unconfirmed(self: Arc<Self>, mesh: Arc<Mesh>) {
        let members = &self.parts.members;
        let mut changes = members.changes();
        loop {
            changes.mark_unchanged();
            if members.unconfirmed().is_empty() {
                match changes.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            // Mostly the other comes by itself.
            tokio::time::sleep(limits::DOUBT_AGAIN).await;
            let ask = async |(guest, ticket): (Party, Ticket)| {
                let Some(kept) = mesh.is_member_of(&ticket).await else {
                    return;
                };
                if let Err(error) = self.is_answered(guest, kept).await {
                    let words = format!("{}: {guest}", error.message);
                    self.parts.events.log(Level::Error, None, words);
                }
            };
            futures_util::future::join_all(members.unconfirmed().into_iter().map(ask)).await;
        }
    }

    /// Asks the other side until it has answered, or nobody here waits for it any more; then the two are linked, or nothing is left.
    pub(super) async fn ask_until_settled(&self, mesh: &Arc<Mesh>, host: Party) {
        loop {
            let doubt = self.in_doubt(move |state| Doubt::read(state, &host)).await;
            // A person has ended it, or begun anew.
            let Ok(Some(doubt)) = doubt else { return };
            let Ok(ticket) = doubt.ticket.parse::<Ticket>() else {
                return;
            };
            let settled = match mesh.is_member_of(&ticket).await {
                Some(kept) => self.settle_doubt(host, kept).await,
                None => Ok(false),
            };
            match settled {
                Ok(true) => return self.link(mesh, &ticket).await,
                Ok(false) => {}
                Err(error) => {
                    let words = format!("{}: {host}", error.message);
                    self.parts.events.log(Level::Error, None, words);
                }
            }
            tokio::time::sleep(limits::DOUBT_AGAIN).await;
        }
    }

    /// Goes on with the pairings that an earlier run left in doubt.
    pub(crate) async fn resume(self: Arc<Self>, mesh: Arc<Mesh>) {
        let hosts = self.in_doubt(Doubt::hosts).await.unwrap_or_default();
        if hosts.is_empty() {
            return;
        }
        for host in &hosts {
            locked(&self.claims).insert(*host, Claiming::doubtful());
        }
        self.publish();
        let all = hosts
            .iter()
            .map(|host| self.ask_until_settled(&mesh, *host));
        futures_util::future::join_all(all).await;
    }
}
