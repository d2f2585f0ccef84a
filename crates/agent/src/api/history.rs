//! The data of a repository's history: timeline, check-ins, files, diffs.

use serde::{Deserialize, Serialize};

use super::Time;

/// The newest check-in in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckInSummary {
    /// The artifact's name.
    pub hash: String,
    /// When it was made.
    pub time: Time,
    /// Who made it.
    pub user: String,
    /// What it says.
    pub comment: String,
    /// Its branch.
    pub branch: String,
}

/// The answer of `timeline`: one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Rows in all.
    pub total: u64,
    /// Rows before this page.
    pub offset: u64,
    /// Columns of the graph.
    pub lanes: u32,
    /// The page, newest first.
    pub rows: Vec<TimelineRow>,
}

/// One event of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// Fossil's type of event: `ci`, `w`, `t`, `e`, `g`, `f`.
    pub kind: String,
    /// The artifact's name.
    pub hash: String,
    /// When.
    pub time: Time,
    /// Who.
    pub user: String,
    /// What.
    pub comment: String,
    /// The branch of a check-in.
    pub branch: Option<String>,
    /// Other symbolic tags.
    pub tags: Vec<String>,
    /// Whether the check-in's leaf is closed.
    pub closed: bool,
    /// Whether nothing follows on its branch.
    pub leaf: bool,
    /// Whether it has several parents.
    pub merge: bool,
    /// The column of its dot.
    pub lane: Option<u32>,
    /// The strokes down to the next row.
    pub lines: Vec<Line>,
}

/// A stroke between one row's middle and the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The column above.
    pub from: u32,
    /// The column below.
    pub to: u32,
    /// Names the colour.
    pub branch: String,
    /// What it stands for.
    pub kind: StrokeKind,
}

/// What a stroke stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrokeKind {
    /// The primary parent.
    Parent,
    /// A parent by merge.
    Merge,
}

/// The answer for one check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    /// The artifact's name.
    pub hash: String,
    /// When it was made.
    pub time: Time,
    /// Who made it.
    pub user: String,
    /// What it says.
    pub comment: String,
    /// Its branch.
    pub branch: String,
    /// Other symbolic tags.
    pub tags: Vec<String>,
    /// What it follows, the primary parent first.
    pub parents: Vec<Relative>,
    /// What follows it.
    pub children: Vec<Relative>,
    /// What it changes against its primary parent.
    pub files: Vec<FileChange>,
    /// Changed files in all.
    pub files_total: u64,
}

/// A parent or child of a check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relative {
    /// The artifact's name.
    pub hash: String,
    /// What it says.
    pub comment: String,
    /// Whether the tie is a merge.
    pub merge: bool,
}

/// One changed file of a check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path after the change.
    pub path: String,
    /// Its path before, where that differs.
    pub old_path: Option<String>,
    /// What happened.
    pub change: FileChangeKind,
    /// What it is.
    pub permissions: Permissions,
    /// Its content after the change.
    pub hash: Option<String>,
    /// Its content before.
    pub old_hash: Option<String>,
    /// Its size in bytes; of a deleted file the size before.
    pub size: u64,
    /// Whether the content is no text.
    pub binary: bool,
    /// Lines added; `null` where they were not counted.
    pub additions: Option<u64>,
    /// Lines deleted; `null` where they were not counted.
    pub deletions: Option<u64>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// It is new.
    Added,
    /// Its content or permissions changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It has a new path, and perhaps new content.
    Renamed,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// A plain file.
    File,
    /// A program.
    Executable,
    /// A symbolic link.
    Symlink,
}

/// The answer of `diff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The file's path after the change.
    pub path: String,
    /// Its path before, where that differs.
    pub old_path: Option<String>,
    /// Whether a side is no text; there are no hunks then.
    pub binary: bool,
    /// Whether hunks are missing because the files are too large.
    pub truncated: bool,
    /// What changed.
    pub hunks: Vec<Hunk>,
}

/// A changed place with some lines around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// First line before the change, from 1; 0 when there is none.
    pub old_start: u64,
    /// Lines before the change.
    pub old_lines: u64,
    /// First line after the change, from 1; 0 when there is none.
    pub new_start: u64,
    /// Lines after the change.
    pub new_lines: u64,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// What happened to it.
    pub kind: LineKind,
    /// Its number before the change.
    pub old: Option<u64>,
    /// Its number after the change.
    pub new: Option<u64>,
    /// Its text without the newline.
    pub spans: Vec<Span>,
    /// Whether a newline ends it.
    pub newline: bool,
}

/// What happened to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Nothing.
    Context,
    /// It is new.
    Add,
    /// It is gone.
    Delete,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Whether these words are what changed.
    pub changed: bool,
}

/// The answer of `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileList {
    /// The check-in's name.
    pub hash: String,
    /// Its files by path.
    pub files: Vec<FileEntry>,
}

/// One file of a check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path.
    pub path: String,
    /// Its content's name.
    pub hash: String,
    /// Its size in bytes; `null` while the content is not here.
    pub size: Option<u64>,
    /// What it is.
    pub permissions: Permissions,
}

/// The answer of `file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// Its path.
    pub path: String,
    /// Its content's name.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub permissions: Permissions,
    /// Whether it is no text.
    pub binary: bool,
    /// The text, cut at 1 MiB.
    pub text: Option<String>,
    /// Whether it was cut.
    pub truncated: bool,
}
