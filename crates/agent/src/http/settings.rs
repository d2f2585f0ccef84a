//! What people choose about notifications, and what they have seen.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::App;
use super::extract::{Body, Parameter};
use super::notify::project;
use super::reply::Answer;
use crate::api::{Code, Error, NotifySettings, SetMuted, SetQuiet};
use crate::core::Core;
use crate::notifications::Input;

/// `GET /api/v1/notify/settings`.
pub(super) async fn show(State(core): State<App>) -> Answer<Json<NotifySettings>> {
    Ok(Json(settings(&core)?))
}

/// `PUT /api/v1/notify/settings/quiet`.
pub(super) async fn set_quiet(
    State(core): State<App>,
    Body(wish): Body<SetQuiet>,
) -> Answer<Json<NotifySettings>> {
    core.notify()?.set_quiet(wish.quiet).await?;
    Ok(Json(settings(&core)?))
}

/// `PUT /api/v1/notify/settings/projects/{project}`.
pub(super) async fn set_muted(
    State(core): State<App>,
    Parameter(name): Parameter,
    Body(wish): Body<SetMuted>,
) -> Answer<Json<NotifySettings>> {
    core.notify()?
        .set_muted(project(&name)?, wish.muted)
        .await?;
    Ok(Json(settings(&core)?))
}

/// `POST /api/v1/notify/threads/{thread}/seen`.
pub(super) async fn seen(
    State(core): State<App>,
    Parameter(thread): Parameter,
) -> Answer<StatusCode> {
    let thread = core.notify()?.conversation(thread).await?.thread.id;
    if let Some(notifications) = core.notifications.get() {
        notifications.tell(Input::Seen(thread));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/shell/test-notification`.
pub(super) async fn test(State(core): State<App>) -> Answer<StatusCode> {
    let notifications = core.notifications.get();
    let shown = notifications.filter(|it| it.service().is_some());
    let Some(notifications) = shown else {
        let nobody = match notifications {
            Some(_) => "nothing on this desktop shows notifications",
            None => "this agent shows no notifications",
        };
        return Err(Error::new(Code::Unsupported, nobody).into());
    };
    notifications.tell(Input::Test);
    Ok(StatusCode::NO_CONTENT)
}

fn settings(core: &Core) -> Result<NotifySettings, Error> {
    let mut settings = core.notify()?.settings();
    settings.notifier = core.notifications.get().and_then(|it| it.service());
    Ok(settings)
}
