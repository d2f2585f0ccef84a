//! JSON messages on a stream between two agents: four bytes of length, most significant first, and the message.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::limits;

/// A message could not be said or heard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FrameError {
    /// The stream broke, or ended where a message was due.
    #[error("the link was lost: {0}")]
    Io(#[from] std::io::Error),
    /// Nothing came, or nothing could be sent, in time.
    #[error("the other side was silent for too long")]
    Silent,
    /// The message is longer than any.
    #[error("a message of {0} bytes is longer than any")]
    Long(usize),
    /// It is none of those that are known.
    #[error("the other side did not keep to the form: {0}")]
    Form(#[from] serde_json::Error),
    /// The other side has no right to this.
    #[error("the other side has no rights here")]
    Refused,
    /// Something here failed.
    #[error("{0}")]
    Other(String),
}

/// Says a message.
///
/// # Errors
/// [`FrameError`].
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> Result<(), FrameError> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| FrameError::Long(json.len()))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&json);
    let written = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    timeout(limits::FRAME_STALL, written)
        .await
        .map_err(|_| FrameError::Silent)??;
    Ok(())
}

/// Hears a message that is expected soon, of at most `max` bytes.
///
/// # Errors
/// [`FrameError`].
pub(crate) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<T, FrameError> {
    let read = timeout(limits::FRAME_STALL, wait(stream, max));
    read.await.map_err(|_| FrameError::Silent)?
}

/// Hears a message that people are waited for with.
///
/// # Errors
/// [`FrameError`].
pub(crate) async fn wait<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<T, FrameError> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > max {
        return Err(FrameError::Long(length));
    }
    // Memory is taken as the bytes come, not as they are announced.
    let mut bytes = Vec::new();
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_arrive_as_they_were_said() {
        let (mut here, mut there) = tokio::io::duplex(16);
        let text = "x".repeat(1000);
        let said = async { write(&mut here, &text).await.expect("said") };
        let heard = async { read::<String>(&mut there, 2000).await.expect("heard") };
        assert_eq!(tokio::join!(said, heard).1, text);
    }

    #[tokio::test]
    async fn what_is_too_long_cut_or_odd_is_refused() {
        for (bytes, what) in [
            (&[0xff, 0xff, 0xff, 0xff][..], "longer than any"),
            (&[0, 0, 0, 5, b'1'], "the link was lost"),
            (&[0, 0], "the link was lost"),
            (&[], "the link was lost"),
            (&[0, 0, 0, 2, b'x', b'y'], "did not keep to the form"),
        ] {
            let (mut here, mut there) = tokio::io::duplex(64);
            here.write_all(bytes).await.expect("written");
            drop(here);
            let refused = read::<u32>(&mut there, 100)
                .await
                .expect_err("refused")
                .to_string();
            assert!(refused.contains(what), "{refused}");
        }
    }
}
