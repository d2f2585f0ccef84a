//! The mesh as a running agent has it: the roll, kept in `agent.db`, told to the register that everyone asks for rights, and what members last told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edgesync_tunnel::Ticket;
use libfossil::auth::Capabilities;
use libfossil::name::ProjectCode;
use tokio::sync::watch;

use super::held::Held;
use super::parting::Parting;
use super::record::{MeshId, Record, RecordId, Statement};
use super::roll::{Added, Roll, View};
use super::spread::Told;
use super::store;
use crate::api::{Error, Level, Role, Time};
use crate::events::Events;
use crate::pair::{DeviceName, Rights};
use crate::state::StateDb;
use crate::trust::{EndpointId, Keys, Trust};

/// The members of this agent's mesh.
#[derive(Debug)]
pub(crate) struct Members {
    keys: Arc<Keys>,
    state: Arc<StateDb>,
    trust: Arc<Trust>,
    events: Arc<Events>,
    name: DeviceName,
    roll: Mutex<Roll>,
    /// Locked after the roll, where both are.
    held: Mutex<Held>,
    /// Those that may keep a pairing of whose end this agent has not heard: they are let in to say so.
    awaited: Mutex<BTreeSet<EndpointId>>,
    /// Where this agent is, and in which role, as it was last told.
    place: Mutex<Option<(String, Role)>>,
    told: watch::Sender<BTreeMap<EndpointId, Told>>,
    /// The code of the project that this agent's messages are in.
    messages: Mutex<Option<ProjectCode>>,
    changes: watch::Sender<u64>,
}

impl Members {
    /// Opens the mesh that `agent.db` remembers. An identity of which nobody speaks there is new in this folder, and what the one before it had said
    /// and heard is forgotten: it would speak for this one as soon as the two had a peer in common. Blocks on the file.
    ///
    /// # Errors
    /// When `agent.db` cannot be read.
    pub(crate) fn open(
        keys: Arc<Keys>,
        state: Arc<StateDb>,
        trust: Arc<Trust>,
        events: Arc<Events>,
        name: DeviceName,
    ) -> rusqlite::Result<Arc<Self>> {
        let mut records = store::records(&state)?;
        if !records.is_empty() && !records.iter().any(|it| it.speaks_of(keys.id())) {
            let ids: Vec<RecordId> = records.iter().map(Record::id).collect();
            store::keep(&state, &[], &ids)?;
            tracing::info!("the mesh of another identity is left: this one is new here");
            records.clear();
        }
        let roll = Roll::new(keys.id(), records);
        let mut held = Held::open(&state, keys.id())?;
        // Those that were being taken over when the agent ended.
        for member in held.settled(&roll, &roll.view()) {
            held.forget(&state, &member)?;
        }
        trust.register.set_members(held.view(&roll));
        Ok(Arc::new(Self {
            held: Mutex::new(held),
            awaited: Mutex::default(),
            place: Mutex::default(),
            keys,
            state,
            trust,
            events,
            name,
            roll: Mutex::new(roll),
            told: watch::Sender::default(),
            messages: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    /// Returns who is a member, and who was revoked.
    pub(crate) fn view(&self) -> Arc<View> {
        self.trust.register.members()
    }

    /// What this agent calls itself.
    pub(crate) fn own_name(&self) -> &DeviceName {
        &self.name
    }

    /// Returns what two agents with the same records have in common.
    pub(crate) fn fingerprint(&self) -> String {
        locked(&self.roll).fingerprint()
    }

    /// Returns what changes with the records.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns the short names of all records.
    pub(crate) fn have(&self) -> BTreeSet<String> {
        locked(&self.roll)
            .records()
            .map(|record| record.id().short())
            .collect()
    }

    /// Returns the records that somebody who has `have` lacks, as many as fit in `bytes`, and whether there are more.
    pub(crate) fn lacking(&self, have: &BTreeSet<String>, bytes: usize) -> (Vec<String>, bool) {
        let roll = locked(&self.roll);
        let mut room = bytes;
        let mut texts = Vec::new();
        for record in roll
            .records()
            .filter(|record| !have.contains(&record.id().short()))
        {
            // As JSON, a text in a list grows by its quotes and the strokes before them.
            let size = record.text().len() + record.text().matches(['"', '\\']).count() + 3;
            if size > room {
                return (texts, true);
            }
            room -= size;
            texts.push(record.text().to_owned());
        }
        (texts, false)
    }

    /// Takes in records that another member has. Returns how many are new; those that are not good are passed over. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn take(&self, texts: &[String]) -> Result<usize, Error> {
        let records = texts.iter().filter_map(|text| match Record::parse(text) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::info!(%error, "a record of the mesh was not taken");
                None
            }
        });
        self.add(records.collect())
    }

    /// Lets in whom this agent was just paired with, by what both signed, and no more before it has shown that it keeps the pairing, too. Blocks on
    /// `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn hold(&self, member: EndpointId, texts: &[String]) -> Result<(), Error> {
        let roll = locked(&self.roll);
        let kept = locked(&self.held).put(&self.state, member, texts);
        kept.map_err(|error| crate::core::state_failure(&error))?;
        self.redraw(roll);
        Ok(())
    }

    /// A member has shown that it keeps its pairing with this agent. Returns whether that was not known. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn confirm(&self, member: &EndpointId) -> Result<bool, Error> {
        let records = locked(&self.held).of(member).map(<[Record]>::to_vec);
        match records {
            Some(records) => self.add(records).map(|_| true),
            None => Ok(false),
        }
    }

    /// One that has not shown yet that it keeps its pairing with this agent says that it does not: nothing is left of it. Returns whether there was
    /// such a one. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn is_not_kept_by(&self, member: &EndpointId) -> Result<bool, Error> {
        let roll = locked(&self.roll);
        let forgotten = locked(&self.held).forget(&self.state, member);
        let forgotten = forgotten.map_err(|error| crate::core::state_failure(&error))?;
        if forgotten {
            self.redraw(roll);
        }
        Ok(forgotten)
    }

    /// Returns those that have not shown yet that they keep their pairing with this agent, and where each said that it is.
    pub(crate) fn unconfirmed(&self) -> Vec<(EndpointId, Ticket)> {
        locked(&self.held).members()
    }

    /// Waits, or no longer, for the word of one that may keep a pairing with this agent.
    pub(crate) fn await_word_of(&self, id: EndpointId, waits: bool) {
        let mut awaited = locked(&self.awaited);
        match waits {
            true => awaited.insert(id),
            false => awaited.remove(&id),
        };
    }

    /// Whether one may say here that it is a member: it is, or this agent waits for its word.
    pub(crate) fn listens_to(&self, id: &EndpointId) -> bool {
        self.trust.register.knows(id) || locked(&self.awaited).contains(id)
    }

    /// Returns what this agent would sign to vouch for a member, where it is, and for the mesh when there is none yet; nothing of it counts before it is
    /// [taken](Self::take).
    ///
    /// # Errors
    /// `internal` when the system has no random bytes.
    pub(crate) fn vouching(
        &self,
        member: EndpointId,
        name: &DeviceName,
        rights: &Rights,
    ) -> Result<Vec<String>, Error> {
        let at = Time::now().unix_millis();
        let mut statements = vec![Statement::Vouch {
            member,
            name: name.clone(),
            capabilities: rights.capabilities.clone(),
            projects: rights.projects.clone(),
            at,
        }];
        if self.view().mesh.is_none() {
            let id =
                crate::text::random::<16>().map_err(|error| Error::internal(error.to_string()))?;
            statements.push(Statement::Mesh {
                id: MeshId::from(id),
                name: self.name.clone(),
                notify: locked(&self.messages).map(|code| code.to_string()),
                at,
            });
        }
        let place = locked(&self.place).clone();
        if let Some((ticket, role)) = place.filter(|(ticket, _)| !ticket.is_empty()) {
            statements.push(Statement::Place { ticket, role, at });
        }
        let records = self.sign(statements)?;
        Ok(records
            .iter()
            .map(|record| record.text().to_owned())
            .collect())
    }

    /// Revokes a member, for ever. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn revoke(&self, member: EndpointId) -> Result<(), Error> {
        let statements = locked(&self.roll).to_revoke(member, Time::now().unix_millis());
        self.add(self.sign(statements)?).map(drop)
    }

    /// Notes where this agent's messages are, and says so of a mesh of which nobody has said it. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn has_messages_in(&self, code: ProjectCode) -> Result<(), Error> {
        *locked(&self.messages) = Some(code);
        let view = self.view();
        let Some(mesh) = view.mesh.as_ref().filter(|mesh| mesh.notify.is_none()) else {
            return Ok(());
        };
        let says = Statement::Mesh {
            id: mesh.id,
            name: mesh.name.clone(),
            notify: Some(code.to_string()),
            at: Time::now().unix_millis(),
        };
        self.add(self.sign(vec![says])?).map(drop)
    }

    /// Returns the mesh whose messages were in this project before it met the one of id `after`. Messages of no mesh give way to every one.
    pub(crate) fn mesh_of_messages(&self, code: &ProjectCode, after: MeshId) -> MeshId {
        let known = locked(&self.roll).mesh_of_messages(code.as_ref(), after);
        known.unwrap_or(MeshId::LAST)
    }

    /// Tells the other members where this agent is, an empty ticket for nowhere. Without members nobody is told. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) fn be_at(&self, ticket: &str, role: Role) -> Result<(), Error> {
        *locked(&self.place) = Some((ticket.to_owned(), role));
        let view = self.view();
        if view.members.len() <= view.unconfirmed.len() {
            return Ok(());
        }
        let says = locked(&self.roll).to_be_at(ticket, role, Time::now().unix_millis());
        match says {
            Some(says) => self.add(self.sign(vec![says])?).map(drop),
            None => Ok(()),
        }
    }

    fn sign(&self, statements: Vec<Statement>) -> Result<Vec<Record>, Error> {
        let sign = |says| Record::sign(&self.keys, says);
        let records: Result<_, _> = statements.into_iter().map(sign).collect();
        records.map_err(|error| Error::bad_request(error.to_string()))
    }

    fn add(&self, records: Vec<Record>) -> Result<usize, Error> {
        let mut roll = locked(&self.roll);
        let (mut new, mut replaced) = (Vec::new(), Vec::new());
        for record in records {
            match roll.add(record.clone()) {
                Ok(Added::New { replaced: gone }) => {
                    new.push(record);
                    replaced.extend(gone);
                }
                Ok(Added::Known) => {}
                Err(error) => tracing::warn!(%error, "a record of the mesh was not taken"),
            }
        }
        if new.is_empty() {
            return Ok(0);
        }
        // What is not on the disk may count a moment earlier, not be told to be kept.
        let kept = store::keep(&self.state, &new, &replaced);
        let kept = kept.and_then(|()| self.forget_settled(&roll));
        self.redraw(roll);
        kept.map_err(|error| crate::core::state_failure(&error))?;
        Ok(new.len())
    }

    /// Forgets what was held apart and is among the records now.
    fn forget_settled(&self, roll: &Roll) -> rusqlite::Result<()> {
        let mut held = locked(&self.held);
        for member in held.settled(roll, &roll.view()) {
            held.forget(&self.state, &member)?;
        }
        Ok(())
    }

    /// Draws the list anew, and tells what has changed.
    fn redraw(&self, roll: MutexGuard<'_, Roll>) {
        let (before, after) = (self.view(), locked(&self.held).view(&roll));
        self.trust.register.set_members(after);
        drop(roll);
        self.tell_people(&before, &self.view());
        self.changes
            .send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    /// Says who has come and who was revoked.
    fn tell_people(&self, before: &View, after: &View) {
        for (id, member) in &before.members {
            if before.unconfirmed.contains(id) && !after.members.contains_key(id) {
                let words = format!(
                    "{} says that it is not paired with this agent: it is no member ({id})",
                    member.name
                );
                let gone = !after.revoked.contains_key(id);
                gone.then(|| self.events.log(Level::Warn, None, words));
            }
        }
        let is_member = |view: &View, id: &EndpointId| {
            view.members.contains_key(id) && !view.unconfirmed.contains(id)
        };
        for (id, member) in &after.members {
            if !before.members.contains_key(id) && after.unconfirmed.contains(id) {
                let words = format!(
                    "{} is paired with this agent, and has not confirmed it yet ({id})",
                    member.name
                );
                self.events.log(Level::Info, None, words);
            }
            if !is_member(before, id) && is_member(after, id) {
                let by = member.vouched_by.iter().map(|by| self.call(after, by));
                let by: Vec<String> = by.collect();
                let words = format!(
                    "{} is a member of the mesh; {} vouched for it ({id})",
                    member.name,
                    by.join(", ")
                );
                self.events.log(Level::Info, None, words);
            }
        }
        for (id, revoked) in &after.revoked {
            if !before.revoked.contains_key(id) {
                let name = revoked
                    .name
                    .as_ref()
                    .map_or_else(|| "an agent".to_owned(), ToString::to_string);
                let words = format!(
                    "{name} was revoked by {} ({id})",
                    self.call(after, &revoked.by)
                );
                self.events.log(Level::Warn, None, words);
            }
        }
    }

    /// Returns what is said of an agent that this mesh has unpaired, and when it was; nothing of one that it has not.
    pub(crate) fn unpaired_here(&self, id: &EndpointId) -> Option<(Parting, Time)> {
        let view = self.view();
        let revoked = view.revoked.get(id)?;
        let parting = Parting::here(&self.call(&view, &revoked.by), &self.call(&view, id));
        Some((parting, Time::from_unix_millis(revoked.at)))
    }

    /// Returns what is said of an agent that says that it has unpaired this one.
    pub(crate) fn unpaired_there(&self, id: &EndpointId) -> Parting {
        let called = self.trust.register.name_of(id);
        Parting::there(&called.unwrap_or_else(|| self.call(&self.view(), id)))
    }

    fn call(&self, view: &View, id: &EndpointId) -> String {
        if *id == self.keys.id() {
            return "this agent".to_owned();
        }
        let member = view.members.get(id).map(|member| &member.name);
        let name = member.or_else(|| view.revoked.get(id)?.name.as_ref());
        name.map_or_else(|| id.to_string(), ToString::to_string)
    }

    /// Returns what an agent goes by: what people here call it, or those who vouch for it, or else it itself.
    pub(crate) fn name_of(&self, id: &EndpointId) -> Option<String> {
        let named = self.trust.register.name_of(id);
        named.or_else(|| Some(self.told(id)?.hello.name().to_string()))
    }

    /// Whether an agent takes in what this one writes in the project of this code; `None` where it has not told.
    pub(crate) fn takes(&self, id: &EndpointId, project: &str) -> Option<bool> {
        let told = self.told(id)?;
        let mut offered = told.repositories.iter();
        let offered = offered.find(|it| it.project_code == project)?;
        Some(Capabilities::from_letters(&offered.capabilities).may_write())
    }

    /// Notes what a member has told of itself.
    pub(crate) fn note(&self, member: EndpointId, told: Told) {
        let view = self.view();
        let (hello, repositories) = (told.hello.clone(), told.repositories.clone());
        self.told.send_if_modified(|all| {
            let before = all.insert(member, told);
            all.retain(|id, _| view.members.contains_key(id) || self.trust.register.knows(id));
            before.is_none_or(|it| it.hello != hello || it.repositories != repositories)
        });
    }

    /// Returns what changes when a member tells something else of itself than before.
    pub(crate) fn news(&self) -> watch::Receiver<BTreeMap<EndpointId, Told>> {
        self.told.subscribe()
    }

    /// Returns what a member has last told.
    pub(crate) fn told(&self, member: &EndpointId) -> Option<Told> {
        self.told.borrow().get(member).cloned()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single calls that leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
