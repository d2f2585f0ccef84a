//! Check-ins: a version of the project's files, and how it came to be.

use super::checksum::Md5;
use super::control::Tag;
use super::writer::Writer;
use crate::name::{HashName, RepoPath};
use crate::text::{Text, escape};
use crate::time::Timestamp;

/// A version of the project's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckIn<'a> {
    /// The check-in whose files these are changes to (a delta manifest); none if the files are all there are. A baseline
    /// has no baseline itself.
    pub baseline: Option<HashName>,
    /// What the author says about it.
    pub comment: Option<Text<'a>>,
    /// When it was made, as far as the author's clock knew.
    pub date: Timestamp,
    /// The files, by ascending path.
    pub files: Vec<FileCard<'a>>,
    /// How the comment is to be read; plain text or wiki if absent.
    pub mimetype: Option<Text<'a>>,
    /// The versions this one was made from; the first is the primary one, others were merged.
    pub parents: Vec<HashName>,
    /// Single changes that were taken over or backed out.
    pub cherrypicks: Vec<Cherrypick>,
    /// The checksum over all files, see [`super::TreeDigest`].
    pub checksum: Option<Md5>,
    /// Tags of this check-in, and of others.
    pub tags: Vec<Tag<'a>>,
    /// Who made it.
    pub user: Option<Text<'a>>,
}

/// A file of a check-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCard<'a> {
    /// Where it is.
    pub path: RepoPath<'a>,
    /// Its content; none says, in a check-in with a baseline, that the baseline's file is gone.
    pub hash: Option<HashName>,
    /// What it is besides its content.
    pub permission: Permission,
    /// Where it was in the primary parent, if it was renamed.
    pub old_path: Option<RepoPath<'a>>,
}

/// What a file is besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Permission {
    /// A plain file.
    #[default]
    Regular,
    /// A file that can be executed.
    Executable,
    /// A symbolic link, whose target is its content.
    Symlink,
}

/// A single change that was taken over from elsewhere, or backed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cherrypick {
    /// Whether the change was undone rather than taken over.
    pub backout: bool,
    /// The check-in that brought the change.
    pub target: HashName,
    /// Where a range of changes that ends with the target begins.
    pub baseline: Option<HashName>,
}

impl Permission {
    /// Returns the permission that the third argument of an `F` card stands for.
    pub(super) fn from_letters(letters: &[u8]) -> Self {
        if letters.contains(&b'x') {
            Self::Executable
        } else if letters.contains(&b'l') {
            Self::Symlink
        } else {
            Self::Regular
        }
    }

    /// Returns the third argument of an `F` card. `w` stands for nothing where a further argument follows.
    const fn letter(self, argument_follows: bool) -> Option<&'static [u8]> {
        match self {
            Self::Executable => Some(b"x"),
            Self::Symlink => Some(b"l"),
            Self::Regular if argument_follows => Some(b"w"),
            Self::Regular => None,
        }
    }
}

impl CheckIn<'_> {
    /// Returns the artifact. Files and tags may be in any order here.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        if let Some(baseline) = &self.baseline {
            writer.card(b'B', [baseline.as_bytes()]);
        }
        writer.text(b'C', self.comment.as_ref());
        writer.date(self.date);
        let mut files: Vec<&FileCard<'_>> = self.files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        for file in files {
            write_file(&mut writer, file);
        }
        writer.text(b'N', self.mimetype.as_ref());
        // Something must tell that this is a check-in; an empty list of parents does.
        let nothing_tells = self.baseline.is_none()
            && self.comment.is_none()
            && self.files.is_empty()
            && self.cherrypicks.is_empty()
            && self.checksum.is_none();
        if nothing_tells || !self.parents.is_empty() {
            writer.card(b'P', self.parents.iter().map(HashName::as_bytes));
        }
        for pick in &self.cherrypicks {
            let sign: &[u8] = if pick.backout { b"-" } else { b"+" };
            let target = [sign, pick.target.as_bytes()].concat();
            writer.card(
                b'Q',
                [&*target]
                    .into_iter()
                    .chain(pick.baseline.as_ref().map(HashName::as_bytes)),
            );
        }
        if let Some(checksum) = self.checksum {
            writer.card(b'R', [&checksum.to_hex()[..]]);
        }
        writer.tags(&self.tags);
        writer.text(b'U', self.user.as_ref());
        writer.seal()
    }

    /// Returns the same check-in, no longer borrowing.
    #[must_use]
    pub fn into_owned(self) -> CheckIn<'static> {
        CheckIn {
            baseline: self.baseline,
            comment: self.comment.map(Text::into_owned),
            date: self.date,
            files: self.files.into_iter().map(FileCard::into_owned).collect(),
            mimetype: self.mimetype.map(Text::into_owned),
            parents: self.parents,
            cherrypicks: self.cherrypicks,
            checksum: self.checksum,
            tags: self.tags.into_iter().map(Tag::into_owned).collect(),
            user: self.user.map(Text::into_owned),
        }
    }
}

impl FileCard<'_> {
    /// Returns the same file, no longer borrowing.
    #[must_use]
    pub fn into_owned(self) -> FileCard<'static> {
        FileCard {
            path: self.path.into_owned(),
            hash: self.hash,
            permission: self.permission,
            old_path: self.old_path.map(RepoPath::into_owned),
        }
    }
}

fn write_file(writer: &mut Writer, file: &FileCard<'_>) {
    let path = escape(file.path.as_bytes());
    let old_path = file.old_path.as_ref().map(|old| escape(old.as_bytes()));
    let hash = file.hash.as_ref().map(HashName::as_bytes);
    // Without a hash nothing can follow: an empty argument would be no hash.
    let permission = hash.and_then(|_| file.permission.letter(old_path.is_some()));
    let old_path = hash.and(old_path.as_deref());
    writer.card(
        b'F',
        [&*path]
            .into_iter()
            .chain(hash)
            .chain(permission)
            .chain(old_path),
    );
}
