//! The JSON forms of what a repository holds: those of the agent's API.

use edgesync_agent::api::{self, Time};
use libfossil::artifact::Permission;
use libfossil::db::{Repository, Result};
use libfossil::history::{Change, ChangedFile, EventRow, FileEntry, graph};
use libfossil::time::Timestamp;

/// Returns the API's form of an instant.
pub(crate) fn time(time: Timestamp) -> Time {
    Time::from_unix_millis(time.unix_millis())
}

/// Returns an instant in whole seconds since 1970.
pub(crate) fn seconds(time: Timestamp) -> i64 {
    time.unix_millis().div_euclid(1000)
}

/// Returns the API's form of a permission.
pub(crate) fn permissions(permission: Permission) -> api::Permissions {
    match permission {
        Permission::Regular => api::Permissions::File,
        Permission::Executable => api::Permissions::Executable,
        Permission::Symlink => api::Permissions::Symlink,
    }
}

/// Returns the API's form of a row of the timeline.
pub(crate) fn timeline_row(row: EventRow) -> api::TimelineRow {
    let line = |line: libfossil::history::LaidOutLine| api::Line {
        from: line.from,
        to: line.to,
        branch: line.branch,
        kind: match line.kind {
            graph::LineKind::Parent => api::StrokeKind::Parent,
            graph::LineKind::Merge => api::StrokeKind::Merge,
        },
    };
    api::TimelineRow {
        kind: row.kind.letters().to_owned(),
        hash: row.name.to_string(),
        time: time(row.time),
        user: row.user,
        comment: row.comment,
        branch: row.branch,
        tags: row.tags,
        closed: row.closed,
        leaf: row.leaf,
        merge: row.merge,
        lane: row.lane,
        lines: row.lines.into_iter().map(line).collect(),
    }
}

/// Returns the API's form of a file of a version.
pub(crate) fn file_entry(repository: &Repository, file: &FileEntry) -> Result<api::FileEntry> {
    Ok(api::FileEntry {
        path: file.path.to_str_lossy().into_owned(),
        hash: file.name.to_string(),
        size: file.size(repository)?,
        permissions: permissions(file.permission),
    })
}

/// Returns the word that stock has for a change.
pub(crate) fn change_word(change: Change) -> &'static str {
    match change {
        Change::Added => "ADDED",
        Change::Modified => "EDITED",
        Change::Deleted => "DELETED",
        Change::Renamed => "RENAMED",
    }
}

/// Returns a changed file as stock lists it, with the former path where there is one.
pub(crate) fn changed_file_words(file: &ChangedFile) -> String {
    let word = change_word(file.change);
    match &file.old_path {
        Some(old) => format!("{word} {old} -> {}", file.path),
        None => format!("{word} {}", file.path),
    }
}
