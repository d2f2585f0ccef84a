//! A connection that speaks the protocol by hand, to see each byte.

use std::net::SocketAddr;
use std::time::Duration;

use natsd::{Limits, Listeners, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Longest time that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Options of a server that listens for clients on a free port.
pub(crate) fn options() -> Options {
    Options {
        listeners: Listeners {
            clients: Some(loopback()),
            ..Listeners::default()
        },
        ..Options::default()
    }
}

/// A free port of this machine.
pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A port of this machine that nobody is given by chance, so that a server can come back there. While the socket is held, bound
/// and not listening, the system lets whoever names the port listen on it, and picks it for nobody.
pub(crate) struct Reserved {
    _socket: TcpSocket,
    pub(crate) address: SocketAddr,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(loopback()).expect("a free port");
        let address = socket.local_addr().expect("an address");
        Self {
            _socket: socket,
            address,
        }
    }
}

/// Starts a server that nobody has to prove anything to.
pub(crate) async fn server() -> Server {
    Server::start(options()).await.expect("a server")
}

/// Starts a server with other limits.
pub(crate) async fn limited(limits: Limits) -> Server {
    let options = Options {
        limits,
        ..options()
    };
    Server::start(options).await.expect("a server")
}

/// A connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    seen: Vec<u8>,
}

impl Wire {
    /// Connects as a client, and reads INFO.
    pub(crate) async fn to(server: &Server) -> Self {
        let (wire, _) = Self::dial(server.addresses().clients.expect("a client listener")).await;
        wire
    }

    /// Connects, and returns INFO as well.
    pub(crate) async fn dial(address: SocketAddr) -> (Self, serde_json::Value) {
        let mut wire = Self::over(TcpStream::connect(address).await.expect("connected"));
        let info = wire.line().await;
        let json = info.strip_prefix("INFO ").expect("INFO comes first");
        let info = serde_json::from_str(json).expect("JSON");
        (wire, info)
    }

    /// Speaks over a connection on which nothing was said yet.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    /// Connects with everything off that answers unasked.
    pub(crate) async fn quiet(server: &Server) -> Self {
        let mut wire = Self::to(server).await;
        wire.connect(r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#)
            .await;
        wire
    }

    /// Sends CONNECT and waits until it was accepted.
    pub(crate) async fn connect(&mut self, json: &str) {
        self.send(format!("CONNECT {json}\r\nPING\r\n")).await;
        self.expect("PONG").await;
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// Returns the next line, without its end.
    pub(crate) async fn line(&mut self) -> String {
        let mut searched = 0_usize;
        loop {
            let mut unseen = self.seen[searched..].windows(2);
            if let Some(end) = unseen.position(|pair| pair == b"\r\n") {
                let end = searched + end;
                let rest = self.seen.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.seen, rest);
                line.truncate(end);
                return String::from_utf8(line).expect("text");
            }
            searched = self.seen.len().saturating_sub(1);
            assert!(
                self.fill().await,
                "closed after {:?}",
                String::from_utf8_lossy(&self.seen)
            );
        }
    }

    /// Reads more, and says whether there was any.
    async fn fill(&mut self) -> bool {
        // Not into an array, which would be in each future that waits for this.
        self.seen.reserve(65536);
        let read = self.stream.read_buf(&mut self.seen);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("an answer in time")
            .is_ok_and(|count| count > 0)
    }

    /// Waits for exactly these lines.
    pub(crate) async fn expect(&mut self, lines: &str) {
        for line in lines.split('|') {
            assert_eq!(self.line().await, line);
        }
    }

    /// Waits for exactly these lines, and the end of the connection.
    pub(crate) async fn expect_end(&mut self, lines: &str) {
        while self.fill().await {}
        let text = String::from_utf8_lossy(&self.seen).replace("\r\n", "|");
        let lines = if lines.is_empty() {
            String::new()
        } else {
            format!("{lines}|")
        };
        assert_eq!(text, lines);
    }

    /// Sends, and returns every line that comes before the PONG to a last PING.
    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes).await;
        self.send("PING\r\n").await;
        let mut lines = Vec::new();
        loop {
            match self.line().await.as_str() {
                "PONG" => return lines.join("|"),
                // The server asks for a sign of life when it likes.
                "PING" => {}
                line => lines.push(line.to_owned()),
            }
        }
    }
}
