//! What a request says: which side it is, what is new here, what is wanted.

use rusqlite::params;

use super::{Client, Goal};
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;
use crate::xfer::card::{Card, CloneRequest, Pragma, Version};
use crate::xfer::{Outbox, PEER_VERSION, send};

/// Most bytes of a request before the rest is left to the next one; stock's `max-upload`.
pub(super) const MAX_UPLOAD_BYTES: usize = 250_000;

/// Round from which on a server is asked for its clusters, if something is still missing.
const CLUSTERS_FROM_ROUND: usize = 2;

/// The first release that answers when asked for its clusters.
const CLUSTERS_SINCE: u32 = 22_600;

impl Client {
    /// Returns the cards of the next request.
    pub(super) fn compose(&mut self, repo: &Repository) -> Result<Outbox> {
        let mut outbox = Outbox::default();
        outbox.push(&Card::Pragma(Pragma::ClientVersion(PEER_VERSION)));
        if let Some(cookie) = repo.config("cookie")? {
            outbox.push(&Card::Cookie(cookie));
        }
        match &self.clone {
            Some(_) => self.compose_clone(repo, &mut outbox)?,
            None => self.compose_sync(repo, &mut outbox)?,
        }
        Ok(outbox)
    }

    fn compose_clone(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        let Some(clone) = &mut self.clone else {
            return Ok(());
        };
        let known = repo.project_code().is_ok();
        if self.goal.private && known {
            outbox.push(&Card::Pragma(Pragma::SendPrivate));
        }
        if let Some(seqno) = clone.wanted_seqno() {
            outbox.push(&Card::Clone(CloneRequest::Contents { version: 3, seqno }));
        }
        if known && clone.take_config_turn() {
            outbox.push(&Card::ReqConfig("/all".to_owned()));
            self.uv.ask(repo, self.goal.unversioned, outbox)?;
        }
        self.uv.compose(repo, outbox)
    }

    fn compose_sync(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        let Goal {
            pull,
            push,
            private,
            unversioned,
            thorough,
        } = self.goal;
        let first = self.fresh;
        let (server, project) = (
            repo.server_code()?.as_str().to_owned(),
            repo.project_code()?.as_str().to_owned(),
        );
        if private {
            outbox.push(&Card::Pragma(Pragma::SendPrivate));
        }
        if pull {
            outbox.push(&Card::Pull {
                server: server.clone(),
                project: project.clone(),
            });
        }
        if push {
            outbox.push(&Card::Push { server, project });
        }
        if thorough && first && pull {
            outbox.push(&Card::Pragma(Pragma::SendCatalog));
        }
        if first {
            self.uv.ask(repo, unversioned, outbox)?;
        }
        self.uv.compose(repo, outbox)?;
        if pull {
            self.ask_for_missing(repo, outbox)?;
        }
        if push {
            self.send_artifacts(repo, outbox)?;
            if first {
                self.announce(repo, outbox)?;
            }
        }
        Ok(())
    }

    /// Asks for what is known by name only.
    fn ask_for_missing(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        for hash in self.missing(repo, self.gimme_limit)? {
            outbox.push(&Card::Gimme(hash));
            self.asked.insert(hash);
        }
        if self.may_ask_clusters(repo)? {
            self.asked_clusters = true;
            outbox.push(&Card::Pragma(Pragma::ReqClusters));
        }
        Ok(())
    }

    /// Returns whether the server should be asked for its clusters: something is missing, and asking for it was in vain.
    pub(super) fn may_ask_clusters(&self, repo: &Repository) -> Result<bool> {
        let Version { release, .. } = self.server;
        let late = self.summary.rounds >= CLUSTERS_FROM_ROUND && release >= CLUSTERS_SINCE;
        Ok(late && !self.asked_clusters && !self.asked.is_empty() && repo.count_missing()? > 0)
    }

    /// Returns artifacts to ask for: named, not here, not shunned, and not already asked for in vain.
    pub(super) fn missing(&self, repo: &Repository, limit: usize) -> Result<Vec<HashName>> {
        let mut query = repo.conn().prepare_cached(
            "SELECT uuid FROM phantom CROSS JOIN blob USING(rid)
              WHERE uuid NOT IN (SELECT uuid FROM shun) AND (?1 OR rid NOT IN private)",
        )?;
        let rows = query.query_map(params![self.goal.private], |row| row.get::<_, HashName>(0))?;
        let fresh = rows.filter(|row| row.as_ref().map_or(true, |hash| !self.asked.contains(hash)));
        Ok(fresh.take(limit).collect::<rusqlite::Result<_>>()?)
    }

    /// Sends what the server asked for, then what was made here since the last push, until the request is full.
    fn send_artifacts(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        while outbox.len() < MAX_UPLOAD_BYTES {
            let Some(hash) = self.wanted.pop_front() else {
                break;
            };
            if let Some(rid) = repo.rid(&hash)? {
                self.send_artifact(repo, rid, hash, outbox)?;
            }
        }
        for (rid, hash) in Self::unsent(repo, usize::MAX)? {
            if outbox.len() >= MAX_UPLOAD_BYTES {
                break;
            }
            self.in_flight.push(rid);
            self.send_artifact(repo, rid, hash, outbox)?;
        }
        Ok(())
    }

    fn send_artifact(
        &mut self,
        repo: &Repository,
        rid: Rid,
        hash: HashName,
        outbox: &mut Outbox,
    ) -> Result<()> {
        let private = repo.is_private(rid)?;
        if (private && !self.private_ok) || repo.is_shunned(&hash)? {
            return Ok(());
        }
        let Some(card) = send::file_card(repo, rid, hash)? else {
            return Ok(());
        };
        if private {
            outbox.push(&Card::Private);
        }
        outbox.push(&card);
        *self.sent.entry(hash).or_default() += 1;
        self.summary.artifacts_sent += 1;
        Ok(())
    }

    /// Names what no cluster names, and with private content all of that.
    fn announce(&self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        let lists = [
            (
                true,
                false,
                "SELECT uuid FROM unclustered CROSS JOIN blob USING(rid)
                 WHERE size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun)",
            ),
            (
                self.goal.private,
                true,
                "SELECT uuid FROM private CROSS JOIN blob USING(rid)
                 WHERE size>=0 AND uuid NOT IN (SELECT uuid FROM shun)",
            ),
        ];
        for (_, private, sql) in lists.into_iter().filter(|(wanted, ..)| *wanted) {
            let mut query = repo.conn().prepare_cached(sql)?;
            for hash in query.query_map([], |row| row.get::<_, HashName>(0))? {
                let hash = hash?;
                if !self.sent.contains_key(&hash) {
                    outbox.push(&Card::IGot { hash, private });
                }
            }
        }
        Ok(())
    }

    /// Returns artifacts made here since the last push that are not on their way.
    pub(super) fn unsent(repo: &Repository, limit: usize) -> Result<Vec<(Rid, HashName)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = repo.conn().prepare_cached(
            "SELECT rid, uuid FROM unsent CROSS JOIN blob USING(rid) WHERE size>=0 AND rid NOT IN private LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Repository {
    /// Returns whether artifacts made here wait to be pushed.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
    pub fn has_unsent(&self) -> Result<bool> {
        Ok(!Client::unsent(self, 1)?.is_empty())
    }

    /// Returns how many artifacts are known by name only.
    pub(super) fn count_missing(&self) -> Result<usize> {
        let mut query = self.conn().prepare_cached(
            "SELECT count(*) FROM phantom CROSS JOIN blob USING(rid)
              WHERE uuid NOT IN (SELECT uuid FROM shun) AND rid NOT IN private",
        )?;
        let count: i64 = query.query_row([], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}
