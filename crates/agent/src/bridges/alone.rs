//! Bridges in a process of their own, as clients of a bus: `edgesync bridge serve`. They sign with a key of their own, because the agent of the same
//! home may run beside them, and two with one name on the bus would get each other's messages.

use std::sync::Arc;
use std::time::Duration;

use edgesync_bridge::Fault;
use futures_util::FutureExt as _;
use futures_util::future::{join_all, select_all};
use libfossil::name::ProjectCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::running::{Host, Place, Running, fault_error};
use crate::api::{self, Chosen, Code, Error, LinkState};
use crate::events::Events;
use crate::home::Home;
use crate::identity::Identity;
use crate::limits;
use crate::members::Members;
use crate::pair::DeviceName;
use crate::runtime::Runtime;
use crate::state::StateDb;
use crate::sync::{BusServer, Http, Remote};
use crate::trust::{AcceptUnsigned, EndpointId, Register, Trust};
use crate::wire::Wire;

/// The name of the connection to the bus.
const CLIENT: &str = "edgesync-bridge";

/// What `edgesync bridge serve` is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers, with their projects' codes where those are known.
    pub servers: Vec<(Remote, Option<ProjectCode>)>,
    /// The bus; that of the agent that runs in the home when it is not given.
    pub bus: Option<BusServer>,
    /// What subjects on the bus begin with.
    pub prefix: String,
    /// How often to look what changed on the servers.
    pub poll: Duration,
    /// Who may use the bridges, beside those whom the agent of the home trusts and that agent itself.
    pub trust: Vec<EndpointId>,
    /// Codes of projects in which requests count that nobody signed.
    pub accept_unsigned: Vec<ProjectCode>,
}

/// Bridges that run.
#[derive(Debug)]
pub struct Alone {
    id: String,
    bus: String,
    bridges: Vec<Running>,
    http: Http,
    tasks: TaskTracker,
}

/// Returns the id in whose name the bridges of a home sign, making its key on first use.
///
/// # Errors
/// `internal` when the home or the key cannot be used.
pub fn endpoint_id(home: &Home) -> Result<String, Error> {
    Ok(identity(home)?.endpoint_id().to_owned())
}

impl Alone {
    /// Joins the bus and begins to answer for the servers. A server that does not answer is no failure where its project is known.
    ///
    /// # Errors
    /// `no_peer` when no bus is named and no agent runs, `unreachable` or `remote_login` when the bus cannot be joined, one of the `remote`
    /// codes when a server does not say what project it has or says soon that it has another, `conflict` when two have the same, `internal`.
    pub async fn start(home: &Home, options: Options) -> Result<Self, Error> {
        let server = match options.bus {
            Some(server) => server,
            None => bus_of_agent(home)?,
        };
        let bus = server.connect(CLIENT).await?;
        let http = Http::new().map_err(|error| internal(&error))?;
        let mut places: Vec<Place> = Vec::new();
        for (remote, project) in options.servers {
            let place = match project {
                Some(project) => Place { remote, project },
                None => Place::find(remote, &http).await?,
            };
            if let Some(other) = places.iter().find(|it| it.project == place.project) {
                let (one, two) = (&other.remote, &place.remote);
                let message = format!("{one} and {two} have the same project, {}", place.project);
                return Err(Error::new(Code::Conflict, message));
            }
            places.push(place);
        }
        let identity = identity(home)?;
        let register = (home.clone(), options.trust, options.accept_unsigned);
        let trust = tokio::task::spawn_blocking(move || {
            let (home, trust, unsigned) = register;
            known(&home, trust, &unsigned)
        });
        let trust = trust.await.map_err(|error| internal(&error))??;
        let tasks = TaskTracker::new();
        let host = Host {
            ways: bus.connected(),
            wire: Wire {
                bus: Arc::new(bus),
                prefix: options.prefix,
                keys: Arc::clone(identity.keys()),
                trust,
            },
            http: http.clone(),
            poll: options.poll,
            tasks: tasks.clone(),
            stopped: CancellationToken::new(),
        };
        let mut bridges = Vec::new();
        for place in places {
            let log = log(&place);
            let bridge = Running::start(place, &host, log)?;
            bridge.ready.notified().await;
            bridges.push(bridge);
        }
        let alone = Self {
            id: identity.endpoint_id().to_owned(),
            bus: server.to_string(),
            bridges,
            http,
            tasks,
        };
        let looked = alone.bridges.iter().map(Running::looked);
        // A server that is slow to answer is waited for no longer.
        let _ = tokio::time::timeout(limits::BRIDGE_FIRST_LOOK, join_all(looked)).await;
        if let Some(end) = alone.ending().now_or_never() {
            let error = alone.why(end).await;
            alone.stop().await;
            return Err(error);
        }
        Ok(alone)
    }

    /// In whose name the bridges sign.
    pub fn endpoint_id(&self) -> &str {
        &self.id
    }

    /// The bus.
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// Returns how the bridges stand.
    pub fn bridges(&self) -> Vec<api::Bridge> {
        let show = |bridge: &Running| bridge.show(bridge.place.project.to_string(), Chosen::Flag);
        self.bridges.iter().map(show).collect()
    }

    /// Looks at the servers now.
    pub fn look(&self) {
        self.bridges.iter().for_each(Running::look);
    }

    /// Returns why the bridges cannot go on: the bus is no more, or a server has another project than it was said to have.
    pub async fn ended(&self) -> Error {
        self.why(self.ending().await).await
    }

    /// Returns when a bridge cannot go on: with that one if it is its server's fault.
    async fn ending(&self) -> Option<&Running> {
        let ended = self.bridges.iter().map(|bridge| {
            Box::pin(async move {
                tokio::select! {
                    () = bridge.ended.cancelled() => None,
                    () = bridge.is_foreign() => Some(bridge),
                }
            })
        });
        select_all(ended).await.0
    }

    async fn why(&self, end: Option<&Running>) -> Error {
        match end {
            None => Error::new(Code::Unreachable, "the bus has ended"),
            Some(bridge) => self.foreign(&bridge.place).await,
        }
    }

    /// Returns that a server has another project, and which.
    async fn foreign(&self, place: &Place) -> Error {
        let Place { remote, project } = place;
        let error = fault_error(&Fault::Project(*project));
        let found = Place::find(remote.clone(), &self.http).await.ok();
        let hint = match found.filter(|it| it.project != *project) {
            Some(found) => Some(format!("It has {0}: --project {0}", found.project)),
            None => error.hint,
        };
        let error = Error::new(error.code, format!("{remote}: {}", error.message));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Ends the bridges, and says good-bye.
    pub async fn stop(self) {
        drop(self.bridges);
        self.tasks.close();
        let _ = tokio::time::timeout(limits::BUS_REPLY, self.tasks.wait()).await;
    }
}

fn identity(home: &Home) -> Result<Identity, Error> {
    home.create().map_err(|error| internal(&error))?;
    Identity::in_file(&home.bridge_file()).map_err(|error| internal(&error))
}

/// Returns the bus of the agent that runs in a home.
fn bus_of_agent(home: &Home) -> Result<BusServer, Error> {
    let runtime = Runtime::read(home).map_err(|error| internal(&error))?;
    let server = runtime.and_then(|runtime| BusServer::of_agent(&runtime));
    server.ok_or_else(|| {
        Error::new(Code::NoPeer, "no agent is running, and no bus is named")
            .with_hint("Start an agent, or name a bus: --nats-url nats://TOKEN@HOST:PORT")
    })
}

/// Returns who may use the bridges: those named, whom the agent of the home trusts, the members of its mesh, and that agent itself.
fn known(
    home: &Home,
    mut named: Vec<EndpointId>,
    unsigned: &[ProjectCode],
) -> Result<Arc<Trust>, Error> {
    let agent = Identity::of(home).map_err(|error| internal(&error))?;
    named.push(agent.keys().id());
    let (state, _) = StateDb::open(&home.state_file()).map_err(|error| internal(&error))?;
    let state = Arc::new(state);
    let unsigned = unsigned.iter().copied().map(AcceptUnsigned::Repository);
    let register = Register::open(Arc::clone(&state), named, unsigned);
    let trust = Arc::new(Trust::new(register.map_err(|error| internal(&error))?));
    let (keys, events) = (Arc::clone(agent.keys()), Arc::new(Events::new()));
    let members = Members::open(
        keys,
        state,
        Arc::clone(&trust),
        events,
        DeviceName::of(CLIENT),
    );
    members.map_err(|error| internal(&error))?;
    Ok(trust)
}

/// Returns what writes to the log how a server stands, when that changes. That it has had another project from the first is why the bridge ends, and
/// told there with the project that it has.
fn log(place: &Place) -> impl Fn(&LinkState) + Send + 'static {
    let name = place.remote.to_string();
    let foreign = fault_error(&Fault::Project(place.project)).message;
    let last: std::sync::Mutex<Option<LinkState>> = std::sync::Mutex::new(None);
    move |state| {
        let mut last = last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = last.replace(state.clone());
        if before.as_ref() == Some(state) {
            return;
        }
        match state {
            LinkState::Error { message, .. }
                if *message == foreign && !answered(before.as_ref()) => {}
            LinkState::Connected { .. } => tracing::info!("{name} answers"),
            LinkState::Error { message, hint, .. } => {
                tracing::warn!(hint = hint.as_deref(), "{name}: {message}");
            }
            _ => {}
        }
    }
}

/// Whether a server that stood like this had answered.
fn answered(before: Option<&LinkState>) -> bool {
    matches!(before, Some(LinkState::Connected { .. }))
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}
