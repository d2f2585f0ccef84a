//! Keeps the agent's repositories equal with those of its peers on the bus: the driver of the replication machine.
//!
//! The machine ([`edgesync_replica`]) decides; here its decisions are carried out. A [`member`] is a repository that takes part: it tells the
//! machine what changed, however that came, answers sync requests, and makes the exchanges. The [`ear`] hears what peers say and believes
//! it only when someone signed it who may write here. The [`driver`] is the one task that has the machine.

mod driver;
pub(crate) mod ear;
mod member;
mod seen;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use edgesync_bus::SharedBus;
use edgesync_replica::limits::PEER_PATIENCE;
use edgesync_replica::{
    Config, Counters, Input, Moment, Peer, PeerView, Project, ProjectView, Replica,
};
use edgesync_tunnel::Tunnel;
use libfossil::db::Repository;
use libfossil::xfer::client::{Client, Summary, SyncError};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Code, Error, Time};
use crate::bridges::Bridges;
use crate::events::Events;
use crate::limits;
use crate::members::Members;
use crate::repository::{Hosted, Writer};
use crate::sync::Wishes;
use crate::sync::bus::{Accepts, Line};
use crate::sync::direct::{Direct, Unreached};
use crate::trust::EndpointId;
use crate::wire::Wire;
use member::Member;
pub(crate) use seen::Seen;
use seen::SeenPeers;

/// What replication takes.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The place on the bus.
    pub(crate) wire: Wire,
    pub(crate) wishes: Wishes,
    /// Answer sync requests. Who does not answer announces nothing.
    pub(crate) serve: bool,
    /// How often to ask all peers how they stand.
    pub(crate) poll: Duration,
    pub(crate) tasks: TaskTracker,
    /// Held by who still has to say good-bye when the agent stops.
    pub(crate) farewells: TaskTracker,
    pub(crate) stopped: CancellationToken,
    pub(crate) events: Arc<Events>,
}

/// The running replication of an agent.
#[derive(Debug)]
pub(crate) struct Replication {
    setup: Setup,
    /// The driver alone gives it inputs; others look.
    machine: Mutex<Replica>,
    inputs: UnboundedSender<Input>,
    /// By name of the repository.
    members: Mutex<BTreeMap<String, Arc<Member>>>,
    strangers: Mutex<BTreeMap<Peer, Time>>,
    seen: Mutex<SeenPeers>,
    /// What others have told of themselves.
    told_by: OnceLock<Arc<Members>>,
    /// What answers in this agent's name for other projects.
    bridges: OnceLock<Arc<Bridges>>,
    /// The tunnel, while there is one.
    tunnel: Mutex<Option<Tunnel>>,
    /// Whom streams of the tunnel did not reach.
    unreached: Unreached,
    /// Exchanges that went over streams of the tunnel.
    over_streams: std::sync::atomic::AtomicU64,
    /// What people were last told of the peers.
    told: watch::Sender<Vec<Known>>,
    refused: std::sync::atomic::AtomicU64,
    began: Instant,
    /// From the machine's time to the time of day, in milliseconds.
    offset: Mutex<i64>,
}

/// A project of this agent on the bus, as people see it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// The repository.
    pub(crate) name: String,
    /// What the machine knows.
    pub(crate) view: ProjectView,
    /// The last failure with each peer, and since when it fails.
    pub(crate) failures: BTreeMap<Peer, (Error, Time)>,
}

/// What is worth telling of a peer in a repository, or of a stranger in none: that it is there, and how the exchanges go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    repository: Option<String>,
    peer: Peer,
    exchanged: Option<Moment>,
    failures: u32,
}

/// The ways to an agent for one project.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    direct: Option<Direct>,
    line: Line,
}

impl Ways {
    /// Makes one exchange between the repository of `writer` and that agent with the client that `start` makes: on streams of the tunnel if it is
    /// reached there, else over the bus. Reports how far it is after each round trip.
    ///
    /// # Errors
    /// Those of [`Direct::exchange`] and [`Line::exchange`].
    pub(crate) async fn exchange(
        &self,
        writer: &Writer,
        start: impl Fn(&mut Repository) -> Result<Client, SyncError> + Clone + Send + 'static,
        mut progress: impl FnMut(&Summary),
    ) -> Result<Summary, Error> {
        let mut by_stream = None;
        if let Some(direct) = &self.direct {
            let exchanged = direct.exchange(writer, start.clone(), &mut progress).await;
            match exchanged {
                Err(error) if is_of_stream(error.code) => {
                    tracing::debug!(%error, "by the bus instead");
                    by_stream = Some(error);
                }
                exchanged => return exchanged,
            }
        }
        let exchanged = self.line.clone().exchange(writer, start, progress).await;
        exchanged.map_err(|error| match by_stream {
            // Nobody of that name on the bus says less than why the stream failed.
            Some(by_stream) if error.code == Code::NoPeer => by_stream
                .with_hint("Check that it runs and trusts this agent. A leaf answers only those that it has joined."),
            _ => error,
        })
    }
}

/// Whether an exchange failed for a reason that lies in its way.
fn is_of_stream(code: Code) -> bool {
    matches!(code, Code::Unreachable | Code::Remote | Code::RemoteLogin)
}

impl Replication {
    /// Begins to replicate on a bus that is there.
    ///
    /// # Errors
    /// When this agent's name on the bus is none, or the system has no random bytes.
    pub(crate) fn start(setup: Setup) -> Result<Arc<Self>, Error> {
        let me = Peer::parse(&setup.wire.keys.id().to_string());
        let me = me.map_err(|error| Error::internal(error.to_string()))?;
        let seed = crate::text::random().map_err(|error| Error::internal(error.to_string()))?;
        let machine = Replica::new(Config {
            me,
            pull: setup.wishes.pull,
            push: setup.wishes.push && setup.serve,
            bring: setup.wishes.push,
            bridge: false,
            unversioned: setup.wishes.unversioned,
            poll: setup.poll,
            seed: u64::from_be_bytes(seed),
        });
        let (inputs, queue) = unbounded_channel();
        let replication = Arc::new(Self {
            machine: Mutex::new(machine),
            inputs,
            members: Mutex::default(),
            strangers: Mutex::default(),
            seen: Mutex::default(),
            told_by: OnceLock::new(),
            bridges: OnceLock::new(),
            tunnel: Mutex::default(),
            unreached: Unreached::default(),
            over_streams: std::sync::atomic::AtomicU64::new(0),
            told: watch::Sender::default(),
            refused: std::sync::atomic::AtomicU64::new(0),
            began: Instant::now(),
            offset: Mutex::new(Time::now().unix_millis()),
            setup,
        });
        replication.tell(Input::Connected);
        let driver = driver::run(Arc::clone(&replication), queue);
        replication.setup.tasks.spawn(driver);
        Ok(replication)
    }

    /// Has bridges that leave a project to a repository which takes part in it.
    pub(crate) fn beside(&self, bridges: &Arc<Bridges>) {
        // There is one set of them in an agent.
        let _ = self.bridges.set(Arc::clone(bridges));
    }

    /// Has it heed what others tell of themselves.
    pub(crate) fn heed(&self, members: &Arc<Members>) {
        // There is one book of them in an agent.
        let _ = self.told_by.set(Arc::clone(members));
    }

    /// The bus.
    pub(crate) fn bus(&self) -> SharedBus {
        Arc::clone(&self.setup.wire.bus)
    }

    /// Has a repository take part.
    pub(crate) fn host(self: &Arc<Self>, hosted: &Arc<Hosted>) {
        let member = Arc::new(Member::new(Arc::clone(hosted), Arc::clone(self)));
        locked(&self.members).insert(hosted.name().to_owned(), Arc::clone(&member));
        member.start();
    }

    /// Returns the repositories that take part.
    pub(crate) fn hosted(&self) -> Vec<Arc<Hosted>> {
        let members = locked(&self.members);
        members
            .values()
            .map(|member| Arc::clone(&member.hosted))
            .collect()
    }

    /// Takes a repository from the bus.
    pub(crate) fn unhost(&self, name: &str) {
        let mut members = locked(&self.members);
        let member = members.remove(name);
        // While nobody can say that it begins: that must not be heard after its end.
        if let Some(project) = member.and_then(|member| member.project()) {
            // Nobody has gone because this agent hears no more of them.
            let view = locked(&self.machine).view_of(&project);
            let heard: BTreeSet<Peer> = view
                .into_iter()
                .flat_map(|it| it.peers)
                .map(|it| it.peer)
                .collect();
            locked(&self.seen).keep(|peer| !heard.contains(peer));
            self.tell(Input::Closed(project));
        }
    }

    /// Asks the peers of the named repository, or of all, for an exchange now.
    pub(crate) fn ask(&self, name: Option<&str>) {
        match name {
            None => self.tell(Input::Asked(None)),
            Some(name) => {
                let member = locked(&self.members).get(name).cloned();
                if let Some(project) = member.and_then(|member| member.project()) {
                    self.tell(Input::Asked(Some(project)));
                }
            }
        }
    }

    /// Tells the machine a fact.
    pub(crate) fn tell(&self, input: Input) {
        // The driver ends with the agent; then nothing is to be told any more.
        let _ = self.inputs.send(input);
    }

    /// Returns how every project of this agent stands on the bus.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let members: Vec<Arc<Member>> = locked(&self.members).values().cloned().collect();
        members
            .iter()
            .filter_map(|member| {
                let view = locked(&self.machine).view_of(&member.project()?)?;
                Some(Standing {
                    name: member.hosted.name().to_owned(),
                    view,
                    failures: member.failures(),
                })
            })
            .collect()
    }

    /// Returns how often what happened since the start, with repositories that are not here any more.
    pub(crate) fn counters(&self) -> Counters {
        locked(&self.machine).counters()
    }

    /// Returns the agents that spoke on the bus within a day and have no rights here, with the time.
    pub(crate) fn strangers(&self) -> Vec<(Peer, Time)> {
        let mut strangers = locked(&self.strangers);
        let oldest = Time::now().before(limits::GONE_SHOWN);
        strangers.retain(|_, at| *at >= oldest);
        strangers
            .iter()
            .map(|(peer, at)| (peer.clone(), *at))
            .collect()
    }

    /// Returns whom this agent heard within a day, those who have gone as well.
    pub(crate) fn seen(&self) -> BTreeMap<Peer, Seen> {
        locked(&self.seen).all()
    }

    /// Returns the time of day at which a peer was heard last, the same however often it is asked for.
    pub(crate) fn heard_at(&self, view: &PeerView) -> Time {
        let known = locked(&self.seen).time_of(view);
        known.unwrap_or_else(|| self.time_of(view.heard))
    }

    /// Takes note of when the peers were heard.
    fn note_seen(&self) {
        let standings = self.standings();
        let views = standings.iter().flat_map(|it| &it.view.peers);
        let views = views.filter(|view| self.counts(&view.peer));
        locked(&self.seen).note(views, Time::now(), |moment| self.time_of(moment));
    }

    /// Whether what was heard of a peer counts: of one that has no rights any more it is over.
    pub(crate) fn counts(&self, peer: &Peer) -> bool {
        let register = &self.setup.wire.trust.register;
        let id = peer.as_str().parse();
        id.map_or(true, |id| register.knows(&id))
    }

    /// Forgets those who have no rights any more.
    pub(crate) fn forget_unknown(&self) {
        for Standing { view, .. } in self.standings() {
            let lost = view.peers.into_iter().map(|it| it.peer);
            for peer in lost.filter(|peer| !self.counts(peer)) {
                self.tell(Input::Lost(peer));
            }
        }
        locked(&self.seen).keep(|peer| self.counts(peer));
    }

    /// Returns what changes when a peer comes, goes, or an exchange with one ends.
    pub(crate) fn news(&self) -> watch::Receiver<Vec<Known>> {
        self.told.subscribe()
    }

    /// Tells who listens for news how the peers are now, if that is any.
    fn tell_news(&self) {
        let strangers = self.strangers().into_iter();
        // That one of them has fallen silent is news.
        let heard = strangers.filter(|(_, at)| *at >= Time::now().before(PEER_PATIENCE));
        let mut known: Vec<Known> = heard
            .map(|(peer, _)| Known {
                repository: None,
                peer,
                exchanged: None,
                failures: 0,
            })
            .collect();
        for Standing { name, view, .. } in self.standings() {
            known.extend(view.peers.into_iter().map(|peer| Known {
                repository: Some(name.clone()),
                peer: peer.peer,
                exchanged: peer.exchanged,
                failures: peer.failures,
            }));
        }
        self.told.send_if_modified(|told| {
            let is_news = *told != known;
            *told = known;
            is_news
        });
    }

    /// Returns the repository of this project, if requests for it are answered.
    pub(crate) fn served(&self, project: &str) -> Option<Arc<Hosted>> {
        let members = locked(&self.members);
        let mut members = members.values().filter(|_| self.answers());
        let fits =
            |member: &&Arc<Member>| member.project().is_some_and(|it| it.as_str() == project);
        members.find(fits).map(|it| Arc::clone(&it.hosted))
    }

    /// Whether requests are answered.
    fn answers(&self) -> bool {
        self.setup.serve && self.setup.wishes.push
    }

    /// Returns the ways to an agent for a project that need not be here.
    pub(crate) fn ways(&self, peer: EndpointId, project: String) -> Ways {
        let direct = locked(&self.tunnel).clone().map(|tunnel| Direct {
            tunnel,
            peer,
            project: project.clone(),
        });
        let (wire, to) = (self.setup.wire.clone(), Some(peer.to_string()));
        Ways {
            direct,
            // A person has chosen whose answers count.
            line: Line::new(wire, project, to, Accepts::First),
        }
    }

    /// Returns the way to an agent for a project on streams of the tunnel, if its link of the bus runs there.
    fn direct(&self, peer: &Peer, project: &Project) -> Option<Direct> {
        let peer: EndpointId = peer.as_str().parse().ok()?;
        let tunnel = locked(&self.tunnel).clone()?;
        let good = crate::streams::stands(&tunnel, &peer) && self.unreached.may_try(&peer);
        good.then(|| Direct {
            tunnel,
            peer,
            project: project.to_string(),
        })
    }

    /// Has exchanges go over streams of this tunnel from now on, where they can.
    pub(crate) fn use_tunnel(&self, tunnel: Option<Tunnel>) {
        *locked(&self.tunnel) = tunnel;
    }

    /// Returns how many exchanges went over streams of the tunnel.
    pub(crate) fn over_streams(&self) -> u64 {
        self.over_streams.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Returns how many messages were not believed.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Returns the time of day of a moment of the machine.
    pub(crate) fn time_of(&self, moment: Moment) -> Time {
        let millis = |of: Moment| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
        let offset = Time::now().unix_millis().saturating_sub(millis(self.now()));
        // The same moment is the same time whenever that is asked for, but for a clock that was set or a sleep.
        let mut known = locked(&self.offset);
        if offset.abs_diff(*known) > limits::CLOCK_STEP_MS {
            *known = offset;
        }
        Time::from_unix_millis(millis(moment).saturating_add(*known))
    }

    fn now(&self) -> Moment {
        let millis = self.began.elapsed().as_millis();
        Moment::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn instant_of(&self, moment: Moment) -> Instant {
        self.began + Duration::from_millis(moment.as_millis())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single calls that leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
