//! The answer to who makes an offer: the offer, and for who wants to hold it a stream that stays. An offer that is held counts while the stream is read.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::stream::line;
use crate::api::{Event, MadeOffer};
use crate::limits;

/// How an offer is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// It counts no longer than the answer's stream is read.
    #[serde(default)]
    pub(super) held: bool,
}

/// Returns the answer that is the offer alone.
pub(super) fn whole(made: MadeOffer) -> Response {
    (StatusCode::CREATED, Json(made)).into_response()
}

/// Returns the answer that begins with the offer and goes on with beats. What `gone` tells is cancelled when nobody reads it any more.
pub(super) fn held(made: &MadeOffer, gone: CancellationToken) -> Response {
    let state = (Some(line(made)), gone.drop_guard());
    let lines = stream::unfold(state, |(first, guard)| async move {
        let next = match first {
            Some(first) => first,
            None => {
                tokio::time::sleep(limits::HELD_BEAT).await;
                line(&Event::Beat)
            }
        };
        Some((Ok::<_, Infallible>(next), (None, guard)))
    });
    (
        StatusCode::CREATED,
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}
