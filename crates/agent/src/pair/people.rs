//! What people are shown of a pairing, and what they say to it: the same for agents and phones.

use super::desk::{Pending, Refusal, Standing};
use super::message::{DeviceName, Why};
use super::proof::Digits;
use crate::api::{Code, Error, PendingDevice, PendingState};

impl Pending {
    /// Returns it as every front shows it. `words` says why one has ended.
    pub(crate) fn shown<W: Into<String>>(&self, words: impl FnOnce(Why) -> W) -> PendingDevice {
        let (met, state, why) = match &self.standing {
            Standing::Meeting => (None, PendingState::Meeting, None),
            Standing::Comparing {
                name,
                digits,
                accepted,
                ..
            } => {
                let state = match accepted {
                    Some(_) => PendingState::Accepted,
                    None => PendingState::Comparing,
                };
                (Some((name.to_string(), digits.to_string())), state, None)
            }
            Standing::Ended(why) => (None, PendingState::Ended, Some(words(*why).into())),
        };
        let (name, digits) = met.unzip();
        PendingDevice {
            id: self.party.to_string(),
            name,
            digits,
            state,
            why,
            since: self.since,
            until: self.until,
        }
    }
}

/// What a person says who accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// The digits that the other side shows, where they were read from there.
    pub(crate) digits: Option<Digits>,
    /// What to call the other side.
    pub(crate) name: Option<DeviceName>,
}

impl Said {
    /// Reads it.
    ///
    /// # Errors
    /// `bad_request` for what is no digits or no name.
    pub(crate) fn read(digits: Option<&str>, name: Option<&str>) -> Result<Self, Error> {
        let digits = digits.map(str::parse).transpose();
        let name = name.map(str::parse).transpose();
        Ok(Self {
            digits: digits.map_err(|error: super::proof::DigitsError| bad(&error))?,
            name: name.map_err(|error: super::message::DeviceNameError| bad(&error))?,
        })
    }
}

fn bad(error: &dyn std::error::Error) -> Error {
    Error::bad_request(error.to_string())
}

/// Returns what a person is told whose decision does not count.
pub(crate) fn told(refusal: Refusal) -> Error {
    Error::new(Code::Conflict, refusal.to_string())
}
