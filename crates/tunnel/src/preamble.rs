//! The first bytes of a stream. QUIC shows a stream to the other end only with its first bytes, and in some protocols the other end is
//! the one to speak first; so its opener writes these at once.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::protocol::Protocol;

/// `ES`, the preamble's version, and a byte that is no text.
pub(crate) const PREAMBLE: [u8; 4] = [b'E', b'S', 1, 0xff];

/// Reads the first bytes of a stream and returns those that belong to the protocol already: an opener of another make has no preamble.
///
/// # Errors
/// When the stream ends before, or the first bytes are wrong for a protocol that nobody else speaks.
pub(crate) async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    protocol: Protocol,
) -> std::io::Result<Vec<u8>> {
    let mut first = [0; PREAMBLE.len()];
    let mut have = 0;
    while let Some(rest) = first.get_mut(have..).filter(|rest| !rest.is_empty()) {
        let more = reader.read(rest).await?;
        if more == 0 {
            break;
        }
        have += more;
        if first.get(..have) != PREAMBLE.get(..have) {
            break;
        }
    }
    let read = first.get(..have).unwrap_or_default();
    if read == PREAMBLE {
        return Ok(Vec::new());
    }
    if protocol.is_spoken_elsewhere() && !read.is_empty() {
        return Ok(read.to_vec());
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        "the stream does not begin as it should",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preamble_is_taken_off_and_other_first_bytes_stay() {
        let mut bytes: &[u8] = b"ES\x01\xffINFO";
        assert_eq!(read(&mut bytes, Protocol::Leaf).await.expect("read"), b"");
        assert_eq!(bytes, b"INFO");
        for (sent, first) in [
            (&b"xfer"[..], &b"xfer"[..]),
            (b"ES", b"ES"),
            (b"ESxy", b"ESxy"),
        ] {
            let mut bytes = sent;
            let read = read(&mut bytes, Protocol::Xfer).await.expect("read");
            assert_eq!(read, first);
        }
    }

    #[tokio::test]
    async fn a_protocol_of_ours_alone_wants_it() {
        for sent in [&b"CONN"[..], b"", b"ES\x01"] {
            let mut bytes = sent;
            assert!(read(&mut bytes, Protocol::Pair).await.is_err());
        }
        let mut nothing: &[u8] = b"";
        assert!(read(&mut nothing, Protocol::Xfer).await.is_err());
    }
}
