//! Notify without a running agent: what an agent does for its messages, for as long as one command takes. On a bus, when it is given one; what is
//! said without goes to others by replication, once an agent looks.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use edgesync_notify::name::{MessageId, Project};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Post, Setting, open};
use crate::api::{
    Error, Event, NotifyConversation, NotifyMessage, NotifyStatus, NotifyThread, NotifyTrace,
    ReplyNotify, SendNotify,
};
use crate::events::Events;
use crate::home::Home;
use crate::identity::Identity;
use crate::limits;
use crate::repository::Hosted;
use crate::state::StateDb;
use crate::sync::BusServer;
use crate::trust::{Register, Trust};

/// A repository of messages in the hands of one command.
#[derive(Debug)]
pub struct Alone {
    post: Arc<Post>,
    hosted: Arc<Hosted>,
    events: broadcast::Receiver<Arc<Event>>,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

impl Alone {
    /// Opens the repository at `path` for the agent whose home this is, under its `name` for people, and joins the bus.
    ///
    /// # Errors
    /// `not_found` when there is no repository, `repository` when it cannot be used, `internal` when the home cannot, `unreachable` or
    /// `remote_login` when the bus cannot.
    pub async fn open(
        path: &Path,
        home: &Home,
        name: &str,
        bus: Option<&BusServer>,
    ) -> Result<Self, Error> {
        // A wrong address is told before anything is made.
        let bus = match bus {
            Some(server) => Some(server.connect(name).await?),
            None => None,
        };
        let (events, stopped) = (Arc::new(Events::new()), CancellationToken::new());
        let (path, home, name) = (path.to_path_buf(), home.clone(), name.to_owned());
        let (shared, token) = (Arc::clone(&events), stopped.clone());
        let opening = move || Ok((parts(&path, &home, &name, &shared, token)?, name));
        let opened = tokio::task::spawn_blocking(opening).await;
        let (parts, name) = opened.map_err(|error| internal(&error))??;
        let tasks = TaskTracker::new();
        let alone = Self {
            events: events.listen(),
            hosted: Arc::clone(&parts.hosted),
            post: Post::open(Setting {
                hosted: parts.hosted,
                events,
                state: parts.state,
                trust: Arc::new(Trust::new(parts.register)),
                identity: parts.identity,
                name,
                tasks: tasks.clone(),
                farewells: TaskTracker::new(),
                stopped: stopped.clone(),
            })
            .await?,
            tasks,
            stopped,
        };
        if let Some(bus) = bus {
            alone.post.attach(Arc::new(bus)).await;
        }
        Ok(alone)
    }

    /// Says something.
    ///
    /// # Errors
    /// `bad_request` for what no message can say, `repository` when it cannot be stored.
    pub async fn send(&self, wish: SendNotify) -> Result<NotifyMessage, Error> {
        self.post.send(wish).await
    }

    /// Answers a question of a thread, or says something in it.
    ///
    /// # Errors
    /// `conflict` when the question is decided, `bad_request` when it does not offer this answer, `not_found`, `repository`.
    pub async fn reply(&self, thread: &str, wish: ReplyNotify) -> Result<NotifyMessage, Error> {
        self.post.reply(thread.to_owned(), wish).await
    }

    /// Returns a question as soon as it is decided, or as it is when the time is over.
    ///
    /// # Errors
    /// `bad_request` when it is none, `not_found`, `repository`.
    pub async fn answer(&self, id: &str, wait: Duration) -> Result<NotifyMessage, Error> {
        self.post.answer(message_id(id)?, wait).await
    }

    /// Takes back a question that was asked from here.
    ///
    /// # Errors
    /// `conflict` when no question of this agent waits under that id; `bad_request`, `repository`.
    pub async fn cancel(&self, id: &str) -> Result<NotifyMessage, Error> {
        self.post.cancel(message_id(id)?).await
    }

    /// Returns the threads of a project, or all.
    ///
    /// # Errors
    /// `bad_request` when that can be no project.
    pub async fn threads(&self, project: Option<&str>) -> Result<Vec<NotifyThread>, Error> {
        let project = project.map(Project::parse).transpose();
        let project = project.map_err(|error| Error::bad_request(error.to_string()))?;
        self.post.threads(project).await
    }

    /// Returns a thread and its messages.
    ///
    /// # Errors
    /// `not_found`, `bad_request` for digits that several threads start with, `repository`.
    pub async fn conversation(&self, thread: &str) -> Result<NotifyConversation, Error> {
        self.post.conversation(thread.to_owned()).await
    }

    /// Returns which way a message went.
    ///
    /// # Errors
    /// `bad_request`, `not_found`, `repository`.
    pub async fn trace(&self, id: &str) -> Result<NotifyTrace, Error> {
        self.post.trace(message_id(id)?).await
    }

    /// Returns how the repository is.
    ///
    /// # Errors
    /// `repository` when it cannot be read.
    pub async fn status(&self) -> Result<NotifyStatus, Error> {
        self.post.status().await
    }

    /// Returns the next message that comes, `None` when none can come any more.
    pub async fn heard(&mut self) -> Option<NotifyMessage> {
        loop {
            match self.events.recv().await {
                Ok(event) => {
                    if let Event::Message { message, .. } = &*event {
                        return Some((**message).clone());
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Ends it, when all that was said has left for the bus and is on the disk.
    pub async fn close(self) {
        if let Some(bus) = self.post.bus() {
            // It is stored; that it was not heard is no failure.
            let _ = tokio::time::timeout(limits::BUS_REPLY, bus.flush()).await;
        }
        self.stopped.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let thread = self.hosted.close();
        drop((self.post, self.hosted));
        if let Some(thread) = thread
            && !matches!(
                tokio::task::spawn_blocking(|| thread.join()).await,
                Ok(Ok(()))
            )
        {
            tracing::error!("the thread of the repository had panicked");
        }
    }
}

/// What is opened on the disk.
struct Parts {
    hosted: Arc<Hosted>,
    state: Arc<StateDb>,
    identity: Identity,
    register: Register,
}

fn parts(
    path: &Path,
    home: &Home,
    name: &str,
    events: &Arc<Events>,
    stopped: CancellationToken,
) -> Result<Parts, Error> {
    drop(open(path)?);
    home.create().map_err(|error| internal(&error))?;
    let identity = Identity::of(home).map_err(|error| internal(&error))?;
    let (state, _) = StateDb::open(&home.state_file()).map_err(|error| internal(&error))?;
    let state = Arc::new(state);
    let register = Register::open(Arc::clone(&state), [], []).map_err(|error| internal(&error))?;
    let hosted = Hosted::open(
        name.to_owned(),
        path.to_path_buf(),
        None,
        Arc::clone(events),
        stopped,
    );
    Ok(Parts {
        hosted: Arc::new(hosted.map_err(|error| internal(&error))?),
        state,
        identity,
        register,
    })
}

fn internal(error: &dyn fmt::Display) -> Error {
    Error::internal(error.to_string())
}

fn message_id(text: &str) -> Result<MessageId, Error> {
    MessageId::from_str(text).map_err(|error| Error::bad_request(error.to_string()))
}
