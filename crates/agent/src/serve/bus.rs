//! Answers sync requests that come over the bus, through the same door as those of HTTP.

use std::sync::Arc;

use edgesync_bridge::envelope::for_sender_of;
use edgesync_bus::{Message, Publish, SendError, Subscription};
use libfossil::auth::{AuthContext, Grant};
use libfossil::xfer::Request;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::exchange::exchange;
use crate::limits;
use crate::repository::{Hosted, TaskError};
use crate::text;
use crate::trust::auth::NONCE_BYTES;
use crate::trust::{AuthError, Context, EndpointId, HEADER};
use crate::wire::{Envelope, Wire, content_type, heard};

/// Answers requests for `hosted`, whose project has this code, until `stop`, the bus ends, or the repository leaves the agent. A request that
/// waits for its turn waits in the bus, and is refused when its turn cannot come any more.
///
/// # Errors
/// [`SendError`] when the bus does not take the subscriptions.
pub(crate) async fn serve(
    wire: Wire,
    hosted: Arc<Hosted>,
    project: String,
    stop: CancellationToken,
) -> Result<(), SendError> {
    let (any, queue) = (wire.subject(&project), Wire::queue(&project));
    let own = wire.subject_of(&project, &wire.keys.id().to_string());
    let mut any = wire.bus.subscribe(&any, Some(&queue)).await?;
    let mut own = wire.bus.subscribe(&own, None).await?;
    wire.bus.flush().await?;
    let places = Arc::new(Semaphore::new(limits::BUS_REQUESTS));
    let door = Arc::new(Door {
        wire,
        hosted,
        project,
    });
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            () = door.hosted.closed().cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Some(message) = next(&mut any, &mut own, &door, &stop).await else {
            break;
        };
        let door = Arc::clone(&door);
        // It ends by itself: the repository's thread is its only wait.
        tokio::spawn(async move {
            door.answer(message).await;
            drop(place);
        });
    }
    // Who waited for a turn that does not come would wait for an answer too.
    let refuse = async {
        for waiting in [&mut own, &mut any] {
            waiting.drain().await;
            while let Some(message) = waiting.next().await {
                door.turn_away(&message).await;
            }
        }
    };
    let _ = timeout(limits::BUS_FAREWELL, refuse).await;
    Ok(())
}

async fn next(
    any: &mut Subscription,
    own: &mut Subscription,
    door: &Door,
    stop: &CancellationToken,
) -> Option<Message> {
    tokio::select! {
        () = stop.cancelled() => None,
        () = door.hosted.closed().cancelled() => None,
        message = own.next() => message,
        message = any.next() => message,
    }
}

/// What answering takes.
struct Door {
    wire: Wire,
    hosted: Arc<Hosted>,
    project: String,
}

impl Door {
    async fn answer(&self, message: Message) {
        let Some(inbox) = message.reply.clone() else {
            tracing::debug!(
                subject = message.subject,
                "a request without a reply subject"
            );
            return;
        };
        let (nonce, answer) = match self.identify(&message) {
            Ok(signer) => {
                let (id, nonce) = signer.unzip();
                let answer = self.converse(id, &message).await;
                (nonce, answer.unwrap_or_else(|text| self.refuse(&text)))
            }
            // The bus doubled it; its answer is on the way, and another must not overtake that.
            Err(AuthError::Replayed) => return,
            Err(error) => (None, self.refuse(&error.to_string())),
        };
        self.reply(inbox, nonce, answer).await;
    }

    /// Refuses a request because nobody works on any more.
    async fn turn_away(&self, message: &Message) {
        let Some(inbox) = message.reply.clone() else {
            return;
        };
        let nonce = match self.identify(message) {
            Ok(signer) => signer.map(|(_, nonce)| nonce),
            Err(AuthError::Replayed) => return,
            Err(_) => None,
        };
        let answer = self.refuse(&TaskError::Closed.to_string());
        self.reply(inbox, nonce, answer).await;
    }

    async fn reply(&self, inbox: String, nonce: Option<[u8; NONCE_BYTES]>, answer: Envelope) {
        let nonce = nonce.or_else(|| text::random().ok()).unwrap_or_default();
        let headers = self
            .wire
            .headers(Context::Reply, &inbox, None, &nonce, &answer);
        let publish = Publish {
            subject: inbox,
            reply: None,
            headers,
            payload: answer.payload,
        };
        if let Err(error) = self.wire.bus.publish(publish).await {
            tracing::warn!(repository = self.hosted.name(), %error, "a sync request could not be answered");
        }
    }

    /// Returns who signed the request, and with which nonce.
    fn identify(
        &self,
        message: &Message,
    ) -> Result<Option<(EndpointId, [u8; NONCE_BYTES])>, AuthError> {
        let statement = heard(Context::Request, message);
        let header = message.headers.get(HEADER);
        let now = crate::api::Time::now();
        let proof = self.wire.trust.identify(header, &statement, now)?;
        Ok(proof.map(|proof| (proof.id, proof.nonce)))
    }

    async fn converse(
        &self,
        id: Option<EndpointId>,
        message: &Message,
    ) -> Result<Envelope, String> {
        let request = Request {
            content_type: content_type(message).map_err(|error| error.to_string())?,
            body: message.payload.clone(),
            cookie: None,
        };
        let capabilities = self.wire.trust.rights(id.as_ref(), &self.project);
        let login = id.map_or_else(|| "unsigned".to_owned(), |id| id.to_string());
        let known = capabilities != libfossil::auth::Capabilities::NONE;
        let auth = AuthContext {
            // Strangers are what a client without a login is over HTTP.
            granted: known.then_some(Grant {
                login,
                capabilities,
            }),
            address: id.map_or_else(String::new, |id| id.to_string()),
        };
        let reply = exchange(&self.hosted, auth, request, Some(self.wire.budget())).await;
        let reply = reply.map_err(|error| error.message)?;
        Ok(for_sender_of(message, reply.content_type, reply.body))
    }

    fn refuse(&self, text: &str) -> Envelope {
        tracing::debug!(
            repository = self.hosted.name(),
            text,
            "refused a request on the bus"
        );
        Envelope::failure(text)
    }
}
