//! Phones, as the API shows them.

use serde::{Deserialize, Serialize};

use super::Time;

/// The answer of `GET /api/v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// Where phones reach the agent; `null` while no phone is paired or to be paired.
    pub door: Option<PhoneDoor>,
    /// This machine's addresses that others on its networks reach.
    pub addresses: Vec<String>,
    /// The offer that waits to be claimed.
    pub offer: Option<OpenOffer>,
    /// Phones that have claimed an offer.
    pub pending: Vec<PendingDevice>,
    /// Phones that are paired.
    pub devices: Vec<Device>,
}

/// Where phones reach the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneDoor {
    /// What is listened on.
    pub listen: String,
    /// What phones open.
    pub url: String,
    /// Why it is not listened on now.
    pub error: Option<String>,
}

/// An offer that waits to be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOffer {
    /// Until when it counts.
    pub expires_at: Time,
    /// Wrong tries until it no longer does.
    pub tries: u8,
}

/// A device that is being paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDevice {
    /// An agent's endpoint id, or the id that a phone made for itself.
    pub id: String,
    /// What it calls itself, once it has said so.
    pub name: Option<String>,
    /// The six digits that it shows as well, once there are any.
    pub digits: Option<String>,
    /// How far it is: `accepted` once a person here has accepted.
    pub state: PendingState,
    /// Why it has ended.
    pub why: Option<String>,
    /// Since when.
    pub since: Time,
    /// Until when both sides have to have accepted.
    pub until: Time,
}

/// How far a pairing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingState {
    /// It has claimed the offer; there are no digits yet.
    Meeting,
    /// The digits are to be compared.
    Comparing,
    /// A person here has accepted; the other side has not yet, or has not heard of it.
    Accepted,
    /// It is not paired.
    Ended,
}

/// A phone that is paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The id that it made for itself.
    pub id: String,
    /// Its name; no two have the same.
    pub name: String,
    /// The projects whose messages it reads; `null` for all.
    pub projects: Option<Vec<String>>,
    /// Whether it answers.
    pub answers: bool,
    /// Since when it is paired.
    pub paired_at: Time,
    /// When it was here last.
    pub used_at: Option<Time>,
    /// Whether its page is open now.
    pub connected: bool,
}

/// The body of `POST /api/v1/devices/offer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeOffer {
    /// Where to listen: one of this machine's addresses, with or without a port. The address in use otherwise.
    #[serde(default)]
    pub listen: Option<String>,
    /// What phones open instead, where a proxy or tunnel leads from there to `listen`; empty for nothing any more, as before when it is not given.
    #[serde(default)]
    pub public_url: Option<String>,
}

/// The answer: the one time that the secret is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOffer {
    /// What the QR code holds.
    pub url: String,
    /// What a person types on the page instead.
    pub code: String,
    /// The QR code as a picture (SVG).
    pub svg: String,
    /// The QR code in characters, for terminals.
    pub text: String,
    /// Until when it counts.
    pub expires_at: Time,
}

/// The body of `POST /api/v1/devices/pending/{id}/accept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptDevice {
    /// The digits that a person read on the phone; others than those here end the pairing.
    #[serde(default)]
    pub digits: Option<String>,
    /// Its name; what it calls itself otherwise.
    #[serde(default)]
    pub name: Option<String>,
    /// The projects whose messages it may read; `null` for all.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
    /// Whether it may answer.
    pub answers: bool,
}

/// What a phone is told of its own session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneSession {
    /// Its name.
    pub name: String,
    /// The agent's name.
    pub host: String,
    /// The projects whose messages it reads; `null` for all.
    pub projects: Option<Vec<String>>,
    /// Whether it answers.
    pub answers: bool,
}

/// How far a phone's pairing is, as the phone is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PhonePairing {
    /// A person at the computer has not said anything yet.
    Waiting,
    /// A person there has said that the digits are the same.
    Accepted,
    /// It has ended.
    Ended {
        /// Why, in words.
        why: String,
    },
}
