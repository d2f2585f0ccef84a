//! A repository of the agent: its file, what is known about it, and how it stands with its remotes.

mod facts;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::{self, State};
use crate::events::Events;
use crate::sync::Remote;
pub(crate) use facts::{Facts, Unreadable};

/// A repository that the agent hosts.
#[derive(Debug)]
pub(crate) struct Hosted {
    name: String,
    path: PathBuf,
    clone_url: Option<String>,
    events: Arc<Events>,
    view: Mutex<View>,
}

/// What changes over a repository's life.
#[derive(Debug)]
struct View {
    facts: Result<Facts, Unreadable>,
    remote: Option<Remote>,
}

impl Hosted {
    /// Looks at the repository at `path`, which does not have to be readable now.
    pub(crate) fn open(
        name: String,
        path: PathBuf,
        clone_url: Option<String>,
        remote: Option<Remote>,
        events: Arc<Events>,
    ) -> Self {
        let facts = Facts::read(&path);
        Self {
            name,
            path,
            clone_url,
            events,
            view: Mutex::new(View { facts, remote }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the repository as the API shows it.
    pub(crate) fn show(&self) -> api::Repository {
        let view = self.view();
        let facts = view.facts.as_ref().ok();
        let state = match &view.facts {
            Err(unreadable) => State::Missing {
                message: unreadable.to_string(),
                hint: unreadable.hint(),
            },
            Ok(_) if view.remote.is_none() => State::Local,
            Ok(_) => State::Never,
        };
        api::Repository {
            name: self.name.clone(),
            path: self.path.clone(),
            project_code: facts.map(|facts| facts.project_code.clone()),
            project_name: facts.and_then(|facts| facts.project_name.clone()),
            size: facts.map_or(0, |facts| facts.size),
            check_ins: facts.map_or(0, |facts| facts.check_ins),
            artifacts: facts.map_or(0, |facts| facts.artifacts),
            last_check_in: facts.and_then(|facts| facts.last_check_in.clone()),
            remote: view.remote.as_ref().map(Remote::shown),
            clone_url: self.clone_url.clone(),
            state,
        }
    }

    /// Sets or removes the remote.
    pub(crate) fn set_remote(&self, remote: Option<Remote>) {
        self.view().remote = remote;
        self.publish();
    }

    fn publish(&self) {
        self.events.publish(api::Event::Repository {
            repository: self.show(),
        });
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // Every change of a view is a single assignment.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
