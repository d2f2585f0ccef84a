//! A parsed check-in in a compact form that can be kept, passed between threads, and compared file by file.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::artifact::{CheckIn, Cherrypick, Permission, Tag};
use crate::db::Rid;
use crate::name::HashName;
use crate::time::Timestamp;

/// What cross-linking needs of a check-in. The names of all files are in one buffer.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) baseline: Option<HashName>,
    pub(crate) comment: Option<Vec<u8>>,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) date: Timestamp,
    pub(crate) parents: Vec<HashName>,
    pub(crate) cherrypicks: Vec<Cherrypick>,
    pub(crate) tags: Vec<Tag<'static>>,
    entries: Vec<Entry>,
    names: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    name: Span,
    old_name: Option<Span>,
    hash: Option<HashName>,
    permission: Permission,
}

impl Entry {
    /// Whether nothing changed since `before`, which has the same name.
    fn is_as(&self, before: &Self) -> bool {
        before.hash == self.hash && before.permission == self.permission && self.old_name.is_none()
    }
}

/// A piece of the buffer of names. Artifacts are shorter than 4 GiB, and so are the names in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// One F card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'m> {
    pub(crate) name: &'m [u8],
    /// The name that the file had in the parent, if it was renamed.
    pub(crate) old_name: Option<&'m [u8]>,
    /// The content; `None` means that the file of the baseline is gone.
    pub(crate) hash: Option<HashName>,
    pub(crate) permission: Permission,
}

impl Manifest {
    /// Takes over what a parsed check-in says.
    pub(crate) fn new(check_in: &CheckIn<'_>) -> Self {
        let mut names = Vec::new();
        let mut keep = |name: &[u8]| {
            let start = u32::try_from(names.len()).unwrap_or(u32::MAX);
            names.extend_from_slice(name);
            let end = u32::try_from(names.len()).unwrap_or(u32::MAX);
            Span { start, end }
        };
        let entries = check_in.files.iter().map(|file| Entry {
            name: keep(file.path.as_bytes()),
            old_name: file.old_path.as_ref().map(|old| keep(old.as_bytes())),
            hash: file.hash,
            permission: file.permission,
        });
        let entries = entries.collect();
        Self {
            baseline: check_in.baseline,
            comment: check_in
                .comment
                .as_ref()
                .map(|text| text.as_bytes().to_vec()),
            user: check_in.user.as_ref().map(|text| text.as_bytes().to_vec()),
            date: check_in.date,
            parents: check_in.parents.clone(),
            cherrypicks: check_in.cherrypicks.clone(),
            tags: check_in.tags.iter().cloned().map(Tag::into_owned).collect(),
            entries,
            names,
        }
    }

    /// Returns the check-ins whose changes were taken over one by one, not as parents.
    pub(crate) fn picked(&self) -> impl Iterator<Item = &HashName> {
        let taken = self.cherrypicks.iter().filter(|pick| !pick.backout);
        taken.map(|pick| &pick.target)
    }

    /// Returns the F cards of this check-in itself, in order of their names.
    pub(crate) fn own_files(&self) -> impl Iterator<Item = File<'_>> {
        self.entries.iter().map(|entry| self.file(entry))
    }

    /// Returns the F card of this check-in itself for `name`.
    fn own_file(&self, name: &[u8]) -> Option<File<'_>> {
        let found = self
            .entries
            .binary_search_by(|entry| self.name(entry.name).cmp(name));
        found
            .ok()
            .and_then(|index| self.entries.get(index))
            .map(|entry| self.file(entry))
    }

    /// Returns a finder for many names in ascending order.
    pub(crate) fn finder(&self) -> Finder<'_> {
        Finder {
            manifest: self,
            at: 0,
        }
    }

    fn file<'m>(&'m self, entry: &'m Entry) -> File<'m> {
        File {
            name: self.name(entry.name),
            old_name: entry.old_name.map(|span| self.name(span)),
            hash: entry.hash,
            permission: entry.permission,
        }
    }

    fn name(&self, span: Span) -> &[u8] {
        self.names
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// Whether the cards of both are for the same names, one by one, as those of most check-ins and their parents are.
    fn has_names_of(&self, other: &Self) -> bool {
        let (own, others) = (self.entries.iter(), other.entries.iter());
        self.names == other.names
            && own
                .map(|entry| entry.name)
                .eq(others.map(|entry| entry.name))
    }

    fn weight(&self) -> usize {
        self.names.len() + self.entries.len() * size_of::<Entry>()
    }
}

/// Where the F cards of two check-ins differ.
pub(crate) struct Differences<'m> {
    /// Cards of the newer that the older does not have just so.
    pub(crate) changed: Vec<File<'m>>,
    /// Cards of the older whose name the newer does not have.
    pub(crate) gone: Vec<File<'m>>,
}

impl<'m> Differences<'m> {
    /// Goes through the cards of both side by side.
    pub(crate) fn between(old: &'m Manifest, new: &'m Manifest) -> Self {
        let mut differences = Self {
            changed: Vec::new(),
            gone: Vec::new(),
        };
        if old.has_names_of(new) {
            let both = old.entries.iter().zip(&new.entries);
            let changed = both.filter(|(before, entry)| !entry.is_as(before));
            differences.changed = changed.map(|(_, entry)| new.file(entry)).collect();
            return differences;
        }
        let mut olds = old.entries.iter().peekable();
        for entry in &new.entries {
            let name = new.name(entry.name);
            while let Some(before) = olds.next_if(|before| old.name(before.name) < name) {
                differences.gone.push(old.file(before));
            }
            let before = olds.next_if(|before| old.name(before.name) == name);
            if !before.is_some_and(|before| entry.is_as(before)) {
                differences.changed.push(new.file(entry));
            }
        }
        differences.gone.extend(olds.map(|before| old.file(before)));
        differences
    }
}

/// Finds F cards by name, at little cost when the names come in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct Finder<'m> {
    manifest: &'m Manifest,
    /// The first card that may come next.
    at: usize,
}

impl<'m> Finder<'m> {
    /// Returns the F card for `name`.
    pub(crate) fn find(&mut self, name: &[u8]) -> Option<File<'m>> {
        let manifest = self.manifest;
        let is_behind = |entry: &Entry| manifest.name(entry.name) >= name;
        let before = self
            .at
            .checked_sub(1)
            .and_then(|at| manifest.entries.get(at));
        if before.is_some_and(is_behind) {
            return manifest.own_file(name);
        }
        while let Some(entry) = manifest.entries.get(self.at) {
            match manifest.name(entry.name).cmp(name) {
                Ordering::Less => self.at += 1,
                Ordering::Equal => {
                    self.at += 1;
                    return Some(manifest.file(entry));
                }
                Ordering::Greater => return None,
            }
        }
        None
    }
}

/// Finds the files of a whole tree by name.
#[derive(Clone, Debug)]
pub(crate) struct TreeFinder<'m> {
    own: Finder<'m>,
    baseline: Option<Finder<'m>>,
}

impl<'m> TreeFinder<'m> {
    /// Returns the file called `name`.
    pub(crate) fn find(&mut self, name: &[u8]) -> Option<File<'m>> {
        match (self.own.find(name), &mut self.baseline) {
            (Some(file), _) => Some(file).filter(|file| file.hash.is_some()),
            (None, Some(baseline)) => baseline.find(name),
            (None, None) => None,
        }
    }
}

/// A check-in together with its baseline, if it needs one: a whole tree of files.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) own: Arc<Manifest>,
    pub(crate) baseline: Option<Arc<Manifest>>,
}

impl Tree {
    /// Returns a finder for many names in ascending order.
    pub(crate) fn finder(&self) -> TreeFinder<'_> {
        TreeFinder {
            own: self.own.finder(),
            baseline: self.baseline.as_ref().map(|baseline| baseline.finder()),
        }
    }

    /// Calls `visit` on every file of the tree.
    pub(crate) fn each_file<E>(
        &self,
        mut visit: impl FnMut(File<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for file in self.own.own_files().filter(|file| file.hash.is_some()) {
            visit(file)?;
        }
        let inherited = self
            .baseline
            .iter()
            .flat_map(|baseline| baseline.own_files());
        let mut own = self.own.finder();
        for file in inherited.filter(|file| own.find(file.name).is_none()) {
            visit(file)?;
        }
        Ok(())
    }
}

/// The check-ins that were needed last, up to a number of bytes.
#[derive(Debug, Default)]
pub(crate) struct ManifestCache {
    entries: HashMap<Rid, Arc<Manifest>>,
    order: VecDeque<Rid>,
    held_bytes: usize,
}

/// Room for some hundred check-ins of some thousand files.
const CACHE_BYTES: usize = 64 << 20;

impl ManifestCache {
    pub(crate) fn get(&self, rid: Rid) -> Option<Arc<Manifest>> {
        self.entries.get(&rid).cloned()
    }

    pub(crate) fn insert(&mut self, rid: Rid, manifest: Arc<Manifest>) {
        let weight = manifest.weight();
        if self.entries.insert(rid, manifest).is_some() {
            return;
        }
        self.held_bytes += weight;
        self.order.push_back(rid);
        while self.held_bytes > CACHE_BYTES && self.order.len() > 2 {
            let oldest = self.order.pop_front();
            if let Some(old) = oldest.and_then(|rid| self.entries.remove(&rid)) {
                self.held_bytes -= old.weight();
            }
        }
    }
}
