//! Starts the agent's parts in order, undoes that when one fails, and stops them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Level, Status, Time};
use crate::core::Core;
use crate::events::{Events, Subscription};
use crate::home::{Home, HomeError};
use crate::hosting::Hosting;
use crate::http;
use crate::identity::{Identity, IdentityError};
use crate::jobs::Jobs;
use crate::limits;
use crate::lock::Lock;
use crate::log::Log;
use crate::members::Members;
use crate::mesh::{Mesh, MeshConfig, MeshError};
use crate::metrics::Tally;
use crate::net::{self, Door};
use crate::notifications::{Notifications, Place};
use crate::notifier::{Heard, Notifier};
use crate::notify;
use crate::pair::DeviceName;
use crate::pause::Pauses;
use crate::runtime::{Runtime, RuntimeFile};
use crate::serve;
use crate::shell::Shell;
use crate::state::{StateDb, StateError};
use crate::sync::{Http, Linker, Remote, Wishes};
use crate::text;
use crate::trust::{AcceptUnsigned, EndpointId, Register, Trust};
use crate::watch::FileWatch;

/// How long to wait for the runtime file of an agent that holds the lock and is just starting.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(3);

/// What a run of the agent is told by flags and environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the agent's files are.
    pub home: Home,
    /// The repositories of this run. When there are none, those that the app remembers.
    pub repositories: Vec<PathBuf>,
    /// Where to serve repositories to Fossil clients.
    pub serve_http: Option<SocketAddr>,
    /// Where the API and the page answer; a loopback address.
    pub api: SocketAddr,
    /// How often to ask remotes when nothing changes here.
    pub poll: Duration,
    /// Send to remotes.
    pub push: bool,
    /// Receive from remotes.
    pub pull: bool,
    /// Sync unversioned files too.
    pub uv: bool,
    /// Sync private artifacts too.
    pub private: bool,
    /// Remotes of this run: all for the one repository, or one for each.
    pub remotes: Vec<Remote>,
    /// The name that people gave this agent.
    pub peer_id: String,
    /// Agents that may clone, read and write over the bus in this run.
    pub trust: Vec<EndpointId>,
    /// The repository of questions and answers, made when it is not there; without one, the agent has none.
    pub notify: Option<PathBuf>,
    /// Where unsigned messages on the bus count like those of trusted agents.
    pub accept_unsigned: Vec<AcceptUnsigned>,
    /// The file of the identity key; that of the home when it is not given.
    pub identity: Option<PathBuf>,
    /// The agent's part of the mesh.
    pub mesh: MeshConfig,
    /// The folder in which agents of this user tell what they host, see [`hosting_folder`](crate::hosting_folder); without it, nothing is told.
    pub hosting: Option<PathBuf>,
    /// The log of this process, which is then kept in the home; without one, the agent shows none.
    pub log: Option<Log>,
}

impl Config {
    /// Returns what the agent does without any flag.
    pub fn new(home: Home) -> Self {
        Self {
            home,
            repositories: Vec::new(),
            serve_http: None,
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            poll: Duration::from_secs(5),
            push: true,
            pull: true,
            uv: false,
            private: false,
            remotes: Vec::new(),
            peer_id: "edgesync".to_owned(),
            trust: Vec::new(),
            accept_unsigned: Vec::new(),
            notify: None,
            identity: None,
            mesh: MeshConfig::default(),
            hosting: None,
            log: None,
        }
    }
}

/// The agent did not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another agent runs in this home.
    #[error("an agent already runs here, process {}", runtime.pid)]
    AlreadyRunning {
        /// Where it answers.
        runtime: Box<Runtime>,
    },
    /// Something holds this home's lock and does not say where it answers.
    #[error("another process holds {}", path.display())]
    Locked {
        /// The lock's file.
        path: PathBuf,
    },
    /// There is no place for the agent's files.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file of the home cannot be used.
    #[error("cannot use the agent's files: {0}")]
    Files(#[source] io::Error),
    /// The identity key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// `agent.db` cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The API was to answer to other machines.
    #[error("the API answers on this machine only; {0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It is not clear which remote belongs to which repository.
    #[error(
        "{remotes} remotes for {repositories} repositories: give one repository, or one remote for each in the same order"
    )]
    Remotes {
        /// How many remotes were given.
        remotes: usize,
        /// How many repositories were given.
        repositories: usize,
    },
    /// The bus cannot be used.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// A repository of this run cannot be used.
    #[error("{}", .0.message)]
    Repository(api::Error),
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    core: Arc<Core>,
    runtime: Runtime,
    _runtime_file: RuntimeFile,
    _lock: Lock,
}

impl Agent {
    /// Starts an agent. When this fails, whatever had been started is stopped again.
    ///
    /// # Errors
    /// [`StartError`], among others when an agent runs in this home already.
    pub async fn start(config: Config, shell: Arc<dyn Shell>) -> Result<Self, StartError> {
        if !config.api.ip().is_loopback() {
            return Err(StartError::NotLoopback(config.api));
        }
        let home = config.home.clone();
        home.create()?;
        let Some(lock) = Lock::take(&home.lock_file()).map_err(StartError::Files)? else {
            return Err(who_runs(&home).await);
        };
        Runtime::remove_stale(&home).map_err(StartError::Files)?;
        let api = listen(config.api).await?;
        let served = match config.serve_http {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let api_address = address_of(&api, config.api)?;
        let listened = match (&served, config.serve_http) {
            (Some(listener), Some(address)) => Some(address_of(listener, address)?),
            _ => None,
        };
        let http = listened.map(|at| format!("http://{}", net::reachable(at)));
        let token = text::to_hex(&text::random::<32>().map_err(IdentityError::Random)?);
        let mesh = config.mesh.clone();
        let served_at = http.clone();
        let core = blocking(move || build(&config, shell, served_at)).await?;

        let unwind = core.stopped.clone().drop_guard();
        let mesh = Mesh::start(mesh, core.for_mesh()).await?;
        core.join_mesh(&mesh);
        let (addresses, address) = (mesh.addresses(), |scheme: &str, address| {
            let shown = |address| format!("{scheme}://{}", net::reachable(address));
            Option::map(address, shown)
        });
        let runtime = Runtime {
            api: format!("http://{api_address}"),
            token,
            pid: std::process::id(),
            http,
            http_listen: listened.map(|at| at.to_string()),
            nats: address("nats", addresses.clients),
            nats_token: mesh.token().to_owned(),
            leaf: address("nats-leaf", addresses.leaves),
            route: address("nats-route", addresses.routes),
            version: crate::VERSION.to_owned(),
        };
        let begun = notify::begin(&core, mesh.bus()).await;
        begun.map_err(StartError::Repository)?;
        tell_hosted(&core).await?;
        let router = http::router(Arc::clone(&core), api_address, &runtime.token);
        let door = Door {
            name: "api",
            lifetime: None,
        };
        core.tasks
            .spawn(net::serve(api, router, door, core.stopped.clone()));
        if let Some(served) = served {
            let router = serve::router(Arc::clone(&core));
            let door = Door {
                name: "http",
                lifetime: Some(limits::CLIENT_LIFETIME),
            };
            core.tasks
                .spawn(net::serve(served, router, door, core.stopped.clone()));
        }
        let runtime_file = RuntimeFile::write(&home, &runtime).map_err(StartError::Files)?;
        unwind.disarm();
        tracing::info!(
            api = runtime.api,
            http = runtime.http,
            peer_id = core.peer_id,
            "the agent runs"
        );
        Ok(Self {
            core,
            runtime,
            _runtime_file: runtime_file,
            _lock: lock,
        })
    }

    /// Where the agent answers.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The address of the agent's page, token included.
    pub fn page_url(&self) -> String {
        self.runtime.page_url()
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The public half of the agent's identity.
    pub fn endpoint_id(&self) -> &str {
        self.core.identity.endpoint_id()
    }

    /// Returns the ticket with which others reach this agent over the tunnel, once it says where it is; nothing without a tunnel.
    pub async fn ticket(&self) -> Option<String> {
        self.core.mesh().ok()?.ticket_soon().await
    }

    /// Returns what `GET /api/v1/status` answers.
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// Returns a listener's place in the stream of events.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(Arc::clone(&self.core))
    }

    /// Asks the remotes of the named repository, or of all, for an exchange now. How it goes is told by events.
    ///
    /// # Errors
    /// `not_found` when there is no repository of that name.
    pub fn sync_now(&self, name: Option<&str>) -> Result<(), api::Error> {
        self.core.sync_now(name)
    }

    /// Pauses the whole agent: nothing is pulled or pushed unless a person asks for it, until the pause ends or [`Agent::resume`]. It is
    /// kept for the next start. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `bad_request` when the pause would be over already, `internal` when it cannot be kept.
    pub fn pause(&self, wish: api::SetPause) -> Result<(), api::Error> {
        self.core.pause(None, wish.pause(Time::now())?)
    }

    /// Ends the pause of the whole agent. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when it cannot be kept.
    pub fn resume(&self) -> Result<(), api::Error> {
        self.core.resume(None)
    }

    /// Returns what `GET /api/v1/mesh` answers; nothing while the agent is just starting.
    pub fn mesh(&self) -> Option<api::Mesh> {
        self.core.mesh().ok().map(|mesh| mesh.show())
    }

    /// Takes another role in the mesh while everything runs; it is kept for the next start.
    ///
    /// # Errors
    /// `conflict` when the role's listeners cannot be opened, others when it cannot be kept.
    pub async fn set_role(&self, role: api::Role) -> Result<(), api::Error> {
        self.core.mesh()?.set_role(role).await
    }

    /// Shows questions and messages by `notifier` from now on; what becomes of them comes by `heard`. An agent that runs without notify
    /// has nothing to show.
    pub fn notify_by(&self, notifier: Arc<dyn Notifier>, heard: UnboundedReceiver<Heard>) {
        let Ok(post) = self.core.notify() else { return };
        let place = Place {
            post,
            events: Arc::clone(&self.core.events),
            shell: Arc::clone(&self.core.shell),
            stopped: self.core.stopped.clone(),
        };
        let (notifications, run) = Notifications::new(place, notifier, heard);
        if self.core.notifications.set(notifications).is_ok() {
            self.core.tasks.spawn(run);
        }
    }

    /// Returns the questions that wait for a person and are not muted, the most important first and of these the newest.
    ///
    /// # Errors
    /// `repository`, `internal`.
    pub async fn questions(&self) -> Result<Vec<api::NotifyMessage>, api::Error> {
        let Ok(post) = self.core.notify() else {
            return Ok(Vec::new());
        };
        let muted = post.settings().muted;
        let mut questions = post.questions().await?;
        questions.retain(|question| !muted.contains(&question.project));
        questions.sort_by_key(|question| Reverse((question.priority, question.time)));
        Ok(questions)
    }

    /// Answers a question of a thread, as `POST /api/v1/notify/threads/{thread}/reply` does.
    ///
    /// # Errors
    /// `conflict` when it is decided, and others as over the API.
    pub async fn reply(&self, thread: String, wish: api::ReplyNotify) -> Result<(), api::Error> {
        self.core.notify()?.reply(thread, wish).await.map(drop)
    }

    /// Returns when someone asked the agent to quit over its API. The host then calls [`Agent::stop`].
    pub async fn quit_requested(&self) {
        self.core.quit.cancelled().await;
    }

    /// Stops the agent: finishes what is being written, closes every file, removes the runtime file.
    pub async fn stop(self) {
        self.core.stopped.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
        let core = Arc::clone(&self.core);
        if let Err(error) = tokio::task::spawn_blocking(move || core.close_all()).await {
            tracing::error!(%error, "the repositories did not close in order");
        }
        tracing::info!("the agent stopped");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.core.stopped.cancel();
    }
}

/// Tells other agents of this user what the agent hosts.
async fn tell_hosted(core: &Arc<Core>) -> Result<(), StartError> {
    let core = Arc::clone(core);
    blocking(move || {
        core.tell_hosted();
        Ok(())
    })
    .await
}

/// Opens what is on the disk: identity, `agent.db`, repositories.
fn build(
    config: &Config,
    shell: Arc<dyn Shell>,
    http: Option<String>,
) -> Result<Arc<Core>, StartError> {
    config.log.iter().for_each(|it| it.keep_in(&config.home));
    let identity = match &config.identity {
        Some(file) => Identity::in_file(file)?,
        None => Identity::of(&config.home)?,
    };
    let (state, aside) = StateDb::open(&config.home.state_file())?;
    let state = Arc::new(state);
    let unsigned = config.accept_unsigned.iter().cloned();
    let register = Register::open(Arc::clone(&state), config.trust.iter().copied(), unsigned);
    let broken = |source| StateError::Database {
        path: config.home.state_file(),
        source,
    };
    let register = register.map_err(broken)?;
    let pauses = Pauses::open(Arc::clone(&state)).map_err(broken)?;
    let events = Arc::new(Events::new());
    let tasks = TaskTracker::new();
    let linker = linker(config, &tasks)?;
    let notify_path = config.notify.as_deref().map(notify::ready).transpose();
    let notify_path = notify_path.map_err(StartError::Repository)?;
    let trust = Arc::new(Trust::new(register));
    let mark = text::random().map_err(IdentityError::Random)?;
    let members = open_members(config, &identity, &state, &trust, &events)?;
    let core = Arc::new(Core {
        home: config.home.clone(),
        hosting: Hosting::new(
            config.hosting.clone(),
            config.home.data().to_path_buf(),
            mark,
        ),
        log: config.log.clone(),
        peer_id: config.peer_id.clone(),
        identity,
        started_at: Time::now(),
        shell,
        jobs: Arc::new(Jobs::new(Arc::clone(&events))),
        events,
        state,
        served_before: Tally::default(),
        pauses,
        trust,
        members,
        linker,
        mesh: OnceLock::new(),
        watch: FileWatch::new(),
        poll: config.poll,
        tasks,
        farewells: TaskTracker::new(),
        http,
        stopped: CancellationToken::new(),
        quit: CancellationToken::new(),
        notify: OnceLock::new(),
        phones: OnceLock::new(),
        notify_path,
        notifications: OnceLock::new(),
        repositories: RwLock::new(BTreeMap::new()),
    });
    if let Some(aside) = aside {
        let message = format!(
            "agent.db was damaged and is now {}; repositories and remotes have to be added again",
            aside.display()
        );
        core.events.log(Level::Error, None, message);
    }
    let unwind = core.stopped.clone().drop_guard();
    host_all(&core, config)?;
    core.tasks.spawn(Arc::clone(&core).end_pauses());
    unwind.disarm();
    Ok(core)
}

/// Returns how repositories are kept equal with their remotes.
fn linker(config: &Config, tasks: &TaskTracker) -> Result<Linker, StartError> {
    let wishes = Wishes {
        push: config.push,
        pull: config.pull,
        unversioned: config.uv,
        private: config.private,
    };
    Ok(Linker {
        http: Http::new().map_err(|error| StartError::Files(io::Error::other(error)))?,
        wishes,
        poll: config.poll,
        tasks: tasks.clone(),
        tally: Arc::default(),
    })
}

/// Opens the mesh that `agent.db` remembers.
fn open_members(
    config: &Config,
    identity: &Identity,
    state: &Arc<StateDb>,
    trust: &Arc<Trust>,
    events: &Arc<Events>,
) -> Result<Arc<Members>, StateError> {
    let members = Members::open(
        Arc::clone(identity.keys()),
        Arc::clone(state),
        Arc::clone(trust),
        Arc::clone(events),
        DeviceName::of(&config.peer_id),
    );
    members.map_err(|source| StateError::Database {
        path: config.home.state_file(),
        source,
    })
}

fn host_all(core: &Core, config: &Config) -> Result<(), StartError> {
    let (given, remotes) = (&config.repositories, &config.remotes);
    if given.is_empty() && remotes.is_empty() {
        let state = |source| StateError::Database {
            path: config.home.state_file(),
            source,
        };
        for kept in core.state.kept().map_err(state)? {
            core.host(kept.path, Vec::new())
                .map_err(StartError::Repository)?;
        }
        return Ok(());
    }
    if !remotes.is_empty() && given.len() != 1 && given.len() != remotes.len() {
        return Err(StartError::Remotes {
            remotes: remotes.len(),
            repositories: given.len(),
        });
    }
    for (index, path) in given.iter().enumerate() {
        let own = match given.len() {
            1 => remotes.clone(),
            _ => remotes.get(index).cloned().into_iter().collect(),
        };
        let path = std::path::absolute(path).map_err(StartError::Files)?;
        core.host_existing(&path, own)
            .map_err(StartError::Repository)?;
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

fn address_of(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen {
        address: asked,
        source,
    })
}

/// Returns the error that tells who holds the lock. An agent that is just starting writes its runtime file a moment later.
async fn who_runs(home: &Home) -> StartError {
    let path = home.lock_file();
    let wait = async {
        loop {
            match Runtime::read_file(home) {
                Ok(Some(runtime)) => {
                    let runtime = Box::new(runtime);
                    return StartError::AlreadyRunning { runtime };
                }
                Ok(None) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => return StartError::Files(error),
            }
        }
    };
    tokio::time::timeout(RUNTIME_PATIENCE, wait)
        .await
        .unwrap_or(StartError::Locked { path })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StartError::Files(io::Error::other(error))),
    }
}
