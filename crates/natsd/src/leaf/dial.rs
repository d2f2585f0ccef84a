//! Keeps one leafnode link to a server: dials, waits, dials again, for as long as somebody holds its handle.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::LeafError;
use super::handshake::{self, Wish};
use super::remote::LeafRemote;
use super::session::{self, Leaf};
use crate::conn::Close;
use crate::conn::session::Peer;
use crate::limits::{LEAF_GREETING_TIMEOUT, LINK_CONTROL_LINE_FACTOR, MAX_CONTROL_LINE_BYTES};
use crate::link::Terms;
use crate::link::dial::{Dialled, Link, LinkStatus, Progress, Target};
use crate::proto::{Info, Kind};
use crate::server::{Setup, Shared};

/// How a server that is dialled as a leafnode begins.
const GREETING: &[u8] = b"INFO ";

/// Keeps a link up until the handle is dropped.
pub(crate) fn keep(shared: &Arc<Shared>, remote: LeafRemote) -> Link {
    let progress = Progress::new();
    let stop = shared.stop.child_token();
    let link = Link::new(&progress, stop.clone());
    let keeper = Keeper {
        shared: Arc::clone(shared),
        remote,
        progress,
        stop,
    };
    shared.tasks.spawn(keeper.run());
    link
}

struct Keeper {
    shared: Arc<Shared>,
    remote: LeafRemote,
    progress: Progress,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        for target in self.remote.targets.iter().cycle() {
            self.progress.set(LinkStatus::Connecting);
            let renamed = self.shared.renamed.notified();
            tokio::pin!(renamed);
            renamed.as_mut().enable();
            let Some(why) = self.attempt(target).await else {
                return;
            };
            let pause = why.delay(self.remote.reconnect, chance());
            tracing::info!(target: "natsd", %target, %why, ?pause, "no leafnode link");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                // What ruled the link out may be over.
                () = renamed, if matches!(why, LeafError::SameCluster(_)) => {}
            }
        }
    }

    /// Dials, and returns why there is no link any more; nothing when nobody wants one.
    async fn attempt(&self, target: &Target) -> Option<LeafError> {
        let greeted = tokio::select! {
            () = self.stop.cancelled() => return None,
            greeted = self.greet(target) => greeted,
        };
        let (dialled, greeting, read) = match greeted {
            Ok(greeted) => greeted,
            Err(why) => {
                self.progress.because(&why.to_string());
                self.progress.end(Close::Handshake);
                return Some(why);
            }
        };
        self.progress.met(&greeting);
        let why = Arc::new(Mutex::new(None));
        let setup = Setup {
            shared: Arc::clone(&self.shared),
            kind: Kind::Leaf,
            remote: Some(dialled.remote().unwrap_or_else(|| target.to_string())),
            peer: Peer::Leaf(self.leaf(greeting, &why)),
            read,
        };
        let conn = setup.run(dialled);
        tokio::select! {
            () = self.stop.cancelled() => {
                conn.close(Close::Closed);
                return None;
            }
            () = self.progress.down() => {}
        }
        let why = why.lock().take();
        Some(why.unwrap_or(LeafError::Closed))
    }

    /// Dials and reads the greeting, and returns both with what came behind it.
    async fn greet(&self, target: &Target) -> Result<(Dialled, Info, Bytes), LeafError> {
        let mut dialled = target
            .dial()
            .await
            .map_err(|error| LeafError::Unreachable(error.to_string()))?;
        let (info, rest) = match &mut dialled {
            Dialled::Tcp(stream) => greeting(stream).await,
            Dialled::Stream(stream) => greeting(stream).await,
        }?;
        if info.server_id == self.shared.server_id {
            return Err(LeafError::Loop);
        }
        let dialled = self.secure(target, dialled, &info, &rest).await?;
        Ok((dialled, info, rest))
    }

    /// Goes on over TLS where the other end asks for it.
    async fn secure(
        &self,
        target: &Target,
        dialled: Dialled,
        info: &Info,
        rest: &Bytes,
    ) -> Result<Dialled, LeafError> {
        match (&self.remote.tls, target, dialled) {
            (Some(tls), _, _) if !info.tls_required && tls.required => Err(LeafError::NoTls),
            (_, _, dialled) if !info.tls_required => Ok(dialled),
            // What came in clear behind the greeting could be anybody's.
            (Some(_), _, _) if !rest.is_empty() => Err(LeafError::Protocol(
                "something stands between its greeting and TLS".to_owned(),
            )),
            (Some(tls), Target::Tcp(address), Dialled::Tcp(stream)) => tls
                .apply(stream, address)
                .await
                .map_err(|error| LeafError::Tls(error.to_string())),
            _ => Err(LeafError::TlsRequired),
        }
    }

    fn leaf(&self, greeting: Info, why: &Arc<Mutex<Option<LeafError>>>) -> Leaf {
        let remote = &self.remote;
        let mut terms = Terms::default();
        terms.out.deny(remote.deny_exports.iter().cloned());
        terms.into.deny(remote.deny_imports.iter().cloned());
        let deny_imports = remote.deny_imports.iter().map(ToString::to_string);
        Leaf::dialled(session::Dialled {
            greeting,
            wish: Wish {
                hub: remote.hub,
                isolate: remote.isolate,
                deny_imports: deny_imports.collect(),
            },
            credentials: remote.credentials.clone(),
            terms,
            progress: self.progress.clone(),
            why: Arc::clone(why),
        })
    }
}

/// Reads the greeting, and returns it with what came behind it.
async fn greeting(stream: &mut (impl AsyncRead + Unpin)) -> Result<(Info, Bytes), LeafError> {
    let line = timeout(LEAF_GREETING_TIMEOUT, first_line(stream));
    let (line, rest) = line.await.map_err(|_| LeafError::Silent)??;
    let json = line.strip_prefix(GREETING).ok_or(LeafError::NotNats)?;
    Ok((handshake::greeting(json)?, rest))
}

/// Reads a line, as far as it begins as a greeting does.
async fn first_line(stream: &mut (impl AsyncRead + Unpin)) -> Result<(Bytes, Bytes), LeafError> {
    let longest = MAX_CONTROL_LINE_BYTES * LINK_CONTROL_LINE_FACTOR;
    let mut read = BytesMut::new();
    loop {
        let known = read.len().min(GREETING.len());
        if read.get(..known) != GREETING.get(..known) || read.len() > longest {
            return Err(LeafError::NotNats);
        }
        if let Some(end) = memchr::memchr(b'\n', &read) {
            let line = read.split_to(end).freeze();
            read.advance(1);
            return Ok((line, read.freeze()));
        }
        match stream.read_buf(&mut read).await {
            Ok(0) if read.is_empty() => return Err(LeafError::Closed),
            Ok(0) => return Err(LeafError::NotNats),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(LeafError::Closed);
            }
            Err(error) => return Err(LeafError::Unreachable(error.to_string())),
        }
    }
}

/// Returns a number from 0 to 1 by chance.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without chance many servers come back at the same moment, which is worse for them and no error here.
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
