//! Hears what peers say of one project, and believes it when someone signed it who may write here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use edgesync_bus::{Message, SendError};
use edgesync_replica::{Announcement, Hello, Input, MessageError, Notice, Peer, Project, subject};
use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Replication, locked};
use crate::api::Time;
use crate::limits;
use crate::trust::{AuthError, Context, HEADER};
use crate::wire::{Wire, heard};

/// Reads a message and its sender's name.
pub(crate) type Parse = fn(&[u8]) -> Result<(Peer, Notice), MessageError>;

/// Why a message is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Doubt {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Signature(#[from] AuthError),
    #[error("it is not signed")]
    Unsigned,
    #[error("{0} signed it in another's name")]
    Name(Peer),
    #[error("{0} has no rights here")]
    Stranger(Peer),
}

/// Listens for what is said of `project` until `stop`; notifies `ready` when nothing is missed any more.
///
/// # Errors
/// [`SendError`] when the bus does not take the subscriptions.
pub(super) async fn listen(
    replication: Arc<Replication>,
    project: Project,
    ready: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), SendError> {
    let wire = &replication.setup.wire;
    let commit = subject::commit(&wire.prefix, &project);
    let hello = subject::hello(&wire.prefix, &project);
    let mut commits = wire.bus.subscribe(&commit, None).await?;
    let mut hellos = wire.bus.subscribe(&hello, None).await?;
    wire.bus.flush().await?;
    ready.notify_one();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            message = commits.next() => match message {
                Some(message) => replication.hear(&project, &message, announcement),
                None => return Ok(()),
            },
            message = hellos.next() => {
                // What its sender announced before it said hello came before, and waits by now. Heard after the hello it
                // would be no news any more, and what led to the exchange would be luck.
                while let Some(Some(earlier)) = commits.next().now_or_never() {
                    replication.hear(&project, &earlier, announcement);
                }
                match message {
                    Some(message) => replication.hear(&project, &message, greeting),
                    None => return Ok(()),
                }
            }
        }
    }
}

/// Returns what a message says of a project and who says so, when that is to be believed.
pub(crate) fn believe(
    wire: &Wire,
    project: &Project,
    message: &Message,
    parse: Parse,
) -> Result<(Peer, Notice), Doubt> {
    let statement = heard(Context::Announcement, message);
    let header = message.headers.get(HEADER);
    let signer = wire.trust.identify(header, &statement, Time::now())?;
    let signer = signer.map(|proof| proof.id);
    let (peer, notice) = parse(&message.payload)?;
    let rights = wire.trust.rights(signer.as_ref(), project.as_str());
    match signer {
        None if rights.may_write() => Ok((peer, notice)),
        None => Err(Doubt::Unsigned),
        Some(id) if id.to_string() != peer.as_str() => Err(Doubt::Name(peer)),
        Some(_) if rights.may_write() => Ok((peer, notice)),
        Some(_) => Err(Doubt::Stranger(peer)),
    }
}

fn announcement(bytes: &[u8]) -> Result<(Peer, Notice), MessageError> {
    let (message, peer) = Announcement::parse(bytes)?;
    Ok((peer, Notice::Announcement(message)))
}

/// Reads a hello.
///
/// # Errors
/// [`MessageError`].
pub(crate) fn greeting(bytes: &[u8]) -> Result<(Peer, Notice), MessageError> {
    let (message, peer) = Hello::parse(bytes)?;
    Ok((peer, Notice::Hello(message)))
}

impl Replication {
    /// Tells the machine what a message says, if it is believed.
    fn hear(&self, project: &Project, message: &Message, parse: Parse) {
        match believe(&self.setup.wire, project, message, parse) {
            Ok((from, notice)) => self.tell(Input::Heard {
                project: project.clone(),
                from,
                notice,
            }),
            // The bus doubled it, or somebody did.
            Err(Doubt::Signature(AuthError::Replayed)) => {}
            Err(doubt) => {
                if let Doubt::Stranger(peer) = &doubt {
                    self.remember_stranger(peer);
                }
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(subject = message.subject, %doubt, "not believed");
            }
        }
    }

    /// Takes note of an agent without rights, so that a person can give it some.
    fn remember_stranger(&self, peer: &Peer) {
        let mut strangers = locked(&self.strangers);
        strangers.insert(peer.clone(), Time::now());
        if strangers.len() > limits::STRANGERS {
            let oldest = strangers.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(peer, _)| peer.clone()) {
                strangers.remove(&oldest);
            }
        }
        drop(strangers);
        self.tell_news();
    }
}
