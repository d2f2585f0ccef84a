//! Desk and store together. What the desk wants stored is stored here, in order and before anything else follows; the rest is
//! handed to whoever has a bus and people to show things to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use edgesync_notify::desk::{Desk, Effect, Me, Now, Refusal};
use edgesync_notify::keyring::{Author, Device, Keyring, Scope};
use edgesync_notify::message::{Kind, Message};
use edgesync_notify::moved::{self, Moved};
use edgesync_notify::name::{Key, MessageId, Project};
use edgesync_notify::sign::Signature;
use edgesync_notify::store::{Head, Store, StoreError};
use edgesync_notify::subject::Address;
use libfossil::auth::Capabilities;
use libfossil::db::Repository;
use libfossil::time::Timestamp;

use super::attached::Attached;
use super::place::store_error;
use super::{compose, vouch};
use crate::api::{Code, Error, ReplyNotify, SendNotify};
use crate::clock;
use crate::identity::Identity;
use crate::trust::{EndpointId, Register};

/// What follows from an input, once everything that had to be is stored.
#[derive(Debug, Default)]
pub(crate) struct Follows {
    /// What was stored, in order.
    pub(crate) stored: Vec<Message>,
    /// What is left to do; nothing of it is a [`Effect::Store`].
    pub(crate) effects: Vec<Effect>,
}

/// A message from another repository, with those of its attachments that are there.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(super) message: Message,
    pub(super) media: Vec<(String, bytes::Bytes)>,
}

/// Who has rights here, as the office is told.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    /// Whose messages are taken: who may write in their repository, into which they go.
    pub(crate) writers: HashSet<EndpointId>,
    /// Projects in which unsigned messages are taken.
    pub(crate) unsigned: Vec<Project>,
}

/// Returns the rights that a register tells in the repository of messages with this project code.
pub(super) fn rights(register: &Register, project: &str) -> Rights {
    let everyone = register.everyone(project).into_iter();
    let writers = everyone.filter(|(_, letters)| Capabilities::from_letters(letters).may_write());
    Rights {
        writers: writers.map(|(id, _)| id).collect(),
        unsigned: register.unsigned_projects().cloned().collect(),
    }
}

/// Desk and store of one repository.
#[derive(Debug)]
pub(crate) struct Office {
    store: Store,
    desk: Desk,
    /// The keys that senders proved to be theirs.
    proven: HashMap<Key, EndpointId>,
    rights: Rights,
    identity: Identity,
    name: String,
}

impl Office {
    /// Opens the office on a repository, and does what is due since it was closed. `clocks` tells what was known of others' by
    /// [`Office::clocks`].
    ///
    /// # Errors
    /// `repository` when the file cannot be used.
    pub(crate) fn open(
        repo: &mut Repository,
        identity: &Identity,
        name: &str,
        rights: Rights,
        clocks: &BTreeMap<String, i64>,
    ) -> Result<(Self, Follows), Error> {
        let store = Store::read(repo).map_err(|error| store_error(&error))?;
        let mut office = Self {
            store,
            desk: desk_of(identity, name),
            proven: HashMap::new(),
            rights,
            identity: identity.clone(),
            name: name.to_owned(),
        };
        let now = clock::present();
        for (from, ahead_ms) in clocks {
            let shows = now.wall.saturating_add_millis(*ahead_ms);
            office.desk.learn_clock(from, shows, now);
        }
        office.sit_down();
        let effects = office.desk.resume(clock::present());
        let follows = office.perform(repo, effects)?;
        Ok((office, follows))
    }

    /// Makes the desk know what the store holds.
    fn sit_down(&mut self) {
        let mut desk = desk_of(&self.identity, &self.name);
        desk.keep_clocks_of(&mut self.desk);
        self.desk = desk;
        let vouchers: Vec<_> = self
            .store
            .vouchers()
            .filter_map(|(from, key, voucher)| Some((key, vouch::owner(from, key, voucher)?)))
            .collect();
        self.proven.extend(vouchers);
        self.desk.set_keyring(self.keyring());
        let now = clock::present();
        for head in self.store.heads() {
            self.desk
                .recall(&head.fields, head.author, head.digest, now);
        }
    }

    /// Tells who has rights here from now on.
    pub(crate) fn set_rights(&mut self, rights: Rights) {
        self.rights = rights;
        self.desk.set_keyring(self.keyring());
    }

    fn keyring(&self) -> Keyring {
        let mut keyring = Keyring::new();
        for (key, id) in &self.proven {
            if self.rights.writers.contains(id) {
                keyring.admit(Device {
                    key: *key,
                    id: id.to_string(),
                    scope: Scope::Everything,
                    may_answer: true,
                });
            }
        }
        let me = self.desk.me();
        keyring.admit(Device {
            key: me.signer.key(),
            id: me.id.clone(),
            scope: Scope::Everything,
            may_answer: true,
        });
        for project in &self.rights.unsigned {
            keyring.admit_unsigned(project.clone());
        }
        keyring
    }

    /// Learns whose key signed a message, from the message itself.
    fn meet(&mut self, message: &Message) {
        if let Some(signature) = message.signature() {
            self.meet_key(&message.from, signature);
        }
    }

    /// Learns whose key made a signature, if `from` proves that it is its own.
    fn meet_key(&mut self, from: &str, signature: &Signature) {
        let key = signature.key;
        if !self.proven.contains_key(&key)
            && let Some(voucher) = &signature.voucher
            && let Some(id) = vouch::owner(from, key, voucher)
            && self.rights.writers.contains(&id)
        {
            self.proven.insert(key, id);
            self.desk.set_keyring(self.keyring());
        }
    }

    /// Says something, with the files that it attaches.
    ///
    /// # Errors
    /// `bad_request` for what no message can say, `repository` when it cannot be stored.
    pub(crate) fn send(
        &mut self,
        repo: &mut Repository,
        wish: &SendNotify,
        attached: &[Attached],
    ) -> Result<(Message, Follows), Error> {
        let now = clock::present();
        let fields = compose::message(self, wish, now.wall)?;
        let message = compose::signed(self, &fields)?;
        Store::attach(repo, &message, attached, now.wall).map_err(|error| store_error(&error))?;
        let (message, mut follows) = self.send_message(repo, message, now)?;
        // A program of this machine says it, and people here are to see it; what they write themselves they know.
        follows.effects.push(Effect::Show(message.clone()));
        Ok((message, follows))
    }

    /// Answers a question of a thread, or says something in it.
    ///
    /// # Errors
    /// `conflict` when the question is decided, `bad_request` when it does not offer this answer, `forbidden` when this agent may not
    /// answer, `not_found`, `repository`.
    pub(crate) fn reply(
        &mut self,
        repo: &mut Repository,
        thread: &str,
        wish: &ReplyNotify,
    ) -> Result<(Message, Follows), Error> {
        let now = clock::present();
        let fields = compose::reply(self, thread, wish, now.wall)?;
        let message = compose::signed(self, &fields)?;
        self.send_message(repo, message, now)
    }

    fn send_message(
        &mut self,
        repo: &mut Repository,
        message: Message,
        now: Now,
    ) -> Result<(Message, Follows), Error> {
        let effects = self.desk.send(message.clone(), now);
        let refused = effects.iter().find_map(|effect| match effect {
            Effect::Refused { id, refusal, .. } if *id == message.id => Some(refusal.clone()),
            _ => None,
        });
        let follows = self.perform(repo, effects)?;
        match refused {
            Some(refusal) => Err(refusal_error(&refusal)),
            None => Ok((message, follows)),
        }
    }

    /// Takes what came over the bus on `address`.
    ///
    /// # Errors
    /// `repository` when it cannot be stored.
    pub(crate) fn receive(
        &mut self,
        repo: &mut Repository,
        address: &Address,
        message: Message,
    ) -> Result<Follows, Error> {
        self.meet(&message);
        let effects = self.desk.receive(address, message, clock::present());
        self.perform(repo, effects)
    }

    /// Looks what has come into the repository by other ways.
    ///
    /// # Errors
    /// `repository` when it cannot be read.
    pub(crate) fn look(&mut self, repo: &mut Repository) -> Result<Follows, Error> {
        let found = self
            .store
            .refresh(repo)
            .map_err(|error| store_error(&error))?;
        let mut follows = Follows::default();
        for message in found {
            self.meet(&message);
            follows.stored.push(message.clone());
            let effects = self.desk.found(message, clock::present());
            let more = self.perform(repo, effects)?;
            follows.stored.extend(more.stored);
            follows.effects.extend(more.effects);
        }
        // What came with its own resolution behind it waits for nobody.
        let waits = |message: &Message| !message.is_question() || self.desk.waits(&message.id);
        follows
            .effects
            .retain(|effect| !matches!(effect, Effect::Acknowledge(it) if !waits(it)));
        Ok(follows)
    }

    /// Takes in messages that were stored in another repository of this mesh, with their attachments.
    ///
    /// # Errors
    /// `repository` when they cannot be stored.
    pub(crate) fn carry_over(
        &mut self,
        repo: &mut Repository,
        carried: Vec<Carried>,
    ) -> Result<Follows, Error> {
        let now = clock::now();
        let mut follows = Follows::default();
        for Carried { message, media } in carried {
            self.meet(&message);
            for (name, content) in media {
                // Over the quota it is left out, as any device leaves it out.
                match Store::attach(repo, &message, &[(name, content)], now) {
                    Ok(()) | Err(StoreError::Attachment { .. }) => {}
                    Err(error) => return Err(store_error(&error)),
                }
            }
            let added = self.store.add(repo, std::slice::from_ref(&message), now);
            match added {
                // It is here, or another one was first, or the thread is full; then it stays where it is.
                Ok(0) | Err(StoreError::Taken(_) | StoreError::ThreadFull) => continue,
                Ok(_) => {}
                Err(error) => return Err(store_error(&error)),
            }
            follows.stored.push(message.clone());
            let effects = self.desk.found(message, clock::present());
            let more = self.perform(repo, effects)?;
            follows.stored.extend(more.stored);
            follows.effects.extend(more.effects);
        }
        Ok(follows)
    }

    /// Returns the record that this repository has to follow, if there is one.
    ///
    /// # Errors
    /// `repository` when it cannot be read.
    pub(crate) fn move_to_follow(&mut self, repo: &Repository) -> Result<Option<Moved>, Error> {
        let moves = Store::moves(repo).map_err(|error| store_error(&error))?;
        if moves.is_empty() {
            return Ok(None);
        }
        for moved in &moves {
            self.meet_key(moved.by(), moved.signature());
        }
        let code = repo.project_code();
        let code = code.map_err(|error| crate::repository::file_error(&error))?;
        Ok(moved::to_follow(&moves, &code, self.desk.keyring()).cloned())
    }

    /// Takes back a question that was asked here.
    ///
    /// # Errors
    /// `conflict` when no question of this agent waits under that id; `repository`.
    pub(crate) fn cancel(
        &mut self,
        repo: &mut Repository,
        question: &MessageId,
    ) -> Result<Follows, Error> {
        let effects = self.desk.cancel(question, clock::present());
        let resolved = |effect: &Effect| matches!(effect, Effect::Resolved { question: it, .. } if it == question);
        let taken_back = effects.iter().any(resolved);
        let follows = self.perform(repo, effects)?;
        if taken_back {
            Ok(follows)
        } else {
            Err(refusal_error(&Refusal::NoQuestion))
        }
    }

    /// Learns what the clock of the agent `from` shows now, because it has just said so.
    pub(super) fn learn_clock(&mut self, from: &str, shows: Timestamp) -> Follows {
        Follows {
            effects: self.desk.learn_clock(from, shows, clock::present()),
            ..Follows::default()
        }
    }

    /// Returns by how many milliseconds each agent's clock is ahead of this machine's, where they are known to differ.
    pub(super) fn clocks(&self) -> BTreeMap<String, i64> {
        self.desk.clocks(clock::present())
    }

    /// Does what is due by now.
    ///
    /// # Errors
    /// `repository` when something cannot be stored.
    pub(crate) fn tick(&mut self, repo: &mut Repository) -> Result<Follows, Error> {
        let effects = self.desk.tick(clock::present());
        self.perform(repo, effects)
    }

    /// Returns when [`Office::tick`] has something to do next, on the steady clock of [`clock::present`].
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.desk.next_due()
    }

    /// Stores what is to be stored. When that fails, the desk starts anew from what the store holds.
    fn perform(&mut self, repo: &mut Repository, effects: Vec<Effect>) -> Result<Follows, Error> {
        let mut follows = Follows::default();
        for effect in effects {
            let Effect::Store(messages) = effect else {
                follows.effects.push(effect);
                continue;
            };
            if let Err(error) = self.store.add(repo, &messages, clock::now()) {
                self.sit_down();
                return Err(store_error(&error));
            }
            follows.stored.extend(messages);
        }
        Ok(follows)
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns a message that this agent wrote.
    pub(super) fn own(&self, id: &MessageId) -> Option<&Head> {
        let own = Author::Key(self.desk.me().signer.key());
        self.store.head(id).filter(|head| head.author == own)
    }

    /// Returns the bytes of an attached file.
    pub(super) fn attachment(
        &self,
        repo: &Repository,
        id: &MessageId,
        name: &str,
    ) -> Result<bytes::Bytes, Error> {
        let none = || Error::not_found(format!("{id} has no such attachment"));
        let head = self.store.head(id).ok_or_else(none)?;
        if !head.fields.media.iter().any(|known| known == name) {
            return Err(none());
        }
        let content = Store::attachment(repo, &head.fields, name);
        let content = content.map_err(|error| crate::repository::file_error(&error))?;
        content.ok_or_else(none)
    }

    /// Returns the projects of the threads that were active last, at most so many.
    pub(super) fn active_projects(&self, most: usize) -> BTreeSet<Project> {
        self.store.active_projects(most)
    }

    /// Returns how many other devices may answer here.
    pub(super) fn answering(&self) -> usize {
        self.rights.writers.len()
    }

    /// Returns the thread's questions that wait, oldest first.
    pub(super) fn waiting(&self, heads: &[&Head]) -> Vec<MessageId> {
        heads
            .iter()
            .filter(|head| head.fields.kind != Kind::Resolution && self.desk.waits(&head.fields.id))
            .map(|head| head.fields.id)
            .collect()
    }
}

fn desk_of(identity: &Identity, name: &str) -> Desk {
    let me = Me {
        id: identity.endpoint_id().to_owned(),
        name: name.to_owned(),
        signer: vouch::signer(identity),
    };
    Desk::new(me, Keyring::new())
}

/// Returns the API's error for what the desk refused.
fn refusal_error(refusal: &Refusal) -> Error {
    let words = refusal.to_string();
    match refusal {
        Refusal::Decided | Refusal::NoQuestion | Refusal::SameId => {
            Error::new(Code::Conflict, words)
        }
        Refusal::NotOffered | Refusal::Message(_) | Refusal::OtherQuestion => {
            Error::bad_request(words)
        }
        _ => Error::new(Code::Forbidden, words),
    }
}
