//! Who may come in: requests that name this listener, or what it is called from outside, as `Host` and `Origin`. A page of another site that a
//! phone's browser has open can forge neither. Phones then show their session.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::App;
use crate::api::{Code, Error};
use crate::http::gate::{announced_length, mark, sole};
use crate::http::reply::Failure;
use crate::limits;
use crate::phone::Admitted;

/// What a request may call this listener, and the origins of its page.
#[derive(Debug)]
pub(super) struct Hosts {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    pub(super) fn new(address: SocketAddr, public_url: Option<&str>) -> Self {
        let mut hosts = vec![address.to_string()];
        let mut origins = vec![format!("http://{address}")];
        if let Some(url) = public_url {
            origins.push(url.to_owned());
            hosts.extend(url.split_once("://").map(|(_, host)| host.to_owned()));
        }
        Self { hosts, origins }
    }

    fn judge(&self, request: &Request) -> Result<(), Error> {
        let headers = request.headers();
        let is_ours = |host: &str| self.hosts.iter().any(|it| it.eq_ignore_ascii_case(host));
        let authority = request.uri().authority();
        let named = sole(headers, &header::HOST).is_some_and(is_ours);
        if !named || !authority.is_none_or(|it| is_ours(it.as_str())) {
            return Err(Error::new(
                Code::Forbidden,
                "the request names another host",
            ));
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = sole(headers, &header::ORIGIN);
            let ours = |origin: &str| {
                self.origins
                    .iter()
                    .any(|it| it.eq_ignore_ascii_case(origin))
            };
            if !origin.is_some_and(ours) {
                let words = "the request comes from another site's page";
                return Err(Error::new(Code::Forbidden, words));
            }
        }
        if announced_length(headers).is_some_and(|length| length > limits::DEVICE_BODY_BYTES as u64)
        {
            return Err(Error::new(Code::TooLarge, "the body is too long"));
        }
        Ok(())
    }
}

/// Refuses what may not come in, and marks every answer.
pub(super) async fn check(
    State(hosts): State<Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Response {
    let response = match hosts.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => Failure(error).into_response(),
    };
    mark(response)
}

/// A phone that is paired.
pub(super) struct Phone(pub(super) Admitted);

impl FromRequestParts<App> for Phone {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, phones: &App) -> Result<Self, Failure> {
        let header = sole(&parts.headers, &header::AUTHORIZATION);
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        Ok(Self(phones.admit(token.unwrap_or_default()).await?))
    }
}
