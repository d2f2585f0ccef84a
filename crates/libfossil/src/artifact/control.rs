//! Tags, and the control artifacts that put them on other artifacts or take them off.

use super::writer::Writer;
use crate::name::HashName;
use crate::text::Text;
use crate::time::Timestamp;

/// Changes to the tags of other artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control<'a> {
    /// When they were made; the latest change to a tag of an artifact wins.
    pub date: Timestamp,
    /// The changes. Each names its target.
    pub tags: Vec<Tag<'a>>,
    /// Who made them.
    pub user: Text<'a>,
}

/// A tag that is put on an artifact or taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// What happens to it.
    pub kind: TagKind,
    /// Its name, without the sign of its kind.
    pub name: Text<'a>,
    /// Its artifact; none is the artifact that says so.
    pub target: Option<HashName>,
    /// Its value, if it has one.
    pub value: Option<Text<'a>>,
}

/// What happens to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagKind {
    /// `*`: the target has it, and so have its descendants until one of them says otherwise.
    Propagate,
    /// `+`: the target has it.
    Once,
    /// `-`: the target does not have it, nor do its descendants inherit it.
    Cancel,
}

impl TagKind {
    /// Returns the kind whose sign is `prefix`.
    pub(super) fn from_prefix(prefix: u8) -> Option<Self> {
        [Self::Propagate, Self::Once, Self::Cancel]
            .into_iter()
            .find(|kind| kind.prefix() == prefix)
    }

    /// Returns the sign in front of the tag's name.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        match self {
            Self::Propagate => b'*',
            Self::Once => b'+',
            Self::Cancel => b'-',
        }
    }

    /// Returns the number of this kind in the column `tagtype` of the table `tagxref`.
    #[must_use]
    pub const fn to_column(self) -> i64 {
        match self {
            Self::Cancel => 0,
            Self::Once => 1,
            Self::Propagate => 2,
        }
    }
}

impl<'a> Tag<'a> {
    /// Returns a tag of the artifact that says so itself.
    pub fn of_self(kind: TagKind, name: impl Into<Text<'a>>, value: Option<Text<'a>>) -> Self {
        Self {
            kind,
            name: name.into(),
            target: None,
            value,
        }
    }

    /// Returns what tags are sorted by in an artifact.
    pub(super) fn sort_key(&self) -> (u8, &[u8], Option<&HashName>) {
        (self.kind.prefix(), &self.name, self.target.as_ref())
    }

    /// Returns the same tag, no longer borrowing.
    #[must_use]
    pub fn into_owned(self) -> Tag<'static> {
        Tag {
            kind: self.kind,
            name: self.name.into_owned(),
            target: self.target,
            value: self.value.map(Text::into_owned),
        }
    }
}

impl Control<'_> {
    /// Returns the artifact. Tags may be in any order here.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.date(self.date);
        writer.tags(&self.tags);
        writer.text(b'U', Some(&self.user));
        writer.seal()
    }
}
