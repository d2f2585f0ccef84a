//! An agent's place on the bus: who signs its sync messages, and how long they may be. How they look is [`edgesync_bridge::envelope`]'s matter.

use edgesync_bridge::envelope;
pub(crate) use edgesync_bridge::envelope::{CONTENT_TYPE, Envelope, PREFIX, STATUS, content_type};
use edgesync_bus::{Headers, Message, Publish, SharedBus};
use edgesync_replica::{Project, Topic, subject};
use libfossil::xfer::Budget;

use crate::api::Time;
use crate::limits;
use crate::text;
use crate::trust::auth::{NONCE_BYTES, sign};
use crate::trust::{Context, HEADER, Keys, Statement, Trust};

use std::sync::Arc;

/// An agent's place on the bus, for sync.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) bus: SharedBus,
    pub(crate) prefix: String,
    pub(crate) keys: Arc<Keys>,
    pub(crate) trust: Arc<Trust>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("prefix", &self.prefix)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// Returns the subject at which anyone who has the project answers.
    pub(crate) fn subject(&self, project: &str) -> String {
        envelope::subject(&self.prefix, project)
    }

    /// Returns the subject at which this peer answers for the project.
    pub(crate) fn subject_of(&self, project: &str, peer: &str) -> String {
        envelope::subject_of(&self.prefix, project, peer)
    }

    /// Returns the queue in which those who have the project share its requests.
    pub(crate) fn queue(project: &str) -> String {
        envelope::queue(project)
    }

    /// Returns how long the body of a message may be: what the server takes, less the headers; and no more than keeps the bus quick for others
    /// where the other side can do with less.
    pub(crate) fn budget(&self) -> Budget {
        let most = self.bus.max_payload();
        let most = most.saturating_sub(limits::BUS_HEADERS_BYTES);
        Budget {
            usual: most.min(limits::BUS_BODY_BYTES),
            most,
        }
    }

    /// Returns the headers of a message, signed.
    pub(crate) fn headers(
        &self,
        context: Context,
        subject: &str,
        reply: Option<&str>,
        nonce: &[u8; NONCE_BYTES],
        envelope: &Envelope,
    ) -> Headers {
        let content_type = envelope.content_type();
        let statement = Statement {
            context,
            subject,
            reply,
            content_type: Some(&content_type),
            status: envelope.status.as_deref(),
            payload: &envelope.payload,
        };
        let signature = sign(&self.keys, &statement, nonce, Time::now());
        envelope.headers().with(HEADER, signature)
    }

    /// Says something of a project to all, signed. What is lost comes again with the next beat.
    pub(crate) async fn announce(&self, project: &Project, topic: Topic, body: Vec<u8>) {
        let subject = match topic {
            Topic::Commit => subject::commit(&self.prefix, project),
            Topic::Hello => subject::hello(&self.prefix, project),
        };
        let statement = Statement {
            context: Context::Announcement,
            subject: &subject,
            reply: None,
            content_type: None,
            status: None,
            payload: &body,
        };
        let Ok(nonce) = text::random() else {
            tracing::warn!("no random bytes, so nothing can be signed");
            return;
        };
        let signature = sign(&self.keys, &statement, &nonce, Time::now());
        let publish = Publish {
            headers: Headers::new().with(HEADER, signature),
            ..Publish::new(subject, bytes::Bytes::from(body))
        };
        if let Err(error) = self.bus.publish(publish).await {
            tracing::debug!(%project, ?topic, %error, "not published");
        }
    }
}

/// Returns what the signature of a message that was heard is over.
pub(crate) fn heard<'a>(context: Context, message: &'a Message) -> Statement<'a> {
    Statement {
        context,
        subject: &message.subject,
        reply: message.reply.as_deref(),
        content_type: message.headers.get(CONTENT_TYPE),
        status: message.headers.get(STATUS),
        payload: &message.payload,
    }
}
