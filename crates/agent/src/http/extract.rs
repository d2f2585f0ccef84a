//! What handlers take from a request, with the API's error where it is malformed.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::App;
use super::reply::Failure;
use crate::api::{Code, Error};
use crate::limits;
use crate::repository::Hosted;

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Error::bad_request("the body must be application/json").into());
        }
        let body = axum::body::to_bytes(request.into_body(), limits::API_BODY_BYTES);
        let body = match tokio::time::timeout(limits::API_BODY_DEADLINE, body).await {
            Err(_) => return Err(Error::bad_request("the body did not arrive in time").into()),
            // Of what can go wrong here only the limit leaves a client that still listens.
            Ok(Err(_)) => {
                return Err(
                    Error::new(Code::TooLarge, "the body is over 1 MiB or was cut short").into(),
                );
            }
            Ok(Ok(body)) => body,
        };
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            Error::bad_request(format!("the body is not as expected: {error}")).into()
        })
    }
}

/// The query of the address.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Failure> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Self(query.0)),
            Err(error) => {
                Err(Error::bad_request(format!("the query is not as expected: {error}")).into())
            }
        }
    }
}

/// The repository that the path names, and the path's other parameter where there is one.
#[derive(Debug)]
pub(super) struct Named {
    /// The repository.
    pub(super) repository: Arc<Hosted>,
    /// The parameter after the name, percent-decoded.
    pub(super) rest: String,
}

impl FromRequestParts<App> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let parameters = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|error| undecodable(&error))?;
        let mut values = parameters.iter().map(|(_, value)| value);
        let name = values.next().unwrap_or_default();
        let repository = app.repository(name)?;
        Ok(Self {
            repository,
            rest: values.next().unwrap_or_default().to_owned(),
        })
    }
}

/// The path's only parameter.
#[derive(Debug)]
pub(super) struct Parameter(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Parameter {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| undecodable(&error))?;
        Ok(Self(
            parameters
                .iter()
                .next()
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default(),
        ))
    }
}

fn undecodable(error: &RawPathParamsRejection) -> Failure {
    Error::not_found(format!("the path cannot be read: {error}")).into()
}
