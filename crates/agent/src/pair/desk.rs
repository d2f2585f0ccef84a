//! The side that offers. It keeps the live offers, and whoever has claimed one until both sides are decided.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Claim, DeviceName, Hello, Hex, Reveal, VERSION, Why};
use super::offer::Purpose;
use super::proof::{Digits, HASH_BYTES, Nonce, Party, Verifier, commit, same};
use crate::api::Time;
use crate::limits;

/// The time, on two clocks: the wall's, which people set and which goes on while the machine sleeps, and one that only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall: Time,
    /// Since the agent's start.
    pub(crate) up: Duration,
}

/// What a person gives to a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Fossil's letters.
    pub(crate) capabilities: String,
    /// The codes or names of the projects that they count in; all when there is none.
    pub(crate) projects: Vec<String>,
}

/// An offer as `agent.db` keeps it.
#[derive(Debug, Clone)]
pub(crate) struct KeptOffer {
    pub(crate) purpose: Purpose,
    pub(crate) secret: Verifier,
    pub(crate) typed: Verifier,
    pub(crate) made: Time,
    pub(crate) tries: u8,
}

/// Someone who has claimed an offer, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) party: Party,
    pub(crate) purpose: Purpose,
    /// Whether it knew an offer's secret, or just knocked.
    pub(crate) knows_secret: bool,
    pub(crate) since: Time,
    /// Until when both have to be decided.
    pub(crate) until: Time,
    pub(crate) standing: Standing,
}

/// How far a pairing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The other side has not shown its part of the digits.
    Meeting,
    /// People compare.
    Comparing {
        name: DeviceName,
        digits: Digits,
        /// What a person here has accepted.
        accepted: Option<Rights>,
        /// Whether the other side has accepted as well; what is left is to tell each other.
        agreed: bool,
    },
    /// It has ended, and they are not paired.
    Ended(Why),
}

/// Both sides are paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paired {
    pub(crate) party: Party,
    pub(crate) purpose: Purpose,
    pub(crate) name: DeviceName,
    pub(crate) rights: Rights,
}

/// What was asked is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// There is no such offer, or none any more. Strangers are not told which.
    #[error("this offer does not count, or no longer does; make a new one")]
    Offer,
    /// The other side speaks another version.
    #[error("the other device speaks another version of pairing; update EdgeSync here or there")]
    Version,
    /// The other side says what makes no sense.
    #[error("the other device did not keep to the form")]
    Nonsense,
    /// Too many wait already.
    #[error("too many devices wait to be paired")]
    Full,
    /// Nobody of that id waits.
    #[error("no device of that id waits to be paired")]
    Unknown,
    /// There are no digits yet.
    #[error("the other device has not shown its digits yet")]
    NotYet,
    /// The digits are others.
    #[error("the digits differ; the two are not paired, and the offer is spent")]
    Differ,
    /// It has ended already.
    #[error("this pairing has ended")]
    Ended(Why),
}

impl Refusal {
    /// Returns what the other side is told.
    pub(crate) fn why(self) -> Why {
        match self {
            Self::Version => Why::Version,
            Self::Nonsense | Self::NotYet => Why::Nonsense,
            Self::Differ => Why::Differ,
            Self::Ended(why) => why,
            Self::Offer | Self::Full | Self::Unknown => Why::Offer,
        }
    }
}

/// Offers, and those who claimed one.
#[derive(Debug)]
pub(crate) struct Desk {
    host: Party,
    name: DeviceName,
    offers: BTreeMap<Purpose, Offer>,
    deals: BTreeMap<Party, Deal>,
}

#[derive(Debug)]
struct Offer {
    secret: Verifier,
    typed: Verifier,
    made: Now,
    tries: u8,
    /// It counts while somebody holds it: an end of this agent is its end as well.
    is_held: bool,
}

#[derive(Debug)]
struct Deal {
    purpose: Purpose,
    verifier: Verifier,
    /// What it has claimed; nothing when it just knocked.
    offer: Option<Offer>,
    commit: [u8; HASH_BYTES],
    nonce: Nonce,
    since: Now,
    standing: Standing,
    /// What came of it is being written down: nobody ends it any more.
    sealed: bool,
}

impl Now {
    /// Whether no more than `life` has passed on either clock, and the wall's was not put back.
    fn is_within(self, life: Duration, since: Self) -> bool {
        let passed = self
            .wall
            .unix_millis()
            .saturating_sub(since.wall.unix_millis());
        let millis = |of: Duration| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
        (-millis(limits::CLOCK_SLACK)..millis(life)).contains(&passed)
            && self.up.saturating_sub(since.up) < life
    }
}

impl Desk {
    /// Returns the desk of `host`, with the offers that an earlier run left open. Who had claimed one then must begin anew.
    pub(crate) fn new(host: Party, name: DeviceName, kept: Vec<KeptOffer>, now: Now) -> Self {
        let restore = |kept: KeptOffer| {
            let age = now
                .wall
                .unix_millis()
                .saturating_sub(kept.made.unix_millis());
            let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            // What has passed on the clock that only goes forward is what has passed on the wall's, as nothing better is known.
            let made = Now {
                wall: kept.made,
                up: now.up.saturating_sub(age),
            };
            let life = limits::OFFER_LIFE.saturating_sub(age);
            let offer = Offer {
                secret: kept.secret,
                typed: kept.typed,
                made,
                tries: kept.tries,
                is_held: false,
            };
            (!life.is_zero()).then_some((kept.purpose, offer))
        };
        let mut desk = Self {
            host,
            name,
            offers: kept.into_iter().filter_map(restore).collect(),
            deals: BTreeMap::new(),
        };
        desk.tick(now);
        desk
    }

    /// Makes an offer. The earlier one for the same purpose no longer counts.
    pub(crate) fn offer(&mut self, purpose: Purpose, secret: Verifier, typed: Verifier, now: Now) {
        let offer = Offer {
            secret,
            typed,
            made: now,
            tries: limits::OFFER_TRIES,
            is_held: false,
        };
        self.offers.insert(purpose, offer);
    }

    /// Has the open offer end with this agent.
    pub(crate) fn hold(&mut self, purpose: Purpose) {
        if let Some(offer) = self.offers.get_mut(&purpose) {
            offer.is_held = true;
        }
    }

    /// Takes back the offer with this secret, and no other, and ends the pairings that came of it.
    pub(crate) fn let_go(&mut self, secret: &Verifier) {
        let is_it = |offer: &Offer| offer.secret.is(secret);
        self.offers.retain(|_, offer| !is_it(offer));
        for deal in self.deals.values_mut() {
            if deal.offer.as_ref().is_some_and(is_it) {
                deal.end(Why::Cancelled);
            }
        }
    }

    /// Takes an offer back. Returns whether there was one.
    pub(crate) fn withdraw(&mut self, purpose: Purpose) -> bool {
        self.offers.remove(&purpose).is_some()
    }

    /// Takes an offer back, and ends the pairings that came of one.
    pub(crate) fn take_back(&mut self, purpose: Purpose) {
        self.withdraw(purpose);
        for deal in self.deals.values_mut() {
            if deal.purpose == purpose && deal.offer.is_some() {
                deal.end(Why::Cancelled);
            }
        }
    }

    /// Returns the open offers, for `agent.db`.
    pub(crate) fn kept(&self) -> Vec<KeptOffer> {
        let kept = |(purpose, offer): (&Purpose, &Offer)| KeptOffer {
            purpose: *purpose,
            secret: offer.secret,
            typed: offer.typed,
            made: offer.made.wall,
            tries: offer.tries,
        };
        let lasting = self.offers.iter().filter(|(_, offer)| !offer.is_held);
        lasting.map(kept).collect()
    }

    /// Hears a claim by `party`, and returns what to say to it. `nonce` is random, and for this answer alone.
    ///
    /// # Errors
    /// [`Refusal`]. A wrong proof takes a try from the offer, the last one the offer itself. When a second device proves that it knows the secret,
    /// one of the two has no right to it: neither is paired.
    pub(crate) fn claim(
        &mut self,
        party: Party,
        purpose: Purpose,
        claim: &Claim,
        nonce: Nonce,
        now: Now,
    ) -> Result<Hello, Refusal> {
        self.tick(now);
        if claim.version != VERSION {
            return Err(Refusal::Version);
        }
        if party == self.host || self.is_sealed(&party) {
            return Err(Refusal::Nonsense);
        }
        let host = self.host;
        let proves = |verifier: &Verifier| {
            same(
                &verifier.claim(&host, &party, &claim.commit.0),
                &claim.proof.0,
            )
        };
        let open = Verifier::of_nothing(&host, purpose);
        let (verifier, offer) = if purpose == Purpose::Agent && proves(&open) {
            (open, None)
        } else {
            self.end_claimed(&proves);
            let offer = self.offers.get_mut(&purpose).ok_or(Refusal::Offer)?;
            match [offer.secret, offer.typed]
                .into_iter()
                .find(|verifier| proves(verifier))
            {
                Some(verifier) => (verifier, self.offers.remove(&purpose)),
                None => {
                    offer.tries = offer.tries.saturating_sub(1);
                    if offer.tries == 0 {
                        self.offers.remove(&purpose);
                    }
                    return Err(Refusal::Offer);
                }
            }
        };
        // Who comes again begins again; what it had claimed before is spent.
        if self.deals.len() >= limits::PENDING && !self.deals.contains_key(&party) {
            return Err(Refusal::Full);
        }
        let proof = verifier.hello(&host, &party, &claim.commit.0, &nonce);
        self.deals.insert(
            party,
            Deal {
                purpose,
                verifier,
                offer,
                commit: claim.commit.0,
                nonce,
                since: now,
                standing: Standing::Meeting,
                sealed: false,
            },
        );
        Ok(Hello {
            nonce: Hex(nonce),
            proof: Hex(proof),
            name: self.name.clone(),
        })
    }

    /// Ends the pairings of those whose offer somebody else proves to know as well.
    fn end_claimed(&mut self, proves: &impl Fn(&Verifier) -> bool) {
        for deal in self.deals.values_mut() {
            let known = deal
                .offer
                .as_ref()
                .is_some_and(|offer| proves(&offer.secret) || proves(&offer.typed));
            if known {
                deal.end(Why::Offer);
            }
        }
    }

    /// Hears the part that `party` had bound itself to, and returns the digits that both sides show now.
    ///
    /// # Errors
    /// [`Refusal`]; the pairing has ended then.
    pub(crate) fn reveal(
        &mut self,
        party: &Party,
        reveal: &Reveal,
        now: Now,
    ) -> Result<Digits, Refusal> {
        let host = self.host;
        let deal = self.deal(party, now)?;
        let fits = same(&commit(party, &reveal.nonce.0), &deal.commit);
        if !fits || deal.standing != Standing::Meeting {
            deal.standing = Standing::Ended(Why::Nonsense);
            return Err(Refusal::Nonsense);
        }
        let digits = deal
            .verifier
            .digits(&host, party, &deal.nonce, &reveal.nonce.0);
        deal.standing = Standing::Comparing {
            name: reveal.name.clone(),
            digits,
            accepted: None,
            agreed: false,
        };
        Ok(digits)
    }

    /// A person here has said that the digits are the same, or has typed those that the other side shows.
    ///
    /// # Errors
    /// [`Refusal`]; after [`Refusal::Differ`] the pairing has ended.
    pub(crate) fn accept(
        &mut self,
        party: &Party,
        typed: Option<Digits>,
        rights: Rights,
        now: Now,
    ) -> Result<(), Refusal> {
        let deal = self.deal(party, now)?;
        let Standing::Comparing {
            digits, accepted, ..
        } = &mut deal.standing
        else {
            return Err(Refusal::NotYet);
        };
        if typed.is_some_and(|typed| typed != *digits) {
            deal.standing = Standing::Ended(Why::Differ);
            return Err(Refusal::Differ);
        }
        accepted.get_or_insert(rights);
        Ok(())
    }

    /// The other side has accepted as well; it does so last. Returns what it is paired as, once [`finish`](Self::finish) says so.
    ///
    /// # Errors
    /// [`Refusal`]; one that accepts before a person here has ends the pairing.
    pub(crate) fn agree(&mut self, party: &Party, now: Now) -> Result<Paired, Refusal> {
        let deal = self.deal(party, now)?;
        match &mut deal.standing {
            Standing::Comparing {
                name,
                accepted: Some(rights),
                agreed,
                ..
            } if !*agreed => {
                *agreed = true;
                Ok(Paired {
                    party: *party,
                    purpose: deal.purpose,
                    name: name.clone(),
                    rights: rights.clone(),
                })
            }
            standing => {
                *standing = Standing::Ended(Why::Nonsense);
                Err(Refusal::Nonsense)
            }
        }
    }

    /// The other side knows that both have agreed: from now on they are paired.
    ///
    /// # Errors
    /// [`Refusal`]; one that comes before its time ends the pairing.
    pub(crate) fn finish(&mut self, party: &Party, now: Now) -> Result<(), Refusal> {
        let deal = self.deal(party, now)?;
        if matches!(deal.standing, Standing::Comparing { agreed: true, .. }) {
            self.deals.remove(party);
            Ok(())
        } else {
            deal.standing = Standing::Ended(Why::Nonsense);
            Err(Refusal::Nonsense)
        }
    }

    /// Both have agreed, and what came of it is written down next: until [`finish`](Self::finish) nobody ends it.
    ///
    /// # Errors
    /// [`Refusal`] when somebody has ended it, or it is not so far.
    pub(crate) fn seal(&mut self, party: &Party, now: Now) -> Result<(), Refusal> {
        let deal = self.deal(party, now)?;
        if !matches!(deal.standing, Standing::Comparing { agreed: true, .. }) {
            return Err(Refusal::Nonsense);
        }
        deal.sealed = true;
        Ok(())
    }

    /// What came of it could not be written down: it can be ended again.
    pub(crate) fn unseal(&mut self, party: &Party) {
        if let Some(deal) = self.deals.get_mut(party) {
            deal.sealed = false;
        }
    }

    /// Whether nobody ends the pairing with `party` any more.
    pub(crate) fn is_sealed(&self, party: &Party) -> bool {
        self.deals.get(party).is_some_and(|deal| deal.sealed)
    }

    /// Ends a pairing. Returns whether there was one that could be ended.
    pub(crate) fn end(&mut self, party: &Party, why: Why) -> bool {
        let deal = self.deals.get_mut(party);
        deal.is_some_and(|deal| deal.end(why))
    }

    /// Forgets a pairing that has ended.
    pub(crate) fn forget(&mut self, party: &Party) {
        if matches!(self.standing(party), Some(Standing::Ended(_))) {
            self.deals.remove(party);
        }
    }

    /// Ends what has been there for too long, and forgets what ended long ago.
    pub(crate) fn tick(&mut self, now: Now) {
        self.offers
            .retain(|_, offer| now.is_within(limits::OFFER_LIFE, offer.made));
        let life = |deal: &Deal| match deal.standing {
            Standing::Ended(_) => limits::DECISION_LIFE.saturating_add(limits::ENDED_SHOWN),
            _ => limits::DECISION_LIFE,
        };
        self.deals.retain(|_, deal| {
            let ended = matches!(deal.standing, Standing::Ended(_));
            !ended || now.is_within(life(deal), deal.since)
        });
        for deal in self.deals.values_mut() {
            if !now.is_within(life(deal), deal.since) {
                deal.end(Why::Late);
            }
        }
    }

    /// Returns who waits to be paired, and who was refused a moment ago.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        let shown = |(party, deal): (&Party, &Deal)| Pending {
            party: *party,
            purpose: deal.purpose,
            knows_secret: deal.offer.is_some(),
            since: deal.since.wall,
            until: after(deal.since.wall, limits::DECISION_LIFE),
            standing: deal.standing.clone(),
        };
        self.deals.iter().map(shown).collect()
    }

    /// Returns how far the pairing with `party` is.
    pub(crate) fn standing(&self, party: &Party) -> Option<&Standing> {
        self.deals.get(party).map(|deal| &deal.standing)
    }

    /// Returns until when the offer for a purpose counts, and how many tries it has left.
    pub(crate) fn open(&self, purpose: Purpose) -> Option<(Time, u8)> {
        let offer = self.offers.get(&purpose)?;
        Some((after(offer.made.wall, limits::OFFER_LIFE), offer.tries))
    }

    fn deal(&mut self, party: &Party, now: Now) -> Result<&mut Deal, Refusal> {
        self.tick(now);
        let deal = self.deals.get_mut(party).ok_or(Refusal::Unknown)?;
        match deal.standing {
            Standing::Ended(why) => Err(Refusal::Ended(why)),
            _ => Ok(deal),
        }
    }
}

impl Deal {
    /// Returns whether it could be ended.
    fn end(&mut self, why: Why) -> bool {
        let open = !self.sealed && !matches!(self.standing, Standing::Ended(_));
        if open {
            self.standing = Standing::Ended(why);
        }
        open
    }
}

fn after(time: Time, life: Duration) -> Time {
    let millis = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    Time::from_unix_millis(time.unix_millis().saturating_add(millis))
}
