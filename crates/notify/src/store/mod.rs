//! `notify.fossil`: a repository whose check-ins are messages. A thread is a branch, and a message a check-in on top of the message
//! before it, so that stock Fossil shows the conversation. Everything about a check-in follows from its message and the check-in
//! below it, and the first check-in of every such repository is the same: devices that heard the same messages hold the same
//! check-ins, and exchange nothing when they meet.
//!
//! Message files are stored whole, never as deltas: the Go product reads them without expanding any.

mod attach;
mod create;
mod head;
mod moves;
mod order;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libfossil::db::{Repository, Rid};
use libfossil::history::{self, FileVersion};
use libfossil::name::HashName;
use libfossil::time::Timestamp;

pub use attach::{Unattached, attachment_path};
pub use create::{NewStore, create};
pub use head::{Head, Thread};

use crate::limits::{MAX_MESSAGE_BYTES, MAX_THREAD_MESSAGES};
use crate::message::{Fields, Message, MessageError};
use crate::name::{Key, MessageId, Project, Short, ThreadId};

/// Why the repository was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be used.
    #[error(transparent)]
    Repository(#[from] libfossil::db::Error),
    /// A check-in was not made.
    #[error(transparent)]
    CheckIn(#[from] libfossil::checkin::CheckInError),
    /// There is no such message.
    #[error("there is no message {0}")]
    NoMessage(MessageId),
    /// There is no such thread.
    #[error("there is no thread {0}")]
    NoThread(String),
    /// Several threads start like that.
    #[error("several threads start with {0}; give more digits")]
    Ambiguous(String),
    /// Another message has the id, or the file.
    #[error("another message has the id {0} or its file")]
    Taken(MessageId),
    /// The thread has as many messages as it may.
    #[error("the thread has {MAX_THREAD_MESSAGES} messages; start another")]
    ThreadFull,
    /// What is stored is no message any more.
    #[error("a stored message breaks a rule: {0}")]
    Message(#[from] MessageError),
    /// The name of a record's file.
    #[error("a move cannot be recorded under this project code")]
    Move,
    /// A file cannot be attached.
    #[error("{name:?} cannot be attached: {why}")]
    Attachment {
        /// The file's name.
        name: String,
        /// Why.
        why: Unattached,
    },
}

/// A thread's key: ids are random, but only within a project do they mean anything.
type ThreadKey = (Project, ThreadId);

/// What is in a repository, without the bodies: an index in memory, made from the repository and kept beside it.
#[derive(Debug, Default)]
pub struct Store {
    heads: HashMap<MessageId, Head>,
    /// The messages of each thread, in the order in which they were found.
    threads: BTreeMap<ThreadKey, Vec<MessageId>>,
    /// When something was said last in each project, by its sender's clock.
    active: BTreeMap<Project, Timestamp>,
    /// Files that were looked at, so that each is read once.
    seen: HashMap<Rid, Option<MessageId>>,
    /// What senders gave to prove whose their keys are: by the sender's id and its key.
    vouchers: BTreeMap<(String, Key), String>,
    /// Files that look like messages and are none, or share an id with another.
    bad_files: u64,
}

impl Store {
    /// Reads a repository from the beginning.
    ///
    /// # Errors
    /// [`StoreError::Repository`].
    pub fn read(repo: &Repository) -> Result<Self, StoreError> {
        let mut store = Self::default();
        store.refresh(repo)?;
        Ok(store)
    }

    /// Reads what has come into the repository since, by replication or by another program, and returns the messages, oldest check-in
    /// first. What is no message is counted and passed over.
    ///
    /// # Errors
    /// [`StoreError::Repository`].
    pub fn refresh(&mut self, repo: &Repository) -> Result<Vec<Message>, StoreError> {
        let mut found = Vec::new();
        for version in history::file_versions(repo)? {
            match self.seen.get(&version.content) {
                Some(Some(id)) => {
                    let id = *id;
                    self.prefer_check_in(repo, &id, version.check_in)?;
                    continue;
                }
                Some(None) => continue,
                None => {}
            }
            if !is_message_path(&version) || !repo.is_available(version.content)? {
                continue;
            }
            let message = read_file(repo, &version)?;
            let id = message.as_ref().map(|message| message.id);
            self.seen.insert(version.content, id);
            match message {
                Some(message) if !self.heads.contains_key(&message.id) => {
                    self.note_voucher(&message);
                    self.insert(Head::of(&message, version.content, version.check_in));
                    found.push(message);
                }
                _ => self.bad_files += 1,
            }
        }
        Ok(found)
    }

    /// Of several check-ins of one message, which a partition can leave, the one with the lowest name is taken, by every device.
    fn prefer_check_in(
        &mut self,
        repo: &Repository,
        id: &MessageId,
        other: Rid,
    ) -> Result<(), StoreError> {
        if let Some(head) = self.heads.get_mut(id)
            && head.check_in != other
            && repo.name(other)? < repo.name(head.check_in)?
        {
            head.check_in = other;
        }
        Ok(())
    }

    fn insert(&mut self, head: Head) {
        let key = (head.fields.project.clone(), head.fields.thread);
        let said = head.fields.timestamp;
        let active = self.active.entry(key.0.clone()).or_insert(said);
        *active = said.max(*active);
        self.threads.entry(key).or_default().push(head.fields.id);
        self.seen.insert(head.content, Some(head.fields.id));
        self.heads.insert(head.fields.id, head);
    }

    fn note_voucher(&mut self, message: &Message) {
        if let Some(signature) = message.signature()
            && let Some(voucher) = &signature.voucher
        {
            let whose = (message.from.clone(), signature.key);
            self.vouchers.insert(whose, voucher.clone());
        }
    }

    /// Returns what senders gave to prove whose their keys are: id, key and proof, which nobody has checked.
    pub fn vouchers(&self) -> impl Iterator<Item = (&str, Key, &str)> {
        self.vouchers
            .iter()
            .map(|((id, key), voucher)| (id.as_str(), *key, voucher.as_str()))
    }

    /// Returns what is known of a message.
    #[must_use]
    pub fn head(&self, id: &MessageId) -> Option<&Head> {
        self.heads.get(id)
    }

    /// Returns all messages, in the order in which they were stored here.
    #[must_use]
    pub fn heads(&self) -> Vec<&Head> {
        let mut heads: Vec<_> = self.heads.values().collect();
        heads.sort_unstable_by_key(|head| (head.content, head.fields.id));
        heads
    }

    /// Returns how many files look like messages and are none.
    #[must_use]
    pub fn bad_files(&self) -> u64 {
        self.bad_files
    }

    /// Returns a whole message.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`]; [`StoreError::Repository`].
    pub fn message(&self, repo: &Repository, id: &MessageId) -> Result<Message, StoreError> {
        let head = self.heads.get(id).ok_or(StoreError::NoMessage(*id))?;
        Ok(Message::read(&repo.content(head.content)?)?)
    }

    /// Returns the name of the check-in that a message came with.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`]; [`StoreError::Repository`].
    pub fn check_in(&self, repo: &Repository, id: &MessageId) -> Result<HashName, StoreError> {
        let head = self.heads.get(id).ok_or(StoreError::NoMessage(*id))?;
        Ok(repo.name(head.check_in)?)
    }

    /// Returns the thread that `text` means: a whole id, or the digits that it starts with.
    ///
    /// # Errors
    /// [`StoreError::NoThread`], [`StoreError::Ambiguous`].
    pub fn find_thread(
        &self,
        project: Option<&Project>,
        text: &str,
    ) -> Result<Thread<'_>, StoreError> {
        let digits = text.strip_prefix(ThreadId::PREFIX).unwrap_or(text);
        let start = format!("{}{digits}", ThreadId::PREFIX);
        let whole = ThreadId::parse(&start).ok();
        let mut threads = self.threads.iter().filter(|((of, id), _)| {
            project.is_none_or(|project| project == of)
                && whole.map_or_else(|| id.to_string().starts_with(&start), |whole| whole == *id)
        });
        match (threads.next(), threads.next()) {
            _ if digits.is_empty() => Err(StoreError::NoThread(text.to_owned())),
            (Some((key, ids)), None) => Ok(self.thread(key, ids)),
            (None, _) => Err(StoreError::NoThread(text.to_owned())),
            (Some(_), Some(_)) => Err(StoreError::Ambiguous(text.to_owned())),
        }
    }

    /// Returns the thread that a message is in; it may be new.
    #[must_use]
    pub fn thread_of(&self, message: &Fields) -> Thread<'_> {
        let key = (message.project.clone(), message.thread);
        let ids = self.threads.get(&key).map_or(&[][..], Vec::as_slice);
        self.thread(&key, ids)
    }

    /// Returns the projects of which something was said last, at most so many.
    #[must_use]
    pub fn active_projects(&self, most: usize) -> BTreeSet<Project> {
        let mut projects: Vec<_> = self.active.iter().collect();
        projects.sort_by_key(|(_, at)| std::cmp::Reverse(**at));
        let active = projects.into_iter().take(most);
        active.map(|(project, _)| project.clone()).collect()
    }

    /// Returns all threads, or those of a project, the last active ones first.
    #[must_use]
    pub fn threads(&self, project: Option<&Project>) -> Vec<Thread<'_>> {
        let mut threads: Vec<_> = self
            .threads
            .iter()
            .filter(|((of, _), _)| project.is_none_or(|project| project == of))
            .map(|(key, ids)| self.thread(key, ids))
            .collect();
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.last_activity()));
        threads
    }

    fn thread(&self, (project, id): &ThreadKey, ids: &[MessageId]) -> Thread<'_> {
        let heads: Vec<_> = ids.iter().filter_map(|id| self.heads.get(id)).collect();
        Thread {
            project: project.clone(),
            id: *id,
            heads: order::conversation(&heads),
        }
    }
}

/// Returns whether a file is where messages are: `<project>/threads/<short>/<name>.json`.
fn is_message_path(version: &FileVersion) -> bool {
    let Some(path) = version.path.to_str() else {
        return false;
    };
    let mut parts = path.split('/');
    let mut next = || parts.next().unwrap_or_default();
    Project::parse(next()).is_ok()
        && next() == "threads"
        && Short::parse(next()).is_some()
        && next().ends_with(".json")
        && parts.next().is_none()
}

/// Returns the message in a file, if it is one and is where it says.
fn read_file(repo: &Repository, version: &FileVersion) -> Result<Option<Message>, StoreError> {
    let content = repo.content(version.content)?;
    if content.len() > MAX_MESSAGE_BYTES * 2 {
        return Ok(None);
    }
    let message = Message::read(&content).ok();
    Ok(message.filter(|message| version.path.to_str() == Some(&message.path())))
}
