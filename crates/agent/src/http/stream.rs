//! The event stream: JSON lines for as long as the client reads, a beat at least every few seconds.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use super::App;
use crate::api::Event;
use crate::events::Subscription;
use crate::limits;

/// `GET /api/v1/events`.
pub(super) async fn events(State(core): State<App>) -> Response {
    let lines = stream::unfold(Subscription::new(core), |mut subscription| async move {
        let event = match tokio::time::timeout(limits::BEAT, subscription.next()).await {
            Ok(event) => event?,
            Err(_) => Arc::new(Event::Beat),
        };
        Some((Ok::<_, Infallible>(line(&*event)), subscription))
    });
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}

/// Returns a value as a line of JSON.
pub(super) fn line(value: &impl Serialize) -> Bytes {
    // These types hold nothing that JSON cannot.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
