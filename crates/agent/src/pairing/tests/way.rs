//! A link between two sides whose messages are counted, and which something befalls after so many of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, ReadHalf,
    WriteHalf,
};
use tokio_util::sync::CancellationToken;

/// One end of a link that ends with an error when it is lost, as a tunnel's does.
pub(super) struct Lossy {
    inner: DuplexStream,
    lost: Arc<AtomicBool>,
}

impl AsyncRead for Lossy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let ended = matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        match ended && self.lost.load(SeqCst) {
            true => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            false => read,
        }
    }
}

impl AsyncWrite for Lossy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// What befalls a link.
#[derive(Clone)]
pub(super) enum Fate {
    /// It is lost, in both directions.
    Lost,
    /// What comes next waits.
    Held(Held),
}

/// A message that waits on its way.
#[derive(Clone, Default)]
pub(super) struct Held {
    /// Becomes cancelled when one waits.
    pub(super) waits: CancellationToken,
    /// Is cancelled to let it go on.
    pub(super) on: CancellationToken,
}

/// Makes a link that something befalls instead of carrying one more message than so many, or the end after the last. Returns both ends.
pub(super) fn link(fate: Option<(usize, Fate)>) -> (Lossy, Lossy) {
    let (left, fate) = fate.unwrap_or((usize::MAX, Fate::Lost));
    let lost = Arc::new(AtomicBool::new(false));
    let ((one, far_one), (other, far_other)) = (tokio::io::duplex(64), tokio::io::duplex(64));
    let (from_one, to_one) = tokio::io::split(far_one);
    let (from_other, to_other) = tokio::io::split(far_other);
    let (carried, cut) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let wire = |from, to| Wire {
        from,
        to,
        left,
        fate: fate.clone(),
        carried: Arc::clone(&carried),
        lost: Arc::clone(&lost),
        cut: cut.clone(),
    };
    tokio::spawn(wire(from_one, to_other).run());
    tokio::spawn(wire(from_other, to_one).run());
    let end = |inner| Lossy {
        inner,
        lost: Arc::clone(&lost),
    };
    (end(one), end(other))
}

/// One direction of a link.
struct Wire {
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    left: usize,
    fate: Fate,
    carried: Arc<AtomicUsize>,
    lost: Arc<AtomicBool>,
    cut: CancellationToken,
}

impl Wire {
    async fn run(mut self) {
        let cut = self.cut.clone();
        tokio::select! {
            () = cut.cancelled() => {}
            () = self.carry() => {}
        }
    }

    async fn carry(&mut self) {
        while let Ok(length) = self.from.read_u32().await {
            let mut body = vec![0; length as usize];
            if self.from.read_exact(&mut body).await.is_err() {
                break;
            }
            if self.carried.fetch_add(1, SeqCst) >= self.left && !self.goes_on().await {
                self.lost.store(true, SeqCst);
                self.cut.cancel();
                return;
            }
            if self.to.write_u32(length).await.is_err() || self.to.write_all(&body).await.is_err() {
                break;
            }
        }
        if self.carried.load(SeqCst) >= self.left && !self.goes_on().await {
            self.lost.store(true, SeqCst);
        }
        let _ = self.to.shutdown().await;
        // The other direction goes on; both halves of a stream are held until then.
        self.cut.cancelled().await;
    }

    /// Meets the link's fate. Returns whether what came goes on.
    async fn goes_on(&self) -> bool {
        match &self.fate {
            Fate::Lost => false,
            Fate::Held(held) => {
                held.waits.cancel();
                held.on.cancelled().await;
                true
            }
        }
    }
}
