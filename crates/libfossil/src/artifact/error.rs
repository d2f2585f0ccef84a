//! Why content is no structural artifact.

use crate::limits::MAX_STRUCTURAL_BYTES;
use crate::name::{HashNameError, PathError};
use crate::time::TimestampError;

/// Why content is no structural artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It does not have the outer form: the first card, the last newline.
    #[error("not a structural artifact")]
    NotStructural,
    /// It looks like one but is longer than [`MAX_STRUCTURAL_BYTES`].
    #[error("a structural artifact of {0} bytes is over the limit of {MAX_STRUCTURAL_BYTES}")]
    TooLarge(usize),
    /// The checksum in the last card is not that of the text before it.
    #[error("the checksum of the artifact does not match")]
    Checksum,
    /// A line breaks a rule.
    #[error("line {line}: {fault}")]
    Line {
        /// The number of the line, from 1; the lines of a signature do not count.
        line: usize,
        /// The rule that is broken.
        fault: Fault,
    },
    /// The cards, each in order, do not go together.
    #[error("{0}")]
    Cards(Fault),
}

/// A rule that an artifact breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The line is no letter followed by a space or the line's end.
    #[error("not a card")]
    NotACard,
    /// A letter that names no card.
    #[error("unknown card {0}")]
    UnknownCard(char),
    /// A card that sorts before the one before it.
    #[error("card {0} is out of order")]
    CardOrder(char),
    /// A second card of a letter that may occur only once.
    #[error("card {0} occurs twice")]
    Repeated(char),
    /// The card has fewer arguments than it needs.
    #[error("card {0} lacks an argument")]
    MissingArgument(char),
    /// The card has more arguments than it may.
    #[error("the card has too many arguments")]
    ExtraArgument,
    /// An argument that should be an artifact name.
    #[error(transparent)]
    Hash(#[from] HashNameError),
    /// An argument that should be an MD5.
    #[error("not an MD5 checksum")]
    Md5,
    /// An argument that should be a date and time.
    #[error(transparent)]
    Date(#[from] TimestampError),
    /// An argument that should be the path of a file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Files, fields, members or tags that are not in ascending order.
    #[error("card {0} does not sort after the one before it")]
    ItemOrder(char),
    /// A tag without `+`, `-` or `*` in front.
    #[error("a tag starts with none of + - *")]
    TagPrefix,
    /// A tag name that could be mistaken for an artifact name.
    #[error("a tag name looks like a hash")]
    TagLooksLikeHash,
    /// A cherry-pick without `+` or `-` in front.
    #[error("a cherry-pick starts with none of + -")]
    CherrypickPrefix,
    /// The title of a wiki page is empty, too long, or holds control characters or double spaces.
    #[error("not the name of a wiki page")]
    WikiName,
    /// The text of a `W` card does not end where the card says.
    #[error("the text does not have the length that its card says")]
    TextLength,
    /// A card that this kind of artifact must not have.
    #[error("a {kind} has no card {card}")]
    Forbidden {
        /// The letter.
        card: char,
        /// The kind of artifact.
        kind: &'static str,
    },
    /// A card that this kind of artifact must have.
    #[error("a {kind} needs card {card}")]
    Required {
        /// The letter.
        card: char,
        /// The kind of artifact.
        kind: &'static str,
    },
    /// A control artifact that tags itself.
    #[error("a control artifact tags itself")]
    SelfTag,
    /// A technote with a tag that is not a plain one of its own.
    #[error("a technote has only plain tags, of itself")]
    TechnoteTag,
    /// A forum post that both starts a thread and replies to a post.
    #[error("a forum post has both a title and a post that it replies to")]
    TitleAndReply,
    /// More parents than this kind of artifact may have, or more than [`crate::limits::MAX_PARENTS`].
    #[error("too many parents")]
    TooManyParents,
}
