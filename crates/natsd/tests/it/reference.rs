//! The reference server, as another process.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::wire::PATIENCE;

/// A running reference server; dropping it kills it.
pub(crate) struct Reference {
    process: Child,
    pub(crate) client: String,
    pub(crate) routes: Option<String>,
    _directory: tempfile::TempDir,
}

impl Reference {
    /// Starts one on free ports of this machine with these further arguments, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(directory.path())
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed by scripts/setup.sh");
        let file = directory
            .path()
            .join(format!("nats-server_{}.ports", process.id()));
        let ports = ports(&file);
        let first = |key: &str| {
            let url = ports[key][0].as_str()?;
            Some(url.rsplit('/').next()?.to_owned())
        };
        Self {
            client: first("nats").expect("a client port"),
            routes: first("cluster"),
            process,
            _directory: directory,
        }
    }
}

/// Reads the file of ports once it is whole.
fn ports(file: &PathBuf) -> serde_json::Value {
    let start = Instant::now();
    loop {
        let text = std::fs::read(file).unwrap_or_default();
        if let Ok(ports) = serde_json::from_slice(&text) {
            return ports;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "the reference server did not start"
        );
        std::thread::yield_now();
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It may have ended by itself, which its test has noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
