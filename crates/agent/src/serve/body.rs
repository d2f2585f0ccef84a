//! Reads a stranger's body: bounded in size, in time, and in how much of the memory all of them hold together.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::{Code, Error};
use crate::limits;
use crate::memory::Room;
use crate::share::{Share, Shares};
use crate::turns::Turn;

/// What the large bodies of a listener share.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    room: Room,
    shares: Shares,
    /// The most of one whose length is not told before.
    untold: usize,
}

impl Bodies {
    /// Returns room for bodies, of which those without a length may have `untold` bytes each.
    pub(super) fn new(untold: usize) -> Self {
        Self {
            room: Room::new(limits::LARGE_BODIES_BYTES),
            shares: Shares::new(limits::LARGE_BODIES_OF_ONE),
            untold,
        }
    }
}

/// Returns the whole body of `request`, and what holds the memory that a large one takes.
///
/// # Errors
/// `too_large`, `conflict` when others need the memory, or `bad_request` when it stalls, comes too slowly or breaks off. The connection of a small one that takes its
/// time may be closed meanwhile for others.
pub(super) async fn read(
    request: Request,
    bodies: &Bodies,
) -> Result<(Bytes, Option<Large>), Error> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|peer| peer.0.ip());
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    let most = match announced.map(usize::try_from) {
        Some(Ok(length)) if length <= limits::XFER_BODY_BYTES => length,
        Some(_) => return Err(too_large()),
        None => bodies.untold,
    };
    let begun = Instant::now();
    let turn = request.extensions().get::<Turn>().cloned();
    let mut lingering = None;
    let mut stream = request.into_body().into_data_stream();
    let mut body = BytesMut::new();
    let mut large: Option<Large> = None;
    loop {
        let mut next = std::pin::pin!(timeout(limits::XFER_BODY_STALL, stream.next()));
        let grace = begun + limits::SMALL_BODY_GRACE;
        let next = match (&turn, &lingering, &large) {
            (Some(turn), None, None) => match timeout_at(grace, next.as_mut()).await {
                Ok(next) => next,
                Err(_) => {
                    lingering = Some(turn.lingering());
                    next.await
                }
            },
            _ => next.await,
        };
        let chunk = match next {
            Err(_) => return Err(Error::bad_request("the body stalled")),
            Ok(None) => return Ok((body.freeze(), large)),
            Ok(Some(Err(_))) => return Err(Error::bad_request("the body broke off")),
            Ok(Some(Ok(chunk))) => chunk,
        };
        let length = body.len().saturating_add(chunk.len());
        if length > most {
            return Err(too_large());
        }
        match &large {
            Some(large) if large.is_too_slow(length) => return Err(too_slow()),
            Some(large) if large.had_its_turn(&bodies.room) => return Err(busy()),
            None if begun.elapsed() > limits::SMALL_BODY_DEADLINE => return Err(too_slow()),
            _ => {}
        }
        if large.is_none() && length > limits::SMALL_BODY_BYTES {
            lingering = None;
            large = Some(Large::begin(bodies, peer, most, length).await?);
            body.reserve(announced.map_or(0, |_| most.saturating_sub(body.len())));
        }
        body.extend_from_slice(&chunk);
    }
}

/// A body that others wait for.
#[derive(Debug)]
pub(super) struct Large {
    _room: OwnedSemaphorePermit,
    _share: Option<Share>,
    since: Instant,
    /// How much had come when there was room for the rest.
    from: usize,
}

impl Large {
    /// Waits for room for a body of `most` bytes, of which so many came.
    async fn begin(
        bodies: &Bodies,
        peer: Option<IpAddr>,
        most: usize,
        from: usize,
    ) -> Result<Self, Error> {
        let share = match peer {
            Some(peer) => Some(bodies.shares.take(peer).ok_or_else(busy)?),
            None => None,
        };
        Ok(Self {
            _room: bodies.room.take(most).await?,
            _share: share,
            since: Instant::now(),
            from,
        })
    }

    fn had_its_turn(&self, room: &Room) -> bool {
        self.since.elapsed() > limits::LARGE_BODY_TURN && room.is_wanted()
    }

    fn is_too_slow(&self, length: usize) -> bool {
        let elapsed = self.since.elapsed();
        let seconds = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
        elapsed > limits::LARGE_BODY_GRACE
            && length.saturating_sub(self.from)
                < limits::LARGE_BODY_BYTES_PER_S.saturating_mul(seconds)
    }
}

fn busy() -> Error {
    let words = "too many large bodies come at once; try again in some minutes";
    Error::new(Code::Conflict, words)
}

fn too_slow() -> Error {
    Error::bad_request("the body comes too slowly")
}

fn too_large() -> Error {
    Error::new(Code::TooLarge, "the body is too long")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Body;
    use futures_util::stream;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::turns::Turns;

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
        let bodies = Bodies::new(limits::UNTOLD_BODY_BYTES);
        let piece = 64 * 1024;
        // Fast enough to never stall, and too slow to hold room for long.
        let slow = trickle(piece, limits::XFER_BODY_STALL / 2, LARGE);
        let begun = Instant::now();
        let refused = read(slow, &bodies).await.expect_err("too slow");
        assert_eq!(refused.message, "the body comes too slowly");
        assert!(begun.elapsed() < limits::SMALL_BODY_DEADLINE);
        let everything = bodies.room.take(usize::MAX).await;
        drop(everything.expect("all the room is free again"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_on_a_slow_line_arrives() {
        let pause = Duration::from_millis(500);
        let piece = limits::LARGE_BODY_BYTES_PER_S / 2 + 1024;
        let (body, room) = read(
            trickle(piece, pause, LARGE),
            &Bodies::new(limits::UNTOLD_BODY_BYTES),
        )
        .await
        .expect("all of it");
        assert_eq!(body.len(), LARGE);
        assert!(room.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_waits_for_room_without_being_called_slow() {
        let bodies = Bodies::new(limits::UNTOLD_BODY_BYTES);
        let all = bodies.room.take(usize::MAX).await.expect("all the room");
        let waiting = tokio::spawn({
            let bodies = bodies.clone();
            async move { read(trickle(LARGE, Duration::ZERO, LARGE), &bodies).await }
        });
        tokio::time::sleep(limits::SMALL_BODY_DEADLINE).await;
        assert!(!waiting.is_finished());
        drop(all);
        let (body, _room) = waiting.await.expect("no panic").expect("all of it");
        assert_eq!(body.len(), LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_needs_no_room_and_has_its_time() {
        let bodies = Bodies::new(limits::UNTOLD_BODY_BYTES);
        let _all = bodies.room.take(usize::MAX).await.expect("all the room");
        let (body, room) = read(trickle(100, Duration::from_secs(10), 1000), &bodies)
            .await
            .expect("all of it");
        assert_eq!((body.len(), room.is_none()), (1000, true));
        let endless = trickle(1, limits::XFER_BODY_STALL / 2, 1000);
        assert!(read(endless, &bodies).await.is_err());
    }

    /// Returns when the connection of a request gives way to another that wants its place, or `None` when its body is read first.
    async fn gives_way_after(mut request: Request) -> Option<Duration> {
        let (turns, places) = (Turns::default(), Arc::new(Semaphore::new(1)));
        let _held = turns.place(&places).await.expect("a place");
        let turn = turns.join();
        turn.asked();
        request.extensions_mut().insert(turn.clone());
        let bodies = Bodies::new(limits::UNTOLD_BODY_BYTES);
        let begun = Instant::now();
        tokio::select! {
            body = read(request, &bodies) => {
                body.expect("all of it");
                None
            }
            _ = turns.place(&places) => panic!("the only place is held"),
            () = turn.given_way() => Some(begun.elapsed()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_that_takes_its_time_gives_way_when_all_places_are_taken() {
        let grace = limits::SMALL_BODY_GRACE;
        let trickling = trickle(1, Duration::from_millis(700), 1000);
        let after = gives_way_after(trickling).await.expect("it gives way");
        assert!(after >= grace && after < grace * 2, "{after:?}");
        let silent = trickle(1000, limits::XFER_BODY_STALL * 2, 1000);
        assert_eq!(gives_way_after(silent).await, Some(grace));
        let quick = trickle(100, grace / 20, 1000);
        assert_eq!(gives_way_after(quick).await, None);
        // A large one has a least speed instead.
        let large = trickle(LARGE / 20, grace / 4, LARGE);
        assert_eq!(gives_way_after(large).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_goes_after_its_turn_when_others_wait() {
        let piece = 1024 * 1024;
        let total = 150 * piece;
        // Fast enough as long as nobody waits.
        let slow = || trickle(piece, Duration::from_secs(1), total);
        let bodies = Bodies::new(limits::UNTOLD_BODY_BYTES);
        let (alone, _held) = read(slow(), &bodies).await.expect("all of it");
        assert_eq!(alone.len(), total);
        drop((alone, _held));

        let rest = limits::LARGE_BODIES_BYTES - total;
        let _rest = bodies.room.take(rest).await.expect("room");
        let begun = Instant::now();
        let second = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let body = read(trickle(LARGE, Duration::ZERO, LARGE), &bodies).await;
            (body.expect("all of it").0.len(), begun.elapsed())
        };
        let (first, (length, waited)) = tokio::join!(read(slow(), &bodies), second);
        assert_eq!(first.expect_err("its turn is over").code, Code::Conflict);
        assert_eq!(length, LARGE);
        assert!(waited < limits::LARGE_BODY_TURN + limits::XFER_BODY_STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_takes_a_few_of_the_places_and_an_untold_length_has_its_limit() {
        let bodies = Bodies::new(limits::UNTOLD_BODY_BYTES);
        let of = |peer: &str, length| {
            let mut request = trickle(limits::SMALL_BODY_BYTES, Duration::ZERO, length);
            let peer: SocketAddr = format!("{peer}:1").parse().expect("an address");
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        };
        let mut held = Vec::new();
        for _ in 0..limits::LARGE_BODIES_OF_ONE {
            held.push(
                read(of("192.0.2.1", LARGE), &bodies)
                    .await
                    .expect("all of it"),
            );
        }
        let refused = read(of("192.0.2.1", LARGE), &bodies).await;
        assert_eq!(refused.expect_err("too many").code, Code::Conflict);
        drop(
            read(of("192.0.2.2", LARGE), &bodies)
                .await
                .expect("all of it"),
        );
        held.pop();
        drop(
            read(of("192.0.2.1", LARGE), &bodies)
                .await
                .expect("all of it"),
        );
        for (length, taken) in [
            (limits::UNTOLD_BODY_BYTES, true),
            (limits::UNTOLD_BODY_BYTES + 1, false),
        ] {
            let mut untold = of("192.0.2.3", length);
            untold.headers_mut().remove(header::CONTENT_LENGTH);
            assert_eq!(read(untold, &bodies).await.is_ok(), taken);
        }
    }
}
