//! Pairing with other agents: the driver of the machines in [`crate::pair`]. Streams come and go here, and people's decisions; what is said is theirs.
//!
//! [`host`] is the side that made an offer or is knocked at, [`claim`] the other. Each begins with nothing and ends with nothing unless both people
//! accepted: then each side keeps the records by which the two vouch for each other, which makes them members of one mesh. Whom a
//! member meets after that, and what it may, is [`crate::members`]' matter.

mod claim;
mod doubt;
mod host;
mod show;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::api::{AcceptAgent, Code, Error, MadeOffer, Time};
use crate::events::{Events, Telling};
use crate::frames::FrameError;
use crate::limits;
use crate::members::{Members, Record, Statement};
use crate::mesh::Mesh;
use crate::pair::{
    Desk, DeviceName, Fresh, Now, OfferSecret, OfferText, Party, Purpose, Refusal, Rights, Said,
    Standing, Why, offers, set_offers, told,
};
use crate::state::StateDb;
use crate::trust::TRUSTED;
use claim::Claiming;
use doubt::Doubt;
pub(crate) use doubt::TABLES;

/// What pairing takes from the agent.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) host: Party,
    pub(crate) state: Arc<StateDb>,
    pub(crate) events: Arc<Events>,
    pub(crate) members: Arc<Members>,
    pub(crate) stopped: CancellationToken,
}

/// The pairings of this agent with others.
#[derive(Debug)]
pub(crate) struct Pairings {
    parts: Parts,
    began: Instant,
    desk: Mutex<Desk>,
    /// Which stream speaks for a party: the newest.
    speaks: Mutex<BTreeMap<Party, u64>>,
    next: AtomicU64,
    /// What people here call those whom they accepted.
    names: Mutex<BTreeMap<Party, DeviceName>>,
    /// Those that this agent asked.
    claims: Mutex<BTreeMap<Party, Claiming>>,
    /// Streams of others that are served at once.
    places: Semaphore,
    /// Moves whenever a pairing does.
    turn: watch::Sender<u64>,
    telling: Telling,
    /// One end of a doubt at a time: the other side's word, or a person's here.
    settling: tokio::sync::Mutex<()>,
}

/// What comes of a person's word that a pairing shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// It has ended, or had already and is forgotten.
    Ended,
    /// Both sides have accepted, and it is being written down.
    Late,
    /// There is none.
    Nobody,
}

/// Why a pairing came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// One of the sides said so.
    #[error("{}", plain_words(*.0))]
    Said(Why),
    /// The link broke.
    #[error("{0}")]
    Lost(#[from] FrameError),
    /// The link broke when the other side may have kept it already.
    #[error("the link was lost at the very end")]
    Doubt,
    /// The other agent could not be reached, or is another.
    #[error("{0}")]
    Other(String),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Said(refusal.why())
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Other(error.message)
    }
}

impl Pairings {
    /// Reads which offers an earlier run left open, and which pairings in doubt. Blocks on `agent.db`.
    ///
    /// # Errors
    /// When `agent.db` cannot be read.
    pub(crate) fn open(parts: Parts) -> rusqlite::Result<Arc<Self>> {
        let kept = offers(&parts.state)?;
        let kept = kept.into_iter().filter(|it| it.purpose == Purpose::Agent);
        let began = Instant::now();
        let name = parts.members.own_name().clone();
        let desk = Desk::new(parts.host, name, kept.collect(), now(began));
        for host in Doubt::hosts(&parts.state)? {
            parts.members.await_word_of(host, true);
        }
        Ok(Arc::new(Self {
            began,
            desk: Mutex::new(desk),
            speaks: Mutex::default(),
            next: AtomicU64::new(1),
            names: Mutex::default(),
            claims: Mutex::default(),
            places: Semaphore::new(limits::PENDING.saturating_mul(2)),
            turn: watch::Sender::new(0),
            telling: Telling::default(),
            settling: tokio::sync::Mutex::default(),
            parts,
        }))
    }

    /// Makes an offer of this agent, which `ticket` tells how to reach. An earlier one no longer counts.
    ///
    /// # Errors
    /// `internal` when there are no random bytes, or `agent.db` cannot be written.
    pub(crate) async fn offer(&self, ticket: &str) -> Result<MadeOffer, Error> {
        self.put(Fresh::random()?, ticket, false).await
    }

    /// Makes an offer as [`offer`](Self::offer) does, which counts no longer than until `gone`.
    ///
    /// # Errors
    /// Those of [`offer`](Self::offer).
    pub(crate) async fn offer_until(
        self: &Arc<Self>,
        mesh: &Mesh,
        ticket: &str,
        gone: CancellationToken,
    ) -> Result<MadeOffer, Error> {
        let fresh = Fresh::random()?;
        let (pairings, secret) = (
            Arc::clone(self),
            fresh.verifier(Purpose::Agent, &self.parts.host),
        );
        let made = self.put(fresh, ticket, true).await?;
        mesh.spawn(async move {
            gone.cancelled().await;
            locked(&pairings.desk).let_go(&secret);
            if let Err(error) = pairings.settle().await {
                tracing::warn!(%error, "pairing");
            }
        });
        Ok(made)
    }

    async fn put(&self, fresh: Fresh, ticket: &str, is_held: bool) -> Result<MadeOffer, Error> {
        let host = self.parts.host;
        let expires_at = {
            let mut desk = locked(&self.desk);
            let expires_at = fresh.put(&mut desk, Purpose::Agent, &host, self.now());
            if is_held {
                desk.hold(Purpose::Agent);
            }
            expires_at
        };
        self.settle().await?;
        let offer = OfferText {
            host,
            place: ticket.to_owned(),
            proof: OfferSecret::Read(fresh.secret().clone()),
        };
        fresh.shown(offer.to_string(), expires_at)
    }

    /// Takes the offer back, and ends the pairings that came of it.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) async fn withdraw(&self) -> Result<(), Error> {
        locked(&self.desk).take_back(Purpose::Agent);
        self.settle().await
    }

    /// A person here says that the digits are the same, and what the other agent may.
    ///
    /// # Errors
    /// `bad_request` for what is no name, digits or rights; `conflict` when the digits differ, or there is nothing to accept any more.
    pub(crate) async fn accept(&self, party: &Party, wish: AcceptAgent) -> Result<(), Error> {
        let Said { digits, name } = Said::read(wish.digits.as_deref(), wish.name.as_deref())?;
        let rights = rights(wish.capabilities, wish.projects)?;
        let claimed = self.accept_claim(party, digits, name.as_ref(), &rights);
        let accepted = claimed.unwrap_or_else(|| {
            let accepted = locked(&self.desk).accept(party, digits, rights, self.now());
            if let (Ok(()), Some(name)) = (&accepted, name) {
                locked(&self.names).insert(*party, name);
            }
            accepted
        });
        self.settle().await?;
        accepted.map_err(told)
    }

    /// A person here does not want the pairing, or says that the digits differ.
    ///
    /// # Errors
    /// `not_found` when there is none, `conflict` when both sides have accepted and it is being written down.
    pub(crate) async fn refuse(&self, party: &Party, why: Why) -> Result<(), Error> {
        let settling = self.settling.lock().await;
        let in_doubt = |it: &Claiming| it.is_doubtful();
        if locked(&self.claims).get(party).is_some_and(in_doubt) {
            self.forget_doubt(*party).await?;
        }
        let ended = match self.end_claim(party, why) {
            Refused::Nobody => self.end_deal(party, why),
            ended => ended,
        };
        drop(settling);
        self.settle().await?;
        match ended {
            Refused::Ended => Ok(()),
            Refused::Late => Err(Error::new(
                Code::Conflict,
                "both sides have accepted; the two are paired in a moment",
            )
            .with_hint("Unpair it to end that.")),
            Refused::Nobody => Err(Error::not_found(
                "no agent of that id waits to be paired with this one",
            )),
        }
    }

    /// Ends a pairing that the other side asked for, or forgets one that has ended.
    fn end_deal(&self, party: &Party, why: Why) -> Refused {
        let mut desk = locked(&self.desk);
        if desk.standing(party).is_none() {
            return Refused::Nobody;
        }
        if desk.is_sealed(party) {
            return Refused::Late;
        }
        if !desk.end(party, why) {
            desk.forget(party);
        }
        Refused::Ended
    }

    /// Writes down the open offers, and tells everyone how it stands.
    async fn settle(&self) -> Result<(), Error> {
        self.tick();
        let kept = locked(&self.desk).kept();
        let state = Arc::clone(&self.parts.state);
        let written =
            tokio::task::spawn_blocking(move || set_offers(&state, Purpose::Agent, &kept)).await;
        self.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
        self.publish();
        written
            .map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| crate::core::state_failure(&error))
    }

    /// Ends what has been there for too long. Returns whether anything changed.
    fn tick(&self) -> bool {
        let mut desk = locked(&self.desk);
        let state = |desk: &Desk| (desk.pending(), desk.open(Purpose::Agent));
        let before = state(&desk);
        desk.tick(self.now());
        let alive =
            |party: &Party| !matches!(desk.standing(party), None | Some(Standing::Ended(_)));
        locked(&self.names).retain(|party, _| alive(party));
        let desk_changed = before != state(&desk);
        drop(desk);
        self.tick_claims() || desk_changed
    }

    /// Does what is due by the clock, until the agent stops.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                () = tokio::time::sleep(limits::DEVICE_TICK) => {}
            }
            if self.tick()
                && let Err(error) = self.settle().await
            {
                tracing::warn!(%error, "pairing");
            }
        }
    }

    /// Whether this agent's mesh has cut the other off for ever.
    fn is_revoked(&self, party: &Party) -> bool {
        self.parts.members.view().revoked.contains_key(party)
    }

    /// Returns what ended a pairing with `party`, for people. A revocation is told by the side that has made it.
    fn why_words(&self, party: &Party, why: Why) -> String {
        let members = &self.parts.members;
        match (why, members.unpaired_here(party)) {
            (Why::Revoked, Some((parting, _))) => parting.to_string(),
            (Why::Revoked, None) => members.unpaired_there(party).to_string(),
            _ => plain_words(why).to_owned(),
        }
    }

    /// Returns the same of any end.
    fn end_words(&self, party: &Party, end: &End) -> String {
        match end {
            End::Said(why) => self.why_words(party, *why),
            end => end.to_string(),
        }
    }

    /// Returns what this agent signs for the other.
    fn vouch(
        &self,
        party: Party,
        name: &DeviceName,
        rights: &Rights,
    ) -> Result<Vec<String>, Error> {
        self.parts.members.vouching(party, name, rights)
    }

    /// Returns what the other side signed of the two and of itself, if it vouches for this agent. What else it has to say is for members.
    fn vouched(&self, party: &Party, records: &[String]) -> Result<Vec<String>, End> {
        let vouches = |record: &Record| matches!(record.says(), Statement::Vouch { member, .. } if *member == self.parts.host);
        let of_itself = |record: &Record| {
            matches!(
                record.says(),
                Statement::Mesh { .. } | Statement::Place { .. }
            )
        };
        let own: Vec<Record> = records
            .iter()
            .filter_map(|text| Record::parse(text).ok())
            .filter(|it| it.by() == *party && (vouches(it) || of_itself(it)))
            .collect();
        if !own.iter().any(vouches) {
            return Err(End::Said(Why::Nonsense));
        }
        Ok(own.iter().map(|it| it.text().to_owned()).collect())
    }

    /// Works on the mesh's records.
    async fn of_members<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Members) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let members = Arc::clone(&self.parts.members);
        let done = tokio::task::spawn_blocking(move || work(&members)).await;
        done.map_err(|error| Error::internal(error.to_string()))?
    }

    fn now(&self) -> Now {
        now(self.began)
    }
}

fn now(began: Instant) -> Now {
    Now {
        wall: Time::now(),
        up: began.elapsed(),
    }
}

/// Reads what a person gives to another agent.
fn rights(capabilities: Option<String>, projects: Option<Vec<String>>) -> Result<Rights, Error> {
    let capabilities = capabilities.unwrap_or_else(|| TRUSTED.to_owned());
    let letters = capabilities.bytes().all(|it| it.is_ascii_alphanumeric());
    if !letters || capabilities.is_empty() || capabilities.len() > limits::DEVICE_NAME_BYTES {
        return Err(Error::bad_request("rights are letters, as Fossil has them"));
    }
    let code = |it: &String| libfossil::name::ProjectCode::parse(it.as_bytes()).is_ok();
    match projects {
        Some(projects) if projects.is_empty() || !projects.iter().all(code) => Err(
            Error::bad_request("name projects by their codes, or null for all"),
        ),
        projects => Ok(Rights {
            capabilities,
            projects: projects.unwrap_or_default(),
        }),
    }
}

/// Returns what ended a pairing, where it matters not with whom.
fn plain_words(why: Why) -> &'static str {
    match why {
        Why::Offer => {
            "The offer does not count, or no longer does. Make a new one on the other agent."
        }
        Why::Differ => "The digits differ. The two are not paired, and the offer is spent.",
        Why::Cancelled => "It was cancelled.",
        Why::Lost => "The link was lost before both had agreed. Make a new offer.",
        Why::Late => "It took too long.",
        Why::Version => {
            "The other agent speaks another version of pairing. Update EdgeSync here or there."
        }
        Why::Revoked => "One of the two has unpaired the other.",
        _ => "The two did not understand each other. Make a new offer.",
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single calls that leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
