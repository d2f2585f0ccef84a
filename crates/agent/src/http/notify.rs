//! Questions and answers over the API.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use axum::response::Response;
use edgesync_notify::name::{MessageId, Project};
use serde::Deserialize;

use super::App;
use super::extract::{Body, Parameter, Query};
use super::history::as_download;
use super::reply::Answer;
use crate::api::{
    DoneNotify, Error, NotifyConversation, NotifyMessage, NotifyStatus, NotifyThread, NotifyTrace,
    ReplyNotify, SendNotify,
};
use crate::limits;

/// Which threads are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct OfProject {
    project: Option<String>,
}

/// Which messages are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    after: Option<String>,
    limit: Option<usize>,
}

/// How long somebody waits.
#[derive(Debug, Deserialize)]
pub(super) struct Wait {
    #[serde(default)]
    wait_ms: u64,
}

/// `GET /api/v1/notify`.
pub(super) async fn status(State(core): State<App>) -> Answer<Json<NotifyStatus>> {
    Ok(Json(core.notify()?.status().await?))
}

/// `GET /api/v1/notify/threads`.
pub(super) async fn threads(
    State(core): State<App>,
    Query(wish): Query<OfProject>,
) -> Answer<Json<Vec<NotifyThread>>> {
    let project = wish.project.as_deref().map(project).transpose()?;
    Ok(Json(core.notify()?.threads(project).await?))
}

/// `GET /api/v1/notify/threads/{thread}`.
pub(super) async fn conversation(
    State(core): State<App>,
    Parameter(thread): Parameter,
) -> Answer<Json<NotifyConversation>> {
    Ok(Json(core.notify()?.conversation(thread).await?))
}

/// `POST /api/v1/notify/send`.
pub(super) async fn send(
    State(core): State<App>,
    Body(wish): Body<SendNotify>,
) -> Answer<(StatusCode, Json<NotifyMessage>)> {
    let sent = core.notify()?.send(wish).await?;
    Ok((StatusCode::CREATED, Json(sent)))
}

/// `POST /api/v1/notify/threads/{thread}/reply`.
pub(super) async fn reply(
    State(core): State<App>,
    Parameter(thread): Parameter,
    Body(wish): Body<ReplyNotify>,
) -> Answer<(StatusCode, Json<NotifyMessage>)> {
    let sent = core.notify()?.reply(thread, wish).await?;
    Ok((StatusCode::CREATED, Json(sent)))
}

/// `POST /api/v1/notify/threads/{thread}/done`.
pub(super) async fn set_done(
    State(core): State<App>,
    Parameter(thread): Parameter,
    Body(wish): Body<DoneNotify>,
) -> Answer<Json<NotifyThread>> {
    Ok(Json(core.notify()?.set_done(thread, wish.done).await?))
}

/// `GET /api/v1/notify/messages`.
pub(super) async fn messages(
    State(core): State<App>,
    Query(wish): Query<Stored>,
) -> Answer<Json<Vec<NotifyMessage>>> {
    let place = |text: &str| match text {
        "" => Ok(None),
        id => message_id(id).map(Some),
    };
    let after = wish.after.as_deref().map(place).transpose()?;
    let most = wish.limit.unwrap_or(limits::STORED_MESSAGES);
    let most = most.min(limits::STORED_MESSAGES);
    Ok(Json(core.notify()?.stored(after, most).await?))
}

/// `GET /api/v1/notify/messages/{id}`.
pub(super) async fn message(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<Json<NotifyMessage>> {
    Ok(Json(core.notify()?.message(message_id(&id)?).await?))
}

/// `GET /api/v1/notify/messages/{id}/answer`.
pub(super) async fn answer(
    State(core): State<App>,
    Parameter(id): Parameter,
    Query(wish): Query<Wait>,
) -> Answer<Json<NotifyMessage>> {
    let wait = Duration::from_millis(wish.wait_ms).min(limits::ANSWER_WAIT);
    Ok(Json(core.notify()?.answer(message_id(&id)?, wait).await?))
}

/// `POST /api/v1/notify/messages/{id}/cancel`.
pub(super) async fn cancel(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<Json<NotifyMessage>> {
    Ok(Json(core.notify()?.cancel(message_id(&id)?).await?))
}

/// `GET /api/v1/notify/messages/{id}/trace`.
pub(super) async fn trace(
    State(core): State<App>,
    Parameter(id): Parameter,
) -> Answer<Json<NotifyTrace>> {
    Ok(Json(core.notify()?.trace(message_id(&id)?).await?))
}

/// `GET /api/v1/notify/messages/{id}/media/{name}`.
pub(super) async fn media(State(core): State<App>, parameters: RawPathParams) -> Answer<Response> {
    let mut values = parameters.iter().map(|(_, value)| value);
    let id = message_id(values.next().unwrap_or_default())?;
    let name = values.next().unwrap_or_default().to_owned();
    let content = core.notify()?.attachment(id, name.clone()).await?;
    as_download(content, &name)
}

fn message_id(text: &str) -> Result<MessageId, Error> {
    MessageId::parse(text).map_err(|error| Error::bad_request(error.to_string()))
}

pub(super) fn project(text: &str) -> Result<Project, Error> {
    Project::parse(text).map_err(|error| Error::bad_request(error.to_string()))
}
