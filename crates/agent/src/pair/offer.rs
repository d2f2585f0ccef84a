//! An offer as text: what a QR code holds, and what people send each other. Its form is that of the Go product,
//! `edgesync-pair://v1/ENDPOINT-ID/WHERE/SECRET`: `WHERE` is percent-encoded and says how to reach the agent (a ticket; empty when the id
//! suffices), `SECRET` is 32 hexadecimal digits, or a typed code without strokes.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::code::{Secret, TypedCode};
use super::proof::{Party, Verifier};
use crate::limits;

/// The only form there is.
const PREFIX: &str = "edgesync-pair://v1/";

/// What somebody is paired as. An offer for one purpose counts for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Another agent, as a member of the mesh.
    Agent,
    /// A phone or other device, which reads and answers messages.
    Device,
}

/// An offer as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferText {
    /// Who offers.
    pub(crate) host: Party,
    /// How to reach it, where the id alone does not say.
    pub(crate) place: String,
    /// What proves that the offer was seen.
    pub(crate) proof: OfferSecret,
}

/// The secret of an offer, in either form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfferSecret {
    /// As machines read it.
    Read(Secret),
    /// As people type it.
    Typed(TypedCode),
}

/// A text is no offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OfferTextError {
    /// Another scheme, or another thing altogether.
    #[error("this is no offer of EdgeSync: one begins with {PREFIX}")]
    Scheme,
    /// Another version of the form.
    #[error(
        "this offer is of a form that this version does not know; update EdgeSync here or there"
    )]
    Version,
    /// It is longer than any.
    #[error("an offer is shorter than this")]
    Long,
    /// Its parts are not what they have to be.
    #[error("the offer is damaged: {0}")]
    Damaged(&'static str),
}

impl Purpose {
    pub(crate) const ALL: [Self; 2] = [Self::Agent, Self::Device];

    /// Returns the purpose's name, in hashes and in `agent.db`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Device => "device",
        }
    }
}

impl OfferSecret {
    /// Returns what proves this secret to `host`.
    pub(crate) fn verifier(&self, host: &Party, purpose: Purpose) -> Verifier {
        match self {
            Self::Read(secret) => Verifier::of_secret(host, purpose, secret),
            Self::Typed(code) => Verifier::of_typed(host, purpose, code),
        }
    }
}

impl FromStr for OfferSecret {
    type Err = OfferTextError;

    fn from_str(text: &str) -> Result<Self, OfferTextError> {
        let read = text.parse().map(Self::Read);
        read.or_else(|_| text.parse().map(Self::Typed))
            .map_err(|_| OfferTextError::Damaged("its secret is none"))
    }
}

impl FromStr for OfferText {
    type Err = OfferTextError;

    fn from_str(text: &str) -> Result<Self, OfferTextError> {
        let text = text.trim();
        if text.len() > limits::OFFER_TEXT_BYTES {
            return Err(OfferTextError::Long);
        }
        let Some(rest) = text.strip_prefix(PREFIX) else {
            let ours = text.starts_with("edgesync-pair://v");
            return Err(if ours {
                OfferTextError::Version
            } else {
                OfferTextError::Scheme
            });
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let [host, place, secret] = parts.as_slice() else {
            return Err(OfferTextError::Damaged("it has three parts"));
        };
        let host = host
            .parse()
            .map_err(|_| OfferTextError::Damaged("its endpoint id is none"))?;
        let place = percent_decode_str(place).decode_utf8();
        let place = place.map_err(|_| OfferTextError::Damaged("its place is not UTF-8"))?;
        if place.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(OfferTextError::Damaged("its place is none"));
        }
        Ok(Self {
            host,
            place: place.into_owned(),
            proof: secret.parse()?,
        })
    }
}

impl fmt::Display for OfferText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = utf8_percent_encode(&self.place, NON_ALPHANUMERIC);
        write!(f, "{PREFIX}{}/{place}/", self.host)?;
        match &self.proof {
            OfferSecret::Read(secret) => write!(f, "{secret}"),
            OfferSecret::Typed(code) => f.write_str(code.plain()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(place: &str) -> OfferText {
        OfferText {
            host: Party::from([0x5f; 32]),
            place: place.to_owned(),
            proof: OfferSecret::Read(Secret::from([7; 16])),
        }
    }

    #[test]
    fn offers_are_read_as_they_are_written() {
        for place in ["", "endpointabc", "nats://10.0.0.7:4222", "[::1]:1"] {
            let offer = offer(place);
            assert_eq!(offer.to_string().parse(), Ok(offer));
        }
        let go = format!(
            "edgesync-pair://v1/{}/nats%3A%2F%2Fh%3A4222/ABCDEFGH2345",
            "5f".repeat(32)
        );
        let read: OfferText = go.parse().expect("an offer of the Go product");
        assert_eq!(read.place, "nats://h:4222");
        assert_eq!(
            read.proof,
            OfferSecret::Typed("ABCD-EFGH-2345".parse().expect("a code"))
        );
    }

    #[test]
    fn what_is_no_offer_is_refused_in_words() {
        let good = offer("").to_string();
        let id = "5f".repeat(32);
        for (bad, error) in [
            (String::new(), OfferTextError::Scheme),
            (
                good.replace("edgesync-pair", "http"),
                OfferTextError::Scheme,
            ),
            (
                good.replace("edgesync-pair", "edgesync‐pair"),
                OfferTextError::Scheme,
            ),
            (good.replace("/v1/", "/v2/"), OfferTextError::Version),
            (
                format!("{good}/x"),
                OfferTextError::Damaged("it has three parts"),
            ),
            (
                good.replace(&id, &id[1..]),
                OfferTextError::Damaged("its endpoint id is none"),
            ),
            (
                good.replace(&id, &format!("{id}%2F")),
                OfferTextError::Damaged("its endpoint id is none"),
            ),
            (
                format!("edgesync-pair://v1/{id}/%ff/{}", "07".repeat(16)),
                OfferTextError::Damaged("its place is not UTF-8"),
            ),
            (
                format!("edgesync-pair://v1/{id}/a%0Ab/{}", "07".repeat(16)),
                OfferTextError::Damaged("its place is none"),
            ),
            (
                format!("{good}0"),
                OfferTextError::Damaged("its secret is none"),
            ),
            (
                format!("{good}{}", "0".repeat(limits::OFFER_TEXT_BYTES)),
                OfferTextError::Long,
            ),
        ] {
            assert_eq!(bad.parse::<OfferText>(), Err(error), "{bad}");
        }
    }
}
