//! What a command says when it fails, and the exit code that goes with it. Every failure has a kind that scripts can
//! compare, a message that says what happened, and, where there is one, a hint that says what to do about it.

use std::fmt::Display;

pub(crate) use edgesync_agent::error_chain as chain;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line makes no sense.
    Usage,
    /// The named repository, check-in, file or user does not exist.
    NotFound,
    /// It is there already, or somebody else holds it.
    Conflict,
    /// A policy or a missing permission stands against it.
    Refused,
    /// Nobody answered a question in time.
    TimedOut,
    /// Nobody answered: no agent runs, no server listens.
    Unreachable,
    /// The other side answered with something that ends the exchange.
    Remote,
    /// The repository file can't be read or written.
    Repository,
    /// Everything else.
    Failed,
    /// The command has printed what it found, and that is a failure with this exit code.
    Told(u8),
}

impl Kind {
    /// Returns the `code` member of the JSON form.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Remote => "remote",
            Self::Repository => "repository",
            Self::Failed | Self::Told(_) => "failed",
        }
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::Conflict | Self::Remote | Self::Repository | Self::Failed => 1,
            Self::Told(exit_code) => exit_code,
            Self::TimedOut => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::Usage => 64,
        }
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Returns a failure without a hint.
    pub(crate) fn new(kind: Kind, message: impl Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hint: None,
        }
    }

    /// Returns the failure of a command whose own output says all of it.
    pub(crate) fn told() -> Self {
        Self::new(Kind::Told(1), "")
    }

    /// Returns the same failure where the command's own output has said it already.
    pub(crate) fn already_told(self) -> Self {
        let kind = Kind::Told(self.kind.exit_code());
        Self { kind, ..self }
    }

    /// Adds what the person can do now.
    pub(crate) fn hint(self, hint: impl Display) -> Self {
        Self {
            hint: Some(hint.to_string()),
            ..self
        }
    }

    /// Returns the shape that `--json` prints.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": { "code": self.kind.code(), "message": self.message, "hint": self.hint }
        })
    }
}

/// Turns any error into a failure of the given kind, with its sources in one line.
pub(crate) trait OrFail<T> {
    /// Fails with `kind`; `what` names the thing acted on and comes first in the message.
    fn or_fail(self, kind: Kind, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> OrFail<T> for Result<T, E> {
    fn or_fail(self, kind: Kind, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(kind, format!("{what}: {}", chain(&error))))
    }
}

/// Returns a sentence that the page shows under an error as the command line writes its hints: no capital, no full stop.
pub(crate) fn hint_from_page(sentence: &str) -> String {
    let mut letters = sentence.strip_suffix('.').unwrap_or(sentence).chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
