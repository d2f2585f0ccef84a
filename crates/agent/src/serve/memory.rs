//! The memory that requests of strangers take together: what is small passes, what is large waits until there is room.
//!
//! A body waits before it is read, holding nothing but a connection, and a whole body waits before it is unpacked; who unpacks
//! waits for nobody. So everyone gets on.

use std::sync::Arc;

use libfossil::xfer::Request;
use libfossil::xfer::frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Error;
use crate::limits;

/// Bytes to a place of a semaphore, which cannot count as many bytes as there are.
const PLACE_BYTES: usize = 1024;

/// The room that there is, over all connections.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    bodies: Room,
    messages: Room,
}

#[derive(Debug, Clone)]
struct Room {
    places: Arc<Semaphore>,
    total: usize,
}

impl Memory {
    /// Returns the room that the [limits] leave.
    pub(super) fn new() -> Self {
        Self {
            bodies: Room::new(limits::LARGE_BODIES_BYTES),
            messages: Room::new(limits::LARGE_MESSAGES_BYTES),
        }
    }

    /// Waits for room for a body.
    pub(super) async fn body(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        self.bodies.take(bytes).await
    }

    /// Waits for room for the message in a request and what is made of it; there is always room for small ones.
    pub(super) async fn message(
        &self,
        request: &Request,
    ) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let message = frame::message_bytes(request.content_type, &request.body);
        if message <= limits::SMALL_MESSAGE_BYTES {
            return Ok(None);
        }
        // An artifact is there twice while it is stored: as it came, and packed for its row.
        self.messages
            .take(message.saturating_mul(2))
            .await
            .map(Some)
    }
}

impl Room {
    fn new(total: usize) -> Self {
        let total = total / PLACE_BYTES;
        Self {
            places: Arc::new(Semaphore::new(total)),
            total,
        }
    }

    /// Waits for room for `bytes`. What is larger than all the room there is gets all of it.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let places = bytes.div_ceil(PLACE_BYTES).min(self.total);
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        Arc::clone(&self.places)
            .acquire_many_owned(places)
            .await
            .map_err(|_| Error::internal("no room"))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use libfossil::xfer::frame::ContentType;

    use super::*;

    #[tokio::test]
    async fn large_requests_wait_for_room_and_one_that_is_too_large_for_it_goes_alone() {
        let room = Room::new(10 * PLACE_BYTES);
        let first = room.take(6 * PLACE_BYTES).await.expect("room");
        assert!(room.take(5 * PLACE_BYTES).now_or_never().is_none());
        let second = room.take(4 * PLACE_BYTES).await.expect("room");
        drop((first, second));
        let all = room.take(usize::MAX).await.expect("all of it");
        assert!(room.take(1).now_or_never().is_none());
        drop(all);
        drop(room.take(1).await.expect("room"));
    }

    #[tokio::test]
    async fn a_small_body_that_promises_a_large_message_needs_room() {
        let memory = Memory::new();
        let mut body = frame::encode(ContentType::Packed, b"# nothing\n".to_vec()).to_vec();
        let request = |body: &[u8]| Request {
            content_type: ContentType::Packed,
            body: body.to_vec().into(),
            cookie: None,
        };
        let small = memory.message(&request(&body)).await.expect("no wait");
        assert!(small.is_none());
        body[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let large = memory.message(&request(&body)).await.expect("room");
        assert!(large.is_some());
        assert!(memory.message(&request(&body)).now_or_never().is_none());
    }
}
