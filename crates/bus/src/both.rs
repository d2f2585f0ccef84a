//! Two servers as one bus: the agent's own, and one elsewhere that it is a client of. What is said goes to both, what either hears is heard. A
//! request goes to the own server first, and on only when nobody listens there. Its answer goes back the way it came.
//!
//! The other server may be away: then there is the own one. Who is reached by both ways hears everything twice; signatures with nonces are how
//! users of this bus tell that.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _};

use crate::subscription::Source;

use crate::{Bus, Message, Nats, Publish, Request, RequestError, SendError, Subscription};

/// How many reply subjects that came from the other server are remembered. Requests are answered within seconds; a busy agent answers tens a second.
const REPLIES: usize = 4096;

/// What subjects for answers begin with.
const INBOX: &str = "_INBOX.";

/// One bus over two servers.
pub struct Both {
    own: Arc<Nats>,
    other: Arc<Nats>,
    replies: Arc<Mutex<Replies>>,
}

/// Where the other server's clients hear answers, the oldest first.
#[derive(Default)]
struct Replies {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Both {
    /// Returns the two as one; `other` was opened [beside](Nats::beside) `own`.
    pub fn new(own: Nats, other: Nats) -> Self {
        Self {
            own: Arc::new(own),
            other: Arc::new(other),
            replies: Arc::default(),
        }
    }

    fn other_is_there(&self) -> bool {
        *self.other.connected().borrow()
    }

    async fn send(&self, publish: Publish) -> Result<(), SendError> {
        if locked(&self.replies).known.contains(&publish.subject) {
            return self.other.publish(publish).await;
        }
        if !publish.subject.starts_with(INBOX) && self.other_is_there() {
            // Whom it does not reach hears of it later; what counts is the own server.
            if let Err(error) = self.other.publish(publish.clone()).await {
                drop(error);
            }
        }
        self.own.publish(publish).await
    }

    async fn ask(&self, request: Request) -> Result<Message, RequestError> {
        match self.own.request(request.clone()).await {
            Err(RequestError::NoResponders | RequestError::Send(SendError::Closed))
                if self.other_is_there() =>
            {
                self.other.request(request).await
            }
            answer => answer,
        }
    }

    async fn listen(&self, subject: &str, queue: Option<&str>) -> Result<Subscription, SendError> {
        let own = self.own.subscribe(subject, queue).await?;
        let other = if self.other_is_there() {
            Way::There(self.other.subscribe(subject, queue).await?)
        } else {
            // Its client takes subscriptions when the server is there; until then nobody shall wait for it.
            let (bus, subject) = (Arc::clone(&self.other), subject.to_owned());
            let queue = queue.map(str::to_owned);
            Way::Coming(Box::pin(async move {
                bus.subscribe(&subject, queue.as_deref()).await.ok()
            }))
        };
        Ok(Subscription::new(HeardByBoth {
            own: Some(own),
            other,
            others_turn: false,
            replies: Arc::clone(&self.replies),
        }))
    }
}

/// The messages of one subscription at both servers.
struct HeardByBoth {
    /// Nothing once it has ended.
    own: Option<Subscription>,
    other: Way,
    /// Who is asked first; the two take turns.
    others_turn: bool,
    replies: Arc<Mutex<Replies>>,
}

/// The subscription at the other server.
enum Way {
    There(Subscription),
    Coming(BoxFuture<'static, Option<Subscription>>),
    /// It has ended.
    Gone,
}

impl HeardByBoth {
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Some(own) = &mut self.own else {
            return Poll::Ready(None);
        };
        let next = ready!(own.poll_next_unpin(cx));
        if next.is_none() {
            self.own = None;
        }
        Poll::Ready(next)
    }

    fn poll_other(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if let Way::Coming(coming) = &mut self.other {
            self.other = ready!(coming.poll_unpin(cx)).map_or(Way::Gone, Way::There);
        }
        let Way::There(other) = &mut self.other else {
            return Poll::Ready(None);
        };
        let next = ready!(other.poll_next_unpin(cx));
        match &next {
            Some(message) => {
                if let Some(reply) = &message.reply {
                    locked(&self.replies).remember(reply);
                }
            }
            None => self.other = Way::Gone,
        }
        Poll::Ready(next)
    }
}

impl Stream for HeardByBoth {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = &mut *self;
        this.others_turn = !this.others_turn;
        let own_first = this.others_turn;
        let first = if own_first {
            this.poll_own(cx)
        } else {
            this.poll_other(cx)
        };
        if let Poll::Ready(Some(_)) = first {
            return first;
        }
        let last = if own_first {
            this.poll_other(cx)
        } else {
            this.poll_own(cx)
        };
        match (first, last) {
            (_, Poll::Ready(Some(message))) => Poll::Ready(Some(message)),
            (Poll::Ready(None), Poll::Ready(None)) => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }
}

impl Source for HeardByBoth {
    fn drain(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(own) = &mut self.own {
                own.drain().await;
            }
            match &mut self.other {
                Way::There(other) => other.drain().await,
                // One that has not begun has nothing on its way.
                other => *other = Way::Gone,
            }
        })
    }
}

impl Bus for Both {
    fn publish(&self, publish: Publish) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(self.send(publish))
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Message, RequestError>> {
        Box::pin(self.ask(request))
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, SendError>> {
        Box::pin(self.listen(subject, queue))
    }

    fn new_inbox(&self) -> String {
        self.own.new_inbox()
    }

    fn max_payload(&self) -> usize {
        let own = self.own.max_payload();
        match self.other_is_there() {
            true => own.min(self.other.max_payload()),
            false => own,
        }
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async {
            if self.other_is_there() {
                // It may go away meanwhile.
                let _ = self.other.flush().await;
            }
            self.own.flush().await
        })
    }

    fn lost(&self) -> u64 {
        self.own.lost() + self.other.lost()
    }
}

impl Replies {
    fn remember(&mut self, reply: &str) {
        if !self.known.insert(reply.to_owned()) {
            return;
        }
        self.order.push_back(reply.to_owned());
        if self.order.len() > REPLIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl fmt::Debug for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Both")
            .field("own", &self.own)
            .field("other", &self.other)
            .finish_non_exhaustive()
    }
}

fn locked(replies: &Mutex<Replies>) -> MutexGuard<'_, Replies> {
    // Nothing here leaves it half changed.
    replies.lock().unwrap_or_else(PoisonError::into_inner)
}
