//! A notification as the machine remembers it.

use super::machine::Now;
use super::words;
use crate::api::{NotifyMessage, Priority, Time};
use crate::notifier::{Notification, NotificationKey as Key};

/// What a notification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    Question(Box<NotifyMessage>),
    Words(Box<NotifyMessage>),
    /// One notice for others: where its click leads, and what it says.
    Notice {
        thread: Option<String>,
        title: String,
        text: String,
    },
}

/// Where a notification is, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// On the screen, or to be there as soon as a daemon is.
    Shown,
    /// A person took it away.
    Seen,
    /// It went by itself.
    Lost,
    /// Kept back: it is quiet, or there are too many.
    Held,
    /// A person answered; the answer is on its way.
    Answering,
}

/// A notification that is wanted, on the screen or not.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) about: About,
    pub(super) standing: Standing,
    /// When it is shown again, and how often it was.
    pub(super) again: Option<Time>,
    pub(super) times: u32,
    /// Orders by age.
    pub(super) number: u64,
}

impl Entry {
    /// Whether it waits for an answer.
    pub(super) fn is_question(&self) -> bool {
        matches!(self.about, About::Question(_))
    }

    /// Where its click leads.
    pub(super) fn thread(&self) -> Option<&str> {
        match &self.about {
            About::Question(message) | About::Words(message) => Some(&message.thread),
            About::Notice { thread, .. } => thread.as_deref(),
        }
    }

    /// How much it matters.
    pub(super) fn priority(&self) -> Priority {
        match &self.about {
            About::Question(message) | About::Words(message) => message.priority,
            About::Notice { .. } => Priority::ActionRequired,
        }
    }

    /// Returns what is shown of it.
    pub(super) fn notification(&self, key: &Key, has_buttons: bool, now: Now) -> Notification {
        let (title, text, buttons) = match &self.about {
            About::Question(message) | About::Words(message) => {
                let buttons = if has_buttons {
                    words::buttons(message)
                } else {
                    Vec::new()
                };
                let text = words::text(message, has_buttons, now);
                (words::title(message), text, buttons)
            }
            About::Notice { title, text, .. } => (title.clone(), text.clone(), Vec::new()),
        };
        Notification {
            key: key.clone(),
            title,
            text,
            buttons,
            priority: self.priority(),
            stays: self.is_question() || self.priority() == Priority::Urgent,
            in_place: false,
        }
    }
}
