//! Notify without a running agent: the same office, opened for one command. It speaks on no bus; what it stores is found by the agent
//! when that looks, and goes to others by replication.

use std::path::Path;

use edgesync_notify::name::{MessageId, Project};
use libfossil::db::Repository;

use super::office::{Rights, rights};
use super::{Office, open};
use crate::api::{
    Error, NotifyConversation, NotifyMessage, NotifyStatus, NotifyThread, NotifyTrace, ReplyNotify,
    SendNotify,
};
use crate::home::Home;
use crate::identity::Identity;
use crate::state::StateDb;
use crate::trust::Register;

/// A repository of messages in the hands of one command.
#[derive(Debug)]
pub struct Alone {
    repo: Repository,
    office: Office,
}

impl Alone {
    /// Opens the repository at `path` for the agent whose home this is, under its `name` for people. Blocks on the file.
    ///
    /// # Errors
    /// `not_found` when there is no repository, `repository` when it cannot be used, `internal` when the home cannot.
    pub fn open(path: &Path, home: &Home, name: &str) -> Result<Self, Error> {
        let internal = |error: &dyn std::error::Error| Error::internal(error.to_string());
        let mut repo = open(path)?;
        home.create().map_err(|error| internal(&error))?;
        let identity = Identity::of(home).map_err(|error| internal(&error))?;
        let (office, _) = Office::open(&mut repo, &identity, name, known(home)?)?;
        Ok(Self { repo, office })
    }

    /// Says something.
    ///
    /// # Errors
    /// As [`Office::send`].
    pub fn send(&mut self, wish: &SendNotify) -> Result<NotifyMessage, Error> {
        let (message, _) = self.office.send(&mut self.repo, wish)?;
        Ok(self.office.show(&message))
    }

    /// Answers a question of a thread, or says something in it.
    ///
    /// # Errors
    /// As [`Office::reply`].
    pub fn reply(&mut self, thread: &str, wish: &ReplyNotify) -> Result<NotifyMessage, Error> {
        let (message, _) = self.office.reply(&mut self.repo, thread, wish)?;
        Ok(self.office.show(&message))
    }

    /// Returns the threads of a project, or all.
    ///
    /// # Errors
    /// `bad_request` when that can be no project.
    pub fn threads(&self, project: Option<&str>) -> Result<Vec<NotifyThread>, Error> {
        let project = project.map(Project::parse).transpose();
        let project = project.map_err(|error| Error::bad_request(error.to_string()))?;
        Ok(self.office.threads(project.as_ref()))
    }

    /// Returns a thread and its messages.
    ///
    /// # Errors
    /// As [`Office::conversation`].
    pub fn conversation(&self, thread: &str) -> Result<NotifyConversation, Error> {
        self.office.conversation(&self.repo, thread)
    }

    /// Returns which way a message went.
    ///
    /// # Errors
    /// `bad_request`, `not_found`, `repository`.
    pub fn trace(&self, id: &str) -> Result<NotifyTrace, Error> {
        let id = MessageId::parse(id).map_err(|error| Error::bad_request(error.to_string()))?;
        self.office.trace(&self.repo, &id)
    }

    /// Returns how the repository is.
    pub fn status(&self) -> NotifyStatus {
        let (messages, threads, waiting) = self.office.counts();
        NotifyStatus {
            repository: self.repo.path().to_path_buf(),
            project_code: self.repo.project_code().ok().map(|code| code.to_string()),
            messages: messages as u64,
            threads: threads as u64,
            waiting: waiting as u64,
            refused: 0,
            bus: false,
            answering: self.office.answering() as u64,
        }
    }
}

/// Returns who has rights in this home.
fn known(home: &Home) -> Result<Rights, Error> {
    let state_file = home.state_file();
    if !state_file.exists() {
        return Ok(Rights::default());
    }
    let failed = |error: &dyn std::error::Error| Error::internal(error.to_string());
    let (state, _) = StateDb::open(&state_file).map_err(|error| failed(&error))?;
    let register = Register::open(std::sync::Arc::new(state), [], []);
    Ok(rights(&register.map_err(|error| failed(&error))?))
}
