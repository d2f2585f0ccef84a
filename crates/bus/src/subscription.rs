//! What a subscriber holds.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;

use crate::Message;

/// Where the messages of one subscription come from.
pub(crate) trait Source: Stream<Item = Message> + Send + Unpin {
    /// Has no more come than is on its way.
    fn drain(&mut self) -> BoxFuture<'_, ()>;
}

/// The messages of one subscription, as a stream. It ends with the bus; dropping it ends the subscription.
pub struct Subscription(Box<dyn Source>);

impl Subscription {
    pub(crate) fn new(messages: impl Source + 'static) -> Self {
        Self(Box::new(messages))
    }

    /// Returns the next message, `None` when the bus has ended.
    pub async fn next(&mut self) -> Option<Message> {
        futures_util::StreamExt::next(&mut self.0).await
    }

    /// Ends the subscription but for what was sent to it before; after that there is no next message.
    pub async fn drain(&mut self) {
        self.0.drain().await;
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").finish()
    }
}
