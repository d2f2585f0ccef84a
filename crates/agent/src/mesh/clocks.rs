//! Asks other agents what their clocks show, and tells what this one's does. Anybody on the bus may ask: a clock is no secret, and what is
//! answered is good for nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use edgesync_bus::{Headers, Publish, Request, SendError, SharedBus};
use tokio::time::Instant;

use super::Mesh;
use crate::api::{Level, Time};
use crate::limits;
use crate::text;
use crate::trust::auth::{self, NONCE_BYTES, sign};
use crate::trust::{Context, EndpointId, HEADER, Statement};

/// How long an agent is not asked again: each message of one with a wrong clock would ask otherwise.
const REST: Duration = Duration::from_secs(10);

fn subject(prefix: &str, id: &EndpointId) -> String {
    format!("{prefix}.clock.{id}")
}

/// Returns what is signed in answer at this inbox.
fn statement(inbox: &str) -> Statement<'_> {
    Statement {
        context: Context::Clock,
        subject: inbox,
        reply: None,
        content_type: None,
        status: None,
        payload: &[],
    }
}

impl Mesh {
    /// Answers whoever asks what this agent's clock shows, until the bus ends.
    pub(super) async fn tell_time(self: Arc<Self>) {
        let bus = self.bus();
        if let Err(error) = self.answer_askers(&bus).await {
            tracing::debug!(%error, "nobody can ask what this clock shows");
        }
    }

    async fn answer_askers(&self, bus: &SharedBus) -> Result<(), SendError> {
        let keys = &self.parts.keys;
        let subject = subject(&self.config.prefix, &keys.id());
        let mut asked = bus.subscribe(&subject, None).await?;
        loop {
            let message = tokio::select! {
                () = self.parts.stopped.cancelled() => return Ok(()),
                message = asked.next() => message,
            };
            let Some(message) = message else {
                return Ok(());
            };
            let nonce = <[u8; NONCE_BYTES]>::try_from(&*message.payload);
            let (Some(inbox), Ok(nonce)) = (message.reply, nonce) else {
                continue;
            };
            let signature = sign(keys, &statement(&inbox), &nonce, Time::now());
            let publish = Publish {
                headers: Headers::new().with(HEADER, signature),
                ..Publish::new(inbox, Vec::new())
            };
            bus.publish(publish).await?;
        }
    }

    /// Asks those whose messages were refused for their time alone, and has both sides say hello when that was it.
    pub(super) async fn ask_times(self: Arc<Self>) {
        let mut asked: HashMap<EndpointId, Instant> = HashMap::new();
        loop {
            let id = tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                id = self.parts.trust.clocks.doubted() => id,
            };
            asked.retain(|_, at| at.elapsed() < REST);
            if asked.contains_key(&id) {
                continue;
            }
            asked.insert(id, Instant::now());
            let there = tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                there = self.ask_time(&id) => there,
            };
            let Some(there) = there else { continue };
            let Some(ahead_ms) = self.parts.trust.clocks.learn(id, there, Time::now()) else {
                continue;
            };
            let name = self.parts.trust.register.name_of(&id);
            let name = name.unwrap_or_else(|| id.to_string().chars().take(16).collect());
            let (minutes, way) = (
                ahead_ms.abs() / 60_000,
                if ahead_ms > 0 { "ahead" } else { "behind" },
            );
            let words = format!(
                "the clock of {name} is {minutes} minutes {way} of this one's; it is reckoned with"
            );
            self.parts.events.log(Level::Warn, None, words);
            self.greet();
        }
    }

    /// Returns what the clock of an agent shows, if it proves that it has just said so.
    async fn ask_time(&self, id: &EndpointId) -> Option<Time> {
        let bus = self.bus();
        let nonce: [u8; NONCE_BYTES] = text::random().ok()?;
        let inbox = bus.new_inbox();
        let request = Request {
            subject: subject(&self.config.prefix, id),
            inbox: inbox.clone(),
            headers: Headers::new(),
            payload: nonce.to_vec().into(),
            timeout: limits::MEMBER_REPLY,
        };
        let answer = bus.request(request).await.ok()?;
        let proof = auth::read(answer.headers.get(HEADER)?, &statement(&inbox)).ok()?;
        (proof.id == *id && proof.nonce == nonce).then_some(proof.time)
    }
}
