//! A bus within one process, for tests: what it does with each message on its way can be told.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::message::check_subject;
use crate::subscription::Source;
use crate::{Bus, Message, Publish, Request, RequestError, SendError, Subscription};

/// The limit that a server has unless told otherwise.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// What becomes of a message on its way to one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It arrives twice.
    Doubled,
    /// It never arrives.
    Lost,
}

type Judge = Box<dyn FnMut(&str, &str, &Message) -> Fate + Send>;

/// What the [`Memory`] buses of one test have in common.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subscriptions: Vec<Listener>,
    judge: Option<Judge>,
    next: u64,
    turn: usize,
}

struct Listener {
    id: u64,
    owner: String,
    subject: String,
    queue: Option<String>,
    give: mpsc::UnboundedSender<Message>,
}

/// One place on a [`Hub`].
pub struct Memory {
    hub: Hub,
    name: String,
    inboxes: AtomicU64,
    max_payload: AtomicUsize,
}

/// The messages of one subscription.
struct Heard {
    messages: mpsc::UnboundedReceiver<Message>,
    leave: Option<Leave>,
}

/// Takes its listener from the hub when dropped.
struct Leave {
    hub: Hub,
    id: u64,
}

impl Hub {
    /// Returns a place on the hub; its name is what [`Hub::judge`] is told.
    pub fn join(&self, name: &str) -> Memory {
        Memory {
            hub: self.clone(),
            name: name.to_owned(),
            inboxes: AtomicU64::new(0),
            max_payload: AtomicUsize::new(MAX_PAYLOAD),
        }
    }

    /// Sets who decides what becomes of each message, from sender and receiver by name.
    pub fn judge(&self, judge: impl FnMut(&str, &str, &Message) -> Fate + Send + 'static) {
        self.state().judge = Some(Box::new(judge));
    }

    /// Hands a message to all that listen, and to one of each queue. Returns to how many.
    fn publish(&self, from: &str, message: &Message) -> usize {
        let mut state = self.state();
        state.turn = state.turn.wrapping_add(1);
        let heard: Vec<&Listener> = state
            .subscriptions
            .iter()
            .filter(|listener| listener.owner != from)
            .filter(|listener| matches(&listener.subject, &message.subject))
            .collect();
        let mut chosen: Vec<u64> = Vec::new();
        let mut queues: Vec<(&str, &str)> = Vec::new();
        for listener in &heard {
            let Some(queue) = listener.queue.as_deref() else {
                chosen.push(listener.id);
                continue;
            };
            let key = (listener.subject.as_str(), queue);
            if queues.contains(&key) {
                continue;
            }
            queues.push(key);
            let members: Vec<u64> = heard
                .iter()
                .filter(|other| {
                    (other.subject.as_str(), other.queue.as_deref()) == (key.0, Some(key.1))
                })
                .map(|other| other.id)
                .collect();
            chosen.extend(members.get(state.turn % members.len()));
        }
        let count = chosen.len();
        let State {
            subscriptions,
            judge,
            ..
        } = &mut *state;
        for listener in subscriptions
            .iter()
            .filter(|listener| chosen.contains(&listener.id))
        {
            let fate = judge
                .as_mut()
                .map_or(Fate::Arrives, |judge| judge(from, &listener.owner, message));
            let copies = match fate {
                Fate::Arrives => 1,
                Fate::Doubled => 2,
                Fate::Lost => 0,
            };
            for _ in 0..copies {
                // A subscriber that just left hears nothing.
                let _ = listener.give.send(message.clone());
            }
        }
        count
    }

    fn subscribe(&self, owner: &str, subject: &str, queue: Option<&str>) -> Subscription {
        let (give, messages) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.next += 1;
        let id = state.next;
        state.subscriptions.push(Listener {
            id,
            owner: owner.to_owned(),
            subject: subject.to_owned(),
            queue: queue.map(str::to_owned),
            give,
        });
        let leave = Leave {
            hub: self.clone(),
            id,
        };
        let leave = Some(leave);
        Subscription::new(Heard { messages, leave })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Sets how large a message may be.
    pub fn set_max_payload(&self, bytes: usize) {
        self.max_payload.store(bytes, Ordering::Relaxed);
    }

    fn send(&self, publish: Publish) -> Result<usize, SendError> {
        publish.check(self.max_payload())?;
        let Publish {
            subject,
            reply,
            headers,
            payload,
        } = publish;
        let message = Message {
            subject,
            reply,
            headers,
            payload,
        };
        Ok(self.hub.publish(&self.name, &message))
    }

    async fn ask(&self, request: Request) -> Result<Message, RequestError> {
        let timeout = request.timeout;
        let mut answers = self.hub.subscribe(&self.name, &request.inbox, None);
        if self.send(request.into_publish())? == 0 {
            return Err(RequestError::NoResponders);
        }
        match tokio::time::timeout(timeout, answers.next()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(SendError::Closed.into()),
            Err(_) => Err(RequestError::TimedOut),
        }
    }
}

impl Bus for Memory {
    fn publish(&self, publish: Publish) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async { self.send(publish).map(drop) })
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Message, RequestError>> {
        Box::pin(self.ask(request))
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, SendError>> {
        Box::pin(async move {
            check_subject(subject)?;
            queue.map_or(Ok(()), check_subject)?;
            Ok(self.hub.subscribe(&self.name, subject, queue))
        })
    }

    fn new_inbox(&self) -> String {
        let number = self.inboxes.fetch_add(1, Ordering::Relaxed);
        format!("_INBOX.{}.{number}", self.name)
    }

    fn max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async { Ok(()) })
    }

    fn lost(&self) -> u64 {
        // Any number of messages waits here.
        0
    }
}

impl Stream for Heard {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(cx)
    }
}

impl Source for Heard {
    fn drain(&mut self) -> BoxFuture<'_, ()> {
        self.leave = None;
        Box::pin(async {})
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.hub
            .state()
            .subscriptions
            .retain(|listener| listener.id != self.id);
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hub").finish()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Whether a subscription's subject, with its wildcards, covers a message's.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_what_nats_says() {
        for (pattern, subject, covers) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("*.b", "a.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
        ] {
            assert_eq!(matches(pattern, subject), covers, "{pattern} {subject}");
        }
    }

    #[tokio::test]
    async fn messages_meet_the_fate_that_the_judge_gives() {
        let hub = Hub::default();
        let (from, to) = (hub.join("from"), hub.join("to"));
        let mut heard = to.subscribe("x", None).await.expect("subscribed");
        hub.judge(|from, to, message| {
            assert_eq!((from, to), ("from", "to"));
            match message.payload.as_ref() {
                b"lost" => Fate::Lost,
                b"doubled" => Fate::Doubled,
                _ => Fate::Arrives,
            }
        });
        for payload in ["lost", "doubled", "once"] {
            from.publish(Publish::new("x", payload))
                .await
                .expect("published");
        }
        for expected in ["doubled", "doubled", "once"] {
            let message = heard.next().await.expect("a message");
            assert_eq!(message.payload, expected);
        }
    }
}
