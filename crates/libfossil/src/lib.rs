//! Fossil repositories without Fossil: reading and writing the files and messages of the Fossil version control system so
//! that a stock `fossil` cannot tell the difference.
//!
//! The crate does no networking, starts no threads of its own accord, and reads neither clock nor random source: times and
//! random bytes are handed in. Nothing that comes from outside is trusted; bad input is a typed error, never a panic.
//!
//! - [`limits`]: every cap on what outside bytes may cost.
//! - [`name`]: hash names, paths and project codes that cannot hold a bad value; [`hash_policy`] chooses between hashes.
//! - [`time`]: points in time with the julian-day arithmetic of SQLite.
//! - [`text`]: bytes meant as text, and the escaping they wear in artifacts and messages.
//! - [`auth`]: capabilities, and who a transport vouches for.
//! - [`blob`]: how content is packed and how deltas are made and applied.
//! - [`artifact`]: the eight kinds of structural artifacts, read and written.
//! - [`db`]: the repository file.
//! - [`checkin`]: new versions.
//! - [`rebuild`]: the derived tables, computed anew; [`verify`]: whether all is as it should be.
//! - [`history`]: versions, the timeline with its graph, and what check-ins changed.
//! - [`checkout`]: what a folder with files of a version says about itself.
//! - [`uv`]: unversioned files.
//! - [`fingerprint`]: what a repository holds, in 32 bytes.
//! - [`pieces`]: contents that arrive in pieces.
//! - [`xfer`]: the sync protocol, both sides of it.

pub mod artifact;
pub mod auth;
pub mod blob;
pub mod checkin;
pub mod checkout;
mod cluster;
mod crosslink;
pub mod db;
pub mod fingerprint;
pub mod hash_policy;
pub mod history;
pub mod limits;
pub mod name;
pub mod pieces;
pub mod rebuild;
#[cfg(test)]
mod samples;
pub mod text;
pub mod time;
pub mod uv;
pub mod verify;
pub mod xfer;
