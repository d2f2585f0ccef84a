//! The side that claims an offer, or knocks at an agent of which it has the ticket.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use edgesync_tunnel::{PeerId, Ticket};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::doubt::Doubt;
use super::{End, Pairings, Refused, locked, plain_words};
use crate::api::{
    ClaimOffer, Code, Error, Level, PairedBy, PendingAgent, PendingDevice, PendingState, Time,
};
use crate::frames;
use crate::limits;
use crate::mesh::{JoinUrl, Mesh};
use crate::pair::{
    Claimant, DeviceName, Digits, Message, OfferSecret, OfferText, Party, Purpose, Refusal, Rights,
    Why, no_random,
};

/// What is said of a pairing whose end this side has not heard.
const IN_DOUBT: &str =
    "The link was lost at the very end. The other side is asked again whether the two are paired.";

/// A pairing that this agent asked for.
#[derive(Debug)]
pub(super) struct Claiming {
    since: Time,
    began: Instant,
    met: Option<(DeviceName, Digits)>,
    accepted: Option<(Option<DeviceName>, Rights)>,
    /// Why it has ended.
    ended: Option<String>,
    /// What a person here wants it to end with.
    refused: Option<Why>,
    /// This side has said that it has everything, or is about to: nobody here ends it any more.
    sealed: bool,
    /// The link was lost at the very end: only the other side knows whether the two are paired.
    doubtful: bool,
}

/// Whom to ask, where, and with what.
#[derive(Debug)]
pub(super) struct Aim {
    ticket: Ticket,
    proof: Option<OfferSecret>,
}

impl Claiming {
    fn new() -> Self {
        Self {
            since: Time::now(),
            began: Instant::now(),
            met: None,
            accepted: None,
            ended: None,
            refused: None,
            sealed: false,
            doubtful: false,
        }
    }

    /// One of an earlier run, of which only the other side knows how it ended.
    pub(super) fn doubtful() -> Self {
        Self {
            doubtful: true,
            ..Self::new()
        }
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    pub(super) fn show(&self, party: &Party) -> PendingAgent {
        let state = match (&self.ended, &self.accepted, &self.met) {
            (Some(_), ..) => PendingState::Ended,
            (None, ..) if self.doubtful => PendingState::Accepted,
            (None, Some(_), _) => PendingState::Accepted,
            (None, None, Some(_)) => PendingState::Comparing,
            (None, None, None) => PendingState::Meeting,
        };
        let life = i64::try_from(limits::DECISION_LIFE.as_millis()).unwrap_or(i64::MAX);
        let alive = self.met.as_ref().filter(|_| self.ended.is_none());
        let other = PendingDevice {
            id: party.to_string(),
            name: alive.map(|(name, _)| name.to_string()),
            digits: alive.map(|(_, digits)| digits.to_string()),
            state,
            why: match self.doubtful && self.ended.is_none() {
                true => Some(IN_DOUBT.to_owned()),
                false => self.ended.clone(),
            },
            since: self.since,
            until: Time::from_unix_millis(self.since.unix_millis().saturating_add(life)),
        };
        PendingAgent {
            other,
            by: PairedBy::Here,
        }
    }
}

impl Aim {
    pub(super) fn of(wish: &ClaimOffer) -> Result<Self, Error> {
        let text = wish.offer.trim();
        let bad = |error: &dyn std::fmt::Display| Error::bad_request(error.to_string());
        if text.starts_with("edgesync-pair:") {
            let offer: OfferText = text.parse().map_err(|error| bad(&error))?;
            let ticket = match offer.place.is_empty() {
                true => Ticket::of(PeerId::from(*offer.host.as_bytes())),
                false => offer.place.parse().map_err(|error| bad(&error))?,
            };
            if ticket.peer.as_bytes() != offer.host.as_bytes() {
                return Err(Error::bad_request(
                    "the offer is damaged: its ticket is another agent's",
                ));
            }
            return Ok(Self {
                ticket,
                proof: Some(offer.proof),
            });
        }
        let plain = text.strip_prefix("iroh:").unwrap_or(text);
        let ticket = match plain.parse::<PeerId>() {
            Ok(peer) => Ticket::of(peer),
            Err(_) => plain.parse().map_err(|error| bad(&error))?,
        };
        let code = wish.code.as_deref().map(str::trim);
        let code = code.filter(|code| !code.is_empty());
        let proof = code.map(str::parse).transpose().map_err(|_| {
            Error::bad_request("a code is written XXXX-XXXX-XXXX, in the letters that are shown")
        })?;
        Ok(Self {
            ticket,
            proof: proof.map(OfferSecret::Typed),
        })
    }

    fn party(&self) -> Party {
        Party::from(*self.ticket.peer.as_bytes())
    }
}

impl Pairings {
    /// Begins to claim an offer over the tunnel of `mesh`; how it goes is told by events. Returns who made the offer.
    ///
    /// # Errors
    /// `bad_request` for what is no offer, ticket or code, `conflict` when it cannot be claimed.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        mesh: &Arc<Mesh>,
        wish: &ClaimOffer,
    ) -> Result<PendingAgent, Error> {
        let aim = Aim::of(wish)?;
        let (claimant, shown) = self.prepare(&aim)?;
        // Who begins anew waits for no answer of the time before.
        self.forget_doubt(aim.party()).await?;
        self.settle().await?;
        let (pairings, mesh) = (Arc::clone(self), Arc::clone(mesh));
        mesh.clone().spawn(async move {
            pairings.run_claim(&mesh, &aim, claimant).await;
        });
        Ok(shown)
    }

    /// Returns what claims an offer, once for each agent at a time.
    pub(super) fn prepare(&self, aim: &Aim) -> Result<(Claimant, PendingAgent), Error> {
        let (me, host, name) = (
            self.parts.host,
            aim.party(),
            self.parts.members.own_name().clone(),
        );
        let nonce = crate::text::random().map_err(no_random)?;
        let claimant = match &aim.proof {
            Some(proof) => {
                let offer = OfferText {
                    host,
                    place: String::new(),
                    proof: proof.clone(),
                };
                Claimant::new(me, &offer, Purpose::Agent, name, nonce)
            }
            None => Claimant::knocking(me, host, name, nonce),
        };
        let claimant = claimant.map_err(|error| Error::new(Code::Conflict, error.to_string()))?;
        let mut claims = locked(&self.claims);
        if claims
            .get(&host)
            .is_some_and(|it| it.ended.is_none() && !it.doubtful)
        {
            let words = "this agent is being paired with that one already";
            return Err(Error::new(Code::Conflict, words));
        }
        if claims.len() >= limits::PENDING && !claims.contains_key(&host) {
            return Err(Error::new(
                Code::Conflict,
                "too many pairings are under way",
            ));
        }
        let claiming = Claiming::new();
        let shown = claiming.show(&host);
        claims.insert(host, claiming);
        Ok((claimant, shown))
    }

    /// Claims an offer, and ends with a link to its maker or with nothing.
    async fn run_claim(&self, mesh: &Arc<Mesh>, aim: &Aim, claimant: Claimant) {
        let host = aim.party();
        let claimed = async {
            let stream = mesh.pair_stream(&aim.ticket).await;
            let stream = stream.map_err(|error| End::Other(error.to_string()))?;
            self.claim_over(aim, claimant, stream).await
        };
        let claimed = claimed.await;
        // Whatever else went wrong as well.
        let claimed = claimed.map_err(|end| match self.is_revoked(&host) {
            true => End::Said(Why::Revoked),
            false => end,
        });
        mesh.pair_over(&aim.ticket);
        match claimed {
            Ok(()) => self.link(mesh, &aim.ticket).await,
            Err(End::Doubt) => {
                self.publish();
                self.ask_until_settled(mesh, host).await;
            }
            Err(end) => self.claim_ended(&host, &end),
        }
        if let Err(error) = self.settle().await {
            let words = format!("{}: {host}", error.message);
            self.parts.events.log(Level::Error, None, words);
        }
    }

    /// Makes a link to an agent that this one was just paired with, now and after each start.
    pub(super) async fn link(&self, mesh: &Arc<Mesh>, ticket: &Ticket) {
        mesh.meet_member(ticket).await;
        let joined = match JoinUrl::over_tunnel(&ticket.to_string()) {
            Ok(url) => mesh.add_join(url).await.map(drop),
            Err(error) => Err(Error::internal(error.to_string())),
        };
        match joined {
            // One that is there already is as good.
            Err(error) if error.code != Code::Conflict => {
                let words = format!("{}: {}", error.message, ticket.peer);
                self.parts.events.log(Level::Error, None, words);
            }
            _ => {}
        }
    }

    pub(super) fn claim_ended(&self, host: &Party, end: &End) {
        let words = self.end_words(host, end);
        let log = format!("not paired: {words} ({host})");
        self.parts.events.log(Level::Warn, None, log);
        if let Some(claiming) = locked(&self.claims).get_mut(host) {
            let refused = claiming.refused.map(plain_words);
            claiming.ended = Some(refused.map_or(words, str::to_owned));
        }
    }

    /// Claims over a stream whose other end is certainly the host, until the two are paired or it came to nothing.
    pub(super) async fn claim_over<S>(
        &self,
        aim: &Aim,
        mut claimant: Claimant,
        stream: S,
    ) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = aim.party();
        let (mut from, mut to) = tokio::io::split(stream);
        let agree = self.claim_through(host, &mut claimant, &mut from, &mut to);
        // Nothing of it may last longer than the time that people have.
        let life = limits::DECISION_LIFE.saturating_add(limits::FRAME_STALL);
        let agreed = timeout(life, agree).await;
        let ended = match agreed.unwrap_or(Err(End::Said(Why::Late))) {
            Ok(records) => {
                let ticket = aim.ticket.to_string();
                let doubt = Doubt { ticket, records };
                self.close_claim(host, doubt, &mut from, &mut to).await
            }
            Err(end) => Err(end),
        };
        if let Err(End::Said(why)) = &ended {
            let _ = frames::write(&mut to, &Message::Refuse { why: *why }).await;
            let _ = to.shutdown().await;
            // It is heard before the connection is closed.
            let _ = timeout(limits::REFUSAL_HEARD, from.read_u8()).await;
        }
        ended
    }

    /// Both sides have agreed: says that this one has what the other signed, and keeps it once the other does.
    async fn close_claim(
        &self,
        host: Party,
        doubt: Doubt,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), End> {
        self.doubt(host, doubt).await?;
        // Whoever ended it until now is heard.
        if let Err(end) = self.seal_claim(&host) {
            self.forget_doubt(host).await?;
            return Err(end);
        }
        let said = frames::write(to, &Message::Bye).await;
        // It has kept everything when it ends the stream in order.
        let end = timeout(limits::FRAME_STALL, from.read(&mut [0])).await;
        if said.is_err() || !matches!(end, Ok(Ok(0))) {
            if let Some(claiming) = locked(&self.claims).get_mut(&host) {
                claiming.doubtful = true;
            }
            return Err(End::Doubt);
        }
        self.settle_doubt(host, true).await?;
        let _ = to.shutdown().await;
        Ok(())
    }

    /// Returns what both sides signed, once people on both have accepted.
    async fn claim_through(
        &self,
        host: Party,
        claimant: &mut Claimant,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Vec<String>, End> {
        frames::write(to, &Message::Claim(claimant.claim())).await?;
        let hello = match frames::read(from, limits::MEMBER_FRAME_BYTES).await? {
            Message::Hello(hello) => hello,
            Message::Refuse { why } => return Err(End::Said(why)),
            _ => return Err(End::Said(Why::Nonsense)),
        };
        // Only now, so that whoever has made the offer hears who has unpaired whom.
        if self.is_revoked(&host) {
            return Err(End::Said(Why::Revoked));
        }
        let reveal = claimant.hello(&hello);
        let reveal = reveal.map_err(|error| End::Other(error.to_string()))?;
        frames::write(to, &Message::Reveal(reveal)).await?;
        let met = claimant.met().map(|(name, digits)| (name.clone(), digits));
        let (name, _) = met.clone().ok_or(End::Said(Why::Nonsense))?;
        if let Some(claiming) = locked(&self.claims).get_mut(&host) {
            claiming.met = met;
        }
        self.settle().await?;
        let (called, rights) = self.both_accepted(&host, from).await?;
        let ours = self.vouch(host, &called.unwrap_or(name), &rights)?;
        let records = ours.clone();
        frames::write(to, &Message::Done { records }).await?;
        let theirs = match frames::read(from, limits::MEMBER_FRAME_BYTES).await? {
            Message::Paired { records } => self.vouched(&host, &records)?,
            Message::Refuse { why } => return Err(End::Said(why)),
            _ => return Err(End::Said(Why::Nonsense)),
        };
        Ok([ours, theirs].concat())
    }

    /// Waits until people on both sides have accepted. Returns what a person here calls the other, and gives to it.
    async fn both_accepted(
        &self,
        host: &Party,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<(Option<DeviceName>, Rights), End> {
        let mut turns = self.turn.subscribe();
        let mut there = false;
        loop {
            // Also once the other side has accepted: it may end it yet, or be gone.
            let mut heard = pin!(frames::wait::<Message>(from, limits::MEMBER_FRAME_BYTES));
            let message = loop {
                turns.mark_unchanged();
                if let Some(accepted) = self.accepted_here(host)?.filter(|_| there) {
                    return Ok(accepted);
                }
                tokio::select! {
                    message = &mut heard => break message?,
                    _ = turns.changed() => {}
                    () = self.parts.stopped.cancelled() => return Err(End::Said(Why::Cancelled)),
                }
            };
            match message {
                Message::Accept if !there => there = true,
                Message::Refuse { why } => return Err(End::Said(why)),
                _ => return Err(End::Said(Why::Nonsense)),
            }
        }
    }

    /// Returns what a person here has accepted by now.
    fn accepted_here(&self, host: &Party) -> Result<Option<(Option<DeviceName>, Rights)>, End> {
        let claims = locked(&self.claims);
        let claiming = claims.get(host).ok_or(End::Said(Why::Cancelled))?;
        match claiming.refused {
            Some(why) => Err(End::Said(why)),
            None => Ok(claiming.accepted.clone()),
        }
    }

    /// A person here accepts a pairing that this agent asked for; nothing when it asked for none.
    pub(super) fn accept_claim(
        &self,
        party: &Party,
        typed: Option<Digits>,
        name: Option<&DeviceName>,
        rights: &Rights,
    ) -> Option<Result<(), Refusal>> {
        let mut claims = locked(&self.claims);
        let claiming = claims.get_mut(party)?;
        if claiming.ended.is_some() || claiming.refused.is_some() {
            return Some(Err(Refusal::Ended(Why::Cancelled)));
        }
        let Some((_, digits)) = &claiming.met else {
            return Some(Err(Refusal::NotYet));
        };
        if typed.is_some_and(|typed| typed != *digits) {
            claiming.refused = Some(Why::Differ);
            return Some(Err(Refusal::Differ));
        }
        claiming
            .accepted
            .get_or_insert_with(|| (name.cloned(), rights.clone()));
        Some(Ok(()))
    }

    /// Lets nobody here end it any more.
    fn seal_claim(&self, host: &Party) -> Result<(), End> {
        let mut claims = locked(&self.claims);
        let claiming = claims.get_mut(host).ok_or(End::Said(Why::Cancelled))?;
        match claiming.refused {
            Some(why) => Err(End::Said(why)),
            None => {
                claiming.sealed = true;
                Ok(())
            }
        }
    }

    /// A person here ends a pairing that this agent asked for.
    pub(super) fn end_claim(&self, party: &Party, why: Why) -> Refused {
        let mut claims = locked(&self.claims);
        match claims.get_mut(party) {
            Some(claiming) if claiming.ended.is_none() && !claiming.doubtful => {
                if claiming.sealed {
                    return Refused::Late;
                }
                claiming.refused.get_or_insert(why);
                Refused::Ended
            }
            // What came of it has been read.
            Some(_) => {
                claims.remove(party);
                Refused::Ended
            }
            None => Refused::Nobody,
        }
    }

    /// Forgets claims that ended long ago. Returns whether there were any.
    pub(super) fn tick_claims(&self) -> bool {
        let mut claims = locked(&self.claims);
        let before = claims.len();
        let life = limits::DECISION_LIFE.saturating_add(limits::ENDED_SHOWN);
        claims.retain(|_, it| it.ended.is_none() || it.began.elapsed() < life);
        claims.len() != before
    }
}
