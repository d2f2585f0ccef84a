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

/// What failed, and what to do about it.
pub(super) struct Amiss {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Returns what failed and what to do about it, of a link that went down with these words for this reason, perhaps after the server there told its name.
pub(super) async fn look(
    mesh: &Mesh,
    url: &JoinUrl,
    why: &str,
    close: Close,
    server_name: Option<String>,
) -> Amiss {
    let peer = server_name
        .as_ref()
        .and_then(|name| name.parse::<EndpointId>().ok());
    let parted = |peer| mesh.parted(&peer, url.way(), why, close);
    if let Some(Parting { message, hint }) = url.peer().or(peer).and_then(parted) {
        return Amiss {
            code: Code::Unpaired,
            message,
            hint: Some(hint),
        };
    }
    if url.way() == Way::Tunnel || peer.is_some() {
        return of_agent(mesh.parts.keys.id(), why, close, peer);
    }
    of_address(url, why, close, server_name.is_some()).await
}

/// Returns the same of a link to an address at which no agent has told its name.
async fn of_address(url: &JoinUrl, why: &str, close: Close, is_named: bool) -> Amiss {
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
        (_, Err(error)) => Amiss {
            code: Code::Unreachable,
            message: format!("{address} cannot be reached: {error}"),
            hint: Some(format!("See whether the agent there runs: {PRINTED}.")),
        },
        _ => Amiss::passing(why),
    }
}

impl Amiss {
    /// What may pass by itself, in the words of the link.
    fn passing(why: &str) -> Self {
        Self {
            code: Code::Remote,
            message: why.to_owned(),
            hint: None,
        }
    }

    /// One of the two does not let in the other.
    fn locked_out(why: &str, hint: String) -> Self {
        Self {
            code: Code::RemoteLogin,
            hint: Some(hint),
            ..Self::passing(why)
        }
    }

    /// The address is that of something else.
    fn elsewhere(message: String, hint: String) -> Self {
        Self {
            code: Code::RemoteAddress,
            message,
            hint: Some(hint),
        }
    }
}

/// What to do about what an agent says.
fn of_agent(own: EndpointId, why: &str, close: Close, peer: Option<EndpointId>) -> Amiss {
    let hint = match (close, peer) {
        _ if why.contains(NOT_PAIRED) => format!("List this agent there: --iroh-peer {own}"),
        (Close::Refused, Some(_)) => format!("Trust this agent there: --trust {own}"),
        (Close::NotTrusted, Some(peer)) => {
            format!("If you know that agent, trust it: --trust {peer}")
        }
        _ => return Amiss::passing(why),
    };
    Amiss::locked_out(why, hint)
}

/// What is said of what answers there and told no agent's id.
fn of_found(url: &JoinUrl, why: &str, close: Close, found: &Found, is_named: bool) -> Amiss {
    let (address, way) = (url.address(), url.way());
    let upstream =
        |leaf: &str| format!("a NATS server that is no agent is joined by --nats-upstream {leaf}");
    match (way, found) {
        (Way::Leaf, Found::Leaves { .. })
            if close == Close::Refused || close == Close::Handshake && is_named =>
        {
            let hint = format!(
                "What answers there is no agent. A NATS server that wants a login is joined by --nats-upstream nats-leaf://USER:PASSWORD@{address}"
            );
            Amiss::locked_out(why, hint)
        }
        (Way::Leaf, Found::Leaves { .. }) => Amiss::passing(why),
        (Way::Route, Found::Routes { leaves }) => {
            let leaf = leafnode_port(host(address), leaves.as_deref());
            let hint = format!(
                "Only agents that are trusted can be joined by nats-route://; {}",
                upstream(&leaf)
            );
            Amiss::locked_out(why, hint)
        }
        (_, found) => {
            let hint = match found {
                Found::Clients { .. } => format!(
                    "Take another port: {PRINTED}; {}",
                    upstream(&format!("nats://{address}"))
                ),
                Found::Leaves { .. } => format!("Take nats-leaf://{address}"),
                Found::Routes { leaves } => {
                    let leaf = leafnode_port(host(address), leaves.as_deref());
                    format!("Take {leaf}, or of an agent nats-route://{address}")
                }
                _ => format!("Take another port: {PRINTED}."),
            };
            Amiss::elsewhere(format!("{address} {}", what(found)), hint)
        }
    }
}
