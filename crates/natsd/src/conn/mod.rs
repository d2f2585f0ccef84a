//! One connection: what others see of it ([`Conn`]), its loop ([`session`]), and what it does by its kind.

mod batch;
pub(crate) mod client;
mod close;
mod memory;
mod outbound;
mod queue;
mod responses;
pub(crate) mod router;
pub(crate) mod session;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use batch::Batch;
pub use close::Close;
pub(crate) use outbound::{Outbound, SharedPayload, Spawner};
use responses::Responses;

use crate::auth::{AllowResponses, Identity, Permissions};
use crate::link::LinkState;
use crate::local::Inbox;
use crate::proto::{Connect, Kind};
use crate::sublist::Subscription;

/// A subscription of a connection.
pub(crate) type Sub = Subscription<Arc<Conn>>;

/// What others see of a connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Its number, from a counter of the server.
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// The address that it comes from, as text.
    pub(crate) remote: Option<String>,
    pub(crate) started: Instant,
    pub(crate) out: Outbound,
    /// Where messages to a client in this process go.
    pub(crate) inbox: Option<Inbox>,
    /// Its subscriptions by its own names for them.
    pub(crate) subs: Mutex<HashMap<Box<[u8]>, Arc<Sub>>>,
    /// It understands header blocks.
    headers: AtomicBool,
    pub(crate) received: Received,
    about: RwLock<About>,
    /// The replies that it may send because it was asked, and how far that goes; not set for most.
    responses: OnceLock<(Responses, AllowResponses)>,
    /// Set on routes and leafnodes.
    pub(crate) link: Option<LinkState>,
    closing: Mutex<Option<Close>>,
    closed: AtomicBool,
    close_signal: Notify,
}

/// Messages and bytes that came in.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// What a connection said about itself, and what was found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) name: Option<String>,
    pub(crate) lang: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) rtt: Option<Duration>,
    /// It asked to be told about changes by INFO.
    pub(crate) wants_info: bool,
}

/// What a connection is made of.
pub(crate) struct Parts {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) remote: Option<String>,
    pub(crate) out: Outbound,
    pub(crate) inbox: Option<Inbox>,
    pub(crate) link: Option<LinkState>,
}

impl Conn {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            id: parts.id,
            kind: parts.kind,
            remote: parts.remote,
            started: Instant::now(),
            out: parts.out,
            inbox: parts.inbox,
            subs: Mutex::new(HashMap::new()),
            headers: AtomicBool::new(false),
            received: Received::default(),
            about: RwLock::new(About::default()),
            responses: OnceLock::new(),
            link: parts.link,
            closing: Mutex::new(None),
            closed: AtomicBool::new(false),
            close_signal: Notify::new(),
        })
    }

    pub(crate) fn headers(&self) -> bool {
        self.headers.load(Ordering::Relaxed)
    }

    pub(crate) fn set_headers(&self, headers: bool) {
        self.headers.store(headers, Ordering::Relaxed);
    }

    /// Returns what is known about it.
    pub(crate) fn about(&self) -> About {
        self.about.read().clone()
    }

    pub(crate) fn set_rtt(&self, rtt: Duration) {
        self.about.write().rtt = Some(rtt);
    }

    /// Takes over what `CONNECT` said, and who it turned out to be.
    pub(crate) fn introduce(&self, connect: &Connect, identity: Identity) {
        let mut about = self.about.write();
        about.name.clone_from(&connect.name);
        about.lang.clone_from(&connect.lang);
        about.version.clone_from(&connect.version);
        about.wants_info = connect.protocol > 0;
        if let Some(how) = identity
            .permissions
            .as_ref()
            .and_then(|rules| rules.allow_responses)
        {
            // A second CONNECT of a user with other numbers keeps those of the first.
            let _ = self.responses.set((Responses::default(), how));
        }
        about.identity = Some(identity);
        self.headers.store(connect.headers, Ordering::Relaxed);
    }

    pub(crate) fn set_identity(&self, identity: Identity) {
        self.about.write().identity = Some(identity);
    }

    pub(crate) fn permissions(&self) -> Option<Arc<Permissions>> {
        let about = self.about.read();
        about.identity.as_ref()?.permissions.clone()
    }

    /// Notes that it was asked, if its permissions let it answer then.
    pub(crate) fn may_answer(&self, reply: &[u8]) {
        if let Some((responses, how)) = self.responses.get() {
            responses.allow(reply, *how);
        }
    }

    /// Uses up a right to answer, if there is one for this subject.
    pub(crate) fn spend_answer(&self, subject: &[u8]) -> bool {
        let responses = self.responses.get();
        responses.is_some_and(|(responses, _)| responses.spend(subject))
    }

    /// Ends the connection; its own task does the rest. The first reason stays.
    pub(crate) fn close(self: &Arc<Self>, why: Close) {
        self.closing.lock().get_or_insert(why);
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        if why.discards() {
            Outbound::close(self, true);
        }
        self.close_signal.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Why it was closed, once it was.
    pub(crate) fn close_reason(&self) -> Option<Close> {
        *self.closing.lock()
    }

    /// Appends bytes of the connection's own conversation; they go out with the next flush of the batch.
    pub(crate) fn send(self: &Arc<Self>, bytes: &[u8], batch: &mut Batch) {
        let mut state = self.out.lock();
        if state.is_closed() {
            return;
        }
        state
            .queue
            .append(bytes.len(), |out| out.extend_from_slice(bytes));
        let appended = self.out.appended(&mut state);
        drop(state);
        batch.note(self, appended, false);
    }

    /// Appends bytes and writes them.
    pub(crate) fn send_now(self: &Arc<Self>, bytes: &[u8]) {
        let mut batch = Batch::default();
        self.send(bytes, &mut batch);
        batch.flush();
    }
}
