//! Decides which kind of artifact a set of cards is, and whether the cards go together.

use super::Artifact;
use super::cards::{Cards, bit};
use super::check_in::CheckIn;
use super::cluster::Cluster;
use super::control::{Control, TagKind};
use super::error::{Fault, ParseError};
use super::kinds::{Attachment, ForumPost, Technote, Ticket, Wiki};
use crate::text::Text;
use crate::time::Timestamp;

/// A kind of artifact.
struct Kind {
    name: &'static str,
    /// Letters of which any one tells this kind, provided that no kind further up was told.
    telling: &'static [u8],
    allowed: &'static [u8],
    required: &'static [u8],
    /// Makes the artifact, once the letters are right.
    make: for<'a> fn(Cards<'a>) -> Result<Artifact<'a>, Fault>,
}

/// All kinds. No two share a telling letter that both allow, but for the check-in's weak ones, which come last.
const KINDS: [Kind; 8] = [
    Kind {
        name: "cluster",
        telling: b"M",
        allowed: b"MZ",
        required: b"MZ",
        make: cluster,
    },
    Kind {
        name: "ticket change",
        telling: b"JK",
        allowed: b"DJKUZ",
        required: b"DJKUZ",
        make: ticket,
    },
    Kind {
        name: "attachment",
        telling: b"A",
        allowed: b"ACDNUZ",
        required: b"ADZ",
        make: attachment,
    },
    Kind {
        name: "technote",
        telling: b"E",
        allowed: b"CDENPTUWZ",
        required: b"DEWZ",
        make: technote,
    },
    Kind {
        name: "wiki page",
        telling: b"L",
        allowed: b"CDLNPUWZ",
        required: b"DLUWZ",
        make: wiki,
    },
    Kind {
        name: "forum post",
        telling: b"GHI",
        allowed: b"DGHINPUWZ",
        required: b"DUWZ",
        make: forum,
    },
    Kind {
        name: "check-in",
        telling: b"BCFPQR",
        allowed: b"BCDFNPQRTUZ",
        required: b"DZ",
        make: check_in,
    },
    Kind {
        name: "control artifact",
        telling: b"",
        allowed: b"DTUZ",
        required: b"DTUZ",
        make: control,
    },
];

/// Returns the artifact that `cards` are.
pub(super) fn classify(cards: Cards<'_>) -> Result<Artifact<'_>, ParseError> {
    let [.., last] = &KINDS;
    let kind = KINDS
        .iter()
        .find(|kind| cards.seen & mask(kind.telling) != 0)
        .unwrap_or(last);
    let name = kind.name;
    if let Some(card) = first_letter(cards.seen & !mask(kind.allowed)) {
        return Err(ParseError::Cards(Fault::Forbidden { card, kind: name }));
    }
    if let Some(card) = first_letter(mask(kind.required) & !cards.seen) {
        return Err(ParseError::Cards(Fault::Required { card, kind: name }));
    }
    (kind.make)(cards).map_err(ParseError::Cards)
}

/// Returns the bits of `letters`.
fn mask(letters: &[u8]) -> u32 {
    letters.iter().fold(0, |mask, &letter| mask | bit(letter))
}

/// Returns the first letter whose bit is set.
fn first_letter(mask: u32) -> Option<char> {
    (b'A'..=b'Z')
        .find(|&letter| mask & bit(letter) != 0)
        .map(char::from)
}

/// Returns the value of a card whose presence the table guarantees.
fn present<T>(value: Option<T>, card: char) -> Result<T, Fault> {
    value.ok_or(Fault::MissingArgument(card))
}

fn date(cards: &Cards<'_>) -> Result<Timestamp, Fault> {
    present(cards.date, 'D')
}

fn body<'a>(cards: &mut Cards<'a>) -> Result<Text<'a>, Fault> {
    present(cards.text.take(), 'W')
}

fn check_in(cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    Ok(Artifact::CheckIn(CheckIn {
        date: date(&cards)?,
        baseline: cards.baseline,
        comment: cards.comment,
        files: cards.files,
        mimetype: cards.mimetype,
        parents: cards.parents,
        cherrypicks: cards.cherrypicks,
        checksum: cards.checksum,
        tags: cards.tags,
        user: cards.user,
    }))
}

fn cluster(cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    Ok(Artifact::Cluster(Cluster {
        members: cards.members,
    }))
}

fn control(cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    if cards.tags.iter().any(|tag| tag.target.is_none()) {
        return Err(Fault::SelfTag);
    }
    Ok(Artifact::Control(Control {
        date: date(&cards)?,
        tags: cards.tags,
        user: present(cards.user, 'U')?,
    }))
}

fn wiki(mut cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    Ok(Artifact::Wiki(Wiki {
        date: date(&cards)?,
        text: body(&mut cards)?,
        title: present(cards.wiki_title, 'L')?,
        comment: cards.comment,
        mimetype: cards.mimetype,
        parents: cards.parents,
        user: present(cards.user, 'U')?,
    }))
}

fn ticket(cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    Ok(Artifact::Ticket(Ticket {
        date: date(&cards)?,
        id: present(cards.ticket, 'K')?,
        fields: cards.fields,
        user: present(cards.user, 'U')?,
    }))
}

fn attachment(cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    let date = date(&cards)?;
    let card = present(cards.attachment, 'A')?;
    Ok(Artifact::Attachment(Attachment {
        date,
        filename: card.filename,
        target: card.target,
        source: card.source,
        comment: cards.comment,
        mimetype: cards.mimetype,
        user: cards.user,
    }))
}

fn technote(mut cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    if cards
        .tags
        .iter()
        .any(|tag| tag.target.is_some() || tag.kind != TagKind::Once)
    {
        return Err(Fault::TechnoteTag);
    }
    let (event_date, id) = present(cards.event, 'E')?;
    Ok(Artifact::Technote(Technote {
        date: date(&cards)?,
        text: body(&mut cards)?,
        event_date,
        id,
        comment: cards.comment,
        mimetype: cards.mimetype,
        parents: cards.parents,
        tags: cards.tags,
        user: cards.user,
    }))
}

fn forum(mut cards: Cards<'_>) -> Result<Artifact<'_>, Fault> {
    if cards.title.is_some() && cards.in_reply_to.is_some() {
        return Err(Fault::TitleAndReply);
    }
    let parent = match cards.parents.as_slice() {
        [] => None,
        [parent] => Some(*parent),
        _ => return Err(Fault::TooManyParents),
    };
    Ok(Artifact::Forum(ForumPost {
        date: date(&cards)?,
        text: body(&mut cards)?,
        thread_root: cards.thread_root,
        title: cards.title,
        in_reply_to: cards.in_reply_to,
        mimetype: cards.mimetype,
        parent,
        user: present(cards.user, 'U')?,
    }))
}
