//! Lets stock clients ask for addresses with spaces: they send `POST /three words HTTP/1.0` for `/three%20words`, which is no HTTP. The
//! spaces within the first line of a connection become plus signs; stock clients make one request of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose first line is mended.
#[derive(Debug)]
pub(crate) struct MendedLine<S> {
    stream: S,
    /// Whether something was read.
    begun: bool,
}

impl<S> MendedLine<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            begun: false,
        }
    }
}

/// Mends a request line at the start of `bytes`, if it is there to its end.
fn mend(bytes: &mut [u8]) {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return;
    };
    let line = bytes.get_mut(..end).unwrap_or_default();
    let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line))
    else {
        return;
    };
    for byte in line.get_mut(first + 1..last).unwrap_or_default() {
        if *byte == b' ' {
            *byte = b'+';
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MendedLine<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if !std::mem::replace(&mut self.begun, true) {
            mend(buffer.filled_mut().get_mut(before..).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MendedLine<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spaces_within_the_address_are_changed() {
        for (line, mended) in [
            (
                "POST /a b c HTTP/1.0\r\nHost: a b\r\n",
                "POST /a+b+c HTTP/1.0\r\nHost: a b\r\n",
            ),
            ("GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n"),
            ("GET /\r\n", "GET /\r\n"),
            ("no end of a line", "no end of a line"),
            ("\n", "\n"),
            ("", ""),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            mend(&mut bytes);
            assert_eq!(bytes, mended.as_bytes());
        }
    }
}
