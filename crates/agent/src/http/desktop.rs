//! What only a desktop can do, the look at everything around the agent, and its end.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::App;
use super::extract::{Body, Query};
use super::reply::Answer;
use crate::api::{Checkup, Code, Error, LogPage, Reveal};
use crate::doctor;
use crate::shell::ShellError;

/// `POST /api/v1/shell/open-window`.
pub(super) async fn open_window(State(core): State<App>) -> Answer<StatusCode> {
    core.shell.open_window().map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/shell/reveal`.
pub(super) async fn reveal(
    State(core): State<App>,
    Body(wish): Body<Reveal>,
) -> Answer<StatusCode> {
    let repository = core.repository(&wish.name)?;
    core.shell
        .reveal(repository.path())
        .map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/doctor`.
pub(super) async fn doctor(State(core): State<App>) -> Json<Checkup> {
    Json(doctor::examine_itself(&core).await)
}

/// The query of `GET /api/v1/log`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LogQuery {
    #[serde(default)]
    after: u64,
}

/// `GET /api/v1/log`.
pub(super) async fn log(
    State(core): State<App>,
    Query(query): Query<LogQuery>,
) -> Answer<Json<LogPage>> {
    let log = core
        .log
        .as_ref()
        .ok_or_else(|| Error::not_found("this agent keeps no log"))?;
    Ok(Json(log.page(query.after)))
}

/// `POST /api/v1/quit`.
pub(super) async fn quit(State(core): State<App>) -> StatusCode {
    tracing::info!("asked to quit");
    core.quit.cancel();
    StatusCode::ACCEPTED
}

fn refusal(error: &ShellError) -> Error {
    match error {
        ShellError::Unsupported => Error::new(Code::Unsupported, error.to_string())
            .with_hint("This works in the tray app."),
        ShellError::Failed(_) => Error::internal(error.to_string()),
    }
}
