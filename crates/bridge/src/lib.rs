//! Stock Fossil servers on the bus: sync requests that agents make on the bus become `POST /xfer` to a Fossil server, and its replies their
//! answers.
//!
//! A bridge stores nothing and understands little: it reads a request's cards to see whether its sender may make it, and passes the bytes on.
//! What the server says comes back as the server said it. A bridge also asks the server now and then what it holds, so that agents hear of
//! what changed there. Who may use it, and who signs its answers, is the [`Gate`]'s business.
//!
//! - [`http`]: one round trip with a stock Fossil server; all of the agent's are made with it.
//! - [`envelope`]: sync messages on the bus, also those that are too long for one message.
//! - [`Asking`]: the side of who asks, as a machine.
//! - [`Bridge`]: requests in, answers out, for one project.

mod asking;
mod bridge;
pub mod envelope;
pub mod http;
pub mod limits;
mod probe;
mod rights;
mod server;
mod shelf;

#[cfg(test)]
mod tests;

pub use asking::{Asking, AskingError};
pub use bridge::{Bridge, Caller, Counts, Denied, Gate, Setup};
pub use probe::{Fault, Holds, Standing, project_at};
pub use server::{Account, FossilServer, ServerError};
