//! Pairing with other agents, as the API shows it.

use serde::{Deserialize, Serialize};

use super::{OpenOffer, PendingDevice};

/// The answer of `GET /api/v1/mesh/pairing`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The offer that waits to be claimed.
    pub offer: Option<OpenOffer>,
    /// Agents that are being paired, and those of which nothing came a moment ago.
    pub pending: Vec<PendingAgent>,
}

/// An agent that is being paired. In JSON it is one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAgent {
    /// Who it is, by its endpoint id, and how far it is.
    #[serde(flatten)]
    pub other: PendingDevice,
    /// Who began, and how.
    pub by: PairedBy,
}

/// Who began a pairing, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairedBy {
    /// The other agent knows the secret of an offer that was made here.
    Offer,
    /// The other agent knocked, with a ticket alone.
    Knock,
    /// This agent asked the other.
    Here,
}

/// The body of `POST /api/v1/mesh/pairing/claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimOffer {
    /// An offer, `edgesync-pair://…`, or a ticket.
    pub offer: String,
    /// The code that the other side shows beside its ticket.
    #[serde(default)]
    pub code: Option<String>,
}

/// The body of `POST /api/v1/mesh/pairing/pending/{id}/accept`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptAgent {
    /// The digits that a person read on the other side; others than those here end the pairing.
    #[serde(default)]
    pub digits: Option<String>,
    /// What to call it; what it calls itself otherwise.
    #[serde(default)]
    pub name: Option<String>,
    /// What it may, in Fossil's letters; clone, read and write when none are given.
    #[serde(default)]
    pub capabilities: Option<String>,
    /// The codes of the projects in which; `null` for all.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
}
