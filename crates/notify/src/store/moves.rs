//! Records of moves, kept beside the messages: files `_notify/moved/PROJECT-CODE.json` on a branch of their own.

use libfossil::artifact::Permission;
use libfossil::checkin::{self, Change, Date, NewCheckIn};
use libfossil::db::{Receipt, Repository};
use libfossil::history;
use libfossil::name::RepoPath;
use libfossil::time::Timestamp;

use super::create::{USER, first_check_in};
use super::{Store, StoreError};
use crate::limits::MAX_MESSAGE_BYTES;
use crate::message::Message;
use crate::moved::Moved;

/// Where the records are.
const FOLDER: &str = "_notify/moved/";

/// The branch that they are on.
const BRANCH: &str = "moved";

impl Store {
    /// Returns the records in a repository; nobody has checked who signed them.
    ///
    /// # Errors
    /// [`StoreError::Repository`].
    pub fn moves(repo: &Repository) -> Result<Vec<Moved>, StoreError> {
        let mut moves: Vec<Moved> = Vec::new();
        for version in history::file_versions(repo)? {
            let is_record = version
                .path
                .to_str()
                .is_some_and(|it| it.starts_with(FOLDER));
            if !is_record || !repo.is_available(version.content)? {
                continue;
            }
            let content = repo.content(version.content)?;
            if content.len() <= MAX_MESSAGE_BYTES
                && let Ok(moved) = Moved::read(&content)
                && !moves.contains(&moved)
            {
                moves.push(moved);
            }
        }
        Ok(moves)
    }

    /// Stores a record, unless it is here.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub fn add_move(
        repo: &mut Repository,
        moved: &Moved,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if Self::moves(repo)?.contains(moved) {
            return Ok(());
        }
        let path = format!("{FOLDER}{}.json", moved.to().project);
        let path = RepoPath::new(path.into_bytes()).map_err(|_| StoreError::Move)?;
        let comment = format!("The messages go on in {}", moved.to().project);
        repo.write::<_, StoreError>(now, |tx| {
            let first = first_check_in(tx)?;
            tx.set_receipt(Receipt::made_here(USER));
            let begun = history::resolve(tx, &format!("tag:{BRANCH}")).is_ok();
            let mut new = NewCheckIn::new(USER, &comment);
            new.parent = (!begun).then_some(first);
            new.branch = Some(BRANCH);
            new.mimetype = Some("text/plain");
            new.date = Date::About(moved.timestamp());
            new.changes = vec![Change::Put {
                path,
                content: moved.to_file().into_bytes().into(),
                permission: Permission::Regular,
            }];
            checkin::add(tx, &new)?;
            Ok(())
        })
    }

    /// Returns the messages of another repository that this one lacks, oldest check-in first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lacks(&self, other: &Self, repo: &Repository) -> Result<Vec<Message>, StoreError> {
        let lacking = other.heads().into_iter();
        lacking
            .filter(|head| !self.heads.contains_key(&head.fields.id))
            .map(|head| other.message(repo, &head.fields.id))
            .collect()
    }
}
