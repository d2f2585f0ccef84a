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

/// Says who may come, for all protocols but [`Protocol::Pair`].
pub type Admission = Arc<dyn Fn(&PeerId, Protocol) -> bool + Send + Sync>;

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
            Some(protocol) if may_come(&self.admits, &peer, protocol) => {
                AfterHandshakeOutcome::Accept
            }
            Some(protocol) => {
                // Nobody need listen.
                let _ = self.events.send(Event::Refused { peer, protocol });
                refused(NOT_PAIRED.as_bytes())
            }
        }
    }
}

/// Returns whether this peer may have connections of this protocol.
pub(crate) fn may_come(admits: &Admission, peer: &PeerId, protocol: Protocol) -> bool {
    protocol == Protocol::Pair || admits(peer, protocol)
}
