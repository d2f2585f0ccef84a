//! Routes: the links among the members of a cluster. Every member has one to every other, so a message takes one hop at
//! most.

mod cluster;
mod dial;
mod members;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use dial::RouteOptions;
pub(crate) use dial::keep;
pub(crate) use members::Members;

use crate::conn::router::{Message, Source};
use crate::conn::session::Context;
use crate::conn::{Close, Conn};
use crate::link::dial::{LinkStatus, Progress};
use crate::link::{self, Audience, Remote};
use crate::proto::{Connect, Info, Kind, LinkMessage, Op, ParseError, write};
use crate::server::Shared;
use crate::sublist::Class;

/// One end of a route.
pub(crate) struct Route {
    side: Side,
    stage: Stage,
}

enum Side {
    Accepting { nonce: String },
    Dialling { progress: Progress },
}

/// How far the two ends have introduced themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was heard.
    New,
    /// The other end was let in, but has not said where it listens.
    Admitted,
    /// The link is a route.
    Member,
    /// It is not a route and never will be; the other end is about to close it.
    Idle,
}

impl Route {
    /// Returns the end that was dialled.
    pub(crate) fn accepted(nonce: String) -> Self {
        Self {
            side: Side::Accepting { nonce },
            stage: Stage::New,
        }
    }

    /// Returns the end that dialled.
    pub(crate) fn dialled(progress: Progress) -> Self {
        Self {
            side: Side::Dialling { progress },
            stage: Stage::New,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Member | Stage::Idle)
    }

    pub(crate) fn dials(&self) -> bool {
        matches!(self.side, Side::Dialling { .. })
    }

    pub(crate) fn open(&mut self, context: &mut Context<'_>) -> Result<(), Close> {
        context.shared.enter(context.conn, self.dials())?;
        if let Side::Accepting { nonce } = &self.side {
            let info = context.shared.route_info(context.conn, nonce);
            context.send(&write::json_line("INFO", &info));
        }
        Ok(())
    }

    pub(crate) fn handle(&mut self, op: &Op<'_>, context: &mut Context<'_>) -> Result<(), Close> {
        match *op {
            Op::Info(json) => self.info(json, context),
            Op::Connect(json) if self.stage == Stage::New => self.connect(json, context),
            Op::Err(text) => {
                let text = String::from_utf8_lossy(text);
                tracing::warn!(target: "natsd", id = context.conn.id, %text, "the other end of a route sent an error");
                self.report(&text);
                Err(Close::RemoteError)
            }
            _ if !self.is_ready() => Err(Close::Unauthorized),
            Op::Interest(ref interest) if self.stage == Stage::Member => {
                if interest.account == Some(write::ACCOUNT.as_bytes())
                    && !link::take_interest(context.shared, context.conn, Class::Route, interest)
                {
                    return Err(Close::Protocol(ParseError::Unknown));
                }
                Ok(())
            }
            Op::Message(ref message) if self.stage == Stage::Member => {
                receive(message, context);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn ended(self, shared: &Arc<Shared>, conn: &Arc<Conn>, why: Close) {
        shared.members.leave(shared, conn);
        if let Side::Dialling { progress } = self.side {
            progress.end(why);
        }
    }

    fn report(&self, text: &str) {
        if let Side::Dialling { progress } = &self.side {
            progress.because(text);
        }
    }

    /// Takes the CONNECT of a server that dialled us.
    fn connect(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        let Side::Accepting { nonce } = &self.side else {
            return Err(Close::Handshake);
        };
        let malformed = Close::Protocol(ParseError::Unknown);
        let connect = Connect::from_json(json).ok_or(malformed)?;
        if connect.lang.is_some() {
            return Err(Close::ClientOnRoutePort);
        }
        let identity = context.shared.authenticate(context.conn, &connect, nonce);
        context
            .conn
            .introduce(&connect, identity.ok_or(Close::Unauthorized)?);
        // Servers do not say so in older versions, and all of them can.
        context.conn.set_headers(true);
        if let Some(cluster) = &connect.cluster {
            let dynamic = connect.cluster_dynamic.unwrap_or(false);
            self.agree(cluster, dynamic, context)?;
        }
        self.stage = Stage::Admitted;
        Ok(())
    }

    /// Agrees on the cluster's name, or says why that cannot be.
    fn agree(&self, theirs: &str, dynamic: bool, context: &mut Context<'_>) -> Result<(), Close> {
        context
            .shared
            .agree_on_cluster(theirs, dynamic, context.conn)
            .map_err(|ours| {
                let text = format!(
                    "Rejecting connection, cluster name \"{theirs}\" does not match \"{ours}\""
                );
                tracing::warn!(target: "natsd", id = context.conn.id, "{text}");
                context.error(&text);
                self.report(&text);
                Close::ClusterNameConflict
            })
    }

    fn info(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        let malformed = Close::Protocol(ParseError::Unknown);
        let info = Info::from_json(json).ok_or(malformed)?;
        match self.stage {
            Stage::New if self.dials() => self.answer(&info, context),
            Stage::New => Err(Close::Unauthorized),
            Stage::Admitted => self.join(&info, context),
            Stage::Member => {
                context
                    .shared
                    .members
                    .hear(context.shared, context.conn, &info);
                Ok(())
            }
            Stage::Idle => Ok(()),
        }
    }

    /// Answers the first INFO of the server that we dialled.
    fn answer(&mut self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let shared = context.shared;
        if info.server_id == shared.server_id {
            return Err(Close::Myself);
        }
        // A name that gives way to ours is no conflict: the other end takes ours over from the CONNECT.
        if let Some(cluster) = &info.cluster
            && !(info.cluster_dynamic && shared.outranks(cluster))
        {
            self.agree(cluster, info.cluster_dynamic, context)?;
        }
        let cluster = shared.cluster_name();
        let credentials = shared.route_options.credentials.as_ref();
        let connect = Connect {
            verbose: false,
            pedantic: false,
            headers: true,
            user: credentials.map(|(user, _)| user.clone()),
            pass: credentials.map(|(_, password)| password.reveal().to_owned()),
            name: Some(shared.server_id.clone()),
            cluster: Some(cluster.name),
            cluster_dynamic: cluster.dynamic.then_some(true),
            ..Connect::default()
        };
        context.send(&write::json_line("CONNECT", &connect));
        let own = shared.route_info(context.conn, "");
        context.send(&write::json_line("INFO", &own));
        context.conn.set_headers(true);
        self.join(info, context)
    }

    /// Makes the link a route, if the other end may have one.
    fn join(&mut self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let (shared, conn) = (context.shared, context.conn);
        if info.route_account.is_some() {
            self.stage = Stage::Idle;
            return Ok(());
        }
        if !self.dials() && info.server_name == shared.server_name {
            tracing::warn!(target: "natsd", name = info.server_name, theirs = info.server_id, ours = shared.server_id, "a server with our own name wants to join");
            return Err(Close::NameConflict);
        }
        shared.members.join(shared, conn, info)?;
        self.stage = Stage::Member;
        let remote = Remote {
            server_id: info.server_id.clone(),
            server_name: info.server_name.clone(),
            cluster: None,
        };
        if let Some(link) = &conn.link {
            link.set_remote(remote);
        }
        link::open(shared, conn, Audience::Route, &mut context.router.batch);
        shared.link_is_up(conn, &info.server_id, &info.server_name);
        if let Side::Dialling { progress } = &self.side {
            progress.set(LinkStatus::Up {
                connection: conn.id,
                server_id: info.server_id.clone(),
                server_name: info.server_name.clone(),
            });
        }
        Ok(())
    }
}

/// Hands a message of another member to clients and leafnodes.
fn receive(message: &LinkMessage<'_>, context: &mut Context<'_>) {
    let received = &context.conn.received;
    received.messages.fetch_add(1, Ordering::Relaxed);
    received
        .bytes
        .fetch_add(message.payload.len() as u64, Ordering::Relaxed);
    if message.account != Some(write::ACCOUNT.as_bytes()) {
        return;
    }
    let from = Source {
        conn: context.conn,
        class: Class::Route,
        echo: false,
    };
    let message = Message {
        subject: message.subject,
        reply: message.reply,
        header_len: message.header_len,
        payload: message.payload,
        queues: Some(message.queues),
        origin: message.origin,
    };
    context.router.route(&context.shared.tree, from, &message);
}

impl Shared {
    /// Sends INFO again to the members.
    pub(crate) fn tell_members(&self) {
        let links = self.links.read().clone();
        for conn in links.iter().filter(|conn| conn.kind == Kind::Route) {
            conn.send_now(&write::json_line("INFO", &self.route_info(conn, "")));
        }
    }

    /// Returns the INFO for a member.
    pub(crate) fn route_info(&self, conn: &Conn, nonce: &str) -> Info {
        let addresses = *self.addresses.read();
        let urls = |address: Option<std::net::SocketAddr>| {
            let address = address.filter(|address| !address.ip().is_unspecified());
            address.map(|address| vec![address.to_string()])
        };
        let cluster = self.cluster_name();
        Info {
            client_id: Some(conn.id),
            connect_urls: urls(addresses.clients),
            leafnode_urls: urls(addresses.leaves),
            cluster: Some(cluster.name),
            cluster_dynamic: cluster.dynamic,
            ..self.info(Kind::Route, nonce)
        }
    }
}
