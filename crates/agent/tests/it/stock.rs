//! Servers that only look like a stock `fossil server`.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

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
