//! Status, repositories and jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::App;
use super::extract::{Body, Named, Parameter};
use super::reply::Answer;
use crate::api::{
    AddRepository, CloneRepository, CreateRepository, CreatedRepository, Error, Job, Repository,
    SetPause, SetRemote, Status, Time,
};
use crate::core::Core;
use crate::metrics;
use crate::sync::{self, Remote};

/// `GET /api/v1/status`.
pub(super) async fn status(State(core): State<App>) -> Json<Status> {
    Json(core.status())
}

/// `GET /api/v1/metrics`.
pub(super) async fn metrics(State(core): State<App>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (kind, metrics::text(&core, true))
}

/// `GET /api/v1/repositories`.
pub(super) async fn list(State(core): State<App>) -> Json<Vec<Repository>> {
    Json(core.show_all())
}

/// `GET /api/v1/repositories/{name}`.
pub(super) async fn show(named: Named) -> Json<Repository> {
    Json(named.repository.show())
}

/// `POST /api/v1/repositories/add`.
pub(super) async fn add(
    State(core): State<App>,
    Body(wish): Body<AddRepository>,
) -> Answer<(StatusCode, Json<Repository>)> {
    let hosted = blocking(core, move |core| core.add(&wish)).await?;
    Ok((StatusCode::CREATED, Json(hosted.show())))
}

/// `POST /api/v1/repositories/create`.
pub(super) async fn create(
    State(core): State<App>,
    Body(wish): Body<CreateRepository>,
) -> Answer<(StatusCode, Json<CreatedRepository>)> {
    let created = blocking(core, move |core| core.create(&wish)).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// `POST /api/v1/repositories/clone`.
pub(super) async fn clone(
    State(core): State<App>,
    Body(wish): Body<CloneRepository>,
) -> Answer<(StatusCode, Json<Job>)> {
    Ok((StatusCode::ACCEPTED, Json(sync::clone::start(&core, wish)?)))
}

/// `DELETE /api/v1/repositories/{name}`.
pub(super) async fn forget(State(core): State<App>, named: Named) -> Answer<StatusCode> {
    blocking(core, move |core| core.forget(named.repository.name())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /api/v1/repositories/{name}/remote`.
pub(super) async fn set_remote(
    State(core): State<App>,
    named: Named,
    Body(wish): Body<SetRemote>,
) -> Answer<Json<Repository>> {
    let remote = match &wish.url {
        None => None,
        Some(url) => {
            let remote = parse_remote(url)?.with_login(wish.user, wish.password);
            Some(match named.repository.remote() {
                Some(known) => remote.with_password_of(&known),
                None => remote,
            })
        }
    };
    let hosted = blocking(core, move |core| {
        core.set_remote(named.repository.name(), remote)
    })
    .await?;
    Ok(Json(hosted.show()))
}

/// `POST /api/v1/repositories/{name}/sync`.
pub(super) async fn sync_one(
    State(core): State<App>,
    named: Named,
) -> Answer<(StatusCode, Json<Repository>)> {
    core.sync_now(Some(named.repository.name()))?;
    Ok((StatusCode::ACCEPTED, Json(named.repository.show())))
}

/// `POST /api/v1/sync`.
pub(super) async fn sync_all(
    State(core): State<App>,
) -> Answer<(StatusCode, Json<Vec<Repository>>)> {
    core.sync_now(None)?;
    Ok((StatusCode::ACCEPTED, Json(core.show_all())))
}

/// `POST /api/v1/pause`.
pub(super) async fn pause_all(
    State(core): State<App>,
    Body(wish): Body<Option<SetPause>>,
) -> Answer<Json<Status>> {
    let pause = wish.unwrap_or_default().pause(Time::now())?;
    let status = move |core: &Core| core.pause(None, pause).map(|()| core.status());
    Ok(Json(blocking(core, status).await?))
}

/// `POST /api/v1/resume`.
pub(super) async fn resume_all(State(core): State<App>) -> Answer<Json<Status>> {
    let status = |core: &Core| core.resume(None).map(|()| core.status());
    Ok(Json(blocking(core, status).await?))
}

/// `POST /api/v1/repositories/{name}/pause`.
pub(super) async fn pause_one(
    State(core): State<App>,
    named: Named,
    Body(wish): Body<Option<SetPause>>,
) -> Answer<Json<Repository>> {
    let pause = wish.unwrap_or_default().pause(Time::now())?;
    let hosted = Arc::clone(&named.repository);
    blocking(core, move |core| core.pause(Some(hosted.name()), pause)).await?;
    Ok(Json(named.repository.show()))
}

/// `POST /api/v1/repositories/{name}/resume`.
pub(super) async fn resume_one(State(core): State<App>, named: Named) -> Answer<Json<Repository>> {
    let hosted = Arc::clone(&named.repository);
    blocking(core, move |core| core.resume(Some(hosted.name()))).await?;
    Ok(Json(named.repository.show()))
}

/// `GET /api/v1/jobs`.
pub(super) async fn jobs(State(core): State<App>) -> Json<Vec<Job>> {
    Json(core.jobs.list())
}

/// `DELETE /api/v1/jobs/{id}`.
pub(super) async fn cancel_job(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<StatusCode> {
    core.jobs.cancel(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse_remote(url: &str) -> Result<Remote, Error> {
    url.parse()
        .map_err(|error: crate::sync::RemoteError| Error::bad_request(error.to_string()))
}

/// Runs `work`, which may wait for the disk, off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    core: Arc<Core>,
    work: impl FnOnce(&Core) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(move || work(&core)).await;
    done.unwrap_or_else(|error| Err(Error::internal(format!("the work did not end: {error}"))))
}
