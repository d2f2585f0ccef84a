//! Tells agents what a server holds, as agents tell each other: the replication machine of one that stores nothing and asks nobody. While the server
//! does not answer, nobody is there.

use edgesync_bridge::{Holds, Standing};
use edgesync_bus::SendError;
use edgesync_replica::{
    Config, Effect, Fingerprint, Input, Moment, Origin, Peer, Project, Replica,
};
use edgesync_replica::{Tip, subject};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::api::Error;
use crate::limits;
use crate::replication::ear;
use crate::text;
use crate::wire::Wire;

/// What a server's standing is made known with.
pub(super) struct Voice {
    wire: Wire,
    project: Project,
    machine: Replica,
    began: Instant,
    /// What agents were last told, while the server answers.
    told: Option<Holds>,
    /// Stands for the row of the newest artifact: it grows with each change.
    changes: i64,
}

impl Voice {
    /// Returns a voice that says nothing yet.
    ///
    /// # Errors
    /// When the project's code or this agent's name is none on the bus, or the system has no random bytes.
    pub(super) fn new(wire: Wire, project: &str) -> Result<Self, Error> {
        let internal = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
        let name = wire.keys.id().to_string();
        let me = Peer::parse(&name).map_err(|error| internal(&error))?;
        let seed = text::random().map_err(|error| internal(&error))?;
        let machine = Replica::new(Config {
            pull: false,
            bridge: true,
            // Both files and artifacts: who has no use for files does not look at that half.
            unversioned: true,
            // It has nothing to ask.
            poll: limits::BUS_IDLE,
            ..Config::new(me, u64::from_be_bytes(seed))
        });
        Ok(Self {
            project: Project::parse(project).map_err(|error| internal(&error))?,
            wire,
            machine,
            began: Instant::now(),
            told: None,
            changes: 0,
        })
    }

    /// Speaks until `stop`, or the bus ends. `ways` changes when there is a new way to others.
    ///
    /// # Errors
    /// [`SendError`] when the bus does not take the subscription.
    pub(super) async fn speak(
        mut self,
        mut standing: watch::Receiver<Standing>,
        mut ways: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Result<(), SendError> {
        let hello = subject::hello(&self.wire.prefix, &self.project);
        let mut hellos = self.wire.bus.subscribe(&hello, None).await?;
        self.handle(Input::Connected);
        standing.mark_changed();
        loop {
            self.carry_out().await;
            let due = self.machine.wake().map(|moment| self.instant_of(moment));
            let due = due.unwrap_or_else(|| Instant::now() + limits::BUS_IDLE);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(due) => {
                    let now = self.now();
                    self.machine.tick(now);
                }
                changed = standing.changed() => match changed {
                    Ok(()) => {
                        let standing = standing.borrow_and_update().clone();
                        self.tell(standing);
                    }
                    Err(_) => break,
                },
                changed = ways.changed() => match changed {
                    Ok(()) => {
                        let there = *ways.borrow_and_update();
                        self.handle(if there { Input::Connected } else { Input::Disconnected });
                    }
                    Err(_) => break,
                },
                message = hellos.next() => {
                    let Some(message) = message else { break };
                    let (wire, project) = (&self.wire, &self.project);
                    if let Ok((from, notice)) = ear::believe(wire, project, &message, ear::greeting) {
                        let project = self.project.clone();
                        self.handle(Input::Heard { project, from, notice });
                    }
                }
            }
        }
        self.handle(Input::Closed(self.project.clone()));
        self.carry_out().await;
        Ok(())
    }

    /// Tells the machine how the server stands.
    fn tell(&mut self, standing: Standing) {
        let project = self.project.clone();
        let Standing::Up(holds) = standing else {
            if self.told.take().is_some() {
                self.handle(Input::Closed(project));
            }
            return;
        };
        self.changes += 1;
        let tip = Tip {
            rid: self.changes,
            uuid: holds.newest.map_or_else(String::new, |it| it.to_string()),
        };
        let fingerprint = Fingerprint {
            artifacts: holds.artifacts,
            unversioned: holds.unversioned,
        };
        let input = match self.told.replace(holds) {
            None => Input::Opened {
                project,
                fingerprint,
                tip,
                open: false,
                unversioned: true,
            },
            Some(_) => Input::Changed {
                project,
                fingerprint,
                tip,
                origin: Origin::Remote,
            },
        };
        self.handle(input);
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.machine.handle(now, input);
    }

    async fn carry_out(&mut self) {
        while let Some(effect) = self.machine.next_effect() {
            // Whoever pulls nothing has nothing else to do.
            if let Effect::Publish {
                project,
                topic,
                body,
            } = effect
            {
                self.wire.announce(&project, topic, body).await;
            }
        }
    }

    fn now(&self) -> Moment {
        let millis = self.began.elapsed().as_millis();
        Moment::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn instant_of(&self, moment: Moment) -> Instant {
        self.began + std::time::Duration::from_millis(moment.as_millis())
    }
}
