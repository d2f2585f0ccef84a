//! What a new check-in stands on: its parents, and the branch it continues or starts.

use rusqlite::OptionalExtension;

use super::{CheckInError, Date, NewCheckIn};
use crate::artifact::{self, Artifact, Tag, TagKind};
use crate::db::{Error, Repository, Rid, Transaction};
use crate::history::{MAIN_BRANCH, branch_of};
use crate::name::HashName;
use crate::text::Text;
use crate::time::Timestamp;

/// Names that stand for versions by themselves, which a tag would hide or be hidden by.
const RESERVED_NAMES: [&str; 7] = [
    "ckout", "current", "latest", "next", "prev", "previous", "tip",
];

/// A parent, present as a check-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    pub(super) rid: Rid,
    pub(super) name: HashName,
    /// When it was made, or when a tag says so if that is later.
    date: Timestamp,
}

/// What a new check-in stands on.
#[derive(Debug)]
pub(super) struct Base {
    /// The primary parent; none only for the first check-in of a repository.
    pub(super) parent: Option<Parent>,
    pub(super) merged: Vec<Parent>,
    pub(super) branch: String,
    /// Whether the branch starts here.
    starts_branch: bool,
}

impl Base {
    /// Returns what `new` is to stand on.
    pub(super) fn choose(tx: &Transaction<'_>, new: &NewCheckIn<'_>) -> Result<Self, CheckInError> {
        for name in new.branch.iter().chain(&new.tags) {
            check_tag_name(name)?;
        }
        let mut base = match new.parent {
            Some(parent) => Self::on(tx, parent, new.branch)?,
            None => Self::continuing(tx, new.branch)?,
        };
        for name in &new.merged {
            let merged = find(tx, name)?;
            if base.parents().any(|parent| parent.rid == merged.rid) {
                return Err(CheckInError::RepeatedParent(*name));
            }
            base.merged.push(merged);
        }
        match base.parent {
            Some(parent) if !base.starts_branch && is_closed(tx, parent.rid)? => {
                Err(CheckInError::Closed {
                    branch: base.branch,
                    name: parent.name,
                })
            }
            _ => Ok(base),
        }
    }

    /// Stands on a parent that the caller named.
    fn on(tx: &Repository, parent: HashName, branch: Option<&str>) -> Result<Self, CheckInError> {
        let parent = find(tx, &parent)?;
        let current = branch_of(tx, parent.rid)?;
        let branch = branch.unwrap_or(&current).to_owned();
        let starts_branch = branch != current;
        if starts_branch && tip(tx, &branch)?.is_some() {
            return Err(CheckInError::BranchExists(branch));
        }
        Ok(Self {
            parent: Some(parent),
            merged: Vec::new(),
            branch,
            starts_branch,
        })
    }

    /// Stands on the tip of a branch, or starts it from that of the main branch.
    fn continuing(tx: &Repository, branch: Option<&str>) -> Result<Self, CheckInError> {
        let main = tx
            .config("main-branch")?
            .unwrap_or_else(|| MAIN_BRANCH.to_owned());
        let branch = branch.unwrap_or(&main).to_owned();
        let (parent, starts_branch) = match tip(tx, &branch)? {
            Some(tip) => (Some(tip), false),
            None => (tip(tx, &main)?, true),
        };
        if parent.is_none() && has_check_ins(tx)? {
            return Err(CheckInError::NoTip { branch: main });
        }
        let parent = parent.map(|rid| parent_at(tx, rid)).transpose()?;
        Ok(Self {
            parent,
            merged: Vec::new(),
            branch,
            starts_branch,
        })
    }

    fn parents(&self) -> impl Iterator<Item = &Parent> {
        self.parent.iter().chain(&self.merged)
    }

    /// Returns the time that a check-in carries which is to have `date` and is made at `now`.
    pub(super) fn date_of(&self, date: Date, now: Timestamp) -> Result<Timestamp, CheckInError> {
        let wanted = match date {
            Date::Now => now,
            Date::About(date) | Date::Exactly(date) => date,
        };
        let Some(latest) = self.parents().max_by_key(|parent| parent.date) else {
            return Ok(wanted);
        };
        if matches!(date, Date::Exactly(_)) && wanted <= latest.date {
            return Err(CheckInError::NotLater {
                date: wanted,
                parent: latest.name,
                at: latest.date,
            });
        }
        Ok(wanted.max(latest.date.saturating_add_millis(1)))
    }

    /// Returns the tags that the check-in puts on itself: those of a new branch, and those asked for.
    pub(super) fn tags(
        &self,
        tx: &Repository,
        new: &NewCheckIn<'_>,
    ) -> Result<Vec<Tag<'static>>, CheckInError> {
        let mut tags = Vec::new();
        if self.starts_branch {
            let name = format!("sym-{}", self.branch);
            tags.push(Tag::of_self(
                TagKind::Propagate,
                "branch",
                Some(self.branch.clone().into()),
            ));
            tags.push(Tag::of_self(TagKind::Propagate, name.clone(), None));
            let inherited = self
                .parent
                .map(|parent| inherited_names(tx, parent.rid))
                .transpose()?;
            for old in inherited
                .unwrap_or_default()
                .into_iter()
                .filter(|old| *old != name.as_str())
            {
                tags.push(Tag::of_self(TagKind::Cancel, old, None));
            }
        }
        for name in &new.tags {
            let tag = Tag::of_self(TagKind::Once, format!("sym-{name}"), None);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }
}

/// Returns the check-in called `name` as a parent.
fn find(tx: &Repository, name: &HashName) -> Result<Parent, CheckInError> {
    let rid = tx.rid(name)?.ok_or(CheckInError::UnknownParent(*name))?;
    parent_at(tx, rid)
}

fn parent_at(tx: &Repository, rid: Rid) -> Result<Parent, CheckInError> {
    let name = tx.name(rid)?;
    let content = match tx.content(rid) {
        Err(Error::Missing { .. }) => return Err(CheckInError::UnknownParent(name)),
        other => other?,
    };
    let Ok(Artifact::CheckIn(check_in)) = artifact::parse(&content) else {
        return Err(CheckInError::UnknownParent(name));
    };
    let on_timeline: Option<Timestamp> = tx
        .conn()
        .prepare_cached("SELECT mtime FROM event WHERE objid=?1 AND type='ci'")?
        .query_row([rid], |row| row.get(0))
        .optional()?;
    let date = on_timeline.map_or(check_in.date, |date| date.max(check_in.date));
    Ok(Parent { rid, name, date })
}

/// Returns the newest open end of a branch, or its newest check-in if all its ends are closed.
fn tip(tx: &Repository, branch: &str) -> Result<Option<Rid>, CheckInError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "SELECT x.rid FROM tagxref x JOIN tag ON tag.tagid=x.tagid JOIN event ON event.objid=x.rid
              WHERE tag.tagname='branch' AND x.tagtype>0 AND x.value=?1 AND event.type='ci'
              ORDER BY x.rid IN leaf AND NOT EXISTS(
                         SELECT 1 FROM tagxref c JOIN tag USING(tagid)
                          WHERE c.rid=x.rid AND tagname='closed' AND c.tagtype>0) DESC,
                       event.mtime DESC, x.rid DESC
              LIMIT 1",
        )?
        .query_row([branch], |row| row.get(0))
        .optional()?)
}

fn has_check_ins(tx: &Repository) -> Result<bool, CheckInError> {
    Ok(tx
        .conn()
        .prepare_cached("SELECT 1 FROM event WHERE type='ci'")?
        .exists([])?)
}

fn is_closed(tx: &Repository, rid: Rid) -> Result<bool, CheckInError> {
    let mut query = tx.conn().prepare_cached(
        "SELECT 1 FROM tagxref JOIN tag USING(tagid) WHERE rid=?1 AND tagname='closed' AND tagtype>0",
    )?;
    Ok(query.exists([rid])?)
}

/// Returns the symbolic tags that children of `rid` inherit.
fn inherited_names(tx: &Repository, rid: Rid) -> Result<Vec<Text<'static>>, CheckInError> {
    let mut query = tx.conn().prepare_cached(
        "SELECT tagname FROM tagxref JOIN tag USING(tagid)
          WHERE rid=?1 AND tagtype=2 AND tagname GLOB 'sym-*' ORDER BY tagname",
    )?;
    let names = query.query_map([rid], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Checks that `name` can be that of a branch or tag and still be typed, shown and resolved.
fn check_tag_name(name: &str) -> Result<(), CheckInError> {
    let good = !name.is_empty()
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && !RESERVED_NAMES.contains(&name);
    if good {
        Ok(())
    } else {
        Err(CheckInError::BadTagName(name.to_owned()))
    }
}
