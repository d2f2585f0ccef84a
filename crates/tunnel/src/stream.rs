//! A stream to a peer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::endpoint::explain;
use crate::peer::PeerId;

/// Bytes in both directions between two peers, in order and encrypted. Dropped before it was shut down it is cut off, so that the other end does not
/// take what it has for the whole.
#[derive(Debug)]
pub struct Stream {
    /// Knows why it ended.
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    /// What came with the preamble and is to be read first.
    first: Vec<u8>,
    finished: bool,
    /// Tells whoever holds another that the stream is there.
    open: Option<Arc<()>>,
}

/// The code with which a stream is cut off.
const CUT_OFF: u32 = 1;

impl Stream {
    pub(crate) fn new(
        connection: Connection,
        send: SendStream,
        receive: RecvStream,
        mut first: Vec<u8>,
    ) -> Self {
        first.reverse();
        Self {
            connection,
            send,
            receive,
            first,
            finished: false,
            open: None,
        }
    }

    /// Returns the stream, which holds this as long as it is there.
    pub(crate) fn holding(mut self, open: Arc<()>) -> Self {
        self.open = Some(open);
        self
    }

    /// Returns the error with the reason for which the connection ended, if it did: "not paired" helps, "connection lost" does not.
    fn explained<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        outcome.map_err(|error| match self.connection.close_reason() {
            Some(why) => {
                let peer = PeerId::from(self.connection.remote_id());
                io::Error::new(error.kind(), explain(peer, &why))
            }
            None => error,
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            let outcome = AsyncRead::poll_read(Pin::new(&mut self.receive), context, buffer);
            return self.explained(outcome);
        }
        while buffer.remaining() > 0
            && let Some(byte) = self.first.pop()
        {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = AsyncWrite::poll_write(Pin::new(&mut self.send), context, bytes);
        self.explained(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finished = true;
        AsyncWrite::poll_shutdown(Pin::new(&mut self.send), context)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.finished {
            // It fails where the stream has ended already.
            let _ = self.send.reset(CUT_OFF.into());
        }
    }
}
