//! How records and catalogues spread: who has something that another lacks is asked for it.
//!
//! Over the bus each agent says hello at `<prefix>.members.hello`, at a slow beat and whenever its records change, and answers at
//! `<prefix>.members.sync.<endpoint id>`. Everything is signed with the header of [`crate::trust::auth`], and counts only when it comes from an
//! agent that has rights here. Over a stream between two agents the same is said once in both directions: see [`exchange`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edgesync_bus::{Headers, Message, Publish, Request, SendError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::book::Members;
use crate::api::{Error, Role, Time};
use crate::frames;
use crate::limits;
use crate::notify::moving::is_behind;
use crate::pair::DeviceName;
use crate::repository::Hosted;
use crate::trust::auth::{sign, verify_reply};
use crate::trust::{Context, EndpointId, HEADER, Statement};
use crate::wire::{Wire, heard};

/// The part of the subjects after the prefix. No project's code is like it.
const MEMBERS: &str = "members";

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// What it calls itself.
    name: DeviceName,
    /// Its role.
    role: Role,
    /// Of all its records.
    records: String,
    /// Of what others can clone from it.
    catalogue: String,
    /// The records of revocation that it has heard, as they are named in lists.
    revocations: BTreeSet<String>,
}

/// A question for records.
#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    have: BTreeSet<String>,
}

/// The answer to it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    records: Vec<String>,
    /// Whether there are more, for who asks again.
    more: bool,
    /// What the asker can clone.
    repositories: Vec<Offered>,
}

/// A repository that another agent has, as it tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub(crate) name: String,
    /// The project's code.
    pub(crate) project_code: String,
    /// Bytes of its file.
    pub(crate) size: u64,
    /// What this agent may do there, in Fossil's letters.
    pub(crate) capabilities: String,
}

/// What a member has last told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: Time,
    pub(crate) hello: Hello,
    pub(crate) repositories: Vec<Offered>,
}

impl Hello {
    /// Whether the agent has heard of a revocation that one of these records tells.
    pub(crate) fn has_heard(&self, records: &BTreeSet<String>) -> bool {
        !self.revocations.is_disjoint(records)
    }

    /// What it calls itself.
    pub(crate) fn name(&self) -> &DeviceName {
        &self.name
    }

    /// The role that it tells.
    pub(crate) fn role(&self) -> Role {
        self.role
    }
}

/// Spreads this agent's records and hears those of others.
pub(crate) struct Spread {
    members: Arc<Members>,
    repositories: Box<dyn Fn() -> Vec<Arc<Hosted>> + Send + Sync>,
    wire: Wire,
    role: Box<dyn Fn() -> Role + Send + Sync>,
    greet: Notify,
}

impl std::fmt::Debug for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spread").finish_non_exhaustive()
    }
}

impl Spread {
    /// Begins to spread over the bus.
    pub(crate) fn start(
        members: Arc<Members>,
        repositories: impl Fn() -> Vec<Arc<Hosted>> + Send + Sync + 'static,
        wire: Wire,
        role: impl Fn() -> Role + Send + Sync + 'static,
        tasks: &TaskTracker,
        stopped: &CancellationToken,
    ) -> Arc<Self> {
        let spread = Arc::new(Self {
            members,
            repositories: Box::new(repositories),
            wire,
            role: Box::new(role),
            greet: Notify::new(),
        });
        let (wanted, queue) = mpsc::channel(limits::MEMBER_PULLS);
        let run =
            |task: &'static str,
             stop: CancellationToken,
             future: futures_util::future::BoxFuture<'static, Result<(), SendError>>| async move {
                let ended = tokio::select! {
                    () = stop.cancelled() => Ok(()),
                    ended = future => ended,
                };
                if let Err(error) = ended {
                    tracing::warn!(task, %error, "the mesh's records do not spread over the bus");
                }
            };
        let of = |spread: &Arc<Self>| Arc::clone(spread);
        tasks.spawn(run(
            "hear",
            stopped.clone(),
            Box::pin(of(&spread).hear(wanted)),
        ));
        tasks.spawn(run(
            "answer",
            stopped.clone(),
            Box::pin(of(&spread).answer()),
        ));
        tasks.spawn(run(
            "pull",
            stopped.clone(),
            Box::pin(of(&spread).pull_all(queue)),
        ));
        tasks.spawn(run("tell", stopped.clone(), Box::pin(of(&spread).tell())));
        spread
    }

    /// Says hello soon: a link has come up, or somebody has new rights.
    pub(crate) fn greet(&self) {
        self.greet.notify_one();
    }

    /// Returns what this agent says of itself.
    fn hello(&self) -> Hello {
        let view = self.members.view();
        let own = (self.repositories)();
        let mut codes: Vec<(String, String)> = own
            .iter()
            .map(|hosted| {
                (
                    hosted.project_code().unwrap_or_default(),
                    hosted.name().to_owned(),
                )
            })
            .collect();
        codes.sort();
        let register = &self.wire.trust.register;
        let parts: Vec<u8> = codes
            .into_iter()
            // Who is told of a repository is told what it may there.
            .flat_map(|(code, name)| {
                let rights = register.everyone(&code);
                format!("{code} {name} {rights:?}\n").into_bytes()
            })
            .collect();
        let catalogue = ring::digest::digest(&ring::digest::SHA256, &parts);
        Hello {
            name: self.members.own_name().clone(),
            role: (self.role)(),
            records: self.members.fingerprint(),
            catalogue: crate::text::to_hex(catalogue.as_ref()),
            revocations: view
                .revoked
                .values()
                .flat_map(|it| it.records.clone())
                .collect(),
        }
    }

    /// Returns what another agent can clone here.
    fn catalogue(&self, asker: &EndpointId) -> Vec<Offered> {
        // What only waits for those that were away is no project of anybody's.
        let own = (self.repositories)().into_iter();
        let own = own.filter(|it| !(it.holds_notify() && is_behind(it.path())));
        let offered = own.filter_map(|hosted| {
            let project_code = hosted.project_code()?;
            let rights = self.wire.trust.rights(Some(asker), &project_code);
            rights.may_clone().then(|| Offered {
                name: hosted.name().to_owned(),
                capabilities: rights.to_string(),
                size: hosted.show().size,
                project_code,
            })
        });
        offered.take(limits::CATALOGUE).collect()
    }

    /// Says hello at a slow beat, and when there is news.
    async fn tell(self: Arc<Self>) -> Result<(), SendError> {
        let mut changes = self.members.changes();
        let subject = format!("{}.{MEMBERS}.hello", self.wire.prefix);
        loop {
            let jitter = crate::text::random::<1>().map_or(0, |[byte]| u64::from(byte) % 20);
            let beat = limits::MEMBER_BEAT + Duration::from_secs(jitter);
            tokio::select! {
                () = tokio::time::sleep(beat) => {}
                () = self.greet.notified() => {}
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
            if let Some((headers, payload)) =
                self.signed(Context::Announcement, &subject, None, &self.hello())
            {
                let publish = Publish {
                    headers,
                    ..Publish::new(subject.clone(), payload)
                };
                if let Err(error) = self.wire.bus.publish(publish).await {
                    tracing::debug!(%error, "no hello to the mesh");
                }
            }
        }
    }

    /// Hears who has other records than this agent, or another catalogue than it told last.
    async fn hear(
        self: Arc<Self>,
        wanted: mpsc::Sender<(EndpointId, Hello)>,
    ) -> Result<(), SendError> {
        let subject = format!("{}.{MEMBERS}.hello", self.wire.prefix);
        let mut hellos = self.wire.bus.subscribe(&subject, None).await?;
        self.wire.bus.flush().await?;
        self.greet();
        while let Some(message) = hellos.next().await {
            let Some((from, _, hello)) = self.believe::<Hello>(Context::Announcement, &message)
            else {
                continue;
            };
            let known = self.members.told(&from);
            let same = known.as_ref().is_some_and(|told| {
                let age = Time::now()
                    .unix_millis()
                    .saturating_sub(told.at.unix_millis());
                told.hello == hello
                    && Duration::from_millis(age.unsigned_abs()) < limits::CATALOGUE_LIFE
            });
            if !same || hello.records != self.members.fingerprint() {
                // One more hello comes when there is no room now.
                let _ = wanted.try_send((from, hello));
            }
        }
        Ok(())
    }

    /// Asks those that have news, one after the other.
    async fn pull_all(
        self: Arc<Self>,
        mut queue: mpsc::Receiver<(EndpointId, Hello)>,
    ) -> Result<(), SendError> {
        while let Some((from, hello)) = queue.recv().await {
            if let Err(error) = self.pull(from, hello).await {
                tracing::debug!(%from, %error, "the mesh's records were not pulled");
            }
        }
        Ok(())
    }

    async fn pull(&self, from: EndpointId, hello: Hello) -> Result<(), Error> {
        let subject = format!("{}.{MEMBERS}.sync.{from}", self.wire.prefix);
        for _ in 0..limits::MEMBER_PAGES {
            let ask = Ask {
                have: self.members.have(),
            };
            let answer: Answer = self.ask(&from, &subject, &ask).await?;
            let (more, repositories) = (answer.more, answer.repositories);
            let new = self.take(answer.records).await?;
            let repositories = repositories.into_iter().take(limits::CATALOGUE).collect();
            self.members.note(
                from,
                Told {
                    at: Time::now(),
                    hello: hello.clone(),
                    repositories,
                },
            );
            if !more || new == 0 {
                break;
            }
        }
        // Who has less than this agent hears that it has more.
        if hello.records != self.members.fingerprint() {
            self.greet();
        }
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        from: &EndpointId,
        subject: &str,
        ask: &Ask,
    ) -> Result<T, Error> {
        let bus = &self.wire.bus;
        let inbox = bus.new_inbox();
        let payload = Bytes::from(
            serde_json::to_vec(ask).map_err(|error| Error::internal(error.to_string()))?,
        );
        let nonce = crate::text::random().map_err(|error| Error::internal(error.to_string()))?;
        let statement = plain(Context::Request, subject, Some(&inbox), &payload);
        let headers = Headers::new().with(
            HEADER,
            sign(&self.wire.keys, &statement, &nonce, Time::now()),
        );
        let request = Request {
            subject: subject.to_owned(),
            inbox,
            headers,
            payload,
            timeout: limits::MEMBER_REPLY,
        };
        let reply = bus
            .request(request)
            .await
            .map_err(|error| Error::internal(error.to_string()))?;
        let signer = verify_reply(
            reply.headers.get(HEADER),
            &heard(Context::Reply, &reply),
            &nonce,
        );
        match signer {
            Ok(Some(signer)) if signer == *from => serde_json::from_slice(&reply.payload)
                .map_err(|error| Error::internal(error.to_string())),
            Ok(_) => Err(Error::internal("somebody else answered")),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }

    /// Answers those who ask for records.
    async fn answer(self: Arc<Self>) -> Result<(), SendError> {
        let subject = format!(
            "{}.{MEMBERS}.sync.{}",
            self.wire.prefix,
            self.wire.keys.id()
        );
        let mut requests = self.wire.bus.subscribe(&subject, None).await?;
        self.wire.bus.flush().await?;
        while let Some(message) = requests.next().await {
            let Some((from, nonce, ask)) = self.believe::<Ask>(Context::Request, &message) else {
                continue;
            };
            let Some(inbox) = message.reply.clone() else {
                continue;
            };
            let answer = self.answer_to(&from, &ask.have, self.wire.budget().usual);
            let Ok(payload) = serde_json::to_vec(&answer).map(Bytes::from) else {
                continue;
            };
            let statement = plain(Context::Reply, &inbox, None, &payload);
            let headers = Headers::new().with(
                HEADER,
                sign(&self.wire.keys, &statement, &nonce, Time::now()),
            );
            let publish = Publish {
                headers,
                ..Publish::new(inbox, payload)
            };
            if let Err(error) = self.wire.bus.publish(publish).await {
                tracing::debug!(%from, %error, "a question for records was not answered");
            }
        }
        Ok(())
    }

    fn answer_to(&self, asker: &EndpointId, have: &BTreeSet<String>, bytes: usize) -> Answer {
        let repositories = self.catalogue(asker);
        let used = serde_json::to_vec(&repositories).map_or(0, |json| json.len());
        let (records, more) = self.members.lacking(have, bytes.saturating_sub(used + 256));
        Answer {
            records,
            more,
            repositories,
        }
    }

    /// Only members say hello over a stream, so this one keeps its pairing with this agent.
    async fn has_met(&self, peer: EndpointId) -> Result<(), frames::FrameError> {
        let members = Arc::clone(&self.members);
        let confirmed = tokio::task::spawn_blocking(move || members.confirm(&peer)).await;
        let other = |error: &dyn std::fmt::Display| frames::FrameError::Other(error.to_string());
        confirmed
            .map_err(|error| other(&error))?
            .map(drop)
            .map_err(|error| other(&error.message))
    }

    async fn take(&self, records: Vec<String>) -> Result<usize, Error> {
        if records.is_empty() {
            return Ok(0);
        }
        let members = Arc::clone(&self.members);
        let taken = tokio::task::spawn_blocking(move || members.take(&records)).await;
        taken.map_err(|error| Error::internal(error.to_string()))?
    }

    /// Returns who said it, its nonce and what it says, when it is signed by an agent with rights here.
    fn believe<T: DeserializeOwned>(
        &self,
        context: Context,
        message: &Message,
    ) -> Option<(EndpointId, [u8; crate::trust::auth::NONCE_BYTES], T)> {
        let trust = &self.wire.trust;
        let proof = trust.identify(
            message.headers.get(HEADER),
            &heard(context, message),
            Time::now(),
        );
        let proof = proof.ok().flatten()?;
        if !trust.register.knows(&proof.id) {
            return None;
        }
        let said = serde_json::from_slice(&message.payload);
        said.ok().map(|said| (proof.id, proof.nonce, said))
    }

    fn signed(
        &self,
        context: Context,
        subject: &str,
        reply: Option<&str>,
        said: &impl Serialize,
    ) -> Option<(Headers, Bytes)> {
        let payload = Bytes::from(serde_json::to_vec(said).ok()?);
        let nonce = crate::text::random().ok()?;
        let signature = sign(
            &self.wire.keys,
            &plain(context, subject, reply, &payload),
            &nonce,
            Time::now(),
        );
        Some((Headers::new().with(HEADER, signature), payload))
    }

    /// Brings this agent and another level over a stream whose other end is certainly `peer`: each says hello and what it has, and then gives what
    /// the other lacks.
    ///
    /// # Errors
    /// What kept the stream from its end; what came before that counts.
    pub(crate) async fn exchange(
        &self,
        peer: EndpointId,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<(), frames::FrameError> {
        if !self.wire.trust.register.knows(&peer) {
            return Err(frames::FrameError::Refused);
        }
        let bytes = limits::MEMBER_FRAME_BYTES / 2;
        let hello: Hello = swap(stream, &self.hello()).await?;
        self.has_met(peer).await?;
        for _ in 0..limits::MEMBER_PAGES {
            let have = self.members.have();
            let ask: Ask = swap(stream, &Ask { have }).await?;
            let given = self.answer_to(&peer, &ask.have, bytes);
            let answer: Answer = swap(stream, &given).await?;
            let more = given.more || answer.more;
            let repositories = answer
                .repositories
                .into_iter()
                .take(limits::CATALOGUE)
                .collect();
            self.take(answer.records)
                .await
                .map_err(|error| frames::FrameError::Other(error.message))?;
            self.members.note(
                peer,
                Told {
                    at: Time::now(),
                    hello: hello.clone(),
                    repositories,
                },
            );
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Says something while the other side does, so that neither waits for the other to listen; returns what it said.
async fn swap<T: Serialize + DeserializeOwned>(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    said: &T,
) -> Result<T, frames::FrameError> {
    let (mut from, mut to) = tokio::io::split(stream);
    let (written, read) = tokio::join!(
        frames::write(&mut to, said),
        frames::read(&mut from, limits::MEMBER_FRAME_BYTES)
    );
    written?;
    read
}

/// Returns what the signature of a message without headers of its own is over.
fn plain<'a>(
    context: Context,
    subject: &'a str,
    reply: Option<&'a str>,
    payload: &'a [u8],
) -> Statement<'a> {
    Statement {
        context,
        subject,
        reply,
        content_type: None,
        status: None,
        payload,
    }
}

#[cfg(test)]
mod tests;
