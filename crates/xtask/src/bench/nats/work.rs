//! The works: what is measured, with how many messages.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;

use super::figures::{Cell, Unit};
use super::load::{self, Stream};
use super::server::{Node, Servers, Side, free_port};
use super::wire::Connection;

/// Small messages: a line of text.
const SMALL: usize = 128;
/// Large ones: a packet of the sync protocol.
const LARGE: usize = 16 * 1024;

/// How long a server is left alone before its idle memory is read: collectors and allocators give back late.
const SETTLE: Duration = Duration::from_secs(2);

/// One work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Work {
    Publish,
    PublishLarge,
    One,
    OneLarge,
    Pairs,
    PairsLarge,
    FanOut,
    FanOutLarge,
    Leaf,
    LeafLarge,
    Request,
    Match1k,
    Match1m,
    Idle,
    Connections,
}

impl Work {
    /// Returns what the table calls it.
    pub(super) fn title(self) -> String {
        let (name, payload) = match self {
            Self::Publish => ("publish, nobody listens", SMALL),
            Self::PublishLarge => ("publish, nobody listens", LARGE),
            Self::One => ("1 publisher, 1 subscriber", SMALL),
            Self::OneLarge => ("1 publisher, 1 subscriber", LARGE),
            Self::Pairs => ("10 publishers, 10 subscribers, in pairs", SMALL),
            Self::PairsLarge => ("10 publishers, 10 subscribers, in pairs", LARGE),
            Self::FanOut => ("1 publisher, 10 subscribers", SMALL),
            Self::FanOutLarge => ("1 publisher, 10 subscribers", LARGE),
            Self::Leaf => ("over a leafnode link, both servers", SMALL),
            Self::LeafLarge => ("over a leafnode link, both servers", LARGE),
            Self::Request => ("request and reply, one at a time", SMALL),
            Self::Match1k => ("each message matches 1 of 1,000 subscriptions", SMALL),
            Self::Match1m => ("each message matches 1 of 1,000,000 subscriptions", SMALL),
            Self::Idle => return "idle".to_owned(),
            Self::Connections => return "1,000 idle connections".to_owned(),
        };
        match payload {
            SMALL => format!("{name}, {SMALL} B"),
            _ => format!("{name}, {} KiB", LARGE / 1_024),
        }
    }

    /// Runs it against a fresh server of one side, with its number of messages divided by `divide`.
    ///
    /// # Errors
    /// When a server does not start, complains, or does not deliver what was sent.
    pub(super) fn run(
        self,
        servers: &Servers,
        side: Side,
        divide: u64,
    ) -> anyhow::Result<Vec<Cell>> {
        let plain = |payload, messages: u64, subscribers| {
            let messages = messages / divide;
            vec![Stream::plain("bench", payload, messages, subscribers)]
        };
        let pairs = |payload, messages: u64| -> Vec<Stream> {
            let messages = messages / divide / 10;
            (0..10)
                .map(|pair| Stream::plain(&format!("pair.{pair}"), payload, messages, 1))
                .collect()
        };
        let one = |streams: Vec<Stream>| through_one(servers, side, &streams);
        match self {
            Self::Publish => one(plain(SMALL, 6_000_000, 0)),
            Self::PublishLarge => one(plain(LARGE, 300_000, 0)),
            Self::One => one(plain(SMALL, 3_000_000, 1)),
            Self::OneLarge => one(plain(LARGE, 150_000, 1)),
            Self::Pairs => one(pairs(SMALL, 3_000_000)),
            Self::PairsLarge => one(pairs(LARGE, 150_000)),
            Self::FanOut => one(plain(SMALL, 500_000, 10)),
            Self::FanOutLarge => one(plain(LARGE, 20_000, 10)),
            Self::Leaf => through_leaf(servers, side, &plain(SMALL, 2_000_000, 1)),
            Self::LeafLarge => through_leaf(servers, side, &plain(LARGE, 100_000, 1)),
            Self::Request => request(servers, side, 30_000 / divide),
            Self::Match1k => one(vec![matching(1_000, 1_000_000 / divide)]),
            Self::Match1m => one(vec![matching(1_000_000, 1_000_000 / divide)]),
            Self::Idle => idle(servers, side),
            Self::Connections => connections(servers, side, 1_000),
        }
    }
}

/// One subscriber of `count` subjects, and messages that walk through all of them in an order that no cache foresees.
fn matching(count: usize, messages: u64) -> Stream {
    // 7,919 is prime, so its multiples reach every number below `count` before one comes again.
    let subjects: Vec<String> = (0..count)
        .map(|at| at * 7_919 % count)
        .map(|at| format!("device.{:03}.{:04}.state", at % 1_000, at / 1_000))
        .collect();
    Stream::matching(&subjects, &subjects, SMALL, messages, 1)
}

fn through_one(servers: &Servers, side: Side, streams: &[Stream]) -> anyhow::Result<Vec<Cell>> {
    // A million subscriptions of one client are more than either allows by itself, or close to it.
    let server = servers.start(side, "max_subscriptions: 2000000")?;
    let ready = load::prepare(streams, server.port, server.port)?;
    measured(streams, ready, &[&server])
}

/// Publishes at a hub and subscribes at a leaf of it.
fn through_leaf(servers: &Servers, side: Side, streams: &[Stream]) -> anyhow::Result<Vec<Cell>> {
    let port = free_port()?;
    let hub = servers.start(
        side,
        &format!("leafnodes {{ listen: \"127.0.0.1:{port}\" }}"),
    )?;
    let remote =
        format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ] }}");
    let leaf = servers.start(side, &remote)?;
    let ready = load::prepare(streams, hub.port, leaf.port)?;
    measured(streams, ready, &[&hub, &leaf])
}

fn measured(
    streams: &[Stream],
    ready: load::Ready<'_>,
    servers: &[&Node],
) -> anyhow::Result<Vec<Cell>> {
    let before = cpu(servers)?;
    let done = ready.run()?;
    let cpu = cpu(servers)? - before;
    let published: u64 = streams.iter().map(Stream::published).sum();
    let delivered: u64 = streams.iter().map(Stream::delivered).sum();
    let messages = if delivered > 0 { delivered } else { published };
    Ok(vec![
        Cell {
            name: "server CPU per message",
            unit: Unit::CpuMicros,
            value: per_message(cpu, messages),
        },
        Cell {
            name: "messages",
            unit: Unit::PerSecond,
            value: 1e6 / per_message(done.wall, messages),
        },
    ])
}

fn cpu(servers: &[&Node]) -> anyhow::Result<Duration> {
    servers.iter().map(|server| server.cpu()).sum()
}

/// Returns the microseconds of one of so many messages.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_message(time: Duration, messages: u64) -> f64 {
    time.as_secs_f64() * 1e6 / messages as f64
}

/// One client asks, another answers; the next question waits for the answer.
fn request(servers: &Servers, side: Side, count: u64) -> anyhow::Result<Vec<Cell>> {
    let server = servers.start(side, "")?;
    let mut answering = Connection::open(server.port)?;
    answering.send(b"SUB question 1\r\n")?;
    answering.round_trip()?;
    let mut asking = Connection::open(server.port)?;
    asking.send(b"SUB answer.* 1\r\n")?;
    asking.round_trip()?;
    let body = "x".repeat(SMALL);
    let question = format!("PUB question answer.1 {SMALL}\r\n{body}\r\n");
    let answer = format!("PUB answer.1 {SMALL}\r\n{body}\r\n");
    let before = server.cpu()?;
    let waits = thread::scope(|scope| {
        scope.spawn(move || {
            let mut payload = Vec::new();
            // Ends when the server does.
            while answering.message(&mut payload).is_ok() {
                let _ = answering.send(answer.as_bytes());
            }
        });
        let mut payload = Vec::new();
        let mut ask = || {
            let start = Instant::now();
            asking.send(question.as_bytes())?;
            asking.message(&mut payload)?;
            Ok(start.elapsed())
        };
        let waits: anyhow::Result<Vec<Duration>> = (0..count).map(|_| ask()).collect();
        let cpu = server.cpu();
        drop(server);
        Ok::<_, anyhow::Error>((waits?, cpu? - before))
    });
    let (mut waits, cpu) = waits?;
    waits.sort();
    let wait = |name, hundredths: usize| {
        let at = (waits.len() * hundredths / 100).min(waits.len() - 1);
        Cell {
            name,
            unit: Unit::WaitMicros,
            value: waits[at].as_secs_f64() * 1e6,
        }
    };
    Ok(vec![
        Cell {
            name: "server CPU per request",
            unit: Unit::CpuMicros,
            value: per_message(cpu, count),
        },
        wait("wait, p50", 50),
        wait("wait, p99", 99),
    ])
}

fn idle(servers: &Servers, side: Side) -> anyhow::Result<Vec<Cell>> {
    let server = servers.start(side, "")?;
    thread::sleep(SETTLE);
    Ok(vec![Cell {
        name: "memory",
        unit: Unit::Kib,
        value: server.memory_kib()?,
    }])
}

/// Connections that have each one subscription and say nothing.
fn connections(servers: &Servers, side: Side, count: u16) -> anyhow::Result<Vec<Cell>> {
    let server = servers.start(side, "")?;
    thread::sleep(SETTLE);
    let before = server.memory_kib()?;
    let open = |at| {
        let mut connection = Connection::open(server.port)?;
        connection.send(format!("SUB idle.{at} 1\r\n").as_bytes())?;
        connection.round_trip()?;
        connection.into_stream()
    };
    let open: anyhow::Result<Vec<_>> = (0..count).map(open).collect();
    let open = open.context("opening the connections")?;
    thread::sleep(SETTLE);
    let after = server.memory_kib()?;
    drop(open);
    Ok(vec![
        Cell {
            name: "memory in all",
            unit: Unit::Kib,
            value: after,
        },
        Cell {
            name: "memory for each",
            unit: Unit::Kib,
            value: (after - before) / f64::from(count),
        },
    ])
}
