//! The one task that has the machine: it hands in facts and the time, and carries out what comes out.

use std::sync::Arc;

use edgesync_replica::{Effect, Input, Project};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Replication, locked};
use crate::limits;

/// Runs the machine until the agent stops; then says good-bye.
pub(super) async fn run(replication: Arc<Replication>, mut queue: UnboundedReceiver<Input>) {
    let stopped = replication.setup.stopped.clone();
    let _farewell = replication.setup.farewells.token();
    loop {
        let wake = locked(&replication.machine).wake();
        let wake = wake.map(|moment| replication.instant_of(moment));
        let due = wake.unwrap_or_else(|| Instant::now() + limits::BUS_IDLE);
        let input = tokio::select! {
            () = stopped.cancelled() => break,
            input = queue.recv() => input,
            () = sleep_until(due) => None,
        };
        let now = replication.now();
        let touched = input.as_ref().and_then(project_of);
        match input {
            Some(input) => locked(&replication.machine).handle(now, input),
            None => locked(&replication.machine).tick(now),
        }
        replication.note_seen();
        replication.carry_out().await;
        replication.show(touched.as_ref());
        replication.tell_news();
    }
    let now = replication.now();
    for standing in replication.standings() {
        let closed = Input::Closed(standing.view.project);
        locked(&replication.machine).handle(now, closed);
    }
    replication.carry_out().await;
    // They hold this, and this them.
    locked(&replication.members).clear();
    // Who is not told finds out by our silence.
    let _ = timeout(limits::BUS_FAREWELL, replication.setup.wire.bus.flush()).await;
}

/// Returns the project that an input is about, `None` for all.
fn project_of(input: &Input) -> Option<Project> {
    match input {
        Input::Opened { project, .. }
        | Input::Changed { project, .. }
        | Input::Heard { project, .. }
        | Input::Closed(project)
        | Input::Paused(project)
        | Input::Resumed(project) => Some(project.clone()),
        _ => None,
    }
}

impl Replication {
    async fn carry_out(self: &Arc<Self>) {
        loop {
            // Not in the loop's head, where the guard would live on.
            let effect = locked(&self.machine).next_effect();
            match effect {
                None => return,
                Some(Effect::Publish {
                    project,
                    topic,
                    body,
                }) => self.setup.wire.announce(&project, topic, body).await,
                Some(Effect::Pull {
                    pull,
                    project,
                    source,
                    trigger,
                }) => {
                    let members = locked(&self.members);
                    let member = members
                        .values()
                        .find(|member| member.project().as_ref() == Some(&project));
                    // One that has just left needs no answer either.
                    if let Some(member) = member {
                        member.pull(pull, source, trigger);
                    }
                }
            }
        }
    }

    /// Shows how a project, or all, stand now.
    pub(crate) fn show(&self, project: Option<&Project>) {
        let members: Vec<_> = locked(&self.members).values().cloned().collect();
        for member in members {
            let Some(own) = member.project() else {
                continue;
            };
            if project.is_none_or(|project| *project == own) {
                let view = locked(&self.machine).view_of(&own);
                member.show(view.as_ref());
            }
        }
    }
}
