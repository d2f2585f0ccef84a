//! A stock `fossil server`, a bridge to it on a bus in memory, and callers on that bus.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use edgesync_bus::{Bus as _, Headers, Hub, Memory, Message, Request};
use edgesync_tests::{StockFossil, artifacts, fossil};
use libfossil::auth::Capabilities;
use libfossil::db::{Access, NewRepository, Repository, Visibility};
use libfossil::name::{HashName, ProjectCode};
use libfossil::time::Timestamp;
use libfossil::xfer::Budget;
use libfossil::xfer::client::{
    Client, Credentials, Goal, NewClone, Response, Step, Summary, SyncError,
};
use libfossil::xfer::frame::{self, ContentType};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::envelope::{self, Envelope, Key, Note};
use crate::http::Http;
use crate::{Account, Asking, Bridge, Caller, Denied, FossilServer, Gate, Setup, Standing, limits};

/// Long enough for any machine; nothing waits for it when all is well.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The header by which a caller says what he may; here the gate believes him.
const RIGHTS: &str = "Rights";

/// A poll that no test waits for.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) const SYNC: Goal = Goal {
    pull: true,
    push: true,
    private: false,
    unversioned: false,
    thorough: false,
};

/// Callers and bridges on one bus, with their files in one folder.
pub(super) struct Lab {
    folder: tempfile::TempDir,
    pub(super) hub: Hub,
    pub(super) stop: CancellationToken,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            hub: Hub::default(),
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs stock `fossil`, which has to succeed.
    pub(super) fn fossil(&self, arguments: &[&str]) -> String {
        let output = fossil(self.folder.path())
            .args(arguments)
            .output()
            .expect("fossil is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "fossil {arguments:?}: {text}");
        text
    }

    /// Makes a repository with stock `fossil` in which anybody may do what `letters` say.
    pub(super) fn repository(&self, name: &str, letters: &str) -> ProjectCode {
        self.fossil(&["init", "-A", "ada", name]);
        self.fossil(&["user", "password", "ada", "secret", "-R", name]);
        for everyone in ["nobody", "anonymous"] {
            self.fossil(&["user", "capabilities", everyone, letters, "-R", name]);
        }
        self.open(name).project_code().expect("a code")
    }

    pub(super) fn open(&self, name: &str) -> Repository {
        Repository::open(self.path(name), Access::ReadWrite).expect("a repository")
    }

    pub(super) fn artifacts(&self, name: &str) -> Vec<String> {
        artifacts(&self.path(name))
    }

    /// Serves a repository with stock `fossil`.
    pub(super) fn serve(&self, name: &str) -> StockFossil {
        StockFossil::start(&self.path(name))
    }

    /// Begins a bridge to the server on `port`.
    pub(super) async fn bridge(
        &self,
        project: ProjectCode,
        port: u16,
        setting: Setting,
    ) -> Arc<Bridge> {
        let bridge = Bridge::new(Setup {
            bus: Arc::new(self.hub.join(&format!("bridge-{project}"))),
            prefix: envelope::PREFIX.to_owned(),
            server: FossilServer {
                url: format!("http://127.0.0.1:{port}/")
                    .parse()
                    .expect("an address"),
                account: setting.account,
                project,
                http: Http::new().expect("clients"),
            },
            gate: Arc::new(Open),
            poll: setting.poll,
            promise: setting.promise,
        });
        let ready = Arc::new(Notify::new());
        let run = Arc::clone(&bridge).run(Arc::clone(&ready), self.stop.clone());
        tokio::spawn(run);
        tokio::time::timeout(PATIENCE, ready.notified())
            .await
            .expect("it is on the bus");
        bridge
    }

    pub(super) fn caller(&self, project: ProjectCode, letters: &str) -> Remote {
        Remote {
            bus: self.hub.join(&format!("caller-{project}-{letters}")),
            project,
            letters: letters.to_owned(),
            login: None,
            promised: watch::Sender::default(),
        }
    }

    /// Clones into a new file.
    pub(super) async fn clone(&self, remote: &Remote, name: &str) -> Result<Summary, String> {
        let mut repository = Repository::create(
            self.path(name),
            &NewRepository {
                project_code: None,
                server_code: ProjectCode::from_random([2; 20]),
                project_name: None,
                admin: "bob",
                password: "own",
                initial_check_in: false,
                now: now(),
            },
        )
        .expect("created");
        let owner = NewClone {
            admin: "bob".to_owned(),
            password: "own".to_owned(),
        };
        let client = Client::clone_into(&mut repository, SYNC, remote.login.clone(), owner, now());
        remote
            .exchange(&mut repository, client.expect("a client"))
            .await
    }

    /// Pulls and pushes.
    pub(super) async fn sync(&self, remote: &Remote, name: &str) -> Result<Summary, String> {
        let client = Client::new(SYNC, remote.login.clone());
        remote.exchange(&mut self.open(name), client).await
    }

    /// Stores an artifact in a file of ours, to be sent.
    pub(super) fn store(&self, name: &str, content: &[u8]) -> String {
        let stored: libfossil::db::Result<()> = self
            .open(name)
            .write(now(), |tx| tx.store(content, Visibility::Public).map(drop));
        stored.expect("stored");
        HashName::sha3_of(content).to_string()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A stock server of the project in `server.fossil`, a bridge to it, and a caller who may read and write.
pub(super) struct Bridged {
    pub(super) lab: Lab,
    pub(super) project: ProjectCode,
    pub(super) server: StockFossil,
    pub(super) bridge: Arc<Bridge>,
    pub(super) caller: Remote,
}

impl Bridged {
    /// Anybody may do what `letters` say at the server.
    pub(super) async fn new(letters: &str, setting: Setting) -> Self {
        let lab = Lab::new();
        let project = lab.repository("server.fossil", letters);
        let server = lab.serve("server.fossil");
        let bridge = lab.bridge(project, server.port, setting).await;
        let caller = lab.caller(project, "gio");
        Self {
            lab,
            project,
            server,
            bridge,
            caller,
        }
    }
}

/// Returns a listener for a server of a test's own, and its port.
pub(super) async fn listening() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// What differs from bridge to bridge.
pub(super) struct Setting {
    pub(super) account: Option<Account>,
    pub(super) poll: Duration,
    pub(super) promise: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            account: None,
            poll: HOUR,
            promise: limits::PROMISE,
        }
    }
}

/// A gate that believes what callers say; the agent's checks signatures instead.
struct Open;

impl Gate for Open {
    fn name(&self) -> String {
        "bridge".to_owned()
    }

    fn admit(&self, message: &Message) -> Result<Caller, Denied> {
        let letters = message.headers.get(RIGHTS).unwrap_or("gio");
        if letters == "none" {
            return Err(Denied::With("you have no rights here".to_owned()));
        }
        Ok(Caller {
            name: letters.to_owned(),
            capabilities: Capabilities::from_letters(letters),
            nonce: None,
        })
    }

    fn seal(&self, _: &str, _: Option<[u8; 16]>, envelope: &Envelope) -> Headers {
        envelope.headers()
    }
}

/// A caller on the bus, who takes and sends messages in parts.
pub(super) struct Remote {
    pub(super) bus: Memory,
    project: ProjectCode,
    letters: String,
    pub(super) login: Option<Credentials>,
    /// How many answers were promised.
    pub(super) promised: watch::Sender<u32>,
}

impl Remote {
    /// Sends one message and returns the answer to it.
    pub(super) async fn send(&self, headers: Headers, payload: Bytes, own: bool) -> Message {
        let project = self.project.to_string();
        let request = Request {
            subject: match own {
                true => envelope::subject_of(envelope::PREFIX, &project, "bridge"),
                false => envelope::subject(envelope::PREFIX, &project),
            },
            inbox: self.bus.new_inbox(),
            headers,
            payload,
            timeout: PATIENCE,
        };
        self.bus.request(request).await.expect("an answer")
    }

    async fn say(&self, envelope: Envelope) -> Result<Message, String> {
        let headers = envelope.headers().with(RIGHTS, self.letters.clone());
        let answer = self.send(headers, envelope.payload, true).await;
        match answer.headers.get(envelope::STATUS) {
            Some(status) => Err(status.to_owned()),
            None => Ok(answer),
        }
    }

    /// Makes one round trip, with as many messages as it takes.
    pub(super) async fn ask(
        &self,
        content_type: ContentType,
        body: Bytes,
    ) -> Result<Response, String> {
        let part_bytes = self.bus.max_payload().min(limits::BUS_BODY_BYTES) / 2;
        let key = Key::from_random([7; 16]);
        let mut asking = Asking::new(content_type, body, part_bytes, key);
        loop {
            let answer = self.say(asking.message()).await?;
            let kind = envelope::content_type(&answer).expect("a kind of body");
            let note = envelope::note(&answer);
            if matches!(note, Some(Note::Later { .. })) {
                self.promised.send_modify(|count| *count += 1);
            }
            let whole = asking.take(kind, note, answer.payload);
            if let Some((kind, body)) = whole.map_err(|error| error.to_string())? {
                let content_type = kind.as_str().to_owned();
                return Ok(Response { content_type, body });
            }
        }
    }

    async fn exchange(
        &self,
        repository: &mut Repository,
        client: Client,
    ) -> Result<Summary, String> {
        let usual = limits::BUS_BODY_BYTES.min(self.bus.max_payload());
        let mut client = client.within(Budget {
            usual,
            most: limits::PARTS_BYTES,
        });
        let text = |error: SyncError| error.to_string();
        let mut round = 0_u8;
        loop {
            round = round.wrapping_add(1);
            match client.next(repository, now(), [round; 20]).map_err(text)? {
                Step::Send(request) => {
                    let response = self.ask(request.content_type, request.body).await?;
                    client.receive(repository, response, now()).map_err(text)?;
                }
                Step::Done(summary) => return Ok(summary),
                Step::Wait => panic!("nothing is under way"),
            }
        }
    }

    /// Makes a request as the Go product does: without any header.
    pub(super) async fn go(&self, message: &str) -> Message {
        let body = frame::encode(ContentType::Packed, message.as_bytes().to_vec());
        self.send(Headers::new(), body, false).await
    }
}

/// Waits until a bridge stands as `wanted` says.
pub(super) async fn stands(
    standing: &mut watch::Receiver<Standing>,
    wanted: impl FnMut(&Standing) -> bool,
) -> Standing {
    let reached = tokio::time::timeout(PATIENCE, standing.wait_for(wanted)).await;
    reached.expect("in time").expect("it runs").clone()
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    Timestamp::from_unix_millis(
        i64::try_from(since.as_millis()).expect("before the year 292 million"),
    )
}
