//! The door for Fossil clients: `--serve-http`. One repository answers at any path; several are told apart by the first path
//! segment, which is a name, a project code, or what the file is called. Whatever comes here is a stranger's.

mod body;
pub(crate) mod bus;
pub(crate) mod tunnel;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use libfossil::auth::AuthContext;
use libfossil::xfer::{self, frame::ContentType};
use percent_encoding::percent_decode_str;

use crate::api::{Code, Error};
use crate::core::Core;
use crate::exchange::exchange;
use crate::limits;
use crate::metrics;
use crate::repository::Hosted;
use body::Bodies;

const STUB: &str = "This is EdgeSync. It answers Fossil: clone this address with\n\n    fossil clone ADDRESS FILE.fossil\n\n\
                    where ADDRESS is what you typed into the browser.\n";

/// What the handlers share.
#[derive(Debug, Clone)]
struct Door {
    core: Arc<Core>,
    /// For the large bodies of all connections.
    bodies: Bodies,
}

/// Returns the router of the listener for Fossil clients.
pub(crate) fn router(core: Arc<Core>) -> Router {
    let door = Door {
        core,
        bodies: Bodies::new(limits::UNTOLD_BODY_BYTES),
    };
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(figures))
        .fallback(answer)
        .with_state(door)
}

async fn health() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        "{\"status\":\"ok\"}\n",
    )
        .into_response()
}

/// Names nothing: whoever reaches this listener may read it.
async fn figures(State(door): State<Door>) -> Response {
    let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (kind, metrics::text(&door.core, false)).into_response()
}

async fn answer(State(door): State<Door>, request: Request) -> Response {
    match converse(&door, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(code = %error.code, %error, "a client was refused");
            refusal(&error)
        }
    }
}

async fn converse(door: &Door, request: Request) -> Result<Response, Error> {
    let hosted = select(&door.core.all(), request.uri())?;
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    // Stock dispatches on the content type alone; another method with such a body does not occur.
    let Ok(content_type) = ContentType::parse(kind) else {
        return stub(request.method());
    };
    if request.method() != Method::POST {
        return stub(request.method());
    }
    let address = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip().to_string());
    let cookie = request
        .headers()
        .get(header::COOKIE)
        .and_then(|cookie| cookie.to_str().ok())
        .map(ToOwned::to_owned);
    // The memory is held until the reply is made. The body itself goes earlier, but only the repository's thread knows when.
    let (body, _held) = body::read(request, &door.bodies).await?;
    let request = xfer::Request {
        content_type,
        body,
        cookie,
    };
    let auth = AuthContext {
        granted: None,
        address: address.unwrap_or_default(),
    };
    let reply = exchange(&hosted, auth, request, None).await?;
    let kind = HeaderValue::from_static(reply.content_type.as_str());
    Ok(([(header::CONTENT_TYPE, kind)], reply.body).into_response())
}

/// Returns the repository that an address means.
fn select(hosted: &[Arc<Hosted>], uri: &Uri) -> Result<Arc<Hosted>, Error> {
    if let [only] = hosted {
        return Ok(Arc::clone(only));
    }
    let segment = uri
        .path()
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let wish = percent_decode_str(segment)
        .decode_utf8()
        .unwrap_or_default();
    let named = hosted.iter().find(|hosted| hosted.name() == wish);
    let coded = || {
        hosted
            .iter()
            .find(|hosted| hosted.project_code().as_deref() == Some(&*wish))
    };
    // A name has no spaces or letters with accents; the file it was made from may. A plus sign may stand for a space.
    let filed = || {
        let spaced = wish.replace('+', " ");
        let stem = |hosted: &Hosted| hosted.path().file_stem().map(ToOwned::to_owned);
        let mut found = hosted
            .iter()
            .filter(|hosted| stem(hosted).is_some_and(|stem| stem == *wish || stem == *spaced));
        found.next().filter(|_| found.next().is_none())
    };
    named
        .or_else(coded)
        .or_else(filed)
        .cloned()
        .ok_or_else(|| Error::not_found("there is no repository at this address"))
}

/// Answers a browser.
fn stub(method: &Method) -> Result<Response, Error> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(plain(StatusCode::OK, STUB.to_owned()));
    }
    Err(Error::bad_request("this is no request of a Fossil client"))
}

fn refusal(error: &Error) -> Response {
    let status = match error.code {
        // A repository that is gone or busy may be back in a moment; stock clients show the status.
        Code::Repository | Code::Conflict => StatusCode::SERVICE_UNAVAILABLE,
        code => StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    plain(status, format!("{}\n", error.message))
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}
