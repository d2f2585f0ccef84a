//! The reply: what the client asked for and may have, as far as the budget goes.

use std::collections::HashSet;

use rusqlite::params;

use super::lock;
use super::plan::Plan;
use crate::db::{Repository, Result};
use crate::name::HashName;
use crate::uv::UvFile;
use crate::xfer::card::{Card, CloneRequest, Pragma, UvEntry};
use crate::xfer::{Outbox, PEER_VERSION, config, send};

/// Most artifacts that are asked for in one reply.
const MAX_GIMMES: i64 = 500;

/// Clients from this date on understand that an artifact they asked for is private.
const PRIVATE_IGOT_SINCE: u32 = 20_200_413;

/// Builds one reply.
pub(super) struct Answer<'a> {
    pub(super) repo: &'a Repository,
    pub(super) plan: &'a Plan,
    budget: usize,
    pub(super) outbox: Outbox,
    /// What was sent or named in this reply.
    told: HashSet<HashName>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(repo: &'a Repository, plan: &'a Plan, budget: usize) -> Self {
        Self {
            repo,
            plan,
            budget,
            outbox: Outbox::default(),
            told: HashSet::new(),
        }
    }

    /// Returns the reply without its last line, and the number of errors in it.
    pub(super) fn write(mut self) -> Result<(Outbox, usize)> {
        if let Some(text) = &self.plan.bad_command {
            self.outbox.push(&Card::Error(text.clone()));
            return Ok((self.outbox, 1));
        }
        if self.plan.client.date > 0 {
            self.outbox
                .push(&Card::Pragma(Pragma::ServerVersion(PEER_VERSION)));
        }
        self.plan
            .notes
            .iter()
            .for_each(|note| self.outbox.push(note));
        for card in lock::answer(self.repo, self.plan)? {
            self.outbox.push(&card);
        }
        self.unversioned()?;
        for card in config::cards(self.repo, &self.plan.areas)? {
            self.outbox.push(&card);
        }
        self.requested()?;
        match self.plan.clone {
            Some(CloneRequest::Contents { version, seqno }) => self.contents(version, seqno)?,
            Some(CloneRequest::Names) => {
                self.project()?;
                self.all_names()?;
            }
            None => {}
        }
        if self.plan.pull {
            self.names()?;
        }
        if self.plan.push {
            self.wanted()?;
        }
        let errors = self
            .plan
            .notes
            .iter()
            .filter(|note| matches!(note, Card::Error(_)))
            .count();
        Ok((self.outbox, errors))
    }

    pub(super) fn is_full(&self) -> bool {
        self.outbox.len() >= self.budget
    }

    /// Answers the `gimme` cards.
    fn requested(&mut self) -> Result<()> {
        let plan = self.plan;
        for hash in &plan.gimmes {
            let Some(rid) = self.repo.rid(hash)? else {
                continue;
            };
            if self.told.contains(hash) || self.repo.is_shunned(hash)? {
                continue;
            }
            let private = self.repo.is_private(rid)?;
            if private && !plan.send_private {
                if plan.client.date >= PRIVATE_IGOT_SINCE && self.repo.is_available(rid)? {
                    self.name(*hash, true);
                }
                continue;
            }
            if self.is_full() {
                // The client asks again for what is only named.
                if self.repo.is_available(rid)? {
                    self.name(*hash, private);
                }
                continue;
            }
            let Some(card) = send::file_card(self.repo, rid, *hash)? else {
                continue;
            };
            if private {
                self.outbox.push(&Card::Private);
            }
            self.outbox.push(&card);
            self.told.insert(*hash);
        }
        Ok(())
    }

    fn name(&mut self, hash: HashName, private: bool) {
        if self.told.insert(hash) {
            self.outbox.push(&Card::IGot { hash, private });
        }
    }

    /// Names what the client may not have yet.
    fn names(&mut self) -> Result<()> {
        if self.plan.send_private {
            for hash in
                self.hashes("SELECT uuid FROM private JOIN blob USING(rid) WHERE size>=0")?
            {
                self.name(hash, true);
            }
        }
        if self.plan.send_catalog {
            return self.catalog();
        }
        let unclustered = "SELECT uuid FROM unclustered CROSS JOIN blob USING(rid)
             WHERE size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun)";
        for hash in self.hashes(unclustered)? {
            if !self.plan.known.contains(&hash) {
                self.name(hash, false);
            }
        }
        if self.plan.send_clusters {
            let clusters = "SELECT uuid FROM tagxref JOIN tag USING(tagid) CROSS JOIN blob USING(rid)
                 WHERE tagname='cluster' AND size>=0 AND rid NOT IN unclustered AND rid NOT IN phantom
                   AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun)";
            self.outbox.comment("sending-clusters");
            for hash in self.hashes(clusters)? {
                self.name(hash, false);
            }
            self.outbox.comment("end-of-clusters");
        }
        Ok(())
    }

    /// Names everything, newest first, until the reply is full.
    fn catalog(&mut self) -> Result<()> {
        let all = "SELECT uuid FROM blob WHERE size>=0 AND rid NOT IN private
              AND uuid NOT IN (SELECT uuid FROM shun) ORDER BY rid DESC";
        for hash in self.hashes(all)? {
            if self.is_full() {
                break;
            }
            self.name(hash, false);
        }
        Ok(())
    }

    /// Names everything, for clones of the first protocol version.
    fn all_names(&mut self) -> Result<()> {
        let all = "SELECT uuid FROM blob WHERE size>=0 AND rid NOT IN private AND uuid NOT IN (SELECT uuid FROM shun)";
        for hash in self.hashes(all)? {
            self.name(hash, false);
        }
        Ok(())
    }

    /// Asks for what is known by name only.
    fn wanted(&mut self) -> Result<()> {
        let mut query = self.repo.conn().prepare_cached(
            "SELECT uuid FROM phantom JOIN blob USING(rid)
              WHERE uuid NOT IN (SELECT uuid FROM shun) AND (?1 OR rid NOT IN private) LIMIT ?2",
        )?;
        let rows = query.query_map(params![self.plan.send_private, MAX_GIMMES], |row| {
            row.get::<_, HashName>(0)
        })?;
        for hash in rows {
            self.outbox.push(&Card::Gimme(hash?));
        }
        Ok(())
    }

    /// Tells the project's code; clients go on cloning when they see it, so it comes after the sequence number.
    pub(super) fn project(&mut self) -> Result<()> {
        let server = self.repo.server_code()?.as_str().to_owned();
        let project = self.repo.project_code()?.as_str().to_owned();
        self.outbox.push(&Card::Push { server, project });
        Ok(())
    }

    /// Compares the sets of unversioned files, and sends those asked for.
    fn unversioned(&mut self) -> Result<()> {
        if let Some(hash) = &self.plan.uv_hash
            && *hash != self.repo.unversioned_hash()?
        {
            let writes = self.plan.capabilities.may_write_unversioned();
            let pragma = if writes {
                Pragma::UvPushOk
            } else {
                Pragma::UvPullOnly
            };
            self.outbox.push(&Card::Pragma(pragma));
            for file in self.repo.unversioned()? {
                self.outbox.push(&Card::UvIGot(entry(&file)));
            }
        }
        let plan = self.plan;
        for name in &plan.uv_gimmes {
            let Some(file) = self.repo.unversioned_file(name)? else {
                continue;
            };
            let entry = entry(&file);
            let card = match self.repo.unversioned_content(name)? {
                Some(_) if self.is_full() => Card::UvIGot(entry),
                Some(content) => Card::UvFile {
                    entry,
                    flags: 0,
                    content,
                },
                None => Card::UvFile {
                    entry,
                    flags: 1,
                    content: bytes::Bytes::new(),
                },
            };
            self.outbox.push(&card);
        }
        Ok(())
    }

    fn hashes(&self, sql: &str) -> Result<Vec<HashName>> {
        let mut query = self.repo.conn().prepare_cached(sql)?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// Returns the catalogue entry of a file.
fn entry(file: &UvFile) -> UvEntry {
    UvEntry {
        name: file.name.clone(),
        mtime: file.mtime,
        hash: file.hash,
        size: u32::try_from(file.size).unwrap_or(u32::MAX),
    }
}
