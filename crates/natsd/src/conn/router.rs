//! The way of a message from the connection that sent it to all that get it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::memory::Memory;
use super::outbound::State;
use super::{Batch, Conn, SharedPayload, Sub};
use crate::limits::SHARED_PAYLOAD_BYTES;
use crate::link::LinkState;
use crate::proto::write::{self, LinkHead};
use crate::proto::{Kind, Tokens, headers};
use crate::sublist::{Class, Delivery, Group, Sublist};

/// A message on its way.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) reply: Option<&'a [u8]>,
    pub(crate) header_len: usize,
    /// Header block and payload.
    pub(crate) payload: &'a [u8],
    /// The queue groups to serve; all if not set.
    pub(crate) queues: Option<Tokens<'a>>,
    /// The cluster of the leafnode that it came from, if known.
    pub(crate) origin: Option<&'a [u8]>,
}

impl Message<'_> {
    fn is_readable(&self) -> bool {
        let block = self.payload.get(..self.header_len).unwrap_or_default();
        block.is_empty() || headers::is_readable(block)
    }
}

/// Who sent a message.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) conn: &'a Arc<Conn>,
    pub(crate) class: Class,
    /// Whether it gets its own messages.
    pub(crate) echo: bool,
}

/// The state of one sender: what it remembers about subjects, and what its last read led to.
pub(crate) struct Router {
    memory: Memory,
    links: Vec<Via>,
    random: Random,
    pub(crate) batch: Batch,
}

/// A link over which the message at hand goes, and the queue groups to serve there.
struct Via {
    sub: Arc<Sub>,
    queues: Vec<Arc<[u8]>>,
}

impl Router {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            memory: Memory::default(),
            links: Vec::new(),
            random: Random::new(seed),
            batch: Batch::default(),
        }
    }

    /// Returns the subscription of a connection to this subject, if it has one.
    pub(crate) fn own(
        &mut self,
        tree: &Sublist<Arc<Conn>>,
        subject: &[u8],
        conn: &Arc<Conn>,
    ) -> Option<Arc<Sub>> {
        let matches = self.memory.matches(tree, subject);
        let mine = |sub: &&Arc<Sub>| Arc::ptr_eq(&sub.owner, conn);
        let grouped = matches.groups.iter().flat_map(|group| &group.local);
        matches.plain.iter().chain(grouped).find(mine).cloned()
    }

    /// Forgets everything that keeps others' memory alive.
    pub(crate) fn trim(&mut self) {
        self.memory = Memory::default();
    }

    /// Hands a message to everybody who gets it, and says whether anybody did. Nobody gets one whose headers cannot be read.
    pub(crate) fn route(
        &mut self,
        tree: &Sublist<Arc<Conn>>,
        from: Source<'_>,
        message: &Message<'_>,
    ) -> bool {
        if !message.is_readable() {
            return false;
        }
        let matches = self.memory.matches(tree, message.subject);
        let mut shared = None;
        if message.payload.len() >= SHARED_PAYLOAD_BYTES
            && matches.plain.len() + matches.groups.len() > 1
        {
            shared = Some(SharedPayload::default());
        }
        let mut delivery = Sending {
            from,
            message,
            shared,
            batch: &mut self.batch,
        };
        let mut delivered = false;
        for sub in &matches.plain {
            if sub.class == Class::Client {
                delivered |= delivery.hand_to_client(sub);
            } else if delivery.may_cross(sub) && !self.links.iter().any(|via| via.is(sub)) {
                self.links.push(Via {
                    sub: Arc::clone(sub),
                    queues: Vec::new(),
                });
            }
        }
        for group in &matches.groups {
            let asked = message
                .queues
                .is_none_or(|mut names| names.any(|name| *name == *group.name));
            if asked {
                delivered |= choose(group, &mut delivery, &mut self.links, &mut self.random);
            }
        }
        for via in self.links.drain(..) {
            delivered |= delivery.hand_to_link(&via);
        }
        delivered
    }
}

impl Router {
    /// Hands a message to one subscription and nobody else.
    pub(crate) fn answer(&mut self, sub: &Arc<Sub>, from: Source<'_>, message: &Message<'_>) {
        if !message.is_readable() {
            return;
        }
        let mut delivery = Sending {
            from,
            message,
            shared: None,
            batch: &mut self.batch,
        };
        delivery.hand_to_client(sub);
    }
}

/// Gives the message to one member of a group: a client of this server if one takes it, else somebody behind a link.
fn choose(
    group: &Group<Arc<Conn>>,
    delivery: &mut Sending<'_>,
    links: &mut Vec<Via>,
    random: &mut Random,
) -> bool {
    let start = random.below(group.local.len());
    let (before, after) = group.local.split_at(start.min(group.local.len()));
    if after
        .iter()
        .chain(before)
        .any(|sub| delivery.hand_to_client(sub))
    {
        return true;
    }
    let candidates = || group.remote.iter().filter(|sub| delivery.may_cross(sub));
    let total = candidates().fold(0_usize, |total, sub| total.saturating_add(weight(sub)));
    let mut left = random.below(total);
    for sub in candidates() {
        let weight = weight(sub);
        if left >= weight {
            left -= weight;
            continue;
        }
        let via = match links.iter_mut().position(|via| via.is(sub)) {
            Some(at) => links.get_mut(at),
            None => Some(links.push_mut(Via {
                sub: Arc::clone(sub),
                queues: Vec::new(),
            })),
        };
        if let Some(via) = via {
            via.queues.push(Arc::clone(&group.name));
        }
        break;
    }
    // Whether the link takes it is found out when it is sent.
    false
}

fn weight(sub: &Sub) -> usize {
    usize::try_from(sub.weight()).unwrap_or(usize::MAX)
}

impl Via {
    fn is(&self, sub: &Sub) -> bool {
        self.sub.owner.id == sub.owner.id
    }
}

/// One message while it is handed round.
struct Sending<'a> {
    from: Source<'a>,
    message: &'a Message<'a>,
    shared: Option<SharedPayload>,
    batch: &'a mut Batch,
}

impl Sending<'_> {
    /// Says whether the message may go over the link behind a subscription at all.
    fn may_cross(&self, sub: &Sub) -> bool {
        sub.owner.id != self.from.conn.id
            && self.from.class.may_reach(sub.class)
            && sub
                .owner
                .link
                .as_ref()
                .is_some_and(|link| link.lets_out(self.message))
    }

    /// Delivers to a client, and says whether it was taken.
    fn hand_to_client(&mut self, sub: &Arc<Sub>) -> bool {
        let conn = &sub.owner;
        if conn.id == self.from.conn.id && !self.from.echo {
            return false;
        }
        if sub.filtered {
            let permissions = conn.permissions();
            let queue = sub.queue.as_deref();
            if permissions.is_some_and(|rules| !rules.may_receive(self.message.subject, queue)) {
                return false;
            }
        }
        if let Some(inbox) = &conn.inbox {
            return inbox.deliver(sub, self.message, self.batch);
        }
        if !self.append_to_client(sub) {
            return false;
        }
        if let Some(reply) = self.message.reply {
            conn.may_answer(reply);
        }
        true
    }

    fn append_to_client(&mut self, sub: &Arc<Sub>) -> bool {
        let conn = &sub.owner;
        let message = self.message;
        let (header_len, payload) = message.for_receiver(conn);
        let state = conn.out.lock();
        if state.is_closed() {
            return false;
        }
        match sub.count_delivery() {
            Delivery::Refused => return false,
            Delivery::Counted => {}
            Delivery::Last => self.batch.finished.push(Arc::clone(sub)),
        }
        let head = |out: &mut Vec<u8>| {
            out.extend_from_slice(if header_len > 0 { b"HMSG " } else { b"MSG " });
            out.extend_from_slice(message.subject);
            out.push(b' ');
            out.extend_from_slice(&sub.sid);
            out.push(b' ');
            if let Some(reply) = message.reply {
                out.extend_from_slice(reply);
                out.push(b' ');
            }
            if header_len > 0 {
                write::decimal(out, header_len);
                out.push(b' ');
            }
            write::decimal(out, payload.len());
            out.extend_from_slice(write::CRLF);
        };
        let fields = message.subject.len() + sub.sid.len() + message.reply.map_or(0, <[u8]>::len);
        let from_client = self.from.conn.kind == Kind::Client;
        self.append(conn, state, payload, fields, head, from_client);
        true
    }

    /// Puts the message behind what waits for `conn` already; with `stall` a publisher that is faster waits for it.
    fn append(
        &mut self,
        conn: &Arc<Conn>,
        mut state: MutexGuard<'_, State>,
        payload: &[u8],
        fields: usize,
        head: impl FnOnce(&mut Vec<u8>),
        stall: bool,
    ) {
        state.messages += 1;
        state.bytes += payload.len() as u64;
        match &mut self.shared {
            Some(shared) => {
                let tail = shared.get(self.message.payload, payload.len());
                state.queue.append(fields + HEAD_BYTES, head);
                state.queue.share(tail);
            }
            None => {
                let room = fields + HEAD_BYTES + payload.len();
                state.queue.append(room, |out| {
                    head(out);
                    out.extend_from_slice(payload);
                    out.extend_from_slice(write::CRLF);
                });
            }
        }
        let appended = conn.out.appended(&mut state);
        drop(state);
        self.batch.note(conn, appended, stall);
    }

    /// Sends over a link, and says whether it was taken.
    fn hand_to_link(&mut self, via: &Via) -> bool {
        let conn = &via.sub.owner;
        let message = self.message;
        let (header_len, payload) = message.for_receiver(conn);
        let queues: Vec<&[u8]> = via.queues.iter().map(|name| &**name).collect();
        let takes_origin = |name: &&[u8]| {
            // A leafnode may call its cluster anything; a name that is no field of a line is kept to ourselves.
            name.iter().all(u8::is_ascii_graphic)
                && conn.link.as_ref().is_some_and(LinkState::takes_origin)
        };
        let head = LinkHead {
            account: (conn.kind == Kind::Route).then_some(write::ACCOUNT),
            origin: message.origin.filter(takes_origin),
            subject: message.subject,
            reply: message.reply,
            queues: &queues,
            header_len,
            total: payload.len(),
        };
        let state = conn.out.lock();
        if state.is_closed() {
            return false;
        }
        let fields = message.subject.len()
            + message.reply.map_or(0, <[u8]>::len)
            + head.origin.map_or(0, <[u8]>::len);
        let head = |out: &mut Vec<u8>| write::link_message(out, &head);
        self.append(conn, state, payload, fields, head, false);
        true
    }
}

/// Bytes that a first line has apart from its subject, reply and sid, generously.
const HEAD_BYTES: usize = 64;

impl<'a> Message<'a> {
    /// Returns the length of the header block and the payload as this receiver gets it: without the block if it does not
    /// understand it.
    fn for_receiver(&self, conn: &Conn) -> (usize, &'a [u8]) {
        if self.header_len == 0 || conn.headers() {
            return (self.header_len, self.payload);
        }
        (0, self.payload.get(self.header_len..).unwrap_or_default())
    }

    /// Returns the header block and the payload.
    pub(crate) fn split(&self) -> (Bytes, Bytes) {
        let (headers, payload) = self
            .payload
            .split_at_checked(self.header_len)
            .unwrap_or((&[], self.payload));
        (
            Bytes::copy_from_slice(headers),
            Bytes::copy_from_slice(payload),
        )
    }
}

/// Choices among members of a group: fast, and good enough to spread load. Nothing secret hangs on them.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `limit`; 0 if there is none.
    fn below(&mut self, limit: usize) -> usize {
        if limit < 2 {
            return 0;
        }
        // xorshift64* of Marsaglia and Vigna.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % limit
    }
}
