//! The mesh as a list of members, which no server keeps: every agent has the signed records that it heard, and draws the same list from them.
//!
//! - [`record`]: a signed record.
//! - [`roll`]: the records of a mesh, and who is a member by them.

mod record;
mod roll;
mod store;

pub(crate) use record::{MeshId, Record, RecordError, Statement};
pub(crate) use roll::{Member, MeshFacts, Revoked, Roll, View};
pub(crate) use store::TABLES;

#[cfg(test)]
mod tests;
