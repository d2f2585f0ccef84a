//! The control lines of leafnodes: `LS+`, `LS-`, `LMSG` and `HMSG`.

use super::line::{Tokens, number};
use super::op::{Interest, LinkMessage, Op};
use super::parser::Line;

/// What leafnodes may send, apart from what everybody may.
pub(super) const VERBS: &[&[u8]] = &[b"LS+", b"LS-", b"LMSG", b"HMSG"];

/// Returns what the line is, or nothing when it is malformed or of another verb.
pub(super) fn parse<'a>(verb: &[u8], fields: Tokens<'a>) -> Option<Line<'a>> {
    if verb.eq_ignore_ascii_case(b"LMSG") {
        message(None, None, fields, HeaderSize::Absent)
    } else if verb.eq_ignore_ascii_case(b"HMSG") {
        message(None, None, fields, HeaderSize::Present)
    } else if verb.eq_ignore_ascii_case(b"LS+") {
        interest_begins(None, None, fields)
    } else if verb.eq_ignore_ascii_case(b"LS-") {
        interest_ends(None, None, fields)
    } else {
        None
    }
}

/// Whether a line has the size of a header block before the whole size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderSize {
    Absent,
    Present,
}

/// Parses `subject [reply | "+" reply queue... | "|" queue...] [header size] size`, what every message among servers ends with.
pub(super) fn message<'a>(
    origin: Option<&'a [u8]>,
    account: Option<&'a [u8]>,
    mut fields: Tokens<'a>,
    header_size: HeaderSize,
) -> Option<Line<'a>> {
    let subject = fields.next()?;
    let total = number(fields.pop()?)?;
    let header_len = match header_size {
        HeaderSize::Absent => 0,
        HeaderSize::Present => number(fields.pop()?)?,
    };
    if header_len > total {
        return None;
    }
    let mut queues = fields;
    let reply = match queues.next() {
        None | Some(b"|") => None,
        Some(b"+") => Some(queues.next()?),
        Some(reply) => {
            queues.is_empty().then_some(())?;
            Some(reply)
        }
    };
    let message = LinkMessage {
        origin,
        account,
        subject,
        reply,
        queues,
        header_len,
        payload: &[],
    };
    Some(Line::BeforePayload(Op::Message(message), total))
}

/// Parses `subject [queue weight]`.
pub(super) fn interest_begins<'a>(
    origin: Option<&'a [u8]>,
    account: Option<&'a [u8]>,
    mut fields: Tokens<'a>,
) -> Option<Line<'a>> {
    let filter = fields.next()?;
    let queue = fields.next();
    let weight = match queue {
        Some(_) => u32::try_from(number(fields.next()?)?).ok()?.max(1),
        None => 1,
    };
    fields.next().is_none().then_some(())?;
    Some(Line::Whole(Op::Interest(Interest {
        origin,
        account,
        filter,
        queue,
        weight,
    })))
}

/// Parses `subject [queue]`.
pub(super) fn interest_ends<'a>(
    origin: Option<&'a [u8]>,
    account: Option<&'a [u8]>,
    mut fields: Tokens<'a>,
) -> Option<Line<'a>> {
    let filter = fields.next()?;
    let queue = fields.next();
    fields.next().is_none().then_some(())?;
    Some(Line::Whole(Op::Interest(Interest {
        origin,
        account,
        filter,
        queue,
        weight: 0,
    })))
}
