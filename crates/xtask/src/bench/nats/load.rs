//! The load: publishers that write ready-made blocks of messages, and subscribers that count the bytes they get. Both sides
//! of a bench get exactly the same bytes.
//!
//! All publishers share one thread and all subscribers another, so that the generator takes as little as it can from the
//! machine. A publisher waits when too much is on its way: no server has to cut a slow consumer here.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use super::wire::{Connection, READ_SIZE, SILENCE_MAX};

/// About what one write of a publisher holds, in bytes.
const BLOCK_SIZE: usize = 64 * 1024;

/// How many bytes may be on their way to all subscribers together: a fraction of what a server holds for one of them.
const ON_THE_WAY_MAX: u64 = 16 * 1024 * 1024;

/// What one publisher sends, and how many connections get all of it.
pub(super) struct Stream {
    /// Blocks of messages, sent again and again in turn; all hold as many messages, and all messages are of one size.
    blocks: Vec<Vec<u8>>,
    messages_per_block: u64,
    /// How many blocks are sent in all.
    count: u64,
    /// The size of one message as a subscriber gets it.
    delivered_size: u64,
    subscribers: usize,
    /// The subjects that each subscriber asks for; each message matches one of them.
    interest: Vec<String>,
}

impl Stream {
    /// Returns a stream of about `messages` messages on one subject.
    pub(super) fn plain(subject: &str, payload: usize, messages: u64, subscribers: usize) -> Self {
        let subjects = [subject.to_owned()];
        Self::matching(&subjects, &subjects, payload, messages, subscribers)
    }

    /// Returns a stream of about `messages` messages, on each of `subjects` in turn, to subscribers of `interest`. The
    /// subjects are of one length, and each matches one subject of the interest.
    pub(super) fn matching(
        subjects: &[String],
        interest: &[String],
        payload: usize,
        messages: u64,
        subscribers: usize,
    ) -> Self {
        let example = subjects.first().map_or("", String::as_str);
        let per_block = (BLOCK_SIZE / publication(example, payload).len()).max(1);
        let whole = subjects.len().div_ceil(per_block) * per_block;
        let messages_in_turn: Vec<Vec<u8>> = subjects
            .iter()
            .cycle()
            .take(whole)
            .map(|subject| publication(subject, payload))
            .collect();
        let delivered = format!("MSG {example} {} {payload}\r\n", number(0)).len() + payload + 2;
        Self {
            blocks: messages_in_turn
                .chunks(per_block)
                .map(<[_]>::concat)
                .collect(),
            messages_per_block: per_block as u64,
            count: messages.div_ceil(per_block as u64),
            delivered_size: delivered as u64,
            subscribers,
            interest: interest.to_vec(),
        }
    }

    /// Returns how many messages are published.
    pub(super) fn published(&self) -> u64 {
        self.count * self.messages_per_block
    }

    /// Returns how many messages are delivered.
    pub(super) fn delivered(&self) -> u64 {
        self.published() * self.subscribers as u64
    }
}

/// Returns one message as a publisher sends it.
fn publication(subject: &str, payload: usize) -> Vec<u8> {
    let mut message = format!("PUB {subject} {payload}\r\n").into_bytes();
    message.resize(message.len() + payload, b'x');
    message.extend_from_slice(b"\r\n");
    message
}

/// Returns the number of a subscription, always of the same length.
fn number(at: usize) -> String {
    format!("{at:07}")
}

/// Connections that are ready: every subscription has reached the server that the publishers are connected to.
pub(super) struct Ready<'a> {
    streams: &'a [Stream],
    publishers: Vec<Connection>,
    /// Each with the bytes it shall get.
    subscribers: Vec<(TcpStream, u64)>,
}

/// Connects the publishers of `streams` to one port and their subscribers to another, which may be the same.
///
/// # Errors
/// When a server complains, or interest does not reach the publishers' server.
pub(super) fn prepare(
    streams: &[Stream],
    publish_port: u16,
    subscribe_port: u16,
) -> anyhow::Result<Ready<'_>> {
    let mut ready = Ready {
        streams,
        publishers: Vec::new(),
        subscribers: Vec::new(),
    };
    for stream in streams {
        let mut publisher = Connection::open(publish_port)?;
        for _ in 0..stream.subscribers {
            let mut subscriber = Connection::open(subscribe_port)?;
            let mut lines = String::new();
            for (at, subject) in stream.interest.iter().enumerate() {
                lines.push_str(&format!("SUB {subject} {}\r\n", number(at)));
            }
            subscriber.send(lines.as_bytes())?;
            await_interest(&mut publisher, &mut subscriber, ready.subscribers.len())?;
            let expected = stream.published() * stream.delivered_size;
            ready
                .subscribers
                .push((subscriber.into_stream()?, expected));
        }
        ready.publishers.push(publisher);
    }
    Ok(ready)
}

/// Waits until what `subscriber` has asked for is known where `publisher` is: interest travels in order, so a last
/// subscription that works says it of all.
fn await_interest(
    publisher: &mut Connection,
    subscriber: &mut Connection,
    which: usize,
) -> anyhow::Result<()> {
    subscriber.send(format!("SUB ready.{which} r\r\n").as_bytes())?;
    subscriber.round_trip()?;
    let started = Instant::now();
    loop {
        publisher.send(&publication(&format!("ready.{which}"), 1))?;
        publisher.round_trip()?;
        if subscriber.skip_messages()? > 0 {
            break;
        }
        ensure!(started.elapsed() < SILENCE_MAX, "interest did not arrive");
        thread::sleep(Duration::from_millis(5));
    }
    subscriber.send(b"UNSUB r\r\n")?;
    subscriber.skip_messages().map(drop)
}

/// Everything has arrived.
pub(super) struct Done {
    /// How long it took.
    pub(super) wall: Duration,
    /// They stay connected for as long as this is held: what a server does after a connection has ended, which for a million
    /// subscriptions is more than it did for the messages, is no part of the figures.
    _subscribers: Vec<TcpStream>,
}

impl Ready<'_> {
    /// Sends everything, and waits until it has arrived.
    ///
    /// # Errors
    /// When a connection ends or keeps silent before all has arrived.
    pub(super) fn run(self) -> anyhow::Result<Done> {
        let arrived = Arc::new(AtomicU64::new(0));
        let (streams, subscribers) = (self.streams, self.subscribers);
        let mut publishers = self.publishers;
        let start = Instant::now();
        let subscribers = thread::scope(|scope| {
            let reading = scope.spawn(|| receive(subscribers, &arrived));
            publish(streams, &mut publishers, &arrived)?;
            let subscribers = reading.join().ok().context("the reading thread ended")??;
            // Where nobody listens, this is what says that the server is done.
            publishers.iter_mut().try_for_each(Connection::round_trip)?;
            anyhow::Ok(subscribers)
        })?;
        Ok(Done {
            wall: start.elapsed(),
            _subscribers: subscribers,
        })
    }
}

/// Writes the blocks of all streams, a block of each in turn.
fn publish(
    streams: &[Stream],
    publishers: &mut [Connection],
    arrived: &AtomicU64,
) -> anyhow::Result<()> {
    let rounds = streams.iter().map(|stream| stream.count).max().unwrap_or(0);
    let mut to_arrive = 0;
    for round in 0..rounds {
        for (stream, publisher) in streams.iter().zip(&mut *publishers) {
            if round >= stream.count {
                continue;
            }
            let waiting = Instant::now();
            while to_arrive - arrived.load(Ordering::Relaxed).min(to_arrive) > ON_THE_WAY_MAX {
                ensure!(waiting.elapsed() < SILENCE_MAX, "messages stopped arriving");
                thread::sleep(Duration::from_micros(100));
            }
            let at = usize::try_from(round)? % stream.blocks.len();
            publisher.send(&stream.blocks[at])?;
            to_arrive +=
                stream.messages_per_block * stream.delivered_size * stream.subscribers as u64;
        }
    }
    Ok(())
}

/// Reads from all subscribers until each has what it shall get, and returns them. A server's PING may stand between the
/// messages, so the last few bytes may be left unread.
fn receive(
    subscribers: Vec<(TcpStream, u64)>,
    arrived: &Arc<AtomicU64>,
) -> anyhow::Result<Vec<TcpStream>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut readers = JoinSet::new();
        for (stream, expected) in subscribers {
            stream.set_nonblocking(true)?;
            let stream = tokio::net::TcpStream::from_std(stream)?;
            readers.spawn(count(stream, expected, Arc::clone(arrived)));
        }
        let mut done = Vec::new();
        while let Some(reader) = readers.join_next().await {
            done.push(reader??);
        }
        Ok(done)
    })
}

async fn count(
    mut stream: tokio::net::TcpStream,
    expected: u64,
    arrived: Arc<AtomicU64>,
) -> anyhow::Result<TcpStream> {
    let mut buffer = vec![0; READ_SIZE];
    let mut received = 0;
    while received < expected {
        let read = tokio::time::timeout(SILENCE_MAX, stream.read(&mut buffer));
        let read = read.await.context("messages stopped arriving")?? as u64;
        ensure!(read > 0, "the server closed the connection of a subscriber");
        received += read;
        arrived.fetch_add(read, Ordering::Relaxed);
    }
    Ok(stream.into_std()?)
}
