//! From a message to what a notification says. The source always stands in the title, which no text of a message can write;
//! everything is made plain here, because a notification daemon would obey marks and control characters.

use edgesync_notify::text::{excerpt, shown, shown_on_a_line};

use super::machine::Now;
use crate::api::{MessageKind, NotifyMessage, Priority, Sender, TimeOfDay};
use crate::limits::{NOTICE_BUTTONS, NOTICE_TEXT_BYTES, NOTICE_WHO_BYTES};

/// The button that leads to the window.
pub(super) const OPEN: &str = "Open";

/// An expiry further away than this is told by the window alone: a time of day without its day would mislead.
const SAME_DAY_MS: i64 = 20 * 3_600_000;

const MINUTE_MS: i64 = 60_000;

/// Returns who says it and what it is about, on one line.
pub(super) fn title(message: &NotifyMessage) -> String {
    let who = name(&message.from_name, &message.from);
    let mut title = format!("{who} · {}", shown_on_a_line(&message.project));
    if message.priority == Priority::Urgent {
        title.insert_str(0, "Urgent · ");
    }
    if message.sender == Sender::Unsigned {
        title.push_str(" · not signed");
    }
    title
}

/// Returns a sender's name for people, else the start of its id.
pub(super) fn name(from_name: &str, from: &str) -> String {
    let name = shown_on_a_line(&excerpt(from_name, NOTICE_WHO_BYTES));
    if name.is_empty() {
        shown_on_a_line(from.get(..8).unwrap_or("unknown"))
    } else {
        name
    }
}

/// Returns what the one notice of a sender says that stands for so many messages.
pub(super) fn folded(count: u64) -> String {
    let messages = match count {
        1 => "1 message that is".to_owned(),
        _ => format!("{count} messages that are"),
    };
    format!(
        "{messages} not shown one by one, because they come too fast. They come into the inbox."
    )
}

/// Returns what a message says, and of a question what can be answered where there are no buttons, and when it ends.
pub(super) fn text(message: &NotifyMessage, has_buttons: bool, now: Now) -> String {
    let mut text = excerpt(shown(message.body.trim()).trim(), NOTICE_TEXT_BYTES);
    if !has_buttons && !message.actions.is_empty() {
        let labels: Vec<_> = message.actions.iter().map(|it| it.label.as_str()).collect();
        let labels = shown_on_a_line(&excerpt(&labels.join(", "), NOTICE_TEXT_BYTES));
        text.push_str(&format!("\nAnswer in EdgeSync: {labels}"));
    }
    if let Some(end) = expiry(message, now) {
        text.push_str(&format!("\n{end}"));
    }
    text
}

/// Returns until when a question waits, and what silence means.
fn expiry(message: &NotifyMessage, now: Now) -> Option<String> {
    let left_ms = message.expires_at?.unix_millis() - now.time.unix_millis();
    if !(0..=SAME_DAY_MS).contains(&left_ms) {
        return None;
    }
    let left = u16::try_from(left_ms / MINUTE_MS).ok()?;
    let end = TimeOfDay::from_minutes(now.local.minutes() + left);
    let then = match &message.default {
        Some(default) => shown_on_a_line(label(message, default)),
        None => "no answer".to_owned(),
    };
    Some(format!("Until {end}, then: {then}"))
}

/// Returns the label of the action with this id, else the id.
pub(super) fn label<'a>(message: &'a NotifyMessage, action: &'a str) -> &'a str {
    let offered = message.actions.iter().find(|it| it.id == action);
    offered.map_or(action, |action| &action.label)
}

/// Returns the labels of the buttons: the first answers, and the way to the window when it has more.
pub(super) fn buttons(message: &NotifyMessage) -> Vec<String> {
    let answers = message.actions.iter().take(NOTICE_BUTTONS);
    let mut buttons: Vec<_> = answers.map(|it| shown_on_a_line(&it.label)).collect();
    let is_question = matches!(message.kind, MessageKind::Question | MessageKind::Approval);
    if is_question && (message.takes_text || message.actions.len() > NOTICE_BUTTONS) {
        buttons.push(OPEN.to_owned());
    }
    buttons
}
