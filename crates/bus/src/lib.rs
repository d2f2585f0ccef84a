//! The message bus as the product sees it: subjects, headers, requests that tell "nobody listens" from "nobody answered in time",
//! and nothing else. [`Nats`] is the bus over a NATS server, [`Both`] over two; [`Memory`] (feature `test-util`) is one within a process, for tests.
//!
//! Two promises go beyond what NATS gives: a bus never hands its owner what the owner published itself (an agent must not
//! answer its own requests), and a message that is too large for the server is refused here, where the reason can be told; a server
//! would cut the connection.

mod both;
mod error;
mod headers;
mod heard;
mod message;
mod nats;
mod subscription;

#[cfg(feature = "test-util")]
mod memory;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use both::Both;
pub use error::{RequestError, SendError};
pub use headers::Headers;
#[cfg(feature = "test-util")]
pub use memory::{Fate, Hub, Memory};
pub use message::{Message, Publish, Request};
pub use nats::{ConnectError, Connection, Login, Nats, Trouble};
pub use subscription::Subscription;

/// A bus, as its users hold it.
pub type SharedBus = Arc<dyn Bus>;

/// A place on a message bus.
pub trait Bus: Send + Sync + 'static {
    /// Hands a message to the bus. That it was handed over does not mean that anybody heard it.
    ///
    /// # Errors
    /// [`SendError`].
    fn publish(&self, publish: Publish) -> BoxFuture<'_, Result<(), SendError>>;

    /// Publishes a message and returns the first answer to it.
    ///
    /// # Errors
    /// [`RequestError`]; among them "nobody listens", which comes at once.
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Message, RequestError>>;

    /// Begins to hear what is published to `subject`, which may hold the wildcards `*` and `>`. Of the subscriptions that
    /// share a `queue`, one hears each message. The subscription ends when it is dropped.
    ///
    /// # Errors
    /// [`SendError`].
    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, SendError>>;

    /// Returns a new subject at which this bus, and it alone, hears the answer to one [`Request`].
    fn new_inbox(&self) -> String;

    /// Returns how many bytes headers and payload of one message may have together.
    fn max_payload(&self) -> usize;

    /// Returns when the server has taken everything handed over before.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    fn flush(&self) -> BoxFuture<'_, Result<(), SendError>>;

    /// Returns how many messages were dropped, since the bus began, because they came faster than their subscribers took them.
    fn lost(&self) -> u64;
}
