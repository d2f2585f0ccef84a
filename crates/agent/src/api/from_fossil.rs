//! From what the repository library tells to what the API says.

use libfossil::artifact::Permission;
use libfossil::db;
use libfossil::history::{self, Change, graph};
use libfossil::time::Timestamp;

use super::{
    FileChangeKind, FileEntry, Line, Permissions, Relative, StrokeKind, Time, TimelineRow,
};

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self::from_unix_millis(time.unix_millis())
    }
}

impl From<Permission> for Permissions {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Regular => Self::File,
            Permission::Executable => Self::Executable,
            Permission::Symlink => Self::Symlink,
        }
    }
}

impl From<Change> for FileChangeKind {
    fn from(change: Change) -> Self {
        match change {
            Change::Added => Self::Added,
            Change::Modified => Self::Modified,
            Change::Deleted => Self::Deleted,
            Change::Renamed => Self::Renamed,
        }
    }
}

impl From<history::Relative> for Relative {
    fn from(relative: history::Relative) -> Self {
        Self {
            hash: relative.name.to_string(),
            comment: relative.comment,
            merge: relative.merge,
        }
    }
}

impl From<history::LaidOutLine> for Line {
    fn from(line: history::LaidOutLine) -> Self {
        Self {
            from: line.from,
            to: line.to,
            branch: line.branch,
            kind: match line.kind {
                graph::LineKind::Parent => StrokeKind::Parent,
                graph::LineKind::Merge => StrokeKind::Merge,
            },
        }
    }
}

impl From<history::EventRow> for TimelineRow {
    fn from(row: history::EventRow) -> Self {
        let tags = row.tags();
        Self {
            kind: row.kind.letters().to_owned(),
            hash: row.name.to_string(),
            time: row.time.into(),
            user: row.user,
            comment: row.comment,
            branch: row.branch,
            tags,
            closed: row.closed,
            leaf: row.leaf,
            merge: row.merge,
            lane: row.lane,
            lines: row.lines.into_iter().map(Line::from).collect(),
        }
    }
}

impl FileEntry {
    /// Returns the entry of a version's file, with the size that `repository` knows.
    ///
    /// # Errors
    /// [`db::Error::Sqlite`] when the repository cannot be read.
    pub fn read(repository: &db::Repository, file: &history::FileEntry) -> db::Result<Self> {
        Ok(Self {
            path: file.path.to_str_lossy().into_owned(),
            hash: file.name.to_string(),
            size: file.size(repository)?,
            permissions: file.permission.into(),
        })
    }
}
