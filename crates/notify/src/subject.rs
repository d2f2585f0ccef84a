//! Subjects on the bus. Those of messages have three tokens and are the Go product's; those of acknowledgements and presence have four, so that
//! its wildcard over a project's threads does not hear them.

use crate::name::{Project, Short, ThreadId};

/// What all subjects start with.
const ROOT: &str = "notify";

/// All messages of all projects.
pub const ALL_MESSAGES: &str = "notify.*.*";

/// All acknowledgements of all projects.
pub const ALL_ACKS: &str = "notify.*.ack.*";

/// What all agents say of being there, of all projects.
pub const ALL_PRESENCE: &str = "notify.*.presence.*";

/// What stands between project and agent there.
const PRESENCE: &str = "presence";

/// What a subject says about a message on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The project.
    pub project: Project,
    /// The thread, by its first digits.
    pub thread: Short,
}

/// Returns the subject of a thread's messages.
#[must_use]
pub fn of_thread(project: &Project, thread: &ThreadId) -> String {
    format!("{ROOT}.{project}.{}", thread.short())
}

/// Returns the subject of all messages of a project.
#[must_use]
pub fn of_project(project: &Project) -> String {
    format!("{ROOT}.{project}.*")
}

/// Returns the subject on which devices say that they have a message of the thread.
#[must_use]
pub fn of_ack(project: &Project, thread: &ThreadId) -> String {
    format!("{ROOT}.{project}.ack.{}", thread.short())
}

/// Returns the subject on which the agent `peer` says that it is there. An agent's id has no character that means something in a subject.
#[must_use]
pub fn of_presence(project: &Project, peer: &str) -> String {
    format!("{ROOT}.{project}.{PRESENCE}.{peer}")
}

/// Reads the subject of presence: the project, and the agent; `None` for all others.
#[must_use]
pub fn parse_presence(subject: &str) -> Option<(Project, &str)> {
    let (project, peer) = subject
        .strip_prefix(ROOT)?
        .strip_prefix('.')?
        .split_once('.')?;
    let peer = peer.strip_prefix(PRESENCE)?.strip_prefix('.')?;
    let project = Project::parse(project).ok()?;
    (!peer.is_empty() && !peer.contains('.')).then_some((project, peer))
}

/// Reads the subject of a message; `None` for all others.
#[must_use]
pub fn parse(subject: &str) -> Option<Address> {
    let mut tokens = subject.split('.');
    let address = (tokens.next()? == ROOT)
        .then(|| {
            Some(Address {
                project: Project::parse(tokens.next()?).ok()?,
                thread: Short::parse(tokens.next()?)?,
            })
        })
        .flatten()?;
    tokens.next().is_none().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_addressed_by_project_and_thread() {
        let project = Project::parse("demo").expect("a project");
        let thread = ThreadId::parse("thread-a1b2c3d400000000000000000000000f").expect("an id");
        assert_eq!(of_thread(&project, &thread), "notify.demo.a1b2c3d4");
        assert_eq!(of_project(&project), "notify.demo.*");
        assert_eq!(of_ack(&project, &thread), "notify.demo.ack.a1b2c3d4");
        let there = of_presence(&project, "0f");
        assert_eq!(there, "notify.demo.presence.0f");
        assert_eq!(parse_presence(&there), Some((project.clone(), "0f")));
        for other in [
            "notify.demo.presence",
            "notify.a.b.presence.c",
            "notify.demo.presence.",
            "notify.demo.ack.0f",
        ] {
            assert_eq!(parse_presence(other), None, "{other}");
        }
        let address = parse("notify.demo.a1b2c3d4").expect("an address");
        assert_eq!((address.project, address.thread), (project, thread.short()));
        for other in [
            "notify.demo",
            "notify.demo.ack.a1b2c3d4",
            "notify.demo.ack",
            "fossil.demo.a1b2c3d4",
            "notify..a1b2c3d4",
            "notify.demo.A1B2C3D4",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
