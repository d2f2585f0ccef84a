//! Pairing: how two devices that know nothing of each other come to trust each other, by people who look at both screens.
//!
//! One side makes an [offer](offer): a secret, shown as a QR code or typed as `XXXX-XXXX-XXXX`, that counts once and for ten minutes. The
//! other claims it by proving that it knows the secret, without saying it. Both then show the same six [digits](proof), which nobody
//! between them can bring about: each side has bound itself to its part before it saw the other's. Only when people on both sides have said
//! that the digits are the same are the two paired. Whatever goes wrong before leaves nothing behind, and the offer is spent.
//!
//! [`Desk`] is the offering side and [`Claimant`] the other; both are machines: bytes, times and random bytes are handed in. Neither knows what
//! being paired brings; laptops become members of a mesh, phones get a session. What travels is in [`message`].

mod claimant;
mod code;
mod desk;
mod make;
mod message;
mod offer;
mod people;
mod proof;
mod store;

pub(crate) use claimant::Claimant;
pub(crate) use desk::{Desk, Now, Paired, Pending, Refusal, Rights, Standing};
pub(crate) use make::{Fresh, no_random};
pub(crate) use message::{Claim, DeviceName, DeviceNameError, Hello, Message, Reveal, Why};
pub(crate) use offer::{OfferSecret, OfferText, Purpose};
pub(crate) use people::{Said, told};
pub(crate) use proof::{Digits, Party};
pub(crate) use store::{TABLES, offers, set_offers};

#[cfg(test)]
mod tests;
