//! How often what happened, counted since the start.

use std::ops::AddAssign;

use crate::{Origin, Trigger};

/// How often a change came which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrivals {
    /// The file watch saw it.
    pub watch: u64,
    /// A client pushed it.
    pub push: u64,
    /// An exchange with a remote brought it.
    pub remote: u64,
    /// A peer's announcement led to it.
    pub announce: u64,
    /// A peer's hello led to it.
    pub hello: u64,
    /// A poll, of the file or of the peers, caught it.
    pub poll: u64,
    /// A person's wish led to it.
    pub person: u64,
}

impl Arrivals {
    pub(crate) const fn count(&mut self, origin: Origin) {
        let counter = match origin {
            Origin::Watch => &mut self.watch,
            Origin::FilePoll | Origin::Pull(Trigger::Poll) => &mut self.poll,
            Origin::Push => &mut self.push,
            Origin::Remote => &mut self.remote,
            Origin::Pull(Trigger::Announce) => &mut self.announce,
            Origin::Pull(Trigger::Hello | Trigger::Change) => &mut self.hello,
            Origin::Pull(Trigger::Person) => &mut self.person,
        };
        *counter += 1;
    }
}

impl AddAssign for Arrivals {
    fn add_assign(&mut self, other: Self) {
        self.watch += other.watch;
        self.push += other.push;
        self.remote += other.remote;
        self.announce += other.announce;
        self.hello += other.hello;
        self.poll += other.poll;
        self.person += other.person;
    }
}

/// How often what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Changes, by how they came.
    pub arrivals: Arrivals,
    /// Announcements published.
    pub announced: u64,
    /// Announcements heard.
    pub heard: u64,
    /// Hellos published.
    pub hellos: u64,
    /// Pulls begun.
    pub pulls: u64,
    /// Artifacts and unversioned files that completed pulls brought.
    pub received: u64,
    /// Pulls that brought nothing.
    pub fruitless: u64,
    /// Pulls that failed.
    pub failed: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.arrivals += other.arrivals;
        self.announced += other.announced;
        self.heard += other.heard;
        self.hellos += other.hellos;
        self.pulls += other.pulls;
        self.received += other.received;
        self.fruitless += other.fruitless;
        self.failed += other.failed;
    }
}
