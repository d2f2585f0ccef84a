//! Carries messages between clients and servers: in memory, to a stock `fossil http` over standard input, and over a loopback socket for a
//! stock client.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use libfossil::auth::{AuthContext, Capabilities, Grant};
use libfossil::db::{Access, Repository};
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::xfer::card::Card;
use libfossil::xfer::client::{Credentials, Goal, NewClone, Response, Step, Summary, SyncError};
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::parse::{Item, Items};
use libfossil::xfer::{Client, Request, Server};

use crate::stock::Lab;
use crate::store;

/// More rounds than any exchange in the tests needs; reaching it is a livelock.
const MAX_ROUNDS: usize = 300;

pub(crate) fn now() -> Timestamp {
    store::now()
}

pub(crate) const SYNC: Goal = Goal {
    pull: true,
    push: true,
    private: false,
    unversioned: false,
    thorough: false,
};
pub(crate) const PULL: Goal = Goal {
    push: false,
    ..SYNC
};
pub(crate) const PUSH: Goal = Goal {
    pull: false,
    ..SYNC
};

pub(crate) fn login(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

/// Rights as a transport would grant them.
pub(crate) fn granted(letters: &str) -> AuthContext {
    let grant = Grant {
        login: "tester".into(),
        capabilities: Capabilities::from_letters(letters),
    };
    AuthContext {
        granted: Some(grant),
        address: "test".into(),
    }
}

/// Drives a client to its end.
pub(crate) fn drive(
    client: &mut Client,
    repo: &mut Repository,
    mut carry: impl FnMut(&Request) -> Response,
) -> Result<Summary, SyncError> {
    for round in 0..MAX_ROUNDS {
        let random = [u8::try_from(round % 256).unwrap(); 20];
        match client.next(repo, now(), random)? {
            Step::Send(request) => {
                let response = carry(&request);
                client.receive(repo, response, now())?;
            }
            Step::Done(summary) => return Ok(summary),
            other => panic!("not in turn: {other:?}"),
        }
    }
    panic!("no end after {MAX_ROUNDS} rounds: {:?}", client.progress());
}

/// Hands one request to our server.
pub(crate) fn ours(repo: &mut Repository, auth: &AuthContext, request: &Request) -> Response {
    let reply = Server::default()
        .exchange(repo, auth, request.clone(), now)
        .expect("an answer");
    Response {
        content_type: reply.content_type.as_str().to_owned(),
        body: reply.body,
    }
}

/// Hands one request to a fresh stock process.
pub(crate) fn stock(lab: &Lab, repo: &Path, request: &Request) -> Response {
    let repo = repo.to_str().expect("a plain path");
    let mut command = lab.command(&lab.path(""), &["http", repo, "--nojail"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fossil runs");
    let mut head = format!(
        "POST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        request.content_type.as_str(),
        request.body.len()
    );
    if let Some(cookie) = &request.cookie {
        head.push_str(&format!("Cookie: {cookie}\r\n"));
    }
    head.push_str("\r\n");
    let mut input = child.stdin.take().expect("standard input");
    input.write_all(head.as_bytes()).expect("head written");
    input.write_all(&request.body).expect("body written");
    drop(input);
    let output = child.wait_with_output().expect("fossil ends").stdout;
    let end = output
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let head = String::from_utf8_lossy(&output[..end]).to_ascii_lowercase();
    let content_type = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap_or_default()
        .to_owned();
    Response {
        content_type,
        body: output[end..].to_vec().into(),
    }
}

pub(crate) fn open(path: &Path) -> Repository {
    Repository::open(path, Access::ReadWrite).expect("a repository")
}

/// Clones with our client.
pub(crate) fn clone(
    path: &Path,
    goal: Goal,
    credentials: Option<Credentials>,
    carry: impl FnMut(&Request) -> Response,
) -> Result<(Repository, Summary), SyncError> {
    let mut repo = new_clone(path);
    let mut client = start_clone(&mut repo, goal, credentials)?;
    let summary = drive(&mut client, &mut repo, carry)?;
    Ok((repo, summary))
}

/// Makes an empty repository that is to become a clone.
pub(crate) fn new_clone(path: &Path) -> Repository {
    let new = libfossil::db::NewRepository {
        project_code: None,
        server_code: libfossil::name::ProjectCode::from_random([3; 20]),
        project_name: None,
        admin: "cloner",
        password: "",
        initial_check_in: false,
        now: now(),
    };
    Repository::create(path, &new).expect("created")
}

pub(crate) fn start_clone(
    repo: &mut Repository,
    goal: Goal,
    credentials: Option<Credentials>,
) -> Result<Client, SyncError> {
    let owner = NewClone {
        admin: "cloner".into(),
        password: "clone password".into(),
    };
    Client::clone_into(repo, goal, credentials, owner, now())
}

/// Our server on a loopback socket, for stock clients.
pub(crate) struct Loopback {
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What answers, and what became of it.
#[derive(Default)]
struct Desk {
    repo: PathBuf,
    server: Server,
    /// How much later each look at the clock finds it.
    look: Duration,
    stop: AtomicBool,
    rounds: AtomicUsize,
    refusals: Mutex<Vec<String>>,
    /// The lines of all `file` cards that came.
    files: Mutex<Vec<String>>,
}

impl Loopback {
    pub(crate) fn serve(repo: PathBuf, server: Server) -> Self {
        Self::start(Desk {
            repo,
            server,
            ..Desk::default()
        })
    }

    /// Serves on a machine so slow that every look at its clock takes `look`.
    pub(crate) fn serve_slowly(repo: PathBuf, look: Duration) -> Self {
        Self::start(Desk {
            repo,
            look,
            ..Desk::default()
        })
    }

    fn start(desk: Desk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let desk = Arc::new(desk);
        let answers = Arc::clone(&desk);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if answers.stop.load(Ordering::SeqCst) {
                    return;
                }
                answers.answer(stream.expect("a connection"));
            }
        });
        Self {
            address,
            desk,
            thread: Some(thread),
        }
    }

    /// Returns how many requests were answered.
    pub(crate) fn rounds(&self) -> usize {
        self.desk.rounds.load(Ordering::SeqCst)
    }

    /// Returns whether an artifact was pushed as a delta on another.
    pub(crate) fn came_as_delta(&self, hash: &HashName, source: &HashName) -> bool {
        let start = format!("file {hash} {source} ");
        let files = self.desk.files.lock().expect("unpoisoned");
        files.iter().any(|line| line.starts_with(&start))
    }

    /// Returns what clients were refused with.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.desk.refusals.lock().expect("unpoisoned").clone()
    }

    /// The URL for a stock client, with the user in it if there is one.
    pub(crate) fn url(&self, user: Option<(&str, &str)>) -> String {
        match user {
            Some((user, password)) => format!("http://{user}:{password}@{}/", self.address),
            None => format!("http://{}/", self.address),
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which looks at the flag then.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn answer(&self, mut stream: TcpStream) {
        let request = read_request(&stream);
        let message = frame::decode(request.content_type, request.body.clone()).expect("a message");
        let cards = Items::new(message).filter_map(|item| match item {
            Item::Card(card @ Card::File { .. }) => Some(card.to_bytes()),
            _ => None,
        });
        let lines = cards.map(|card| {
            String::from_utf8_lossy(&card)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        });
        self.files.lock().expect("unpoisoned").extend(lines);
        let mut repo = open(&self.repo);
        let auth = AuthContext {
            granted: None,
            address: "127.0.0.1".into(),
        };
        // Stock clients compare clocks.
        let since_1970 = UNIX_EPOCH.elapsed().expect("a clock");
        let millis = |time: Duration| i64::try_from(time.as_millis()).expect("a time");
        let (start, looks) = (millis(since_1970), Cell::new(0));
        let clock = || {
            looks.set(looks.get() + 1);
            Timestamp::from_unix_millis(start + looks.get() * millis(self.look))
        };
        let reply = self
            .server
            .exchange(&mut repo, &auth, request, clock)
            .expect("an answer");
        self.rounds.fetch_add(1, Ordering::SeqCst);
        if let Some(text) = reply.refused {
            self.refusals.lock().expect("unpoisoned").push(text);
        }
        let head = format!(
            "HTTP/1.0 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            reply.content_type.as_str(),
            reply.body.len()
        );
        stream.write_all(head.as_bytes()).expect("head written");
        stream.write_all(&reply.body).expect("body written");
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let (mut content_type, mut length, mut cookie) = (String::new(), 0, None);
    let mut line = String::new();
    while reader.read_line(&mut line).expect("a head") > 0 && line.trim() != "" {
        if let Some((name, value)) = line.trim().split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "content-type" => content_type = value.to_owned(),
                "content-length" => length = value.parse().expect("a length"),
                "cookie" => cookie = Some(value.to_owned()),
                _ => {}
            }
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    Request {
        content_type: ContentType::parse(&content_type).expect("a message"),
        body: body.into(),
        cookie,
    }
}

impl Lab {
    /// Runs a query on a repository and returns its lines.
    pub(crate) fn query(&self, repo: &Path, sql: &str) -> Vec<String> {
        let repo = repo.to_str().expect("a plain path");
        let said = self.fossil(&["sql", "-R", repo, "--readonly", ".mode list", sql]);
        said.lines()
            .map(|line| line.trim_matches('\'').to_owned())
            .collect()
    }

    /// Changes a repository behind everyone's back.
    pub(crate) fn query_write(&self, repo: &Path, sql: &str) {
        let repo = repo.to_str().expect("a plain path");
        self.fossil(&["sql", "-R", repo, "--test", sql]);
    }

    /// The names of all artifacts that are here.
    pub(crate) fn artifacts(&self, repo: &Path) -> Vec<String> {
        self.query(repo, "SELECT uuid FROM blob WHERE size>=0 ORDER BY 1")
    }

    /// Fails unless both repositories hold the same, and stock finds both sound.
    pub(crate) fn assert_equal(&self, a: &Path, b: &Path) {
        let (mut only_a, mut only_b) = (self.artifacts(a), self.artifacts(b));
        let common = only_a.clone();
        only_a.retain(|hash| !only_b.contains(hash));
        only_b.retain(|hash| !common.contains(hash));
        assert_eq!(
            (only_a, only_b),
            (vec![], vec![]),
            "the repositories differ"
        );
        self.assert_sound(a);
        self.assert_sound(b);
    }
}
