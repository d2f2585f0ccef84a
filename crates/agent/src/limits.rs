//! Every limit of the agent with its reason: what a request, a peer or a page may cost before it alone is refused.

use std::time::Duration;

/// Largest body of an API request. All of them are a few short strings.
pub(crate) const API_BODY_BYTES: usize = 1024 * 1024;

/// Connections served at once by one listener. More wait in the kernel's queue.
pub(crate) const CONNECTIONS: usize = 128;

/// Time for a request's head, and for the next one on a kept connection.
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(15);

/// Time for the body of an API request.
pub(crate) const API_BODY_DEADLINE: Duration = Duration::from_secs(15);

/// A line is sent at least this often on the event stream.
pub(crate) const BEAT: Duration = Duration::from_secs(15);

/// Events kept for a slow listener; one that falls behind gets a whole status instead.
pub(crate) const EVENTS: usize = 256;

/// How long ended jobs stay listed.
pub(crate) const JOB_MEMORY: Duration = Duration::from_secs(600);

/// Jobs running at once.
pub(crate) const JOBS: usize = 8;

/// Longest project name, user name or path in a request.
pub(crate) const TEXT_FIELD_BYTES: usize = 4096;
