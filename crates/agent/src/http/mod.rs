//! The agent's own door: one loopback listener for the app's page and the API. Whoever asks must name this listener as `Host`
//! (and as `Origin`, when there is one), and for the API hold the token of the runtime file.

mod desktop;
mod devices;
mod encoded_word;
mod extract;
mod gate;
mod history;
mod mesh;
mod notify;
mod ntfy;
mod offered;
mod page;
mod pairing;
mod phone;
mod reply;
mod repositories;
mod settings;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{delete, get, post, put};

use crate::api::Error;
use crate::core::Core;
use gate::Gate;
use reply::Failure;

pub(crate) use page::is_built as has_page;
pub(crate) use phone::router as phone_router;

type App = Arc<Core>;

/// Returns the router of the loopback listener at `address`, which wants `token` for the API.
pub(crate) fn router(core: App, address: SocketAddr, token: &str) -> Router {
    let gate = Arc::new(Gate::new(address, token));
    Router::new()
        .nest(
            "/api",
            Router::new().nest("/v1", api()).fallback(no_such_path),
        )
        .route("/notify/{project}", post(ntfy::publish).put(ntfy::publish))
        .fallback(page::serve)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(gate, gate::check))
        .with_state(core)
}

fn api() -> Router<App> {
    Router::new()
        .route("/status", get(repositories::status))
        .route("/doctor", get(desktop::doctor))
        .route("/log", get(desktop::log))
        .route("/events", get(stream::events))
        .route("/metrics", get(repositories::metrics))
        .route("/repositories", get(repositories::list))
        .route("/repositories/add", post(repositories::add))
        .route("/repositories/create", post(repositories::create))
        .route("/repositories/clone", post(repositories::clone))
        .route(
            "/repositories/{name}",
            get(repositories::show).delete(repositories::forget),
        )
        .route("/repositories/{name}/remote", put(repositories::set_remote))
        .route("/repositories/{name}/sync", post(repositories::sync_one))
        .route("/repositories/{name}/pause", post(repositories::pause_one))
        .route(
            "/repositories/{name}/resume",
            post(repositories::resume_one),
        )
        .route("/repositories/{name}/timeline", get(history::timeline))
        .route(
            "/repositories/{name}/check-ins/{version}",
            get(history::check_in),
        )
        .route(
            "/repositories/{name}/check-ins/{version}/diff",
            get(history::diff),
        )
        .route(
            "/repositories/{name}/check-ins/{version}/files",
            get(history::files),
        )
        .route(
            "/repositories/{name}/check-ins/{version}/file",
            get(history::file),
        )
        .route(
            "/repositories/{name}/artifacts/{hash}/raw",
            get(history::raw),
        )
        .route("/sync", post(repositories::sync_all))
        .route("/pause", post(repositories::pause_all))
        .route("/resume", post(repositories::resume_all))
        .route("/jobs", get(repositories::jobs))
        .route("/jobs/{id}", delete(repositories::cancel_job))
        .nest("/notify", notify_api())
        .route("/devices", get(devices::show))
        .route("/devices/{id}", delete(devices::revoke))
        .route(
            "/devices/offer",
            post(devices::offer).delete(devices::withdraw),
        )
        .route("/devices/pending/{id}", delete(devices::refuse))
        .route("/devices/pending/{id}/accept", post(devices::accept))
        .nest("/mesh", mesh_api())
        .route("/shell/open-window", post(desktop::open_window))
        .route("/shell/reveal", post(desktop::reveal))
        .route("/shell/test-notification", post(settings::test))
        .route("/quit", post(desktop::quit))
        .fallback(no_such_path)
}

fn mesh_api() -> Router<App> {
    Router::new()
        .route("/", get(mesh::show))
        .route("/role", put(mesh::set_role))
        .route("/tunnel", put(mesh::set_tunnel))
        .route("/bridges", post(mesh::add_bridge))
        .route("/bridges/{id}", delete(mesh::remove_bridge))
        .route("/pairing", get(pairing::show))
        .route(
            "/pairing/offer",
            post(pairing::offer).delete(pairing::withdraw),
        )
        .route("/pairing/claim", post(pairing::claim))
        .route("/pairing/pending/{id}", delete(pairing::refuse))
        .route("/pairing/pending/{id}/accept", post(pairing::accept))
        .route("/joins", post(mesh::add_join))
        .route("/joins/{id}", delete(mesh::remove_join))
        .route("/members/{endpoint_id}", delete(mesh::unpair))
        .route("/trusted", get(mesh::trusted).post(mesh::trust))
        .route("/trusted/{endpoint_id}", delete(mesh::distrust))
}

fn notify_api() -> Router<App> {
    Router::new()
        .route("/", get(notify::status))
        .route("/threads", get(notify::threads))
        .route("/threads/{thread}", get(notify::conversation))
        .route("/threads/{thread}/reply", post(notify::reply))
        .route("/threads/{thread}/done", post(notify::set_done))
        .route("/threads/{thread}/seen", post(settings::seen))
        .route("/settings", get(settings::show))
        .route("/settings/quiet", put(settings::set_quiet))
        .route("/settings/projects/{project}", put(settings::set_muted))
        .route("/send", post(notify::send))
        .route("/messages", get(notify::messages))
        .route("/messages/{id}", get(notify::message))
        .route("/messages/{id}/answer", get(notify::answer))
        .route("/messages/{id}/cancel", post(notify::cancel))
        .route("/messages/{id}/trace", get(notify::trace))
        .route("/messages/{id}/media/{name}", get(notify::media))
}

async fn no_such_path(uri: Uri) -> Failure {
    Failure(Error::not_found(format!("there is no {}", uri.path())))
}

async fn no_such_method(method: Method, uri: Uri) -> Failure {
    Failure(Error::not_found(format!(
        "there is no {method} for {}",
        uri.path()
    )))
}
