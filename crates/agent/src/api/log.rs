//! Lines of the agent's log, as the API shows them and as the file keeps them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Level, Time};

/// The answer of `GET /api/v1/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The file in which the log is kept; `null` where this agent keeps none.
    pub file: Option<PathBuf>,
    /// The number of the first of `lines`, counted from 1 on since the agent's start. The others follow without a gap.
    pub first: u64,
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// One line of the log. In the file, one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was said.
    pub at: Time,
    /// How bad it is.
    pub level: Level,
    /// The part of the program that says it.
    pub target: String,
    /// What it says. Of others' text, which may be in it, nothing is made harmless yet.
    pub message: String,
    /// What it says besides, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}
