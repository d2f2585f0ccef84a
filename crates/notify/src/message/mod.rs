//! Messages: what they hold, and the rules that each one keeps. Members that nobody here knows are kept, and written and signed with the
//! others; a version or priority that nobody here knows is shown as plain information.

mod action;
mod error;
mod fields;
mod read;
mod write;

use std::ops::Deref;

use serde_json::{Map, Value};

pub use action::{Action, ActionError};
pub use error::MessageError;
pub use fields::{Fields, Kind, Priority, Resolution, Source};
pub use read::is_file_name;
pub(crate) use read::signature as signature_of;
pub(crate) use write::signature as signature_member;

use crate::json::{self, Layout};
use crate::limits::MAX_MESSAGE_BYTES;
use crate::sign::{Context, Signature, Signer};

/// The member that holds the signature.
pub(crate) const SIG: &str = "sig";

/// A message that keeps all rules. Its [`Fields`] are read as if they were its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    fields: Fields,
    signature: Option<Signature>,
    /// All members, known and unknown, as they came.
    members: Map<String, Value>,
}

impl Message {
    /// Reads a message from its JSON, however that is laid out.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(json: &[u8]) -> Result<Self, MessageError> {
        if json.len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLong);
        }
        let members: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| MessageError::Json(error.to_string()))?;
        Self::from_members(members)
    }

    /// Makes a message of `fields` and signs it.
    ///
    /// # Errors
    /// The first rule that it would break.
    pub fn signed(fields: &Fields, signer: &Signer) -> Result<Self, MessageError> {
        let mut members = write::members(fields);
        let text = json::write(&members, Layout::Compact, Some(SIG));
        let signature = signer.sign(Context::Message, &text);
        members.insert(SIG.to_owned(), write::signature(&signature));
        Self::from_members(members)
    }

    /// Makes a message of `fields` that nobody signed, as the Go product's are.
    ///
    /// # Errors
    /// The first rule that it would break.
    pub fn unsigned(fields: &Fields) -> Result<Self, MessageError> {
        Self::from_members(write::members(fields))
    }

    fn from_members(members: Map<String, Value>) -> Result<Self, MessageError> {
        json::check(&members)?;
        let fields = read::fields(&members)?;
        let signature = read::signature(&members)?;
        let message = Self {
            fields,
            signature,
            members,
        };
        if message.to_wire().len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLong);
        }
        Ok(message)
    }

    /// Returns the form that goes over the bus.
    #[must_use]
    pub fn to_wire(&self) -> String {
        json::write(&self.members, Layout::Compact, None)
    }

    /// Returns the form that the repository holds.
    #[must_use]
    pub fn to_file(&self) -> String {
        json::write(&self.members, Layout::Indented, None)
    }

    /// Returns the text that is signed, behind the [line](Context::line) that says what it is.
    #[must_use]
    pub fn signed_text(&self) -> String {
        json::write(&self.members, Layout::Compact, Some(SIG))
    }

    /// Returns the signature, which nobody has checked yet.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Returns all members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Returns where the repository holds the message.
    #[must_use]
    pub fn path(&self) -> String {
        format!(
            "{}/threads/{}/{}-{}.json",
            self.project,
            self.thread.short(),
            self.timestamp.unix_seconds(),
            self.id.short()
        )
    }
}

impl Deref for Message {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}
