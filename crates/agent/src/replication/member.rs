//! A repository that takes part: what it holds, its answers to sync requests, and its exchanges with peers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use edgesync_replica::{
    Failure, Fingerprint, Input, Moment, Origin as Arrival, Outcome, Peer, PeerView, Project,
    PullId, Source, Tip, Trigger,
};
use libfossil::db::Repository;
use libfossil::fingerprint::Fingerprints;
use libfossil::xfer::client::{Goal, Summary};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

use super::is_of_stream;
use super::standing::Shown;
use super::{Replication, ear, locked};
use crate::api::{Code, Error, Level, Time};
use crate::limits;
use crate::repository::{Hosted, Origin, TaskError, file_error};
use crate::serve;
use crate::supervise::supervise;
use crate::sync::bus::{Accepts, Line};
use crate::sync::{check_private, client};
use crate::trust::EndpointId;

/// A repository that takes part.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) hosted: Arc<Hosted>,
    replication: Arc<Replication>,
    /// Its project, once it takes part.
    project: OnceLock<Project>,
    /// What it held at the last look, kept up from look to look. Looks go one after the other, so that the machine hears of them in order.
    prints: tokio::sync::Mutex<Prints>,
    failures: Mutex<BTreeMap<Peer, (Error, Time)>>,
    pub(super) shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Prints {
    kept: Fingerprints,
    last: Option<Fingerprint>,
}

impl Member {
    pub(super) fn new(hosted: Arc<Hosted>, replication: Arc<Replication>) -> Self {
        Self {
            hosted,
            replication,
            project: OnceLock::new(),
            prints: tokio::sync::Mutex::default(),
            failures: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    /// Returns the project, once the repository takes part in it.
    pub(super) fn project(&self) -> Option<Project> {
        self.project.get().cloned()
    }

    /// Returns the last failure with each peer, and since when it fails.
    pub(super) fn failures(&self) -> BTreeMap<Peer, (Error, Time)> {
        locked(&self.failures).clone()
    }

    /// Begins to take part.
    pub(super) fn start(self: &Arc<Self>) {
        let member = Arc::clone(self);
        self.spawn(move || Arc::clone(&member).keep());
    }

    /// Tells the machine of changes, from the first look on that finds a repository.
    async fn keep(self: Arc<Self>) {
        let mut arrivals = self.hosted.arrivals();
        // What came while this task rested. At its first beginning there is nothing of that kind: whatever comes from now on
        // is told with how it came, and to look before that would count it as found by chance.
        let mut due = self.project.get().map(|_| Arrival::FilePoll);
        let mut pauses = self.hosted.pauses();
        if due.is_none() && !self.join(&mut arrivals).await {
            return;
        }
        loop {
            if let Some(arrival) = due {
                match self.look(arrival).await {
                    Ok(_) => due = None,
                    Err(error) => {
                        tracing::debug!(repository = self.hosted.name(), %error, "not looked at");
                    }
                }
            }
            let next = tokio::select! {
                () = self.hosted.closed().cancelled() => return,
                next = arrivals.recv() => match next {
                    Some(next) => next,
                    None => return,
                },
                () = sleep(limits::LOOK_AGAIN), if due.is_some() => continue,
                changed = pauses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let paused = pauses.borrow_and_update().is_some();
                    self.tell_pause(paused);
                    continue;
                }
            };
            // One look finds them all.
            while arrivals.try_recv().is_ok() {}
            due = due.or(Some(next));
        }
    }

    /// Waits until the repository can be read, and has it take part. Returns whether it does.
    async fn join(self: &Arc<Self>, arrivals: &mut UnboundedReceiver<Arrival>) -> bool {
        loop {
            match self.survey().await {
                Ok((fingerprint, tip)) => return self.open(fingerprint, tip).await,
                Err(error) => {
                    tracing::debug!(repository = self.hosted.name(), %error, "cannot take part yet");
                }
            }
            tokio::select! {
                () = self.hosted.closed().cancelled() => return false,
                arrival = arrivals.recv() => if arrival.is_none() { return false },
                () = sleep(limits::LOOK_AGAIN) => {}
            }
        }
    }

    async fn open(self: &Arc<Self>, fingerprint: Fingerprint, tip: Tip) -> bool {
        let code = self.hosted.project_code().unwrap_or_default();
        let Ok(project) = Project::parse(&code) else {
            self.hosted.log(
                Level::Warn,
                "its project code is none; it does not take part on the bus",
            );
            return false;
        };
        let taken = {
            let members = locked(&self.replication.members);
            let others = members.values().filter(|other| !Arc::ptr_eq(other, self));
            let taken = others.filter(|other| other.project().as_ref() == Some(&project));
            let taken = taken.map(|other| other.hosted.name().to_owned()).next();
            if taken.is_none() {
                let _ = self.project.set(project.clone());
            }
            taken
        };
        if let Some(other) = taken {
            let message = format!("{other} has the same project and takes part on the bus already");
            self.hosted.log(Level::Warn, message);
            return false;
        }
        if let Some(bridges) = self.replication.bridges.get() {
            bridges.make_way(&code).await;
        }
        // Answers to the first hello come at once.
        let ready = Arc::new(Notify::new());
        self.attend(&project, &ready);
        tokio::select! {
            () = self.hosted.closed().cancelled() => return false,
            () = ready.notified() => {}
        }
        let trust = &self.replication.setup.wire.trust;
        let open = trust.register.accepts_unsigned(&code);
        // One that leaves meanwhile has said so, or waits for this lock.
        let members = locked(&self.replication.members);
        if !members.values().any(|member| Arc::ptr_eq(member, self)) {
            return false;
        }
        if self.hosted.pauses().borrow().is_some() {
            self.tell_pause(true);
        }
        self.replication.tell(Input::Opened {
            project: project.clone(),
            fingerprint,
            tip,
            open,
            unversioned: self.hosted.uv_room().is_some(),
        });
        true
    }

    fn tell_pause(&self, paused: bool) {
        if let Some(project) = self.project() {
            self.replication.tell(match paused {
                true => Input::Paused(project),
                false => Input::Resumed(project),
            });
        }
    }

    /// Begins to hear what peers say, and to answer them.
    fn attend(self: &Arc<Self>, project: &Project, ready: &Arc<Notify>) {
        if self.replication.answers() {
            let (member, code) = (Arc::clone(self), project.to_string());
            self.spawn(move || {
                let (member, code) = (Arc::clone(&member), code.clone());
                async move { member.answer(code).await }
            });
        }
        let (member, project, ready) = (Arc::clone(self), project.clone(), Arc::clone(ready));
        self.spawn(move || {
            let (member, project) = (Arc::clone(&member), project.clone());
            let ready = Arc::clone(&ready);
            async move { member.hear(project, ready).await }
        });
    }

    async fn hear(&self, project: Project, ready: Arc<Notify>) {
        let stop = self.hosted.closed().clone();
        let heard = ear::listen(Arc::clone(&self.replication), project, ready, stop);
        if let Err(error) = heard.await {
            tracing::warn!(repository = self.hosted.name(), %error, "not heard on the bus");
        }
    }

    async fn answer(&self, code: String) {
        let stop = self.hosted.closed().clone();
        let wire = self.replication.setup.wire.clone();
        let served = serve::bus::serve(wire, Arc::clone(&self.hosted), code, stop);
        if let Err(error) = served.await {
            tracing::warn!(repository = self.hosted.name(), %error, "not served on the bus");
        }
    }

    /// Returns the time of day at which a peer was heard last.
    pub(super) fn heard_at(&self, peer: &PeerView) -> Time {
        self.replication.heard_at(peer)
    }

    /// Whether what was heard of a peer counts.
    pub(super) fn counts(&self, peer: &Peer) -> bool {
        self.replication.counts(peer)
    }

    /// Whether another agent takes in what this one writes in a project; `None` where that is not known.
    pub(super) fn takes(&self, id: &EndpointId, project: &str) -> Option<bool> {
        self.replication.told_by.get()?.takes(id, project)
    }

    /// Returns what a peer goes by.
    pub(super) fn name_of(&self, peer: &Peer) -> String {
        let told = self.replication.told_by.get();
        let name = told.and_then(|told| told.name_of(&peer.as_str().parse().ok()?));
        name.unwrap_or_else(|| short(peer.as_str()))
    }

    /// Returns this agent's id.
    pub(super) fn own_id(&self) -> EndpointId {
        self.replication.setup.wire.keys.id()
    }

    /// Returns the time of day of a moment of the machine.
    pub(super) fn time_of(&self, moment: Moment) -> Time {
        self.replication.time_of(moment)
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        begin: impl Fn() -> F + Send + 'static,
    ) {
        let setup = &self.replication.setup;
        let (events, name) = (Arc::clone(&setup.events), self.hosted.name().to_owned());
        supervise(
            &setup.tasks,
            events,
            name,
            self.hosted.closed().clone(),
            begin,
        );
    }

    /// Looks what the repository holds, and tells the machine when that changed. Returns whether it did.
    async fn look(&self, origin: Arrival) -> Result<bool, Error> {
        let Some(project) = self.project() else {
            return Ok(false);
        };
        let mut prints = self.prints.lock().await;
        let before = prints.last;
        let (fingerprint, tip) = self.read(&mut prints).await?;
        if before == Some(fingerprint) {
            return Ok(false);
        }
        self.replication.tell(Input::Changed {
            project,
            fingerprint,
            tip,
            origin,
        });
        Ok(true)
    }

    /// Returns what the repository holds.
    async fn survey(&self) -> Result<(Fingerprint, Tip), Error> {
        let mut prints = self.prints.lock().await;
        self.read(&mut prints).await
    }

    async fn read(&self, prints: &mut Prints) -> Result<(Fingerprint, Tip), Error> {
        let mut kept = std::mem::take(&mut prints.kept);
        let work = move |repository: &Repository| {
            let fingerprint = kept.read(repository)?;
            Ok((kept, fingerprint, repository.newest()?))
        };
        let read = self.hosted.read(work).await.map_err(TaskError::into_api)?;
        let (kept, fingerprint, newest) =
            read.map_err(|error: libfossil::db::Error| file_error(&error))?;
        let fingerprint = Fingerprint {
            artifacts: fingerprint.artifacts,
            unversioned: fingerprint.unversioned,
        };
        *prints = Prints {
            kept,
            last: Some(fingerprint),
        };
        let tip = newest.map(|(rid, name)| Tip {
            rid: rid.get(),
            uuid: name.to_string(),
        });
        Ok((fingerprint, tip.unwrap_or_default()))
    }

    /// Makes an exchange, and tells the machine how it ended.
    pub(super) fn pull(self: &Arc<Self>, pull: PullId, source: Source, trigger: Trigger) {
        let member = Arc::clone(self);
        self.replication.setup.tasks.spawn(async move {
            let closed = member.hosted.closed().clone();
            let outcome = tokio::select! {
                () = closed.cancelled() => return,
                outcome = member.exchange(&source, trigger) => outcome,
            };
            if let Some(outcome) = outcome {
                member.replication.tell(Input::Pulled { pull, outcome });
            }
        });
    }

    /// Makes an exchange. Returns how it ended; nothing when the repository is being closed, which is no failure.
    pub(super) async fn exchange(&self, source: &Source, trigger: Trigger) -> Option<Outcome> {
        let setup = &self.replication.setup;
        let (peer, push) = match source {
            Source::Peer(peer) => (Some(peer), false),
            Source::Bridge(peer) => (Some(peer), setup.wishes.push),
            Source::Anyone => (None, setup.wishes.push),
        };
        let goal = Goal {
            pull: setup.wishes.pull,
            push,
            private: setup.wishes.private,
            unversioned: setup.wishes.unversioned,
            thorough: false,
        };
        let began = Instant::now();
        let mut shown = began;
        let mut progress = |summary: &Summary| {
            let slow = began.elapsed() > limits::QUIET_POLL;
            if slow && shown.elapsed() > limits::PROGRESS {
                shown = Instant::now();
                self.show_progress(Some(received(summary)));
            }
        };
        let exchanged = match self.exchange_on_stream(peer, goal, &mut progress).await {
            Some(done) => done,
            None => self.exchange_on_bus(peer, goal, &mut progress).await,
        };
        self.show_progress(None);
        let looked = self.look(Arrival::Pull(trigger)).await;
        if self.hosted.closed().is_cancelled() {
            return None;
        }
        // Another look may have been first to see what came; the rest of the agent has to hear of it all the same.
        let came = exchanged.as_ref().is_ok_and(|it| received(it) > 0);
        if came || looked.as_ref().is_ok_and(|changed| *changed) {
            self.hosted.changed(Origin::Bus);
        }
        let who = peer.map_or_else(|| "the bus".to_owned(), |peer| short(peer.as_str()));
        Some(
            match exchanged.and_then(|summary| looked.map(|_| summary)) {
                Ok(summary) => {
                    self.succeeded(peer, &who, &summary, began.elapsed());
                    if let Err(error) = check_private(&summary) {
                        self.failed(peer, &who, error);
                    }
                    Outcome::Complete {
                        received: received(&summary),
                    }
                }
                Err(error) => Outcome::Failed(self.failed(peer, &who, error)),
            },
        )
    }

    /// Makes an exchange over the bus, with anyone when no peer is named.
    async fn exchange_on_bus(
        &self,
        peer: Option<&Peer>,
        goal: Goal,
        progress: &mut impl FnMut(&Summary),
    ) -> Result<Summary, Error> {
        let code = self.project().map(|project| project.to_string());
        let line = Line::new(
            self.replication.setup.wire.clone(),
            code.unwrap_or_default(),
            peer.map(ToString::to_string),
            Accepts::Writers,
        );
        let room = self.hosted.uv_room();
        let start = move |_: &mut Repository| Ok(client(goal, None, room));
        line.exchange(self.hosted.writer(), start, progress).await
    }

    /// Makes an exchange over a stream of the tunnel. Returns nothing when the bus is to be asked: no tunnel leads to the peer, it may not
    /// write here, which the bus tells better, or the stream failed.
    pub(super) async fn exchange_on_stream(
        &self,
        peer: Option<&Peer>,
        goal: Goal,
        progress: &mut impl FnMut(&Summary),
    ) -> Option<Result<Summary, Error>> {
        let replication = &self.replication;
        let direct = replication.direct(peer?, &self.project()?)?;
        let trust = &replication.setup.wire.trust;
        let rights = trust.rights(Some(&direct.peer), &direct.project);
        if !rights.may_write() {
            return None;
        }
        let room = self.hosted.uv_room();
        let start = move |_: &mut Repository| Ok(client(goal, None, room));
        let exchanged = direct.exchange(self.hosted.writer(), start, progress).await;
        match exchanged {
            Err(error) if is_of_stream(error.code) => {
                tracing::debug!(repository = self.hosted.name(), %error, "by the bus instead");
                replication.unreached.note(direct.peer);
                None
            }
            exchanged => {
                replication.over_streams.fetch_add(1, Ordering::Relaxed);
                Some(exchanged)
            }
        }
    }

    fn succeeded(&self, peer: Option<&Peer>, who: &str, summary: &Summary, took: Duration) {
        for message in &summary.messages {
            self.hosted
                .log(Level::Info, format!("{who} says: {message}"));
        }
        let (received, sent) = (received(summary), summary.artifacts_sent);
        tracing::debug!(
            repository = self.hosted.name(),
            who,
            received,
            sent,
            ?took,
            "exchanged"
        );
        if received > 0 || sent > 0 {
            let message = format!("{who}: received {received}, sent {sent}");
            self.hosted.log(Level::Info, message);
        }
        if summary.private_refused {
            return;
        }
        let failed = peer.and_then(|peer| locked(&self.failures).remove(peer));
        if failed.is_some() {
            self.hosted.log(Level::Info, format!("{who} answers again"));
        }
    }

    fn failed(&self, peer: Option<&Peer>, who: &str, error: Error) -> Failure {
        let (code, message) = (error.code, error.message.clone());
        if let Some(peer) = peer {
            let mut failures = locked(&self.failures);
            let before = failures.get(peer);
            let since = before.map_or_else(Time::now, |(_, since)| *since);
            let news = before.is_none_or(|(before, _)| *before != error);
            failures.insert(peer.clone(), (error, since));
            drop(failures);
            if news {
                self.hosted.log(Level::Warn, format!("{who}: {message}"));
            }
        }
        match code {
            Code::NoPeer => Failure::NoResponders,
            _ => Failure::Other(message),
        }
    }
}

fn received(summary: &Summary) -> u64 {
    (summary.artifacts_received + summary.unversioned_received) as u64
}

/// Returns the beginning of an endpoint id, enough to tell peers apart.
fn short(id: &str) -> String {
    id.get(..16).unwrap_or(id).to_owned()
}
