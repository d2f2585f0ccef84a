//! One exchange over the bus: as over HTTP, with answers that count only when one who may write here has signed them.
//!
//! The first answer decides who the other side is; the rest of the exchange is addressed to that peer, because a clone's sequence numbers and
//! pieces of a large file are one peer's own. Where that is a bridge to a stock server, messages that the bus does not take travel in parts.

mod address;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use edgesync_bridge::envelope::{self, Key};
use edgesync_bridge::{Asking, limits as bridge_limits};
use edgesync_bus::{Message, Request as BusRequest, RequestError};
use libfossil::db::Repository;
use libfossil::xfer::Request;
use libfossil::xfer::client::{Client, Response, Summary, SyncError};
use libfossil::xfer::frame::ContentType;
use tokio::time::Instant;

pub use address::{BusAddress, BusServer};
pub(super) use address::{SCHEME, exchange as exchange_once};

use super::exchange::{Came, with_agent};
use crate::api::{Code, Error};
use crate::limits;
use crate::repository::Writer;
use crate::text;
use crate::trust::auth::{NONCE_BYTES, verify_reply};
use crate::trust::{Context, EndpointId, HEADER};
use crate::wire::{Envelope, STATUS, Wire, content_type, heard};

/// The way to who has a project.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    wire: Wire,
    project: String,
    /// Who is to answer; `None` is anyone.
    peer: Option<String>,
    /// Whether that is a bridge.
    bridge: bool,
    accepts: Accepts,
}

/// Whose answers are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// Those of who may write here.
    Writers,
    /// Those of one agent, whichever answers first: a person named the bus and the project.
    First,
}

/// An answer that counts.
struct Answer {
    response: Response,
    signer: Option<EndpointId>,
    /// Whether it came from a bridge: nobody else says anything of parts.
    bridge: bool,
}

/// A message that counts.
struct Said {
    content_type: ContentType,
    body: Bytes,
    note: Option<envelope::Note>,
    signer: Option<EndpointId>,
}

impl Line {
    /// Returns the way to `peer`, the last part of its subject, or to anyone who has the project.
    pub(crate) fn new(wire: Wire, project: String, peer: Option<String>, accepts: Accepts) -> Self {
        Self {
            wire,
            project,
            peer,
            bridge: false,
            accepts,
        }
    }

    /// Makes one exchange between the repository of `writer` and the other side with the client that `start` makes. Reports how far it is
    /// after each round trip.
    ///
    /// # Errors
    /// `remote` when the other side refuses, does not answer, or may not write here; `repository` when the file cannot be used. What had
    /// arrived before is stored.
    pub(crate) async fn exchange(
        self,
        writer: &Writer,
        start: impl FnOnce(&mut Repository) -> Result<Client, SyncError> + Send + 'static,
        progress: impl FnMut(&Summary),
    ) -> Result<Summary, Error> {
        let budget = Some(self.wire.budget());
        // Later requests go to whom the first answer came from.
        let known = Mutex::new(self);
        let locked = || known.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = |request| {
            let line = locked().clone();
            async move {
                let answer = line.ask(request).await?;
                let mut known = locked();
                if known.peer.is_none() {
                    known.peer = answer.signer.map(|id| id.to_string());
                }
                known.bridge |= answer.bridge;
                Ok(Came {
                    response: answer.response,
                    takes_bytes: answer.bridge.then_some(bridge_limits::PARTS_BYTES),
                })
            }
        };
        with_agent(writer, budget, start, ask, progress).await
    }

    /// Makes one round trip, with as many messages as it takes. Returns the answer, if it is one that counts.
    async fn ask(mut self, request: Request) -> Result<Answer, Error> {
        let random = text::random().map_err(|error| Error::internal(error.to_string()))?;
        let part_bytes = match self.bridge {
            true => self.wire.budget().usual,
            false => usize::MAX,
        };
        let key = Key::from_random(random);
        let mut asking = Asking::new(request.content_type, request.body, part_bytes, key);
        let until = Instant::now() + bridge_limits::ROUND_TRIP_DEADLINE;
        loop {
            let said = self.say(asking.message()).await?;
            // The rest is at this peer.
            if self.peer.is_none() {
                self.peer = said.signer.map(|id| id.to_string());
            }
            self.bridge |= said.note.is_some();
            let whole = asking.take(said.content_type, said.note, said.body);
            let whole =
                whole.map_err(|error| failure(format!("the answer of {}: {error}", self.who())))?;
            if let Some((content_type, body)) = whole {
                return Ok(Answer {
                    response: Response {
                        content_type: content_type.as_str().to_owned(),
                        body,
                    },
                    signer: said.signer,
                    bridge: self.bridge,
                });
            }
            if Instant::now() > until {
                return Err(failure(format!("{} did not answer in time", self.who())));
            }
        }
    }

    /// Sends a message and returns the answer to it, if it is one that counts.
    async fn say(&self, envelope: Envelope) -> Result<Said, Error> {
        let subject = match &self.peer {
            Some(peer) => self.wire.subject_of(&self.project, peer),
            None => self.wire.subject(&self.project),
        };
        let inbox = self.wire.bus.new_inbox();
        let nonce = text::random().map_err(|error| Error::internal(error.to_string()))?;
        let context = Context::Request;
        let headers = self
            .wire
            .headers(context, &subject, Some(&inbox), &nonce, &envelope);
        let request = BusRequest {
            subject,
            inbox,
            headers,
            payload: envelope.payload,
            timeout: limits::BUS_REPLY,
        };
        let answer = self.wire.bus.request(request).await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        self.judge(&answer, &nonce)
    }

    /// Decides whether an answer counts.
    fn judge(&self, answer: &Message, nonce: &[u8; NONCE_BYTES]) -> Result<Said, Error> {
        if let Some(status) = answer.headers.get(STATUS) {
            // It stores nothing, so it need not be signed.
            let status: String = status.chars().take(200).collect();
            return Err(failure(format!("{} says: {status}", self.who())));
        }
        if answer.payload.is_empty() {
            return Err(failure(format!("the answer of {} is empty", self.who())));
        }
        let statement = heard(Context::Reply, answer);
        let header = answer.headers.get(HEADER);
        let signer = verify_reply(header, &statement, nonce)
            .map_err(|error| failure(format!("the answer of {}: {error}", self.who())))?;
        self.check_signer(signer.as_ref())?;
        let content_type = content_type(answer)
            .map_err(|error| failure(format!("the answer of {}: {error}", self.who())))?;
        Ok(Said {
            content_type,
            body: answer.payload.clone(),
            note: envelope::note(answer),
            signer,
        })
    }

    fn check_signer(&self, signer: Option<&EndpointId>) -> Result<(), Error> {
        let asked: Option<EndpointId> = self.peer.as_ref().and_then(|peer| peer.parse().ok());
        if asked.is_some() && asked.as_ref() != signer {
            return Err(refusal(format!(
                "somebody else answered for {}",
                self.who()
            )));
        }
        let rights = self.wire.trust.rights(signer, &self.project);
        match signer {
            _ if rights.may_write() => Ok(()),
            Some(_) if self.accepts == Accepts::First => Ok(()),
            Some(id) => Err(refusal(format!("{id} answered, who may not write here"))
                .with_hint(format!("If you know this agent, trust it: --trust {id}"))),
            None => Err(
                refusal(format!("the answer of {} is not signed", self.who())).with_hint(format!(
                    "If a program that cannot sign is to be heard: --accept-unsigned {}",
                    self.project
                )),
            ),
        }
    }

    fn unanswered(&self, error: &RequestError) -> Error {
        match error {
            RequestError::NoResponders => match &self.peer {
                Some(_) => nobody(format!("{} does not listen on the bus", self.who())),
                None => nobody(format!(
                    "nobody on the bus has the project {}",
                    self.project
                ))
                .with_hint("Check the project's code, and that an agent with it runs."),
            },
            RequestError::TimedOut => failure(format!("{} did not answer in time", self.who())),
            error => failure(error.to_string()),
        }
    }

    fn who(&self) -> String {
        match &self.peer {
            Some(peer) => format!("the peer {}", peer.get(..16).unwrap_or(peer)),
            None => "the bus".to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

fn failure(message: String) -> Error {
    Error::new(Code::Remote, message).retryable()
}

fn nobody(message: String) -> Error {
    Error::new(Code::NoPeer, message).retryable()
}

/// Returns the error for an answer by the wrong one. It may be right the next time: another may answer.
fn refusal(message: String) -> Error {
    Error::new(Code::RemoteLogin, message).retryable()
}
