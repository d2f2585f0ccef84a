//! Routes: the links among the members of a cluster. Every member has one to every other, so a message takes one hop at
//! most.

mod cluster;
mod dial;
mod handshake;
mod members;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use dial::RouteOptions;
pub(crate) use dial::keep;
pub(crate) use members::Members;

use crate::conn::router::{Message, Source};
use crate::conn::session::Context;
use crate::conn::{Close, Conn};
use crate::link;
use crate::link::dial::Progress;
use crate::options::Advertise;
use crate::proto::{Info, Kind, LinkMessage, Op, ParseError, write};
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
enum Stage {
    /// Nothing was heard.
    New,
    /// The other end was let in, but has not said where it listens.
    Admitted,
    /// The other end let us in, and has yet to prove who it is.
    Proving(Box<Proving>),
    /// The link is a route.
    Member,
    /// It is not a route and never will be; the other end is about to close it.
    Idle,
}

/// What waits for the proof of who was dialled.
struct Proving {
    challenge: String,
    /// What it said about itself.
    info: Info,
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
            let info = context.shared.route_info(nonce);
            context.send(&write::json_line("INFO", &info));
        }
        Ok(())
    }

    pub(crate) fn handle(&mut self, op: &Op<'_>, context: &mut Context<'_>) -> Result<(), Close> {
        let member = matches!(self.stage, Stage::Member);
        match *op {
            Op::Info(json) => self.info(json, context),
            Op::Connect(json) if !self.is_ready() => self.connect(json, context),
            Op::Err(text) => Err(self.told(&String::from_utf8_lossy(text), context.conn)),
            _ if !self.is_ready() => Err(self.spoke_too_soon()),
            Op::Interest(ref interest) if member => {
                if interest.account == Some(write::ACCOUNT.as_bytes())
                    && !link::take_interest(context.shared, context.conn, Class::Route, interest)
                {
                    return Err(Close::Protocol(ParseError::Unknown));
                }
                Ok(())
            }
            Op::Message(ref message) if member => {
                receive(message, context);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn ended(self, shared: &Arc<Shared>, conn: &Arc<Conn>, why: Close) {
        shared.members.leave(shared, conn);
        if let Side::Dialling { progress } = self.side {
            if matches!(self.stage, Stage::Proving(_)) && why == Close::AuthTimeout {
                progress.because(handshake::UNPROVEN);
                progress.end(Close::NotTrusted);
            } else {
                progress.end(why);
            }
        }
    }

    /// Notes what the other end says went wrong, and returns why the connection ends.
    fn told(&self, text: &str, conn: &Conn) -> Close {
        tracing::warn!(target: "natsd", id = conn.id, %text, "the other end of a route sent an error");
        match Close::of_refusal(text) {
            Some(Close::Refused) => {
                self.report(&format!(
                    "the server did not accept the credentials: {text}"
                ));
                Close::Refused
            }
            Some(refused) => refused,
            None => {
                self.report(text);
                Close::RemoteError
            }
        }
    }

    /// Notes for whoever dialled why the connection is about to end; the first reason stays.
    pub(crate) fn report(&self, text: &str) {
        if let Side::Dialling { progress } = &self.side {
            progress.because(text);
        }
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
        let line = write::json_line("INFO", &self.route_info(""));
        for conn in self.members.routes() {
            conn.send_now(&line);
        }
    }

    /// Returns the INFO for a member.
    pub(crate) fn route_info(&self, nonce: &str) -> Info {
        let addresses = *self.addresses.read();
        let urls = |address: Option<std::net::SocketAddr>| {
            let address = address.filter(|address| !address.ip().is_unspecified());
            address.map(|address| vec![address.to_string()])
        };
        let info = self.info(Kind::Route, nonce);
        let port_of = |address: Option<std::net::SocketAddr>| address.map_or(0, |it| it.port());
        let at = |address: &String, port| Advertise::with_port(address, port);
        let told = &self.advertise;
        let leaves = told.leaves.as_ref();
        Info {
            connect_urls: urls(addresses.clients).filter(|_| !told.no_clients),
            leafnode_urls: match leaves {
                Some(address) => Some(vec![at(address, port_of(addresses.leaves))]),
                None => urls(addresses.leaves),
            },
            ip: told
                .routes
                .as_ref()
                .map(|address| format!("nats-route://{}/", at(address, info.port))),
            cluster_follows: true,
            lnoc: Some(true),
            lnocu: Some(true),
            ..info
        }
    }
}
