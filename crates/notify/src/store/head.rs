//! What lists and decisions need of a message: all but the bulk of its body.

use libfossil::db::Rid;
use libfossil::time::Timestamp;

use crate::desk;
use crate::keyring::Author;
use crate::limits::MAX_EXCERPT_BYTES;
use crate::message::{Fields, Kind, Message, Priority};
use crate::name::{Project, ThreadId};
use crate::question::Told;
use crate::text::excerpt;

/// A stored message without the bulk of its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// What it says; the body is an excerpt.
    pub fields: Fields,
    /// Whether the excerpt is the whole body.
    pub whole: bool,
    /// Who signed it.
    pub author: Author,
    /// A digest of its text.
    pub digest: u64,
    pub(super) content: Rid,
    pub(super) check_in: Rid,
}

impl Head {
    pub(super) fn of(message: &Message, content: Rid, check_in: Rid) -> Self {
        let mut fields = Fields::clone(message);
        // What a question came to is asked for again and again, and is short in nearly all cases.
        let whole = fields.body.len() <= MAX_EXCERPT_BYTES || fields.kind == Kind::Resolution;
        if !whole {
            fields.body = excerpt(&fields.body, MAX_EXCERPT_BYTES);
        }
        Self {
            fields,
            whole,
            author: Author::of(message),
            digest: desk::digest(message),
            content,
            check_in,
        }
    }

    /// Returns it as the rules for questions take it.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        Told {
            fields: &self.fields,
            author: self.author,
        }
    }
}

/// A thread and its messages.
#[derive(Debug)]
pub struct Thread<'a> {
    /// The project that it is about.
    pub project: Project,
    /// Its id.
    pub id: ThreadId,
    /// Its messages, each after the one that it follows.
    pub heads: Vec<&'a Head>,
}

impl Thread<'_> {
    /// Returns when the last message was written, by its sender's clock.
    #[must_use]
    pub fn last_activity(&self) -> Option<Timestamp> {
        self.heads.iter().map(|head| head.fields.timestamp).max()
    }

    /// Returns how much the most important of its messages matters.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.heads
            .iter()
            .map(|head| head.fields.urgency())
            .max()
            .unwrap_or(Priority::Info)
    }
}
