//! What this implementation adds to the protocol, for transports on which no message may be long. All of it is pragmas, which a stock peer
//! ignores, and one card that only a peer gets who said that it understands them.
//!
//! - `edgesync-budget BYTES`: the sender understands the others, and takes no body longer than this.
//! - `edgesync-from LIST AFTER`: asks for the names in a list that come after one; `edgesync-more LIST AFTER`: there are more.
//! - `edgesync-oversize NAME SIZE`: the sender holds a content that is too long for a message. A name is a hash, or `uv:` and a hash.
//! - `edgesync-uv NAME MTIME HASH SIZE`: the sender holds an unversioned file that is too long for a message.
//! - `edgesync-range NAME OFFSET LENGTH`: asks for a part of such a content; the answer to an offer of what is wholly there has length 0.
//! - the card `edgesync-piece NAME OFFSET LENGTH`, followed by as many bytes: that part.
//!
//! Parts are checked as a whole against the name, so they may come from several exchanges, and from several peers.

use std::fmt;

use super::card::UvEntry;
use super::token::parse_size;
use crate::name::HashName;

/// Names a content that travels in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentName {
    /// An artifact's.
    Artifact(HashName),
    /// An unversioned file's.
    Unversioned(HashName),
}

/// What the name of an unversioned file's content begins with.
const UNVERSIONED: &str = "uv:";

impl ContentName {
    /// Returns the name that the content must have.
    #[must_use]
    pub fn hash(&self) -> &HashName {
        match self {
            Self::Artifact(hash) | Self::Unversioned(hash) => hash,
        }
    }

    pub(super) fn parse(token: &[u8]) -> Option<Self> {
        match token.strip_prefix(UNVERSIONED.as_bytes()) {
            Some(hash) => HashName::parse(hash).ok().map(Self::Unversioned),
            None => HashName::parse(token).ok().map(Self::Artifact),
        }
    }
}

impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(hash) => hash.fmt(f),
            Self::Unversioned(hash) => write!(f, "{UNVERSIONED}{hash}"),
        }
    }
}

/// A list of which a message may hold a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// Artifacts that no cluster names, in the order of their names.
    Unclustered,
    /// Private artifacts, in the order of their names.
    Private,
    /// Clusters, in the order of their names.
    Clusters,
    /// All artifacts, in the order of their names.
    Catalog,
    /// Unversioned files, by their number in the order of their names.
    Unversioned,
    /// Rows of configuration, by their number.
    Config,
    /// What the client asked for with `gimme` and has not got. There is no place in it: the client asks again.
    Gimme,
    /// The same for `uvgimme`.
    UvGimme,
}

impl List {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Unclustered, "unclustered"),
        (Self::Private, "private"),
        (Self::Clusters, "clusters"),
        (Self::Catalog, "catalog"),
        (Self::Unversioned, "unversioned"),
        (Self::Config, "config"),
        (Self::Gimme, "gimme"),
        (Self::UvGimme, "uvgimme"),
    ];

    fn as_str(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(list, _)| *list == self)
            .map_or("", |(_, name)| name)
    }

    fn parse(token: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, name)| name.as_bytes() == token)
            .map(|(list, _)| *list)
    }
}

/// How far a list was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Not at all.
    #[default]
    Start,
    /// So many entries.
    Count(u32),
    /// Up to this name.
    Name(HashName),
}

impl Place {
    /// Returns the number of entries that were read, for lists that count them.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Start | Self::Name(_) => 0,
        }
    }

    /// Returns the text after which the names come that were not read.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Start | Self::Count(_) => "",
        }
    }

    fn parse(token: &[u8]) -> Option<Self> {
        if token == b"-" {
            return Some(Self::Start);
        }
        match parse_size(token) {
            // No hash name is a number of so few digits.
            Some(count) => Some(Self::Count(count)),
            None => HashName::parse(token).ok().map(Self::Name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("-"),
            Self::Count(count) => count.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The pragmas that are our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// The longest body that the sender takes, in bytes.
    Budget(u32),
    /// Asks for the rest of a list.
    From(List, Place),
    /// A list goes on.
    More(List, Place),
    /// The sender holds a content that is too long for a message.
    Oversize {
        /// Which one.
        name: ContentName,
        /// Its length in bytes.
        size: u32,
    },
    /// The sender holds an unversioned file that is too long for a message.
    UvOffer(UvEntry),
    /// Asks for a part of a content.
    Range {
        /// Which content.
        name: ContentName,
        /// Where the part begins, in bytes.
        offset: u32,
        /// How long it is, in bytes.
        length: u32,
    },
}

impl Extension {
    /// Reads a pragma that is ours.
    pub(super) fn parse(
        name: &[u8],
        arguments: &[&[u8]],
        uv_entry: impl Fn(&[u8], &[u8], &[u8], &[u8]) -> Option<UvEntry>,
    ) -> Option<Self> {
        Some(match (name, arguments) {
            (b"edgesync-budget", [bytes, ..]) => Self::Budget(parse_size(bytes)?),
            (b"edgesync-from", [list, place, ..]) => {
                Self::From(List::parse(list)?, Place::parse(place)?)
            }
            (b"edgesync-more", [list, place, ..]) => {
                Self::More(List::parse(list)?, Place::parse(place)?)
            }
            (b"edgesync-oversize", [name, size, ..]) => Self::Oversize {
                name: ContentName::parse(name)?,
                size: parse_size(size)?,
            },
            (b"edgesync-uv", [name, mtime, hash, size]) => {
                Self::UvOffer(uv_entry(name, mtime, hash, size)?)
            }
            (b"edgesync-range", [name, offset, length, ..]) => Self::Range {
                name: ContentName::parse(name)?,
                offset: parse_size(offset)?,
                length: parse_size(length)?,
            },
            _ => return None,
        })
    }

    /// Returns the pragma's line without its newline.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Budget(bytes) => format!("pragma edgesync-budget {bytes}"),
            Self::From(list, place) => format!("pragma edgesync-from {} {place}", list.as_str()),
            Self::More(list, place) => format!("pragma edgesync-more {} {place}", list.as_str()),
            Self::Oversize { name, size } => format!("pragma edgesync-oversize {name} {size}"),
            Self::UvOffer(entry) => {
                let hash = entry.hash.as_ref().map_or("-", HashName::as_str);
                let UvEntry {
                    name, mtime, size, ..
                } = entry;
                format!("pragma edgesync-uv {name} {mtime} {hash} {size}")
            }
            Self::Range {
                name,
                offset,
                length,
            } => format!("pragma edgesync-range {name} {offset} {length}"),
        }
    }
}
