//! What every part of the running agent shares: its repositories, its events, its state. The API and the fronts act through
//! this.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use libfossil::db::Access;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{
    AddRepository, AgentInfo, Code, CreateRepository, CreatedRepository, Error, Event, Level,
    Repository, State, Status, Time,
};
use crate::events::Events;
use crate::home::Home;
use crate::hosting::Hosting;
use crate::identity::Identity;
use crate::jobs::Jobs;
use crate::log::Log;
use crate::members::Members;
use crate::mesh::{Mesh, Parts};
use crate::metrics::Tally;
use crate::notifications::Notifications;
use crate::notify::{self, Post};
use crate::pause::Pauses;
use crate::phone::Phones;
use crate::repository::{Facts, Hosted, create, file_error};
use crate::shell::Shell;
use crate::state::StateDb;
use crate::sync::{Linker, Remote};
use crate::trust::Trust;
use crate::watch::FileWatch;

/// The running agent's parts.
pub(crate) struct Core {
    pub(crate) home: Home,
    /// What is told to other agents of this user.
    pub(crate) hosting: Hosting,
    /// What this process says, where it is kept.
    pub(crate) log: Option<Log>,
    pub(crate) peer_id: String,
    pub(crate) identity: Identity,
    pub(crate) started_at: Time,
    pub(crate) shell: Arc<dyn Shell>,
    pub(crate) events: Arc<Events>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) state: Arc<StateDb>,
    /// Who may say what on the bus.
    pub(crate) trust: Arc<Trust>,
    pub(crate) pauses: Pauses,
    /// The mesh's members.
    pub(crate) members: Arc<Members>,
    pub(crate) linker: Linker,
    /// The agent's part of the mesh, from its start on.
    pub(crate) mesh: OnceLock<Arc<Mesh>>,
    pub(crate) watch: FileWatch,
    /// How often files are looked at that nobody was seen to touch.
    pub(crate) poll: Duration,
    pub(crate) tasks: TaskTracker,
    /// Held by who still has to say good-bye when the agent stops; links last as long.
    pub(crate) farewells: TaskTracker,
    /// The address at which repositories are served, without a path.
    pub(crate) http: Option<String>,
    /// Cancelled when the agent stops.
    pub(crate) stopped: CancellationToken,
    /// Cancelled when someone asked the agent to quit.
    pub(crate) quit: CancellationToken,
    /// Questions and answers, where the agent has them.
    pub(crate) notify: OnceLock<Arc<Post>>,
    /// Phones that answer them.
    pub(crate) phones: OnceLock<Arc<Phones>>,
    /// The file with them, canonical.
    pub(crate) notify_path: Option<PathBuf>,
    /// Notifications, where there is a desktop to show them.
    pub(crate) notifications: OnceLock<Arc<Notifications>>,
    pub(crate) repositories: RwLock<BTreeMap<String, Arc<Hosted>>>,
    /// How the sync requests of others went for repositories that are not here any more.
    pub(crate) served_before: Tally,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("peer_id", &self.peer_id)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Returns the agent's status.
    pub(crate) fn status(&self) -> Status {
        let repositories = self.show_all();
        let worst = State::worst(repositories.iter().map(|repository| &repository.state));
        let pause = self.pauses.of_all();
        Status {
            agent: AgentInfo {
                version: crate::VERSION.to_owned(),
                peer_id: self.peer_id.clone(),
                endpoint_id: Some(self.identity.endpoint_id().to_owned()),
                pid: std::process::id(),
                started_at: self.started_at,
                shell: self.shell.is_desktop(),
                notify: self.notify.get().is_some(),
            },
            state: match pause {
                Some(pause) if repositories.is_empty() => worst.in_pause(pause),
                _ => worst,
            },
            pause,
            repositories,
        }
    }

    /// Returns every repository as the API shows it.
    pub(crate) fn show_all(&self) -> Vec<Repository> {
        self.all().iter().map(|hosted| hosted.show()).collect()
    }

    /// Returns every repository, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Hosted>> {
        let repositories = self
            .repositories
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        repositories.values().cloned().collect()
    }

    /// Returns the named repository.
    ///
    /// # Errors
    /// `not_found` when there is none of that name.
    pub(crate) fn repository(&self, name: &str) -> Result<Arc<Hosted>, Error> {
        let repositories = self
            .repositories
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        repositories
            .get(name)
            .cloned()
            .ok_or_else(|| Error::not_found("there is no repository of that name"))
    }

    /// Returns notify.
    ///
    /// # Errors
    /// `not_found` when the agent runs without.
    pub(crate) fn notify(&self) -> Result<Arc<Post>, Error> {
        self.notify.get().cloned().ok_or_else(|| {
            Error::not_found("this agent runs without notify").with_hint("start it with --notify")
        })
    }

    /// Starts to host the repository at `path`, which has to be absolute; its file may be missing. Without `remotes` it has
    /// the one that was set earlier. Blocks on the file.
    ///
    /// # Errors
    /// `conflict` when it is hosted already, `internal` when `agent.db` cannot be written.
    pub(crate) fn host(
        &self,
        path: PathBuf,
        mut remotes: Vec<Remote>,
    ) -> Result<Arc<Hosted>, Error> {
        if path.to_str().is_none() {
            return Err(Error::bad_request("the file's path is not UTF-8"));
        }
        let name = self
            .state
            .name(&path)
            .map_err(|error| state_failure(&error))?;
        if remotes.is_empty() {
            remotes.extend(
                self.state
                    .remote(&name)
                    .map_err(|error| state_failure(&error))?,
            );
        }
        let clone_url = self.http.as_ref().map(|base| format!("{base}/{name}"));
        let mut repositories = self
            .repositories
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if repositories.contains_key(&name) {
            return Err(Error::new(
                Code::Conflict,
                format!("{} is here already", path.display()),
            ));
        }
        let hosted = Hosted::open(
            name.clone(),
            path,
            clone_url,
            Arc::clone(&self.events),
            self.stopped.child_token(),
        );
        let hosted =
            Arc::new(hosted.map_err(|error| {
                Error::internal(format!("no thread for the repository: {error}"))
            })?);
        let notify_path = self.notify_path.as_deref();
        if notify_path == Some(hosted.path()) {
            hosted.sync_unversioned(notify::ATTACHMENTS);
        }
        hosted.set_pause(self.pauses.of(hosted.name()));
        if notify_path.is_some_and(|main| notify::moving::holds_messages(main, hosted.path())) {
            hosted.hold_notify();
        }
        repositories.insert(name, Arc::clone(&hosted));
        drop(repositories);
        hosted.keep(self.watch.watch(hosted.path()), self.poll, &self.tasks);
        hosted.link(remotes, &self.linker);
        if let Some(mesh) = self.mesh.get() {
            mesh.host(&hosted);
        }
        Ok(hosted)
    }

    /// Tells other agents of this user what this one hosts, and people which of it another one hosts too. Blocks on files.
    pub(crate) fn tell_hosted(&self) {
        let hosted = self.all();
        let paths = hosted.iter().map(|it| it.path().to_path_buf()).collect();
        let found = match self.hosting.tell(paths) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "other agents are not told what this one hosts");
                return;
            }
        };
        for (path, other) in found {
            if let Some(hosted) = hosted.iter().find(|it| it.path() == path) {
                hosted.log(Level::Warn, other.words());
            }
        }
    }

    /// Returns what the mesh takes from here.
    pub(crate) fn for_mesh(&self) -> Parts {
        Parts {
            peer_id: self.peer_id.clone(),
            keys: Arc::clone(self.identity.keys()),
            trust: Arc::clone(&self.trust),
            state: Arc::clone(&self.state),
            members: Arc::clone(&self.members),
            events: Arc::clone(&self.events),
            http: self.linker.http.clone(),
            wishes: self.linker.wishes,
            poll: self.poll,
            tasks: self.tasks.clone(),
            farewells: self.farewells.clone(),
            stopped: self.stopped.clone(),
        }
    }

    /// Has every repository take part in the mesh, those that come later too.
    pub(crate) fn join_mesh(&self, mesh: &Arc<Mesh>) {
        if self.mesh.set(Arc::clone(mesh)).is_ok() {
            for hosted in self.all() {
                mesh.host(&hosted);
            }
        }
    }

    /// Returns the agent's part of the mesh.
    ///
    /// # Errors
    /// `conflict` while the agent starts.
    pub(crate) fn mesh(&self) -> Result<&Arc<Mesh>, Error> {
        self.mesh
            .get()
            .ok_or_else(|| Error::new(Code::Conflict, "the agent is just starting").retryable())
    }

    /// Starts to host the repository at `path`, which has to be readable. Blocks on the file.
    ///
    /// # Errors
    /// `not_found`, `bad_request` or `repository` when there is no repository at `path`, `conflict` when it is hosted already.
    pub(crate) fn host_existing(
        &self,
        path: &Path,
        remotes: Vec<Remote>,
    ) -> Result<Arc<Hosted>, Error> {
        let path = existing(path)?;
        check_readable(&path)?;
        self.host(path, remotes)
    }

    /// Hosts an existing repository and remembers it for the next start. Blocks on the file.
    ///
    /// # Errors
    /// `not_found` or `bad_request` when there is no repository at `path`, `conflict` when it is hosted already.
    pub(crate) fn add(&self, wish: &AddRepository) -> Result<Arc<Hosted>, Error> {
        self.adopt(&wish.path, "added")
    }

    /// Makes a new repository, hosts it and remembers it. Blocks on the file.
    ///
    /// # Errors
    /// As `repository::create`.
    pub(crate) fn create(&self, wish: &CreateRepository) -> Result<CreatedRepository, Error> {
        check_absolute(&wish.path)?;
        let first = create(
            &wish.path,
            wish.project_name.as_deref(),
            wish.user.as_deref(),
        )?;
        let hosted = self.adopt(&wish.path, "created")?;
        Ok(CreatedRepository {
            repository: hosted.show(),
            user: first.login,
            password: first.password,
        })
    }

    /// Hosts the repository at `path` and remembers it for the next start.
    pub(crate) fn adopt(&self, path: &Path, how: &str) -> Result<Arc<Hosted>, Error> {
        let hosted = self.host_existing(path, Vec::new())?;
        self.state
            .keep(hosted.name())
            .map_err(|error| state_failure(&error))?;
        hosted.log(Level::Info, how);
        self.tell_hosted();
        Ok(hosted)
    }

    /// Forgets a repository; its file stays. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `not_found` when there is none of that name, `conflict` when it holds the questions and answers.
    pub(crate) fn forget(&self, name: &str) -> Result<(), Error> {
        let hosted = self.repository(name)?;
        if hosted.holds_notify() {
            let held = "it holds the questions and answers of this agent";
            return Err(Error::new(Code::Conflict, held)
                .with_hint("An agent that is started without notify has none."));
        }
        self.state
            .forget(name)
            .map_err(|error| state_failure(&error))?;
        self.unhost(hosted.name());
        self.tell_hosted();
        // One that comes back under this name is another one.
        self.pauses
            .set(Some(hosted.name()), None)
            .map_err(|error| state_failure(&error))?;
        self.events.log(
            Level::Info,
            Some(name),
            "removed from the list; the file is kept",
        );
        Ok(())
    }

    /// Sets or removes a repository's remote. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `not_found` when there is none of that name.
    pub(crate) fn set_remote(
        &self,
        name: &str,
        remote: Option<Remote>,
    ) -> Result<Arc<Hosted>, Error> {
        let hosted = self.repository(name)?;
        self.state
            .set_remote(name, remote.as_ref())
            .map_err(|error| state_failure(&error))?;
        hosted.link(remote.into_iter().collect(), &self.linker);
        Ok(hosted)
    }

    /// Asks the remotes of the named repository, or of all, for an exchange now.
    ///
    /// # Errors
    /// `not_found` when there is none of that name.
    pub(crate) fn sync_now(&self, name: Option<&str>) -> Result<(), Error> {
        match name {
            Some(name) => self.repository(name)?.sync_now(),
            None => self.all().iter().for_each(|hosted| hosted.sync_now()),
        }
        if let Some(mesh) = self.mesh.get() {
            mesh.replication().ask(name);
        }
        Ok(())
    }

    /// Returns how many sync requests of others succeeded and failed since the start.
    pub(crate) fn served(&self) -> (u64, u64) {
        let repositories = self
            .repositories
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let (mut succeeded, mut failed) = self.served_before.pair();
        for hosted in repositories.values() {
            let (answered, refused) = hosted.served().pair();
            succeeded += answered;
            failed += refused;
        }
        (succeeded, failed)
    }

    /// Ends everything that runs for a repository; it may be hosted anew.
    pub(crate) fn unhost(&self, name: &str) {
        let removed = {
            let mut repositories = self
                .repositories
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let removed = repositories.remove(name);
            if let Some(hosted) = &removed {
                self.served_before.add(hosted.served());
            }
            removed
        };
        if let Some(hosted) = removed {
            self.watch.unwatch(hosted.path());
            if let Some(mesh) = self.mesh.get() {
                mesh.unhost(name);
            }
            // Its thread ends by itself when what was handed over is written.
            let project = hosted.project_code();
            drop(hosted.close());
            if let (Some(mesh), Some(project)) = (self.mesh.get(), project) {
                mesh.bridges().take_up(&project);
            }
            self.events.publish(Event::Removed {
                name: name.to_owned(),
            });
        }
    }

    /// Closes every repository, and returns when all is written. Blocks.
    pub(crate) fn close_all(&self) {
        let repositories = std::mem::take(
            &mut *self
                .repositories
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let threads: Vec<_> = repositories
            .values()
            .filter_map(|hosted| hosted.close())
            .collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("the thread of a repository had panicked");
            }
        }
    }
}

/// Returns the canonical path of an existing file.
fn existing(path: &Path) -> Result<PathBuf, Error> {
    check_absolute(path)?;
    match fs::canonicalize(path) {
        Ok(path) if path.is_file() => Ok(path),
        Ok(path) => Err(Error::bad_request(format!(
            "{} is not a file",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::not_found(format!("there is no {}", path.display()))
                .with_hint("Check the path."))
        }
        Err(error) => Err(Error::new(
            Code::Repository,
            format!("{} cannot be read: {error}", path.display()),
        )),
    }
}

pub(crate) fn check_absolute(path: &Path) -> Result<(), Error> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Error::bad_request("the path has a NUL character in it"));
    }
    if path.is_absolute() {
        return Ok(());
    }
    let error = Error::bad_request("the path has to be absolute");
    Err(if path.starts_with("~") {
        error.with_hint("Write the home folder out: `~` means it to a shell only.")
    } else {
        error
    })
}

/// Makes sure that the file at `path` is a repository that can be read: its form, and the tables that every list shows.
fn check_readable(path: &Path) -> Result<(), Error> {
    libfossil::db::Repository::open(path, Access::ReadOnly).map_err(|error| file_error(&error))?;
    match Facts::read(path) {
        Ok(_) => Ok(()),
        Err(unreadable) => Err(Error {
            hint: unreadable.hint(),
            ..Error::new(Code::Repository, unreadable.to_string())
        }),
    }
}

pub(crate) fn state_failure(error: &rusqlite::Error) -> Error {
    Error::internal(format!("agent.db: {error}"))
}
