//! Why a NATS server beside the mesh cannot be joined, and what to do about it: in words, from what answers at its address.

use edgesync_bus::Login;
use natsd::{Found, probe};

use super::tls;
use super::url::{UpstreamUrl, UpstreamWay};
use crate::api::{Code, TRIED_AGAIN};

/// What failed, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: String,
}

/// Looks at what answers at the first address that is wrong for this, and tells; `why` stands for itself where they are all right.
pub(super) async fn look(url: &UpstreamUrl, why: &str) -> Advice {
    if let Some(advice) = of_tls(url, why) {
        return advice;
    }
    for address in url.servers() {
        match probe(address).await {
            Ok(found) => {
                if let Some(advice) = of_found(url, address, &found) {
                    return advice;
                }
                // A client says nothing of why TLS did not come about.
                if let Found::Clients { tls: true } = found
                    && let Some(why) = tls::trouble(url.tls(), address).await
                    && let Some(advice) = of_tls(url, &why)
                {
                    return advice;
                }
            }
            // Of a cluster, one may well be away.
            Err(_) if url.servers().len() > 1 => {}
            Err(error) => return unreachable(url.way(), address, &error.to_string()),
        }
    }
    Advice {
        code: Code::Remote,
        message: why.to_owned(),
        hint: TRIED_AGAIN.to_owned(),
    }
}

/// Looks at what answers, and tells what is wrong with it; `None` where that is what was looked for, or nobody can be reached.
pub(super) async fn look_ahead(url: &UpstreamUrl) -> Option<Advice> {
    for address in url.servers() {
        if let Ok(found) = probe(address).await
            && let Some(advice) = of_found(url, address, &found)
        {
            return Some(advice);
        }
    }
    None
}

/// The server does not let us in: it may be that this port is for others.
pub(super) async fn refused(url: &UpstreamUrl) -> Advice {
    let elsewhere = look_ahead(url).await;
    elsewhere.unwrap_or_else(|| of_login(url))
}

fn of_login(url: &UpstreamUrl) -> Advice {
    let shown = match url.login() {
        Login::Creds(_) => "the credentials of --nats-creds".to_owned(),
        Login::Token(_) => "this token".to_owned(),
        Login::User { name, .. } => format!("the user {name:?} with this password"),
        _ => "who shows no credentials".to_owned(),
    };
    let hint = match (url.login(), url.way()) {
        (Login::None, _) => {
            "Put USER:PASSWORD@ or TOKEN@ before the host of --nats-upstream, or give --nats-creds FILE."
        }
        (_, UpstreamWay::Leaf) => {
            "Compare it with leafnodes { authorization } of that server: users of its client port do not count there."
        }
        (_, UpstreamWay::Client) => "Compare it with the authorization of that server.",
    };
    Advice {
        code: Code::RemoteLogin,
        message: format!("{} does not let in {shown}", url.servers().join(", ")),
        hint: hint.to_owned(),
    }
}

/// What to do about TLS that does not come about, nothing where `why` is about something else. TLS tells its reasons in words.
fn of_tls(url: &UpstreamUrl, why: &str) -> Option<Advice> {
    let about = |words: &[&str]| words.iter().any(|it| why.contains(it));
    let (message, hint) = if about(&["UnknownIssuer", "BadSignature"]) && url.has_authorities() {
        (
            "the authority of --nats-ca did not sign its certificate",
            "Give the certificate of the authority that did.",
        )
    } else if about(&["UnknownIssuer", "CaUsedAsEndEntity"]) {
        (
            "nobody that this system trusts signed its certificate",
            "Give the certificate of the authority that did: --nats-ca FILE",
        )
    } else if about(&["not valid for name", "NotValidForName"]) {
        (
            "its certificate is for another name",
            "Take the name that its certificate is for.",
        )
    } else if about(&["certificate expired", "Expired"]) {
        (
            "its certificate has expired",
            "Renew it there, or set the clock here.",
        )
    } else if about(&["CertificateRequired"]) {
        (
            "it wants a certificate of whoever connects, which is not supported here",
            "Have it ask for a login instead: verify: false",
        )
    } else {
        return None;
    };
    Some(Advice {
        code: Code::RemoteLogin,
        message: format!("{}: {message}", url.servers().join(", ")),
        hint: hint.to_owned(),
    })
}

/// The connection stands, and the server denies a subject; in its words.
pub(super) fn denied(text: &str, prefix: &str) -> Advice {
    Advice {
        code: Code::RemoteLogin,
        message: format!("the server denies a subject: {text}"),
        hint: format!("Let this login publish to and subscribe {prefix}.>, notify.> and _INBOX.>"),
    }
}

fn unreachable(way: UpstreamWay, address: &str, why: &str) -> Advice {
    let hint = match way {
        UpstreamWay::Leaf => format!(
            "A server takes leafnodes only with leafnodes {{ listen }} in its configuration, at port {} unless it says otherwise.",
            way.port()
        ),
        UpstreamWay::Client => format!(
            "Servers listen for clients at port {} unless they are configured otherwise.",
            way.port()
        ),
    };
    Advice {
        code: Code::Unreachable,
        message: format!("{address} cannot be reached: {why}"),
        hint,
    }
}

/// Says what answers at the address of a bus and is no port for clients of a NATS server, and where that may be.
pub(crate) async fn no_bus(address: &str) -> Option<(String, String)> {
    let found = probe(address).await.ok()?;
    if matches!(found, Found::Clients { .. }) {
        return None;
    }
    let hint = format!(
        "Take nats://{}:{}, the server's port for clients unless it is configured otherwise.",
        host(address),
        UpstreamWay::Client.port()
    );
    Some((format!("{address} {}", what(&found)), hint))
}

/// Returns the host of `HOST:PORT`.
pub(crate) fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

/// Returns the leafnode port of the server at this host: the one that it told, or else the usual one.
pub(crate) fn leafnode_port(host: &str, told: Option<&str>) -> String {
    let usual = UpstreamWay::Leaf.port().to_string();
    let port = told
        .and_then(|told| told.rsplit_once(':'))
        .map_or(usual.as_str(), |(_, port)| port);
    format!("{}://{host}:{port}", UpstreamWay::Leaf.scheme())
}

/// Says what this is, of an address.
pub(crate) fn what(found: &Found) -> &'static str {
    match found {
        Found::Clients { .. } => "is the server's port for clients",
        Found::Leaves { .. } => "is the server's leafnode port",
        Found::Routes { .. } => "is the port for members of the server's own cluster",
        Found::Web => {
            "is a web server; a NATS server's ports for monitoring and WebSocket are such"
        }
        Found::Tls => "wants TLS before it says anything, which is not supported here",
        Found::Silent => {
            "takes connections and says nothing; NATS servers greet, unless they wait for TLS first"
        }
        Found::Ends => "takes connections and ends them without a word; NATS servers greet",
        _ => "is no NATS server",
    }
}

/// Returns what is wrong with what answers, `None` when it is what was looked for.
fn of_found(url: &UpstreamUrl, address: &str, found: &Found) -> Option<Advice> {
    let (way, host) = (url.way(), host(address));
    let right = |way: UpstreamWay| format!("{}://{host}:{}", way.scheme(), way.port());
    let (leaf, client) = (right(UpstreamWay::Leaf), right(UpstreamWay::Client));
    let mut message = what(found);
    let hint = match (way, found) {
        (UpstreamWay::Leaf, Found::Clients { .. }) => format!(
            "Take {leaf}, its leafnode port unless it is configured otherwise, or nats://{address}"
        ),
        (UpstreamWay::Client, Found::Leaves { .. }) => format!(
            "Take nats-leaf://{address}, or {client}, its port for clients unless it is configured otherwise"
        ),
        (_, Found::Leaves { tls: false } | Found::Clients { tls: false }) if url.wants_tls() => {
            message = "offers no TLS";
            let without = match url.has_authorities() {
                true => " without --nats-ca",
                false => "",
            };
            format!(
                "Take {}://{address}{without}, or have that server speak TLS",
                way.scheme()
            )
        }
        (UpstreamWay::Leaf, Found::Leaves { .. })
        | (UpstreamWay::Client, Found::Clients { .. }) => return None,
        (_, Found::Routes { leaves }) => {
            let leaf = leafnode_port(host, leaves.as_deref());
            format!("Take {leaf}, or {client}, unless they are configured otherwise")
        }
        (_, Found::Tls) => "Have that server greet first: handshake_first off".to_owned(),
        _ => format!("Take {leaf}, or {client}, unless they are configured otherwise"),
    };
    Some(Advice {
        code: Code::RemoteAddress,
        message: format!("{address} {message}"),
        hint,
    })
}
