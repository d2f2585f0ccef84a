//! Reads a stranger's body: bounded in size, in time, and in how much of the memory all of them hold together.

use axum::extract::Request;
use axum::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::api::{Code, Error};
use crate::limits;
use crate::memory::Room;

/// Returns the whole body of `request`, and the room in `memory` that a large one takes.
///
/// # Errors
/// `too_large`, or `bad_request` when it stalls, comes too slowly or breaks off.
pub(super) async fn read(
    request: Request,
    memory: &Room,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    let most = match announced.map(usize::try_from) {
        Some(Ok(length)) if length <= limits::XFER_BODY_BYTES => length,
        Some(_) => return Err(too_large()),
        None => limits::XFER_BODY_BYTES,
    };
    let begun = Instant::now();
    let mut stream = request.into_body().into_data_stream();
    let mut body = BytesMut::new();
    let mut large: Option<Large> = None;
    loop {
        let chunk = match timeout(limits::XFER_BODY_STALL, stream.next()).await {
            Err(_) => return Err(Error::bad_request("the body stalled")),
            Ok(None) => return Ok((body.freeze(), large.map(|large| large.room))),
            Ok(Some(Err(_))) => return Err(Error::bad_request("the body broke off")),
            Ok(Some(Ok(chunk))) => chunk,
        };
        let length = body.len().saturating_add(chunk.len());
        if length > limits::XFER_BODY_BYTES {
            return Err(too_large());
        }
        let slow = match &large {
            Some(large) => large.is_too_slow(length),
            None => begun.elapsed() > limits::SMALL_BODY_DEADLINE,
        };
        if slow {
            return Err(Error::bad_request("the body comes too slowly"));
        }
        if large.is_none() && length > limits::SMALL_BODY_BYTES {
            large = Some(Large {
                room: memory.take(most).await?,
                since: Instant::now(),
                from: length,
            });
            body.reserve(announced.map_or(0, |_| most.saturating_sub(body.len())));
        }
        body.extend_from_slice(&chunk);
    }
}

/// A body that others wait for.
struct Large {
    room: OwnedSemaphorePermit,
    since: Instant,
    /// How much had come when there was room for the rest.
    from: usize,
}

impl Large {
    fn is_too_slow(&self, length: usize) -> bool {
        let elapsed = self.since.elapsed();
        let seconds = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
        elapsed > limits::LARGE_BODY_GRACE
            && length.saturating_sub(self.from)
                < limits::LARGE_BODY_BYTES_PER_S.saturating_mul(seconds)
    }
}

fn too_large() -> Error {
    Error::new(Code::TooLarge, "the body is too long")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    /// A body of equal pieces with a pause before each.
    fn trickle(piece: usize, pause: Duration, total: usize) -> Request {
        let pieces = stream::unfold(total, move |left| async move {
            if left == 0 {
                return None;
            }
            tokio::time::sleep(pause).await;
            let length = piece.min(left);
            Some((
                Ok::<_, io::Error>(Bytes::from(vec![7; length])),
                left - length,
            ))
        });
        Request::builder()
            .header(header::CONTENT_LENGTH, total)
            .body(Body::from_stream(pieces))
            .expect("a request")
    }

    const LARGE: usize = 8 * limits::SMALL_BODY_BYTES;

    #[tokio::test(start_paused = true)]
    async fn a_large_body_that_trickles_gives_its_room_back() {
        let memory = Room::new(limits::LARGE_BODIES_BYTES);
        let piece = 64 * 1024;
        // Fast enough to never stall, and too slow to hold room for long.
        let slow = trickle(piece, limits::XFER_BODY_STALL / 2, LARGE);
        let begun = Instant::now();
        let refused = read(slow, &memory).await.expect_err("too slow");
        assert_eq!(refused.message, "the body comes too slowly");
        assert!(begun.elapsed() < limits::SMALL_BODY_DEADLINE);
        let everything = memory.take(usize::MAX).await;
        drop(everything.expect("all the room is free again"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_on_a_slow_line_arrives() {
        let pause = Duration::from_millis(500);
        let piece = limits::LARGE_BODY_BYTES_PER_S / 2 + 1024;
        let (body, room) = read(
            trickle(piece, pause, LARGE),
            &Room::new(limits::LARGE_BODIES_BYTES),
        )
        .await
        .expect("all of it");
        assert_eq!(body.len(), LARGE);
        assert!(room.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_waits_for_room_without_being_called_slow() {
        let memory = Room::new(limits::LARGE_BODIES_BYTES);
        let all = memory.take(usize::MAX).await.expect("all the room");
        let waiting = tokio::spawn({
            let memory = memory.clone();
            async move { read(trickle(LARGE, Duration::ZERO, LARGE), &memory).await }
        });
        tokio::time::sleep(limits::SMALL_BODY_DEADLINE).await;
        assert!(!waiting.is_finished());
        drop(all);
        let (body, _room) = waiting.await.expect("no panic").expect("all of it");
        assert_eq!(body.len(), LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_needs_no_room_and_has_its_time() {
        let memory = Room::new(limits::LARGE_BODIES_BYTES);
        let _all = memory.take(usize::MAX).await.expect("all the room");
        let (body, room) = read(trickle(100, Duration::from_secs(10), 1000), &memory)
            .await
            .expect("all of it");
        assert_eq!((body.len(), room.is_none()), (1000, true));
        let endless = trickle(1, limits::XFER_BODY_STALL / 2, 1000);
        assert!(read(endless, &memory).await.is_err());
    }
}
