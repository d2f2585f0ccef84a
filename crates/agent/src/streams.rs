//! Sync messages on a stream of the tunnel: the form that both ends keep to.
//!
//! One stream carries one round trip. Who opens it says in a [frame](crate::frames) which project is meant, of which kind the message is and how
//! long, then the message; the answer has the same form, or tells in its frame why there is none. Nobody signs: the connection has
//! proved both keys.

use bytes::{Bytes, BytesMut};
use edgesync_tunnel::{PeerId, Protocol, Tunnel};
use libfossil::xfer::frame::ContentType;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::frames::{self, FrameError};
use crate::limits;
use crate::trust::EndpointId;

/// What stands before a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The project's code.
    pub(crate) project: String,
    pub(crate) content_type: String,
    /// Bytes of the message.
    pub(crate) length: u64,
}

/// What stands before an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answered {
    /// The message follows.
    Message { content_type: String, length: u64 },
    /// There is none, for this reason.
    Failed { status: String },
}

/// Returns whether a link of the bus runs over the tunnel to this agent: then it can be reached there at once.
pub(crate) fn stands(tunnel: &Tunnel, id: &EndpointId) -> bool {
    let peer = PeerId::from(*id.as_bytes());
    let carries_bus = |protocol| matches!(protocol, Protocol::Leaf | Protocol::Route);
    let mut links = tunnel.links().into_iter();
    links.any(|link| link.peer == peer && carries_bus(link.protocol))
}

/// Says a message whole, and that nothing follows.
///
/// # Errors
/// [`FrameError`] when the other end does not take it.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    head: &impl Serialize,
    body: &[u8],
) -> Result<(), FrameError> {
    frames::write(stream, head).await?;
    write_body(stream, body).await
}

/// Says these bytes, and that nothing follows.
///
/// # Errors
/// [`FrameError`] when the other end does not take them.
pub(crate) async fn write_body(
    stream: &mut (impl AsyncWrite + Unpin),
    body: &[u8],
) -> Result<(), FrameError> {
    for piece in body.chunks(limits::STREAM_PIECE_BYTES) {
        let written = timeout(limits::XFER_BODY_STALL, stream.write_all(piece));
        written.await.map_err(|_| FrameError::Silent)??;
    }
    stream.shutdown().await?;
    Ok(())
}

/// Makes one round trip: sends a request and returns the answer.
///
/// # Errors
/// [`FrameError`]; [`FrameError::Other`] with the words of an agent that does not answer.
pub(crate) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    project: &str,
    content_type: ContentType,
    body: &[u8],
) -> Result<(String, Bytes), FrameError> {
    let head = Asked {
        project: project.to_owned(),
        content_type: content_type.as_str().to_owned(),
        length: body.len() as u64,
    };
    let written = write(stream, &head, body).await;
    if let Err(FrameError::Silent) = written {
        return Err(FrameError::Silent);
    }
    let answered = timeout(
        limits::REPLY_STALL,
        frames::wait(stream, limits::STREAM_HEAD_BYTES),
    );
    let answered = answered.await.map_err(|_| FrameError::Silent)?;
    // Who refuses need not hear the request to its end, and says why all the same.
    if answered.is_err() {
        written?;
    }
    match answered? {
        Answered::Failed { status } => {
            let words = status.chars().filter(|it| !it.is_control()).take(200);
            Err(FrameError::Other(words.collect()))
        }
        Answered::Message {
            content_type,
            length,
        } => Ok((content_type, read_body(stream, length).await?)),
    }
}

/// Reads the message of an answer; memory is taken as it comes.
async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    length: u64,
) -> Result<Bytes, FrameError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limits::REPLY_BYTES {
        return Err(FrameError::Long(length));
    }
    let mut stream = stream.take(length as u64);
    let mut body = BytesMut::new();
    while body.len() < length {
        body.reserve(limits::STREAM_PIECE_BYTES);
        let read = timeout(limits::XFER_BODY_STALL, stream.read_buf(&mut body));
        if read.await.map_err(|_| FrameError::Silent)?? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_is_longer_than_any_is_none() {
        for (head, sent) in [
            (message(10), &b"12345"[..]),
            (message(u64::MAX), b""),
            (
                Answered::Failed {
                    status: "not here".to_owned(),
                },
                b"",
            ),
        ] {
            let (mut here, mut there) = tokio::io::duplex(4096);
            let answer = async move {
                let asked: Asked = frames::read(&mut there, limits::STREAM_HEAD_BYTES)
                    .await
                    .expect("asked");
                assert_eq!((asked.project.as_str(), asked.length), ("p", 2));
                write(&mut there, &head, sent).await.expect("answered");
            };
            let asked = ask(&mut here, "p", ContentType::Packed, b"xy");
            let (outcome, ()) = tokio::join!(asked, answer);
            assert!(outcome.is_err(), "{outcome:?}");
        }
    }

    fn message(length: u64) -> Answered {
        Answered::Message {
            content_type: ContentType::Packed.as_str().to_owned(),
            length,
        }
    }
}
