//! The messages of one subscription at a NATS server, and those of them that wait.
//!
//! A task takes them from the client as they come. So a burst waits here, where it is measured by its bytes, and not in the client, which counts
//! messages and drops those over its number without a word. What is more than may wait is dropped here too, the newest first, but counted.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use async_nats::Subscriber;
use async_nats::header::HeaderMap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::Message;
use crate::nats::Line;
use crate::subscription::Source;

/// Most bytes that wait for one subscriber. Ten thousand ordinary messages that come at once are a third of it; it bounds what one sender can
/// make an agent hold.
pub(crate) const WAITING_MAX_BYTES: usize = 32 << 20;

/// What a message takes beside its texts and its content, generously.
const MESSAGE_BYTES: usize = 512;

/// Longest content that is copied. A slice of what the client read keeps all of that alive, which is far more than a short message counts for.
const COPIED_MAX_BYTES: usize = 16 << 10;

/// After how many messages a subscription ends that is to end now. Servers take no number this long, and then end it at once; the client
/// does, and hands over what comes until then. By its own drain, or an end without a number, it drops what is on its way.
const AFTER_THE_LAST: u64 = 10_000_000_000;

/// The messages of one subscription.
pub(crate) struct Heard {
    line: Line,
    waiting: mpsc::UnboundedReceiver<Message>,
    room: Arc<Room>,
    /// The subscription, while the task takes from it.
    subscriber: Arc<Mutex<Option<Subscriber>>>,
    task: AbortHandle,
    /// The subscription, once it is being drained.
    last: Option<Subscriber>,
}

/// How much waits, and who counts what found no room.
struct Room {
    bytes: AtomicUsize,
    line: Line,
}

impl Heard {
    /// Begins to take the messages of a subscription of this connection.
    pub(crate) fn new(subscriber: Subscriber, line: Line) -> Self {
        let (give, waiting) = mpsc::unbounded_channel();
        let room = Arc::new(Room {
            bytes: AtomicUsize::new(0),
            line: line.clone(),
        });
        let subscriber = Arc::new(Mutex::new(Some(subscriber)));
        let taking = take(Arc::clone(&subscriber), give, Arc::clone(&room));
        // It hands over whatever there is each time that it runs, so that nothing gathers behind it.
        let task = tokio::spawn(tokio::task::unconstrained(taking));
        Self {
            line,
            waiting,
            room,
            subscriber,
            task: task.abort_handle(),
            last: None,
        }
    }
}

/// Takes messages until the subscription ends or is taken away.
async fn take(
    subscriber: Arc<Mutex<Option<Subscriber>>>,
    give: mpsc::UnboundedSender<Message>,
    room: Arc<Room>,
) {
    // Of many that are dropped one after the other the first is told.
    let mut dropping = false;
    let next = || {
        std::future::poll_fn(|cx| match &mut *locked(&subscriber) {
            Some(subscriber) => subscriber.poll_next_unpin(cx),
            None => Poll::Ready(None),
        })
    };
    while let Some(message) = next().await {
        let mut message = inward(message);
        let fits = room.takes(&message);
        if !fits && !std::mem::replace(&mut dropping, true) {
            tracing::warn!(
                subject = message.subject,
                "messages come faster than they are taken, and are dropped"
            );
        }
        dropping &= !fits;
        if !fits {
            continue;
        }
        if message.payload.len() <= COPIED_MAX_BYTES {
            message.payload = Bytes::copy_from_slice(&message.payload);
        }
        if give.send(message).is_err() {
            return;
        }
    }
}

impl Room {
    /// Says whether there is room for a message, which then has it, and counts it if not.
    fn takes(&self, message: &Message) -> bool {
        let bytes = cost(message);
        // Nobody else adds to it.
        let fits = self.bytes.load(Ordering::Relaxed) + bytes <= WAITING_MAX_BYTES;
        if fits {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.line.lost_one();
        }
        fits
    }

    fn give_back(&self, message: &Message) {
        self.bytes.fetch_sub(cost(message), Ordering::Relaxed);
    }
}

/// Bytes that a message counts for while it waits.
fn cost(message: &Message) -> usize {
    let texts = message.subject.len() + message.reply.as_ref().map_or(0, String::len);
    MESSAGE_BYTES + texts + message.headers.wire_len() + message.payload.len()
}

impl Stream for Heard {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if let Some(message) = ready!(self.waiting.poll_recv(cx)) {
            self.room.give_back(&message);
            return Poll::Ready(Some(message));
        }
        match &mut self.last {
            Some(last) => last.poll_next_unpin(cx).map(|next| next.map(inward)),
            None => Poll::Ready(None),
        }
    }
}

impl Source for Heard {
    fn drain(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let Some(mut last) = locked(&self.subscriber).take() else {
                return;
            };
            // Nothing would wake it any more.
            self.task.abort();
            // When any of this fails, the connection has ended, and with it the subscription.
            let _ = last.unsubscribe_after(AFTER_THE_LAST).await;
            let _ = self.line.round_trip().await;
            let _ = last.drain().await;
            self.last = Some(last);
        })
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.task.abort();
        // Here and not when the task ends, so that what is sent after this comes after the end of the subscription.
        drop(locked(&self.subscriber).take());
    }
}

pub(crate) fn inward(message: async_nats::Message) -> Message {
    let headers = message.headers.iter().flat_map(HeaderMap::iter);
    let headers = headers
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| (name.to_string(), value.as_str()))
        .collect();
    Message {
        subject: message.subject.into_string(),
        reply: message.reply.map(async_nats::Subject::into_string),
        headers,
        payload: message.payload,
    }
}

fn locked(subscriber: &Mutex<Option<Subscriber>>) -> MutexGuard<'_, Option<Subscriber>> {
    // Taking a message leaves it whole.
    subscriber.lock().unwrap_or_else(PoisonError::into_inner)
}
