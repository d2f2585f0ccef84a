//! What shows notifications, behind a small trait that the tray app implements. What is shown, when, how often, and what an answer
//! means is decided in [`crate::notifications`]; whoever implements this only carries.

use crate::api::{NotifierInfo, Priority};

/// Names a notification between the agent and whoever shows it. Of one key at most one is on the screen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationKey(String);

impl NotificationKey {
    /// Returns the key that is written so.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A notification as it is to be shown. Its texts are plain: no control characters but line feeds and tabs, no marks that turn the reading
/// direction, and nothing of them is markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its name.
    pub key: NotificationKey,
    /// One line: where it comes from.
    pub title: String,
    /// What it says.
    pub text: String,
    /// The labels of its buttons, in order. A click beside them counts as well.
    pub buttons: Vec<String>,
    /// How much it matters.
    pub priority: Priority,
    /// Whether it stays until somebody takes it away; otherwise as long as the desktop finds right.
    pub stays: bool,
    /// Whether it is but another text for the one with its key, which need not be noticed anew.
    pub in_place: bool,
}

/// What came from the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// There is somebody who shows notifications, and shows none of ours: it just came, or came back.
    Ready(NotifierInfo),
    /// Nobody shows notifications any more.
    Gone,
    /// A person clicked the notification, and none of its buttons.
    Clicked(NotificationKey),
    /// A person pressed the button at this place, from 0.
    Pressed(NotificationKey, usize),
    /// It is no longer on the screen.
    Closed {
        /// Which.
        key: NotificationKey,
        /// Whether a person took it away; otherwise its time was over, or it could not be shown.
        by_person: bool,
    },
}

/// Shows notifications. What becomes of them is told as [`Heard`], in the order in which it happened. Notifications are given while
/// somebody is [`Heard::Ready`]; one that comes when nobody is any more may be lost, because all are given again after the next one.
pub trait Notifier: Send + Sync + 'static {
    /// Looks for somebody who shows notifications, where nobody does. Returns at once.
    fn wake(&self);

    /// Shows a notification, in place of the one with its key. Returns at once.
    fn show(&self, notification: Notification);

    /// Takes a notification down, if it is there. Returns at once.
    fn withdraw(&self, key: &NotificationKey);
}
