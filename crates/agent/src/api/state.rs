//! How a repository stands with its remote, told honestly: `up_to_date` is said only after a completed exchange.

use serde::{Deserialize, Serialize};

use super::{Code, Pause, Time};

/// How a repository stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// No remote is set.
    Local,
    /// A remote is set, no exchange was completed yet.
    Never,
    /// An exchange was completed, and nothing changed here since.
    UpToDate {
        /// When it was completed.
        at: Time,
    },
    /// Changes wait for the next exchange.
    Pending {
        /// When the last exchange was completed.
        at: Option<Time>,
    },
    /// Changes stay here: nobody who is there takes any from this agent.
    Kept {
        /// When the last exchange was completed.
        at: Option<Time>,
        /// Who does not, and why.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// A person wants nothing pulled or pushed for a while.
    Paused {
        /// When that ends by itself; `null` when a person ends it.
        until: Option<Time>,
        /// When the last exchange was completed.
        at: Option<Time>,
    },
    /// An exchange is under way.
    Syncing {
        /// What is done.
        phase: Phase,
        /// Artifacts done.
        done: u64,
        /// Artifacts in all, where known.
        total: Option<u64>,
    },
    /// The last exchange failed.
    Error {
        /// For programs.
        code: Code,
        /// What failed.
        message: String,
        /// What to do next.
        hint: Option<String>,
        /// Since when it has been failing.
        since: Time,
        /// When it is tried again.
        retry_at: Option<Time>,
        /// When the last exchange was completed.
        last_ok: Option<Time>,
    },
    /// The file is gone or cannot be opened.
    Missing {
        /// What failed.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// What an exchange does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Receives a whole repository.
    Clone,
    /// Receives.
    Pull,
    /// Sends.
    Push,
    /// Both.
    Sync,
    /// Computes what is derived from the artifacts.
    Rebuild,
}

impl State {
    /// Returns the worst of `states`, [`State::Local`] when there are none. Of several that are up to date it is the one whose
    /// exchange is the longest ago.
    pub fn worst<'a>(states: impl IntoIterator<Item = &'a Self>) -> Self {
        let worst = states
            .into_iter()
            .max_by_key(|state| (state.rank(), std::cmp::Reverse(state.last_exchange())));
        worst.cloned().unwrap_or(Self::Local)
    }

    /// The time of the last completed exchange, where this state tells it.
    pub fn last_exchange(&self) -> Option<Time> {
        match self {
            Self::UpToDate { at } => Some(*at),
            Self::Pending { at } | Self::Kept { at, .. } | Self::Paused { at, .. } => *at,
            Self::Error { last_ok, .. } => *last_ok,
            Self::Local | Self::Never | Self::Syncing { .. } | Self::Missing { .. } => None,
        }
    }

    /// Returns the state of a repository that is paused, and stands like this with its remotes: what a person asked for meanwhile is shown.
    pub(crate) fn in_pause(self, pause: Pause) -> Self {
        match self {
            Self::Syncing { .. } | Self::Error { .. } => self,
            other => Self::Paused {
                until: pause.until,
                at: other.last_exchange(),
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Local => 0,
            Self::UpToDate { .. } => 1,
            Self::Never => 2,
            Self::Pending { .. } => 3,
            Self::Kept { .. } => 4,
            Self::Paused { .. } => 5,
            Self::Syncing { .. } => 6,
            Self::Missing { .. } => 7,
            Self::Error { .. } => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_the_agent_is_the_worst_and_then_the_oldest() {
        let early = State::UpToDate {
            at: Time::from_unix_millis(1),
        };
        let late = State::UpToDate {
            at: Time::from_unix_millis(2),
        };
        let missing = State::Missing {
            message: "gone".into(),
            hint: None,
        };
        assert_eq!(State::worst([]), State::Local);
        assert_eq!(State::worst([&late, &State::Local, &early]), early);
        assert_eq!(State::worst([&late, &missing, &State::Never]), missing);
    }

    #[test]
    fn states_are_written_as_the_document_says() {
        let state = State::Syncing {
            phase: Phase::Pull,
            done: 3,
            total: None,
        };
        let text = serde_json::to_string(&state).expect("json");
        assert_eq!(
            text,
            r#"{"kind":"syncing","phase":"pull","done":3,"total":null}"#
        );
        let state = State::UpToDate {
            at: Time::from_unix_millis(0),
        };
        assert_eq!(
            serde_json::to_string(&state).expect("json"),
            r#"{"kind":"up_to_date","at":"1970-01-01T00:00:00.000Z"}"#
        );
    }
}
