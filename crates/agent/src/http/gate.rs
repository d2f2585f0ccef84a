//! Who may come in. A page of another site can make a browser send requests here; it can forge neither `Host` nor `Origin`
//! and does not know the token. Every answer carries the headers that keep what we serve harmless in a browser.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use subtle::ConstantTimeEq as _;

use super::reply::Failure;
use crate::api::{Code, Error};
use crate::limits;

/// What a request must show.
pub(super) struct Gate {
    hosts: Vec<String>,
    token: Vec<u8>,
}

impl Gate {
    pub(super) fn new(address: SocketAddr, token: &str) -> Self {
        let hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        Self {
            hosts,
            token: token.as_bytes().to_vec(),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(host))
    }

    fn judge(&self, request: &Request) -> Result<(), Error> {
        let headers = request.headers();
        let host = sole(headers, &header::HOST).filter(|host| self.is_ours(host));
        let authority = request
            .uri()
            .authority()
            .is_none_or(|authority| self.is_ours(authority.as_str()));
        if host.is_none() || !authority {
            return Err(Error::new(
                Code::Forbidden,
                "the request names another host",
            ));
        }
        if headers.contains_key(header::ORIGIN) {
            let origin =
                sole(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if !origin.is_some_and(|host| self.is_ours(host)) {
                return Err(Error::new(
                    Code::Forbidden,
                    "the request comes from another site's page",
                ));
            }
        }
        if needs_token(request.uri().path()) && !self.has_token(headers) {
            return Err(
                Error::new(Code::Unauthorized, "the token is missing or wrong").with_hint(
                    "Open the page again from the tray, or with the address that the agent prints.",
                ),
            );
        }
        if announced_length(headers).is_some_and(|length| length > limits::API_BODY_BYTES as u64) {
            return Err(Error::new(Code::TooLarge, "the body is over 1 MiB"));
        }
        Ok(())
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(value) = sole(headers, &header::AUTHORIZATION) else {
            return false;
        };
        let given = match (value.strip_prefix("Bearer "), value.strip_prefix("Basic ")) {
            (Some(token), _) => Some(token.as_bytes().to_vec()),
            // What `curl -u :TOKEN` sends.
            (None, Some(login)) => login_token(login),
            (None, None) => None,
        };
        given.is_some_and(|token| bool::from(token.ct_eq(&self.token)))
    }
}

/// Refuses what may not come in, and marks every answer.
pub(super) async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let response = match gate.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            tracing::debug!(code = %error.code, path = request.uri().path(), "a request was refused");
            Failure(error).into_response()
        }
    };
    mark(response)
}

/// Marks an answer so that it is harmless in a browser.
pub(super) fn mark(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

fn needs_token(path: &str) -> bool {
    let under = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    under("/api") || under("/notify")
}

/// Returns the password of a login whose name is empty.
fn login_token(login: &str) -> Option<Vec<u8>> {
    let plain = BASE64_STANDARD.decode(login.trim()).ok()?;
    plain.strip_prefix(b":").map(<[u8]>::to_vec)
}

/// Returns how long the body is said to be.
pub(super) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    sole(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok())
}

/// Returns the value of a header that is there exactly once and is plain text.
pub(super) fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}
