//! What answers at an address: which of a NATS server's ports, or something else. For who has to tell a person why a link does not come up.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::leaf::Greeted;
use crate::limits::{LEAF_GREETING_TIMEOUT, LINK_CONTROL_LINE_FACTOR, MAX_CONTROL_LINE_BYTES};
use crate::link::dial::{Dialled, Target};
use crate::proto::Info;

/// How a NATS server begins.
const GREETING: &[u8] = b"INFO ";

/// What makes a web server speak.
const QUESTION: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// The first byte of what a TLS server answers to what is no TLS: an alert.
const TLS_ALERT: u8 = 0x15;

/// What answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// A NATS server's port for clients.
    Clients {
        /// Whether it speaks TLS with who wants to.
        tls: bool,
    },
    /// A NATS server's port for leafnodes.
    Leaves {
        /// Whether it wants TLS.
        tls: bool,
    },
    /// A NATS server's port for members of its cluster.
    Routes {
        /// The server's port for leafnodes, if it told.
        leaves: Option<String>,
    },
    /// A web server; a NATS server's monitoring and WebSocket ports are such.
    Web,
    /// Something that speaks TLS from the first byte on.
    Tls,
    /// Something that takes connections and says nothing.
    Silent,
    /// Something that takes connections and ends them without a word.
    Ends,
    /// Something else.
    Other,
}

/// Connects to `HOST:PORT`, and returns what answers there.
///
/// # Errors
/// When nothing takes the connection.
pub async fn probe(address: &str) -> io::Result<Found> {
    let Dialled::Tcp(mut stream) = Target::Tcp(address.to_owned()).dial().await? else {
        return Ok(Found::Other);
    };
    let mut read = BytesMut::new();
    let greeted = timeout(LEAF_GREETING_TIMEOUT, line(&mut stream, &mut read)).await;
    if read.is_empty() {
        if greeted.is_ok() {
            return Ok(Found::Ends);
        }
        // Who waits for the other to begin is asked what a web server understands.
        stream.write_all(QUESTION).await?;
        let _ = timeout(LEAF_GREETING_TIMEOUT, line(&mut stream, &mut read)).await;
    }
    Ok(found(&read))
}

/// Reads until a line is whole, the other end has no more, or more came than a greeting may have.
async fn line(stream: &mut tokio::net::TcpStream, read: &mut BytesMut) {
    let longest = MAX_CONTROL_LINE_BYTES * LINK_CONTROL_LINE_FACTOR;
    while read.len() <= longest && memchr::memchr(b'\n', read).is_none() {
        if !matches!(stream.read_buf(read).await, Ok(1..)) {
            return;
        }
    }
}

fn found(read: &[u8]) -> Found {
    let line = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if let Some(json) = line.strip_prefix(GREETING) {
        return match Info::from_json(json).map(|info| (Greeted::by(&info), info)) {
            Some((Greeted::Clients, info)) => Found::Clients {
                tls: info.tls_required || info.tls_available,
            },
            Some((Greeted::Leaves, info)) => Found::Leaves {
                tls: info.tls_required,
            },
            Some((Greeted::Routes { leaves }, _)) => Found::Routes { leaves },
            None => Found::Other,
        };
    }
    match read.first() {
        None => Found::Silent,
        Some(&TLS_ALERT) => Found::Tls,
        Some(_) if read.starts_with(b"HTTP/") => Found::Web,
        Some(_) => Found::Other,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection with `first` at once, and with `then` after it was asked something.
    async fn server(first: &'static [u8], then: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(first).await.expect("said");
            let mut asked = [0; 16];
            let count = stream.read(&mut asked).await.unwrap_or(0);
            if count > 0 {
                let _ = stream.write_all(then).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn what_answers_is_told_by_its_first_words() {
        const CLIENTS: &[u8] = b"INFO {\"server_id\":\"N\",\"client_id\":4}\r\n";
        const LEAVES: &[u8] = b"INFO {\"server_id\":\"N\",\"client_id\":4,\"tls_required\":true,\"leafnode_urls\":[\"h:7\"]}\r\n";
        const ROUTES: &[u8] =
            b"INFO {\"server_id\":\"N\",\"lnoc\":true,\"leafnode_urls\":[\"h:7\"]}\r\n";
        let leaves = Some("h:7".to_owned());
        for (first, then, expected) in [
            (CLIENTS, &b""[..], Found::Clients { tls: false }),
            (LEAVES, b"", Found::Leaves { tls: true }),
            (ROUTES, b"", Found::Routes { leaves }),
            (b"", b"HTTP/1.0 400 Bad Request\r\n", Found::Web),
            (b"", &[TLS_ALERT, 3, 3, 0, 2, 2, 70], Found::Tls),
            (b"", b"", Found::Silent),
            (b"SSH-2.0-x\r\n", b"", Found::Other),
            (b"INFO nonsense\r\n", b"", Found::Other),
        ] {
            let address = server(first, then).await;
            assert_eq!(probe(&address).await.expect("a connection"), expected);
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_the_connection_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        assert!(probe(&address).await.is_err());
    }
}
