//! From what a front wants to say to a message.

use edgesync_notify::desk::Refusal;
use edgesync_notify::limits::MAX_EXPIRY_MS;
use edgesync_notify::message::{self, Action, Fields, Kind, Message};
use edgesync_notify::name::{MessageId, Project, ThreadId};
use libfossil::time::Timestamp;

use super::Office;
use super::attached::name_of;
use super::place::store_error;
use crate::api::{Error, MessageKind, Priority, ReplyNotify, SendNotify};
use crate::text;

/// The answers of an approval that names none.
const APPROVAL: [&str; 2] = ["Yes", "No"];

/// Returns the message that `wish` wants sent.
pub(super) fn message(office: &Office, wish: &SendNotify, now: Timestamp) -> Result<Fields, Error> {
    let project = Project::parse(&wish.project).map_err(|error| bad(&error))?;
    let thread = match &wish.thread {
        Some(text) => thread_of(office, &project, text)?,
        None => ThreadId::from_bytes(random()?),
    };
    let mut fields = fields(office, project, thread, now, wish.from_name.as_deref())?;
    if wish.body.trim().is_empty() && wish.attach.is_empty() {
        return Err(Error::bad_request("there is no text"));
    }
    fields.body.clone_from(&wish.body);
    fields.kind = match wish.kind {
        None | Some(MessageKind::Message) if wish.actions.is_empty() => Kind::Message,
        // Nobody would hear what is answered to words that ask nothing.
        Some(MessageKind::Message) => {
            let both = "a message (kind) has no actions: what offers answers is a question";
            return Err(Error::bad_request(both).with_hint("leave kind out, or make it question"));
        }
        None | Some(MessageKind::Question) => Kind::Question,
        Some(MessageKind::Approval) => Kind::Approval,
        Some(MessageKind::Answer | MessageKind::Resolution) => {
            return Err(Error::bad_request("kind is message, question or approval"));
        }
    };
    let mut labels: Vec<&str> = wish.actions.iter().map(String::as_str).collect();
    if fields.kind == Kind::Approval && labels.is_empty() {
        labels.extend(APPROVAL);
    }
    for label in labels {
        fields
            .actions
            .push(Action::labelled(label).map_err(|error| bad(&error))?);
    }
    let question = fields.is_question();
    fields.priority = Some(match wish.priority {
        Some(priority) => priority.into(),
        None if question => message::Priority::ActionRequired,
        None => message::Priority::Info,
    });
    fields.allow_text = wish.allow_text && question;
    if !question && (wish.expires_in_ms.is_some() || wish.default.is_some()) {
        return Err(Error::bad_request(
            "only a question has an expiry and a default",
        ));
    }
    fields.expires_at = wish.expires_in_ms.map(|ms| expiry(now, ms)).transpose()?;
    if wish.default.is_some() && fields.expires_at.is_none() {
        return Err(Error::bad_request(
            "a default wants to know when the question expires",
        ));
    }
    fields.default = wish.default.as_deref().map(|text| offered(&fields, text));
    fields.click.clone_from(&wish.click);
    fields.tags.clone_from(&wish.tags);
    fields.media = wish.attach.iter().map(|path| name_of(path)).collect();
    Ok(fields)
}

/// Returns the answer, or the words, that `wish` wants said in a thread.
pub(super) fn reply(
    office: &Office,
    thread: &str,
    wish: &ReplyNotify,
    now: Timestamp,
) -> Result<Fields, Error> {
    let found = office.store().find_thread(None, thread);
    let found = found.map_err(|error| store_error(&error))?;
    let waiting = office.waiting(&found.heads);
    let question = match &wish.to {
        Some(id) => Some(MessageId::parse(id).map_err(|error| bad(&error))?),
        None => waiting.first().copied(),
    };
    let question = question.map(|id| {
        let head = found.heads.iter().find(|head| head.fields.id == id);
        head.map(|head| &head.fields)
            .ok_or_else(|| Error::not_found(format!("there is no message {id} in this thread")))
    });
    let question = question.transpose()?;
    let from_name = wish.from_name.as_deref();
    let mut fields = fields(office, found.project.clone(), found.id, now, from_name)?;
    match (&wish.action, &wish.body) {
        (Some(action), None) => {
            let question = question.ok_or_else(|| {
                Error::new(
                    crate::api::Code::Conflict,
                    "no question waits in this thread",
                )
            })?;
            fields.body = offered(question, action);
            fields.action_response = true;
            if question.action(&fields.body).is_none() {
                return Err(not_offered(question));
            }
        }
        (None, Some(body)) if !body.trim().is_empty() => fields.body.clone_from(body),
        _ => return Err(Error::bad_request("give an action or some text")),
    }
    if let Some(question) = question {
        fields.reply_to = Some(question.id);
        // Words beside buttons are a remark; an answer is what the question takes.
        if fields.action_response || question.takes_text() {
            fields.kind = Kind::Answer;
        }
    }
    Ok(fields)
}

/// Signs what is to be said.
pub(super) fn signed(office: &Office, fields: &Fields) -> Result<Message, Error> {
    Message::signed(fields, &office.desk().me().signer).map_err(|error| bad(&error))
}

fn fields(
    office: &Office,
    project: Project,
    thread: ThreadId,
    now: Timestamp,
    from_name: Option<&str>,
) -> Result<Fields, Error> {
    let mut fields = Fields::new(MessageId::from_bytes(random()?), thread, project, now, "");
    fields.from.clone_from(&office.desk().me().id);
    from_name
        .unwrap_or(office.name())
        .clone_into(&mut fields.from_name);
    fields.after = office.desk().last_of(&thread);
    Ok(fields)
}

fn thread_of(office: &Office, project: &Project, text: &str) -> Result<ThreadId, Error> {
    match office.store().find_thread(Some(project), text) {
        Ok(thread) => Ok(thread.id),
        // Whoever names a whole id may begin it.
        Err(error) => ThreadId::parse(text).map_err(|_| store_error(&error)),
    }
}

/// Returns the id of the action that `text` means by its id or label, or else the text.
fn offered(question: &Fields, text: &str) -> String {
    let labelled = |action: &&Action| action.label().eq_ignore_ascii_case(text.trim());
    let by_id = question.action(text);
    by_id
        .or_else(|| question.actions.iter().find(labelled))
        .map_or(text, Action::id)
        .to_owned()
}

fn not_offered(question: &Fields) -> Error {
    let offers: Vec<_> = question.actions.iter().map(Action::id).collect();
    let hint = match offers.join(", ") {
        none if none.is_empty() => "it is answered in words".to_owned(),
        some => format!("it offers: {some}"),
    };
    Error::bad_request(Refusal::NotOffered.to_string()).with_hint(&hint)
}

fn expiry(now: Timestamp, ms: u64) -> Result<Timestamp, Error> {
    if ms == 0 {
        let at_once = "a question that expires at once (after 0) can be answered by nobody";
        return Err(Error::bad_request(at_once)
            .with_hint("give a longer time, or none: then it waits without end"));
    }
    i64::try_from(ms)
        .ok()
        .filter(|ms| *ms <= MAX_EXPIRY_MS)
        .map(|ms| now.saturating_add_millis(ms))
        .ok_or_else(|| Error::bad_request("a question waits for at most a year"))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    text::random()
        .map_err(|error| Error::internal(format!("the system gives no random bytes: {error}")))
}

fn bad(error: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::bad_request(error.to_string())
}

impl From<Priority> for message::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Info => Self::Info,
            Priority::ActionRequired => Self::ActionRequired,
            Priority::Urgent => Self::Urgent,
        }
    }
}
