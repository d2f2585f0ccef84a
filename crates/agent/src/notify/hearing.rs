//! What is heard on the bus: messages, acknowledgements, and who is there. Nothing of it is believed that its sender does not prove, except
//! acknowledgements, which are only shown.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use edgesync_bus::{Message as Heard, Publish, SendError, SharedBus, Subscription};
use edgesync_notify::message::Message;
use edgesync_notify::name::MessageId;
use edgesync_notify::subject;
use libfossil::db::Repository;
use serde::{Deserialize, Serialize};

use super::{Office, Post};
use crate::api::{Level, Time};

/// What is said on the bus when a message is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Acknowledgement {
    msg_id: String,
    received_by: String,
    received_at: Time,
}

/// Returns what says on the bus that `message` is stored here.
pub(super) fn acknowledgement(message: &Message, me: &str) -> Option<Publish> {
    let said = Acknowledgement {
        msg_id: message.id.to_string(),
        received_by: me.to_owned(),
        received_at: Time::now(),
    };
    let subject = subject::of_ack(&message.project, &message.thread);
    Some(Publish::new(subject, serde_json::to_vec(&said).ok()?))
}

/// What a post listens for.
struct Ears {
    messages: Subscription,
    acknowledgements: Subscription,
    presence: Subscription,
}

impl Ears {
    async fn open(bus: &SharedBus) -> Result<Self, SendError> {
        Ok(Self {
            messages: bus.subscribe(subject::ALL_MESSAGES, None).await?,
            acknowledgements: bus.subscribe(subject::ALL_ACKS, None).await?,
            presence: bus.subscribe(subject::ALL_PRESENCE, None).await?,
        })
    }
}

impl Post {
    /// Speaks on this bus from now on, and hears what others say on it; returns when nothing is missed any more.
    pub(crate) async fn attach(self: &Arc<Self>, bus: SharedBus) {
        match Ears::open(&bus).await {
            Ok(ears) => {
                *self.bus.write().unwrap_or_else(PoisonError::into_inner) = Some(bus);
                self.bus_listens.store(true, Ordering::Relaxed);
                let tasks = &self.setting.tasks;
                tasks.spawn(Arc::clone(self).keep_hearing(ears));
                tasks.spawn(Arc::clone(self).keep_present());
            }
            Err(error) => {
                let words = format!("messages are not heard: {error}");
                self.hosted().log(Level::Warn, words);
            }
        }
    }

    async fn keep_hearing(self: Arc<Self>, mut ears: Ears) {
        loop {
            tokio::select! {
                () = self.setting.stopped.cancelled() => break,
                heard = ears.messages.next() => match heard {
                    Some(heard) => self.hear(&heard).await,
                    None => break,
                },
                heard = ears.acknowledgements.next() => match heard {
                    Some(heard) => self.hear_acknowledgement(&heard.payload).await,
                    None => break,
                },
                heard = ears.presence.next() => match heard {
                    Some(heard) => self.hear_presence(&heard).await,
                    None => break,
                },
            }
        }
        self.bus_listens.store(false, Ordering::Relaxed);
    }

    async fn hear(&self, heard: &Heard) {
        let Some(address) = subject::parse(&heard.subject) else {
            return;
        };
        let message = match Message::read(&heard.payload) {
            Ok(message) => message,
            Err(error) => return self.count_refused(&error.to_string()),
        };
        let taken = self
            .act(move |office, repo| Ok(((), office.receive(repo, &address, message)?)))
            .await;
        if let Err(error) = taken {
            self.count_refused(&error.message);
        }
    }

    async fn hear_acknowledgement(&self, payload: &[u8]) {
        let Ok(said) = serde_json::from_slice::<Acknowledgement>(payload) else {
            return;
        };
        let Ok(id) = MessageId::parse(&said.msg_id) else {
            return;
        };
        let asks = move |office: &Office, _: &Repository| {
            let own = office.own(&id);
            Ok(own.map(|own| own.fields.is_question()))
        };
        let Ok(Some(question)) = self.read(asks).await else {
            return;
        };
        self.note_delivered(id, &said.received_by, question).await;
        self.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
    }
}
