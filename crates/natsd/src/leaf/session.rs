//! The conversation on one leafnode link, from either side.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::error::LeafError;
use super::handshake::{self, Own, Refusal, Wish};
use crate::auth::Credentials;
use crate::conn::router::{Message, Source};
use crate::conn::session::Context;
use crate::conn::{Close, Conn};
use crate::limits::MAX_LEAF_INTEREST;
use crate::link::dial::{LinkStatus, Progress};
use crate::link::{self, Audience, LOOP_PREFIX, Remote, Terms, finds_loops};
use crate::proto::{Connect, Info, Interest, Kind, LinkMessage, Op, ParseError, write};
use crate::server::Shared;
use crate::subject::Filter;
use crate::sublist::Class;

/// Characters of a server's own subject for finding loops, behind the prefix.
const LOOP_ID_CHARACTERS: usize = 22;

/// What the side that dials knows before the conversation begins, and what it wants to hear of its end.
#[derive(Debug)]
pub(crate) struct Dialled {
    /// What the other end greeted us with.
    pub(crate) greeting: Info,
    pub(crate) wish: Wish,
    pub(crate) credentials: Credentials,
    pub(crate) terms: Terms,
    pub(crate) progress: Progress,
    /// Why the link ended, for who dials again; the first reason stays.
    pub(crate) why: Arc<Mutex<Option<LeafError>>>,
}

/// One end of a leafnode link.
pub(crate) struct Leaf {
    side: Side,
    ready: bool,
    terms: Arc<Terms>,
    /// The class of what comes over the link.
    class: Class,
    /// The other end's cluster.
    cluster: Option<Arc<[u8]>>,
    /// Messages and bytes of this read.
    received: (u64, u64),
}

enum Side {
    Accepting { nonce: String },
    Dialling(Box<Dialled>),
}

impl Leaf {
    /// Returns the accepting end.
    pub(crate) fn accepted(nonce: String) -> Self {
        Self::new(Side::Accepting { nonce }, Class::Spoke)
    }

    /// Returns the end that dialled.
    pub(crate) fn dialled(dialled: Dialled) -> Self {
        let class = if dialled.wish.hub {
            Class::Spoke
        } else {
            Class::Hub
        };
        Self::new(Side::Dialling(Box::new(dialled)), class)
    }

    fn new(side: Side, class: Class) -> Self {
        Self {
            side,
            ready: false,
            terms: Arc::default(),
            class,
            cluster: None,
            received: (0, 0),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Begins the conversation.
    pub(crate) fn open(&mut self, context: &mut Context<'_>) -> Result<(), Close> {
        context.shared.enter(context.conn, false)?;
        match &self.side {
            Side::Accepting { nonce } => {
                let info = context.shared.leaf_info(context.conn, nonce);
                context.send(&write::json_line("INFO", &info));
                Ok(())
            }
            Side::Dialling(dialled) => {
                let own = own(context.shared);
                if let Some(link) = &context.conn.link {
                    link.set_told_cluster(own.cluster.clone());
                }
                let connect =
                    handshake::answer(&dialled.greeting, &own, &dialled.wish, &dialled.credentials);
                let connect = connect.map_err(|why| {
                    dialled.why.lock().get_or_insert(why);
                    Close::Handshake
                })?;
                context.send(&write::json_line("CONNECT", &connect));
                // An old server does not say that the link is accepted.
                if dialled.greeting.info_on_connect {
                    return Ok(());
                }
                let greeting = dialled.greeting.clone();
                self.accepted_by(&greeting, context);
                Ok(())
            }
        }
    }

    pub(crate) fn handle(&mut self, op: &Op<'_>, context: &mut Context<'_>) -> Result<(), Close> {
        match op {
            Op::Connect(json) if !self.ready => self.connect(json, context),
            Op::Info(json) => self.info(json, context),
            Op::Err(text) => self.error(text),
            _ if !self.ready => Err(match self.side {
                Side::Accepting { .. } => Close::Unauthorized,
                Side::Dialling(_) => Close::Handshake,
            }),
            Op::Interest(interest) => self.interest(interest, context),
            Op::Message(message) => {
                self.message(message, context);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Says whether this end dialled.
    pub(crate) fn dials(&self) -> bool {
        matches!(self.side, Side::Dialling(_))
    }

    /// Adds up what one read brought.
    pub(crate) fn batch_ends(&mut self, context: &Context<'_>) {
        let received = &context.conn.received;
        let (messages, bytes) = std::mem::take(&mut self.received);
        received.messages.fetch_add(messages, Ordering::Relaxed);
        received.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes for whoever dialled why the connection is about to end; the first reason stays.
    pub(crate) fn report(&self, text: &str) {
        if let Side::Dialling(dialled) = &self.side {
            dialled.progress.because(text);
        }
    }

    /// Tells whoever dialled why the link ended.
    pub(crate) fn ended(self, why: Close) {
        let Side::Dialling(dialled) = self.side else {
            return;
        };
        let error = match why {
            Close::Stale | Close::AuthTimeout => LeafError::Stale,
            Close::Protocol(error) => LeafError::Protocol(error.to_string()),
            Close::Handshake => LeafError::Protocol("it spoke before its turn".to_owned()),
            Close::Loop | Close::Myself => LeafError::Loop,
            Close::SameClusterName => LeafError::SameCluster(String::new()),
            Close::ClusterRenamed => LeafError::Renamed,
            _ => LeafError::Closed,
        };
        let text = dialled.why.lock().get_or_insert(error).to_string();
        dialled.progress.because(&text);
        dialled.progress.end(why);
    }

    /// Takes the CONNECT of a server that dialled us.
    fn connect(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        let Side::Accepting { nonce } = &self.side else {
            return Err(Close::Handshake);
        };
        let connect: Connect =
            serde_json::from_slice(json).map_err(|_| Close::Protocol(ParseError::Unknown))?;
        let (shared, conn) = (context.shared, context.conn);
        let judged = handshake::judge(&connect, &own(shared));
        if judged == Err(Refusal::Client) {
            return Err(Close::ClientOnLeafPort);
        }
        let identity = shared.authenticate(conn, &connect, nonce)?;
        match judged {
            Err(Refusal::Myself) => {
                context.error(&Refusal::Myself.to_string());
                return Err(Close::Myself);
            }
            Err(_) => return Err(Close::SameClusterName),
            Ok(()) => {}
        }
        let mut terms = Terms::of_leafnode(identity.permissions.as_deref());
        let denied = connect.deny_pub.iter().flatten();
        terms
            .out
            .deny(denied.filter_map(|text| Filter::parse(text.as_bytes())));
        conn.introduce(&connect, identity);
        if !shared.may_be_called(conn, connect.name.as_deref().unwrap_or_default()) {
            return Err(Close::Unauthorized);
        }
        self.class = if connect.is_hub == Some(true) {
            Class::Hub
        } else {
            Class::Spoke
        };
        let isolated = connect.isolate == Some(true) || shared.isolate_leaves;
        let remote = Remote {
            server_id: connect.server_id.unwrap_or_default(),
            server_name: connect.name.unwrap_or_default(),
            cluster: connect.cluster.filter(|name| !name.is_empty()),
            takes_origin: false,
            tells_origins: false,
            max_payload: None,
        };
        replace_older(shared, conn, &remote);
        let mut info = shared.leaf_info(conn, nonce);
        info.connect_info = true;
        info.remote_account = Some(write::ACCOUNT.to_owned());
        info.import = terms.out.told();
        info.export = terms.into.told();
        context.send(&write::json_line("INFO", &info));
        self.begin(remote, terms, isolated, context);
        if shared.max_payload() != info.max_payload {
            // It became another before this leafnode was among those that are told.
            shared.tell_leaves();
        }
        Ok(())
    }

    /// Takes what the server that we dialled says: that the link is accepted, or something new about itself.
    fn info(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        if matches!(self.side, Side::Accepting { .. }) {
            // Only compression would have a dialler say so before it is let in, and nobody offers that here.
            return if self.ready {
                Ok(())
            } else {
                Err(Close::Unauthorized)
            };
        }
        let info: Info =
            serde_json::from_slice(json).map_err(|_| Close::Protocol(ParseError::Unknown))?;
        if self.ready {
            if let Some(link) = &context.conn.link {
                link.set_max_payload(shorter(context.shared, info.max_payload));
            }
            context.shared.note_max_payload();
        } else if info.connect_info {
            self.accepted_by(&info, context);
        }
        Ok(())
    }

    /// Begins as the side that dialled.
    fn accepted_by(&mut self, info: &Info, context: &mut Context<'_>) {
        let Side::Dialling(dialled) = &self.side else {
            return;
        };
        let mut terms = dialled.terms.clone();
        for (way, told) in [
            (&mut terms.out, &info.export),
            (&mut terms.into, &info.import),
        ] {
            if let Some(told) = told {
                way.narrow(told);
            }
        }
        let remote = Remote {
            server_id: info.server_id.clone(),
            server_name: info.server_name.clone(),
            cluster: info.cluster.clone().filter(|name| !name.is_empty()),
            takes_origin: false,
            tells_origins: false,
            max_payload: shorter(context.shared, info.max_payload),
        };
        context.conn.set_headers(info.headers);
        let progress = dialled.progress.clone();
        let up = LinkStatus::Up {
            connection: context.conn.id,
            server_id: remote.server_id.clone(),
            server_name: remote.server_name.clone(),
        };
        self.begin(remote, terms, false, context);
        progress.set(up);
    }

    /// Announces our interest, and hears the other end's from now on.
    fn begin(&mut self, remote: Remote, terms: Terms, isolated: bool, context: &mut Context<'_>) {
        self.ready = true;
        self.terms = Arc::new(terms);
        self.cluster = remote.cluster.as_deref().map(|name| name.as_bytes().into());
        let (id, name) = (remote.server_id.clone(), remote.server_name.clone());
        if let Some(link) = &context.conn.link {
            link.set_remote(remote);
            link.set_terms(Arc::clone(&self.terms));
        }
        let mut line = Vec::new();
        write::interest(&mut line, None, &loop_subject(context.shared), None, 1);
        context.send(&line);
        let audience = if self.class == Class::Hub {
            Audience::Hub
        } else {
            Audience::Spoke { isolated }
        };
        let (shared, conn) = (context.shared, context.conn);
        link::open(shared, conn, audience, &mut context.router.batch);
        shared.note_max_payload();
        shared.link_is_up(conn, &id, &name);
    }

    fn error(&mut self, text: &[u8]) -> Result<(), Close> {
        if let Side::Dialling(dialled) = &self.side {
            let text = String::from_utf8_lossy(text);
            let why = LeafError::from_text(&text);
            dialled.why.lock().get_or_insert(why);
            if let Some(refused) = Close::of_refusal(&text) {
                return Err(refused);
            }
        }
        Err(Close::RemoteError)
    }

    fn interest(
        &mut self,
        interest: &Interest<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Close> {
        let malformed = Close::Protocol(ParseError::Unknown);
        let filter = Filter::parse(interest.filter).ok_or(malformed)?;
        let (shared, conn) = (context.shared, context.conn);
        if interest.weight > 0 {
            if interest.filter == loop_subject(shared) {
                let delay = if matches!(self.side, Side::Dialling(_)) {
                    30
                } else {
                    0
                };
                let account = write::ACCOUNT;
                context.error(&format!(
                    "Loop detected for leafnode account=\"{account}\". Delaying attempt to reconnect for {delay}s"
                ));
                return Err(Close::Loop);
            }
            let allowed = self.terms.out.lets_all(&filter) || finds_loops(interest.filter);
            if self.class == Class::Spoke && !allowed {
                shared.count_violation();
                context.error(&format!(
                    "Permissions Violation for Subscription to \"{filter}\""
                ));
                return Err(Close::LinkPermission);
            }
            if conn.subs.lock().len() >= MAX_LEAF_INTEREST {
                context.error("maximum subscriptions exceeded");
                return Err(Close::LinkPermission);
            }
        }
        let mut interest = *interest;
        interest.origin = self.cluster.as_deref();
        link::take_interest(shared, conn, self.class, &interest);
        Ok(())
    }

    fn message(&mut self, message: &LinkMessage<'_>, context: &mut Context<'_>) {
        self.received.0 += 1;
        self.received.1 += message.payload.len() as u64;
        if !self.terms.into.lets_message(message.subject) && !finds_loops(message.subject) {
            context.shared.count_violation();
            return;
        }
        let message = Message {
            subject: message.subject,
            reply: message.reply,
            header_len: message.header_len,
            payload: message.payload,
            queues: Some(message.queues),
            origin: self.cluster.as_deref(),
        };
        let from = Source {
            conn: context.conn,
            class: self.class,
            echo: true,
        };
        context.router.route(&context.shared.tree, from, &message);
    }
}

/// Returns what this server says about itself.
fn own(shared: &Shared) -> Own {
    Own {
        server_id: shared.server_id.clone(),
        server_name: shared.server_name.clone(),
        version: crate::server::VERSION.to_owned(),
        cluster: shared
            .cluster
            .read()
            .as_ref()
            .map(|cluster| cluster.name.clone()),
    }
}

/// Returns the longest message that a hub takes, if that is less than this server takes.
fn shorter(shared: &Shared, told: usize) -> Option<usize> {
    Some(told).filter(|most| (1..shared.limits.max_payload).contains(most))
}

/// Returns the subject that only this server announces: hearing of it from elsewhere means that there is a loop.
fn loop_subject(shared: &Shared) -> Vec<u8> {
    let id = shared.server_id.as_bytes();
    [LOOP_PREFIX, id.get(..LOOP_ID_CHARACTERS).unwrap_or(id)].concat()
}

/// Closes another link that the same server dialled: it has lost that one without our noticing, or is configured twice.
fn replace_older(shared: &Shared, conn: &Arc<Conn>, remote: &Remote) {
    let older: Vec<Arc<Conn>> = shared
        .links
        .read()
        .iter()
        .filter(|other| other.kind == Kind::Leaf && !Arc::ptr_eq(other, conn))
        .filter(|other| {
            other.link.as_ref().is_some_and(|link| {
                !link.dialled
                    && !remote.server_id.is_empty()
                    && link.remote().server_id == remote.server_id
            })
        })
        .cloned()
        .collect();
    for other in older {
        other.send_now(&write::error_line("Duplicate Remote LeafNode Connection"));
        other.close(Close::Duplicate);
    }
}
