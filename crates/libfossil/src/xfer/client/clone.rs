//! Clones: everything a server has, in the order of its rows, with a mark of how far it has come.
//!
//! The mark is in the new repository and moves in the transaction that stores what lies before it, so an interrupted clone goes on where
//! it was. Contents are stored as they come; when all are here, every hash is checked and everything is cross-linked.

use super::{Client, Credentials, Goal, SyncError};
use crate::db::{Repository, Result, Transaction, password_secret};
use crate::rebuild::Trust;
use crate::time::Timestamp;

/// The config entry of a clone in the making: the next sequence number to ask for.
const MARK: &str = "clone-next-seqno";

/// The config entry of a clone in the making: the code of the server whose sequence numbers these are.
const SERVER: &str = "clone-server-code";

/// Whom the finished clone belongs to.
#[derive(Clone)]
pub struct NewClone {
    /// Login of its administrator.
    pub admin: String,
    /// That user's password, for this clone only.
    pub password: String,
}

impl std::fmt::Debug for NewClone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewClone")
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// How far a clone is.
#[derive(Debug)]
pub(super) struct CloneState {
    /// The next sequence number to ask for; 0 when all has come.
    seqno: u32,
    config_asked: bool,
    owner: NewClone,
}

/// Returns whether a repository is a clone in the making.
///
/// # Errors
/// The file can't be read.
pub fn is_partial_clone(repo: &Repository) -> Result<bool> {
    Ok(repo.config(MARK)?.is_some())
}

/// Returns whether nothing has arrived in `repo`, a clone in the making, that a further try could build on.
///
/// # Errors
/// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
pub fn is_empty_clone(repo: &Repository) -> Result<bool> {
    let mut query = repo.conn().prepare_cached("SELECT 1 FROM blob")?;
    Ok(!query.exists([])?)
}

impl Client {
    /// Returns a client that clones into `repo`: a repository that was created without a project code and check-in, or an interrupted clone.
    ///
    /// Of `goal` only private content and unversioned files are looked at.
    ///
    /// # Errors
    /// The repository is something else, or can't be written.
    pub fn clone_into(
        repo: &mut Repository,
        goal: Goal,
        credentials: Option<Credentials>,
        owner: NewClone,
        now: Timestamp,
    ) -> Result<Self, SyncError> {
        let mark = repo.config(MARK)?.and_then(|text| text.parse().ok());
        let seqno = match mark {
            Some(seqno) => seqno,
            None if repo.project_code().is_ok() => {
                return Err(SyncError::Misuse(
                    "the repository is no clone in the making",
                ));
            }
            None => {
                repo.write(now, |tx| {
                    tx.set_config(MARK, "1")?;
                    // What the server knows about users is newer than what a new repository starts with.
                    tx.execute("UPDATE user SET mtime=0", [])
                })?;
                1
            }
        };
        let goal = Goal {
            pull: true,
            push: false,
            thorough: false,
            ..goal
        };
        let mut client = Self::new(goal, credentials);
        client.clone = Some(CloneState {
            seqno,
            config_asked: false,
            owner,
        });
        client.summary.clone_seqno = Some(seqno);
        Ok(client)
    }

    /// Takes note, here and in the repository, of where a clone goes on.
    pub(super) fn advance(
        &mut self,
        tx: &mut Transaction<'_>,
        seqno: u32,
    ) -> Result<(), SyncError> {
        match &mut self.clone {
            Some(clone) => clone.come_to(seqno)?,
            None => return Ok(()),
        }
        self.mark(tx, seqno)
    }

    /// Moves the mark.
    pub(super) fn mark(&mut self, tx: &mut Transaction<'_>, seqno: u32) -> Result<(), SyncError> {
        tx.set_config(MARK, &seqno.to_string())?;
        self.summary.clone_seqno = Some(seqno);
        Ok(())
    }
}

impl CloneState {
    pub(super) fn wanted_seqno(&self) -> Option<u32> {
        (self.seqno > 0).then_some(self.seqno)
    }

    /// Returns whether configuration is to be asked for now; says so once.
    pub(super) fn take_config_turn(&mut self) -> bool {
        !std::mem::replace(&mut self.config_asked, true)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.seqno == 0 && self.config_asked
    }

    /// Takes note of which server answers. Returns whether it is another one than before, whose sequence numbers mean something else: the
    /// clone begins anew then, and what is here already comes for nothing.
    pub(super) fn answered_by(
        &mut self,
        tx: &mut Transaction<'_>,
        server: &str,
    ) -> Result<bool, SyncError> {
        let known = tx.config(SERVER)?;
        if known.as_deref() == Some(server) {
            return Ok(false);
        }
        tx.set_config(SERVER, server)?;
        let other = known.is_some() && self.seqno != 0;
        if other {
            self.seqno = 1;
            tx.set_config(MARK, "1")?;
        }
        Ok(other)
    }

    /// Returns whether `server` is the one that answered before.
    pub(super) fn is_answered_by(repo: &Repository, server: &str) -> Result<bool> {
        Ok(repo.config(SERVER)?.as_deref() == Some(server))
    }

    /// Takes note of where to go on; that must advance.
    pub(super) fn come_to(&mut self, seqno: u32) -> Result<(), SyncError> {
        if seqno != 0 && seqno <= self.seqno {
            return Err(SyncError::Stalled);
        }
        self.seqno = seqno;
        Ok(())
    }

    /// Checks and cross-links everything, and hands the repository to its owner.
    pub(super) fn finish(&self, repo: &mut Repository, now: Timestamp) -> Result<(), SyncError> {
        repo.rebuild(now, Trust::Nothing, |_, _| {})?;
        let project = repo.project_code()?;
        repo.write(now, |tx| {
            let NewClone { admin, password } = &self.owner;
            tx.put_user(admin, "s", "")?;
            let secret = password_secret(&project, admin, password);
            tx.set_user_secret(admin, &secret)?;
            tx.execute("DELETE FROM unsent", [])?;
            tx.unset_config(SERVER)?;
            tx.unset_config(MARK)
        })?;
        Ok(())
    }
}
