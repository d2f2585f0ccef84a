//! Pairing with other agents.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use super::extract::{Body, Parameter, Query};
use super::reply::Answer;
use super::{App, offered};
use crate::api::{AcceptAgent, ClaimOffer, Error, Pairing, PendingAgent};
use crate::pair::{Party, Why};

/// `GET /api/v1/mesh/pairing`.
pub(super) async fn show(State(core): State<App>) -> Answer<Json<Pairing>> {
    Ok(Json(core.mesh()?.pairings().show()))
}

/// `POST /api/v1/mesh/pairing/offer`.
pub(super) async fn offer(
    State(core): State<App>,
    Query(how): Query<offered::How>,
) -> Answer<Response> {
    let mesh = core.mesh()?;
    let ticket = mesh.pairing_ticket().await?;
    let pairings = mesh.pairings();
    if !how.held {
        return Ok(offered::whole(pairings.offer(&ticket).await?));
    }
    let gone = CancellationToken::new();
    let made = pairings.offer_until(mesh, &ticket, gone.clone()).await?;
    Ok(offered::held(&made, gone))
}

/// `DELETE /api/v1/mesh/pairing/offer`.
pub(super) async fn withdraw(State(core): State<App>) -> Answer<StatusCode> {
    core.mesh()?.pairings().withdraw().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/mesh/pairing/claim`.
pub(super) async fn claim(
    State(core): State<App>,
    Body(wish): Body<ClaimOffer>,
) -> Answer<(StatusCode, Json<PendingAgent>)> {
    let mesh = core.mesh()?;
    mesh.check_tunnel()?;
    let pending = mesh.pairings().claim(mesh, &wish).await?;
    Ok((StatusCode::ACCEPTED, Json(pending)))
}

/// `POST /api/v1/mesh/pairing/pending/{id}/accept`.
pub(super) async fn accept(
    State(core): State<App>,
    Parameter(id): Parameter,
    Body(wish): Body<AcceptAgent>,
) -> Answer<StatusCode> {
    core.mesh()?.pairings().accept(&party(&id)?, wish).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/mesh/pairing/pending/{id}`: nobody wants it, or the digits differ.
pub(super) async fn refuse(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<StatusCode> {
    let pairings = core.mesh()?.pairings();
    pairings.refuse(&party(&id)?, Why::Cancelled).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn party(text: &str) -> Result<Party, Error> {
    text.parse()
        .map_err(|_| Error::not_found("no agent of that id waits to be paired with this one"))
}
