//! The replication machine: what each peer of a mesh holds, and what to pull from whom and when.
//!
//! [`Replica`] is told facts and the time ([`Replica::handle`], [`Replica::tick`]) and answers with [`Effect`]s, which its driver carries
//! out: publish this, pull from that peer. It does no I/O, reads no clock and draws no randomness but from the seed that it was handed, so the
//! same code runs in the agent, under tests on a virtual clock and in the simulator.
//!
//! The rules. Equal fingerprints: silence. A peer that says it holds something else is asked once, and not again before one of the two
//! sides changed; one that holds what was here once is not asked at all. Whoever stored something announces it with *itself* as the source, so nothing relies on a bus that reaches everyone. What
//! an announcement missed, the next `.hello` finds; a poll says hello sooner.

mod config;
mod counters;
mod event;
mod fingerprint;
mod held;
pub mod limits;
mod machine;
mod message;
mod moment;
mod name;
mod peer;
mod project;
mod random;
pub mod subject;
mod view;

pub use config::Config;
pub use counters::{Arrivals, Counters};
pub use event::{
    Effect, Failure, Input, Notice, Origin, Outcome, PullId, Source, Tip, Topic, Trigger,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use machine::Replica;
pub use message::{Announcement, Hello, MessageError, Stamp, Why};
pub use moment::Moment;
pub use name::{NameError, Peer, Project};
pub use view::{PeerView, ProjectView};
