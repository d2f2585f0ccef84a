//! Messages for a phone that is paired: those of its projects. What is of another project is not there, in the same words as what never was.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body as Stream, Bytes};
use axum::extract::{RawPathParams, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use edgesync_notify::name::MessageId;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::App;
use super::gate::Phone;
use crate::api::{
    Code, Error, Event, NotifyConversation, NotifyMessage, NotifyThread, PhoneSession,
    QuestionState, ReplyNotify,
};
use crate::http::extract::{Body, Parameter};
use crate::http::history::as_download;
use crate::http::reply::Answer;
use crate::limits;
use crate::phone::{Device, OpenStream};

/// An answer: an offered action, or words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    body: Option<String>,
}

/// `GET /phone/v1/session`.
pub(super) async fn session(State(phones): State<App>, Phone(phone): Phone) -> Json<PhoneSession> {
    Json(phones.session(&phone.device))
}

/// `GET /phone/v1/threads`.
pub(super) async fn threads(
    State(phones): State<App>,
    Phone(phone): Phone,
) -> Answer<Json<Vec<NotifyThread>>> {
    let mut threads = phones.post().threads(None).await?;
    threads.retain(|thread| phone.device.reads(&thread.project));
    Ok(Json(threads))
}

/// `GET /phone/v1/threads/{thread}`.
pub(super) async fn conversation(
    State(phones): State<App>,
    Phone(phone): Phone,
    Parameter(thread): Parameter,
) -> Answer<Json<NotifyConversation>> {
    let none = || Error::not_found("there is no such thread");
    // Only whole ids: what digits are taken already is nobody's business.
    let whole = edgesync_notify::name::ThreadId::parse(&thread).map_err(|_| none())?;
    let found = phones.post().conversation(whole.to_string()).await;
    match found {
        Ok(found) if phone.device.reads(&found.thread.project) => Ok(Json(found)),
        Ok(_) => Err(none().into()),
        Err(error) if error.code == Code::NotFound => Err(none().into()),
        Err(error) => Err(error.into()),
    }
}

/// `POST /phone/v1/messages/{id}/answer`.
pub(super) async fn answer(
    State(phones): State<App>,
    Phone(phone): Phone,
    Parameter(id): Parameter,
    Body(wish): Body<Reply>,
) -> Answer<(StatusCode, Json<NotifyMessage>)> {
    let question = message(&phones, &phone.device, &id).await?;
    if !phone.device.answers {
        return Err(Error::new(Code::Forbidden, "this phone may read, and not answer").into());
    }
    if question.question != Some(QuestionState::Open) {
        return Err(Error::new(Code::Conflict, "this question no longer waits").into());
    }
    let reply = ReplyNotify {
        to: Some(question.id),
        action: wish.action,
        body: wish.body,
        from_name: Some(phone.device.name.to_string()),
    };
    let sent = phones.post().reply(question.thread, reply).await?;
    Ok((StatusCode::CREATED, Json(sent)))
}

/// `GET /phone/v1/messages/{id}/media/{name}`.
pub(super) async fn media(
    State(phones): State<App>,
    Phone(phone): Phone,
    parameters: RawPathParams,
) -> Answer<Response> {
    let mut values = parameters.iter().map(|(_, value)| value);
    let id = values.next().unwrap_or_default();
    let name = values.next().unwrap_or_default().to_owned();
    let found = message(&phones, &phone.device, id).await?;
    let id = message_id(&found.id)?;
    let content = phones.post().attachment(id, name.clone()).await?;
    as_download(content, &name)
}

/// Returns a message that the phone may read.
async fn message(phones: &App, device: &Device, id: &str) -> Result<NotifyMessage, Error> {
    let none = || Error::not_found("there is no such message");
    match phones.post().message(message_id(id)?).await {
        Ok(message) if device.reads(&message.project) => Ok(message),
        Ok(_) => Err(none()),
        Err(error) if error.code == Code::NotFound => Err(none()),
        Err(error) => Err(error),
    }
}

fn message_id(text: &str) -> Result<MessageId, Error> {
    MessageId::parse(text).map_err(|_| Error::not_found("there is no such message"))
}

/// What a phone's stream holds between its lines.
struct Listening {
    events: Receiver<Arc<Event>>,
    device: Device,
    stream: OpenStream,
    first: Option<PhoneSession>,
    /// It was told that it is no longer paired.
    ended: bool,
}

/// `GET /phone/v1/events`: JSON lines for as long as the phone reads and is paired.
pub(super) async fn events(State(phones): State<App>, Phone(phone): Phone) -> Response {
    let listening = Listening {
        events: phones.events().listen(),
        first: Some(phones.session(&phone.device)),
        stream: phone.open_stream(&phones),
        ended: false,
        device: phone.device,
    };
    let lines = stream::unfold(listening, |mut listening| async move {
        let line = next_line(&mut listening).await?;
        Some((Ok::<_, Infallible>(line), listening))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Stream::from_stream(lines)).into_response()
}

async fn next_line(listening: &mut Listening) -> Option<Bytes> {
    if listening.ended {
        return None;
    }
    if let Some(session) = listening.first.take() {
        return Some(line(
            &serde_json::json!({ "event": "session", "session": session }),
        ));
    }
    let beat = tokio::time::Instant::now() + limits::BEAT;
    loop {
        let event = tokio::select! {
            () = listening.stream.cut.cancelled() => {
                // The door may be shut by the time that it would ask.
                listening.ended = true;
                return listening.stream.is_revoked().then(|| line(&serde_json::json!({ "event": "gone" })));
            }
            () = tokio::time::sleep_until(beat) => return Some(line(&serde_json::json!({ "event": "beat" }))),
            event = listening.events.recv() => event,
        };
        match event.as_deref() {
            Ok(event @ (Event::Message { message, .. } | Event::Question { message }))
                if listening.device.reads(&message.project) =>
            {
                return Some(line(event));
            }
            Ok(_) => {}
            // The phone looks at everything again.
            Err(RecvError::Lagged(_)) => {
                return Some(line(&serde_json::json!({ "event": "missed" })));
            }
            Err(RecvError::Closed) => return None,
        }
    }
}

fn line(event: &impl serde::Serialize) -> Bytes {
    // These types hold nothing that JSON cannot.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
