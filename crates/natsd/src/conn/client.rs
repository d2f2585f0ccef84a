//! The operations of clients.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::router::{Message, Source};
use super::session::Context;
use super::{Close, Sub};
use crate::auth::Permissions;
use crate::proto::{Connect, Op, Publish, write};
use crate::subject::{self, Filter};
use crate::sublist::{Class, Subscription};

/// Prefixes of subjects that servers make for replies; nobody may have answers sent there.
const RESERVED_REPLIES: [&[u8]; 3] = [b"_R_.", b"_GR_.", b"$JS.ACK."];

/// The queue group of servers.
const SYSTEM_QUEUE: &[u8] = b"_sys_";

/// A client's side of the conversation.
pub(crate) struct Client {
    nonce: String,
    /// It has introduced itself, or need not.
    ready: bool,
    verbose: bool,
    pedantic: bool,
    echo: bool,
    no_responders: bool,
    permissions: Option<Arc<Permissions>>,
    /// Messages and bytes of this read.
    messages: u64,
    bytes: u64,
}

impl Client {
    /// Returns a client that has said nothing yet.
    pub(crate) fn new(nonce: String, auth_required: bool) -> Self {
        let defaults = Connect::default();
        Self {
            nonce,
            ready: !auth_required,
            verbose: defaults.verbose,
            pedantic: defaults.pedantic,
            echo: defaults.echo,
            no_responders: defaults.no_responders,
            permissions: None,
            messages: 0,
            bytes: 0,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn open(&mut self, context: &mut Context<'_>) -> Result<(), Close> {
        let info = context.shared.client_info(context.conn, &self.nonce);
        context.send(&write::json_line("INFO", &info));
        context.shared.enter(context.conn, self.ready)
    }

    pub(super) fn batch_ends(&mut self, context: &Context<'_>) {
        let received = &context.conn.received;
        received
            .messages
            .fetch_add(std::mem::take(&mut self.messages), Ordering::Relaxed);
        received
            .bytes
            .fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }

    pub(super) fn handle(&mut self, op: &Op<'_>, context: &mut Context<'_>) -> Result<(), Close> {
        match *op {
            Op::Connect(json) => return self.connect(json, context),
            _ if !self.ready => return Err(Close::Unauthorized),
            Op::Publish(ref publish) => return self.publish(publish, context),
            Op::Subscribe { filter, queue, sid } => self.subscribe(filter, queue, sid, context),
            Op::Unsubscribe { sid, max } => self.unsubscribe(sid, max, context),
            // A client has nothing to say by these.
            _ => {}
        }
        Ok(())
    }

    fn ok(&self, context: &mut Context<'_>) {
        if self.verbose {
            context.send(write::OK);
        }
    }

    fn connect(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        let malformed = Close::Protocol(crate::proto::ParseError::Unknown);
        let connect = Connect::from_json(json).ok_or(malformed)?;
        if !(0..=1).contains(&connect.protocol) {
            return Err(Close::ProtocolLevel);
        }
        if connect.no_responders && !connect.headers {
            return Err(Close::NoRespondersWithoutHeaders);
        }
        // Whoever introduces themselves again starts anew.
        context.shared.drop_subscriptions(context.conn);
        let identity = context
            .shared
            .authenticate(context.conn, &connect, &self.nonce);
        let identity = identity?;
        self.permissions.clone_from(&identity.permissions);
        context.conn.introduce(&connect, identity);
        self.verbose = connect.verbose;
        self.pedantic = connect.pedantic;
        self.echo = connect.echo;
        self.no_responders = connect.no_responders;
        self.ready = true;
        self.ok(context);
        Ok(())
    }

    fn publish(&mut self, publish: &Publish<'_>, context: &mut Context<'_>) -> Result<(), Close> {
        self.messages += 1;
        self.bytes += publish.payload.len() as u64;
        if publish.header_len.is_some() && !context.conn.headers() {
            return Err(Close::HeadersNotSupported);
        }
        if self.pedantic && !subject::is_literal(publish.subject) {
            context.error("Invalid Publish Subject");
        }
        if let Some(rules) = &self.permissions
            && !rules.may_publish(publish.subject)
            && !context.conn.spend_answer(publish.subject)
        {
            let subject = String::from_utf8_lossy(publish.subject);
            context.error(&format!(
                "Permissions Violation for Publish to \"{subject}\""
            ));
            context.shared.count_violation();
            return Ok(());
        }
        self.ok(context);
        if let Some(reply) = publish.reply
            && RESERVED_REPLIES
                .iter()
                .any(|prefix| reply.starts_with(prefix))
        {
            let reply = String::from_utf8_lossy(reply);
            context.error(&format!(
                "Permissions Violation for Publish with Reply of \"{reply}\""
            ));
            context.shared.count_violation();
            return Ok(());
        }
        let message = Message {
            subject: publish.subject,
            reply: publish.reply,
            header_len: publish.header_len.unwrap_or(0),
            payload: publish.payload,
            queues: None,
            origin: None,
        };
        let from = Source {
            conn: context.conn,
            class: Class::Client,
            echo: self.echo,
        };
        let delivered = context.router.route(&context.shared.tree, from, &message);
        if let (false, true, Some(reply)) = (delivered, self.no_responders, publish.reply) {
            nobody_answers(publish.subject, reply, context);
        }
        Ok(())
    }

    fn subscribe(
        &mut self,
        filter: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        context: &mut Context<'_>,
    ) {
        let Some(filter) = Filter::parse(filter) else {
            return context.error("Invalid Subject");
        };
        let permissions = self.permissions.as_deref();
        let allowed = permissions.is_none_or(|rules| rules.may_subscribe(&filter, queue));
        if !allowed || queue == Some(SYSTEM_QUEUE) {
            context.shared.count_violation();
            return context.error(&subscription_violation(&filter, queue));
        }
        let filtered = permissions.is_some_and(|rules| rules.denies_within(&filter, queue));
        let conn = context.conn;
        {
            let mut subs = conn.subs.lock();
            if subs.contains_key(sid) {
                drop(subs);
                return self.ok(context);
            }
            if subs.len() >= context.shared.limits.max_subscriptions {
                drop(subs);
                context.shared.count_violation();
                return context.error("maximum subscriptions exceeded");
            }
            let owner = Arc::clone(conn);
            let queue = queue.map(Arc::from);
            let mut sub = Subscription::new(owner, Class::Client, filter, queue, sid);
            sub.filtered = filtered;
            let sub = Arc::new(sub);
            subs.insert(sid.into(), Arc::clone(&sub));
            // The tree is never locked while a connection's own list is.
            drop(subs);
            context.shared.add_subscription(&sub);
        }
        self.ok(context);
    }

    fn unsubscribe(&mut self, sid: &[u8], max: Option<usize>, context: &mut Context<'_>) {
        let found: Option<Arc<Sub>> = context.conn.subs.lock().get(sid).cloned();
        if let Some(sub) = found {
            let ended = match max {
                Some(max @ 1..) => sub.limit(max as u64),
                _ => true,
            };
            if ended {
                context.shared.remove_subscription(&sub);
            }
        }
        self.ok(context);
    }
}

fn subscription_violation(filter: &Filter, queue: Option<&[u8]>) -> String {
    let queue = queue.map(|queue| format!(" using queue \"{}\"", String::from_utf8_lossy(queue)));
    let queue = queue.unwrap_or_default();
    format!("Permissions Violation for Subscription to \"{filter}\"{queue}")
}

/// Tells a requester that nobody got its request, if it listens for the answer.
fn nobody_answers(subject: &[u8], reply: &[u8], context: &mut Context<'_>) {
    let tree = &context.shared.tree;
    let Some(sub) = context.router.own(tree, reply, context.conn) else {
        return;
    };
    let mut head = write::NO_RESPONDERS.to_vec();
    head.extend_from_slice(b"Nats-Subject: ");
    head.extend_from_slice(subject);
    head.extend_from_slice(b"\r\n\r\n");
    let message = Message {
        subject: reply,
        reply: None,
        header_len: head.len(),
        payload: &head,
        queues: None,
        origin: None,
    };
    let from = Source {
        conn: context.conn,
        class: Class::Client,
        echo: true,
    };
    context.router.answer(&sub, from, &message);
}
