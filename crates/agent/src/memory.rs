//! The memory that requests of strangers take together: what is small passes, what is large waits until there is room.
//!
//! A body waits before it is read, holding nothing but a connection, and a whole body waits before it is unpacked; who unpacks
//! waits for nobody. So everyone gets on.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use libfossil::xfer::Request;
use libfossil::xfer::frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Error;
use crate::limits;

/// Bytes to a place of a semaphore, which cannot count as many bytes as there are.
const PLACE_BYTES: usize = 1024;

/// The room for large messages, over all doors and repositories of this process.
static MESSAGES: LazyLock<Room> = LazyLock::new(|| Room::new(limits::LARGE_MESSAGES_BYTES));

/// Some memory that strangers share.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    total: usize,
    /// How many wait.
    waiting: Arc<AtomicUsize>,
}

/// One that waits.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Waits for room for the message in a request and what is made of it; there is always room for small ones.
///
/// # Errors
/// `internal` when the process ends.
pub(crate) async fn for_message(request: &Request) -> Result<Option<OwnedSemaphorePermit>, Error> {
    MESSAGES.for_message(request).await
}

/// Takes all the room there is for messages.
#[cfg(test)]
pub(crate) async fn everything() -> OwnedSemaphorePermit {
    MESSAGES.take(usize::MAX).await.expect("room")
}

impl Room {
    pub(crate) fn new(total: usize) -> Self {
        let total = total / PLACE_BYTES;
        Self {
            places: Arc::new(Semaphore::new(total)),
            total,
            waiting: Arc::default(),
        }
    }

    /// Waits for room for `bytes`. What is larger than all the room there is gets all of it.
    ///
    /// # Errors
    /// `internal` when the process ends.
    pub(crate) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let places = bytes.div_ceil(PLACE_BYTES).min(self.total);
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        self.waiting.fetch_add(1, Relaxed);
        let _waits = Waits(&self.waiting);
        Arc::clone(&self.places)
            .acquire_many_owned(places)
            .await
            .map_err(|_| Error::internal("no room"))
    }

    /// Returns whether somebody waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    async fn for_message(&self, request: &Request) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let message = frame::message_bytes(request.content_type, &request.body);
        if message <= limits::SMALL_MESSAGE_BYTES {
            return Ok(None);
        }
        // An artifact is there twice while it is stored: as it came, and packed for its row.
        self.take(message.saturating_mul(2)).await.map(Some)
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
        let memory = Room::new(limits::LARGE_MESSAGES_BYTES);
        let mut body = frame::encode(ContentType::Packed, b"# nothing\n".to_vec()).to_vec();
        let request = |body: &[u8]| Request {
            content_type: ContentType::Packed,
            body: body.to_vec().into(),
            cookie: None,
        };
        let small = memory.for_message(&request(&body)).await.expect("no wait");
        assert!(small.is_none());
        body[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let large = memory.for_message(&request(&body)).await.expect("room");
        assert!(large.is_some());
        assert!(memory.for_message(&request(&body)).now_or_never().is_none());
    }
}
