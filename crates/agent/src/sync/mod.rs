//! Keeps repositories equal with remotes.

mod remote;

pub use remote::{Remote, RemoteError};
