//! Storing messages.

use libfossil::artifact::Permission;
use libfossil::checkin::{self, Change, Date, NewCheckIn};
use libfossil::db::{Receipt, Repository, Transaction, Visibility};
use libfossil::history;
use libfossil::name::{HashName, RepoPath};
use libfossil::time::Timestamp;

use super::create::{USER, first_check_in};
use super::{Head, Store, StoreError};
use crate::desk;
use crate::limits::{MAX_COMMENT_BYTES, MAX_THREAD_MESSAGES};
use crate::message::{Kind, Message, Source};
use crate::text::{excerpt, shown_on_a_line};

impl Store {
    /// Stores messages, all or none; those that are here already are passed over. Returns how many were new.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub fn add(
        &mut self,
        repo: &mut Repository,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut fresh: Vec<&Message> = Vec::new();
        for message in messages {
            match self.heads.get(&message.id) {
                Some(head) if head.digest == desk::digest(message) => {}
                Some(_) => return Err(StoreError::Taken(message.id)),
                None => fresh.push(message),
            }
        }
        if fresh.is_empty() {
            return Ok(0);
        }
        let heads = repo.write::<_, StoreError>(now, |tx| {
            let mut heads: Vec<Head> = Vec::with_capacity(fresh.len());
            for message in &fresh {
                let head = self.check_in_on(tx, message, &heads)?;
                heads.push(head);
            }
            Ok(heads)
        })?;
        fresh.iter().for_each(|message| self.note_voucher(message));
        let count = heads.len();
        for head in heads {
            self.insert(head);
        }
        Ok(count)
    }

    /// Makes the check-in of a message; `before` were made in the same transaction.
    fn check_in_on(
        &self,
        tx: &mut Transaction<'_>,
        message: &Message,
        before: &[Head],
    ) -> Result<Head, StoreError> {
        let key = (message.project.clone(), message.thread);
        let known = self.threads.get(&key).map_or(&[][..], Vec::as_slice);
        let count = known.len() + before.len();
        if count >= MAX_THREAD_MESSAGES {
            return Err(StoreError::ThreadFull);
        }
        let in_thread =
            |head: &&Head| (&head.fields.project, head.fields.thread) == (&key.0, key.1);
        // The message that the sender saw last; else the last one here.
        let named = message.after.and_then(|id| {
            let stored = before.iter().find(|head| head.fields.id == id);
            stored.or_else(|| self.heads.get(&id)).filter(in_thread)
        });
        let newest = || known.iter().rev().find_map(|id| self.heads.get(id));
        let parent = named
            .or_else(|| before.iter().rev().find(in_thread))
            .or_else(newest);
        let just_made =
            parent.is_some_and(|parent| before.iter().any(|head| head.check_in == parent.check_in));
        let parent = parent.map(|head| tx.name(head.check_in)).transpose()?;
        let path = RepoPath::new(message.path().into_bytes())
            .map_err(|_| StoreError::Taken(message.id))?;
        self.check_free(tx, message, &path, parent)?;
        let content = message.to_file();
        tx.set_receipt(Receipt::made_here(USER));
        let stored = tx.store(content.as_bytes(), Visibility::Public)?;
        let branch = message.thread.to_string();
        let comment = comment(message);
        let mut new = NewCheckIn::new(USER, &comment);
        stand(tx, &mut new, parent, &branch)?;
        if just_made {
            // It is on the thread's branch, which the tables will say only when this transaction ends.
            new.branch = None;
        }
        new.mimetype = Some("text/plain");
        new.date = Date::About(message.timestamp);
        new.changes = vec![Change::Put {
            path,
            content: content.into_bytes().into(),
            permission: Permission::Regular,
        }];
        let made = checkin::add(tx, &new)?;
        if let Some(parent) = made.parent.map(|name| tx.rid(&name)).transpose()?.flatten() {
            // The list of files of the version below is nearly the same one; message files stay whole.
            tx.deltify(parent, made.rid)?;
        }
        Ok(Head::of(message, stored.rid, made.rid))
    }

    /// Makes sure that the message's file is not that of another message.
    fn check_free(
        &self,
        tx: &Transaction<'_>,
        message: &Message,
        path: &RepoPath<'_>,
        parent: Option<HashName>,
    ) -> Result<(), StoreError> {
        let below = match parent.map(|name| tx.rid(&name)).transpose()?.flatten() {
            Some(parent) => history::files(tx, parent)?,
            None => Vec::new(),
        };
        let taken = below
            .iter()
            .any(|file| file.path.as_bytes() == path.as_bytes());
        let same_path = |head: &Head| {
            head.fields.thread.short() == message.thread.short()
                && head.fields.id.short() == message.id.short()
                && head.fields.timestamp.unix_seconds() == message.timestamp.unix_seconds()
                && head.fields.project == message.project
        };
        if taken || self.heads.values().any(same_path) {
            return Err(StoreError::Taken(message.id));
        }
        Ok(())
    }
}

/// Says what a check-in stands on: `parent`, else the end of the branch, else the check-in that all repositories share.
fn stand<'a>(
    tx: &mut Transaction<'_>,
    new: &mut NewCheckIn<'a>,
    parent: Option<HashName>,
    branch: &'a str,
) -> Result<(), StoreError> {
    new.parent = match parent {
        Some(parent) => Some(parent),
        // Its messages are not here yet, only their check-ins.
        None if history::resolve(tx, &format!("tag:{branch}")).is_ok() => None,
        None => Some(first_check_in(tx)?),
    };
    let on = match new.parent.map(|name| tx.rid(&name)).transpose()?.flatten() {
        Some(rid) => Some(history::branch_of(tx, rid)?),
        None => None,
    };
    // Messages of the Go product are on the main branch; what follows them begins the thread's own.
    new.branch = (on.as_deref() != Some(branch)).then_some(branch);
    Ok(())
}

/// Returns what the timeline shows of a message. It is part of the artifact, and so the same on every device.
fn comment(message: &Message) -> String {
    let said = match (&message.resolution, message.action_response) {
        (Some(it), _) if it.source == Source::Answer && it.by_name.is_empty() => {
            format!("Answered: {}", message.body)
        }
        (Some(it), _) if it.source == Source::Answer => {
            format!("Answered by {}: {}", it.by_name, message.body)
        }
        (Some(it), _) if it.source == Source::Default => {
            format!("No answer, which means: {}", message.body)
        }
        (Some(it), _) => it.source.without_answer().unwrap_or_default().to_owned(),
        (None, true) => format!("{} (button)", message.body),
        (None, false) => message.body.clone(),
    };
    let mut line = format!(
        "{}: {}",
        message.sender(),
        excerpt(&said, MAX_COMMENT_BYTES)
    );
    for action in &message.actions {
        line.push_str(&format!(" [{}]", action.label()));
    }
    if message.kind == Kind::Approval && message.actions.is_empty() {
        line.push_str(" [approval]");
    }
    shown_on_a_line(&line)
}
