//! Why a join does not stand, and what to do about it: in words, from what the link met and from what answers at its address. What an agent
//! there says is told as it is; what is no agent, or another port of one, is looked at as it is for a server beside the mesh.

use edgesync_tunnel::NOT_PAIRED;
use natsd::{Close, Found, probe};

use super::Mesh;
use super::join::{JoinUrl, Way};
use super::upstream::{host, leafnode_port, what};
use crate::api::Code;
use crate::members::Parting;
use crate::trust::EndpointId;

/// Where the right address is to be found.
const PRINTED: &str =
    "an agent prints its addresses when it starts, and edgesync sync status there shows them";

/// Returns what failed and what to do about it, of a link that went down with these words for this reason, perhaps after the server there told its name.
pub(super) async fn look(
    mesh: &Mesh,
    url: &JoinUrl,
    why: &str,
    close: Close,
    server_name: Option<String>,
) -> (Code, String, Option<String>) {
    let peer = server_name
        .as_ref()
        .and_then(|name| name.parse::<EndpointId>().ok());
    let parted = |peer| mesh.parted(&peer, url.way(), why, close);
    if let Some(Parting { message, hint }) = url.peer().or(peer).and_then(parted) {
        return (Code::Unpaired, message, Some(hint));
    }
    let (message, hint) = if url.way() == Way::Tunnel || peer.is_some() {
        let own = mesh.parts.keys.id();
        (why.to_owned(), of_agent(own, why, close, peer))
    } else {
        of_address(url, why, close, server_name.is_some()).await
    };
    (Code::Remote, message, hint)
}

/// Returns the same of a link to an address at which no agent has told its name.
async fn of_address(
    url: &JoinUrl,
    why: &str,
    close: Close,
    is_named: bool,
) -> (String, Option<String>) {
    let address = url.address();
    match (close, probe(address).await) {
        // The link that stood was lost, and what answers is not at fault.
        (
            Close::Refused
            | Close::NotTrusted
            | Close::Handshake
            | Close::WrongPort
            | Close::AuthTimeout
            | Close::Protocol(_)
            | Close::Hangup
            | Close::ReadFailed,
            Ok(found),
        ) => of_found(url, why, close, &found, is_named),
        (_, Err(error)) => (
            format!("{address} cannot be reached: {error}"),
            Some(format!("See whether the agent there runs: {PRINTED}.")),
        ),
        _ => (why.to_owned(), None),
    }
}

/// What to do about what an agent says.
fn of_agent(own: EndpointId, why: &str, close: Close, peer: Option<EndpointId>) -> Option<String> {
    match (close, peer) {
        _ if why.contains(NOT_PAIRED) => Some(format!("List this agent there: --iroh-peer {own}")),
        (Close::Refused, Some(_)) => Some(format!("Trust this agent there: --trust {own}")),
        (Close::NotTrusted, Some(peer)) => {
            Some(format!("If you know that agent, trust it: --trust {peer}"))
        }
        _ => None,
    }
}

/// What is said of what answers there and told no agent's id.
fn of_found(
    url: &JoinUrl,
    why: &str,
    close: Close,
    found: &Found,
    is_named: bool,
) -> (String, Option<String>) {
    let (address, way) = (url.address(), url.way());
    let upstream =
        |leaf: &str| format!("a NATS server that is no agent is joined by --nats-upstream {leaf}");
    match (way, found) {
        (Way::Leaf, Found::Leaves { .. }) => {
            let hint = (close == Close::Refused || close == Close::Handshake && is_named).then(|| {
                format!(
                    "What answers there is no agent. A NATS server that wants a login is joined by --nats-upstream nats-leaf://USER:PASSWORD@{address}"
                )
            });
            (why.to_owned(), hint)
        }
        (Way::Route, Found::Routes { leaves }) => {
            let leaf = leafnode_port(host(address), leaves.as_deref());
            let hint = format!(
                "Only agents that are trusted can be joined by nats-route://; {}",
                upstream(&leaf)
            );
            (why.to_owned(), Some(hint))
        }
        (_, Found::Clients { .. }) => (
            format!("{address} {}", what(found)),
            Some(format!(
                "Take another port: {PRINTED}; {}",
                upstream(&format!("nats://{address}"))
            )),
        ),
        (_, Found::Leaves { .. }) => (
            format!("{address} {}", what(found)),
            Some(format!("Take nats-leaf://{address}")),
        ),
        (_, Found::Routes { leaves }) => {
            let leaf = leafnode_port(host(address), leaves.as_deref());
            (
                format!("{address} {}", what(found)),
                Some(format!(
                    "Take {leaf}, or of an agent nats-route://{address}"
                )),
            )
        }
        _ => (
            format!("{address} {}", what(found)),
            Some(format!("Take another port: {PRINTED}.")),
        ),
    }
}
