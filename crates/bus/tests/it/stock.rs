//! A stock NATS server.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use edgesync_bus::{Both, Connection, Headers, Login, Nats, Request, SharedBus};

pub(crate) const TOKEN: &str = "a-token-of-this-test";

/// A stock server on a port of its own choice, stopped at the end of the test.
pub(crate) struct StockServer {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl StockServer {
    pub(crate) async fn start() -> Self {
        Self::start_at("-1").await
    }

    /// Starts it at this port.
    pub(crate) async fn start_at(port: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = Command::new("nats-server")
            .args([
                "-a",
                "127.0.0.1",
                "-p",
                port,
                "--auth",
                TOKEN,
                "--ports_file_dir",
            ])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed");
        let file: PathBuf = folder
            .path()
            .join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self {
            process,
            url: String::new(),
            _folder: folder,
        };
        let ports = async {
            loop {
                match std::fs::read_to_string(&file) {
                    Ok(text) if text.contains("nats://") => return text,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let ports = tokio::time::timeout(Duration::from_secs(20), ports).await;
        let ports = ports.expect("the server tells its port");
        let url = ports
            .split('"')
            .find(|part| part.starts_with("nats://"))
            .expect("a URL");
        server.url = url.to_owned();
        server
    }

    pub(crate) fn connection(&self, token: Option<&str>) -> Connection {
        Connection {
            urls: vec![self.url.clone()],
            login: token.map_or(Login::None, |token| Login::Token(token.to_owned())),
            tls: None,
            name: "test".to_owned(),
        }
    }

    pub(crate) async fn join(&self) -> Nats {
        Nats::connect(&self.connection(Some(TOKEN)))
            .await
            .expect("connected")
    }

    /// Joins this server, and another one beside it.
    pub(crate) async fn join_beside(&self, other: &Self) -> Both {
        let own = self.join().await;
        let other = own.beside(&other.connection(Some(TOKEN))).await;
        let other = other.expect("opened");
        let mut connected = other.connected();
        connected.wait_for(|there| *there).await.expect("connected");
        Both::new(own, other)
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Long enough for any machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn ask(bus: &SharedBus, subject: &str, timeout: Duration) -> Request {
    Request {
        subject: subject.to_owned(),
        inbox: bus.new_inbox(),
        headers: Headers::new().with("Edgesync-Test", "1"),
        payload: Bytes::from_static(b"?"),
        timeout,
    }
}
