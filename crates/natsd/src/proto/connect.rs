//! `CONNECT`: what a client, leafnode or route says about itself.

use serde::{Deserialize, Serialize};

/// The JSON of `CONNECT`. One type for all kinds of connections: what a kind does not use stays unset and is not written.
/// Members that are not listed are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Connect {
    /// Answer `+OK` to what went well.
    pub verbose: bool,
    /// Check the subjects of messages.
    pub pedantic: bool,
    /// Deliver a connection's own messages to it.
    pub echo: bool,
    /// The connection may send and receive header blocks.
    pub headers: bool,
    /// Tell when a request reached nobody.
    pub no_responders: bool,
    /// The level of the protocol, 0 or 1.
    pub protocol: i32,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<String>,
    /// A shared token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
    /// The public key, in NATS's text form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<String>,
    /// The signature over the nonce, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sig: Option<String>,
    /// A user's JSON web token; not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<String>,
    /// What the connection calls itself; for leafnodes the server's name, for routes the server's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The client's language; shows that the other end is a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// The version of the client or server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// No longer supported by any server: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The id of the server that dials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// The cluster of the server that dials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whether the server that dials made up its cluster's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_dynamic: Option<bool>,
    /// The leafnode that dials is to be treated as the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_hub: Option<bool>,
    /// Interest of other leafnodes is not announced to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolate: Option<bool>,
    /// Subjects that must not be sent to the leafnode that dials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_pub: Option<Vec<String>>,
    /// The account at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_account: Option<String>,
    /// On a route: what the accepting end is to sign, to prove in turn who it is, in a `CONNECT` of its own. The reference does
    /// not know this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// On a route: leafnode interest with its origin is understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lnoc: Option<bool>,
    /// On a route: the end of leafnode interest with its origin is understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lnocu: Option<bool>,
    /// Whether the dialling side asks for TLS; ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_required: Option<bool>,
}

impl Connect {
    /// Returns what the JSON says, or nothing when it is malformed or no object.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        // A list of values would do for the derived code.
        json.starts_with(b"{")
            .then(|| serde_json::from_slice(json).ok())?
    }
}

/// What holds for a connection that did not say otherwise.
impl Default for Connect {
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            protocol: 0,
            user: None,
            pass: None,
            auth_token: None,
            nkey: None,
            sig: None,
            jwt: None,
            name: None,
            lang: None,
            version: None,
            account: None,
            server_id: None,
            cluster: None,
            cluster_dynamic: None,
            is_hub: None,
            isolate: None,
            deny_pub: None,
            remote_account: None,
            challenge: None,
            lnoc: None,
            lnocu: None,
            tls_required: None,
        }
    }
}
