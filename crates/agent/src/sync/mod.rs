//! Keeps repositories equal with stock Fossil servers: addresses, one HTTP round trip, one exchange of many round trips, the link
//! that decides when to make one, and clones.

pub(crate) mod bus;
pub(crate) mod clone;
mod condition;
pub(crate) mod direct;
mod exchange;
mod link;
mod once;
mod remote;

pub use bus::{BusAddress, BusServer};
pub(crate) use edgesync_bridge::http::Http;
pub use edgesync_bridge::http::HttpError;
pub(crate) use link::{Link, Linker};
pub use once::{ExchangeError, Peer, clone as clone_once, exchange as exchange_once};
pub use remote::{Remote, RemoteError};

use libfossil::xfer::client::{Client, Credentials, Goal, Summary, UvRoom};

use crate::api::{Code, Error, Phase};
use crate::text;

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
    fn goal(self) -> Goal {
        Goal {
            pull: self.pull,
            push: self.push,
            private: self.private,
            unversioned: self.unversioned,
            thorough: false,
        }
    }

    /// Returns the words for an exchange of this kind.
    pub(crate) fn phase(self) -> Phase {
        match (self.push, self.pull) {
            (true, false) => Phase::Push,
            (false, true) => Phase::Pull,
            _ => Phase::Sync,
        }
    }
}

/// Makes sure that private content was not left out of an exchange that was to bring it.
///
/// # Errors
/// `remote_login` when the other side does not let us see it.
pub fn check_private(summary: &Summary) -> Result<(), Error> {
    if !summary.private_refused {
        return Ok(());
    }
    let words =
        "the server does not let this user exchange private check-ins; all others are exchanged";
    Err(Error::new(Code::RemoteLogin, words).with_hint(exchange::MORE_RIGHTS))
}

/// Returns a client for an exchange to this end; with `room`, unversioned files travel as far as there is that.
pub(crate) fn client(goal: Goal, login: Option<Credentials>, room: Option<UvRoom>) -> Client {
    let unversioned = goal.unversioned || room.is_some();
    let client = Client::new(
        Goal {
            unversioned,
            ..goal
        },
        login,
    );
    match room {
        Some(room) => client.with_uv_room(room),
        None => client,
    }
}

/// Returns a random number from 0 to 1.
fn jitter() -> f64 {
    // Without random bytes waits are all the same, which is worse for the server but not wrong.
    text::random::<4>().map_or(0.5, |bytes| {
        f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
    })
}
