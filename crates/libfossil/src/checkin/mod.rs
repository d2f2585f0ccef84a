//! New versions: a set of changes to a parent's files becomes a check-in.
//!
//! A check-in made here never loses anything by omission. Without a parent named it continues the branch's tip, which is
//! looked up under the write lock, so that no fork comes of two writers; files that no change mentions carry forward; a
//! file goes away only by [`Change::Delete`]. A check-in without any parent is made only in a repository that has none yet.

mod base;
mod error;
mod tree;

use bytes::Bytes;

use crate::artifact::{self, Artifact, CheckIn, Cherrypick, Permission};
use crate::db::{Receipt, Repository, Rid, Transaction, Visibility};
use crate::name::{HashName, RepoPath};
use crate::text::Text;
use crate::time::Timestamp;

use base::Base;
pub use error::CheckInError;
use tree::Tree;

/// What a new check-in is to be.
#[derive(Clone, Debug)]
pub struct NewCheckIn<'a> {
    /// The version that the changes apply to; without one, the tip of the branch.
    pub parent: Option<HashName>,
    /// The branch to continue, or to start if there is none of this name; without one, that of the parent, or the main
    /// branch if no parent is named either.
    pub branch: Option<&'a str>,
    /// The changes, applied one after the other.
    pub changes: Vec<Change>,
    /// Further parents: versions whose changes are contained in this one.
    pub merged: Vec<HashName>,
    /// Single changes taken over or backed out.
    pub cherrypicks: Vec<Cherrypick>,
    /// Names for just this version, such as `release-1.0`.
    pub tags: Vec<&'a str>,
    /// What people will read on the timeline.
    pub comment: &'a str,
    /// How the comment is to be read, if not as stock's default says.
    pub mimetype: Option<&'a str>,
    /// Login of the author.
    pub user: &'a str,
    /// The time that the check-in carries.
    pub date: Date,
    /// Whether others may have it. What is built on a private version is private in any case.
    pub visibility: Visibility,
    /// Whether it is made even if it changes nothing.
    pub allow_empty: bool,
}

/// The time that a check-in carries, which is later than that of each of its parents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Date {
    /// That of the transaction, or a millisecond after the latest parent if that is later.
    Now,
    /// This one, or a millisecond after the latest parent if that is later.
    About(Timestamp),
    /// This one; it is an error when it is not after the parents.
    Exactly(Timestamp),
}

/// A change to a version's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The file is there from now on, with this content, whether it was before or not.
    Put {
        /// Where.
        path: RepoPath<'static>,
        /// All of its content; of a symbolic link, its target.
        content: Bytes,
        /// What it is besides its content.
        permission: Permission,
    },
    /// The file, which is there, is something else besides its content from now on.
    SetPermission {
        /// Where.
        path: RepoPath<'static>,
        /// What it is.
        permission: Permission,
    },
    /// The file, which is there, has another name from now on, which no file has.
    Rename {
        /// Where it was.
        from: RepoPath<'static>,
        /// Where it will be.
        to: RepoPath<'static>,
    },
    /// The file, which is there, is gone from now on.
    Delete {
        /// Where it was.
        path: RepoPath<'static>,
    },
}

/// A check-in that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its row.
    pub rid: Rid,
    /// Its name.
    pub name: HashName,
    /// The branch that it is on.
    pub branch: String,
    /// The version that its changes were applied to.
    pub parent: Option<HashName>,
}

impl<'a> NewCheckIn<'a> {
    /// Returns a check-in of no changes yet, on top of the main branch.
    #[must_use]
    pub fn new(user: &'a str, comment: &'a str) -> Self {
        Self {
            parent: None,
            branch: None,
            changes: Vec::new(),
            merged: Vec::new(),
            cherrypicks: Vec::new(),
            tags: Vec::new(),
            comment,
            mimetype: None,
            user,
            date: Date::Now,
            visibility: Visibility::Public,
            allow_empty: false,
        }
    }
}

/// Makes a check-in, in a transaction of its own.
///
/// # Errors
/// See [`CheckInError`]; nothing has changed then.
pub fn commit(
    repo: &mut Repository,
    now: Timestamp,
    new: &NewCheckIn<'_>,
) -> Result<Committed, CheckInError> {
    repo.write(now, |tx| add(tx, new))
}

/// Makes a check-in as a part of a transaction.
///
/// # Errors
/// See [`CheckInError`]; the transaction must not be committed then.
pub fn add(tx: &mut Transaction<'_>, new: &NewCheckIn<'_>) -> Result<Committed, CheckInError> {
    let base = Base::choose(tx, new)?;
    let tags = base.tags(tx, new)?;
    let visibility = match base.parent {
        Some(parent) if tx.is_private(parent.rid)? => Visibility::Private,
        _ => new.visibility,
    };
    tx.set_receipt(Receipt::made_here(new.user));
    let mut tree = Tree::of(tx, base.parent.map(|parent| parent.rid))?;
    for change in &new.changes {
        tree.apply(tx, change, visibility)?;
    }
    tree.check()?;
    let says_something = tree.has_changed() || !base.merged.is_empty() || !tags.is_empty();
    if !says_something && !new.allow_empty {
        return Err(CheckInError::Empty);
    }
    let parents = base.parent.iter().chain(&base.merged);
    let date = base.date_of(new.date, tx.now())?;
    let check_in = CheckIn {
        baseline: None,
        comment: Some(new.comment.into()),
        date,
        checksum: tree.checksum(tx)?,
        files: tree.into_cards(),
        mimetype: new.mimetype.map(Text::from),
        parents: parents.map(|parent| parent.name).collect(),
        cherrypicks: new.cherrypicks.clone(),
        tags,
        user: Some(new.user.into()),
    };
    let content = check_in.to_bytes();
    // Other programs will judge by the bytes alone, so this does too.
    let parsed = artifact::parse(&content);
    if !matches!(
        parsed.map_err(CheckInError::Unwritable)?,
        Artifact::CheckIn(_)
    ) {
        return Err(CheckInError::Empty);
    }
    let stored = tx.store(&content, visibility)?;
    Ok(Committed {
        rid: stored.rid,
        name: stored.name,
        branch: base.branch,
        parent: base.parent.map(|parent| parent.name),
    })
}
