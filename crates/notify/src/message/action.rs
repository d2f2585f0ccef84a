//! The answers that a question offers.

use crate::limits::{MAX_ACTION_ID_BYTES, MAX_LABEL_BYTES};
use crate::text::acts;

/// An answer that is offered: what people read, and what the asking program gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    id: String,
    label: String,
}

/// Not an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// Empty, too long, or with characters that do not show.
    #[error(
        "the label {0:?} of an action is empty, over {MAX_LABEL_BYTES} bytes, or has characters that do not show"
    )]
    Label(String),
    /// Empty, too long, with spaces, or with characters that do not show.
    #[error(
        "the id {0:?} of an action is empty, over {MAX_ACTION_ID_BYTES} bytes, or has spaces or characters that do not show"
    )]
    Id(String),
}

impl Action {
    /// Takes an id and a label.
    ///
    /// # Errors
    /// [`ActionError`].
    pub fn new(id: &str, label: &str) -> Result<Self, ActionError> {
        let bad_id = |c: char| c.is_whitespace() || acts(c);
        if id.is_empty() || id.len() > MAX_ACTION_ID_BYTES || id.contains(bad_id) {
            return Err(ActionError::Id(id.to_owned()));
        }
        if label.trim().is_empty() || label.len() > MAX_LABEL_BYTES || label.contains(acts) {
            return Err(ActionError::Label(label.to_owned()));
        }
        Ok(Self {
            id: id.to_owned(),
            label: label.to_owned(),
        })
    }

    /// Returns the action that a label stands for: its id is the label in lower case with `_` for spaces.
    ///
    /// # Errors
    /// [`ActionError`].
    pub fn labelled(label: &str) -> Result<Self, ActionError> {
        let label = label.trim();
        if label.is_empty() {
            return Err(ActionError::Label(label.to_owned()));
        }
        Self::new(&label.to_lowercase().replace(' ', "_"), label)
    }

    /// Returns what the asking program gets.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns what people read.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_the_label() {
        let action = Action::labelled(" Deploy to Prod ").expect("an action");
        assert_eq!(
            (action.id(), action.label()),
            ("deploy_to_prod", "Deploy to Prod")
        );
    }

    #[test]
    fn labels_that_trick_the_eye_are_refused() {
        let long = "x".repeat(MAX_LABEL_BYTES + 1);
        for label in ["", " ", "a\u{202e}b", "a\nb", "\u{1b}[1m", &long] {
            assert!(Action::labelled(label).is_err(), "{label:?}");
        }
        assert!(Action::new("a b", "A b").is_err());
        assert!(Action::new("", "A").is_err());
    }
}
