//! From what is stored to what the API shows.

use edgesync_notify::desk::CLOCKS_AGREE_MS;
use edgesync_notify::keyring::{Author, Distrust};
use edgesync_notify::message::{self, Fields, Kind, Message, Source};
use edgesync_notify::name::{MessageId, Project};
use edgesync_notify::question::{self, Standing};
use edgesync_notify::store::{Head, StoreError, Thread};
use edgesync_notify::subject;
use libfossil::db::Repository;
use libfossil::time::Timestamp;

use super::Office;
use super::place::store_error;
use crate::api::{
    Action, AnswerSource, Error, MessageKind, NotifyConversation, NotifyMessage, NotifyThread,
    NotifyTrace, Priority, QuestionState, Resolved, Sender, Time,
};
use crate::clock;

impl Office {
    /// Returns the threads of a project, or all, the last active ones first.
    pub(crate) fn threads(&self, project: Option<&Project>) -> Vec<NotifyThread> {
        let threads = self.store().threads(project);
        threads
            .iter()
            .map(|thread| self.show_thread(thread))
            .collect()
    }

    /// Returns the threads in which questions wait, each with all of these.
    pub(crate) fn questions(&self) -> Vec<(NotifyThread, Vec<NotifyMessage>)> {
        let threads = self.store().threads(None);
        let waiting = |thread: &Thread<'_>| {
            let open = self.open_questions(thread);
            let heads = open.iter().filter_map(|id| self.store().head(id));
            let shown = heads.map(|head| self.show_fields(&head.fields, head.author, thread));
            let shown: Vec<_> = shown.collect();
            (!shown.is_empty()).then(|| (self.show_thread(thread), shown))
        };
        threads.iter().filter_map(waiting).collect()
    }

    /// Returns a thread and its messages.
    ///
    /// # Errors
    /// `not_found`, `bad_request` for digits that several threads start with, `repository`.
    pub(crate) fn conversation(
        &self,
        repo: &Repository,
        thread: &str,
    ) -> Result<NotifyConversation, Error> {
        let thread = self.store().find_thread(None, thread);
        let thread = thread.map_err(|error| store_error(&error))?;
        let message = |head: &&Head| {
            let message = self.store().message(repo, &head.fields.id);
            let message = message.map_err(|error| store_error(&error))?;
            Ok(self.show_fields(&message, head.author, &thread))
        };
        Ok(NotifyConversation {
            messages: thread
                .heads
                .iter()
                .map(message)
                .collect::<Result<_, Error>>()?,
            thread: self.show_thread(&thread),
        })
    }

    /// Returns a message.
    ///
    /// # Errors
    /// `not_found`, `repository`.
    pub(crate) fn message(
        &self,
        repo: &Repository,
        id: &MessageId,
    ) -> Result<NotifyMessage, Error> {
        let message = self.store().message(repo, id);
        let message = message.map_err(|error| store_error(&error))?;
        Ok(self.show(&message))
    }

    /// Returns messages in the order in which they were stored here: the last `most`, or the first `most` behind `after`, where nothing
    /// stands for the place before the first.
    ///
    /// # Errors
    /// `not_found` when `after` is not here, `repository`.
    pub(crate) fn stored(
        &self,
        repo: &Repository,
        after: Option<Option<MessageId>>,
        most: usize,
    ) -> Result<Vec<NotifyMessage>, Error> {
        let heads = self.store().heads();
        let wanted = match after {
            None => heads.get(heads.len().saturating_sub(most)..),
            Some(None) => heads.get(..most.min(heads.len())),
            Some(Some(id)) => {
                let place = heads.iter().position(|head| head.fields.id == id);
                let place = place.ok_or_else(|| store_error(&StoreError::NoMessage(id)))?;
                heads.get(place + 1..heads.len().min((place + 1).saturating_add(most)))
            }
        };
        let wanted = wanted.unwrap_or_default().iter();
        wanted
            .map(|head| self.message(repo, &head.fields.id))
            .collect()
    }

    /// Returns which way a message went.
    ///
    /// # Errors
    /// `not_found`, `repository`.
    pub(crate) fn trace(&self, repo: &Repository, id: &MessageId) -> Result<NotifyTrace, Error> {
        let message = self.store().message(repo, id);
        let message = message.map_err(|error| store_error(&error))?;
        let check_in = self.store().check_in(repo, id);
        Ok(NotifyTrace {
            check_in: check_in.map_err(|error| store_error(&error))?.to_string(),
            file: message.path(),
            subject: subject::of_thread(&message.project, &message.thread),
            key: message
                .signature()
                .map(|signature| signature.key.to_string()),
            message: self.show(&message),
        })
    }

    /// Returns how many messages, threads and waiting questions there are.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let threads = self.store().threads(None);
        let waiting = threads
            .iter()
            .map(|thread| self.open_questions(thread).len())
            .sum();
        (self.store().heads().len(), threads.len(), waiting)
    }

    /// Returns a stored message as the API shows it.
    pub(crate) fn show(&self, message: &Message) -> NotifyMessage {
        let thread = self.store().thread_of(message);
        self.show_fields(message, Author::of(message), &thread)
    }

    fn show_thread(&self, thread: &Thread<'_>) -> NotifyThread {
        let last = thread.heads.last();
        let waiting = self.open_questions(thread);
        let waiting = waiting.first().and_then(|id| self.store().head(id));
        NotifyThread {
            id: thread.id.to_string(),
            short: thread.id.short().to_string(),
            project: thread.project.to_string(),
            title: thread
                .heads
                .first()
                .map_or_else(String::new, |head| head.fields.body.clone()),
            messages: thread.heads.len() as u64,
            priority: thread.priority().into(),
            time: thread
                .last_activity()
                .map_or(Time::from_unix_millis(0), time),
            last_from: last.map_or("", |head| head.fields.sender()).to_owned(),
            last_body: last.map_or_else(String::new, |head| self.said(&head.fields)),
            waiting: waiting.map(|head| self.show_fields(&head.fields, head.author, thread)),
            done: false,
        }
    }

    /// Returns the questions of a thread that somebody here can answer, oldest first.
    fn open_questions(&self, thread: &Thread<'_>) -> Vec<MessageId> {
        let mut open = self.waiting(&thread.heads);
        open.retain(|id| {
            self.store().head(id).is_some_and(|head| {
                let sender = self.sender(&head.fields, head.author);
                let known = matches!(sender, Sender::Own | Sender::Trusted)
                    || sender == Sender::Unsigned
                        && self.desk().keyring().admits_unsigned(&thread.project);
                known && !self.is_over(&head.fields)
            })
        });
        open
    }

    fn sender(&self, fields: &Fields, author: Author) -> Sender {
        if author == Author::Key(self.desk().me().signer.key()) {
            return Sender::Own;
        }
        match self
            .desk()
            .keyring()
            .device(author, &fields.from, &fields.project)
        {
            Ok(_) => Sender::Trusted,
            Err(Distrust::Unsigned) => Sender::Unsigned,
            Err(Distrust::BadSignature | Distrust::WrongSender) => Sender::Forged,
            Err(_) => Sender::Stranger,
        }
    }

    fn show_fields(&self, fields: &Fields, author: Author, thread: &Thread<'_>) -> NotifyMessage {
        let asked = fields.reply_to.and_then(|id| self.store().head(&id));
        let action = self.chosen(fields);
        NotifyMessage {
            id: fields.id.to_string(),
            thread: fields.thread.to_string(),
            project: fields.project.to_string(),
            from: fields.from.clone(),
            from_name: fields.from_name.clone(),
            sender: self.sender(fields, author),
            time: time(fields.timestamp),
            body: fields.body.clone(),
            priority: fields.urgency().into(),
            kind: kind(fields),
            actions: fields.actions.iter().map(offered).collect(),
            takes_text: fields.takes_text(),
            reply_to: fields.reply_to.map(|id| id.to_string()),
            action: action.map(offered),
            media: fields.media.clone(),
            expires_at: self.end_here(fields).map(time),
            default: fields.silence().map(str::to_owned),
            click: fields.click.clone(),
            tags: fields.tags.clone(),
            late: asked.is_some_and(|asked| self.is_late(fields, asked, thread)),
            question: fields
                .is_question()
                .then(|| self.state(fields, author, thread)),
            delivered_to: Vec::new(),
        }
    }

    /// Returns the action that an answer chose.
    fn chosen(&self, fields: &Fields) -> Option<&message::Action> {
        let asked = fields.reply_to.filter(|_| fields.action_response)?;
        self.store().head(&asked)?.fields.action(&fields.body)
    }

    /// Returns what a message says to people: its text, the label of the action that it chose, or how a question ended without an answer.
    fn said(&self, fields: &Fields) -> String {
        let label = self.chosen(fields).map(message::Action::label);
        let ending = || fields.resolution.as_ref()?.source.without_answer();
        label.or_else(ending).unwrap_or(&fields.body).to_owned()
    }

    /// Whether it answers a question that something else decided.
    fn is_late(&self, fields: &Fields, asked: &Head, thread: &Thread<'_>) -> bool {
        question::answers(fields, &asked.fields)
            && match self.state(&asked.fields, asked.author, thread) {
                QuestionState::Resolved(resolved) => {
                    resolved.message != Some(fields.id.to_string())
                }
                _ => false,
            }
    }

    /// Whether the time of a question is over, as far as can be told here.
    fn is_over(&self, question: &Fields) -> bool {
        let end = self.desk().end_of(&question.id);
        end.is_some_and(|end| end <= clock::present().steady)
    }

    /// Returns when a question stops to wait, by the clock of this device.
    fn end_here(&self, question: &Fields) -> Option<Timestamp> {
        let declared = question.expires_at?;
        let Some(end) = self.desk().end_of(&question.id) else {
            return Some(declared);
        };
        let now = clock::present();
        let left_ms = end.unix_millis().saturating_sub(now.steady.unix_millis());
        let here = now.wall.saturating_add_millis(left_ms);
        let differs_ms = here.unix_millis().abs_diff(declared.unix_millis());
        Some(if differs_ms > CLOCKS_AGREE_MS {
            here
        } else {
            declared
        })
    }

    fn state(&self, fields: &Fields, author: Author, thread: &Thread<'_>) -> QuestionState {
        let asked = question::Told { fields, author };
        let told = thread.heads.iter().map(|head| head.told());
        let standing = question::standing(asked, told, self.is_over(fields));
        match standing {
            Standing::Open | Standing::Overdue => {
                let mine = Author::Key(self.desk().me().signer.key());
                let sent = thread
                    .heads
                    .iter()
                    .find(|head| head.author == mine && question::answers(&head.fields, fields));
                match sent {
                    Some(head) => QuestionState::Sent {
                        answer: head.fields.body.clone(),
                    },
                    None if standing == Standing::Overdue => QuestionState::Overdue,
                    None => QuestionState::Open,
                }
            }
            Standing::Resolved(id) => match self.store().head(&id) {
                Some(head) => QuestionState::Resolved(resolved(&head.fields, fields)),
                None => QuestionState::Open,
            },
        }
    }
}

fn resolved(told: &Fields, asked: &Fields) -> Resolved {
    let resolution = told.resolution.as_ref();
    let source = resolution.map_or(Source::Expired, |it| it.source);
    let answered = matches!(source, Source::Answer | Source::Default);
    let some = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    Resolved {
        source: match source {
            Source::Answer => AnswerSource::Answer,
            Source::Default => AnswerSource::Default,
            Source::Expired => AnswerSource::Expired,
            Source::Cancelled => AnswerSource::Cancelled,
        },
        answer: answered.then(|| told.body.clone()),
        label: asked
            .action(&told.body)
            .map(|action| action.label().to_owned()),
        message: resolution.and_then(|it| it.answer).map(|id| id.to_string()),
        by: some(resolution.map(|it| &it.by)),
        by_name: some(resolution.map(|it| &it.by_name)),
        time: time(told.timestamp),
    }
}

fn kind(fields: &Fields) -> MessageKind {
    match fields.kind {
        Kind::Message if fields.is_question() => MessageKind::Question,
        Kind::Message if fields.action_response => MessageKind::Answer,
        Kind::Message => MessageKind::Message,
        Kind::Question => MessageKind::Question,
        Kind::Approval => MessageKind::Approval,
        Kind::Answer => MessageKind::Answer,
        Kind::Resolution => MessageKind::Resolution,
    }
}

fn offered(action: &message::Action) -> Action {
    Action {
        id: action.id().to_owned(),
        label: action.label().to_owned(),
    }
}

fn time(at: Timestamp) -> Time {
    Time::from_unix_millis(at.unix_millis())
}

impl From<message::Priority> for Priority {
    fn from(priority: message::Priority) -> Self {
        match priority {
            message::Priority::Info => Self::Info,
            message::Priority::ActionRequired => Self::ActionRequired,
            message::Priority::Urgent => Self::Urgent,
        }
    }
}
