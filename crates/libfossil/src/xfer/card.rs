//! The cards of the sync protocol as types, and how they are written.
//!
//! One value of [`Card`] is one line, with its content where it has some. Reading them is the business of [`super::parse`]. A card's text is
//! the same in both directions; which side may send it is decided by the machines.

use bytes::Bytes;

use super::extension::{ContentName, Extension};
use super::token::escape;
use crate::name::HashName;
use crate::uv::check_name;

/// A software version as peers announce it: a release number such as 22100 for 2.21, and the build's date and time as decimal numbers
/// (`YYYYMMDD`, `HHMMSS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 10,000 · major + 100 · minor + patch.
    pub release: u32,
    /// `YYYYMMDD`, 0 when not told.
    pub date: u32,
    /// `HHMMSS`, 0 when not told.
    pub time: u32,
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// Asks for content.
    Pull {
        /// Ignored by servers.
        server: String,
        /// Must be the receiver's project code.
        project: String,
    },
    /// Announces content; in a clone's reply it names the project.
    Push {
        /// The sender's server code.
        server: String,
        /// The project code.
        project: String,
    },
    /// Asks for everything.
    Clone(CloneRequest),
    /// An artifact, whole or as a delta.
    File {
        /// Name of the full text.
        hash: HashName,
        /// What the content is a delta against.
        source: Option<HashName>,
        /// Full text or delta, uncompressed.
        content: Bytes,
    },
    /// An artifact in its stored form, as clones send it.
    CompressedFile {
        /// Name of the full text.
        hash: HashName,
        /// What the content is a delta against.
        source: Option<HashName>,
        /// Size of the full text in bytes.
        size: u32,
        /// The stored form: four bytes of length and a zlib stream.
        content: Bytes,
    },
    /// The next file is private.
    Private,
    /// The sender holds an artifact.
    IGot {
        /// Which one.
        hash: HashName,
        /// It is private there.
        private: bool,
    },
    /// The sender wants an artifact.
    Gimme(HashName),
    /// An entry of the catalogue of unversioned files.
    UvIGot(UvEntry),
    /// The sender wants an unversioned file.
    UvGimme(String),
    /// An unversioned file.
    UvFile {
        /// Name, time, hash and size.
        entry: UvEntry,
        /// Bit 0: deleted; bit 2: no content, only the time.
        flags: u32,
        /// The file's text, empty with either flag.
        content: Bytes,
    },
    /// Rows of configuration.
    Config {
        /// A table, such as `/user`.
        name: String,
        /// Values as SQL literals.
        content: Bytes,
    },
    /// Asks for an area of configuration.
    ReqConfig(String),
    /// Proves who the sender is.
    Login(Login),
    /// A text that the client is to send back.
    Cookie(String),
    /// Where a clone goes on; 0 is its end.
    CloneSeqno(u32),
    /// A text for people.
    Message(String),
    /// A text for people; the exchange ends.
    Error(String),
    /// A hint that the receiver may ignore.
    Pragma(Pragma),
    /// A part of a content that is too long for a message.
    Piece {
        /// Which content.
        name: ContentName,
        /// Where the part begins, in bytes.
        offset: u32,
        /// The part.
        content: Bytes,
    },
}

/// Forms of the `clone` card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneRequest {
    /// Version 1: send the names of everything.
    Names,
    /// Versions 2 and 3: send contents from a sequence number on.
    Contents {
        /// 2 sends `file` cards, 3 and above `cfile` cards.
        version: u32,
        /// The first sequence number wanted; valid ones start at 1.
        seqno: u32,
    },
}

/// An entry in the catalogue of unversioned files, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvEntry {
    /// The file's name.
    pub name: String,
    /// Last change in seconds since 1970.
    pub mtime: i64,
    /// Hash of the text; nothing when the file was deleted.
    pub hash: Option<HashName>,
    /// Size of the text in bytes.
    pub size: u32,
}

/// A login card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// Hash of the rest of the message.
    pub nonce: String,
    /// Hash of nonce and secret.
    pub signature: String,
}

/// Pragmas that either side knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pragma {
    /// What the client is.
    ClientVersion(Version),
    /// What the server is.
    ServerVersion(Version),
    /// Sync private content too.
    SendPrivate,
    /// Name everything, not only what no cluster names.
    SendCatalog,
    /// Name the clusters.
    ReqClusters,
    /// Hash of the client's unversioned files.
    UvHash(String),
    /// The client may send unversioned files.
    UvPushOk,
    /// The client may only fetch unversioned files.
    UvPullOnly,
    /// Asks for the lock on a leaf.
    CiLock {
        /// The leaf's check-in.
        check_in: HashName,
        /// The check-out that wants the lock.
        client: String,
    },
    /// Gives up the check-out's locks.
    CiUnlock(String),
    /// Another check-out has the lock.
    CiLockFail {
        /// Who has it.
        user: String,
        /// Since when, in seconds since 1970.
        mtime: i64,
    },
    /// The project does not want delta manifests.
    AvoidDeltaManifests,
    /// One of ours.
    Extension(Extension),
    /// Any other, which is ignored.
    Unknown,
}

impl Card {
    /// Appends the card's line and content to `out`; nothing for an unversioned file whose name cannot stand in a line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.uv_name().is_some_and(|name| check_name(name).is_err()) {
            return;
        }
        self.write_whole(out);
    }

    fn write_whole(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pull { server, project } => line(out, &["pull", server, project]),
            Self::Push { server, project } => line(out, &["push", server, project]),
            Self::Clone(CloneRequest::Names) => line(out, &["clone"]),
            Self::Clone(CloneRequest::Contents { version, seqno }) => {
                line(out, &["clone", &version.to_string(), &seqno.to_string()]);
            }
            Self::File {
                hash,
                source,
                content,
            } => {
                let size = content.len().to_string();
                match source {
                    Some(source) => line(out, &["file", hash.as_str(), source.as_str(), &size]),
                    None => line(out, &["file", hash.as_str(), &size]),
                }
                out.extend_from_slice(content);
            }
            Self::CompressedFile {
                hash,
                source,
                size,
                content,
            } => {
                let (full, stored) = (size.to_string(), content.len().to_string());
                match source {
                    Some(source) => line(
                        out,
                        &["cfile", hash.as_str(), source.as_str(), &full, &stored],
                    ),
                    None => line(out, &["cfile", hash.as_str(), &full, &stored]),
                }
                out.extend_from_slice(content);
            }
            Self::Private => line(out, &["private"]),
            Self::IGot {
                hash,
                private: false,
            } => line(out, &["igot", hash.as_str()]),
            Self::IGot {
                hash,
                private: true,
            } => line(out, &["igot", hash.as_str(), "1"]),
            Self::Gimme(hash) => line(out, &["gimme", hash.as_str()]),
            Self::UvIGot(entry) => uv_line(out, "uvigot", entry, None),
            Self::UvGimme(name) => line(out, &["uvgimme", name]),
            Self::UvFile {
                entry,
                flags,
                content,
            } => {
                uv_line(out, "uvfile", entry, Some(*flags));
                out.extend_from_slice(content);
            }
            Self::Config { name, content } => {
                line(out, &["config", name, &content.len().to_string()]);
                out.extend_from_slice(content);
                out.push(b'\n');
            }
            Self::ReqConfig(area) => line(out, &["reqconfig", area]),
            Self::Login(login) => out.extend_from_slice(login.line().as_bytes()),
            Self::Cookie(text) => line(out, &["cookie", &escape(text)]),
            Self::CloneSeqno(seqno) => line(out, &["clone_seqno", &seqno.to_string()]),
            Self::Message(text) => line(out, &["message", &escape(text)]),
            Self::Error(text) => line(out, &["error", &escape(text)]),
            Self::Pragma(pragma) => pragma.write(out),
            Self::Piece {
                name,
                offset,
                content,
            } => {
                let (name, offset) = (name.to_string(), offset.to_string());
                let length = content.len().to_string();
                line(out, &["edgesync-piece", &name, &offset, &length]);
                out.extend_from_slice(content);
            }
        }
    }

    /// Returns the name of the unversioned file that the card is about.
    fn uv_name(&self) -> Option<&str> {
        match self {
            Self::UvIGot(entry)
            | Self::UvFile { entry, .. }
            | Self::Pragma(Pragma::Extension(Extension::UvOffer(entry))) => Some(&entry.name),
            Self::UvGimme(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the length of the content that follows the card's line.
    pub(crate) fn content_bytes(&self) -> usize {
        match self {
            Self::File { content, .. }
            | Self::CompressedFile { content, .. }
            | Self::UvFile { content, .. }
            | Self::Config { content, .. }
            | Self::Piece { content, .. } => content.len(),
            _ => 0,
        }
    }

    /// Returns the card's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

impl Login {
    /// Returns the card's line, ending in a newline.
    pub(crate) fn line(&self) -> String {
        format!(
            "login {} {} {}\n",
            escape(&self.user),
            self.nonce,
            self.signature
        )
    }
}

impl Pragma {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::ClientVersion(version) => version_line(out, "client-version", *version),
            Self::ServerVersion(version) => version_line(out, "server-version", *version),
            Self::SendPrivate => line(out, &["pragma", "send-private"]),
            Self::SendCatalog => line(out, &["pragma", "send-catalog"]),
            Self::ReqClusters => line(out, &["pragma", "req-clusters"]),
            Self::UvHash(hash) => line(out, &["pragma", "uv-hash", hash]),
            Self::UvPushOk => line(out, &["pragma", "uv-push-ok"]),
            Self::UvPullOnly => line(out, &["pragma", "uv-pull-only"]),
            Self::CiLock { check_in, client } => {
                line(out, &["pragma", "ci-lock", check_in.as_str(), client]);
            }
            Self::CiUnlock(client) => line(out, &["pragma", "ci-unlock", client]),
            Self::CiLockFail { user, mtime } => {
                line(
                    out,
                    &["pragma", "ci-lock-fail", &escape(user), &mtime.to_string()],
                );
            }
            Self::AvoidDeltaManifests => line(out, &["pragma", "avoid-delta-manifests"]),
            Self::Extension(extension) => line(out, &[&extension.line()]),
            Self::Unknown => {}
        }
    }
}

/// Appends tokens that need no escaping as one line.
fn line(out: &mut Vec<u8>, tokens: &[&str]) {
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(token.as_bytes());
    }
    out.push(b'\n');
}

fn uv_line(out: &mut Vec<u8>, command: &str, entry: &UvEntry, flags: Option<u32>) {
    let hash = entry.hash.as_ref().map_or("-", HashName::as_str);
    let mut text = format!(
        "{command} {} {} {hash} {}",
        entry.name, entry.mtime, entry.size
    );
    if let Some(flags) = flags {
        text.push_str(&format!(" {flags}"));
    }
    text.push('\n');
    out.extend_from_slice(text.as_bytes());
}

fn version_line(out: &mut Vec<u8>, name: &str, version: Version) {
    let Version {
        release,
        date,
        time,
    } = version;
    out.extend_from_slice(format!("pragma {name} {release} {date} {time:06}\n").as_bytes());
}
