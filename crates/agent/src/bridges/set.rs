//! The bridges of an agent, kept in `agent.db`. A project that one of its repositories has is that repository's: two that answer in one name would
//! get each other's messages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libfossil::name::ProjectCode;
use tokio::sync::Notify;

use super::running::{Host, Place, Running};
use crate::api::{self, AddBridge, Chosen, Code, Error, LinkState};
use crate::core::state_failure;
use crate::limits;
use crate::state::StateDb;
use crate::sync::{Remote, RemoteError};

/// The bridges of an agent.
pub(crate) struct Bridges {
    host: Host,
    state: Arc<StateDb>,
    entries: Mutex<BTreeMap<ProjectCode, Entry>>,
    /// One is added or removed at a time.
    changing: tokio::sync::Mutex<()>,
    /// Notified when something about a bridge changed that people see.
    news: Arc<Notify>,
}

/// A server that is, or should be, on the bus.
#[derive(Debug)]
enum Entry {
    Running(Running),
    /// A repository of this agent has the project.
    Unused(Place),
}

impl fmt::Debug for Bridges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridges").finish_non_exhaustive()
    }
}

impl Entry {
    fn place(&self) -> &Place {
        match self {
            Self::Running(running) => &running.place,
            Self::Unused(place) => place,
        }
    }

    fn show(&self) -> api::Bridge {
        let id = self.place().project.to_string();
        match self {
            Self::Running(running) => running.show(id, Chosen::App),
            Self::Unused(Place { remote, .. }) => {
                let shown = remote.shown();
                api::Bridge {
                    project_code: id.clone(),
                    id,
                    url: shown.url,
                    user: shown.user,
                    from: Chosen::App,
                    state: LinkState::Unused {
                        message: "a repository of this agent has the project; the server can be its remote".to_owned(),
                    },
                    answered: 0,
                    failed: 0,
                    last_request: None,
                }
            }
        }
    }
}

impl Bridges {
    /// Begins the bridges that `agent.db` remembers. Blocks on the file.
    ///
    /// # Errors
    /// When `agent.db` cannot be read, or the system has no random bytes.
    pub(crate) fn open(host: Host, state: Arc<StateDb>) -> Result<Arc<Self>, Error> {
        let places = state.bridges().map_err(|error| state_failure(&error))?;
        let bridges = Arc::new(Self {
            host,
            state,
            entries: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            news: Arc::default(),
        });
        for place in places {
            let project = place.project;
            let entry = Entry::Running(bridges.start(place)?);
            locked(&bridges.entries).insert(project, entry);
        }
        Ok(bridges)
    }

    /// Who waits for news of bridges waits for this.
    pub(crate) fn news(&self) -> &Notify {
        &self.news
    }

    /// Returns how the bridges stand, by project.
    pub(crate) fn show(&self) -> Vec<api::Bridge> {
        locked(&self.entries).values().map(Entry::show).collect()
    }

    /// Has a server on the bus, now and after each start. `hosted` are the projects of this agent's repositories.
    ///
    /// # Errors
    /// `bad_request` for what is no address, `conflict` when the project is here already, `unreachable` or one of the `remote` codes when the
    /// server does not say what project it has, `internal` when `agent.db` cannot be written.
    pub(crate) async fn add(
        &self,
        wish: AddBridge,
        hosted: &BTreeMap<String, String>,
    ) -> Result<api::Bridge, Error> {
        let _alone = self.changing.lock().await;
        let place = self.place(wish).await?;
        let project = place.project;
        let code = project.to_string();
        if let Some(name) = hosted.get(&code) {
            let message = format!("the repository {name} of this agent has the project");
            let hint = "Make the server the remote of that repository instead.";
            return Err(Error::new(Code::Conflict, message).with_hint(hint));
        }
        if let Some(other) = locked(&self.entries).get(&project) {
            let message = format!(
                "{} is on the bus with the same project",
                other.place().remote
            );
            return Err(Error::new(Code::Conflict, message));
        }
        let (state, kept) = (Arc::clone(&self.state), place.clone());
        let kept = tokio::task::spawn_blocking(move || state.add_bridge(&kept)).await;
        kept.map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| state_failure(&error))?;
        let running = self.start(place)?;
        running.ready.notified().await;
        let entry = Entry::Running(running);
        let shown = entry.show();
        locked(&self.entries).insert(project, entry);
        self.news.notify_one();
        Ok(shown)
    }

    /// Takes a server from the bus and forgets it.
    ///
    /// # Errors
    /// `not_found` when there is none of this id, `internal` when `agent.db` cannot be written.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), Error> {
        let _alone = self.changing.lock().await;
        let project: Option<ProjectCode> = id.parse().ok();
        let known = project.filter(|project| locked(&self.entries).contains_key(project));
        let project = known.ok_or_else(|| Error::not_found("there is no such bridge"))?;
        let state = Arc::clone(&self.state);
        let forget = move || state.remove_bridge(project.as_str());
        let forgotten = tokio::task::spawn_blocking(forget).await;
        forgotten
            .map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| state_failure(&error))?;
        locked(&self.entries).remove(&project);
        self.news.notify_one();
        Ok(())
    }

    /// Leaves a project to a repository of this agent. Returns when nobody answers for it any more.
    pub(crate) async fn make_way(&self, project: &str) {
        let Ok(project) = project.parse::<ProjectCode>() else {
            return;
        };
        let ended = {
            let mut entries = locked(&self.entries);
            let Some(Entry::Running(running)) = entries.get(&project) else {
                return;
            };
            let (place, ended) = (running.place.clone(), running.ended.clone());
            // This ends it.
            entries.insert(project, Entry::Unused(place));
            ended
        };
        self.news.notify_one();
        ended.cancelled().await;
    }

    /// Takes a project up again that no repository has any more.
    pub(crate) fn take_up(&self, project: &str) {
        let Ok(project) = project.parse::<ProjectCode>() else {
            return;
        };
        let mut entries = locked(&self.entries);
        if let Some(Entry::Unused(place)) = entries.get(&project) {
            match self.start(place.clone()) {
                Ok(running) => drop(entries.insert(project, Entry::Running(running))),
                Err(error) => tracing::warn!(%error, "a bridge did not begin"),
            }
            self.news.notify_one();
        }
    }

    async fn place(&self, wish: AddBridge) -> Result<Place, Error> {
        let texts = [Some(&wish.url), wish.user.as_ref(), wish.password.as_ref()];
        let long = |text: &String| text.len() > limits::TEXT_FIELD_BYTES;
        if texts.into_iter().flatten().any(long) {
            return Err(Error::bad_request(
                "an address or login of such length is none",
            ));
        }
        let remote: Result<Remote, RemoteError> = wish.url.parse();
        let remote = remote.map_err(|error| Error::bad_request(error.to_string()))?;
        let remote = remote.with_login(wish.user, wish.password);
        match wish.project_code {
            Some(code) => Ok(Place {
                remote,
                project: code
                    .parse()
                    .map_err(|error: libfossil::name::ProjectCodeError| {
                        Error::bad_request(error.to_string())
                    })?,
            }),
            None => Place::find(remote, &self.host.http).await,
        }
    }

    fn start(&self, place: Place) -> Result<Running, Error> {
        let news = Arc::clone(&self.news);
        Running::start(place, &self.host, move |_| news.notify_one())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single calls that leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
