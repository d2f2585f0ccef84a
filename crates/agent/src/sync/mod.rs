//! Keeps repositories equal with stock Fossil servers: addresses, one HTTP round trip, one exchange of many round trips, the link
//! that decides when to make one, and clones.

mod condition;
mod exchange;
mod http;
mod link;
mod remote;

pub(crate) use http::Http;
pub(crate) use link::{Link, Linker};
pub use remote::{Remote, RemoteError};

use crate::api::Phase;

/// What an exchange is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Send what the remote lacks.
    pub push: bool,
    /// Receive what is missing here.
    pub pull: bool,
    /// Unversioned files too.
    pub unversioned: bool,
    /// Private artifacts too.
    pub private: bool,
}

impl Wishes {
    /// Returns the words for an exchange of this kind.
    pub(crate) fn phase(self) -> Phase {
        match (self.push, self.pull) {
            (true, false) => Phase::Push,
            (false, true) => Phase::Pull,
            _ => Phase::Sync,
        }
    }
}
