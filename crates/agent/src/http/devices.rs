//! Phones, for people at the computer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use super::extract::{Body, Parameter, Query};
use super::reply::Answer;
use super::{App, offered};
use crate::api::{AcceptDevice, Devices, Error, MakeOffer};
use crate::core::Core;
use crate::pair::{Party, Why};
use crate::phone::Phones;

/// `GET /api/v1/devices`.
pub(super) async fn show(State(core): State<App>) -> Answer<Json<Devices>> {
    Ok(Json(phones(&core)?.show()))
}

/// `POST /api/v1/devices/offer`.
pub(super) async fn offer(
    State(core): State<App>,
    Query(how): Query<offered::How>,
    Body(wish): Body<MakeOffer>,
) -> Answer<Response> {
    let phones = phones(&core)?;
    if !how.held {
        return Ok(offered::whole(phones.offer(&wish).await?));
    }
    let gone = CancellationToken::new();
    let made = phones.offer_until(&wish, gone.clone()).await?;
    Ok(offered::held(&made, gone))
}

/// `DELETE /api/v1/devices/offer`.
pub(super) async fn withdraw(State(core): State<App>) -> Answer<StatusCode> {
    phones(&core)?.withdraw().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/devices/pending/{id}/accept`.
pub(super) async fn accept(
    State(core): State<App>,
    Parameter(id): Parameter,
    Body(wish): Body<AcceptDevice>,
) -> Answer<StatusCode> {
    phones(&core)?.accept(&party(&id)?, wish).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/devices/pending/{id}`: the digits differ, or nobody wants it.
pub(super) async fn refuse(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<StatusCode> {
    phones(&core)?.refuse(&party(&id)?, Why::Differ).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/devices/{id}`.
pub(super) async fn revoke(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<StatusCode> {
    phones(&core)?.revoke(&party(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn phones(core: &Core) -> Result<&Arc<Phones>, Error> {
    core.phones.get().ok_or_else(|| {
        let words = "this agent runs without notify, so phones have nothing to read";
        Error::not_found(words).with_hint("start it with --notify")
    })
}

fn party(text: &str) -> Result<Party, Error> {
    text.parse()
        .map_err(|_| Error::not_found("no phone of that id is here"))
}
