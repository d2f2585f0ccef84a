//! The one error of the API: a code for programs, words for people, and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// A parameter or body is malformed.
    BadRequest,
    /// No token, or a wrong one.
    Unauthorized,
    /// Foreign `Host` or `Origin`.
    Forbidden,
    /// No such repository, check-in, file or path.
    NotFound,
    /// Already there, or busy.
    Conflict,
    /// The body is over the limit.
    TooLarge,
    /// This front cannot do it.
    Unsupported,
    /// The repository file cannot be read or written.
    Repository,
    /// The remote answered, and failed.
    Remote,
    /// The remote cannot be reached, or does not answer in time.
    Unreachable,
    /// The remote does not take this login, or this user lacks the right.
    RemoteLogin,
    /// What answers at the remote's address is no Fossil server, or has another project.
    RemoteAddress,
    /// Nobody on the bus answers for the project.
    NoPeer,
    /// One of two agents has unpaired the other, for ever.
    Unpaired,
    /// A bug.
    Internal,
}

impl Code {
    /// The HTTP status that goes with this code.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::Unpaired => 409,
            Self::TooLarge => 413,
            Self::Repository | Self::Internal => 500,
            Self::Unsupported => 501,
            Self::Remote
            | Self::Unreachable
            | Self::RemoteLogin
            | Self::RemoteAddress
            | Self::NoPeer => 502,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unpaired => "unpaired",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Repository => "repository",
            Self::Remote => "remote",
            Self::Unreachable => "unreachable",
            Self::RemoteLogin => "remote_login",
            Self::RemoteAddress => "remote_address",
            Self::NoPeer => "no_peer",
            Self::Internal => "internal",
        })
    }
}

/// An error as the API and `--json` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// For programs.
    pub code: Code,
    /// For people: what failed, on what.
    pub message: String,
    /// For people: what to do next.
    pub hint: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

/// The body that carries an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: Error,
}

impl Error {
    /// Returns an error that stays the same when the request is repeated.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retryable: false,
        }
    }

    /// Returns this error with words on what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns this error marked as one that may go away by itself.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message).retryable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_the_same_in_json_and_in_text() {
        for code in [
            Code::BadRequest,
            Code::NotFound,
            Code::TooLarge,
            Code::Unreachable,
            Code::Internal,
        ] {
            assert_eq!(
                serde_json::to_string(&code).expect("json"),
                format!("\"{code}\"")
            );
        }
    }
}
