//! Reads a stranger's body: bounded in size, in time, and in how much of the memory all of them hold together.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::api::{Code, Error};
use crate::limits;

/// Returns the whole body of `request`, and the place among `places` that a large one takes.
///
/// # Errors
/// `too_large`, or `bad_request` when it stalls or breaks off.
pub(super) async fn read(
    request: Request,
    places: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse().ok());
    if announced.is_some_and(|length: u64| length > limits::XFER_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let collected = timeout(limits::XFER_BODY_DEADLINE, collect(request, places)).await;
    collected.unwrap_or_else(|_| Err(Error::bad_request("the body took too long")))
}

async fn collect(
    request: Request,
    places: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let mut stream = request.into_body().into_data_stream();
    let (mut body, mut place) = (BytesMut::new(), None);
    loop {
        let chunk = match timeout(limits::XFER_BODY_STALL, stream.next()).await {
            Err(_) => return Err(Error::bad_request("the body stalled")),
            Ok(None) => return Ok((body.freeze(), place)),
            Ok(Some(Err(_))) => return Err(Error::bad_request("the body broke off")),
            Ok(Some(Ok(chunk))) => chunk,
        };
        if body.len().saturating_add(chunk.len()) > limits::XFER_BODY_BYTES {
            return Err(too_large());
        }
        if place.is_none() && body.len().saturating_add(chunk.len()) > limits::SMALL_BODY_BYTES {
            place = Some(
                Arc::clone(places)
                    .acquire_owned()
                    .await
                    .map_err(|_| Error::internal("no places"))?,
            );
        }
        body.extend_from_slice(&chunk);
    }
}

fn too_large() -> Error {
    Error::new(Code::TooLarge, "the body is too long")
}
