//! Who is there: each agent says at a slow beat, for each project that it has messages of, that it listens, and once that it goes. What
//! is said is signed; of those alone who may answer here it is remembered, and for three beats.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use edgesync_bus::{Headers, Message as Heard, Publish};
use edgesync_notify::name::Project;
use edgesync_notify::subject;
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant, timeout};

use super::Post;
use super::post::locked;
use crate::api::{NotifyPresence, Time};
use crate::limits;
use crate::text;
use crate::trust::auth::sign;
use crate::trust::{Context, EndpointId, HEADER, Statement};
use crate::wire::heard as statement_of;

/// How often it is said. A phone call's length is soon enough to notice that somebody is gone.
const BEAT: Duration = Duration::from_secs(30);

/// How long it holds: two beats may be lost.
const HOLDS: Duration = Duration::from_secs(95);

/// Projects for which it is said, those active last first; nobody works on more in a day.
const PROJECTS: usize = 64;

/// Agents that are remembered. All of them are trusted, so there are few.
const AGENTS: usize = 256;

/// Longest name that is shown, in bytes.
const NAME_BYTES: usize = edgesync_notify::limits::MAX_LABEL_BYTES;

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
struct Saying {
    name: String,
    here: bool,
}

/// An agent that is there.
#[derive(Debug)]
struct There {
    name: String,
    /// By project, when it was said last.
    projects: BTreeMap<Project, Instant>,
}

/// Who is there, as far as they said so.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<BTreeMap<EndpointId, There>>);

impl Presence {
    /// Returns who is there now.
    pub(super) fn show(&self) -> Vec<NotifyPresence> {
        let mut there = locked(&self.0);
        forget(&mut there);
        there
            .iter()
            .map(|(id, there)| NotifyPresence {
                endpoint_id: id.to_string(),
                name: there.name.clone(),
                projects: there.projects.keys().map(ToString::to_string).collect(),
            })
            .collect()
    }

    /// Takes note of what an agent said. Returns whether it is news that it is there.
    fn note(&self, id: EndpointId, project: Project, said: &Saying) -> bool {
        let mut there = locked(&self.0);
        forget(&mut there);
        if !said.here {
            if let Some(agent) = there.get_mut(&id) {
                agent.projects.remove(&project);
            }
            forget(&mut there);
            return false;
        }
        if there.len() >= AGENTS && !there.contains_key(&id) {
            return false;
        }
        let agent = there.entry(id).or_insert_with(|| There {
            name: String::new(),
            projects: BTreeMap::new(),
        });
        agent.name = edgesync_notify::text::excerpt(&said.name, NAME_BYTES);
        if agent.projects.len() >= PROJECTS && !agent.projects.contains_key(&project) {
            return false;
        }
        agent.projects.insert(project, Instant::now()).is_none()
    }
}

fn forget(there: &mut BTreeMap<EndpointId, There>) {
    let now = Instant::now();
    there.retain(|_, agent| {
        agent
            .projects
            .retain(|_, said| now.duration_since(*said) < HOLDS);
        !agent.projects.is_empty()
    });
}

impl Post {
    /// Says that this agent is there, until it stops; then that it goes.
    pub(super) async fn keep_present(self: Arc<Self>) {
        let _farewell = self.setting.farewells.token();
        let mut turn = self.turn.subscribe();
        let mut said: BTreeSet<Project> = BTreeSet::new();
        loop {
            let beat = Instant::now() + BEAT;
            for project in self.active_projects().await {
                self.say_presence(&project, true).await;
                said.insert(project);
            }
            loop {
                tokio::select! {
                    () = self.setting.stopped.cancelled() => {
                        for project in &said {
                            self.say_presence(project, false).await;
                        }
                        if let Some(bus) = self.bus() {
                            // Who is not told finds out by our silence.
                            let _ = timeout(limits::BUS_FAREWELL, bus.flush()).await;
                        }
                        return;
                    }
                    () = tokio::time::sleep_until(beat) => break,
                    changed = turn.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        for project in self.active_projects().await {
                            if said.insert(project.clone()) {
                                self.say_presence(&project, true).await;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Returns the projects that this agent has messages of, those active last.
    async fn active_projects(&self) -> BTreeSet<Project> {
        let projects = self.read(|office, _| Ok(office.active_projects(PROJECTS)));
        // What cannot be read now is told of at the next beat.
        projects.await.unwrap_or_default()
    }

    async fn say_presence(&self, project: &Project, here: bool) {
        let Some(bus) = self.bus() else { return };
        let said = Saying {
            name: self.setting.name.clone(),
            here,
        };
        let subject = subject::of_presence(project, self.setting.identity.endpoint_id());
        let (Ok(payload), Ok(nonce)) = (serde_json::to_vec(&said), text::random()) else {
            return;
        };
        let statement = Statement {
            context: Context::Announcement,
            subject: &subject,
            reply: None,
            content_type: None,
            status: None,
            payload: &payload,
        };
        let signature = sign(
            self.setting.identity.keys(),
            &statement,
            &nonce,
            Time::now(),
        );
        let publish = Publish {
            headers: Headers::new().with(HEADER, signature),
            ..Publish::new(subject, payload)
        };
        if let Err(error) = bus.publish(publish).await {
            tracing::debug!(%error, "presence was not told");
        }
    }

    /// Hears that somebody is there or goes, and answers one who has just come.
    pub(super) async fn hear_presence(&self, heard: &Heard) {
        let Some((project, peer)) = subject::parse_presence(&heard.subject) else {
            return;
        };
        let trust = &self.setting.trust;
        let statement = statement_of(Context::Announcement, heard);
        let signer = trust.identify(heard.headers.get(HEADER), &statement, Time::now());
        let Ok(Some(proof)) = signer else { return };
        let code = self.hosted().project_code().unwrap_or_default();
        if proof.id.to_string() != peer || !trust.rights(Some(&proof.id), &code).may_write() {
            return;
        }
        let Ok(said) = serde_json::from_slice::<Saying>(&heard.payload) else {
            return;
        };
        let (from, shows) = (peer.to_owned(), crate::clock::timestamp(proof.time));
        let learned = self.act(move |office, _| Ok(((), office.learn_clock(&from, shows))));
        if let Err(error) = learned.await {
            tracing::debug!(%error, "what another's clock shows was not learned");
        }
        if self.presence.note(proof.id, project.clone(), &said) {
            // It cannot know of us yet; once it does, this is no news there.
            self.say_presence(&project, true).await;
        }
    }
}
