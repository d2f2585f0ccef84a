//! Questions, answers and their threads, as the API shows them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Time;

/// The answer of `GET /api/v1/notify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyStatus {
    /// The repository that holds the messages.
    pub repository: PathBuf,
    /// Its project code; devices exchange messages when they share it.
    pub project_code: Option<String>,
    /// Messages, with those of senders that are not trusted.
    pub messages: u64,
    /// Threads.
    pub threads: u64,
    /// Questions that wait for somebody.
    pub waiting: u64,
    /// Messages that were not taken, since the agent started.
    pub refused: u64,
    /// Whether messages go over the bus at once.
    pub bus: bool,
    /// Devices whose answers count.
    pub answering: u64,
    /// Those of them that listen now, as far as they have said so.
    pub present: Vec<NotifyPresence>,
}

/// An agent that listens to questions now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyPresence {
    /// Its endpoint id.
    pub endpoint_id: String,
    /// Its name for people, as it gave it.
    pub name: String,
    /// The projects that it has messages of.
    pub projects: Vec<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyMessage {
    /// `msg-` and 32 digits.
    pub id: String,
    /// `thread-` and 32 digits.
    pub thread: String,
    /// What it is about.
    pub project: String,
    /// The sender's endpoint id.
    pub from: String,
    /// The sender's name for people.
    pub from_name: String,
    /// Whether its sender is known here.
    pub sender: Sender,
    /// When its sender wrote it, by the sender's clock.
    pub time: Time,
    /// The text; of an answer by a button, the action's id.
    pub body: String,
    /// How much it matters.
    pub priority: Priority,
    /// What it is.
    pub kind: MessageKind,
    /// The answers that it offers.
    pub actions: Vec<Action>,
    /// Whether it takes an answer in words of one's own.
    pub takes_text: bool,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// The label of the action that it answers with.
    pub action: Option<Action>,
    /// Names of attached files.
    pub media: Vec<String>,
    /// When the question stops to wait, by the clock of this device.
    pub expires_at: Option<Time>,
    /// What silence means.
    pub default: Option<String>,
    /// More about it.
    pub click: Option<String>,
    /// Words to sort by.
    pub tags: Vec<String>,
    /// Whether it answers a question that was decided before it came.
    pub late: bool,
    /// What has become of it, if it is a question.
    pub question: Option<QuestionState>,
    /// Devices that said that they have it, of those sent from here since the agent started.
    pub delivered_to: Vec<String>,
}

/// Whether a message's sender is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// This agent.
    Own,
    /// A device that is trusted.
    Trusted,
    /// A device that is not trusted here.
    Stranger,
    /// Nobody signed it.
    Unsigned,
    /// The signature is wrong, or another's.
    Forged,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Good to know.
    Info,
    /// Somebody waits.
    ActionRequired,
    /// Somebody waits, and not for long.
    Urgent,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Words.
    Message,
    /// Waits for an answer.
    Question,
    /// Waits for a yes; silence means no.
    Approval,
    /// Answers a question.
    Answer,
    /// Says what has become of a question.
    Resolution,
}

/// An answer that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What the asking program gets.
    pub id: String,
    /// What people read.
    pub label: String,
}

/// What has become of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QuestionState {
    /// It waits for an answer.
    Open,
    /// An answer was sent from here; its asker has not decided yet.
    Sent {
        /// The answer.
        answer: String,
    },
    /// Its time is over, as far as can be told here, and its asker has not said anything yet.
    Overdue,
    /// Its asker's agent decided.
    Resolved(Resolved),
}

/// How a question was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Where the answer comes from.
    pub source: AnswerSource,
    /// The answer: the id of an action, or text; `null` when there is none.
    pub answer: Option<String>,
    /// The action's label.
    pub label: Option<String>,
    /// The message that won.
    pub message: Option<String>,
    /// The device that sent it.
    pub by: Option<String>,
    /// Its name for people.
    pub by_name: Option<String>,
    /// When it was decided, by the asker's clock.
    pub time: Time,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerSource {
    /// Somebody answered.
    Answer,
    /// Nobody did, and silence means something.
    Default,
    /// Nobody did, and silence means nothing.
    Expired,
    /// The asker took the question back.
    Cancelled,
}

/// A conversation, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyThread {
    /// `thread-` and 32 digits.
    pub id: String,
    /// Its first eight digits.
    pub short: String,
    /// What it is about.
    pub project: String,
    /// The beginning of the first message.
    pub title: String,
    /// How many messages it has.
    pub messages: u64,
    /// How much the most important one matters.
    pub priority: Priority,
    /// When the last one was written.
    pub time: Time,
    /// Who wrote the last one.
    pub last_from: String,
    /// The beginning of the last one; of an answer by a button its label, of an end without an answer how it ended.
    pub last_body: String,
    /// Its oldest question that waits.
    pub waiting: Option<NotifyMessage>,
    /// Whether a person put it away.
    pub done: bool,
}

/// The answer of `GET /api/v1/notify/threads/{thread}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyConversation {
    /// The thread.
    pub thread: NotifyThread,
    /// Its messages, oldest first.
    pub messages: Vec<NotifyMessage>,
}

/// The body of `POST /api/v1/notify/send`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendNotify {
    /// What it is about.
    pub project: String,
    /// The text.
    pub body: String,
    /// The thread to go on with: its id or first digits. Without it, a new one.
    #[serde(default)]
    pub thread: Option<String>,
    /// How much it matters; a question is `action_required` unless it says.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// What it is: `message`, `question` or `approval`.
    #[serde(default)]
    pub kind: Option<MessageKind>,
    /// The answers that it offers, by their labels.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Whether a question with actions takes other text too.
    #[serde(default)]
    pub allow_text: bool,
    /// How long a question waits, in milliseconds.
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
    /// What silence means: an action's label or id.
    #[serde(default)]
    pub default: Option<String>,
    /// The sender's name for people; the agent's otherwise.
    #[serde(default)]
    pub from_name: Option<String>,
    /// More about it.
    #[serde(default)]
    pub click: Option<String>,
    /// Words to sort by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Files to attach, absolute paths that the agent reads.
    #[serde(default)]
    pub attach: Vec<PathBuf>,
}

/// The body of `POST /api/v1/notify/threads/{thread}/reply`: an action or text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyNotify {
    /// The question that is answered; the thread's oldest one that waits otherwise.
    #[serde(default)]
    pub to: Option<String>,
    /// The id or label of an offered action.
    #[serde(default)]
    pub action: Option<String>,
    /// Text of one's own.
    #[serde(default)]
    pub body: Option<String>,
    /// The name of who answers; the agent's otherwise.
    #[serde(default)]
    pub from_name: Option<String>,
}

/// The body of `POST /api/v1/notify/threads/{thread}/done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoneNotify {
    /// Put away, or back.
    pub done: bool,
}

/// The answer of `GET /api/v1/notify/messages/{id}/trace`: which way a message went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyTrace {
    /// The message.
    pub message: NotifyMessage,
    /// The check-in that it came with.
    pub check_in: String,
    /// Its file in the repository.
    pub file: String,
    /// Its subject on the bus.
    pub subject: String,
    /// The key that signed it.
    pub key: Option<String>,
}
