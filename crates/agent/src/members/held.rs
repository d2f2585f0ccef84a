//! Pairings that this agent has kept, and of which the other side has not shown yet that it keeps them, too: no protocol lets both know at one moment.
//! What both signed stands apart until then. It lets the other in, and nothing more: no other member hears of it, and no mesh is taken from it. So it
//! can be taken off again without a trace when the other side says that it is not paired.

use std::collections::BTreeMap;

use edgesync_tunnel::{PeerId, Ticket};

use super::record::{Record, Statement};
use super::roll::{Roll, View};
use crate::state::StateDb;
use crate::trust::EndpointId;

/// What was signed with each of them.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<EndpointId, Vec<Record>>);

impl Held {
    /// Returns what `agent.db` holds for the identity `me`.
    pub(super) fn open(state: &StateDb, me: EndpointId) -> rusqlite::Result<Self> {
        let rows: Vec<(String, String)> = {
            let connection = state.connection();
            let mut query = connection.prepare("SELECT member, records FROM member_unconfirmed")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let read = rows.into_iter().filter_map(|(member, records)| {
            let texts: Vec<String> = serde_json::from_str(&records).ok()?;
            let records: Vec<Record> = parsed(&texts);
            let of_me = records.iter().any(|it| it.speaks_of(me));
            Some((member.parse().ok()?, records)).filter(|_| of_me)
        });
        Ok(Self(read.collect()))
    }

    /// Holds what was signed with a member, instead of what is held with it.
    pub(super) fn put(
        &mut self,
        state: &StateDb,
        member: EndpointId,
        texts: &[String],
    ) -> rusqlite::Result<()> {
        let records = serde_json::Value::from(texts).to_string();
        state.connection().execute(
            "INSERT OR REPLACE INTO member_unconfirmed(member, records) VALUES(?1, ?2)",
            (member.to_string(), records),
        )?;
        self.0.insert(member, parsed(texts));
        Ok(())
    }

    /// Holds nothing of a member any more. Returns whether there was something.
    pub(super) fn forget(
        &mut self,
        state: &StateDb,
        member: &EndpointId,
    ) -> rusqlite::Result<bool> {
        state.connection().execute(
            "DELETE FROM member_unconfirmed WHERE member = ?1",
            [member.to_string()],
        )?;
        Ok(self.0.remove(member).is_some())
    }

    /// Returns what was signed with a member.
    pub(super) fn of(&self, member: &EndpointId) -> Option<&[Record]> {
        self.0.get(member).map(Vec::as_slice)
    }

    /// Returns the members, and where each said that it is.
    pub(super) fn members(&self) -> Vec<(EndpointId, Ticket)> {
        let place = |member: &EndpointId, records: &[Record]| {
            let peer = PeerId::from(*member.as_bytes());
            let said = records.iter().filter(|it| it.by() == *member);
            let mut said = said.filter_map(|record| match record.says() {
                Statement::Place { ticket, .. } => ticket.parse::<Ticket>().ok(),
                _ => None,
            });
            said.find(|it| it.peer == peer)
                .unwrap_or_else(|| Ticket::of(peer))
        };
        let all = self.0.iter();
        all.map(|(member, records)| (*member, place(member, records)))
            .collect()
    }

    /// Returns those that wait no longer: both vouchings are among the mesh's records, where they come from the other side alone, or it was revoked.
    pub(super) fn settled(&self, roll: &Roll, view: &View) -> Vec<EndpointId> {
        let is_there = |record: &Record| {
            !matches!(record.says(), Statement::Vouch { .. }) || roll.has(&record.id())
        };
        let settled = self.0.iter().filter(|(member, records)| {
            records.iter().all(is_there) || view.revoked.contains_key(*member)
        });
        settled.map(|(member, _)| *member).collect()
    }

    /// Returns what follows from the mesh's records, with those let in that are held.
    pub(super) fn view(&self, roll: &Roll) -> View {
        let sure = roll.view();
        if self.0.is_empty() {
            return sure;
        }
        let all = roll.with(self.0.values().flatten()).view();
        let new = all.members.keys();
        let unconfirmed = new.filter(|id| !sure.members.contains_key(*id)).copied();
        View {
            unconfirmed: unconfirmed.collect(),
            mesh: sure.mesh,
            places: sure.places,
            ..all
        }
    }
}

fn parsed(texts: &[String]) -> Vec<Record> {
    texts
        .iter()
        .filter_map(|text| Record::parse(text).ok())
        .collect()
}
