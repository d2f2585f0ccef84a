//! Connections between machines by their keys: an endpoint that others reach by a [`Ticket`] or by its [`PeerId`] alone, directly or
//! through NATs, and the streams over it. The endpoint is iroh's; nothing of iroh shows in this crate's types.
//!
//! What it promises: a peer that is not on the list of who may come reaches [`Protocol::Pair`] and nothing else, before a byte
//! of its streams is read; a peer that cannot be reached delays nobody who wants another; nothing is published anywhere and nobody is
//! asked for addresses unless [`Config::public`] says so. What it does not do: it knows nothing of what the streams carry, and it does not
//! dial by itself. Who wants a stream asks for it, again when it ends.

mod config;
mod connections;
mod endpoint;
mod gate;
mod info;
pub mod limits;
mod peer;
mod preamble;
mod protocol;
mod stream;
mod ticket;
mod wake;

pub use config::{Config, Relay, RelayUrlError};
pub use endpoint::{Arrival, Arrivals, OpenError, StreamError, Tunnel};
pub use gate::{Admission, NOT_PAIRED, UNPAIRED, Verdict};
pub use info::{Event, LinkInfo, Path, RelayState};
pub use peer::{PeerId, PeerIdError};
pub use protocol::Protocol;
pub use stream::Stream;
pub use ticket::{Ticket, TicketError};
pub use wake::Witness;
