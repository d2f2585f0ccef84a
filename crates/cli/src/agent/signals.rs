//! Requests from outside the program: stop, and on Unix also "sync now".

use std::io;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Sync now (SIGUSR1).
    #[cfg_attr(
        not(unix),
        allow(dead_code, reason = "other systems have no such signal")
    )]
    SyncNow,
    /// End cleanly (SIGINT, SIGTERM).
    Stop,
}

/// The signals of this process, heard from its making on.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    user: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// Returns the next request.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.user.recv() => Signal::SyncNow,
        }
    }
}

/// Returns when the program is to end: by Ctrl-C, SIGTERM, or because its terminal is gone.
#[cfg(unix)]
pub(crate) async fn ended_from_outside() {
    use tokio::signal::unix::{SignalKind, signal};
    let hear = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = hear(SignalKind::interrupt()) => {}
        () = hear(SignalKind::terminate()) => {}
        () = hear(SignalKind::hangup()) => {}
    }
}

/// Returns when the program is to end, by Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn ended_from_outside() {
    while Signals.next().await != Signal::Stop {}
}

/// Ctrl-C is the only request that other systems know.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Returns the next request. Where Ctrl-C cannot be heard there is none.
    pub(crate) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Stop,
            Err(_) => std::future::pending().await,
        }
    }
}
