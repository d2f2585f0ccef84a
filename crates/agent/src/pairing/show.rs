//! Pairings as people see them.

use super::{Pairings, locked};
use crate::api::{Event, OpenOffer, PairedBy, Pairing, PendingAgent};
use crate::pair::{Pending, Purpose};

impl Pairings {
    /// Tells everyone how it stands.
    pub(super) fn publish(&self) {
        self.parts.events.publish_now(&self.telling, || {
            let pairing = Box::new(self.show());
            Event::Pairing { pairing }
        });
    }

    /// Returns how it stands.
    pub(crate) fn show(&self) -> Pairing {
        let (offer, pending) = {
            let desk = locked(&self.desk);
            (desk.open(Purpose::Agent), desk.pending())
        };
        let mut pending: Vec<PendingAgent> =
            pending.iter().map(|it| self.pending_agent(it)).collect();
        let claims = locked(&self.claims);
        pending.extend(claims.iter().map(|(party, claim)| claim.show(party)));
        Pairing {
            offer: offer.map(|(expires_at, tries)| OpenOffer { expires_at, tries }),
            pending,
        }
    }

    fn pending_agent(&self, pending: &Pending) -> PendingAgent {
        PendingAgent {
            other: pending.shown(|why| self.why_words(&pending.party, why)),
            by: match pending.knows_secret {
                true => PairedBy::Offer,
                false => PairedBy::Knock,
            },
        }
    }
}
