//! What a message says.

use libfossil::time::Timestamp;

use super::Action;
use crate::name::{MessageId, Project, ThreadId};

/// The one version whose members have a meaning here.
pub(super) const VERSION: u64 = 1;

/// What an approval comes to when nobody answers and nothing else was declared.
const SILENT_APPROVAL: &str = "no";

/// What a message says, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The message's own id.
    pub id: MessageId,
    /// The conversation that it is part of.
    pub thread: ThreadId,
    /// What it is about.
    pub project: Project,
    /// The sending device: its endpoint id, or whatever the Go product put there, which may be nothing.
    pub from: String,
    /// The sender's name for people; may be empty.
    pub from_name: String,
    /// When the sender's clock says it was written. Nothing is decided by it.
    pub timestamp: Timestamp,
    /// The text; of an answer by an action, its id.
    pub body: String,
    /// How much it matters; replies have none.
    pub priority: Option<Priority>,
    /// The answers that are offered.
    pub actions: Vec<Action>,
    /// The message that this one answers.
    pub reply_to: Option<MessageId>,
    /// The names of attached files.
    pub media: Vec<String>,
    /// Whether the body is the id of an action.
    pub action_response: bool,
    /// What kind of message it is.
    pub kind: Kind,
    /// The message before this one in its thread, as the sender saw it.
    pub after: Option<MessageId>,
    /// When a question stops to wait.
    pub expires_at: Option<Timestamp>,
    /// The id of the action that silence means.
    pub default: Option<String>,
    /// Whether a question that offers actions takes other text too.
    pub allow_text: bool,
    /// What the asker's agent decided; only in resolutions, and in all of them.
    pub resolution: Option<Resolution>,
    /// An address that the sender offers for more.
    pub click: Option<String>,
    /// Words of the sender's own to sort by.
    pub tags: Vec<String>,
}

impl Fields {
    /// Returns the least that a message has.
    #[must_use]
    pub fn new(
        id: MessageId,
        thread: ThreadId,
        project: Project,
        timestamp: Timestamp,
        body: impl Into<String>,
    ) -> Self {
        Self {
            id,
            thread,
            project,
            from: String::new(),
            from_name: String::new(),
            timestamp,
            body: body.into(),
            priority: None,
            actions: Vec::new(),
            reply_to: None,
            media: Vec::new(),
            action_response: false,
            kind: Kind::Message,
            after: None,
            expires_at: None,
            default: None,
            allow_text: false,
            resolution: None,
            click: None,
            tags: Vec::new(),
        }
    }

    /// Returns whether the message waits for an answer.
    #[must_use]
    pub fn is_question(&self) -> bool {
        match self.kind {
            Kind::Question | Kind::Approval => true,
            Kind::Message => !self.actions.is_empty(),
            Kind::Answer | Kind::Resolution => false,
        }
    }

    /// Returns whether this question takes an answer in words of one's own.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        self.is_question() && (self.actions.is_empty() || self.allow_text)
    }

    /// Returns the offered action with this id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.id() == id)
    }

    /// Returns what silence means, if that was declared; for an approval it is no.
    #[must_use]
    pub fn silence(&self) -> Option<&str> {
        let approval = (self.kind == Kind::Approval).then_some(SILENT_APPROVAL);
        self.default.as_deref().or(approval)
    }

    /// Returns how much the message matters; plain information when it does not say.
    #[must_use]
    pub fn urgency(&self) -> Priority {
        self.priority.unwrap_or(Priority::Info)
    }

    /// Returns the sender's name for people: what it calls itself, else the start of its id.
    #[must_use]
    pub fn sender(&self) -> &str {
        match (self.from_name.trim(), self.from.get(..8)) {
            ("", Some(id)) => id,
            ("", None) if self.from.is_empty() => "unknown",
            ("", None) => &self.from,
            (name, _) => name,
        }
    }
}

/// How much a message matters. Orders by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Good to know.
    Info,
    /// Somebody waits.
    ActionRequired,
    /// Somebody waits, and it will not wait long.
    Urgent,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Words, and the only kind that the Go product knows. With actions it is a question.
    Message,
    /// Waits for an answer.
    Question,
    /// Waits for a yes; silence means no.
    Approval,
    /// Answers a question.
    Answer,
    /// Says what has become of a question. Only the asker's agent makes these.
    Resolution,
}

/// What the asker's agent decided about a question; the answer itself is the resolution's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Where the answer comes from.
    pub source: Source,
    /// The message that won, if one did.
    pub answer: Option<MessageId>,
    /// The device that sent it.
    pub by: String,
    /// Its name for people.
    pub by_name: String,
}

/// Where a question's answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Somebody answered.
    Answer,
    /// Nobody did, and silence means something.
    Default,
    /// Nobody did, and silence means nothing.
    Expired,
    /// The asker took the question back.
    Cancelled,
}

impl Source {
    /// Returns in words how a question ended that has no answer.
    #[must_use]
    pub fn without_answer(self) -> Option<&'static str> {
        match self {
            Self::Answer | Self::Default => None,
            Self::Expired => Some("No answer"),
            Self::Cancelled => Some("Taken back"),
        }
    }
}

/// Gives a type the words that messages use for its values.
macro_rules! words {
    ($type:ident { $($value:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Returns what a word means.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)+
                    _ => None,
                }
            }

            /// Returns the word that messages use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }
    };
}

words!(Priority {
    Info = "info",
    ActionRequired = "action_required",
    Urgent = "urgent",
});

words!(Kind {
    Message = "message",
    Question = "question",
    Approval = "approval",
    Answer = "answer",
    Resolution = "resolution",
});

words!(Source {
    Answer = "answer",
    Default = "default",
    Expired = "expired",
    Cancelled = "cancelled",
});
