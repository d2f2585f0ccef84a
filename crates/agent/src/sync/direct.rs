//! Exchanges on streams of the tunnel, with one agent whose key is known: as over the bus, without its limit of a message's size and
//! without slowing down who else is on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use edgesync_tunnel::{PeerId, Protocol, StreamError, Tunnel};
use libfossil::db::Repository;
use libfossil::xfer::Request;
use libfossil::xfer::client::{Client, Response, Summary, SyncError};
use tokio::time::Instant;

use super::exchange::{Came, with_agent};
use crate::api::{Code, Error};
use crate::frames::FrameError;
use crate::limits;
use crate::repository::Writer;
use crate::streams;
use crate::trust::EndpointId;

/// The way to one agent for one project.
#[derive(Debug, Clone)]
pub(crate) struct Direct {
    pub(crate) tunnel: Tunnel,
    pub(crate) peer: EndpointId,
    pub(crate) project: String,
}

/// Whom streams did not reach lately.
#[derive(Debug, Default)]
pub(crate) struct Unreached(Mutex<BTreeMap<EndpointId, Instant>>);

impl Unreached {
    /// Whether it is worth to try this agent.
    pub(crate) fn may_try(&self, id: &EndpointId) -> bool {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|_, at| at.elapsed() < limits::STREAM_AGAIN);
        !failed.contains_key(id)
    }

    /// Takes note that a stream to this agent failed.
    pub(crate) fn note(&self, id: EndpointId) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(id, Instant::now());
    }
}

impl Direct {
    /// Makes one exchange between the repository of `writer` and the other agent with the client that `start` makes. Who calls has asked
    /// whether that agent may write here. Reports how far it is after each round trip.
    ///
    /// # Errors
    /// `unreachable` when no stream carries it, `remote` when the other agent does not answer, `remote_login` when it refuses, `repository` when the file
    /// cannot be used. What had arrived before is stored.
    pub(crate) async fn exchange(
        &self,
        writer: &Writer,
        start: impl FnOnce(&mut Repository) -> Result<Client, SyncError> + Send + 'static,
        progress: impl FnMut(&Summary),
    ) -> Result<Summary, Error> {
        with_agent(writer, None, start, |request| self.ask(request), progress).await
    }

    async fn ask(&self, request: Request) -> Result<Came, Error> {
        let peer = PeerId::from(*self.peer.as_bytes());
        let stream = self.tunnel.stream(peer, Protocol::Xfer).await;
        let mut stream = stream.map_err(|error| not_opened(&error))?;
        let asked = streams::ask(
            &mut stream,
            &self.project,
            request.content_type,
            &request.body,
        );
        let (content_type, body) = asked.await.map_err(|error| self.unanswered(&error))?;
        Ok(Came {
            response: Response { content_type, body },
            takes_bytes: None,
        })
    }

    fn unanswered(&self, error: &FrameError) -> Error {
        let id = self.peer.to_string();
        let who = id.get(..16).unwrap_or(&id);
        match error {
            FrameError::Other(words) => failure(Code::Remote, format!("{who} says: {words}")),
            error if error.to_string().contains(edgesync_tunnel::NOT_PAIRED) => {
                failure(Code::RemoteLogin, format!("{who} does not know this agent"))
            }
            error => failure(Code::Unreachable, format!("the stream to {who}: {error}")),
        }
    }
}

fn not_opened(error: &StreamError) -> Error {
    failure(Code::Unreachable, error.to_string())
}

fn failure(code: Code, message: String) -> Error {
    Error::new(code, message).retryable()
}
