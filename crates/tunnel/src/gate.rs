//! Who may come. Asked after the handshake, when the peer's key is proved, and before a byte of its streams is read.

use std::fmt;
use std::sync::Arc;

use iroh::endpoint::{AfterHandshakeOutcome, Connection, EndpointHooks, Side};
use tokio::sync::broadcast;

use crate::info::Event;
use crate::peer::PeerId;
use crate::protocol::Protocol;

/// The code with which a connection of someone who may not come is closed.
pub(crate) const NOT_ADMITTED: u32 = 403;

/// The reason that is given with it; it stands in the error that the other end reads.
pub const NOT_PAIRED: &str = "not paired";

/// The reason that is given to one that was let in once and is so no more. Who does not know it finds [`NOT_PAIRED`] in it.
pub const UNPAIRED: &str = "not paired: you were unpaired here";

/// Says who may come, for all protocols but [`Protocol::Pair`].
pub type Admission = Arc<dyn Fn(&PeerId, Protocol) -> Verdict + Send + Sync>;

/// What becomes of one that dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may come.
    Welcome,
    /// It may not.
    Stranger,
    /// It may not come any more, and is told so.
    Unpaired,
}

impl Verdict {
    /// What one is told that may not come.
    pub(crate) fn reason(self) -> &'static [u8] {
        match self {
            Self::Welcome | Self::Stranger => NOT_PAIRED.as_bytes(),
            Self::Unpaired => UNPAIRED.as_bytes(),
        }
    }
}

impl From<bool> for Verdict {
    /// Returns the verdict on one that may come, or that nothing is known of.
    fn from(may_come: bool) -> Self {
        match may_come {
            true => Self::Welcome,
            false => Self::Stranger,
        }
    }
}

/// The doorkeeper of an endpoint.
pub(crate) struct Gate {
    pub(crate) admits: Admission,
    pub(crate) events: broadcast::Sender<Event>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl EndpointHooks for Gate {
    async fn after_handshake<'a>(&'a self, connection: &'a Connection) -> AfterHandshakeOutcome {
        if connection.side() == Side::Client {
            return AfterHandshakeOutcome::Accept;
        }
        let peer = PeerId::from(connection.remote_id());
        let refused = |reason: &[u8]| AfterHandshakeOutcome::Reject {
            error_code: NOT_ADMITTED.into(),
            reason: reason.to_vec(),
        };
        match Protocol::of_alpn(connection.alpn()) {
            None => refused(b"unknown protocol"),
            Some(protocol) => match judge(&self.admits, &peer, protocol) {
                Verdict::Welcome => AfterHandshakeOutcome::Accept,
                verdict => {
                    // Nobody need listen.
                    let _ = self.events.send(Event::Refused { peer, protocol });
                    refused(verdict.reason())
                }
            },
        }
    }
}

/// Returns whether this peer may have connections of this protocol.
pub(crate) fn judge(admits: &Admission, peer: &PeerId, protocol: Protocol) -> Verdict {
    match protocol {
        Protocol::Pair => Verdict::Welcome,
        _ => admits(peer, protocol),
    }
}
