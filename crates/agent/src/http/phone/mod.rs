//! What phones reach: their page, pairing, and the messages of the projects that they were given. The router knows [`Phones`] and nothing else of
//! the agent, so no request that comes this way can reach repositories, settings or the desktop's API.

mod gate;
mod messages;
mod pairing;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

use super::{no_such_method, no_such_path, page};
use crate::phone::Phones;

/// What the handlers know.
type App = Arc<Phones>;

/// Returns the router of the listener at `address`, which phones reach there or at `public_url`.
pub(crate) fn router(phones: App, address: SocketAddr, public_url: Option<&str>) -> Router {
    let hosts = Arc::new(gate::Hosts::new(address, public_url));
    let api = Router::new()
        .route("/host", get(pairing::host))
        .route("/pair/claim", post(pairing::claim))
        .route("/pair/reveal", post(pairing::reveal))
        .route("/pair/wait", post(pairing::wait))
        .route("/pair/refuse", post(pairing::refuse))
        .route("/pair/session", post(pairing::session))
        .route("/session", get(messages::session))
        .route("/events", get(messages::events))
        .route("/threads", get(messages::threads))
        .route("/threads/{thread}", get(messages::conversation))
        .route("/messages/{id}/answer", post(messages::answer))
        .route("/messages/{id}/media/{name}", get(messages::media))
        .fallback(no_such_path);
    Router::new()
        .nest("/phone/v1", api)
        .fallback(page::serve_phone)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(hosts, gate::check))
        .with_state(phones)
}
