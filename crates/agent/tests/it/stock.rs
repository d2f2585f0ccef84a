//! A stock `fossil server` on a port of its own, and servers that only look like one.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A running stock server, stopped when this is dropped.
pub(crate) struct StockServer {
    process: Child,
    pub(crate) port: u16,
}

impl StockServer {
    /// Serves `repository` on a free port.
    pub(crate) fn start(repository: &Path) -> Self {
        (0..20)
            .find_map(|_| Self::try_on(repository, free_port()))
            .expect("a free port for fossil server")
    }

    /// Serves `repository` on `port`, or returns `None` when that is taken.
    pub(crate) fn try_on(repository: &Path, port: u16) -> Option<Self> {
        let mut process = Command::new("fossil")
            .args([
                "server",
                "--localhost",
                "--nojail",
                "--port",
                &port.to_string(),
            ])
            .arg(repository)
            .env("FOSSIL_HOME", repository.parent().expect("a folder"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("fossil is installed");
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        if line.starts_with("Listening") {
            return Some(Self { process, port });
        }
        let _ = process.kill();
        process.wait().expect("it ended");
        None
    }

    /// Returns the server's address, with `login` (`user:password`) where it is not empty.
    pub(crate) fn url(&self, login: &str) -> String {
        let at = if login.is_empty() { "" } else { "@" };
        format!("http://{login}{at}127.0.0.1:{}/", self.port)
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A server that gives every request the same answer, and remembers the bodies.
pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Starts one. In `answer`, `PORT` stands for its own port.
    pub(crate) async fn start(answer: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (
            answer.replace("PORT", &port.to_string()).replacen(
                "\r\n",
                "\r\nConnection: close\r\n",
                1,
            ),
            Arc::clone(&bodies),
        );
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = read_body(&mut stream).await;
                seen.lock().expect("whole").push(body);
                // The client may have read enough and left.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, bodies, task }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request and returns its body.
async fn read_body(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    loop {
        if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..at]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            let body = request.split_off(at + 4);
            if body.len() >= length {
                return body;
            }
            request.extend_from_slice(&body);
        }
        if stream.read_buf(&mut request).await.expect("a request") == 0 {
            return request;
        }
    }
}
