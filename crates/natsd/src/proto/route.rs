//! The control lines of routes: `RS+`, `RS-`, `LS+`, `LS-`, `RMSG`, `HMSG`, `LMSG`, `A+` and `A-`.

use super::leaf::{HeaderSize, interest_begins, interest_ends, message};
use super::line::Tokens;
use super::op::Op;
use super::parser::Line;

/// What routes may send, apart from what everybody may.
pub(super) const VERBS: &[&[u8]] = &[
    b"RS+", b"RS-", b"LS+", b"LS-", b"RMSG", b"HMSG", b"LMSG", b"A+", b"A-",
];

/// Returns what the line is, or nothing when it is malformed or of another verb.
pub(super) fn parse<'a>(verb: &[u8], mut fields: Tokens<'a>) -> Option<Line<'a>> {
    let is = |word: &[u8]| verb.eq_ignore_ascii_case(word);
    if is(b"RMSG") {
        let account = fields.next()?;
        message(None, Some(account), fields, HeaderSize::Absent)
    } else if is(b"HMSG") {
        let account = fields.next()?;
        message(None, Some(account), fields, HeaderSize::Present)
    } else if is(b"LMSG") {
        let (origin, account) = (fields.next()?, fields.next()?);
        message(Some(origin), Some(account), fields, HeaderSize::Present)
    } else if is(b"RS+") {
        let account = fields.next()?;
        interest_begins(None, Some(account), fields)
    } else if is(b"RS-") {
        let account = fields.next()?;
        interest_ends(None, Some(account), fields)
    } else if is(b"LS+") {
        let (origin, account) = (fields.next()?, fields.next()?);
        interest_begins(Some(origin), Some(account), fields)
    } else if is(b"LS-") {
        // Of a server that does not tell of each origin, that field is empty.
        let origin = match fields.first_is_empty() {
            true => None,
            false => Some(fields.next()?),
        };
        let account = fields.next()?;
        interest_ends(origin, Some(account), fields)
    } else if is(b"A+") || is(b"A-") {
        Some(Line::Whole(Op::Account))
    } else {
        None
    }
}
