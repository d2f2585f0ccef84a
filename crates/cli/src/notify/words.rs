//! Messages in words. What others wrote is shown, never obeyed.

use edgesync_agent::api::{
    AnswerSource, MessageKind, NotifyMessage, Priority, QuestionState, Resolved, Sender,
};
use edgesync_agent::notify::text::{excerpt, shown_on_a_line};

/// Returns the first eight digits of a thread's id.
pub(super) fn short(thread: &str) -> &str {
    let digits = thread.strip_prefix("thread-").unwrap_or(thread);
    digits.get(..8).unwrap_or(digits)
}

/// Whether `text` means the thread with this id: the whole id, or the digits that it starts with.
pub(super) fn is_thread(id: &str, text: &str) -> bool {
    let digits = text.strip_prefix("thread-").unwrap_or(text);
    !digits.is_empty()
        && id
            .strip_prefix("thread-")
            .is_some_and(|whole| whole.starts_with(digits))
}

/// Returns text from others on one line, and not too long.
pub(super) fn text_line(text: &str, max_bytes: usize) -> String {
    excerpt(&shown_on_a_line(text), max_bytes)
}

/// Returns the line that stands for a message.
pub(super) fn line(message: &NotifyMessage) -> String {
    let body = shown_on_a_line(&message.body);
    let said = match (&message.question, message.kind) {
        (_, MessageKind::Resolution) if body.is_empty() => "resolved without an answer".to_owned(),
        (_, MessageKind::Resolution) => format!("resolved:{body}"),
        (Some(question), _) => format!("text:{body} {}({})", actions(message), state(question)),
        (None, _) if message.action.is_some() => format!("action:{body}"),
        _ => format!("text:{body}"),
    };
    let late = if message.late { " (late)" } else { "" };
    let media: Vec<_> = message.media.iter().map(|it| shown_on_a_line(it)).collect();
    let attached = match media.is_empty() {
        true => String::new(),
        false => format!(" attached:{}", media.join(",")),
    };
    format!(
        "[{}] thread:{} from:{} {said}{attached}{late}\n",
        message.time,
        short(&message.thread),
        sender(message)
    )
}

fn actions(message: &NotifyMessage) -> String {
    let labels = message
        .actions
        .iter()
        .map(|action| format!("[{}] ", action.label));
    labels.collect()
}

/// Returns who sent a message, and whether that is certain.
pub(crate) fn sender(message: &NotifyMessage) -> String {
    let name = match (shown_on_a_line(&message.from_name), message.from.get(..8)) {
        (name, _) if !name.is_empty() => name,
        (_, Some(id)) => shown_on_a_line(id),
        _ => "unknown".to_owned(),
    };
    match message.sender {
        Sender::Own | Sender::Trusted => name,
        Sender::Unsigned => format!("{name} (unsigned)"),
        Sender::Stranger => format!("{name} (not trusted)"),
        Sender::Forged => format!("{name} (forged)"),
    }
}

/// Returns what has become of a question.
pub(crate) fn state(question: &QuestionState) -> String {
    match question {
        QuestionState::Open => "waiting".to_owned(),
        QuestionState::Sent { answer } => {
            format!("answered with {}, not decided yet", shown_on_a_line(answer))
        }
        QuestionState::Overdue => "expired, not decided yet".to_owned(),
        QuestionState::Resolved(resolved) => decided(resolved),
    }
}

fn decided(resolved: &Resolved) -> String {
    let answer = resolved.label.as_deref().or(resolved.answer.as_deref());
    let answer = shown_on_a_line(answer.unwrap_or_default());
    match (resolved.source, &resolved.by_name) {
        (AnswerSource::Answer, Some(name)) => format!("{answer}, by {}", shown_on_a_line(name)),
        (AnswerSource::Answer, None) => answer,
        (AnswerSource::Default, _) => format!("no answer, which means {answer}"),
        (AnswerSource::Expired, _) => "no answer".to_owned(),
        (AnswerSource::Cancelled, _) => "taken back".to_owned(),
    }
}

/// Returns a priority as it is typed.
pub(super) fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Info => "info",
        Priority::ActionRequired => "action_required",
        Priority::Urgent => "urgent",
    }
}
