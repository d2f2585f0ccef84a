//! What a check-in changed against each of its ancestors: the table `mlink`.

use rusqlite::{OptionalExtension, params};

use super::Crosslinker;
use super::manifest::{Differences, File, Tree, TreeFinder};
use super::words::Words;
use crate::artifact::Permission;
use crate::db::{Result, Rid, Transaction};
use crate::name::HashName;

/// Between which two check-ins changes are being written.
#[derive(Clone, Copy)]
struct Step {
    parent: Rid,
    child: Rid,
    is_primary: bool,
    child_is_public: bool,
}

/// One file that differs.
struct Change<'m> {
    name: &'m [u8],
    old_name: Option<&'m [u8]>,
    before: Option<HashName>,
    after: Option<HashName>,
    permission: Permission,
}

impl<'m> Change<'m> {
    /// A file of the parent that the child does not have.
    fn gone(file: File<'m>) -> Self {
        Self {
            name: file.name,
            old_name: None,
            before: file.hash,
            after: None,
            permission: Permission::Regular,
        }
    }
}

impl Crosslinker {
    /// Writes what changed from `parent` to `child`, once both are here. After a first parent, the other ancestors
    /// follow by themselves, because only files that differ from the first parent count there.
    ///
    /// Returns whether anything was compared.
    pub(super) fn link_files(
        &mut self,
        tx: &mut Transaction<'_>,
        parent: Rid,
        child: Rid,
        is_primary: bool,
    ) -> Result<bool> {
        if !self.compare(tx, parent, child, is_primary)? {
            return Ok(false);
        }
        if is_primary {
            let Some(manifest) = self.manifest(tx, child)? else {
                return Ok(true);
            };
            let merged = manifest.parents.iter().skip(1).chain(manifest.picked());
            for other in merged {
                if let Some(other) = self.known_row(tx, other)? {
                    self.compare(tx, other, child, false)?;
                }
            }
        }
        Ok(true)
    }

    fn compare(
        &mut self,
        tx: &mut Transaction<'_>,
        parent: Rid,
        child: Rid,
        is_primary: bool,
    ) -> Result<bool> {
        let done = tx
            .conn()
            .prepare_cached("SELECT 1 FROM mlink WHERE mid=?1 AND pmid=?2")?
            .exists([child, parent])?;
        if done {
            return Ok(false);
        }
        let (Some(old), Some(new)) = (self.tree(tx, parent)?, self.tree(tx, child)?) else {
            return Ok(false);
        };
        if !is_primary && !self.first_parent_is_here(tx, &new)? {
            return Ok(false);
        }
        self.close_times
            .note(parent, old.own.date, child, new.own.date);
        let step = Step {
            parent,
            child,
            is_primary,
            child_is_public: !tx.is_private(child)?,
        };
        if self.deltify {
            deltify_older(tx, step, &old, &new)?;
        }
        self.write_changes(tx, step, &old, &new)?;
        Ok(true)
    }

    fn first_parent_is_here(&mut self, tx: &Transaction<'_>, tree: &Tree) -> Result<bool> {
        let Some(first) = tree.own.parents.first() else {
            return Ok(true);
        };
        match self.known_row(tx, first)? {
            Some(first) => Ok(self.tree(tx, first)?.is_some()),
            None => Ok(false),
        }
    }

    fn write_changes(
        &mut self,
        tx: &mut Transaction<'_>,
        step: Step,
        old: &Tree,
        new: &Tree,
    ) -> Result<()> {
        if let (None, None) = (&old.baseline, &new.baseline) {
            return self.write_differences(tx, step, old, new);
        }
        let mut old_files = old.finder();
        for file in new.own.own_files() {
            if let Some(change) = change_of(&mut old_files, file) {
                self.write_change(tx, step, &change)?;
            }
        }
        let mut new_files = new.own.finder();
        match (&old.baseline, &new.baseline) {
            (Some(_), Some(_)) => self.write_reverted(tx, step, old, new),
            (_, None) => old.each_file(|file| {
                if new_files.find(file.name).is_some() {
                    return Ok(());
                }
                self.write_change(tx, step, &Change::gone(file))
            }),
            (None, Some(_)) => Ok(()),
        }
    }

    /// Between two check-ins without a baseline, as most are.
    fn write_differences(
        &mut self,
        tx: &mut Transaction<'_>,
        step: Step,
        old: &Tree,
        new: &Tree,
    ) -> Result<()> {
        let Differences { changed, gone } = Differences::between(&old.own, &new.own);
        let mut old_files = old.finder();
        for file in changed {
            if let Some(change) = change_of(&mut old_files, file) {
                self.write_change(tx, step, &change)?;
            }
        }
        for file in gone {
            self.write_change(tx, step, &Change::gone(file))?;
        }
        Ok(())
    }

    /// Between two check-ins with a baseline: files that only the parent has a card for are back as they were in
    /// the baseline.
    fn write_reverted(
        &mut self,
        tx: &mut Transaction<'_>,
        step: Step,
        old: &Tree,
        new: &Tree,
    ) -> Result<()> {
        let (mut new_own, mut new_files) = (new.own.finder(), new.finder());
        for file in old.own.own_files() {
            let has_own_card = new_own.find(file.name).is_some();
            if has_own_card && file.hash.is_some() {
                continue;
            }
            if let Some(back) = new_files.find(file.name) {
                let change = Change {
                    name: file.name,
                    old_name: None,
                    before: file.hash,
                    after: back.hash,
                    permission: back.permission,
                };
                self.write_change(tx, step, &change)?;
            }
        }
        Ok(())
    }

    /// Writes all files of a check-in without parents as new.
    pub(super) fn link_root_files(&mut self, tx: &mut Transaction<'_>, rid: Rid) -> Result<()> {
        let Some(tree) = self.tree(tx, rid)? else {
            return Ok(());
        };
        let written = tx
            .conn()
            .prepare_cached("SELECT 1 FROM mlink WHERE mid=?1")?
            .exists([rid])?;
        if written {
            return Ok(());
        }
        let step = Step {
            parent: Rid::new(0),
            child: rid,
            is_primary: true,
            child_is_public: !tx.is_private(rid)?,
        };
        for file in tree.own.own_files() {
            let change = Change {
                name: file.name,
                old_name: None,
                before: None,
                after: file.hash,
                permission: file.permission,
            };
            self.write_change(tx, step, &change)?;
        }
        Ok(())
    }

    fn write_change(
        &mut self,
        tx: &mut Transaction<'_>,
        step: Step,
        change: &Change<'_>,
    ) -> Result<()> {
        let name = self.file_number(tx, change.name)?;
        let old_name = match change.old_name {
            Some(old_name) => self.file_number(tx, old_name)?,
            None => 0,
        };
        let before = match &change.before {
            Some(hash) => Some(self.row(tx, hash)?),
            None => None,
        };
        let after = match &change.after {
            Some(hash) => Some(self.row(tx, hash)?),
            None => None,
        };
        if let Some(after) = after
            && step.child_is_public
            && tx.is_private(after)?
        {
            tx.make_public(after)?;
        }
        if step.is_primary || differs_from_first_parent(tx, step.child, name)? {
            tx.execute(
                "INSERT INTO mlink(mid, fid, pmid, pid, fnid, pfnid, mperm, isaux)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    step.child,
                    after.unwrap_or(Rid::new(0)),
                    step.parent,
                    before.unwrap_or(Rid::new(0)),
                    name,
                    old_name,
                    permission_number(change.permission),
                    !step.is_primary,
                ],
            )?;
        }
        if let (Some(before), Some(after), true) = (before, after, self.deltify) {
            tx.deltify(before, after)?;
        }
        Ok(())
    }

    /// Returns the number of a file name, giving it one if it is new.
    fn file_number(&mut self, tx: &mut Transaction<'_>, name: &[u8]) -> Result<i64> {
        if let Some(number) = self.file_numbers.get(name) {
            return Ok(*number);
        }
        let held: Option<i64> = tx
            .conn()
            .prepare_cached("SELECT fnid FROM filename WHERE name=?1")?
            .query_row([Words(name)], |row| row.get(0))
            .optional()?;
        let number = if let Some(number) = held {
            number
        } else {
            tx.execute("INSERT INTO filename(name) VALUES(?1)", [Words(name)])?;
            tx.last_insert_rowid()
        };
        self.file_numbers.insert(name.to_vec(), number);
        Ok(number)
    }
}

/// Returns how a file of the child differs from the parent, if it does.
fn change_of<'m>(old: &mut TreeFinder<'_>, file: File<'m>) -> Option<Change<'m>> {
    let mut change = Change {
        name: file.name,
        old_name: None,
        before: None,
        after: file.hash,
        permission: file.permission,
    };
    if let Some(old_name) = file.old_name {
        // A rename of something that the parent does not have is taken for a new file.
        if let Some(before) = old.find(old_name) {
            change.before = before.hash;
            change.old_name = Some(old_name);
        }
        return Some(change);
    }
    match old.find(file.name) {
        None => file.hash.map(|_| change),
        Some(before) if before.hash == file.hash && before.permission == file.permission => None,
        Some(before) => {
            change.before = before.hash;
            Some(change)
        }
    }
}

fn differs_from_first_parent(tx: &Transaction<'_>, child: Rid, name: i64) -> Result<bool> {
    Ok(tx
        .conn()
        .prepare_cached("SELECT 1 FROM mlink WHERE mid=?1 AND fnid=?2 AND NOT isaux")?
        .exists(params![child, name])?)
}

/// Returns what column `mperm` says.
fn permission_number(permission: Permission) -> i64 {
    match permission {
        Permission::Regular => 0,
        Permission::Executable => 1,
        Permission::Symlink => 2,
    }
}

/// Stores the older of two check-ins as a delta on the newer; a new baseline takes the place of the old one.
fn deltify_older(tx: &mut Transaction<'_>, step: Step, old: &Tree, new: &Tree) -> Result<()> {
    if old.baseline.is_none() == new.baseline.is_none() {
        tx.deltify(step.parent, step.child)?;
    } else if let (None, Some(baseline)) = (&new.baseline, &old.own.baseline)
        && let Some(baseline) = tx.rid(baseline)?
    {
        tx.deltify(baseline, step.child)?;
    }
    Ok(())
}
