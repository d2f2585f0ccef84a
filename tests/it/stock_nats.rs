//! Stock NATS servers, started for one test on ports that are its own, and ended with it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::net::TcpSocket;

/// A port that nobody is given by chance: while the socket is held, bound and not listening, the system lets whoever names the port listen on
/// it, and picks it for nobody.
pub(crate) struct Port {
    _socket: TcpSocket,
    pub(crate) number: u16,
}

/// A running server.
pub(crate) struct StockNats {
    process: Child,
    // Held for its file.
    _folder: tempfile::TempDir,
}

impl Port {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        let any = ([127, 0, 0, 1], 0).into();
        socket.bind(any).expect("a free port");
        let number = socket.local_addr().expect("an address").port();
        Self {
            _socket: socket,
            number,
        }
    }
}

impl StockNats {
    /// Starts a server with this configuration, and waits until it listens.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("nats.conf");
        std::fs::write(&file, config).expect("written");
        let mut command = Self::program();
        command.arg("-c").arg(file);
        Self::run(command, folder)
    }

    /// Returns the program, without arguments.
    pub(crate) fn program() -> Command {
        // Debian keeps it where only root's PATH looks.
        let debian = Path::new("/usr/sbin/nats-server");
        Command::new(match debian.exists() {
            true => debian,
            false => Path::new("nats-server"),
        })
    }

    /// Starts the server of a command, and waits until it listens.
    pub(crate) fn run(mut command: Command, folder: tempfile::TempDir) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server runs (scripts/setup.sh test installs it)");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let mut said = String::new();
        // Servers that wait for others of their cluster are ready before those are there.
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push_str(&line);
            said.push('\n');
            line.contains("Server is ready")
        });
        assert!(ready, "the stock server ended: {said}");
        // What it says later is read, so that it never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            process,
            _folder: folder,
        }
    }
}

impl Drop for StockNats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
