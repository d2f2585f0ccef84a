//! What a subscriber holds.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::BoxStream;

use crate::Message;

/// The messages of one subscription, as a stream. It ends with the bus; dropping it ends the subscription.
pub struct Subscription(BoxStream<'static, Message>);

impl Subscription {
    pub(crate) fn new(messages: impl Stream<Item = Message> + Send + 'static) -> Self {
        Self(Box::pin(messages))
    }

    /// Returns the next message, `None` when the bus has ended.
    pub async fn next(&mut self) -> Option<Message> {
        futures_util::StreamExt::next(&mut self.0).await
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").finish()
    }
}
