//! `INFO`: what a server says about itself, to clients, leafnodes and routes.

use serde::{Deserialize, Serialize};

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The JSON of `INFO`. One type for all kinds of connections: what a kind does not use stays unset and is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Info {
    /// A token that no other server has.
    pub server_id: String,
    /// The name that people gave the server; the id if none.
    pub server_name: String,
    /// The semantic version by which clients decide what the server can do.
    pub version: String,
    /// The level of the protocol: 1.
    pub proto: i32,
    /// The listen address.
    pub host: String,
    /// The listen port.
    pub port: u16,
    /// Whether header blocks are understood.
    pub headers: bool,
    /// Whether `CONNECT` has to carry credentials.
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    /// Whether the connection has to be upgraded to TLS.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// Whether it can be.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_available: bool,
    /// Longest message, in bytes.
    pub max_payload: usize,
    /// The number of the connection; servers that dial a leafnode port look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<u64>,
    /// The address that the connection comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
    /// What to sign to prove that one has an nkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The cluster's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whether the server made up the cluster's name.
    #[serde(skip_serializing_if = "is_false")]
    pub cluster_dynamic: bool,
    /// On a route: another name of the cluster that is told later is taken over like one that is told at the start, and a message is
    /// understood that names the cluster of the leafnode it came from. The reference does not know this member.
    #[serde(skip_serializing_if = "is_false")]
    pub cluster_follows: bool,
    /// On a route: leafnode interest with its origin is understood. Only routes say so, which tells their port from others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lnoc: Option<bool>,
    /// On a route: the end of leafnode interest with its origin is understood, so that what leafnodes of each cluster want counts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lnocu: Option<bool>,
    /// `host:port` of the cluster's client listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_urls: Option<Vec<String>>,
    /// `host:port` of the hub's leafnode listeners; on a leafnode port always present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leafnode_urls: Option<Vec<String>>,
    /// Whether the server is about to go away.
    #[serde(rename = "ldm", skip_serializing_if = "is_false")]
    pub lame_duck: bool,
    /// On a leafnode port: a second `INFO` follows `CONNECT`.
    #[serde(skip_serializing_if = "is_false")]
    pub info_on_connect: bool,
    /// This is the `INFO` that follows `CONNECT`.
    #[serde(skip_serializing_if = "is_false")]
    pub connect_info: bool,
    /// The account that the connection was bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_account: Option<String>,
    /// On a route: the URL at which a member that is told of can be dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// On a route: how the membership is passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_mode: Option<u8>,
    /// On a route: connections that share the accounts; we never pool and leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_pool_size: Option<i32>,
    /// On a route: the one account that the connection is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_account: Option<String>,
    /// Subjects that the other end may send to us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<LinkPermissions>,
    /// Subjects that the other end may receive from us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<LinkPermissions>,
}

impl Info {
    /// Returns what the JSON says, or nothing when it is malformed or no object.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        // A list of values would do for the derived code.
        json.starts_with(b"{")
            .then(|| serde_json::from_slice(json).ok())?
    }
}

/// Subjects that may and may not cross a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkPermissions {
    /// Only these, or everything if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Not these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}
