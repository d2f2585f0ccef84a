//! The wire protocol without I/O: bytes in, operations out, and lines made of values.
//!
//! [`Parser`] is shown the bytes that were not consumed yet and gives the next operation, which borrows from them; nothing is
//! copied or allocated. Whether an operation comes whole or in pieces makes no difference to what comes out.

mod client;
mod connect;
pub(crate) mod headers;
mod info;
mod leaf;
mod line;
mod op;
mod parser;
mod route;
pub mod write;

pub use connect::Connect;
pub use info::{Info, LinkPermissions};
pub use line::Tokens;
pub use op::{Interest, LinkMessage, Op, Publish};
pub use parser::{Kind, ParseError, Parser};

#[cfg(test)]
mod tests;
