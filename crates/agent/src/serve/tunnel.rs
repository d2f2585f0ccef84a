//! Answers sync requests on streams of the tunnel, through the same door as those of HTTP and the bus. Who asks is the key of the connection.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use bytes::Bytes;
use edgesync_tunnel::Stream;
use futures_util::stream;
use libfossil::auth::{AuthContext, Capabilities, Grant};
use libfossil::xfer::frame::ContentType;
use libfossil::xfer::{self, server::Reply};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Semaphore;

use super::body;
use crate::api::Error;
use crate::exchange::exchange;
use crate::frames::{self, FrameError};
use crate::limits;
use crate::memory::Room;
use crate::replication::Replication;
use crate::streams::{self, Answered, Asked};
use crate::trust::{EndpointId, Trust};

/// What answering takes.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    replication: Arc<Replication>,
    trust: Arc<Trust>,
    /// For the large bodies of all streams.
    bodies: Room,
    places: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new(replication: Arc<Replication>, trust: Arc<Trust>) -> Self {
        Self {
            replication,
            trust,
            bodies: Room::new(limits::LARGE_BODIES_BYTES),
            places: Arc::new(Semaphore::new(limits::STREAM_REQUESTS)),
        }
    }

    /// Answers the one request on a stream that the agent of this id has opened.
    pub(crate) async fn answer(self, id: EndpointId, stream: Stream) {
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

    async fn converse(
        &self,
        id: &EndpointId,
        mut reader: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<Reply, Error> {
        let asked: Asked = frames::read(&mut reader, limits::STREAM_HEAD_BYTES)
            .await
            .map_err(|error: FrameError| Error::bad_request(error.to_string()))?;
        let capabilities = self.trust.rights(Some(id), &asked.project);
        let served = self.replication.served(&asked.project);
        // Who has no rights does not learn what is here.
        let served = served.filter(|_| capabilities != Capabilities::NONE);
        let hosted = served.ok_or_else(|| Error::not_found("the project is not served here"))?;
        let content_type = ContentType::parse(&asked.content_type)
            .map_err(|error| Error::bad_request(error.to_string()))?;
        let announced = asked.length;
        // The room is held until the reply is made.
        let (body, _room) = body::read(request(reader, announced)?, &self.bodies).await?;
        if body.len() as u64 != announced {
            return Err(Error::bad_request("the body broke off"));
        }
        let _place = self.places.acquire().await;
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
        exchange(&hosted, auth, request, None).await
    }
}

/// Returns the bytes on a stream as the request that [`body::read`] takes.
fn request(
    reader: impl AsyncRead + Unpin + Send + 'static,
    length: u64,
) -> Result<axum::extract::Request, Error> {
    let pieces = stream::unfold(reader.take(length), |mut reader| async move {
        let mut piece = Vec::with_capacity(limits::STREAM_PIECE_BYTES);
        match reader.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(piece)), reader)),
            Err(error) => Some((Err::<Bytes, io::Error>(error), reader)),
        }
    });
    let request = axum::extract::Request::builder().header(header::CONTENT_LENGTH, length);
    let request = request.body(Body::from_stream(pieces));
    request.map_err(|error| Error::internal(error.to_string()))
}
