//! Which rule a message breaks.

use super::ActionError;
use crate::json::JsonError;
use crate::limits::{
    MAX_ACTIONS, MAX_BODY_BYTES, MAX_CLICK_BYTES, MAX_LABEL_BYTES, MAX_MEDIA, MAX_MESSAGE_BYTES,
};
use crate::name::NameError;

/// Which rule a message breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// No JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// A value that cannot be written in one way only.
    #[error(transparent)]
    Value(#[from] JsonError),
    /// A member that every message has.
    #[error("the member {0:?} is missing")]
    Missing(&'static str),
    /// A member with a value of another type or form.
    #[error("the member {0:?} has a value that it cannot have")]
    Malformed(&'static str),
    /// A link that leads elsewhere than to the web, or seems to lead to another host than it does.
    #[error(
        "the link is no address that begins with http:// or https://, without a user before the host and at most {MAX_CLICK_BYTES} bytes long"
    )]
    Link,
    /// A name that means something else where it would go.
    #[error("the member {member:?}: {source}")]
    Name {
        /// Whose value.
        member: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// An action nobody could be offered.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// Two actions with one id.
    #[error("two actions have the id {0:?}")]
    RepeatedAction(String),
    /// More actions than anybody would read.
    #[error("there are more than {MAX_ACTIONS} actions")]
    TooManyActions,
    /// A default that is none of the actions.
    #[error("the default {0:?} is not among the actions")]
    Default(String),
    /// A body over the limit.
    #[error("the body is longer than {MAX_BODY_BYTES} bytes")]
    BodyTooLong,
    /// A name of a sender over the limit.
    #[error("the sender's name is longer than {MAX_LABEL_BYTES} bytes")]
    NameTooLong,
    /// Attachments with names that are none, or too many.
    #[error("attachments are at most {MAX_MEDIA} plain file names")]
    Media,
    /// A message over the limit.
    #[error("the message is longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
}
