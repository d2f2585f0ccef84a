//! Clones a server's repository into a new file. What arrives is kept in a partial file beside the target until all of it is
//! here, so that half a clone is never taken for a repository; a clone to the same target that was cut off goes on where it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use libfossil::db::{Access, Error as FileError, NewRepository, Repository};
use libfossil::name::{HashName, ProjectCode};
use libfossil::xfer::client::{
    Client, Goal, NewClone, Summary, SyncError, is_empty_clone, is_partial_clone,
};

use super::condition::backoff;
use super::exchange;
use super::{Http, Remote, jitter};
use crate::api::{self, CloneRepository, Code, Error, Job, JobKind, JobState, Level};
use crate::clock;
use crate::core::{Core, check_absolute};
use crate::jobs::JobHandle;
use crate::limits;
use crate::lock::PassingLock;
use crate::mesh::AGENT_SCHEME;
use crate::place;
use crate::replication::Ways;
use crate::repository::{Writer, file_error, system_user};
use crate::text;

/// Failures in a row without anything new after which a clone gives up that has brought something. What has arrived is kept.
const TRIES: u32 = 5;

/// The same for one that has brought nothing yet: who waits for it had better hear soon that the address is wrong, or the other away.
const FIRST_TRIES: u32 = 2;

/// Starts to clone; the job tells how it goes.
///
/// # Errors
/// `bad_request` when address or path cannot be, `conflict` when something is at the path already.
pub(crate) fn start(core: &Arc<Core>, wish: CloneRepository) -> Result<Job, Error> {
    let named = wish.path.clone();
    let source = Source::of(core, wish)?;
    let path = match (named, &source) {
        (Some(path), _) => path,
        (None, Source::Agent { name, .. }) => place_for(core, name)?,
        (None, Source::Server(_)) => return Err(Error::bad_request("the path is missing")),
    };
    check_absolute(&path)?;
    let target = Target::new(path, &source.address())?;
    let job = core.jobs.start(
        JobKind::Clone,
        format!("Clone {}", source.address()),
        source.shown(),
        target.path.clone(),
        &core.stopped,
    )?;
    let shown = job
        .show()
        .ok_or_else(|| Error::internal("the job is gone"))?;
    let core = Arc::clone(core);
    let tasks = core.tasks.clone();
    tasks.spawn(async move { run(&core, &job, &target, &source).await });
    Ok(shown)
}

/// Where a clone comes from.
enum Source {
    /// A server, which is the repository's remote from then on.
    Server(Remote),
    /// Another agent, with which the mesh keeps it equal.
    Agent {
        address: String,
        ways: Ways,
        /// What the repository is called there.
        name: String,
    },
}

impl Source {
    fn of(core: &Core, wish: CloneRepository) -> Result<Self, Error> {
        if wish.url.starts_with(AGENT_SCHEME) {
            let (ways, name) = core.mesh()?.ways_to(&wish.url)?;
            let address = wish.url;
            return Ok(Self::Agent {
                address,
                ways,
                name,
            });
        }
        let remote: Remote = wish
            .url
            .parse()
            .map_err(|error: super::RemoteError| Error::bad_request(error.to_string()))?;
        Ok(Self::Server(remote.with_login(wish.user, wish.password)))
    }

    fn address(&self) -> String {
        match self {
            Self::Server(remote) => remote.url().to_owned(),
            Self::Agent { address, .. } => address.clone(),
        }
    }

    fn shown(&self) -> api::Remote {
        match self {
            Self::Server(remote) => remote.shown(),
            Self::Agent { address, .. } => api::Remote {
                url: address.clone(),
                user: None,
            },
        }
    }
}

/// Returns a file for a clone that nobody named one for: beside the agent's repositories, or in the home folder. Its name comes from elsewhere, so
/// no more of it is kept than what is harmless in a path.
fn place_for(core: &Core, name: &str) -> Result<PathBuf, Error> {
    let beside = core.show_all().pop();
    let folder = beside.and_then(|it| it.path.parent().map(Path::to_path_buf));
    let home = || directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf());
    let folder = folder.or_else(home).ok_or_else(|| {
        Error::bad_request("the path is missing, and this system tells no home folder")
    })?;
    let stem = file_stem(name);
    (1..=limits::SAME_NAMES)
        .map(|number| match number {
            1 => folder.join(format!("{stem}.fossil")),
            _ => folder.join(format!("{stem}-{number}.fossil")),
        })
        .find(|path| path.symlink_metadata().is_err())
        .ok_or_else(|| {
            let message = format!("{} has too many files of this name", folder.display());
            Error::new(Code::Conflict, message)
        })
}

/// Returns the harmless part of a name.
fn file_stem(name: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let kept: String = name
        .chars()
        .map(|c| if harmless(c) { c } else { '-' })
        .take(64)
        .collect();
    match kept.trim_start_matches(['.', '-']) {
        "" => "clone".to_owned(),
        stem => stem.to_owned(),
    }
}

/// When a clone was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// By this try.
    Now,
    /// By an earlier one, which was cut off.
    Before,
}

/// Where a clone goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    path: PathBuf,
    /// The file while it is not complete. Its name has the address in it, so that a clone of something else begins anew.
    partial: PathBuf,
}

impl Target {
    pub(super) fn new(path: PathBuf, address: &str) -> Result<Self, Error> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::bad_request("the path names no file"));
        };
        let mark = HashName::sha1_of(address.as_bytes());
        let partial = path.with_file_name(format!(".{name}.{}.clone", mark.short()));
        place::check(&path)?;
        Ok(Self { path, partial })
    }

    /// The file while it is not complete.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Makes the partial file where there is none that can be gone on with. Returns which of both it is, and a lock that keeps others from
    /// it. Blocks.
    pub(super) fn prepare(&self) -> Result<(Begun, PassingLock), Error> {
        let lock = self.lock()?;
        self.begin().map(|begun| (begun, lock))
    }

    fn lock(&self) -> Result<PassingLock, Error> {
        match PassingLock::take(self.beside("-lock")) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Error::new(
                Code::Conflict,
                format!("{} is being cloned already", self.path.display()),
            )
            .with_hint("Wait until that is done, or choose another name.")),
            Err(error) => Err(place::refused(&self.path, &error)),
        }
    }

    fn begin(&self) -> Result<Begun, Error> {
        match Repository::open(&self.partial, Access::ReadOnly) {
            Ok(repository) if is_partial_clone(&repository).unwrap_or(false) => {
                return Ok(Begun::Before);
            }
            Err(error @ FileError::Busy(_)) => return Err(file_error(&error)),
            Ok(_) | Err(_) => self.remove(),
        }
        let password = text::password().map_err(no_random)?;
        let new = NewRepository {
            project_code: None,
            server_code: text::random()
                .map(ProjectCode::from_random)
                .map_err(no_random)?,
            project_name: None,
            admin: &system_user(),
            password: &password,
            initial_check_in: false,
            now: clock::now(),
        };
        Repository::create(&self.partial, &new)
            .map(|_| Begun::Now)
            .map_err(|error| file_error(&error))
    }

    /// Removes the partial file of a clone that failed, if it is not worth keeping for the next try: nothing is in it, or the
    /// login was `refused`, after which a stock server may still have sent what everybody may read. Blocks.
    pub(super) fn give_up(&self, begun: Begun, refused: bool) {
        if begun == Begun::Now && refused {
            return self.remove();
        }
        let empty = Repository::open(&self.partial, Access::ReadOnly)
            .and_then(|repository| is_empty_clone(&repository));
        if matches!(empty, Ok(true)) {
            self.remove();
        }
    }

    /// Gives the complete file its name, unless something has taken it meanwhile. Blocks.
    pub(super) fn publish(&self) -> Result<(), Error> {
        // Unlike a rename, a link never replaces what is there.
        let published =
            fs::hard_link(&self.partial, &self.path).and_then(|()| fs::remove_file(&self.partial));
        let published = match published {
            Err(error)
                if error.kind() == io::ErrorKind::Unsupported
                    || error.kind() == io::ErrorKind::PermissionDenied =>
            {
                fs::rename(&self.partial, &self.path)
            }
            other => other,
        };
        published.map_err(|error| {
            let code = if error.kind() == io::ErrorKind::AlreadyExists {
                Code::Conflict
            } else {
                Code::Repository
            };
            Error::new(
                code,
                format!("{} cannot be made: {error}", self.path.display()),
            )
        })
    }

    /// Returns the path of a file that belongs to the partial one.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.partial.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    /// Removes the partial file with its journals and pieces. Blocks.
    fn remove(&self) {
        for suffix in ["", "-journal", "-wal", "-shm", "-pieces"] {
            match fs::remove_file(self.beside(suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %self.partial.display(), %error, "a partial clone cannot be removed");
                }
                _ => {}
            }
        }
    }
}

/// Runs a clone job to its end.
async fn run(core: &Arc<Core>, job: &JobHandle, target: &Target, source: &Source) {
    let mut prepared = None;
    let ended = match prepare(target).await {
        Err(error) => Some(Err(error)),
        Ok((writer, begun, lock)) => {
            prepared = Some((begun, lock));
            let ended = tokio::select! {
                () = job.cancelled().cancelled() => None,
                cloned = clone(&writer, &core.linker.http, job, source, begun) => Some(cloned),
            };
            close(&writer).await;
            ended
        }
    };
    let adopted = match ended {
        Some(Ok(())) => Some(adopt(core, target, source).await),
        Some(Err(error)) => Some(Err(error)),
        None => None,
    };
    match adopted {
        Some(Ok(name)) => {
            drop(prepared);
            job.update(|job| {
                job.state = JobState::Done;
                job.error = None;
                job.repository = Some(name);
            });
        }
        Some(Err(error)) => {
            let target = target.clone();
            let refused = error.code == Code::RemoteLogin;
            if let Some((begun, lock)) = prepared {
                let give_up = move || {
                    target.give_up(begun, refused);
                    drop(lock);
                };
                let _ = tokio::task::spawn_blocking(give_up).await;
            }
            core.events.log(
                Level::Error,
                None,
                format!(
                    "the clone of {} failed: {}",
                    source.address(),
                    error.message
                ),
            );
            job.update(|job| {
                job.state = JobState::Failed;
                job.error = Some(error);
            });
        }
        None => {
            // When the agent stops, what has arrived is kept for the next try; when a person cancels, it goes.
            if !core.stopped.is_cancelled() {
                let target = target.clone();
                let _ = tokio::task::spawn_blocking(move || target.remove()).await;
            }
            drop(prepared);
            job.update(|job| job.state = JobState::Cancelled);
        }
    }
}

/// Makes the partial file and the thread that fills it.
async fn prepare(target: &Target) -> Result<(Writer, Begun, PassingLock), Error> {
    let target = target.clone();
    blocking(move || {
        let (begun, lock) = target.prepare()?;
        let writer = Writer::start("clone", &target.partial)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok((writer, begun, lock))
    })
    .await
}

/// Waits until nothing has the partial file open.
async fn close(writer: &Writer) {
    let Some(thread) = writer.close() else { return };
    if !matches!(
        tokio::task::spawn_blocking(|| thread.join()).await,
        Ok(Ok(()))
    ) {
        tracing::error!("the thread of a clone had panicked");
    }
}

/// Brings everything into the partial file, trying again while the server goes away and comes back.
async fn clone(
    writer: &Writer,
    http: &Http,
    job: &JobHandle,
    source: &Source,
    begun: Begun,
) -> Result<(), Error> {
    let mut failures = 0;
    let mut tries = match begun {
        Begun::Now => FIRST_TRIES,
        Begun::Before => TRIES,
    };
    loop {
        let before = job.show().map_or(0, |job| job.done);
        let error = match attempt(writer, http, job, source).await {
            Ok(summary) => {
                tracing::info!(
                    received = summary.artifacts_received,
                    bytes = summary.received_bytes,
                    "a clone is complete"
                );
                return Ok(());
            }
            Err(error) => error,
        };
        let came_on = job.show().is_some_and(|job| job.done > before);
        failures = if came_on { 0 } else { failures + 1 };
        if came_on {
            tries = TRIES;
        }
        if !error.retryable || failures >= tries {
            return Err(error);
        }
        let wait = backoff(failures, jitter());
        job.update(|job| job.error = Some(error));
        tokio::time::sleep(wait).await;
    }
}

/// Makes one try.
async fn attempt(
    writer: &Writer,
    http: &Http,
    job: &JobHandle,
    source: &Source,
) -> Result<Summary, Error> {
    let owner = NewClone {
        admin: system_user(),
        password: text::password().map_err(no_random)?,
    };
    let start = move |repository: &mut Repository, login| -> Result<Client, SyncError> {
        Client::clone_into(
            repository,
            Goal::default(),
            login,
            owner.clone(),
            clock::now(),
        )
    };
    let (done, bytes) = job.show().map_or((0, 0), |job| (job.done, job.bytes));
    let mut shown = Instant::now().checked_sub(limits::PROGRESS);
    let progress = |summary: &Summary| {
        if shown.is_none_or(|shown| shown.elapsed() >= limits::PROGRESS) {
            shown = Some(Instant::now());
            job.update(|job| {
                job.done = done.saturating_add(summary.artifacts_received as u64);
                job.bytes = bytes.saturating_add(summary.received_bytes);
                job.error = None;
            });
        }
    };
    let summary = match source {
        Source::Server(remote) => exchange::run(writer, http, remote, start, progress).await?,
        Source::Agent { ways, .. } => {
            let start = move |repository: &mut Repository| start(repository, None);
            ways.exchange(writer, start, progress).await?
        }
    };
    job.update(|job| {
        job.done = done.saturating_add(summary.artifacts_received as u64);
        job.total = Some(job.done);
        job.bytes = bytes.saturating_add(summary.received_bytes);
    });
    Ok(summary)
}

/// Gives the clone its name and makes it a repository of the agent, with a server as its remote. Returns its name here.
async fn adopt(core: &Arc<Core>, target: &Target, source: &Source) -> Result<String, Error> {
    let remote = match source {
        Source::Server(remote) => Some(remote.clone()),
        Source::Agent { .. } => None,
    };
    let (core, target) = (Arc::clone(core), target.clone());
    blocking(move || {
        target.publish()?;
        let hosted = core.adopt(&target.path, "cloned")?;
        if remote.is_some() {
            core.set_remote(hosted.name(), remote)?;
        }
        Ok(hosted.name().to_owned())
    })
    .await
}

fn no_random(error: getrandom::Error) -> Error {
    Error::internal(format!("the system gives no random bytes: {error}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::internal(format!("the work did not end: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_elsewhere_leads_into_no_other_folder() {
        for (name, stem) in [
            ("notes", "notes"),
            ("my notes.v2", "my-notes.v2"),
            ("../../etc/passwd", "etc-passwd"),
            (".ssh", "ssh"),
            ("a\u{202e}b/c", "a-b-c"),
            ("//", "clone"),
            ("", "clone"),
        ] {
            assert_eq!(file_stem(name), stem, "{name}");
        }
        assert!(file_stem(&"x".repeat(500)).len() <= 64);
    }
}
