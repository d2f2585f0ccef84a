//! `edgesync clone iroh:PEER/REPOSITORY`: the running agent clones from another one, and keeps both equal from then on.

use std::path::Path;

use edgesync_agent::api::{CloneRepository, Event, Job, JobState};

use crate::agent::api::{AgentApi, stopped};
use crate::agent::runtime;
use crate::error::{Failure, Kind, OrFail};
use crate::output::{Output, printable};
use crate::units::format_size;

/// What stands before the address of another agent's repository.
pub(crate) const SCHEME: &str = "iroh:";

/// Has the running agent clone, and shows how far it is until it is done.
pub(crate) fn clone(url: &str, file: &Path, out: Output) -> Result<(), Failure> {
    let agent = AgentApi::find()?;
    let path = std::path::absolute(file).or_fail(Kind::Failed, file.display())?;
    let wish = CloneRepository {
        url: url.to_owned(),
        path: Some(path),
        user: None,
        password: None,
    };
    let job = runtime()?.block_on(async {
        // Before the request, so that no change is missed.
        let mut events = agent.lines("events").await?;
        let mut job: Job = agent.post_json("repositories/clone", &wish).await?;
        let cancel = format!("jobs/{}", job.id);
        let mut progress = out.progress("Clone");
        while job.state == JobState::Running {
            let detail = format!("{} artifacts, {}", job.done, format_size(job.bytes));
            progress.update(job.done, job.total, &detail);
            let event = tokio::select! {
                event = events.next::<Event>() => event?,
                _ = tokio::signal::ctrl_c() => {
                    agent.delete(&cancel).await?;
                    return Err(Failure::new(Kind::Failed, "interrupted"));
                }
            };
            match event {
                Some(Event::Job { job: now }) if now.id == job.id => job = now,
                Some(_) => {}
                None => return Err(stopped()),
            }
        }
        Ok(job)
    })?;
    if let Some(error) = job.error.clone().filter(|_| job.state != JobState::Done) {
        return Err(error.into());
    }
    if job.state != JobState::Done {
        return Err(Failure::new(Kind::Failed, "the clone was cancelled"));
    }
    out.print(&job, |job| {
        let name = job.repository.as_deref().unwrap_or_default();
        format!(
            "cloned: {} ({} artifacts, {}); the agent keeps it equal as {}\n",
            printable(&job.path.display().to_string()),
            job.done,
            format_size(job.bytes),
            printable(name)
        )
    })
}
