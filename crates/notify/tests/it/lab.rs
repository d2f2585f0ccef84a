//! Agents, messages and times for tests.

use edgesync_notify::desk::Me;
use edgesync_notify::keyring::{Device, Keyring, Scope};
use edgesync_notify::message::{Action, Fields, Kind, Message, Priority};
use edgesync_notify::name::{Key, MessageId, Project, ThreadId};
use edgesync_notify::sign::Signer;
use edgesync_notify::subject::Address;
use libfossil::time::Timestamp;

/// When tests begin.
pub(crate) const START_MS: i64 = 1_790_000_000_000;

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_millis(START_MS + ms)
}

pub(crate) fn project() -> Project {
    Project::parse("demo").expect("a project")
}

pub(crate) fn message_id(n: u32) -> MessageId {
    MessageId::from_bytes(spread(n))
}

pub(crate) fn thread_id(n: u32) -> ThreadId {
    ThreadId::from_bytes(spread(n))
}

fn spread(n: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    bytes
}

/// An agent that writes messages.
pub(crate) struct Agent {
    seed: u8,
    pub(crate) name: &'static str,
}

impl Agent {
    pub(crate) fn new(seed: u8, name: &'static str) -> Self {
        Self { seed, name }
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::from_seed(&[self.seed; 32]).expect("a key")
    }

    pub(crate) fn id(&self) -> String {
        Key::from_bytes([self.seed; 32]).to_string()
    }

    pub(crate) fn me(&self) -> Me {
        Me {
            id: self.id(),
            name: self.name.to_owned(),
            signer: self.signer(),
        }
    }

    pub(crate) fn device(&self) -> Device {
        Device {
            key: self.signer().key(),
            id: self.id(),
            scope: Scope::Everything,
            may_answer: true,
        }
    }

    /// Returns plain words of this agent, the `n`th message of the test, in the `thread`th thread.
    pub(crate) fn says(&self, n: u32, thread: u32, body: &str) -> Fields {
        let mut fields = Fields::new(
            message_id(n),
            thread_id(thread),
            project(),
            at(i64::from(n) * 1000),
            body,
        );
        fields.from = self.id();
        fields.from_name = self.name.to_owned();
        fields
    }

    /// Returns a question that offers `labels`.
    pub(crate) fn asks(&self, n: u32, body: &str, labels: &[&str]) -> Fields {
        let mut fields = self.says(n, n, body);
        fields.kind = Kind::Question;
        fields.priority = Some(Priority::ActionRequired);
        fields.actions = labels
            .iter()
            .map(|label| Action::labelled(label).expect("an action"))
            .collect();
        fields
    }

    /// Returns an answer by the action `id`.
    pub(crate) fn answers(&self, n: u32, question: &Fields, id: &str) -> Fields {
        let mut fields = self.says(n, 0, id);
        fields.thread = question.thread;
        fields.project = question.project.clone();
        fields.reply_to = Some(question.id);
        fields.after = Some(question.id);
        fields.action_response = true;
        fields.kind = Kind::Answer;
        fields
    }

    pub(crate) fn signs(&self, fields: &Fields) -> Message {
        Message::signed(fields, &self.signer()).expect("a message")
    }
}

/// Returns a ring with these agents.
pub(crate) fn ring(agents: &[&Agent]) -> Keyring {
    let mut keyring = Keyring::new();
    for agent in agents {
        keyring.admit(agent.device());
    }
    keyring
}

/// Returns where a message is heard.
pub(crate) fn address(message: &Message) -> Address {
    Address {
        project: message.project.clone(),
        thread: message.thread.short(),
    }
}
