//! A NATS client of few words: enough to load a server at little cost to the machine that it shares with it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

/// How long a server may keep silent before the run has failed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How much one read takes at once, in bytes.
pub(super) const READ_SIZE: usize = 256 * 1024;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"protocol\":1,\"lang\":\"bench\",\"version\":\"1\"}\r\n";

/// A connection after its handshake.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a server of this machine.
    ///
    /// # Errors
    /// When nothing listens there, or what listens is no NATS server.
    pub(super) fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut connection = Self {
            stream: BufReader::with_capacity(READ_SIZE, stream),
        };
        let info = connection.line()?;
        ensure!(info.starts_with("INFO "), "no INFO but {info:?}");
        connection.send(CONNECT)?;
        // A newer server says INFO once more after the first PONG; after the second there is silence.
        connection.round_trip()?;
        connection.round_trip()?;
        Ok(connection)
    }

    /// Sends bytes of the protocol.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Waits until the server has worked on all that was sent. A message that comes meanwhile is an error.
    ///
    /// # Errors
    /// When the server complains or closes.
    pub(super) fn round_trip(&mut self) -> anyhow::Result<()> {
        let messages = self.skip_messages()?;
        ensure!(messages == 0, "{messages} messages that nobody expects");
        Ok(())
    }

    /// Waits in the same way and returns how many messages came meanwhile.
    ///
    /// # Errors
    /// When the server complains or closes.
    pub(super) fn skip_messages(&mut self) -> anyhow::Result<usize> {
        self.send(b"PING\r\n")?;
        let mut messages = 0;
        loop {
            let line = self.line()?;
            if line == "PONG\r\n" {
                return Ok(messages);
            }
            messages += usize::from(self.takes(&line, &mut Vec::new())?);
        }
    }

    /// Waits for one message and returns its control line.
    ///
    /// # Errors
    /// When the server complains or closes.
    pub(super) fn message(&mut self, payload: &mut Vec<u8>) -> anyhow::Result<String> {
        loop {
            let line = self.line()?;
            if self.takes(&line, payload)? {
                return Ok(line);
            }
        }
    }

    /// Reads what follows a line and returns whether it was a message.
    fn takes(&mut self, line: &str, payload: &mut Vec<u8>) -> anyhow::Result<bool> {
        if line.starts_with("MSG ") {
            let size = line.split_whitespace().next_back().context("a size")?;
            payload.resize(size.parse::<usize>()? + 2, 0);
            self.stream.read_exact(payload)?;
            return Ok(true);
        }
        ensure!(
            line == "PING\r\n" || line.starts_with("INFO "),
            "the server said {line:?}"
        );
        Ok(false)
    }

    /// Gives the socket, for who reads it in an own way.
    ///
    /// # Errors
    /// When bytes were read that nobody has looked at.
    pub(super) fn into_stream(self) -> anyhow::Result<TcpStream> {
        ensure!(
            self.stream.buffer().is_empty(),
            "bytes are left in the buffer"
        );
        Ok(self.stream.into_inner())
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line)?;
        ensure!(read > 0, "the server closed the connection");
        Ok(line)
    }
}
