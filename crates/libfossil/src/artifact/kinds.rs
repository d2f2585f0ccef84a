//! The kinds of artifacts that this crate reads but does not write: wiki pages, tickets, attachments, technotes, forum posts.

use crate::name::HashName;
use crate::text::Text;
use crate::time::Timestamp;

use super::control::Tag;

/// A version of a wiki page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiki<'a> {
    /// What the author says about the change.
    pub comment: Option<Text<'a>>,
    /// When it was made.
    pub date: Timestamp,
    /// The name of the page.
    pub title: Text<'a>,
    /// How the text is to be read; Fossil's wiki format if absent.
    pub mimetype: Option<Text<'a>>,
    /// The versions before this one.
    pub parents: Vec<HashName>,
    /// Who made it.
    pub user: Text<'a>,
    /// The whole text; empty if the page is deleted.
    pub text: Text<'a>,
}

/// A change to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket<'a> {
    /// When it was made.
    pub date: Timestamp,
    /// The fields that change, by ascending name.
    pub fields: Vec<TicketField<'a>>,
    /// The ticket. This has the form of an artifact's name but is only an identifier.
    pub id: HashName,
    /// Who made it.
    pub user: Text<'a>,
}

/// A field of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketField<'a> {
    /// Its name; with a `+` in front the value is appended rather than set.
    pub name: Text<'a>,
    /// Its value.
    pub value: Text<'a>,
}

/// A file attached to something, or taken off it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The name of the file, without directories.
    pub filename: Text<'a>,
    /// The name of a wiki page, or the identifier of a ticket or technote.
    pub target: Text<'a>,
    /// The content; none takes the file off.
    pub source: Option<HashName>,
    /// What the author says about it.
    pub comment: Option<Text<'a>>,
    /// When it was made.
    pub date: Timestamp,
    /// How the comment is to be read.
    pub mimetype: Option<Text<'a>>,
    /// Who made it.
    pub user: Option<Text<'a>>,
}

/// A note for a point on the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technote<'a> {
    /// What the timeline shows.
    pub comment: Option<Text<'a>>,
    /// When this version of it was made.
    pub date: Timestamp,
    /// The point on the timeline.
    pub event_date: Timestamp,
    /// The technote, the same for all its versions. This has the form of an artifact's name but is only an identifier.
    pub id: HashName,
    /// How the text is to be read.
    pub mimetype: Option<Text<'a>>,
    /// The versions before this one.
    pub parents: Vec<HashName>,
    /// Plain tags of the technote itself.
    pub tags: Vec<Tag<'a>>,
    /// Who made it.
    pub user: Option<Text<'a>>,
    /// The whole text.
    pub text: Text<'a>,
}

/// A post in the forum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForumPost<'a> {
    /// When it was made.
    pub date: Timestamp,
    /// The first post of the thread; none in that post itself.
    pub thread_root: Option<HashName>,
    /// The title of the thread, in its first post.
    pub title: Option<Text<'a>>,
    /// The post that this one replies to.
    pub in_reply_to: Option<HashName>,
    /// How the text is to be read.
    pub mimetype: Option<Text<'a>>,
    /// The version of this post that this one replaces.
    pub parent: Option<HashName>,
    /// Who made it.
    pub user: Text<'a>,
    /// The whole text; empty if the post is deleted.
    pub text: Text<'a>,
}
