//! The control lines of clients: `PUB`, `HPUB`, `SUB` and `UNSUB`.

use super::line::{Tokens, number};
use super::op::{Op, Publish};
use super::parser::Line;

/// What clients may send, apart from what everybody may.
pub(super) const VERBS: &[&[u8]] = &[b"PUB", b"HPUB", b"SUB", b"UNSUB"];

/// Returns what the line is, or nothing when it is malformed or of another verb.
pub(super) fn parse<'a>(verb: &[u8], fields: Tokens<'a>) -> Option<Line<'a>> {
    if verb.eq_ignore_ascii_case(b"PUB") {
        publish(fields, false)
    } else if verb.eq_ignore_ascii_case(b"HPUB") {
        publish(fields, true)
    } else if verb.eq_ignore_ascii_case(b"SUB") {
        subscribe(fields)
    } else if verb.eq_ignore_ascii_case(b"UNSUB") {
        unsubscribe(fields)
    } else {
        None
    }
}

fn publish(mut fields: Tokens<'_>, with_headers: bool) -> Option<Line<'_>> {
    let subject = fields.next()?;
    let mut size = fields.next()?;
    let mut reply = None;
    let mut next = fields.next();
    if with_headers {
        // `subject size size` or `subject reply size size`.
        let mut total = next?;
        next = fields.next();
        if let Some(last) = next {
            reply = Some(size);
            (size, total) = (total, last);
            next = fields.next();
        }
        let (header_len, total) = (number(size)?, number(total)?);
        if next.is_some() || header_len > total {
            return None;
        }
        return Some(before_payload(subject, reply, Some(header_len), total));
    }
    if let Some(last) = next {
        reply = Some(size);
        size = last;
    }
    if fields.next().is_some() {
        return None;
    }
    Some(before_payload(subject, reply, None, number(size)?))
}

fn before_payload<'a>(
    subject: &'a [u8],
    reply: Option<&'a [u8]>,
    header_len: Option<usize>,
    total: usize,
) -> Line<'a> {
    let publish = Publish {
        subject,
        reply,
        header_len,
        payload: &[],
    };
    Line::BeforePayload(Op::Publish(publish), total)
}

fn subscribe(mut fields: Tokens<'_>) -> Option<Line<'_>> {
    let filter = fields.next()?;
    let second = fields.next()?;
    let (queue, sid) = match fields.next() {
        Some(third) => (Some(second), third),
        None => (None, second),
    };
    fields.next().is_none().then_some(())?;
    Some(Line::Whole(Op::Subscribe { filter, queue, sid }))
}

fn unsubscribe(mut fields: Tokens<'_>) -> Option<Line<'_>> {
    let sid = fields.next()?;
    // As the reference has it, a number that cannot be read ends the subscription at once.
    let max = fields.next().and_then(number);
    fields.next().is_none().then_some(())?;
    Some(Line::Whole(Op::Unsubscribe { sid, max }))
}
