//! Leafnodes: servers that join ours as to a hub, and hubs that ours joins. Either end may accept or dial, over any stream.
//!
//! Not spoken: compression, other accounts than the one there is, TLS.

mod dial;
mod error;
mod handshake;
mod remote;
mod session;

pub(crate) use dial::keep;
pub use error::LeafError;
pub(crate) use handshake::Greeted;
pub use remote::{LeafRemote, RemoteError};
pub(crate) use session::Leaf;
