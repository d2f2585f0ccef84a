//! Stock Fossil servers on the bus, in the name of an agent: who may use them, who signs their answers, and how agents hear what changes there.
//! How requests become HTTP is [`edgesync_bridge`]'s matter.
//!
//! - [`gate`]: asks the same of who makes a request as the agent does for its own repositories.
//! - [`voice`]: announces what changes on the server.
//! - [`running`]: a bridge with all of that.
//! - [`set`]: the bridges of an agent.
//! - [`alone`]: bridges in a process of their own, for `edgesync bridge serve`.

mod alone;
mod gate;
mod running;
mod set;
mod voice;

pub use alone::{Alone, Options, endpoint_id};
pub(crate) use running::{Host, Place};
pub(crate) use set::Bridges;
