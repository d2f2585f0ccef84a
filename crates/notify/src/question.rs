//! What has become of a question, as everybody who has its thread can tell: what the asker's agent says, and nothing else.

use crate::keyring::Author;
use crate::message::{Fields, Kind};
use crate::name::MessageId;

/// A message as stored, with who signed it; the body may be cut short.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// What it says.
    pub fields: &'a Fields,
    /// Who signed it.
    pub author: Author,
}

/// What has become of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits.
    Open,
    /// Its time is over, as far as can be told here, and its asker has not said anything yet.
    Overdue,
    /// Its asker's agent decided, with this message.
    Resolved(MessageId),
}

/// Returns whether `told` is what the asker of `question` says about it.
#[must_use]
pub fn resolves(told: Told<'_>, question: Told<'_>) -> bool {
    let Told { fields, author } = told;
    let asked = question.fields;
    // A question that nobody signed can be resolved by nobody: anyone could.
    fields.kind == Kind::Resolution
        && fields.reply_to == Some(asked.id)
        && author.key().is_some()
        && author == question.author
        && fields.from == asked.from
        && fields.project == asked.project
        && fields.thread == asked.thread
}

/// Returns whether `reply` means to answer `question`. Whether it may is another matter.
#[must_use]
pub fn answers(reply: &Fields, question: &Fields) -> bool {
    reply.reply_to == Some(question.id)
        && match reply.kind {
            Kind::Answer => true,
            // What the Go product sends: an action, or words where words are asked for.
            Kind::Message => {
                reply.action_response || question.takes_text() && reply.actions.is_empty()
            }
            Kind::Question | Kind::Approval | Kind::Resolution => false,
        }
}

/// Returns whether the answer is one that the question takes.
#[must_use]
pub fn is_offered(reply: &Fields, question: &Fields) -> bool {
    if reply.action_response {
        question.action(&reply.body).is_some()
    } else {
        question.takes_text() && !reply.body.trim().is_empty()
    }
}

/// Returns what has become of `question`, from the messages of its thread, and whether its time is `over`. Should there be two
/// resolutions, everybody takes the one with the lower id.
pub fn standing<'a>(
    question: Told<'_>,
    thread: impl IntoIterator<Item = Told<'a>>,
    over: bool,
) -> Standing {
    let decided = thread
        .into_iter()
        .filter(|told| resolves(*told, question))
        .map(|told| told.fields.id)
        .min();
    match decided {
        Some(id) => Standing::Resolved(id),
        None if over => Standing::Overdue,
        None => Standing::Open,
    }
}
