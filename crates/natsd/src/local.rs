//! A client inside the process: no socket, no protocol, the same rules.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::conn::router::{self, Router, Source};
use crate::conn::{Batch, Close, Conn, Sub};
use crate::server::Shared;
use crate::subject::{self, Filter};
use crate::sublist::{Class, Delivery, Subscription};

/// A message as a client in this process gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Where it was sent.
    pub subject: Bytes,
    /// Where answers go.
    pub reply: Option<Bytes>,
    /// The header block as it came, beginning with `NATS/1.0`; empty if there is none.
    pub headers: Bytes,
    /// The payload.
    pub payload: Bytes,
}

/// Why a client in this process was refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The subject or filter is malformed.
    #[error("the subject is malformed")]
    Subject,
    /// Headers and payload together are too long.
    #[error("the message has {bytes} bytes; at most {max} are allowed")]
    TooLong {
        /// Bytes of headers and payload.
        bytes: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// The server has shut down.
    #[error("the server has shut down")]
    Closed,
}

/// A client in this process. It may do anything; when it is dropped, its subscriptions end.
pub struct LocalClient {
    shared: Arc<Shared>,
    conn: Arc<Conn>,
    router: Mutex<Router>,
    next_sid: AtomicU64,
}

impl LocalClient {
    pub(crate) fn new(shared: Arc<Shared>, conn: Arc<Conn>) -> Self {
        let router = Mutex::new(Router::new(conn.id));
        Self {
            shared,
            conn,
            router,
            next_sid: AtomicU64::new(1),
        }
    }

    /// Publishes a message, and says whether anybody got it. `headers` is a whole header block or empty.
    ///
    /// # Errors
    /// When the subject is malformed, the message too long or the server gone.
    pub fn publish(
        &self,
        subject: &[u8],
        reply: Option<&[u8]>,
        headers: &[u8],
        payload: &[u8],
    ) -> Result<bool, LocalError> {
        let malformed = |subject: &[u8]| !subject::is_literal(subject);
        if malformed(subject) || reply.is_some_and(malformed) {
            return Err(LocalError::Subject);
        }
        let (bytes, max) = (
            headers.len().saturating_add(payload.len()),
            self.shared.limits.max_payload,
        );
        if bytes > max {
            return Err(LocalError::TooLong { bytes, max });
        }
        if self.conn.is_closed() {
            return Err(LocalError::Closed);
        }
        let joined;
        let payload = if headers.is_empty() {
            payload
        } else {
            joined = [headers, payload].concat();
            &joined
        };
        let message = router::Message {
            subject,
            reply,
            header_len: headers.len(),
            payload,
            queues: None,
            origin: None,
        };
        let from = Source {
            conn: &self.conn,
            class: Class::Client,
            echo: true,
        };
        let mut router = self.router.lock();
        let delivered = router.route(&self.shared.tree, from, &message);
        router.batch.flush();
        self.shared.retire(&mut router.batch);
        drop(router);
        let received = &self.conn.received;
        received.messages.fetch_add(1, Ordering::Relaxed);
        received
            .bytes
            .fetch_add(message.payload.len() as u64, Ordering::Relaxed);
        Ok(delivered)
    }

    /// Subscribes, in a queue group if one is given.
    ///
    /// # Errors
    /// When the filter is malformed or the server gone.
    pub fn subscribe(&self, filter: &[u8], queue: Option<&[u8]>) -> Result<Subscribed, LocalError> {
        let filter = Filter::parse(filter).ok_or(LocalError::Subject)?;
        let inbox = self.conn.inbox.as_ref().ok_or(LocalError::Closed)?;
        if self.conn.is_closed() {
            return Err(LocalError::Closed);
        }
        let sid = self.next_sid.fetch_add(1, Ordering::Relaxed).to_string();
        let (sender, receiver) = mpsc::unbounded_channel();
        inbox.senders.lock().insert(sid.as_bytes().into(), sender);
        let owner = Arc::clone(&self.conn);
        let queue = queue.map(Arc::from);
        let sub = Subscription::new(owner, Class::Client, filter, queue, sid.as_bytes());
        let sub: Arc<Sub> = Arc::new(sub);
        self.conn
            .subs
            .lock()
            .insert(sid.into_bytes().into(), Arc::clone(&sub));
        self.shared.add_subscription(&sub);
        Ok(Subscribed {
            shared: Arc::clone(&self.shared),
            sub,
            receiver,
            pending: Arc::clone(&inbox.pending),
        })
    }

    /// Longest message, headers and payload together, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.shared.limits.max_payload
    }
}

impl Drop for LocalClient {
    fn drop(&mut self) {
        self.conn.close(Close::Hangup);
        self.shared.leave(&self.conn, Close::Hangup);
    }
}

/// A subscription of a client in this process; ends when it is dropped.
pub struct Subscribed {
    shared: Arc<Shared>,
    sub: Arc<Sub>,
    receiver: mpsc::UnboundedReceiver<Message>,
    pending: Arc<AtomicUsize>,
}

impl Subscribed {
    /// Returns the next message, or nothing when the client or the server is gone.
    pub async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The same for those who poll.
    pub fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let message = std::task::ready!(self.receiver.poll_recv(cx));
        if let Some(message) = &message {
            self.pending.fetch_sub(message.cost(), Ordering::Relaxed);
        }
        Poll::Ready(message)
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.shared.remove_subscription(&self.sub);
        self.receiver.close();
        while let Ok(message) = self.receiver.try_recv() {
            self.pending.fetch_sub(message.cost(), Ordering::Relaxed);
        }
    }
}

impl Message {
    /// Bytes that it counts for while it waits.
    fn cost(&self) -> usize {
        let reply = self.reply.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + self.subject.len() + reply + self.headers.len() + self.payload.len()
    }
}

/// Where messages for a client in this process wait.
#[derive(Debug)]
pub(crate) struct Inbox {
    senders: Mutex<HashMap<Box<[u8]>, mpsc::UnboundedSender<Message>>>,
    pending: Arc<AtomicUsize>,
    limit: usize,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            senders: Mutex::default(),
            pending: Arc::default(),
            limit,
        }
    }

    /// Hands a message over, and says whether it was taken. A client that lets too much wait is cut like any other.
    pub(crate) fn deliver(
        &self,
        sub: &Arc<Sub>,
        message: &router::Message<'_>,
        batch: &mut Batch,
    ) -> bool {
        let senders = self.senders.lock();
        let Some(sender) = senders.get(&sub.sid) else {
            return false;
        };
        match sub.count_delivery() {
            Delivery::Refused => return false,
            Delivery::Counted => {}
            Delivery::Last => batch.finished.push(Arc::clone(sub)),
        }
        let (headers, payload) = message.split();
        let message = Message {
            subject: Bytes::copy_from_slice(message.subject),
            reply: message.reply.map(Bytes::copy_from_slice),
            headers,
            payload,
        };
        let cost = message.cost();
        if self.pending.load(Ordering::Relaxed).saturating_add(cost) > self.limit {
            drop(senders);
            sub.owner.close(Close::SlowConsumer);
            batch.cut.push(Arc::clone(&sub.owner));
            return false;
        }
        self.pending.fetch_add(cost, Ordering::Relaxed);
        if sender.send(message).is_err() {
            self.pending.fetch_sub(cost, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Ends all subscriptions for their readers.
    pub(crate) fn forget_all(&self) {
        self.senders.lock().clear();
    }

    /// Ends a subscription for its reader.
    pub(crate) fn forget(&self, sid: &[u8]) {
        self.senders.lock().remove(sid);
    }
}
