//! The subjects of replication, written once: `<prefix>.<project-code>` and what follows.

use crate::{Peer, Project};

/// What subjects begin with unless told otherwise.
pub const PREFIX: &str = "fossil";

/// Returns where any holder of a project answers sync requests, in the queue group [`queue`].
pub fn sync(prefix: &str, project: &Project) -> String {
    format!("{prefix}.{project}.sync")
}

/// Returns where one peer answers sync requests.
pub fn sync_with(prefix: &str, project: &Project, peer: &Peer) -> String {
    format!("{prefix}.{project}.sync.{peer}")
}

/// Returns the queue group of those who answer at [`sync`].
pub fn queue(project: &Project) -> String {
    format!("sync-{project}")
}

/// Returns where new artifacts are announced.
pub fn commit(prefix: &str, project: &Project) -> String {
    format!("{prefix}.{project}.commit")
}

/// Returns where peers tell that they are there and what they hold.
pub fn hello(prefix: &str, project: &Project) -> String {
    format!("{prefix}.{project}.hello")
}
