//! What the machine is told, and what it wants done.

use serde::{Deserialize, Serialize};

use crate::{Announcement, Fingerprint, Hello, Peer, Project};

/// A fact for the machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input {
    /// A project is here and takes part.
    Opened {
        /// Which one.
        project: Project,
        /// What it holds.
        fingerprint: Fingerprint,
        /// Its newest artifact.
        tip: Tip,
        /// Whether peers that do not sign are asked, too, and given what is new: they say no hello.
        open: bool,
        /// Whether unversioned files count here, whatever the configuration says.
        unversioned: bool,
    },
    /// A project takes part no longer.
    Closed(Project),
    /// A project's content changed.
    Changed {
        /// Which one.
        project: Project,
        /// What it holds now.
        fingerprint: Fingerprint,
        /// Its newest artifact.
        tip: Tip,
        /// How the change came.
        origin: Origin,
    },
    /// A peer, whose message was found genuine, said something.
    Heard {
        /// Of which project.
        project: Project,
        /// Who.
        from: Peer,
        /// What.
        notice: Notice,
    },
    /// A pull ended. What it brought was told by [`Input::Changed`] before.
    Pulled {
        /// Which one.
        pull: PullId,
        /// How.
        outcome: Outcome,
    },
    /// A person wants an exchange now, of one project or of all, with failing peers too.
    Asked(Option<Project>),
    /// The bus is there, or there is a new way to other peers.
    Connected,
    /// There is no bus.
    Disconnected,
    /// A peer cannot be reached any more.
    Lost(Peer),
    /// A person wants no exchanges of a project for a while, whether it is here already or comes later. Only [`Input::Asked`] leads to
    /// some then.
    Paused(Project),
    /// The pause is over.
    Resumed(Project),
}

/// What a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// On `.commit`.
    Announcement(Announcement),
    /// On `.hello`.
    Hello(Hello),
}

/// Something that the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Publish these bytes.
    Publish {
        /// Of which project.
        project: Project,
        /// Where.
        topic: Topic,
        /// What.
        body: Vec<u8>,
    },
    /// Make an exchange, and tell its end by [`Input::Pulled`] and this number.
    Pull {
        /// Its number.
        pull: PullId,
        /// Of which project.
        project: Project,
        /// With whom.
        source: Source,
        /// Why.
        trigger: Trigger,
    },
}

/// With whom an exchange is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// With this very peer: receive only, for it receives by itself.
    Peer(Peer),
    /// With this bridge: send and receive, for it stores nothing.
    Bridge(Peer),
    /// With anyone who answers: send and receive.
    Anyone,
}

/// Where a message is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// `.commit`.
    Commit,
    /// `.hello`.
    Hello,
}

/// Names one pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PullId(pub(crate) u64);

/// A repository's newest artifact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tip {
    /// Its row; 0 for none.
    pub rid: i64,
    /// Its name; empty for none.
    pub uuid: String,
}

/// How a change came into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Its file was seen to change: somebody committed here.
    Watch,
    /// Looking at its file now and then found it, which the watch had missed.
    FilePoll,
    /// A client pushed it.
    Push,
    /// An exchange with a remote brought it.
    Remote,
    /// A pull of this machine brought it.
    Pull(Trigger),
}

/// Why a pull is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A peer announced something.
    Announce,
    /// A peer said hello and holds something else.
    Hello,
    /// A poll found it.
    Poll,
    /// Something changed here that peers who do not listen have to be given.
    Change,
    /// A person asked.
    Person,
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All that the peer holds, and may be had, is here.
    Complete {
        /// How many artifacts and unversioned files came.
        received: u64,
    },
    /// Something failed. What came before that is stored.
    Failed(Failure),
}

/// Why a pull failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answers there.
    NoResponders,
    /// Anything else, in words for people.
    Other(String),
}
