//! The side that claims an offer.

use super::message::{Claim, DeviceName, Hello, Hex, Reveal, VERSION};
use super::offer::{OfferText, Purpose};
use super::proof::{Digits, HASH_BYTES, Nonce, Party, Verifier, commit, same};

/// Claims an offer: [`claim`](Self::claim), then [`hello`](Self::hello), then people compare.
#[derive(Debug)]
pub(crate) struct Claimant {
    me: Party,
    host: Party,
    verifier: Verifier,
    name: DeviceName,
    nonce: Nonce,
    commit: [u8; HASH_BYTES],
    met: Option<(DeviceName, Digits)>,
}

/// The offer cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClaimantError {
    /// It is this device's own.
    #[error("this offer was made here; open it on the other device")]
    Own,
    /// Who answered does not know the secret.
    #[error(
        "who answers there does not know the offer's secret; it is not the device that made the offer"
    )]
    Impostor,
    /// It answered twice.
    #[error("the other side said hello twice")]
    Twice,
}

impl Claimant {
    /// Returns a claimant of an offer. `nonce` is random, and for this claim alone.
    ///
    /// # Errors
    /// [`ClaimantError::Own`].
    pub(crate) fn new(
        me: Party,
        offer: &OfferText,
        purpose: Purpose,
        name: DeviceName,
        nonce: Nonce,
    ) -> Result<Self, ClaimantError> {
        Self::with(
            me,
            offer.host,
            offer.proof.verifier(&offer.host, purpose),
            name,
            nonce,
        )
    }

    /// Returns one that knocks at `host` without any offer: then only the digits tell that it is the right one.
    ///
    /// # Errors
    /// [`ClaimantError::Own`].
    pub(crate) fn knocking(
        me: Party,
        host: Party,
        name: DeviceName,
        nonce: Nonce,
    ) -> Result<Self, ClaimantError> {
        Self::with(
            me,
            host,
            Verifier::of_nothing(&host, Purpose::Agent),
            name,
            nonce,
        )
    }

    fn with(
        me: Party,
        host: Party,
        verifier: Verifier,
        name: DeviceName,
        nonce: Nonce,
    ) -> Result<Self, ClaimantError> {
        if me == host {
            return Err(ClaimantError::Own);
        }
        Ok(Self {
            me,
            host,
            verifier,
            name,
            nonce,
            commit: commit(&me, &nonce),
            met: None,
        })
    }

    /// Returns what to say first.
    pub(crate) fn claim(&self) -> Claim {
        Claim {
            version: VERSION,
            commit: Hex(self.commit),
            proof: Hex(self.verifier.claim(&self.host, &self.me, &self.commit)),
        }
    }

    /// Hears what the host answered, and returns what to say to that. Then there are [digits](Self::met).
    ///
    /// # Errors
    /// [`ClaimantError`]; nothing more is to be said then.
    pub(crate) fn hello(&mut self, hello: &Hello) -> Result<Reveal, ClaimantError> {
        let proof = self
            .verifier
            .hello(&self.host, &self.me, &self.commit, &hello.nonce.0);
        if !same(&proof, &hello.proof.0) {
            return Err(ClaimantError::Impostor);
        }
        if self.met.is_some() {
            return Err(ClaimantError::Twice);
        }
        let digits = self
            .verifier
            .digits(&self.host, &self.me, &hello.nonce.0, &self.nonce);
        self.met = Some((hello.name.clone(), digits));
        Ok(Reveal {
            nonce: Hex(self.nonce),
            name: self.name.clone(),
        })
    }

    /// Returns the host's name and the digits to compare, once it has said hello.
    pub(crate) fn met(&self) -> Option<(&DeviceName, Digits)> {
        self.met.as_ref().map(|(name, digits)| (name, *digits))
    }
}
