//! Lines made of values. Everything is appended to a buffer; the caller has checked that no field holds a blank or line end.

use serde::Serialize;

/// The line end.
pub const CRLF: &[u8] = b"\r\n";

/// `PING` with its line end.
pub const PING: &[u8] = b"PING\r\n";

/// `PONG` with its line end.
pub const PONG: &[u8] = b"PONG\r\n";

/// `+OK` with its line end.
pub const OK: &[u8] = b"+OK\r\n";

/// The account that every connection of this server is in, as the reference calls its default.
pub const ACCOUNT: &str = "$G";

/// Header block that tells a requester that nobody was there to answer, without the subject.
pub const NO_RESPONDERS: &[u8] = b"NATS/1.0 503\r\n";

/// Returns a line of a verb and a JSON value.
pub fn json_line(verb: &str, value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(512);
    line.extend_from_slice(verb.as_bytes());
    line.push(b' ');
    // The types that are written have string keys only and no way to fail; a writer into memory has none either.
    if serde_json::to_writer(&mut line, value).is_err() {
        line.truncate(verb.len() + 1);
        line.extend_from_slice(b"{}");
    }
    line.extend_from_slice(CRLF);
    line
}

/// Returns an error line.
pub fn error_line(text: &str) -> Vec<u8> {
    format!("-ERR '{text}'\r\n").into_bytes()
}

/// Appends a decimal.
pub fn decimal(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The fields that follow subject and account in a message among servers.
#[derive(Clone, Copy)]
pub struct LinkHead<'a> {
    /// The account, on routes.
    pub account: Option<&'a str>,
    /// On routes: the cluster of the leafnode that the message came from, a name without blanks.
    pub origin: Option<&'a [u8]>,
    /// Where the message goes.
    pub subject: &'a [u8],
    /// Where answers go.
    pub reply: Option<&'a [u8]>,
    /// The queue groups that the receiver is to serve.
    pub queues: &'a [&'a [u8]],
    /// How many of the bytes are the header block.
    pub header_len: usize,
    /// Bytes of header block and payload.
    pub total: usize,
}

/// Appends the first line of a message to a leafnode (without account) or route (with account).
pub fn link_message(out: &mut Vec<u8>, head: &LinkHead<'_>) {
    let verb: &[u8] = match (head.header_len, head.account, head.origin) {
        (_, _, Some(_)) | (0, None, None) => b"LMSG ",
        (0, Some(_), None) => b"RMSG ",
        (_, _, None) => b"HMSG ",
    };
    out.extend_from_slice(verb);
    if let Some(origin) = head.origin {
        out.extend_from_slice(origin);
        out.push(b' ');
    }
    if let Some(account) = head.account {
        out.extend_from_slice(account.as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(head.subject);
    out.push(b' ');
    if !head.queues.is_empty() {
        out.extend_from_slice(if head.reply.is_some() { b"+ " } else { b"| " });
    }
    for field in head.reply.iter().chain(head.queues) {
        out.extend_from_slice(field);
        out.push(b' ');
    }
    if head.header_len > 0 || head.origin.is_some() {
        decimal(out, head.header_len);
        out.push(b' ');
    }
    decimal(out, head.total);
    out.extend_from_slice(CRLF);
}

/// Appends the line by which interest is announced with a weight, or withdrawn with a weight of 0.
pub fn interest(
    out: &mut Vec<u8>,
    account: Option<&str>,
    filter: &[u8],
    queue: Option<&[u8]>,
    weight: u32,
) {
    out.push(if account.is_some() { b'R' } else { b'L' });
    out.extend_from_slice(if weight > 0 { b"S+ " } else { b"S- " });
    if let Some(account) = account {
        out.extend_from_slice(account.as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(filter);
    if let Some(queue) = queue {
        out.push(b' ');
        out.extend_from_slice(queue);
        if weight > 0 {
            out.push(b' ');
            decimal(out, usize::try_from(weight).unwrap_or(usize::MAX));
        }
    }
    out.extend_from_slice(CRLF);
}
