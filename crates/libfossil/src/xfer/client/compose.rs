//! What a request says: which side it is, what is new here, what is wanted.

use std::collections::HashSet;

use rusqlite::params;

use super::{Budget, Client, Goal};
use crate::db::{Repository, Result, Rid};
use crate::name::HashName;
use crate::xfer::card::{Card, CloneRequest, Pragma, Version};
use crate::xfer::extension::{ContentName, Extension, List};
use crate::xfer::{Outbox, PEER_VERSION, send};

/// Most bytes of a request before the rest is left to the next one; stock's `max-upload`.
pub(super) const MAX_UPLOAD_BYTES: usize = 250_000;

/// Round from which on a server is asked for its clusters, if something is still missing.
const CLUSTERS_FROM_ROUND: usize = 2;

/// The first release that answers when asked for its clusters.
const CLUSTERS_SINCE: u32 = 22_600;

/// How often a long artifact is offered before it is taken for one that the server will never have.
pub(super) const MAX_OFFERS: u8 = 6;

/// What became of an artifact that was to be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It goes with this request.
    Settled,
    /// It must not go at all.
    Kept,
    /// It goes in pieces, or not to this server.
    Later,
    /// There is no room left.
    NoRoom,
}

impl Client {
    /// Returns a request with what every request begins with.
    pub(super) fn opening(&self) -> Outbox {
        let mut outbox = Outbox::within(self.room());
        outbox.push(&Card::Pragma(Pragma::ClientVersion(PEER_VERSION)));
        if let Some(Budget { usual, .. }) = self.budget {
            let usual = u32::try_from(usual).unwrap_or(u32::MAX);
            let budget = Extension::Budget(usual.min(i32::MAX.unsigned_abs()));
            outbox.push(&Card::Pragma(Pragma::Extension(budget)));
        }
        outbox
    }

    /// Returns the cards of the next request.
    pub(super) fn compose(&mut self, repo: &Repository) -> Result<Outbox> {
        let mut outbox = self.opening();
        self.last_asked.clear();
        if self.budget.is_none()
            && let Some(cookie) = repo.config("cookie")?
        {
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
        let project = repo.project_code().ok();
        let known = project.is_some();
        // A request that goes without a login because the project is not known yet would be refused for it.
        if self.goal.private && (known || self.credentials.is_none()) {
            outbox.push(&Card::Pragma(Pragma::SendPrivate));
        }
        let seqno = clone.wanted_seqno();
        if let Some(seqno) = seqno {
            outbox.push(&Card::Clone(CloneRequest::Contents { version: 3, seqno }));
        }
        if known && clone.take_config_turn() {
            outbox.push(&Card::ReqConfig("/all".to_owned()));
            self.uv.ask(repo, self.goal.unversioned, outbox)?;
        } else if self.lists.goes_on(List::Config) {
            outbox.push(&Card::ReqConfig("/all".to_owned()));
        }
        self.uv.compose(repo, self.accepted.is_some(), outbox)?;
        if let (None, Some(project), Some(_)) = (seqno, project, self.accepted) {
            // What was too long for the clone's replies is known by name only.
            let server = repo.server_code()?.as_str().to_owned();
            let project = project.as_str().to_owned();
            outbox.push(&Card::Pull { server, project });
            self.ask_for_missing(repo, outbox)?;
        }
        self.lists.ask(outbox);
        Ok(())
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
        self.uv.compose(repo, self.accepted.is_some(), outbox)?;
        if pull {
            self.ask_for_missing(repo, outbox)?;
        }
        self.lists.ask(outbox);
        if push {
            self.send_artifacts(repo, outbox)?;
            self.announce(repo, outbox)?;
        }
        Ok(())
    }

    /// Asks for what is known by name only.
    fn ask_for_missing(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        for hash in self.missing(repo, self.gimme_limit)? {
            // Half of the room is left for what is sent.
            if outbox.room() < outbox.len() || !outbox.push_fitting(&Card::Gimme(hash)) {
                break;
            }
            self.asked.insert(hash);
            self.last_asked.push(hash);
        }
        if self.clone.is_none() && self.may_ask_clusters(repo)? {
            self.asked_clusters = true;
            match self.accepted {
                Some(_) => self.lists.want(List::Clusters),
                None => outbox.push(&Card::Pragma(Pragma::ReqClusters)),
            }
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
            let Some(hash) = self.wanted.front().copied() else {
                break;
            };
            let rid = repo.rid(&hash)?;
            let outcome = match rid {
                Some(rid) => self.send_artifact(repo, rid, hash, outbox)?,
                None => Outcome::Kept,
            };
            match (outcome, rid) {
                (Outcome::NoRoom, _) => break,
                // What is asked for in the next reply again is not to be looked for again.
                (Outcome::Kept, _) => {
                    self.unsendable.insert(hash);
                }
                (Outcome::Settled, Some(rid)) if Self::is_unsent(repo, rid)? => {
                    self.in_flight.push(rid);
                }
                _ => {}
            }
            self.wanted.pop_front();
        }
        let given: HashSet<Rid> = self.in_flight.iter().copied().collect();
        for (rid, hash) in Self::unsent(repo, usize::MAX)? {
            if outbox.len() >= MAX_UPLOAD_BYTES {
                break;
            }
            let moved = self.large.is_wanted(&ContentName::Artifact(hash)) || given.contains(&rid);
            if moved || self.unsendable.contains(&hash) || self.offered.contains(&hash) {
                continue;
            }
            match self.send_artifact(repo, rid, hash, outbox)? {
                Outcome::Settled | Outcome::Kept => self.in_flight.push(rid),
                Outcome::Later => {}
                Outcome::NoRoom => break,
            }
        }
        Ok(())
    }

    fn send_artifact(
        &mut self,
        repo: &Repository,
        rid: Rid,
        hash: HashName,
        outbox: &mut Outbox,
    ) -> Result<Outcome> {
        let private = repo.is_private(rid)?;
        if (private && !self.private_ok) || repo.is_shunned(&hash)? {
            return Ok(Outcome::Kept);
        }
        let Some(card) = send::file_card(repo, rid, hash)? else {
            return Ok(Outcome::Kept);
        };
        let mut cards = Vec::new();
        if private {
            cards.push(Card::Private);
        }
        let too_long = outbox.is_too_long(&card);
        if too_long {
            if self.accepted.is_none() && self.fresh {
                // What the server understands shows with its first reply.
                return Ok(Outcome::Later);
            }
            let offers = self.sent.get(&hash).copied().unwrap_or_default();
            if self.accepted.is_none() || offers >= MAX_OFFERS {
                self.give_up(hash);
                return Ok(Outcome::Later);
            }
            let (name, size) = (ContentName::Artifact(hash), repo.content_bytes(rid)?);
            let offer = Extension::Oversize { name, size };
            cards.push(Card::Pragma(Pragma::Extension(offer)));
        } else {
            cards.push(card);
        }
        if !outbox.push_all_fitting(&cards) {
            return Ok(Outcome::NoRoom);
        }
        *self.sent.entry(hash).or_default() += 1;
        if too_long {
            self.offered.push(hash);
            return Ok(Outcome::Later);
        }
        self.summary.artifacts_sent += 1;
        Ok(Outcome::Settled)
    }

    /// Takes note that an artifact cannot be sent, and tells people.
    fn give_up(&mut self, hash: HashName) {
        if self.unsendable.insert(hash) {
            let text = format!("{hash} is too long for this connection and stays here");
            self.summary.messages.push(text);
        }
    }

    /// Names what no cluster names, and with private content all of that, as far as there is room.
    fn announce(&mut self, repo: &Repository, outbox: &mut Outbox) -> Result<()> {
        for (list, last) in self.lists.ours() {
            let private = list == List::Private;
            let sql = if private {
                "SELECT uuid FROM private CROSS JOIN blob USING(rid)
                  WHERE uuid>?1 AND size>=0 AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY uuid"
            } else {
                "SELECT uuid FROM unclustered CROSS JOIN blob USING(rid)
                  WHERE uuid>?1 AND size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY uuid"
            };
            let mut query = repo.conn().prepare_cached(sql)?;
            let mut rows = query.query([last.as_ref().map_or("", HashName::as_str)])?;
            let mut told = last;
            let mut ended = true;
            while let Some(row) = rows.next()? {
                let hash: HashName = row.get(0)?;
                if !self.sent.contains_key(&hash)
                    && !outbox.push_fitting(&Card::IGot { hash, private })
                {
                    ended = false;
                    break;
                }
                told = Some(hash);
            }
            self.lists.told(list, (!ended).then_some(told));
        }
        Ok(())
    }

    /// Returns whether artifacts made here could be sent, other than in pieces.
    pub(super) fn has_sendable(&self, repo: &Repository) -> Result<bool> {
        let limit = self.unsendable.len() + self.large.outgoing_count() + 1;
        let moved = |hash: &HashName| {
            self.unsendable.contains(hash) || self.large.is_wanted(&ContentName::Artifact(*hash))
        };
        Ok(Self::unsent(repo, limit)?
            .iter()
            .any(|(_, hash)| !moved(hash)))
    }

    /// Returns whether this is among them.
    fn is_unsent(repo: &Repository, rid: Rid) -> Result<bool> {
        let mut query = repo
            .conn()
            .prepare_cached("SELECT 1 FROM unsent WHERE rid=?1")?;
        Ok(query.exists([rid])?)
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
