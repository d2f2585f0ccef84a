//! Collects the cards of an artifact of any kind, checking each by itself and against the one before it.

use super::check_in::{Cherrypick, FileCard, Permission};
use super::checksum::Md5;
use super::control::{Tag, TagKind};
use super::error::{Fault, ParseError};
use super::kinds::TicketField;
use super::tokens::{Tokens, plain_text};
use crate::limits::MAX_PARENTS;
use crate::name::{HashAlgorithm, HashName, HashNameError, PathError, RepoPath};
use crate::text::Text;
use crate::time::Timestamp;

/// The arguments of an `A` card.
pub(super) struct AttachmentCard<'a> {
    pub(super) filename: Text<'a>,
    pub(super) target: Text<'a>,
    pub(super) source: Option<HashName>,
}

/// Every card that an artifact can have, under its letter's meaning.
#[derive(Default)]
pub(super) struct Cards<'a> {
    /// One bit for each letter that occurred, `A` being the lowest.
    pub(super) seen: u32,
    pub(super) attachment: Option<AttachmentCard<'a>>,
    pub(super) baseline: Option<HashName>,
    pub(super) comment: Option<Text<'a>>,
    pub(super) date: Option<Timestamp>,
    pub(super) event: Option<(Timestamp, HashName)>,
    pub(super) files: Vec<FileCard<'a>>,
    pub(super) thread_root: Option<HashName>,
    pub(super) title: Option<Text<'a>>,
    pub(super) in_reply_to: Option<HashName>,
    pub(super) fields: Vec<TicketField<'a>>,
    pub(super) ticket: Option<HashName>,
    pub(super) wiki_title: Option<Text<'a>>,
    pub(super) members: Vec<HashName>,
    pub(super) mimetype: Option<Text<'a>>,
    pub(super) parents: Vec<HashName>,
    pub(super) cherrypicks: Vec<Cherrypick>,
    pub(super) checksum: Option<Md5>,
    pub(super) tags: Vec<Tag<'a>>,
    pub(super) user: Option<Text<'a>>,
    pub(super) text: Option<Text<'a>>,
}

/// Returns the bit of a letter in [`Cards::seen`].
pub(super) const fn bit(letter: u8) -> u32 {
    1 << (letter - b'A')
}

impl<'a> Cards<'a> {
    /// Reads all cards of `text`.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, ParseError> {
        let mut tokens = Tokens::new(text);
        let mut cards = Self::default();
        let mut previous = b'A';
        while let Some(letter) = tokens.next_card()? {
            if !letter.is_ascii_uppercase() {
                return Err(tokens.error(Fault::UnknownCard(char::from(letter))));
            }
            // Fossil before 2021 wrote the N card of technotes after the P card.
            let old_technote = letter == b'N' && previous == b'P' && cards.event.is_some();
            if letter < previous && !old_technote {
                return Err(tokens.error(Fault::CardOrder(char::from(letter))));
            }
            previous = letter;
            cards
                .card(letter, &mut tokens)
                .map_err(|fault| tokens.error(fault))?;
            cards.seen |= bit(letter);
        }
        Ok(cards)
    }

    /// Reads the arguments of one card.
    fn card(&mut self, letter: u8, tokens: &mut Tokens<'a>) -> Result<(), Fault> {
        if self.seen & bit(letter) != 0 && b"ABCDEGHIKLNRUW".contains(&letter) {
            return Err(Fault::Repeated(char::from(letter)));
        }
        match letter {
            b'A' => self.attachment = Some(attachment(tokens)?),
            b'B' => self.baseline = Some(hash(tokens, letter)?),
            b'C' => self.comment = Some(text(tokens, letter)?),
            b'D' => self.date = Some(Timestamp::parse(tokens.require(letter)?)?),
            b'E' => {
                let date = Timestamp::parse(tokens.require(letter)?)?;
                self.event = Some((date, hash(tokens, letter)?));
            }
            b'F' => self.file(tokens)?,
            b'G' => self.thread_root = Some(hash(tokens, letter)?),
            b'H' => self.title = Some(text(tokens, letter)?),
            b'I' => self.in_reply_to = Some(hash(tokens, letter)?),
            b'J' => self.field(tokens)?,
            b'K' => self.ticket = Some(ticket(tokens)?),
            b'L' => self.wiki_title = Some(wiki_title(tokens)?),
            b'M' => self.member(tokens)?,
            b'N' => self.mimetype = Some(text(tokens, letter)?),
            b'P' => self.parents(tokens)?,
            b'Q' => self.cherrypicks.push(cherrypick(tokens)?),
            b'R' => self.checksum = Some(Md5::parse(tokens.require(letter)?).ok_or(Fault::Md5)?),
            b'T' => self.tag(tokens)?,
            b'U' => self.user = Some(user(tokens)),
            b'W' => self.text = Some(Text::new(tokens.sized_text()?)),
            // Its value was compared when the envelope was opened.
            b'Z' => drop(Md5::parse(tokens.require(letter)?).ok_or(Fault::Md5)?),
            other => return Err(Fault::UnknownCard(char::from(other))),
        }
        Ok(())
    }

    fn file(&mut self, tokens: &mut Tokens<'a>) -> Result<(), Fault> {
        let path = tokens.require_text(b'F')?;
        if self
            .files
            .last()
            .is_some_and(|previous| previous.path.as_bytes() >= &*path)
        {
            return Err(Fault::ItemOrder('F'));
        }
        let path = self::path(path)?;
        let hash = match tokens.next() {
            Some(name) => Some(HashName::parse(name)?),
            None if self.baseline.is_some() => None,
            None => return Err(Fault::MissingArgument('F')),
        };
        let permission = tokens
            .next()
            .map_or(Permission::Regular, Permission::from_letters);
        let old_path = match tokens.next() {
            Some(old) => self::path(plain_text(old))?,
            None => None,
        };
        // Old versions of Fossil let its own files slip in; as in stock Fossil they count as not there.
        if let Some(path) = path {
            self.files.push(FileCard {
                path,
                hash,
                permission,
                old_path,
            });
        }
        Ok(())
    }

    fn field(&mut self, tokens: &mut Tokens<'a>) -> Result<(), Fault> {
        let name = tokens.require(b'J')?;
        let value = tokens.next().map(plain_text).unwrap_or_default();
        let field = TicketField {
            name: Text::new(name),
            value: Text::new(value),
        };
        if self
            .fields
            .last()
            .is_some_and(|previous| previous.name >= field.name)
        {
            return Err(Fault::ItemOrder('J'));
        }
        self.fields.push(field);
        Ok(())
    }

    fn member(&mut self, tokens: &mut Tokens<'a>) -> Result<(), Fault> {
        let member = hash(tokens, b'M')?;
        if self
            .members
            .last()
            .is_some_and(|previous| *previous >= member)
        {
            return Err(Fault::ItemOrder('M'));
        }
        self.members.push(member);
        Ok(())
    }

    fn parents(&mut self, tokens: &mut Tokens<'a>) -> Result<(), Fault> {
        while let Some(parent) = tokens.next() {
            if self.parents.len() >= MAX_PARENTS {
                return Err(Fault::TooManyParents);
            }
            self.parents.push(HashName::parse(parent)?);
        }
        Ok(())
    }

    fn tag(&mut self, tokens: &mut Tokens<'a>) -> Result<(), Fault> {
        let name = tokens.require_text(b'T')?;
        let target = match tokens.require(b'T')? {
            b"*" => None,
            target => Some(HashName::parse(target)?),
        };
        let value = tokens.next().map(|value| Text::new(plain_text(value)));
        let kind = name
            .first()
            .copied()
            .and_then(TagKind::from_prefix)
            .ok_or(Fault::TagPrefix)?;
        let name = Text::new(match name {
            std::borrow::Cow::Borrowed(name) => {
                std::borrow::Cow::Borrowed(name.get(1..).unwrap_or_default())
            }
            std::borrow::Cow::Owned(mut name) => {
                name.remove(0);
                std::borrow::Cow::Owned(name)
            }
        });
        if name.iter().all(u8::is_ascii_hexdigit) {
            return Err(Fault::TagLooksLikeHash);
        }
        let tag = Tag {
            kind,
            name,
            target,
            value,
        };
        if self
            .tags
            .last()
            .is_some_and(|previous| previous.sort_key() >= tag.sort_key())
        {
            return Err(Fault::ItemOrder('T'));
        }
        self.tags.push(tag);
        Ok(())
    }
}

fn text<'a>(tokens: &mut Tokens<'a>, card: u8) -> Result<Text<'a>, Fault> {
    tokens.require_text(card).map(Text::new)
}

fn hash(tokens: &mut Tokens<'_>, card: u8) -> Result<HashName, Fault> {
    Ok(HashName::parse(tokens.require(card)?)?)
}

/// Returns the path that `text` is, or nothing if it is one of Fossil's own files.
fn path(text: std::borrow::Cow<'_, [u8]>) -> Result<Option<RepoPath<'_>>, Fault> {
    match RepoPath::new(text) {
        Ok(path) => Ok(Some(path)),
        Err(PathError::Reserved) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn attachment<'a>(tokens: &mut Tokens<'a>) -> Result<AttachmentCard<'a>, Fault> {
    let filename = tokens.require_text(b'A')?;
    let target = tokens.require(b'A')?;
    let source = tokens.next().map(HashName::parse).transpose()?;
    // Only what follows the last slash counts, but all of it must be a path.
    path(filename.as_ref().into())?;
    let tail = memchr::memrchr(b'/', &filename).map_or(0, |slash| slash + 1);
    let filename = Text::new(match filename {
        std::borrow::Cow::Borrowed(name) => {
            std::borrow::Cow::Borrowed(name.get(tail..).unwrap_or_default())
        }
        std::borrow::Cow::Owned(mut name) => std::borrow::Cow::Owned(name.split_off(tail)),
    });
    let target = plain_text(target);
    if HashName::parse(&target).is_err() && !is_wiki_name(&target) {
        return Err(Fault::WikiName);
    }
    Ok(AttachmentCard {
        filename,
        target: Text::new(target),
        source,
    })
}

fn ticket(tokens: &mut Tokens<'_>) -> Result<HashName, Fault> {
    let id = hash(tokens, b'K')?;
    match id.algorithm() {
        HashAlgorithm::Sha1 => Ok(id),
        HashAlgorithm::Sha3 => Err(HashNameError::Length(id.as_bytes().len()).into()),
    }
}

fn wiki_title<'a>(tokens: &mut Tokens<'a>) -> Result<Text<'a>, Fault> {
    let title = text(tokens, b'L')?;
    if is_wiki_name(&title) {
        Ok(title)
    } else {
        Err(Fault::WikiName)
    }
}

/// Returns whether `name` can be that of a wiki page: 1 to 100 bytes, no control characters, no space at an end, no two
/// spaces together.
fn is_wiki_name(name: &[u8]) -> bool {
    (1..=100).contains(&name.len())
        && name.iter().all(|&byte| byte >= b' ')
        && !name.starts_with(b" ")
        && !name.ends_with(b" ")
        && memchr::memmem::find(name, b"  ").is_none()
}

fn cherrypick(tokens: &mut Tokens<'_>) -> Result<Cherrypick, Fault> {
    let (backout, target) = match tokens.require(b'Q')? {
        [b'+', target @ ..] => (false, target),
        [b'-', target @ ..] => (true, target),
        _ => return Err(Fault::CherrypickPrefix),
    };
    let target = HashName::parse(target)?;
    let baseline = tokens.next().map(HashName::parse).transpose()?;
    Ok(Cherrypick {
        backout,
        target,
        baseline,
    })
}

/// Returns the user; an empty name is "anonymous", as in stock Fossil.
fn user<'a>(tokens: &mut Tokens<'a>) -> Text<'a> {
    match tokens.next() {
        None | Some([]) => Text::from("anonymous"),
        Some(user) => Text::new(plain_text(user)),
    }
}
