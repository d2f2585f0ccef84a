//! The API's data, as `docs/api.md` describes it. Agent, page and command line share these types, so `--json` prints what the
//! API answers. Nothing here acts.

mod called;
mod devices;
mod doctor;
mod error;
mod from_fossil;
mod history;
mod log;
mod mesh;
mod notify;
mod pairing;
mod pause;
mod settings;
mod state;
mod time;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use called::agent_called;
pub use devices::{
    AcceptDevice, Device, Devices, MadeOffer, MakeOffer, OpenOffer, PendingDevice, PendingState,
    PhoneDoor, PhonePairing, PhoneSession,
};
pub use doctor::{Check, Checkup, Verdict};
pub use error::{Code, Error, ErrorBody};
pub use history::{
    CheckIn, CheckInSummary, Diff, DiffLine, FileChange, FileChangeKind, FileContent, FileEntry,
    FileList, Hunk, Line, LineKind, Permissions, Relative, Span, StrokeKind, Timeline, TimelineRow,
};
pub use log::{LogLine, LogPage};
pub(crate) use mesh::TRIED_AGAIN;
pub use mesh::{
    AddBridge, AddJoin, AddTrusted, Address, AddressKind, Available, Bridge, Chosen, Counters,
    FoundBy, Join, LinkKind, LinkState, Member, Mesh, MeshInfo, Peer, PeerError, PeerKind, Revoked,
    Role, RoleError, SetRole, SetTunnel, Trusted, Tunnel, TunnelPath, TunnelWay, Upstream,
};
pub use notify::{
    Action, AnswerSource, DoneNotify, MessageKind, NotifyConversation, NotifyMessage,
    NotifyPresence, NotifyStatus, NotifyThread, NotifyTrace, Priority, QuestionState, ReplyNotify,
    Resolved, SendNotify, Sender,
};
pub use pairing::{AcceptAgent, ClaimOffer, PairedBy, Pairing, PendingAgent};
pub use pause::{Pause, SetPause};
pub use settings::{
    NotifierInfo, NotifySettings, QuietHours, SetMuted, SetQuiet, TimeOfDay, TimeOfDayError,
};
pub use state::{Phase, State};
pub use time::Time;

/// The answer of `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent itself.
    pub agent: AgentInfo,
    /// The worst of the repositories' states.
    pub state: State,
    /// The pause of the whole agent, while it lasts.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// Every repository, by name.
    pub repositories: Vec<Repository>,
}

/// The agent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The agent's version.
    pub version: String,
    /// The name that people gave this agent.
    pub peer_id: String,
    /// The public half of the identity, 64 hexadecimal digits.
    pub endpoint_id: Option<String>,
    /// The agent's process.
    pub pid: u32,
    /// When it started.
    pub started_at: Time,
    /// Whether a desktop is attached.
    pub shell: bool,
    /// Whether it keeps questions and their answers; without, `/notify/` is not there.
    #[serde(default)]
    pub notify: bool,
}

/// One repository of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Unique in the agent and stable.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The project's code; `null` while the file cannot be read.
    pub project_code: Option<String>,
    /// The project's name, where it has one.
    pub project_name: Option<String>,
    /// The file's size in bytes.
    pub size: u64,
    /// How many check-ins it has.
    pub check_ins: u64,
    /// How many artifacts it has with content.
    pub artifacts: u64,
    /// The newest check-in.
    pub last_check_in: Option<CheckInSummary>,
    /// The server it is kept equal with.
    pub remote: Option<Remote>,
    /// Where others can clone it from.
    pub clone_url: Option<String>,
    /// Whether it is the one that holds the questions and answers.
    pub notify: bool,
    /// How it stands with its remote.
    pub state: State,
}

/// A remote without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The address, without user and password.
    pub url: String,
    /// The login there.
    pub user: Option<String>,
}

/// A line of the event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The whole status.
    Status(Status),
    /// One repository changed.
    Repository {
        /// As it is now.
        repository: Repository,
    },
    /// A repository is no longer part of the agent.
    Removed {
        /// Its name.
        name: String,
    },
    /// A job moved on.
    Job {
        /// As it is now.
        job: Job,
    },
    /// The mesh changed.
    Mesh {
        /// As it is now.
        mesh: Box<Mesh>,
    },
    /// A message is stored here that was not before.
    Message {
        /// The message.
        message: Box<NotifyMessage>,
        /// Whether people here are to be told: it waits or informs, is from another device or a program of this one, and is within
        /// its sender's budget.
        show: bool,
    },
    /// What has become of a question.
    Question {
        /// The question as it is now.
        message: Box<NotifyMessage>,
    },
    /// A person put a thread away, or back.
    Thread {
        /// The thread as it is now.
        thread: Box<NotifyThread>,
    },
    /// A person chose something about notifications.
    NotifySettings {
        /// All that is chosen now.
        settings: NotifySettings,
    },
    /// A sender sends more than anybody reads; one notice stands for these messages.
    Folded {
        /// The sender's endpoint id.
        from: String,
        /// Its name for people.
        from_name: String,
        /// How many more.
        count: u64,
    },
    /// Another agent is to be paired, or no longer.
    Pairing {
        /// How it stands with pairings now.
        pairing: Box<Pairing>,
    },
    /// A phone came, went, or is to be paired.
    Devices {
        /// How it stands with phones now.
        devices: Box<Devices>,
    },
    /// Something worth telling happened.
    Log {
        /// When.
        at: Time,
        /// How bad it is.
        level: Level,
        /// What.
        message: String,
        /// To which repository.
        repository: Option<String>,
    },
    /// Nothing happened, the agent lives.
    Beat,
}

/// How bad a logged event is; the worst is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Needs a person.
    Error,
    /// Worth a look.
    Warn,
    /// Good to know.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Every step.
    Trace,
}

/// Long work that the agent does in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Names the job in paths.
    pub id: String,
    /// What is done.
    pub kind: JobKind,
    /// In words.
    pub title: String,
    /// The server that it clones from.
    pub remote: Remote,
    /// The file that it makes.
    pub path: PathBuf,
    /// How far it is.
    pub state: JobState,
    /// Artifacts done.
    pub done: u64,
    /// Artifacts in all, where known.
    pub total: Option<u64>,
    /// Bytes received.
    pub bytes: u64,
    /// Why it failed, or what holds it up while it tries again.
    pub error: Option<Error>,
    /// The repository that it made.
    pub repository: Option<String>,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobKind {
    /// Clones a repository from a server.
    Clone,
}

/// Whether a job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It works.
    Running,
    /// It is done.
    Done,
    /// It gave up.
    Failed,
    /// A person stopped it.
    Cancelled,
}

/// The body of `POST /api/v1/repositories/add`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddRepository {
    /// The file, absolute.
    pub path: PathBuf,
}

/// The body of `POST /api/v1/repositories/create`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRepository {
    /// The file to make, absolute.
    pub path: PathBuf,
    /// The project's name.
    #[serde(default)]
    pub project_name: Option<String>,
    /// The login of the repository's first user; the system's user name otherwise.
    #[serde(default)]
    pub user: Option<String>,
}

/// The answer of `POST /api/v1/repositories/create`.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedRepository {
    /// The new repository.
    pub repository: Repository,
    /// The login of its first user.
    pub user: String,
    /// That user's password, shown this once.
    pub password: String,
}

/// The body of `POST /api/v1/repositories/clone`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloneRepository {
    /// `http(s)://[USER[:PASSWORD]@]HOST/PATH` of a server, or `iroh:PEER/REPOSITORY` of another agent.
    pub url: String,
    /// The file to make, absolute. May be left out for another agent's repository: it is then made beside the others, or in the home folder.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The login there; wins over the one in the address.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<String>,
}

/// The body of `PUT /api/v1/repositories/{name}/remote`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRemote {
    /// The address, or `null` to have none. It cannot be left out, which a mistyped name would do too.
    #[serde(deserialize_with = "Option::deserialize")]
    pub url: Option<String>,
    /// The login there; wins over the one in the address.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<String>,
}

/// The body of `POST /api/v1/shell/reveal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// The repository's name.
    pub name: String,
}
