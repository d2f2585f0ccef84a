//! The app's page: the files that the build of `ui/` left in `ui/dist`, inside this program. Without them a plain page says how
//! to build them.

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::reply::Failure;
use crate::api::Error;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Built;

/// What the page may do: talk to the listener that it came from, and nothing else. Style attributes carry widths and colours
/// of the graph.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; \
                      font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const UNBUILT: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>EdgeSync</title></head>\n<body>\n\
<h1>The page is not built yet</h1>\n<p>This program was compiled before the page. In the project's folder, run</p>\n\
<pre>npm run ui:build</pre>\n<p>then build the program again and start it. <code>npm start</code> does all of it. The agent and its API work without the page.</p>\n\
</body></html>\n";

/// Whether the page was there when this program was built.
pub(crate) fn is_built() -> bool {
    Built::get("index.html").is_some()
}

/// Answers requests for the page's files. Paths that name no file are places inside the app and get its front page.
pub(super) async fn serve(method: Method, uri: Uri) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return Failure(Error::not_found(format!(
            "there is no {method} for {}",
            uri.path()
        )))
        .into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = file(path) {
        return file;
    }
    if path.starts_with("assets/") {
        return nothing(&uri);
    }
    front("index.html")
}

/// Answers requests of phones for their page's files, and for nothing else.
pub(super) async fn serve_phone(method: Method, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let get = matches!(method, Method::GET | Method::HEAD);
    match path {
        "" if get => front("phone.html"),
        path if get => file(path).unwrap_or_else(|| nothing(&uri)),
        _ => nothing(&uri),
    }
}

fn nothing(uri: &Uri) -> Response {
    Failure(Error::not_found(format!("there is no {}", uri.path()))).into_response()
}

/// Returns one of the files beside the pages.
fn file(path: &str) -> Option<Response> {
    let file = Built::get(path).filter(|_| !path.ends_with(".html"))?;
    // The build puts a hash of the content into the names of these.
    let caching = match path.starts_with("assets/") {
        true => "max-age=31536000, immutable",
        false => "no-cache",
    };
    Some(answer(
        file.metadata.mimetype(),
        file.data.into_owned(),
        caching,
    ))
}

/// Returns a page.
fn front(name: &str) -> Response {
    match Built::get(name) {
        Some(file) => answer(
            "text/html; charset=utf-8",
            file.data.into_owned(),
            "no-cache",
        ),
        None => answer(
            "text/html; charset=utf-8",
            UNBUILT.as_bytes().to_vec(),
            "no-store",
        ),
    }
}

fn answer(kind: &str, body: Vec<u8>, caching: &'static str) -> Response {
    let kind =
        HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    response
}
