//! The sync protocol, as machines without I/O: a server that turns a request into a reply, and a client that says what to send next.
//!
//! A message is a sequence of [cards](card), packed into a [frame]. Every request stands for itself; the server keeps no state between them, and
//! the client drives the exchange until both hold the same. Either side may be a stock Fossil.
//!
//! - [`frame`], [`parse`], [`card`], [`login`]: from bytes to cards and back; who sent them.
//! - [`config`]: which settings travel.
//! - [`server`]: one request, one reply.
//! - [`client`]: pull, push, sync, clone, unversioned files.

pub mod card;
pub mod client;
pub mod config;
pub mod frame;
mod literal;
pub mod login;
pub mod parse;
mod receive;
mod send;
pub mod server;
mod token;

use bytes::Bytes;

use card::{Card, Version};
pub use client::Client;
use frame::ContentType;
pub use receive::Received;
pub use server::Server;

/// What this implementation says it is: the stock version whose protocol it speaks.
pub const PEER_VERSION: Version = Version {
    release: 22_900,
    date: 20_260_821,
    time: 0,
};

/// One request, as a client makes it and a server takes it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The `Content-Type` header.
    pub content_type: ContentType,
    /// The body.
    pub body: Bytes,
    /// The `Cookie` header.
    pub cookie: Option<String>,
}

/// A message in the making.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    fn push(&mut self, card: &Card) {
        card.write(&mut self.bytes);
    }

    fn comment(&mut self, text: &str) {
        self.bytes
            .extend_from_slice(format!("# {text}\n").as_bytes());
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
