//! What an examination of the agent and its surroundings found, as the API shows it.

use serde::{Deserialize, Serialize};

/// The answer of `GET /api/v1/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// Whether no check failed.
    pub ok: bool,
    /// Every check, in the order in which people look.
    pub checks: Vec<Check>,
}

/// One check with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Names what was looked at, for programs; several checks may have one name.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found, in one line.
    pub message: String,
    /// The command or act that rights it.
    pub fix: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All right.
    Pass,
    /// Works, but somebody should know.
    Warn,
    /// Does not work.
    Fail,
}

impl Check {
    pub(crate) fn pass(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            verdict: Verdict::Pass,
            message: message.into(),
            fix: None,
        }
    }

    pub(crate) fn warn(name: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            verdict: Verdict::Warn,
            ..Self::pass(name, message)
        }
    }

    pub(crate) fn fail(name: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(name, message, fix)
        }
    }
}
