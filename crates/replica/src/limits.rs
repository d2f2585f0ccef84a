//! Every limit and period of the machine, with its reason.

use std::time::Duration;

/// Longest name of a peer or project. Ours are 64 and 40 characters; host names of foreign agents reach 64.
pub const NAME_BYTES: usize = 128;

/// Largest announcement or hello. Ours have about 400 bytes.
pub const MESSAGE_BYTES: usize = 4096;

/// How long after an announcement new artifacts are gathered before they are announced together.
pub const BURST: Duration = Duration::from_millis(50);

/// How often a peer says hello unasked, give or take a quarter.
pub const BEAT: Duration = Duration::from_secs(30);

/// A peer that was not heard for this long is forgotten: three of its beats, all late, were missed.
pub const PEER_PATIENCE: Duration = Duration::from_secs(120);

/// Answers to one hello are spread over this time, so that the first of those who hold the same can speak for all.
pub const REPLY_SPREAD: Duration = Duration::from_millis(40);

/// A new link makes both ends say hello; those of a whole mesh that comes up are gathered for this long.
pub const LINK_SPREAD: Duration = Duration::from_millis(20);

/// First wait after a pull failed.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// Longest wait between two tries at a failing peer.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Pulls of one project at once, each from another peer. They share one file, so more would only wait for each other.
pub const PULLS_OF_PROJECT: usize = 4;

/// Pulls at once.
pub const PULLS: usize = 16;

/// Peers of one project that are remembered. With more, those heard longest ago are forgotten.
pub const PEERS: usize = 1024;

/// Former states of a project that are remembered, so that peers who are a little behind are not asked for what they lack.
pub const PAST: usize = 64;
