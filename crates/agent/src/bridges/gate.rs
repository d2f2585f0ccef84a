//! Who may use a bridge, and who signs its answers: as for a repository of the agent's own, but that strangers get nothing. What the server gives
//! to anybody over HTTP may be meant for another network than the bus.

use edgesync_bridge::envelope::Envelope;
use edgesync_bridge::{Caller, Denied, Gate};
use edgesync_bus::{Headers, Message};
use libfossil::auth::Capabilities;

use crate::api::Time;
use crate::text;
use crate::trust::{AuthError, Context, HEADER};
use crate::wire::{Wire, heard};

/// What callers who do not sign are called.
const UNSIGNED: &str = "unsigned";

/// Judges the callers of one project.
pub(super) struct Doorkeeper {
    pub(super) wire: Wire,
    pub(super) project: String,
}

impl Gate for Doorkeeper {
    fn name(&self) -> String {
        self.wire.keys.id().to_string()
    }

    fn admit(&self, message: &Message) -> Result<Caller, Denied> {
        let trust = &self.wire.trust;
        let statement = heard(Context::Request, message);
        let header = message.headers.get(HEADER);
        let proof = match trust.identify(header, &statement, Time::now()) {
            Ok(proof) => proof,
            // The bus doubled it; its answer is on the way, and another must not overtake that.
            Err(AuthError::Replayed) => return Err(Denied::Silently),
            Err(error) => return Err(Denied::With(error.to_string())),
        };
        let id = proof.map(|proof| proof.id);
        let capabilities = trust.rights(id.as_ref(), &self.project);
        if capabilities == Capabilities::NONE {
            return Err(Denied::With(match id {
                Some(id) => format!("this bridge does not trust {id}"),
                None => "this bridge answers signed requests only".to_owned(),
            }));
        }
        Ok(Caller {
            name: id.map_or_else(|| UNSIGNED.to_owned(), |id| id.to_string()),
            capabilities,
            nonce: proof.map(|proof| proof.nonce),
        })
    }

    fn seal(&self, inbox: &str, nonce: Option<[u8; 16]>, envelope: &Envelope) -> Headers {
        let nonce = nonce.or_else(|| text::random().ok()).unwrap_or_default();
        self.wire
            .headers(Context::Reply, inbox, None, &nonce, envelope)
    }
}
