//! A new offer: its secrets, what the desk keeps of them, and what people are shown.

use super::code::{Secret, TypedCode};
use super::desk::{Desk, Now};
use super::offer::{OfferSecret, Purpose};
use super::proof::{Party, Verifier};
use crate::api::{Error, MadeOffer, Time};

/// The secrets of an offer that is being made, in both forms.
#[derive(Debug)]
pub(crate) struct Fresh {
    secret: Secret,
    typed: TypedCode,
}

impl Fresh {
    /// Returns new secrets.
    ///
    /// # Errors
    /// `internal` when the system has no random bytes.
    pub(crate) fn random() -> Result<Self, Error> {
        let fresh = || {
            let (secret, typed) = (Secret::random()?, TypedCode::random()?);
            Ok::<_, getrandom::Error>(Self { secret, typed })
        };
        fresh().map_err(no_random)
    }

    /// The secret as machines read it.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What tells the offer from others.
    pub(crate) fn verifier(&self, purpose: Purpose, host: &Party) -> Verifier {
        OfferSecret::Read(self.secret.clone()).verifier(host, purpose)
    }

    /// Has the desk take who knows these. Returns until when they count.
    pub(crate) fn put(&self, desk: &mut Desk, purpose: Purpose, host: &Party, now: Now) -> Time {
        let read = self.verifier(purpose, host);
        let typed = OfferSecret::Typed(self.typed.clone()).verifier(host, purpose);
        desk.offer(purpose, read, typed, now);
        desk.open(purpose).map_or(now.wall, |(until, _)| until)
    }

    /// Returns what people are shown of it, once.
    ///
    /// # Errors
    /// `internal` when `url` is too long for a QR code.
    pub(crate) fn shown(&self, url: String, expires_at: Time) -> Result<MadeOffer, Error> {
        let (svg, text) = crate::qr::draw(&url)
            .ok_or_else(|| Error::internal("the offer does not fit into a QR code"))?;
        Ok(MadeOffer {
            url,
            code: self.typed.to_string(),
            svg,
            text,
            expires_at,
        })
    }
}

/// Returns the error of a system without random bytes.
pub(crate) fn no_random(error: getrandom::Error) -> Error {
    Error::internal(format!("the system gives no random bytes: {error}"))
}
