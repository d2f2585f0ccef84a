//! What waits to be written to one connection.
//!
//! Whoever delivers a message appends it here under a short lock and flushes once for all that one read brought. On a TCP
//! socket that takes the bytes at once, the flushing task writes them itself; only when the socket is full does a task of its
//! own wait for it. So a message costs no task switch. Over another stream a task of the connection's own writes.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::queue::Queue;
use super::{Close, Conn};
use crate::limits::STALL_PERCENT;
use crate::proto::write::CRLF;

/// Rounds of writing that a flushing task does for others who append meanwhile, before it leaves that to a task of its own.
const ROUNDS_MAX: usize = 4;

/// The waiting output of one connection.
#[derive(Debug)]
pub(crate) struct Outbound {
    state: Mutex<State>,
    /// Most bytes that may wait.
    limit: usize,
    /// Told when some was written; publishers that were slowed down wait for it.
    room: Notify,
    /// Told when there is something to do for the task that writes: bytes for a stream, or the end.
    work: Notify,
    deadline: Duration,
    /// Runs the task that waits for a full socket. Whoever flushes may be on a thread of no runtime.
    spawner: Spawner,
}

/// Starts tasks of the server from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

/// Where the bytes go.
#[derive(Debug)]
enum Sink {
    Tcp(Arc<OwnedWriteHalf>),
    /// A task takes them from here.
    Stream,
    Closed,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    sink: Sink,
    pub(crate) queue: Queue,
    /// An emptied queue whose memory is used again.
    spare: Queue,
    /// Bytes that somebody is writing at this moment, or waits to write.
    in_flight: usize,
    writing: bool,
    /// Somebody will flush.
    scheduled: bool,
    /// What waits is not to be written any more.
    discarded: bool,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// What to do after appending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Nobody was going to flush: the caller has to.
    pub(crate) flush: bool,
    /// The receiver is slow: the caller should wait a little.
    pub(crate) stall: bool,
    /// The receiver is too slow and has to be cut.
    pub(crate) overflow: bool,
}

impl State {
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.sink, Sink::Closed)
    }

    fn pending(&self) -> usize {
        self.queue.len() + self.in_flight
    }
}

impl Outbound {
    /// Returns the output of a TCP connection.
    pub(crate) fn tcp(
        half: OwnedWriteHalf,
        limit: usize,
        deadline: Duration,
        spawner: Spawner,
    ) -> Self {
        Self::new(Sink::Tcp(Arc::new(half)), limit, deadline, spawner)
    }

    /// Returns the output of a connection over another stream, for which [`Self::write_stream`] has to run.
    pub(crate) fn stream(limit: usize, deadline: Duration, spawner: Spawner) -> Self {
        Self::new(Sink::Stream, limit, deadline, spawner)
    }

    fn new(sink: Sink, limit: usize, deadline: Duration, spawner: Spawner) -> Self {
        Self {
            state: Mutex::new(State {
                sink,
                queue: Queue::default(),
                spare: Queue::default(),
                in_flight: 0,
                writing: false,
                scheduled: false,
                discarded: false,
                messages: 0,
                bytes: 0,
            }),
            limit,
            room: Notify::new(),
            work: Notify::new(),
            deadline,
            spawner,
        }
    }

    /// Writes what waits to a stream until the connection is closed.
    pub(crate) async fn write_stream(stream: impl AsyncWrite + Unpin, conn: Arc<Conn>) {
        write_stream(stream, conn).await;
    }

    /// Locks the output for appending; [`Self::appended`] has to follow.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Says what follows from what was appended.
    pub(crate) fn appended(&self, state: &mut State) -> Appended {
        let pending = state.pending();
        Appended {
            flush: !std::mem::replace(&mut state.scheduled, true),
            stall: pending > self.limit / 100 * STALL_PERCENT,
            overflow: pending > self.limit,
        }
    }

    /// Bytes that wait.
    pub(crate) fn pending(&self) -> usize {
        self.state.lock().pending()
    }

    /// Messages and bytes that were given to it.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.messages, state.bytes)
    }

    /// Returns when the receiver has caught up, or `longest` has passed.
    pub(crate) async fn caught_up(&self, longest: Duration) {
        let caught_up = async {
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                if self.pending() <= self.limit / 100 * STALL_PERCENT {
                    return;
                }
                room.await;
            }
        };
        // Either way the publisher goes on: this only slows it down.
        let _ = tokio::time::timeout(longest, caught_up).await;
    }

    /// Gives back memory that a quiet connection does not need.
    pub(super) fn trim(&self) {
        let mut state = self.state.lock();
        state.spare = Queue::default();
        if state.queue.len() == 0 {
            state.queue = Queue::default();
        }
    }

    /// Lets nothing more in. What waits is thrown away if `discard`, else still written.
    pub(super) fn close(conn: &Arc<Conn>, discard: bool) {
        if !discard {
            Self::flush(conn);
        }
        let out = &conn.out;
        let mut state = out.state.lock();
        state.sink = Sink::Closed;
        state.discarded |= discard;
        // Whoever is writing goes on until nothing is left.
        if discard {
            state.queue = Queue::default();
        }
        state.spare = Queue::default();
        drop(state);
        out.work.notify_one();
        out.room.notify_waiters();
    }

    /// Writes what waits, as far as the socket takes it now; the rest goes as soon as it takes more.
    pub(crate) fn flush(conn: &Arc<Conn>) {
        let out = &conn.out;
        let mut state = out.state.lock();
        state.scheduled = false;
        if state.writing || state.queue.len() == 0 {
            return;
        }
        let half = match &state.sink {
            Sink::Tcp(half) => Arc::clone(half),
            Sink::Stream => {
                drop(state);
                out.work.notify_one();
                return;
            }
            Sink::Closed => return,
        };
        state.writing = true;
        let mut work = state.take();
        drop(state);
        for _ in 0..ROUNDS_MAX {
            match write_now(&half, &mut work) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    conn.close(Close::WriteFailed);
                    return;
                }
            }
            match out.next(work) {
                Some(next) => work = next,
                None => return,
            }
        }
        out.state.lock().in_flight = work.len();
        let conn = Arc::clone(conn);
        let spawner = conn.out.spawner.clone();
        let draining = async move {
            if let Err(close) = drain(&half, &conn.out, work).await {
                conn.close(close);
            }
        };
        spawner.tasks.spawn_on(draining, &spawner.runtime);
    }

    /// Waits for a step of writing: for the deadline at most, and not when what waits is no longer to be written.
    async fn unless_discarded<T>(
        &self,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Close> {
        let step = tokio::time::timeout(self.deadline, step);
        tokio::pin!(step);
        loop {
            tokio::select! {
                biased;
                done = &mut step => {
                    return done.map_err(|_| Close::WriteDeadline)?.map_err(|_| Close::WriteFailed);
                }
                () = self.work.notified() => {
                    if self.state.lock().discarded {
                        return Err(Close::WriteFailed);
                    }
                }
            }
        }
    }

    /// Takes the next work after some was written; nothing when there is none and the writer is done.
    fn next(&self, written: Queue) -> Option<Queue> {
        let mut state = self.state.lock();
        state.in_flight = 0;
        state.spare = written;
        if state.queue.len() == 0 {
            state.writing = false;
            drop(state);
            self.room.notify_waiters();
            return None;
        }
        Some(state.take())
    }
}

impl State {
    fn take(&mut self) -> Queue {
        let spare = std::mem::take(&mut self.spare);
        let work = std::mem::replace(&mut self.queue, spare.recycled());
        self.in_flight = work.len();
        work
    }
}

/// Writes until nothing is left (true) or the socket is full (false).
fn write_now(half: &OwnedWriteHalf, work: &mut Queue) -> io::Result<bool> {
    while work.len() > 0 {
        let mut slices = [IoSlice::new(&[]); super::queue::SLICES];
        let count = work.slices(&mut slices);
        match half.try_write_vectored(slices.get(..count).unwrap_or_default()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => work.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes until nothing is left, waiting for the socket each time.
async fn drain(half: &OwnedWriteHalf, out: &Outbound, mut work: Queue) -> Result<(), Close> {
    loop {
        while work.len() > 0 {
            out.unless_discarded(half.writable()).await?;
            write_now(half, &mut work).map_err(|_| Close::WriteFailed)?;
            out.state.lock().in_flight = work.len();
            out.room.notify_waiters();
        }
        match out.next(work) {
            Some(next) => work = next,
            None => return Ok(()),
        }
    }
}

/// Writes what waits to a stream until the connection is closed.
async fn write_stream(mut stream: impl AsyncWrite + Unpin, conn: Arc<Conn>) {
    let out = &conn.out;
    loop {
        let (work, closed) = {
            let mut state = out.state.lock();
            (state.take(), state.is_closed())
        };
        if work.len() > 0 {
            if let Err(close) = write_all(&mut stream, out, work).await {
                conn.close(close);
                break;
            }
        } else if closed {
            break;
        } else {
            out.work.notified().await;
        }
    }
    // The stream ends here either way; that the other end did not hear of it is its own matter.
    let _ = tokio::time::timeout(out.deadline, stream.shutdown()).await;
}

async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    out: &Outbound,
    mut work: Queue,
) -> Result<(), Close> {
    let write = async |stream: &mut _, work: &mut Queue| {
        let mut slices = [IoSlice::new(&[]); super::queue::SLICES];
        let count = work.slices(&mut slices);
        let slices = slices.get(..count).unwrap_or_default();
        AsyncWriteExt::write_vectored(stream, slices).await
    };
    while work.len() > 0 {
        let written = out.unless_discarded(write(stream, &mut work)).await?;
        if written == 0 {
            return Err(Close::WriteFailed);
        }
        work.advance(written);
        out.state.lock().in_flight = work.len();
    }
    out.unless_discarded(stream.flush()).await?;
    let mut state = out.state.lock();
    state.spare = work;
    drop(state);
    out.room.notify_waiters();
    Ok(())
}

/// A payload that goes to several receivers: copied once, then shared.
#[derive(Debug, Default)]
pub(crate) struct SharedPayload(Option<Bytes>);

impl SharedPayload {
    /// Returns the last `len` bytes of the payload, with its line end.
    pub(crate) fn get(&mut self, payload: &[u8], len: usize) -> Bytes {
        let make = || [payload, CRLF].concat().into();
        let whole = self.0.get_or_insert_with(make);
        whole.slice(payload.len().saturating_sub(len)..)
    }
}
