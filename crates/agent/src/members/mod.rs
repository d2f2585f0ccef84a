//! The mesh as a list of members, which no server keeps: every agent has the signed records that it heard, and draws the same list from them.
//!
//! - [`record`]: a signed record.
//! - [`roll`]: the records of a mesh, and who is a member by them.
//! - [`book`]: the mesh as a running agent has it.
//! - [`held`]: pairings of which the other side has not shown yet that it keeps them.
//! - [`parting`]: what people are told when one of two has unpaired the other.
//! - [`spread`]: how records, and catalogues of repositories, come to other members.

mod book;
mod held;
mod parting;
mod record;
mod roll;
mod spread;
mod store;

pub(crate) use book::Members;
pub(crate) use parting::Parting;
pub(crate) use record::{Record, Statement};
#[cfg(test)]
pub(crate) use roll::Roll;
pub(crate) use roll::{Member, Place, Revoked, View};
pub(crate) use spread::{Offered, Spread};
pub(crate) use store::TABLES;

#[cfg(test)]
mod tests;
