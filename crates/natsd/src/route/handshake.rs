//! How the two ends of a route introduce themselves and agree that they belong together.
//!
//! The end that accepted says INFO with a nonce; the end that dialled answers with CONNECT, which proves by that nonce who it is,
//! and with its own INFO. An end that lets in by key wants proof from whom it dials as well: its CONNECT holds a challenge, and
//! the other end, before it says anything else, sends a CONNECT of its own that is signed for it. The reference knows neither
//! the challenge nor the answer.

use super::{Proving, Route, Side, Stage};
use crate::auth::{Rules, make_nonce};
use crate::conn::Close;
use crate::conn::session::Context;
use crate::limits::MAX_NONCE_CHARACTERS;
use crate::link::dial::LinkStatus;
use crate::link::{self, Audience, LinkState, Remote};
use crate::proto::{Connect, Info, Kind, ParseError, write};

/// Why a route ends whose other end could not prove who it is.
pub(super) const UNPROVEN: &str = "the server there did not prove to be one that is let in here";

/// Why a route ends whose other end proved to have a key that is let in no more.
const REVOKED: &str = "the key of the server there was revoked here";

/// Behind the challenge in what the accepting end signs. No nonce has a blank, so neither signature can stand for the other.
const ACCEPTED: &str = " accepted";

impl Route {
    /// Takes CONNECT: of a server that dialled us, or the proof of one that we dialled.
    pub(super) fn connect(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        let malformed = Close::Protocol(ParseError::Unknown);
        let connect = Connect::from_json(json).ok_or(malformed)?;
        match (&self.side, &self.stage) {
            (Side::Accepting { nonce }, Stage::New) => {
                let nonce = nonce.clone();
                self.admit(&connect, &nonce, context)
            }
            (Side::Dialling { .. }, Stage::Proving(_)) => self.proved(&connect, context),
            (Side::Accepting { .. }, _) => Err(Close::Unauthorized),
            (Side::Dialling { .. }, _) => Err(Close::Handshake),
        }
    }

    /// Lets a server in that dialled us, if it may be, and proves to it who we are if it asks.
    fn admit(
        &mut self,
        connect: &Connect,
        nonce: &str,
        context: &mut Context<'_>,
    ) -> Result<(), Close> {
        if connect.lang.is_some() {
            return Err(Close::ClientOnRoutePort);
        }
        let identity = context.shared.authenticate(context.conn, connect, nonce);
        context.conn.introduce(connect, identity?);
        // Servers do not say so in older versions, and all of them can.
        context.conn.set_headers(true);
        if let Some(cluster) = &connect.cluster {
            let dynamic = connect.cluster_dynamic.unwrap_or(false);
            self.agree(cluster, dynamic, context)?;
        }
        if let Some(challenge) = &connect.challenge {
            prove(challenge, context)?;
        }
        self.stage = Stage::Admitted;
        Ok(())
    }

    /// Takes the proof of the server that we dialled.
    fn proved(&mut self, connect: &Connect, context: &mut Context<'_>) -> Result<(), Close> {
        let Stage::Proving(proving) = std::mem::replace(&mut self.stage, Stage::New) else {
            return Err(Close::Handshake);
        };
        let signed = format!("{}{ACCEPTED}", proving.challenge);
        let identity = context.shared.authenticate(context.conn, connect, &signed);
        let identity = match identity {
            Ok(identity) => identity,
            Err(Close::Revoked) => {
                self.report(REVOKED);
                return Err(Close::Revoked);
            }
            Err(_) => {
                self.report(UNPROVEN);
                return Err(Close::NotTrusted);
            }
        };
        context.conn.introduce(connect, identity);
        context.conn.set_headers(true);
        self.join(&proving.info, context)
    }

    /// Returns why a connection ends whose other end says something before it was let in.
    pub(super) fn spoke_too_soon(&self) -> Close {
        if matches!(self.stage, Stage::Proving(_)) {
            self.report(UNPROVEN);
            return Close::NotTrusted;
        }
        Close::Unauthorized
    }

    /// Takes over what the other end calls the cluster, unless that gives way to our name: then it is the other end that takes over.
    fn settle(&self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let gives_way = |theirs: &str| info.cluster_dynamic && context.shared.outranks(theirs);
        match &info.cluster {
            Some(theirs) if !gives_way(theirs) => self.agree(theirs, info.cluster_dynamic, context),
            _ => Ok(()),
        }
    }

    /// Agrees on the cluster's name, or says why that cannot be.
    fn agree(&self, theirs: &str, dynamic: bool, context: &mut Context<'_>) -> Result<(), Close> {
        context
            .shared
            .agree_on_cluster(theirs, dynamic)
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

    pub(super) fn info(&mut self, json: &[u8], context: &mut Context<'_>) -> Result<(), Close> {
        let malformed = Close::Protocol(ParseError::Unknown);
        let info = Info::from_json(json).ok_or(malformed)?;
        match self.stage {
            Stage::New if self.dials() => self.answer(&info, context),
            Stage::New => Err(Close::Unauthorized),
            Stage::Admitted => self.join(&info, context),
            Stage::Proving(_) => Err(self.spoke_too_soon()),
            Stage::Member => self.hear(&info, context),
            Stage::Idle => Ok(()),
        }
    }

    /// Takes what a member says later, about itself or about others.
    fn hear(&self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let remote = context.conn.link.as_ref().map(LinkState::remote);
        let own = remote.is_some_and(|remote| remote.server_id == info.server_id);
        // One that gives way to ours has been told of ours, or is about to be.
        if own && info.cluster_follows {
            self.settle(info, context)?;
        }
        context
            .shared
            .members
            .hear(context.shared, context.conn, info);
        Ok(())
    }

    /// Answers the first INFO of the server that we dialled.
    fn answer(&mut self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let shared = context.shared;
        if let Side::Dialling { progress } = &self.side {
            progress.met(info);
        }
        if info.server_id == shared.server_id {
            return Err(Close::Myself);
        }
        self.fits(info)?;
        self.other_name(info, context)?;
        remember(info, context);
        shared.members.meet(&info.server_id, context.conn)?;
        let by_key = matches!(shared.policy.read().rules(Kind::Route), Rules::Judge(_));
        // Who has yet to prove itself names nothing here, but hears what will be agreed on.
        if !by_key {
            self.settle(info, context)?;
        }
        let (cluster, dynamic) = shared.agreed(info).ok_or(Close::Closed)?;
        let challenge = if by_key { make_nonce() } else { None };
        if by_key && challenge.is_none() {
            return Err(Close::NotTrusted);
        }
        let mut connect = self.introduction(info, challenge.clone(), context)?;
        connect.cluster = Some(cluster.clone());
        connect.cluster_dynamic = dynamic.then_some(true);
        context.send(&write::json_line("CONNECT", &connect));
        let own = Info {
            cluster: Some(cluster),
            cluster_dynamic: dynamic,
            ..shared.route_info("")
        };
        context.send(&write::json_line("INFO", &own));
        context.conn.set_headers(true);
        let Some(challenge) = challenge else {
            return self.join(info, context);
        };
        let info = info.clone();
        self.stage = Stage::Proving(Box::new(Proving { challenge, info }));
        Ok(())
    }

    /// Says whether the other end has another name than this server. Where names are identities, one of the same name is a copy.
    fn other_name(&self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let shared = context.shared;
        if info.server_name != shared.server_name {
            return Ok(());
        }
        let text = format!(
            "two servers call themselves \"{}\": {} and {}",
            info.server_name, info.server_id, shared.server_id
        );
        if self.dials() {
            self.report(&text);
        } else {
            tracing::warn!(target: "natsd", id = context.conn.id, "{text}");
            context.error(&text);
        }
        Err(Close::NameConflict)
    }

    /// Says whether what greeted us is the route port of a server that we can talk to.
    fn fits(&self, info: &Info) -> Result<(), Close> {
        let wrong = |text: &str, close| {
            self.report(text);
            Err(close)
        };
        // Only a route gives its connection no number.
        if info.client_id.unwrap_or(0) > 0 {
            return wrong(
                if info.leafnode_urls.is_some() {
                    "this is a leafnode port; members of a cluster connect to the server's route port"
                } else {
                    "this is a client port; members of a cluster connect to the server's route port"
                },
                Close::WrongPort,
            );
        }
        if info.tls_required {
            return wrong(
                "the server asks for TLS, which is not supported yet",
                Close::Handshake,
            );
        }
        Ok(())
    }

    /// Returns the CONNECT with which we answer a greeting.
    fn introduction(
        &self,
        info: &Info,
        challenge: Option<String>,
        context: &Context<'_>,
    ) -> Result<Connect, Close> {
        let shared = context.shared;
        let mut connect = Connect {
            verbose: false,
            pedantic: false,
            headers: true,
            name: Some(shared.server_id.clone()),
            challenge,
            ..Connect::default()
        };
        let credentials = &shared.route_options.credentials;
        let nonce = info.nonce.as_deref().unwrap_or_default();
        if credentials.need_nonce() && !is_nonce(nonce) {
            self.report("the server offers nothing to sign, so a key cannot be shown to it");
            return Err(Close::Handshake);
        }
        credentials.fill(&mut connect, nonce);
        Ok(connect)
    }

    /// Makes the link a route, if the other end may have one.
    fn join(&mut self, info: &Info, context: &mut Context<'_>) -> Result<(), Close> {
        let (shared, conn) = (context.shared, context.conn);
        if info.route_account.is_some() {
            self.stage = Stage::Idle;
            return Ok(());
        }
        self.other_name(info, context)?;
        if !shared.may_be_called(conn, &info.server_name) {
            self.report("the server there gives itself another's name");
            return Err(if self.dials() {
                Close::NotTrusted
            } else {
                Close::Unauthorized
            });
        }
        // Without a name the server has left its cluster meanwhile.
        if shared.cluster.read().is_none() {
            return Err(Close::Closed);
        }
        remember(info, context);
        shared.members.join(shared, conn, info)?;
        // With a member the name is not given up any more, as it may have been since it was told.
        self.settle(info, context)?;
        self.stage = Stage::Member;
        shared.share_cluster();
        shared.part_leaves(&info.server_id);
        link::open(shared, conn, Audience::Route, &mut context.router.batch);
        // The name may have changed since it was told; from now on changes are told as they come.
        let now = shared.route_info("");
        if info.cluster.is_some() && info.cluster != now.cluster {
            context.send(&write::json_line("INFO", &now));
        }
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

/// Keeps who the other end is.
fn remember(info: &Info, context: &Context<'_>) {
    let remote = Remote {
        server_id: info.server_id.clone(),
        server_name: info.server_name.clone(),
        cluster: None,
        takes_origin: info.cluster_follows || info.lnoc == Some(true),
        tells_origins: info.lnocu == Some(true),
        max_payload: None,
    };
    if let Some(link) = &context.conn.link {
        link.set_remote(remote);
    }
}

/// Proves to the server that dialled us who we are, if we have a key.
fn prove(challenge: &str, context: &mut Context<'_>) -> Result<(), Close> {
    if !is_nonce(challenge) {
        return Err(Close::Protocol(ParseError::Unknown));
    }
    let credentials = &context.shared.route_options.credentials;
    if !credentials.need_nonce() {
        return Ok(());
    }
    let mut connect = Connect {
        verbose: false,
        pedantic: false,
        headers: true,
        name: Some(context.shared.server_id.clone()),
        ..Connect::default()
    };
    credentials.fill(&mut connect, &format!("{challenge}{ACCEPTED}"));
    context.send(&write::json_line("CONNECT", &connect));
    Ok(())
}

/// Says whether a text is a nonce as servers make them; nothing else is signed.
fn is_nonce(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_NONCE_CHARACTERS && text.bytes().all(plain)
}
