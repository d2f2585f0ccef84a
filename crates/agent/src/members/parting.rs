//! What people are told of two agents of which one has unpaired the other: which of the two, and what makes them members of one mesh again.
//! The words are the same wherever the two meet: at a join, among the peers, and when they are paired.

use std::fmt;

/// That an agent has unpaired another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parting {
    /// Who has unpaired whom.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Parting {
    /// Returns what is said of an agent that was unpaired here, by this agent or another member.
    pub(super) fn here(by: &str, name: &str) -> Self {
        Self {
            message: format!("{by} has unpaired {name}"),
            hint: format!(
                "{} Then pair the two anew: edgesync offer on one, edgesync join on the other.",
                new_identity("that agent")
            ),
        }
    }

    /// Returns what is said of an agent that says that it has unpaired this one.
    pub(super) fn there(name: &str) -> Self {
        Self {
            message: format!("{name} has unpaired this agent"),
            hint: format!(
                "{} Then pair the two anew: edgesync offer there, edgesync join here.",
                new_identity("this agent")
            ),
        }
    }
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message, self.hint)
    }
}

fn new_identity(of: &str) -> String {
    format!(
        "That is for ever, and so at every member. To be members again, give {of} a new identity: stop it, move identity.key out of its folder, start it."
    )
}
