//! The stock `fossil` program, and its server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::authority::CertificateFiles;

/// Ports that are tried before it is taken that none is free.
const PORTS: usize = 20;

/// A running stock server on this machine alone, stopped when this is dropped.
#[derive(Debug)]
pub struct StockFossil {
    process: Child,
    /// Where it listens.
    pub port: u16,
    scheme: &'static str,
}

/// Returns stock `fossil` as the user `ada`, at work in `folder` and with its settings there.
#[must_use]
pub fn fossil(folder: &Path) -> Command {
    let mut command = Command::new("fossil");
    command
        .current_dir(folder)
        .env("FOSSIL_HOME", folder)
        .env("HOME", folder)
        .env("USER", "ada")
        .env_remove("http_proxy")
        .stdin(Stdio::null());
    command
}

/// Returns a port that was free a moment ago.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Returns the names of the artifacts that a repository has with content, in order.
///
/// # Panics
/// When the file is no repository.
#[must_use]
pub fn artifacts(repository: &Path) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(repository, flags).expect("a database");
    let mut query = database
        .prepare("SELECT uuid FROM blob WHERE size>=0 ORDER BY 1")
        .expect("a repository");
    let names = query.query_map([], |row| row.get(0)).expect("rows");
    names.collect::<Result<_, _>>().expect("names")
}

impl StockFossil {
    /// Serves a repository on a free port.
    ///
    /// # Panics
    /// Without `fossil`, or a free port.
    #[must_use]
    pub fn start(repository: &Path) -> Self {
        // A port that was free a moment ago may be taken when fossil comes to it.
        let mut tries = (0..PORTS).map(|_| Self::on(repository, free_port()));
        tries.find_map(|it| it).expect("a free port for fossil")
    }

    /// Serves a repository by TLS on a free port.
    ///
    /// # Panics
    /// As [`Self::start`], and without a certificate that fits.
    #[must_use]
    pub fn secure(repository: &Path, files: &CertificateFiles) -> Self {
        let mut tries = (0..PORTS).map(|_| Self::run(repository, free_port(), Some(files)));
        tries.find_map(|it| it).expect("a free port for fossil")
    }

    /// Serves a repository on `port`, or returns `None` when that is taken.
    ///
    /// # Panics
    /// Without `fossil`.
    #[must_use]
    pub fn on(repository: &Path, port: u16) -> Option<Self> {
        Self::run(repository, port, None)
    }

    fn run(repository: &Path, port: u16, files: Option<&CertificateFiles>) -> Option<Self> {
        let mut command = fossil(repository.parent().expect("a folder"));
        command.args(["server", "--localhost", "--nojail", "--port"]);
        command.arg(port.to_string());
        if let Some(CertificateFiles { certificate, key }) = files {
            command.arg("--cert").arg(certificate);
            command.arg("--pkey").arg(key);
        }
        let mut process = command
            .arg(repository)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("fossil is installed");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("a line");
        let server = Self {
            process,
            port,
            scheme: files.map_or("http", |_| "https"),
        };
        line.starts_with("Listening").then_some(server)
    }

    /// Returns its address; `login` stands before the host where it is not empty.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        let at = if login.is_empty() { "" } else { "@" };
        // A certificate is for a name.
        let host = match self.scheme {
            "https" => "localhost",
            _ => "127.0.0.1",
        };
        format!("{}://{login}{at}{host}:{}/", self.scheme, self.port)
    }
}

impl Drop for StockFossil {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
