//! The sync protocol, as machines without I/O: a server that turns a request into a reply, and a client that says what to send next.
//!
//! A message is a sequence of [cards](card), packed into a [frame]. Every request stands for itself; the server keeps no state between them, and
//! the client drives the exchange until both hold the same. Either side may be a stock Fossil.
//!
//! - [`frame`], [`parse`], [`card`], [`login`]: from bytes to cards and back; who sent them.
//! - [`config`]: which settings travel.
//! - [`server`]: one request, one reply.
//! - [`client`]: pull, push, sync, clone, unversioned files.
//! - [`extension`]: what travels beside stock's cards where messages must be short.

mod budget;
pub mod card;
pub mod client;
pub mod config;
pub mod extension;
pub mod frame;
mod literal;
pub mod login;
pub mod parse;
mod receive;
mod send;
pub mod server;
mod token;

use bytes::Bytes;

pub use budget::{Budget, MIN_BUDGET_BYTES};
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
#[derive(Debug)]
struct Outbox {
    bytes: Vec<u8>,
    /// How long it may become, but for its last lines.
    limit: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Outbox {
    /// Returns an empty message that may become `limit` bytes long.
    fn within(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    fn push(&mut self, card: &Card) {
        card.write(&mut self.bytes);
    }

    /// Adds a card if there is room. Returns whether there was.
    fn push_fitting(&mut self, card: &Card) -> bool {
        self.push_all_fitting(std::slice::from_ref(card))
    }

    /// Adds cards that belong together if there is room for all. Returns whether there was.
    fn push_all_fitting(&mut self, cards: &[Card]) -> bool {
        let content: usize = cards.iter().map(Card::content_bytes).sum();
        if content > self.room() {
            return false;
        }
        let before = self.bytes.len();
        cards.iter().for_each(|card| self.push(card));
        let fits = self.bytes.len() <= self.limit;
        if !fits {
            self.bytes.truncate(before);
        }
        fits
    }

    /// Returns whether a card would not even fit in a message of its own.
    fn is_too_long(&self, card: &Card) -> bool {
        self.is_too_long_content(card.content_bytes())
    }

    /// Returns whether a content of this length would not even fit in a message of its own.
    fn is_too_long_content(&self, bytes: usize) -> bool {
        bytes > self.limit.saturating_sub(budget::HEAD_BYTES)
    }

    /// Returns how many bytes are left.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
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
