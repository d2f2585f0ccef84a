//! A phone claims an offer. The id that it made for itself, 256 random bits, is what it shows until it has a session.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::App;
use crate::api::{Error, PhonePairing};
use crate::http::extract::Body;
use crate::http::reply::Answer;
use crate::limits;
use crate::pair::{Claim, Hello, Party, Reveal, Why};

/// Whom the phone talks to.
#[derive(Debug, Serialize)]
pub(super) struct Host {
    endpoint_id: String,
    name: String,
}

/// A claim, and whose it is.
#[derive(Debug, Deserialize)]
pub(super) struct Claiming {
    id: String,
    claim: Claim,
}

/// A part of the digits, and whose it is.
#[derive(Debug, Deserialize)]
pub(super) struct Revealing {
    id: String,
    reveal: Reveal,
}

/// Who asks.
#[derive(Debug, Deserialize)]
pub(super) struct Who {
    id: String,
}

/// Who does not want, and whether the digits were the reason.
#[derive(Debug, Deserialize)]
pub(super) struct Refusing {
    id: String,
    #[serde(default)]
    differ: bool,
}

/// A session: its bearer token, the one time that it is said.
#[derive(Debug, Serialize)]
pub(super) struct Session {
    session: String,
}

/// `GET /phone/v1/host`.
pub(super) async fn host(State(phones): State<App>) -> Json<Host> {
    let (id, name) = phones.host();
    Json(Host {
        endpoint_id: id.to_string(),
        name: name.to_owned(),
    })
}

/// `POST /phone/v1/pair/claim`.
pub(super) async fn claim(
    State(phones): State<App>,
    Body(wish): Body<Claiming>,
) -> Answer<Json<Hello>> {
    Ok(Json(phones.claim(party(&wish.id)?, &wish.claim).await?))
}

/// `POST /phone/v1/pair/reveal`.
pub(super) async fn reveal(
    State(phones): State<App>,
    Body(wish): Body<Revealing>,
) -> Answer<StatusCode> {
    phones.reveal(&party(&wish.id)?, &wish.reveal).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /phone/v1/pair/wait`: answers when a person has decided, or after a while.
pub(super) async fn wait(
    State(phones): State<App>,
    Body(wish): Body<Who>,
) -> Answer<Json<PhonePairing>> {
    let wait: Duration = limits::DEVICE_WAIT;
    Ok(Json(phones.wait_for(&party(&wish.id)?, wait).await))
}

/// `POST /phone/v1/pair/refuse`.
pub(super) async fn refuse(
    State(phones): State<App>,
    Body(wish): Body<Refusing>,
) -> Answer<StatusCode> {
    let why = if wish.differ {
        Why::Differ
    } else {
        Why::Cancelled
    };
    phones.refuse(&party(&wish.id)?, why).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /phone/v1/pair/session`.
pub(super) async fn session(
    State(phones): State<App>,
    Body(wish): Body<Who>,
) -> Answer<(StatusCode, Json<Session>)> {
    let session = phones.agree(&party(&wish.id)?).await?;
    Ok((StatusCode::CREATED, Json(Session { session })))
}

fn party(text: &str) -> Result<Party, Error> {
    text.parse()
        .map_err(|_| Error::bad_request("the phone's id is 64 hexadecimal digits"))
}
