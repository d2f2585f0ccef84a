//! Reads a message as a sequence of cards.
//!
//! The reader never allocates by a size that a peer claims: content is a slice of the message, and a claim that goes past its end is an
//! error. What stock Fossil calls a bad command is [`Item::Unknown`]: the receiver decides whether that ends the exchange. A card whose
//! content can't be delimited is [`Item::Malformed`], because nothing after it can be trusted.

use bytes::Bytes;

use super::card::{Card, CloneRequest, Login, Pragma, UvEntry, Version};
use super::extension::{ContentName, Extension};
use super::token::{Tokens, parse_i64, parse_size, unescape_text};
use crate::name::{HashName, RepoPath};
use crate::text::unescape;

/// Longest line that is looked at, in bytes. The longest real one carries a message or an unversioned file's name.
const MAX_LINE: usize = 64 * 1024;

/// Longest part of an unknown line that is quoted back, in bytes.
const MAX_QUOTED: usize = 500;

/// `uvfile` flags that announce no content: deleted, or time only.
const UV_WITHOUT_CONTENT: u32 = 0x0005;

/// Reads a card from its arguments and takes its content off the message.
type ContentReader = fn(&mut Items, &[&[u8]]) -> Option<Card>;

/// What one line turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A card that is understood.
    Card(Card),
    /// A line without a token.
    Blank,
    /// A line that starts with `#`, with what follows that sign.
    Comment(String),
    /// A line that is no card; its text is cut to a length fit for an error message.
    Unknown(String),
    /// A card whose content can't be delimited; the message ends here.
    Malformed(&'static str),
}

/// An iterator over the items of a message.
#[derive(Clone, Debug)]
pub struct Items {
    rest: Bytes,
}

impl Items {
    /// Starts at the beginning of `message`, which is uncompressed.
    #[must_use]
    pub fn new(message: Bytes) -> Self {
        Self { rest: message }
    }

    /// Returns the bytes that were not read yet.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// Takes the next line off, with its newline.
    fn line(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', &self.rest).map_or(self.rest.len(), |at| at + 1);
        Some(self.rest.split_to(end))
    }

    /// Takes `size` bytes of content off, if there are as many.
    fn content(&mut self, size: u32) -> Option<Bytes> {
        let size = usize::try_from(size).ok()?;
        (size <= self.rest.len()).then(|| self.rest.split_to(size))
    }

    fn with_content(&mut self, tokens: &[&[u8]]) -> Option<Item> {
        let (read, fault): (ContentReader, _) = match *tokens.first()? {
            b"file" => (Self::file, "malformed file line"),
            b"cfile" => (Self::compressed_file, "malformed cfile line"),
            b"uvfile" => (Self::uv_file, "malformed uvfile line"),
            b"config" => (Self::config, "malformed config line"),
            b"edgesync-piece" => (Self::piece, "malformed edgesync-piece line"),
            _ => return None,
        };
        let card = read(self, tokens.get(1..)?);
        if card.is_none() {
            self.rest.clear();
        }
        Some(card.map_or(Item::Malformed(fault), Item::Card))
    }

    fn file(&mut self, arguments: &[&[u8]]) -> Option<Card> {
        let (hash, source, size) = match arguments {
            [hash, size] => (hash, None, size),
            [hash, source, size] => (hash, Some(hash_name(source)?), size),
            _ => return None,
        };
        let hash = hash_name(hash)?;
        let content = self.content(parse_size(size)?)?;
        Some(Card::File {
            hash,
            source,
            content,
        })
    }

    fn compressed_file(&mut self, arguments: &[&[u8]]) -> Option<Card> {
        let (hash, source, size, stored) = match arguments {
            [hash, size, stored] => (hash, None, size, stored),
            [hash, source, size, stored] => (hash, Some(hash_name(source)?), size, stored),
            _ => return None,
        };
        let (hash, size) = (hash_name(hash)?, parse_size(size)?);
        let content = self.content(parse_size(stored)?)?;
        Some(Card::CompressedFile {
            hash,
            source,
            size,
            content,
        })
    }

    fn uv_file(&mut self, arguments: &[&[u8]]) -> Option<Card> {
        let [name, mtime, hash, size, flags] = arguments else {
            return None;
        };
        let entry = uv_entry(name, mtime, hash, size)?;
        let flags = parse_size(flags)?;
        let content = if flags & UV_WITHOUT_CONTENT == 0 {
            self.content(entry.size)?
        } else {
            Bytes::new()
        };
        Some(Card::UvFile {
            entry,
            flags,
            content,
        })
    }

    fn piece(&mut self, arguments: &[&[u8]]) -> Option<Card> {
        let [name, offset, length] = arguments else {
            return None;
        };
        let (name, offset) = (ContentName::parse(name)?, parse_size(offset)?);
        let content = self.content(parse_size(length)?)?;
        Some(Card::Piece {
            name,
            offset,
            content,
        })
    }

    fn config(&mut self, arguments: &[&[u8]]) -> Option<Card> {
        let [name, size] = arguments else { return None };
        let name = unescape_text(name)?;
        let content = self.content(parse_size(size)?)?;
        // One byte after the content belongs to the card, whatever it is; at the very end it may be missing.
        let _ = self.content(1);
        Some(Card::Config { name, content })
    }
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let line = self.line()?;
        if line.len() > MAX_LINE {
            return Some(Item::Unknown(quoted(&line)));
        }
        if let Some(comment) = line.strip_prefix(b"#") {
            return Some(Item::Comment(
                String::from_utf8_lossy(comment).trim().to_owned(),
            ));
        }
        let tokens = Tokens::of(&line);
        let tokens = tokens.as_slice();
        if tokens.is_empty() {
            return Some(Item::Blank);
        }
        if let Some(item) = self.with_content(tokens) {
            return Some(item);
        }
        Some(plain(tokens).map_or_else(|| Item::Unknown(quoted(&line)), Item::Card))
    }
}

/// Returns the part of an unknown line that an error message quotes.
fn quoted(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..MAX_QUOTED).unwrap_or(line)).into_owned()
}

fn hash_name(token: &[u8]) -> Option<HashName> {
    HashName::parse(token).ok()
}

/// Reads a code of 40 or 64 hex digits, as pull, push and login cards carry them.
fn code(token: &[u8]) -> Option<String> {
    hash_name(token).map(|name| name.as_str().to_owned())
}

/// Reads a token that is used as it is, such as a client's id.
fn word(token: &[u8]) -> Option<String> {
    std::str::from_utf8(token).ok().map(str::to_owned)
}

fn uv_name(token: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(token).ok()?;
    RepoPath::new(name.as_bytes()).ok()?;
    Some(name.to_owned())
}

fn uv_entry(name: &[u8], mtime: &[u8], hash: &[u8], size: &[u8]) -> Option<UvEntry> {
    let hash = if hash == b"-" {
        None
    } else {
        Some(hash_name(hash)?)
    };
    Some(UvEntry {
        name: uv_name(name)?,
        mtime: parse_i64(mtime)?,
        hash,
        size: parse_size(size)?,
    })
}

/// Reads a card that has no content.
fn plain(tokens: &[&[u8]]) -> Option<Card> {
    let card = match *tokens {
        [b"pull", server, project] => Card::Pull {
            server: code(server)?,
            project: code(project)?,
        },
        [b"push", server, project] => Card::Push {
            server: code(server)?,
            project: code(project)?,
        },
        [b"clone"] => Card::Clone(CloneRequest::Names),
        [b"clone", version, seqno] => Card::Clone(CloneRequest::Contents {
            version: parse_size(version)?,
            seqno: parse_size(seqno)?,
        }),
        [b"private", ..] => Card::Private,
        [b"igot", hash] => Card::IGot {
            hash: hash_name(hash)?,
            private: false,
        },
        [b"igot", hash, flag, ..] => Card::IGot {
            hash: hash_name(hash)?,
            private: flag == b"1",
        },
        [b"gimme", hash] => Card::Gimme(hash_name(hash)?),
        [b"uvigot", name, mtime, hash, size] => Card::UvIGot(uv_entry(name, mtime, hash, size)?),
        [b"uvgimme", name] => Card::UvGimme(uv_name(name)?),
        [b"reqconfig", area] => Card::ReqConfig(unescape_text(area)?),
        [b"login", user, nonce, signature] => Card::Login(login(user, nonce, signature)?),
        [b"cookie", text] => Card::Cookie(unescape_text(text)?),
        [b"clone_seqno", seqno] => Card::CloneSeqno(parse_size(seqno)?),
        [b"message", text] => Card::Message(lossy(text)),
        [b"error", text] => Card::Error(lossy(text)),
        [b"pragma", name, ref arguments @ ..] => {
            Card::Pragma(pragma(name, arguments).unwrap_or(Pragma::Unknown))
        }
        _ => return None,
    };
    Some(card)
}

/// Reads the arguments of a login card; the nonce and the signature are hex digits.
pub(super) fn login(user: &[u8], nonce: &[u8], signature: &[u8]) -> Option<Login> {
    Some(Login {
        user: unescape_text(user)?,
        nonce: code(nonce)?,
        signature: code(signature)?,
    })
}

fn lossy(token: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(token)).into_owned()
}

/// Reads a pragma that is known and has usable arguments; the others are ignored by all.
fn pragma(name: &[u8], arguments: &[&[u8]]) -> Option<Pragma> {
    let pragma = match (name, arguments) {
        (b"client-version", _) => Pragma::ClientVersion(version(arguments)?),
        (b"server-version", _) => Pragma::ServerVersion(version(arguments)?),
        (b"send-private", _) => Pragma::SendPrivate,
        (b"send-catalog", _) => Pragma::SendCatalog,
        (b"req-clusters", _) => Pragma::ReqClusters,
        (b"uv-hash", [hash, ..]) => Pragma::UvHash(code(hash)?),
        (b"uv-push-ok", _) => Pragma::UvPushOk,
        (b"uv-pull-only", _) => Pragma::UvPullOnly,
        (b"ci-lock", [check_in, client, ..]) => Pragma::CiLock {
            check_in: hash_name(check_in)?,
            client: word(client)?,
        },
        (b"ci-unlock", [client, ..]) => Pragma::CiUnlock(word(client)?),
        (b"ci-lock-fail", [user, mtime, ..]) => Pragma::CiLockFail {
            user: lossy(user),
            mtime: parse_i64(mtime)?,
        },
        (b"avoid-delta-manifests", _) => Pragma::AvoidDeltaManifests,
        _ => Pragma::Extension(Extension::parse(name, arguments, uv_entry)?),
    };
    Some(pragma)
}

fn version(arguments: &[&[u8]]) -> Option<Version> {
    let number = |index: usize| arguments.get(index).and_then(|token| parse_size(token));
    Some(Version {
        release: number(0)?,
        date: number(1).unwrap_or(0),
        time: number(2).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests;
