//! A stock NATS server, started for one test on ports that are its own, and ended with it.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::wire::Reserved;

/// How long a server may take to say that it listens.
const START_WITHIN: Duration = Duration::from_secs(30);

/// What a server listens for: how the configuration of a test calls the address, and how the server's log does.
const LISTENERS: [(&str, &str); 3] = [
    ("@client", "client"),
    ("@leaf", "leafnode"),
    ("@route", "route"),
];

/// A running stock server.
pub(crate) struct Stock {
    child: Child,
    config: String,
    log: Arc<Mutex<String>>,
    /// Where it listens, in the order of [`LISTENERS`].
    addresses: [Option<String>; 3],
    ports: Arc<[Reserved; 3]>,
}

impl Stock {
    /// Starts a server with this configuration, in which `@client`, `@leaf` and `@route` stand for addresses that it shall
    /// listen on, and waits until it does. It always listens for clients.
    pub(crate) async fn start(config: &str) -> Self {
        let config = if config.contains("@client") {
            config.to_owned()
        } else {
            format!("listen: \"@client\"\n{config}")
        };
        let ports = std::array::from_fn(|_| Reserved::new());
        Self::run(config, Arc::new(ports)).await
    }

    /// Ends the server without a word and starts it again on the same addresses.
    pub(crate) async fn restart(self) -> Self {
        let (config, ports) = (self.config.clone(), Arc::clone(&self.ports));
        self.kill().await;
        Self::run(config, ports).await
    }

    /// Ends the server without a word.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be ended");
    }

    async fn run(config: String, ports: Arc<[Reserved; 3]>) -> Self {
        let mut text = config.clone();
        for ((placeholder, _), port) in LISTENERS.iter().zip(&*ports) {
            text = text.replace(placeholder, &port.address.to_string());
        }
        let file = NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &text).expect("the configuration can be written");
        // Debian keeps it where only root's PATH looks.
        let debian = Path::new("/usr/sbin/nats-server");
        let program = if debian.exists() {
            debian
        } else {
            Path::new("nats-server")
        };
        let mut child = Command::new(program)
            .args(["-DV", "-c"])
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("nats-server runs (scripts/setup.sh test installs it)");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let mut server = Self {
            child,
            config,
            log: Arc::clone(&log),
            addresses: [const { None }; 3],
            ports,
        };
        let ready = timeout(START_WITHIN, async {
            while !server.listens_everywhere() {
                let line = lines.next_line().await.expect("its log is text");
                let Some(line) = line else {
                    panic!("the stock server ended:\n{}\n{text}", server.log());
                };
                server.note(&line);
            }
        });
        ready.await.expect("the stock server listens in time");
        // What it says later is kept for whoever asks, so that it never waits for us.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                *log.lock().expect("nobody panics here") += &(line + "\n");
            }
        });
        server
    }

    fn note(&mut self, line: &str) {
        for ((_, kind), address) in LISTENERS.iter().zip(&mut self.addresses) {
            let said = format!("Listening for {kind} connections on ");
            if let Some((_, found)) = line.split_once(&said) {
                *address = Some(found.trim().to_owned());
            }
        }
        *self.log.lock().expect("nobody panics here") += &format!("{line}\n");
    }

    fn listens_everywhere(&self) -> bool {
        LISTENERS
            .iter()
            .zip(&self.addresses)
            .all(|((placeholder, _), address)| {
                address.is_some() || !self.config.contains(placeholder)
            })
    }

    /// Waits until it has logged something so many times.
    pub(crate) async fn says(&self, text: &str, times: usize) {
        let said = async {
            while self.log().matches(text).count() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let said = timeout(START_WITHIN, said).await;
        said.unwrap_or_else(|_| panic!("it does not say {text}:\n{}", self.log()));
    }

    /// Returns what it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics here").clone()
    }

    /// Returns where it listens for clients, as `host:port`.
    pub(crate) fn clients(&self) -> &str {
        self.address(0)
    }

    /// Returns where it listens for leafnodes, as `host:port`.
    pub(crate) fn leafs(&self) -> &str {
        self.address(1)
    }

    /// Returns where it listens for members of its cluster, as `host:port`, if it is in one.
    pub(crate) fn routes(&self) -> Option<&str> {
        self.addresses[2].as_deref()
    }

    fn address(&self, at: usize) -> &str {
        self.addresses[at]
            .as_deref()
            .expect("its configuration names such a listener")
    }
}
