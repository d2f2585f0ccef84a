//! Which keys may send and answer in which project. The agent fills it from whom it trusts; nothing in here comes from messages.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::Message;
use crate::name::{Key, Project};
use crate::sign::Context;

/// A device whose messages are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The key that it signs messages with.
    pub key: Key,
    /// Its endpoint id, which its messages name as their sender.
    pub id: String,
    /// What it may do where.
    pub scope: Scope,
    /// Whether its answers count; messages of any device in the ring are taken.
    pub may_answer: bool,
}

/// The projects that a device takes part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Everything,
    /// These.
    Projects(BTreeSet<Project>),
}

impl Scope {
    fn holds(&self, project: &Project) -> bool {
        match self {
            Self::Everything => true,
            Self::Projects(projects) => projects.contains(project),
        }
    }
}

/// Why a message is not taken as what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Nobody signed it.
    #[error("it is not signed")]
    Unsigned,
    /// The signature is not over this text, or not by the key it names.
    #[error("its signature is wrong")]
    BadSignature,
    /// Nobody here knows the key.
    #[error("its key is not known here")]
    Stranger,
    /// The key is that of another device than the message says.
    #[error("it was signed by another device than its sender")]
    WrongSender,
    /// The device takes no part in this project.
    #[error("its sender takes no part in this project")]
    OtherProject,
}

/// Who made a message, as far as mathematics can tell; nobody's trust goes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Nobody signed.
    Nobody,
    /// Somebody with this key.
    Key(Key),
    /// The signature is wrong.
    Forger,
}

impl Author {
    /// Checks the signature of a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        match message.signature() {
            None => Self::Nobody,
            Some(signature) if signature.is_over(Context::Message, &message.signed_text()) => {
                Self::Key(signature.key)
            }
            Some(_) => Self::Forger,
        }
    }

    /// Returns the key, if there is one.
    #[must_use]
    pub fn key(self) -> Option<Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Nobody | Self::Forger => None,
        }
    }
}

/// The keys that are known here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    devices: BTreeMap<Key, Device>,
    unsigned: BTreeSet<Project>,
}

impl Keyring {
    /// Returns a ring without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a device in, in place of what was known of its key.
    pub fn admit(&mut self, device: Device) {
        self.devices.insert(device.key, device);
    }

    /// Takes unsigned messages, as the Go product sends them, in a project. They are shown as such, and their answers never count.
    pub fn admit_unsigned(&mut self, project: Project) {
        self.unsigned.insert(project);
    }

    /// Whether unsigned messages are taken in a project.
    #[must_use]
    pub fn admits_unsigned(&self, project: &Project) -> bool {
        self.unsigned.contains(project)
    }

    /// Makes sure that what `author` signed in the name of `from` is of somebody who may write everywhere here.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn member(&self, author: Author, from: &str) -> Result<(), Distrust> {
        let key = author.key().ok_or(Distrust::Unsigned)?;
        let device = self.devices.get(&key).ok_or(Distrust::Stranger)?;
        if device.id != from {
            return Err(Distrust::WrongSender);
        }
        if device.scope != Scope::Everything || !device.may_answer {
            return Err(Distrust::OtherProject);
        }
        Ok(())
    }

    /// Returns the device that sent a message of `author` which names `from` as its sender.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn device(
        &self,
        author: Author,
        from: &str,
        project: &Project,
    ) -> Result<&Device, Distrust> {
        let key = match author {
            Author::Nobody => return Err(Distrust::Unsigned),
            Author::Forger => return Err(Distrust::BadSignature),
            Author::Key(key) => key,
        };
        let device = self.devices.get(&key).ok_or(Distrust::Stranger)?;
        if device.id != from {
            return Err(Distrust::WrongSender);
        }
        if !device.scope.holds(project) {
            return Err(Distrust::OtherProject);
        }
        Ok(device)
    }
}
