//! The files of a version while changes are applied to them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::OptionalExtension;

use super::{Change, CheckInError};
use crate::artifact::{FileCard, Md5, Permission, TreeDigest};
use crate::db::{Repository, Rid, Transaction, Visibility};
use crate::history::{self, FileEntry};
use crate::limits::MAX_CHECKSUMMED_BYTES;
use crate::name::{HashName, RepoPath};

type Path = RepoPath<'static>;

/// A file, and which file of the parent it comes from.
#[derive(Clone, Debug)]
struct File {
    name: HashName,
    permission: Permission,
    /// Where it was in the parent.
    origin: Option<Path>,
}

/// The files of a version in the making.
#[derive(Debug)]
pub(super) struct Tree {
    files: BTreeMap<Path, File>,
    /// Where changes put something.
    touched: BTreeSet<Path>,
    /// The parent's files, to compare with.
    before: Vec<FileEntry>,
}

impl Tree {
    /// Returns the files of `parent`, or no files.
    pub(super) fn of(repo: &Repository, parent: Option<Rid>) -> Result<Self, CheckInError> {
        let before = parent
            .map(|rid| history::files(repo, rid))
            .transpose()?
            .unwrap_or_default();
        let files = before
            .iter()
            .map(|entry| {
                let origin = Some(entry.path.clone());
                (
                    entry.path.clone(),
                    File {
                        name: entry.name,
                        permission: entry.permission,
                        origin,
                    },
                )
            })
            .collect();
        Ok(Self {
            files,
            touched: BTreeSet::new(),
            before,
        })
    }

    /// Applies one change; content is stored at once.
    pub(super) fn apply(
        &mut self,
        tx: &mut Transaction<'_>,
        change: &Change,
        visibility: Visibility,
    ) -> Result<(), CheckInError> {
        match change {
            Change::Put {
                path,
                content,
                permission,
            } => {
                let name = tx.store(content, visibility)?.name;
                self.put(path, name, *permission);
            }
            Change::SetPermission { path, permission } => {
                let name = self.file(path)?.name;
                self.put(path, name, *permission);
            }
            Change::Rename { from, to } => {
                let file = self.file(from)?.clone();
                if self.files.contains_key(to) {
                    return Err(CheckInError::FileExists(to.clone()));
                }
                self.files.remove(from);
                self.files.insert(to.clone(), file);
                self.touched.insert(to.clone());
            }
            Change::Delete { path } => {
                self.file(path)?;
                self.files.remove(path);
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &Path, name: HashName, permission: Permission) {
        let origin = self.files.get(path).and_then(|old| old.origin.clone());
        self.files.insert(
            path.clone(),
            File {
                name,
                permission,
                origin,
            },
        );
        self.touched.insert(path.clone());
    }

    fn file(&self, path: &Path) -> Result<&File, CheckInError> {
        self.files
            .get(path)
            .ok_or_else(|| CheckInError::NoSuchFile(path.clone()))
    }

    /// Returns whether anything differs from the parent.
    pub(super) fn has_changed(&self) -> bool {
        let same = |(before, (path, file)): (&FileEntry, (&Path, &File))| {
            before.path == *path && before.name == file.name && before.permission == file.permission
        };
        self.before.len() != self.files.len() || !self.before.iter().zip(&self.files).all(same)
    }

    /// Checks that no file that was put anywhere is where another needs a directory. What the parent already has is left
    /// alone: it must stay possible to repair it.
    pub(super) fn check(&self) -> Result<(), CheckInError> {
        for path in self
            .touched
            .iter()
            .filter(|path| self.files.contains_key(*path))
        {
            let bytes = path.as_bytes();
            let above = memchr::memchr_iter(b'/', bytes)
                .filter_map(|slash| RepoPath::new(bytes.get(..slash)?.to_vec()).ok())
                .find(|directory| self.files.contains_key(directory));
            if let Some(file) = above {
                return Err(CheckInError::FileIsDirectory {
                    file,
                    inside: path.clone(),
                });
            }
            let directory = [bytes, b"/"].concat();
            let below = self
                .files
                .range(path.clone()..)
                .map(|(other, _)| other)
                .find(|other| other.as_bytes() >= directory.as_slice())
                .filter(|other| other.as_bytes().starts_with(&directory));
            if let Some(inside) = below {
                return Err(CheckInError::FileIsDirectory {
                    file: path.clone(),
                    inside: inside.clone(),
                });
            }
        }
        Ok(())
    }

    /// Returns the checksum over all files; nothing if the repository's setting `repo-cksum` says so, if there is too much
    /// to read, or if some content is not here.
    pub(super) fn checksum(&self, repo: &Repository) -> Result<Option<Md5>, CheckInError> {
        let setting = repo.config("repo-cksum")?;
        if setting.is_some_and(|value| ["0", "off", "no", "false"].contains(&value.trim())) {
            return Ok(None);
        }
        let mut rids = Vec::with_capacity(self.files.len());
        let mut total = 0_u64;
        let mut size = repo
            .conn()
            .prepare_cached("SELECT rid, size FROM blob WHERE uuid=?1")?;
        for file in self.files.values() {
            let row: Option<(Rid, i64)> = size
                .query_row([&file.name], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            // What is shunned has no row, and a negative size is that of content that is not here.
            let Some((rid, Ok(bytes))) = row.map(|(rid, bytes)| (rid, u64::try_from(bytes))) else {
                return Ok(None);
            };
            total = total.saturating_add(bytes);
            if total > MAX_CHECKSUMMED_BYTES || !repo.is_available(rid)? {
                return Ok(None);
            }
            rids.push(rid);
        }
        let mut digest = TreeDigest::default();
        for (path, rid) in self.files.keys().zip(rids) {
            digest.add(path, &repo.content(rid)?);
        }
        Ok(Some(digest.finish()))
    }

    /// Returns the files as they appear in the check-in.
    pub(super) fn into_cards(self) -> Vec<FileCard<'static>> {
        self.files
            .into_iter()
            .map(|(path, file)| FileCard {
                old_path: file.origin.filter(|origin| *origin != path),
                path,
                hash: Some(file.name),
                permission: file.permission,
            })
            .collect()
    }
}
