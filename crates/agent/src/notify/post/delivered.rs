//! Which devices have a message of this agent. Of its questions `agent.db` remembers it: an asker that is started anew still knows that somebody has
//! what it asked. Anybody on the bus can say this; it is only shown, and only of ids that look like devices.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use edgesync_notify::name::MessageId;

use super::{Post, Setting, joined, locked};
use crate::api::{Error, NotifyMessage};
use crate::trust::EndpointId;

/// Messages whose acknowledgements are remembered; nobody waits for that many at once.
const MESSAGES: usize = 1_000;

/// Devices that are remembered for each of them.
const DEVICES: usize = 64;

/// Who has what.
#[derive(Debug, Default)]
pub(super) struct Delivered(Mutex<HashMap<MessageId, BTreeSet<String>>>);

impl Delivered {
    /// Reads what was known earlier.
    pub(super) async fn read(setting: &Setting) -> Result<Self, Error> {
        let state = Arc::clone(&setting.state);
        let read = joined(tokio::task::spawn_blocking(move || state.notify_delivered()).await)?;
        let known = Self::default();
        for (id, device) in read {
            if let (Ok(id), Ok(device)) = (MessageId::parse(&id), device.parse()) {
                known.note(id, &device);
            }
        }
        Ok(known)
    }

    /// Returns whether it is news that `device` has the message.
    fn note(&self, id: MessageId, device: &EndpointId) -> bool {
        let mut known = locked(&self.0);
        if known.len() >= MESSAGES
            && !known.contains_key(&id)
            && let Some(other) = known.keys().next().copied()
        {
            known.remove(&other);
        }
        let devices = known.entry(id).or_default();
        devices.len() < DEVICES && devices.insert(device.to_string())
    }
}

impl Post {
    /// Takes note that a device has a message of this agent, which may be a question.
    pub(in crate::notify) async fn note_delivered(
        &self,
        id: MessageId,
        device: &str,
        question: bool,
    ) {
        let Ok(device) = device.parse::<EndpointId>() else {
            return;
        };
        if !self.delivered.note(id, &device) || !question {
            return;
        }
        let state = Arc::clone(&self.setting.state);
        let add = move || state.add_notify_delivered(&id.to_string(), &device.to_string());
        if let Err(error) = joined(tokio::task::spawn_blocking(add).await) {
            tracing::warn!(%error, "who has a question is not remembered");
        }
    }

    pub(super) fn add_delivered(&self, message: &mut NotifyMessage) {
        if let Ok(id) = MessageId::parse(&message.id)
            && let Some(devices) = locked(&self.delivered.0).get(&id)
        {
            message.delivered_to = devices.iter().cloned().collect();
        }
    }
}
