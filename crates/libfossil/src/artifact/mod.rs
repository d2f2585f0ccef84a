//! Structural artifacts: the eight kinds of text that give meaning to the other artifacts of a repository.
//!
//! Each is a list of one-letter cards, one to a line, in alphabetical order, the last of which is a checksum. Whether some
//! content is structural is decided by its bytes alone, and every program must decide alike; [`parse`] is as strict and as
//! lenient as stock Fossil, which the tests ask about every rule. What is not structural is plain file content.
//!
//! Parsing borrows from the content where nothing was escaped.

mod cards;
mod check_in;
mod checksum;
mod classify;
mod cluster;
mod control;
mod envelope;
mod error;
mod kinds;
mod tokens;
mod writer;

pub use check_in::{CheckIn, Cherrypick, FileCard, Permission};
pub use checksum::{Md5, TreeDigest};
pub use cluster::Cluster;
pub use control::{Control, Tag, TagKind};
pub use envelope::{may_be_structural, may_start_structural};
pub use error::{Fault, ParseError};
pub use kinds::{Attachment, ForumPost, Technote, Ticket, TicketField, Wiki};

/// A parsed structural artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifact<'a> {
    /// A version of the project's files; also called a manifest.
    CheckIn(CheckIn<'a>),
    /// A list of artifact names, which shortens the exchange of what each side has.
    Cluster(Cluster),
    /// Changes to the tags of other artifacts.
    Control(Control<'a>),
    /// A version of a wiki page.
    Wiki(Wiki<'a>),
    /// A change to a ticket.
    Ticket(Ticket<'a>),
    /// A file attached to a page, ticket or technote, or taken off it.
    Attachment(Attachment<'a>),
    /// A note for a point on the timeline; formerly called an event.
    Technote(Technote<'a>),
    /// A post in the forum.
    Forum(ForumPost<'a>),
}

/// Returns the structural artifact that `content` is.
///
/// # Errors
/// [`ParseError::NotStructural`] for what does not even look like one, other errors for what breaks a rule. Either way
/// `content` is to be treated as plain.
pub fn parse(content: &[u8]) -> Result<Artifact<'_>, ParseError> {
    read(envelope::open(content)?)
}

/// Returns the structural artifact that each content is, as [`parse`] does. The checksums of all are compared first, which is
/// faster than one by one.
pub(crate) fn parse_each<'a>(
    contents: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Artifact<'a>, ParseError>> {
    let opened = envelope::open_each(contents).into_iter();
    opened.map(|body| read(body?))
}

/// Returns the structural artifact that the cards in `body` are.
fn read(body: &[u8]) -> Result<Artifact<'_>, ParseError> {
    classify::classify(cards::Cards::read(body)?)
}

#[cfg(test)]
mod tests;
