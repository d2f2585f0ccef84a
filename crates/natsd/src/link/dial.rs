//! Links that this side keeps up: dialled, watched, and dialled again after a pause.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::conn::{Close, Conn};
use crate::limits::{DIAL_PAUSE, DIAL_TIMEOUT};
use crate::proto::Info;
use crate::server::{Duplex, Setup};

/// Where a link leads.
#[derive(Clone)]
#[non_exhaustive]
pub enum Target {
    /// To a host and port.
    Tcp(String),
    /// Over a stream that the embedder opens each time that one is needed.
    Stream(Opener),
}

/// A boxed stream in both directions.
pub(crate) type BoxedStream = Pin<Box<dyn Duplex>>;

type Opening = Pin<Box<dyn Future<Output = io::Result<BoxedStream>> + Send>>;

/// How to open a stream to the other end.
#[derive(Clone)]
pub struct Opener {
    name: String,
    open: Arc<dyn Fn() -> Opening + Send + Sync>,
}

impl Target {
    /// Returns a target that is reached by opening a stream; `name` is for people.
    pub fn stream<F, S>(
        name: impl Into<String>,
        open: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let open = Arc::new(move || -> Opening {
            let opening = open();
            Box::pin(async move { Ok(Box::pin(opening.await?) as BoxedStream) })
        });
        Self::Stream(Opener {
            name: name.into(),
            open,
        })
    }
}

/// How a connection goes on over TLS once the other end asked for it, by whichever library the embedder has.
#[derive(Clone)]
pub struct Upgrade {
    wrap: Arc<dyn Fn(TcpStream, String) -> Opening + Send + Sync>,
    /// Whether the other end must speak TLS.
    pub(crate) required: bool,
}

impl Upgrade {
    /// Returns what makes of a connection and the host that it leads to a stream over TLS. With `required`, nothing is said to who offers none.
    pub fn new<F, S>(
        required: bool,
        wrap: impl Fn(TcpStream, String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let wrap = Arc::new(move |stream, host| -> Opening {
            let wrapping = wrap(stream, host);
            Box::pin(async move { Ok(Box::pin(wrapping.await?) as BoxedStream) })
        });
        Self { wrap, required }
    }

    /// Returns the name, or the number without brackets, that a certificate of who answers at `HOST:PORT` has to be for.
    #[must_use]
    pub fn host_of(address: &str) -> &str {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Goes on over TLS with who answers at `HOST:PORT`.
    pub(crate) async fn apply(&self, stream: TcpStream, address: &str) -> io::Result<Dialled> {
        let wrapped = (self.wrap)(stream, Self::host_of(address).to_owned());
        let wrapped = tokio::time::timeout(DIAL_TIMEOUT, wrapped).await;
        wrapped
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map(Dialled::Stream)
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Stream(opener) => f.write_str(&opener.name),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An open stream to the other end.
pub(crate) enum Dialled {
    Tcp(TcpStream),
    Stream(BoxedStream),
}

impl Target {
    /// Connects, within the time that there is for it.
    pub(crate) async fn dial(&self) -> io::Result<Dialled> {
        let dial = async {
            match self {
                Self::Tcp(address) => TcpStream::connect(address).await.map(Dialled::Tcp),
                Self::Stream(opener) => (opener.open)().await.map(Dialled::Stream),
            }
        };
        tokio::time::timeout(DIAL_TIMEOUT, dial)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Dialled {
    /// The address of the other end, if it has one.
    pub(crate) fn remote(&self) -> Option<String> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(|address| address.to_string()),
            Self::Stream(_) => None,
        }
    }
}

impl Setup {
    /// Runs the connection on a stream that was dialled.
    pub(crate) fn run(self, dialled: Dialled) -> Arc<Conn> {
        match dialled {
            Dialled::Tcp(stream) => self.run_tcp(stream),
            Dialled::Stream(stream) => self.run_stream(stream),
        }
    }
}

/// How a link that this side keeps up is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkStatus {
    /// It is being dialled, or the two ends introduce themselves.
    Connecting,
    /// It can be used.
    Up {
        /// The number of its connection; see [`Stats`](crate::Stats) for more about it.
        connection: u64,
        /// The id of the server at the other end.
        server_id: String,
        /// Its name.
        server_name: String,
    },
    /// It cannot be used; it will be dialled again.
    Down {
        /// Why, for people.
        why: String,
        /// The kind of reason.
        close: Close,
        /// What the server that was reached calls itself, if it said so. Nothing proves that it is who it says.
        server_name: Option<String>,
        /// Its id, likewise.
        server_id: Option<String>,
    },
}

/// Reports how a link is doing.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    status: Arc<watch::Sender<LinkStatus>>,
    /// What the other end said before the end.
    reason: Arc<Mutex<Option<String>>>,
    /// The name and the id that the other end gives itself.
    met: Arc<Mutex<Option<(String, String)>>>,
    /// It has been up at least once.
    was_up: Arc<AtomicBool>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            status: Arc::new(watch::Sender::new(LinkStatus::Connecting)),
            reason: Arc::default(),
            met: Arc::default(),
            was_up: Arc::default(),
        }
    }

    pub(crate) fn set(&self, status: LinkStatus) {
        if matches!(status, LinkStatus::Up { .. }) {
            self.was_up.store(true, Ordering::Relaxed);
        }
        self.status.send_if_modified(|now| {
            let changed = *now != status;
            *now = status;
            changed
        });
    }

    /// Says whether it has been up at least once.
    pub(crate) fn was_up(&self) -> bool {
        self.was_up.load(Ordering::Relaxed)
    }

    /// Returns why it is down, if it is.
    pub(crate) fn close(&self) -> Option<Close> {
        match *self.status.borrow() {
            LinkStatus::Down { close, .. } => Some(close),
            _ => None,
        }
    }

    /// Notes what the server that was reached calls itself.
    pub(crate) fn met(&self, greeting: &Info) {
        *self.met.lock() = Some((greeting.server_name.clone(), greeting.server_id.clone()));
    }

    /// Notes why the link is about to go down; the first reason stays.
    pub(crate) fn because(&self, why: &str) {
        self.reason.lock().get_or_insert_with(|| why.to_owned());
    }

    /// Notes that the link is down.
    pub(crate) fn end(&self, close: Close) {
        let why = self
            .reason
            .lock()
            .take()
            .unwrap_or_else(|| close.to_string());
        let (server_name, server_id) = self.met.lock().take().unzip();
        self.set(LinkStatus::Down {
            why,
            close,
            server_name,
            server_id,
        });
    }

    /// Waits until the link is down.
    pub(crate) async fn down(&self) {
        let mut status = self.status.subscribe();
        // The sender is this very object, so waiting cannot fail.
        let _ = status
            .wait_for(|status| matches!(status, LinkStatus::Down { .. }))
            .await;
    }
}

/// A link that this side keeps up. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    status: watch::Receiver<LinkStatus>,
    stop: CancellationToken,
}

impl Link {
    pub(crate) fn new(progress: &Progress, stop: CancellationToken) -> Self {
        Self {
            status: progress.status.subscribe(),
            stop,
        }
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        self.status.borrow().clone()
    }

    /// Returns when it is doing otherwise than at the last look, or never if it will not change any more.
    pub async fn changed(&mut self) -> LinkStatus {
        if self.status.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.status.borrow_and_update().clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Returns the pause before the next attempt: the least pause and up to as much again, so that those who lost the same server
/// do not come back all at once.
pub(crate) fn pause() -> Duration {
    let mut random = [0];
    // Without randomness there is no jitter, and nothing worse.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random);
    DIAL_PAUSE + DIAL_PAUSE * u32::from(random[0]) / 256
}
