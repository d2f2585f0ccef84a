//! The records of a mesh, and what follows from them. A pure machine: which records it has is all that counts, neither in which order they came nor how
//! often, so that two agents that have heard the same say the same.
//!
//! - A member is whom somebody vouches for who may write everywhere himself, beginning with this very agent. Nobody gives more than he has.
//! - A revocation by anyone who is or ever was such a member counts for ever, and over everything; also over those by members that were revoked
//!   themselves: more is cut off then rather than less. Whom the revoked had vouched for stays when another member vouches too;
//!   [`Roll::to_revoke`] returns the records that see to that.
//! - Who revokes somebody, and is not revoked himself, keeps what he has by that one's word, and vouches on: else he would be a stranger to all that know
//!   him by the revoked alone, and what he says of whom to keep with him. Not so where another has revoked the same one and is known without its word,
//!   or this agent has, or the revoked itself: then all goes that it vouched for, whoever of those has revoked it as well. So a revocation gives nothing
//!   to anyone but its author, who gets no more than he would have had without any, and a key that one who stands without it has revoked lets nobody in.
//! - Where a member is, it says itself; its newest word counts, and is the only one that is kept.
//! - Of several meshes that members speak of, the one with the lowest id is theirs.

use std::collections::{BTreeMap, BTreeSet};

use edgesync_tunnel::{PeerId, Ticket};
use ring::digest::{Context, SHA256};

use super::record::{MeshId, Record, RecordId, Statement};
use crate::api::Role;
use crate::limits;
use crate::pair::DeviceName;
use crate::text::to_hex;
use crate::trust::EndpointId;

/// The records that an agent has.
#[derive(Debug)]
pub(crate) struct Roll {
    me: EndpointId,
    records: BTreeMap<RecordId, Record>,
}

/// What follows from the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The mesh, once there is one.
    pub(crate) mesh: Option<MeshFacts>,
    /// Everyone but this agent.
    pub(crate) members: BTreeMap<EndpointId, Member>,
    pub(crate) revoked: BTreeMap<EndpointId, Revoked>,
    /// Where members say that they are.
    pub(crate) places: BTreeMap<EndpointId, Place>,
    /// The members that have not shown yet that they keep the pairing: they are let in, and nobody else has heard of them.
    pub(crate) unconfirmed: BTreeSet<EndpointId>,
}

/// Where an agent is, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ticket: Ticket,
    pub(crate) role: Role,
}

/// What became of a record that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It says nothing new.
    Known,
    /// It is new, and stands in the stead of the one that is named.
    New { replaced: Option<RecordId> },
}

/// A mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeshFacts {
    pub(crate) id: MeshId,
    pub(crate) name: DeviceName,
    /// The code of the project that its messages are in.
    pub(crate) notify: Option<String>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: DeviceName,
    /// Its rights everywhere.
    pub(crate) everywhere: BTreeSet<char>,
    /// Its rights in single projects, by code.
    pub(crate) in_projects: BTreeMap<String, BTreeSet<char>>,
    /// Who vouches for it.
    pub(crate) vouched_by: BTreeSet<EndpointId>,
    /// The first time that somebody did, in milliseconds since 1970.
    pub(crate) since: i64,
    /// Whose name for it this is: not this agent's own, when, by whom. The least counts.
    named: (bool, i64, EndpointId),
}

/// A member that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) name: Option<DeviceName>,
    /// Who said so first.
    pub(crate) by: EndpointId,
    /// In milliseconds since 1970, as that agent's clock had it.
    pub(crate) at: i64,
    /// The records that say so, as they are named in lists.
    pub(crate) records: BTreeSet<String>,
    /// Everyone who said so.
    revokers: BTreeSet<EndpointId>,
}

/// One vouching, the newest by this author for this member.
#[derive(Clone)]
struct Vouching<'a> {
    by: EndpointId,
    member: EndpointId,
    name: &'a DeviceName,
    capabilities: BTreeSet<char>,
    projects: &'a [String],
    at: i64,
}

/// No more records are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this mesh has more than {} records", limits::RECORDS)]
pub(crate) struct Full;

impl Member {
    /// Whether its word counts: it may write everywhere.
    fn is_full(&self) -> bool {
        self.everywhere.contains(&'i')
    }

    /// Returns its letters in a project.
    pub(crate) fn letters(&self, project: &str) -> String {
        let here = self.in_projects.get(project).into_iter().flatten();
        let all: BTreeSet<&char> = self.everywhere.iter().chain(here).collect();
        all.into_iter().collect()
    }
}

impl Roll {
    /// Returns the roll of `me` with these records.
    pub(crate) fn new(me: EndpointId, records: impl IntoIterator<Item = Record>) -> Self {
        let records = records.into_iter().map(|record| (record.id(), record));
        Self {
            me,
            records: records.collect(),
        }
    }

    /// Takes in a record.
    ///
    /// # Errors
    /// [`Full`]. Revocations by those whose word counts always find room.
    pub(super) fn add(&mut self, record: Record) -> Result<Added, Full> {
        if self.records.contains_key(&record.id()) {
            return Ok(Added::Known);
        }
        let mut replaced = None;
        if let Statement::Place { at, .. } = record.says()
            && let Some((before, said)) = self.place_of(&record.by())
        {
            if (said, before) > (*at, record.id()) {
                return Ok(Added::Known);
            }
            self.records.remove(&before);
            replaced = Some(before);
        } else if self.records.len() >= limits::RECORDS {
            let revokes = matches!(record.says(), Statement::Revoke { .. });
            if !revokes || !self.counts(&record.by()) {
                return Err(Full);
            }
        }
        self.records.insert(record.id(), record);
        Ok(Added::New { replaced })
    }

    /// Returns the record with which an agent says where it is, and when it said so.
    fn place_of(&self, author: &EndpointId) -> Option<(RecordId, i64)> {
        let mut own = self.records.values().filter(|it| it.by() == *author);
        own.find_map(|record| match record.says() {
            Statement::Place { at, .. } => Some((record.id(), *at)),
            _ => None,
        })
    }

    /// Returns what this agent has to say to be found at a place from now on, `None` when it has said so. `now` is in milliseconds since 1970.
    pub(super) fn to_be_at(&self, ticket: &str, role: Role, now: i64) -> Option<Statement> {
        let said = self.place_of(&self.me);
        let same = said.and_then(|(id, _)| self.records.get(&id));
        let same = same.is_some_and(|it| {
            matches!(it.says(), Statement::Place { ticket: before, role: as_what, .. } if before == ticket && *as_what == role)
        });
        // Also where the clock was put back.
        let at = said.map_or(now, |(_, at)| now.max(at.saturating_add(1)));
        (!same).then(|| Statement::Place {
            ticket: ticket.to_owned(),
            role,
            at,
        })
    }

    /// Returns where those that are `members` say that they are.
    fn places(&self, members: &BTreeMap<EndpointId, Member>) -> BTreeMap<EndpointId, Place> {
        let said = self
            .records
            .values()
            .filter(|it| members.contains_key(&it.by()));
        let places = said.filter_map(|record| match record.says() {
            Statement::Place { ticket, role, .. } => {
                let ticket: Ticket = ticket.parse().ok()?;
                let own = ticket.peer == PeerId::from(*record.by().as_bytes());
                let place = Place {
                    ticket,
                    role: *role,
                };
                own.then_some((record.by(), place))
            }
            _ => None,
        });
        places.collect()
    }

    fn counts(&self, author: &EndpointId) -> bool {
        *author == self.me || self.ever().get(author).is_some_and(Member::is_full)
    }

    /// Returns the roll with these records besides.
    pub(super) fn with<'a>(&'a self, more: impl IntoIterator<Item = &'a Record>) -> Self {
        Self::new(self.me, self.records().chain(more).cloned())
    }

    /// Whether it has this record.
    pub(super) fn has(&self, id: &RecordId) -> bool {
        self.records.contains_key(id)
    }

    /// Returns every record.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Returns what two agents with the same records have in common.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Context::new(&SHA256);
        for id in self.records.keys() {
            hash.update(id.bytes());
        }
        to_hex(hash.finish().as_ref())
    }

    /// Returns what follows from the records.
    pub(crate) fn view(&self) -> View {
        let ever = self.ever();
        let revoked = self.revoked(&ever);
        if revoked.contains_key(&self.me) {
            return View {
                revoked,
                ..View::default()
            };
        }
        let members = self.present(&revoked);
        View {
            mesh: self.mesh(&members),
            places: self.places(&members),
            members,
            revoked,
            unconfirmed: BTreeSet::new(),
        }
    }

    fn revoked(&self, ever: &BTreeMap<EndpointId, Member>) -> BTreeMap<EndpointId, Revoked> {
        let mut revoked: BTreeMap<EndpointId, Revoked> = BTreeMap::new();
        for record in self.records.values() {
            let Statement::Revoke { member, at } = record.says() else {
                continue;
            };
            let by = record.by();
            let counts =
                by == self.me || by == *member || ever.get(&by).is_some_and(Member::is_full);
            if !counts {
                continue;
            }
            let name = ever.get(member).map(|it| it.name.clone());
            let entry = revoked.entry(*member).or_insert_with(|| Revoked {
                name,
                by,
                at: *at,
                records: BTreeSet::new(),
                revokers: BTreeSet::new(),
            });
            if (*at, by) < (entry.at, entry.by) {
                (entry.at, entry.by) = (*at, by);
            }
            entry.records.insert(record.id().short());
            entry.revokers.insert(by);
        }
        revoked
    }

    /// Returns everyone who is or was a member, with all rights that anyone ever gave: who has revoked somebody has done so whatever becomes of him.
    fn ever(&self) -> BTreeMap<EndpointId, Member> {
        self.ever_without(&BTreeSet::new())
    }

    /// Returns those of [`ever`](Self::ever) that are known without the word of some.
    fn ever_without(&self, without: &BTreeSet<EndpointId>) -> BTreeMap<EndpointId, Member> {
        let vouchings: Vec<_> = self.vouchings().collect();
        self.closure(&vouchings, without, &BTreeMap::new())
    }

    /// Returns everyone who is a member, after these revocations.
    fn present(&self, revoked: &BTreeMap<EndpointId, Revoked>) -> BTreeMap<EndpointId, Member> {
        let vouchings = self.newest();
        let gone: BTreeSet<EndpointId> = revoked.keys().copied().collect();
        let keepers = self.keepers(revoked);
        let mut kept = BTreeMap::new();
        // One may be known by another's word alone. Rights only grow from round to round, and there are finitely many.
        loop {
            let next: BTreeMap<EndpointId, Member> = keepers
                .iter()
                .filter_map(|(id, theirs)| {
                    let without = gone.difference(theirs).copied().collect();
                    let mut seen = self.closure(&vouchings, &without, &kept);
                    Some((*id, seen.remove(id)?))
                })
                .collect();
            if next == kept {
                return self.closure(&vouchings, &gone, &kept);
            }
            kept = next;
        }
    }

    /// Returns those who keep what they have by the word of some that they have revoked, each with these.
    fn keepers(
        &self,
        revoked: &BTreeMap<EndpointId, Revoked>,
    ) -> BTreeMap<EndpointId, BTreeSet<EndpointId>> {
        let mut keepers: BTreeMap<EndpointId, BTreeSet<EndpointId>> = BTreeMap::new();
        for (gone, revocation) in revoked {
            let by = &revocation.revokers;
            if by.contains(&self.me) || by.contains(gone) {
                continue;
            }
            // Who is the only one has no other against him.
            let others = (by.len() > 1).then(|| self.ever_without(&[*gone].into()));
            let others: BTreeSet<EndpointId> = others
                .into_iter()
                .flatten()
                .filter(|(id, it)| it.is_full() && by.contains(id))
                .map(|(id, _)| id)
                .collect();
            for keeper in by.iter().filter(|id| !revoked.contains_key(*id)) {
                if others.iter().all(|other| other == keeper) {
                    keepers.entry(*keeper).or_default().insert(*gone);
                }
            }
        }
        keepers
    }

    /// Returns everyone whom a chain of vouchings leads to from this agent and from those that are `kept`, past those who are `without`.
    fn closure(
        &self,
        vouchings: &[Vouching<'_>],
        without: &BTreeSet<EndpointId>,
        kept: &BTreeMap<EndpointId, Member>,
    ) -> BTreeMap<EndpointId, Member> {
        let mut members = kept.clone();
        // Rights only grow from round to round, and there are finitely many.
        loop {
            let mut next = kept.clone();
            for vouching in vouchings {
                let given = match members.get(&vouching.by) {
                    _ if vouching.by == self.me => vouching.capabilities.clone(),
                    Some(voucher) if voucher.is_full() => vouching
                        .capabilities
                        .intersection(&voucher.everywhere)
                        .copied()
                        .collect(),
                    _ => continue,
                };
                let out = |id: &EndpointId| without.contains(id);
                if vouching.member == self.me || out(&vouching.member) || out(&vouching.by) {
                    continue;
                }
                let member = next.entry(vouching.member).or_insert_with(|| Member {
                    name: vouching.name.clone(),
                    everywhere: BTreeSet::new(),
                    in_projects: BTreeMap::new(),
                    vouched_by: BTreeSet::new(),
                    since: vouching.at,
                    named: vouching.naming(self.me),
                });
                member.take(vouching, given, self.me);
            }
            if next == members {
                return members;
            }
            members = next;
        }
    }

    fn vouchings(&self) -> impl Iterator<Item = Vouching<'_>> {
        self.records
            .values()
            .filter_map(|record| match record.says() {
                Statement::Vouch {
                    member,
                    name,
                    capabilities,
                    projects,
                    at,
                } => Some(Vouching {
                    by: record.by(),
                    member: *member,
                    name,
                    capabilities: capabilities
                        .chars()
                        .filter(char::is_ascii_alphanumeric)
                        .collect(),
                    projects,
                    at: *at,
                }),
                _ => None,
            })
    }

    /// Returns the newest vouching of each author for each member. Of two at the same time the one counts whose record's id is higher.
    fn newest(&self) -> Vec<Vouching<'_>> {
        let mut newest: BTreeMap<(EndpointId, EndpointId), Vouching<'_>> = BTreeMap::new();
        // They come by the ids of their records.
        for vouching in self.vouchings() {
            let key = (vouching.by, vouching.member);
            if newest.get(&key).is_none_or(|known| known.at <= vouching.at) {
                newest.insert(key, vouching);
            }
        }
        newest.into_values().collect()
    }

    fn mesh(&self, members: &BTreeMap<EndpointId, Member>) -> Option<MeshFacts> {
        let spoken = self
            .records
            .values()
            .filter_map(|record| match record.says() {
                Statement::Mesh {
                    id,
                    name,
                    notify,
                    at,
                } => {
                    let by = record.by();
                    let counts = by == self.me || members.get(&by).is_some_and(Member::is_full);
                    counts.then_some((*id, *at, record.id(), name, notify))
                }
                _ => None,
            });
        // The lowest id; of what is said of that, the newest that tells where its messages are.
        let (id, _, _, name, notify) = spoken.min_by_key(|(id, at, record, _, notify)| {
            (*id, std::cmp::Reverse((notify.is_some(), *at, *record)))
        })?;
        Some(MeshFacts {
            id,
            name: name.clone(),
            notify: notify.clone(),
        })
    }

    /// Returns the mesh that had its messages in this project before it met the one of id `after`; of several the lowest.
    pub(super) fn mesh_of_messages(&self, project: &str, after: MeshId) -> Option<MeshId> {
        let meshes = self
            .records
            .values()
            .filter_map(|record| match record.says() {
                Statement::Mesh { id, notify, .. } if notify.as_deref() == Some(project) => {
                    Some(*id)
                }
                _ => None,
            });
        meshes.filter(|id| *id > after).min()
    }

    /// Returns what this agent has to say to revoke `member`: that, and what keeps those who were vouched for by it alone, and the mesh that only it
    /// had spoken of. `now` is in milliseconds since 1970.
    pub(crate) fn to_revoke(&self, member: EndpointId, now: i64) -> Vec<Statement> {
        let before = self.view();
        let mut revoked = before.revoked.clone();
        let says = Revoked {
            name: None,
            by: self.me,
            at: now,
            records: BTreeSet::new(),
            revokers: BTreeSet::new(),
        };
        let revokers = &mut revoked.entry(member).or_insert(says).revokers;
        revokers.insert(self.me);
        let after = self.present(&revoked);
        // Whom others leave, or leave with less than he had by the word of the revoked.
        let lacks = |(id, had): &(&EndpointId, &Member)| {
            after.get(id).is_none_or(|it| {
                had.everywhere != it.everywhere || had.in_projects != it.in_projects
            })
        };
        let others = before.members.iter().filter(|(id, _)| **id != member);
        let mut keep: BTreeMap<&EndpointId, &Member> = others.filter(lacks).collect();
        if !keep.is_empty() {
            // Who is vouched for here is known without others' word, which may count against those that keep what they have by it.
            let keepers = self.keepers(&revoked);
            let kept = before.members.iter().filter(|(id, _)| **id != member);
            keep.extend(kept.filter(|(id, _)| keepers.contains_key(*id)));
        }
        let vouch = |(id, had): (&EndpointId, &Member)| had.as_vouched(*id, now);
        let mut statements: Vec<Statement> = keep.into_iter().map(vouch).collect();
        if let Some(mesh) = before
            .mesh
            .filter(|mesh| self.mesh(&after).as_ref() != Some(mesh))
        {
            statements.push(Statement::Mesh {
                id: mesh.id,
                name: mesh.name,
                notify: mesh.notify,
                at: now,
            });
        }
        statements.push(Statement::Revoke { member, at: now });
        statements
    }
}

impl Vouching<'_> {
    /// What people here call a member goes before what others do, and the first before the later.
    fn naming(&self, me: EndpointId) -> (bool, i64, EndpointId) {
        (self.by != me, self.at, self.by)
    }
}

impl Member {
    fn take(&mut self, vouching: &Vouching<'_>, given: BTreeSet<char>, me: EndpointId) {
        let naming = vouching.naming(me);
        if naming <= self.named {
            self.name = vouching.name.clone();
            self.named = naming;
        }
        self.since = self.since.min(vouching.at);
        self.vouched_by.insert(vouching.by);
        if vouching.projects.is_empty() {
            self.everywhere.extend(given);
            return;
        }
        for project in vouching.projects {
            self.in_projects
                .entry(project.clone())
                .or_default()
                .extend(given.iter().copied());
        }
    }

    /// Returns the vouching that gives what this member has. Rights in several projects that differ become those that they have in common.
    fn as_vouched(&self, member: EndpointId, at: i64) -> Statement {
        let everywhere = !self.everywhere.is_empty() || self.in_projects.is_empty();
        let common = self
            .in_projects
            .values()
            .cloned()
            .reduce(|one, other| one.intersection(&other).copied().collect());
        Statement::Vouch {
            member,
            name: self.name.clone(),
            capabilities: if everywhere {
                self.everywhere.iter().collect()
            } else {
                common.unwrap_or_default().into_iter().collect()
            },
            projects: if everywhere {
                Vec::new()
            } else {
                self.in_projects.keys().cloned().collect()
            },
            at,
        }
    }
}
