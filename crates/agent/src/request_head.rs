//! Looks at the head of each request before the HTTP library does, for what the library lets pass or cannot read.
//!
//! A request whose end is told twice, by two lengths or by a length beside chunks, is refused: a proxy in front may take the other end, and what it takes for
//! a body would be a request here. Stock clients ask for addresses with spaces as they are, `POST /three words HTTP/1.0` for `/three%20words`, which is no
//! HTTP: these spaces become plus signs, in the first line of a connection, because stock clients make one request of each. Bodies pass unseen.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::header;
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;
use crate::turns::Turn;

/// Headers of one request; the HTTP library takes as many.
const HEADERS: usize = 100;

/// How much is read at a time while a head is awaited.
const PIECE_BYTES: usize = 4096;

/// The bytes of a stream that may pass without a look, when nothing more is looked at.
const ALL: u64 = u64::MAX;

/// A stream of requests, whose heads are looked at.
#[derive(Debug)]
pub(crate) struct Heads<S> {
    stream: S,
    turn: Turn,
    /// What was read and not handed on yet.
    held: BytesMut,
    /// How many of the next bytes are of a request whose head was looked at; [`ALL`] after the last.
    known: u64,
    /// Whether a head came.
    begun: bool,
    /// Whether nothing more is handed on than what is held.
    ended: bool,
    /// Whether what is held was not looked at yet.
    unseen: bool,
}

impl<S> Heads<S> {
    pub(crate) fn new(stream: S, turn: Turn) -> Self {
        Self {
            stream,
            turn,
            held: BytesMut::new(),
            known: 0,
            begun: false,
            ended: false,
            unseen: false,
        }
    }

    /// Looks whether the head is there that comes next, and what it announces.
    fn look(&mut self) {
        // Empty lines before a request are no part of it.
        let empty = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let lines = self.held.iter().take_while(|byte| empty(byte)).count();
        self.held.advance(lines);
        if !self.begun {
            mend(&mut self.held);
        }
        match extent(&self.held) {
            Extent::Unknown if self.held.len() < limits::HEAD_BYTES => return,
            // The HTTP library says that it is too long.
            Extent::Unknown => {
                self.known = ALL;
                self.ended = true;
            }
            Extent::Known(bytes) => self.known = bytes,
            Extent::Open => self.known = ALL,
            Extent::Twice => {
                // The library refuses what does not begin with a method.
                if let Some(first) = self.held.first_mut() {
                    *first = 0;
                }
                self.known = ALL;
            }
        }
        self.begun = true;
        self.turn.asked();
    }

    /// Counts bytes that were handed on.
    fn passed(&mut self, count: usize) {
        if self.known != ALL {
            self.known = self.known.saturating_sub(count as u64);
        }
    }
}

/// How far a request goes.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    /// Its head is not there to the end.
    Unknown,
    /// So many bytes, with its head.
    Known(u64),
    /// Nobody knows yet, or it is none. It is the last of its connection.
    Open,
    /// It says so twice.
    Twice,
}

/// Returns how far the request goes that `bytes` begin with.
fn extent(bytes: &[u8]) -> Extent {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Extent::Unknown,
        // The HTTP library has the same parser, and refuses it.
        Err(_) => return Extent::Open,
    };
    let named = |name: header::HeaderName| {
        let headers = request.headers.iter();
        headers.filter(move |header| header.name.eq_ignore_ascii_case(name.as_str()))
    };
    let chunked = named(header::TRANSFER_ENCODING).next().is_some();
    let mut lengths = named(header::CONTENT_LENGTH);
    match (chunked, lengths.next(), lengths.next()) {
        (_, Some(_), Some(_)) | (true, Some(_), _) => Extent::Twice,
        (true, None, _) => Extent::Open,
        (false, None, _) => Extent::Known(head as u64),
        (false, Some(length), None) => {
            let length = std::str::from_utf8(length.value).ok();
            match length.and_then(|length| length.parse::<u64>().ok()) {
                Some(length) => Extent::Known(length.saturating_add(head as u64)),
                None => Extent::Open,
            }
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

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.known == 0 {
            if std::mem::take(&mut this.unseen) {
                this.look();
                continue;
            }
            let mut piece = [0; PIECE_BYTES];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.held.extend_from_slice(piece.filled());
            // A head ends with a line, so that one that trickles in is looked at once for each.
            this.unseen = piece.filled().contains(&b'\n') || this.held.len() >= limits::HEAD_BYTES;
        }
        let most = usize::try_from(this.known).unwrap_or(usize::MAX);
        if !this.held.is_empty() {
            let count = this.held.len().min(most).min(buffer.remaining());
            buffer.put_slice(&this.held.split_to(count));
            this.passed(count);
        } else if !this.ended {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            let count = buffer.filled().len().saturating_sub(before).min(most);
            // What comes after the request is the next one's head.
            let rest = buffer.filled().get(before + count..).unwrap_or_default();
            this.held.extend_from_slice(rest);
            buffer.set_filled(before + count);
            this.passed(count);
        }
        this.unseen = !this.held.is_empty();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.turn.sent();
        Poll::Ready(Ok(()))
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::turns::Turns;

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

    const POST: &str = "POST / HTTP/1.1\r\n";

    #[test]
    fn a_request_says_once_how_far_it_goes() {
        for (lines, expected) in [
            ("", Some(19)),
            ("Content-Length: 5\r\n", Some(38 + 5)),
            ("Host: x\r\ncontent-length: 0\r\n", Some(47)),
            ("Content-Length: 5, 5\r\n", None),
            ("Content-Length: x\r\n", None),
            ("Transfer-Encoding: chunked\r\n", None),
            ("Spaced : 1\r\nContent-Length: 5\r\n", None),
        ] {
            let expected = expected.map_or(Extent::Open, Extent::Known);
            assert_eq!(
                extent(format!("{POST}{lines}\r\n").as_bytes()),
                expected,
                "{lines}"
            );
        }
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\nCONTENT-LENGTH: 5\r\n",
            "Transfer-Encoding: identity\nContent-Length: 5\n",
        ] {
            assert_eq!(
                extent(format!("{POST}{lines}\r\n").as_bytes()),
                Extent::Twice,
                "{lines}"
            );
        }
        assert_eq!(
            extent(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n"),
            Extent::Unknown
        );
        assert_eq!(extent(b"\0\xffwhatever\r\n\r\n"), Extent::Open);
    }

    /// Returns what is handed on of `sent`, which comes in pieces of `piece` bytes.
    async fn handed_on(sent: &[u8], piece: usize) -> Vec<u8> {
        let (mut near, far) = tokio::io::duplex(piece);
        let sending = async move {
            // The other side may not want all of it.
            let _ = near.write_all(sent).await;
        };
        let reading = async move {
            let mut got = Vec::new();
            let read = Heads::new(far, Turns::default().join())
                .read_to_end(&mut got)
                .await;
            read.expect("no error");
            got
        };
        tokio::join!(sending, reading).1
    }

    #[tokio::test]
    async fn the_second_request_of_a_connection_is_looked_at_however_the_bytes_come() {
        let body = "Content-Length: 5\r\n\r\n\r\n\r\nZ";
        let good = format!("{POST}{body}{POST}\r\n\r\n{POST}{body}");
        let bad = format!("{POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nZ");
        // The empty line before the third request is no part of it.
        let plain = format!("{POST}{body}{POST}\r\n{POST}{body}");
        for piece in [1, 2, 3, 7, 64, 8192] {
            assert_eq!(
                handed_on(good.as_bytes(), piece).await,
                plain.as_bytes(),
                "{piece}"
            );
            let got = handed_on(format!("{good}{bad}").as_bytes(), piece).await;
            let refused = format!("{plain}\0{}", &bad[1..]);
            assert_eq!(got, refused.as_bytes(), "{piece}");
        }
    }

    #[tokio::test]
    async fn an_address_with_spaces_is_mended_in_the_first_line_alone() {
        let sent = "POST /a b HTTP/1.0\r\nContent-Length: 4\r\n\r\na b\nPOST /a b HTTP/1.0\r\n\r\n";
        let mended = sent.replacen("a b", "a+b", 1);
        for piece in [1, 5, 8192] {
            assert_eq!(handed_on(sent.as_bytes(), piece).await, mended.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_handed_on_no_further_than_its_limit() {
        let sent = "a".repeat(3 * limits::HEAD_BYTES);
        let got = handed_on(sent.as_bytes(), 8192).await;
        assert!((limits::HEAD_BYTES..limits::HEAD_BYTES + PIECE_BYTES).contains(&got.len()));
    }
}
