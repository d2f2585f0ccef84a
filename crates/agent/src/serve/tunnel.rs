//! Answers sync requests on streams of the tunnel, through the same door as those of HTTP and the bus. Who asks is the key of the connection.
//!
//! An agent of another make, such as the Go product, opens a stream with the packed message itself, ends its half, and takes what comes back as the
//! packed answer (the Go product's sidecar, `/edgesync/xfer/1`). It is answered in that form: which project is meant its cards say, and why there is
//! no answer says an `error` card.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use bytes::Bytes;
use futures_util::stream;
use libfossil::auth::{AuthContext, Capabilities, Grant};
use libfossil::xfer::card::Card;
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::parse::{Item, Items};
use libfossil::xfer::{self, server::Reply};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::Semaphore;

use super::body::{self, Bodies};
use crate::api::Error;
use crate::exchange::exchange;
use crate::frames::{self, FrameError};
use crate::limits;
use crate::replication::Replication;
use crate::repository::Hosted;
use crate::streams::{self, Answered, Asked};
use crate::trust::{EndpointId, Trust};
use crate::wire::Envelope;

/// What answering takes.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    replication: Arc<Replication>,
    trust: Arc<Trust>,
    /// For the large bodies of all streams.
    bodies: Bodies,
    places: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new(replication: Arc<Replication>, trust: Arc<Trust>) -> Self {
        Self {
            replication,
            trust,
            bodies: Bodies::new(limits::XFER_BODY_BYTES),
            places: Arc::new(Semaphore::new(limits::STREAM_REQUESTS)),
        }
    }

    /// Answers the one request on a stream that the agent of this id has opened.
    pub(crate) async fn answer(
        self,
        id: EndpointId,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) {
        let (reader, mut writer) = tokio::io::split(stream);
        let (head, reply) = match self.converse(&id, reader).await {
            Ok(reply) => {
                let head = Answered::Message {
                    content_type: reply.content_type.as_str().to_owned(),
                    length: reply.body.len() as u64,
                };
                (head, reply.body)
            }
            Err(error) => {
                tracing::debug!(%id, %error, "refused a request on a stream");
                let status = error.message.chars().take(200).collect();
                (Answered::Failed { status }, Bytes::new())
            }
        };
        if let Err(error) = streams::write(&mut writer, &head, &reply).await {
            tracing::debug!(%id, %error, "a request on a stream could not be answered");
        }
    }

    /// Answers the one request on a stream that an agent of another make has opened, in its form.
    pub(crate) async fn answer_bare(
        self,
        id: EndpointId,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) {
        let (reader, mut writer) = tokio::io::split(stream);
        let answer = match self.converse_bare(&id, reader).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%id, %error, "refused a request of another make on a stream");
                Envelope::failure(&error.message).payload
            }
        };
        if let Err(error) = streams::write_body(&mut writer, &answer).await {
            tracing::debug!(%id, %error, "a request of another make could not be answered");
        }
    }

    async fn converse_bare(
        &self,
        id: &EndpointId,
        reader: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<Bytes, Error> {
        // The room is held until the reply is made.
        let (body, _held) = body::read(request(reader, None)?, &self.bodies).await?;
        let _place = self.places.acquire().await;
        let (message, project) = apart(move || {
            let message = frame::decode(ContentType::Packed, body);
            let message = message.map_err(|error| Error::bad_request(error.to_string()))?;
            let project = project_of(&message);
            Ok((message, project))
        })
        .await?;
        let (hosted, capabilities) = match project {
            Some(project) => self.served(id, &project)?,
            None => self.only_one(id)?,
        };
        let reply = ask(&hosted, id, capabilities, ContentType::Plain, message).await?;
        match reply.content_type {
            ContentType::Packed => Ok(reply.body),
            // Nothing tells it of other forms.
            _ => apart(move || Ok(frame::encode(ContentType::Packed, reply.body.into()))).await,
        }
    }

    /// Returns the repository of a project, and what this agent may there. Who has no rights does not learn what is here.
    fn served(&self, id: &EndpointId, project: &str) -> Result<(Arc<Hosted>, Capabilities), Error> {
        let capabilities = self.trust.rights(Some(id), project);
        let served = self.replication.served(project);
        let served = served.filter(|_| capabilities != Capabilities::NONE);
        let hosted = served.ok_or_else(|| Error::not_found("the project is not served here"))?;
        Ok((hosted, capabilities))
    }

    /// Returns the one repository that this agent can mean when it names none.
    fn only_one(&self, id: &EndpointId) -> Result<(Arc<Hosted>, Capabilities), Error> {
        let codes = self.replication.hosted().into_iter();
        let codes = codes.filter_map(|it| it.project_code());
        let mut served = codes.filter_map(|code| self.served(id, &code).ok());
        match (served.next(), served.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(Error::not_found("the project is not served here")),
            _ => Err(Error::bad_request(
                "several projects are served here, and the request names none",
            )),
        }
    }

    async fn converse(
        &self,
        id: &EndpointId,
        mut reader: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<Reply, Error> {
        let asked: Asked = frames::read(&mut reader, limits::STREAM_HEAD_BYTES)
            .await
            .map_err(|error: FrameError| Error::bad_request(error.to_string()))?;
        let (hosted, capabilities) = self.served(id, &asked.project)?;
        let content_type = ContentType::parse(&asked.content_type)
            .map_err(|error| Error::bad_request(error.to_string()))?;
        let announced = asked.length;
        // The room is held until the reply is made.
        let (body, _held) = body::read(request(reader, Some(announced))?, &self.bodies).await?;
        if body.len() as u64 != announced {
            return Err(Error::bad_request("the body broke off"));
        }
        let _place = self.places.acquire().await;
        ask(&hosted, id, capabilities, content_type, body).await
    }
}

/// Has a repository answer.
async fn ask(
    hosted: &Hosted,
    id: &EndpointId,
    capabilities: Capabilities,
    content_type: ContentType,
    body: Bytes,
) -> Result<Reply, Error> {
    let auth = AuthContext {
        granted: Some(Grant {
            login: id.to_string(),
            capabilities,
        }),
        address: id.to_string(),
    };
    let request = xfer::Request {
        content_type,
        body,
        cookie: None,
    };
    exchange(hosted, auth, request, None).await
}

/// Does what takes the processor's time, where nobody waits for it.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal(error.to_string()))?
}

/// Returns the project that a message is about; one that clones names none.
fn project_of(message: &Bytes) -> Option<String> {
    let named = |item| match item {
        Item::Card(Card::Pull { project, .. } | Card::Push { project, .. }) => Some(project),
        _ => None,
    };
    Items::new(message.clone()).find_map(named)
}

/// Returns the bytes on a stream as the request that [`body::read`] takes.
fn request(
    reader: impl AsyncRead + Unpin + Send + 'static,
    length: Option<u64>,
) -> Result<axum::extract::Request, Error> {
    let pieces = stream::unfold(
        reader.take(length.unwrap_or(u64::MAX)),
        |mut reader| async move {
            let mut piece = Vec::with_capacity(limits::STREAM_PIECE_BYTES);
            match reader.read_buf(&mut piece).await {
                Ok(0) => None,
                Ok(_) => Some((Ok(Bytes::from(piece)), reader)),
                Err(error) => Some((Err::<Bytes, io::Error>(error), reader)),
            }
        },
    );
    let mut request = axum::extract::Request::builder();
    if let Some(length) = length {
        request = request.header(header::CONTENT_LENGTH, length);
    }
    let request = request.body(Body::from_stream(pieces));
    request.map_err(|error| Error::internal(error.to_string()))
}
