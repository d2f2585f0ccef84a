//! The first words of a leafnode link, without I/O: what the dialling side makes of the greeting and what it answers, and what
//! the accepting side makes of that.

use super::error::LeafError;
use crate::auth::Credentials;
use crate::proto::{Connect, Info};

/// What a server says about itself on a leafnode link.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) server_id: String,
    pub(crate) server_name: String,
    pub(crate) version: String,
    pub(crate) cluster: Option<String>,
}

/// What the dialling side wants of a link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// To be the hub of the link.
    pub(crate) hub: bool,
    /// Not to hear what other leafnodes want.
    pub(crate) isolate: bool,
    /// What the other end must not send.
    pub(crate) deny_imports: Vec<String>,
}

/// Which port of a server a greeting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeted {
    /// For clients.
    Clients,
    /// For leafnodes.
    Leaves,
    /// For members of the server's cluster.
    Routes {
        /// The address for leafnodes, if the server told it.
        leaves: Option<String>,
    },
}

impl Greeted {
    pub(crate) fn by(info: &Info) -> Self {
        // Only routes speak of leafnode origins, and they give no number to a connection.
        if info.lnoc.is_some() || info.client_id.unwrap_or(0) == 0 {
            let leaves = info.leafnode_urls.iter().flatten().next().cloned();
            return Self::Routes { leaves };
        }
        match info.leafnode_urls {
            None => Self::Clients,
            Some(_) => Self::Leaves,
        }
    }
}

/// Returns the greeting that the dialling side was given.
///
/// # Errors
/// When another port was reached than a leafnode port, or one that we cannot talk to.
pub(crate) fn greeting(json: &[u8]) -> Result<Info, LeafError> {
    let protocol = || LeafError::Protocol("its INFO is not understood".to_owned());
    let info = Info::from_json(json).ok_or_else(protocol)?;
    match Greeted::by(&info) {
        Greeted::Leaves => {}
        Greeted::Clients => return Err(LeafError::ClientPort),
        Greeted::Routes { leaves } => return Err(LeafError::RoutePort { instead: leaves }),
    }
    Ok(info)
}

/// Returns the CONNECT with which the dialling side answers the greeting.
///
/// # Errors
/// When the greeting rules the link out.
pub(crate) fn answer(
    info: &Info,
    own: &Own,
    wish: &Wish,
    credentials: &Credentials,
) -> Result<Connect, LeafError> {
    if let Some(cluster) = same_cluster(own, info.cluster.as_deref()) {
        return Err(LeafError::SameCluster(cluster));
    }
    let nonce = info.nonce.as_deref().unwrap_or_default();
    if credentials.need_nonce() && nonce.is_empty() {
        return Err(LeafError::NoNonce);
    }
    let mut connect = Connect {
        verbose: false,
        pedantic: false,
        headers: true,
        protocol: 1,
        version: Some(own.version.clone()),
        server_id: Some(own.server_id.clone()),
        name: Some(own.server_name.clone()),
        cluster: own.cluster.clone(),
        is_hub: wish.hub.then_some(true),
        isolate: wish.isolate.then_some(true),
        deny_pub: (!wish.deny_imports.is_empty()).then(|| wish.deny_imports.clone()),
        ..Connect::default()
    };
    credentials.fill(&mut connect, nonce);
    Ok(connect)
}

/// Why the accepting side refuses a CONNECT, apart from credentials. Its text is what the other end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A client is at the wrong port.
    #[error("attempted to connect to leaf node port")]
    Client,
    /// The two servers are members of one cluster, or call theirs the same.
    #[error("remote leafnode has same cluster name")]
    SameCluster,
    /// A server has dialled itself.
    #[error("Loop detected for leafnode account=\"$G\". Delaying attempt to reconnect for 0s")]
    Myself,
}

/// Judges the CONNECT that the accepting side was given.
///
/// # Errors
/// When the link cannot be.
pub(crate) fn judge(connect: &Connect, own: &Own) -> Result<(), Refusal> {
    if connect.lang.as_ref().is_some_and(|lang| !lang.is_empty()) {
        Err(Refusal::Client)
    } else if connect.server_id.as_deref() == Some(&own.server_id) {
        Err(Refusal::Myself)
    } else if same_cluster(own, connect.cluster.as_deref()).is_some() {
        Err(Refusal::SameCluster)
    } else {
        Ok(())
    }
}

/// Returns the name of the cluster that both ends say they are in. A server that is in none may say an empty name.
fn same_cluster(own: &Own, other: Option<&str>) -> Option<String> {
    own.cluster
        .as_ref()
        .filter(|name| !name.is_empty() && Some(name.as_str()) == other)
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::super::error::LeafError;
    use super::{Own, Refusal, Wish, answer, greeting, judge};
    use crate::auth::Credentials;
    use crate::nkey::KeyPair;
    use crate::proto::Connect;

    fn own(cluster: Option<&str>) -> Own {
        Own {
            server_id: "ME".to_owned(),
            server_name: "me".to_owned(),
            version: "2.10.0".to_owned(),
            cluster: cluster.map(str::to_owned),
        }
    }

    /// Greetings of the stock server's three ports, without what does not matter here.
    const CLIENT: &str =
        r#"{"server_id":"N","version":"2.9.10","port":14222,"client_id":4,"cluster":"abc"} "#;
    const LEAF: &str = r#"{"server_id":"N","version":"2.9.10","auth_required":true,"client_id":5,"nonce":"U74VhysedlxPYS0","cluster":"abc","info_on_connect":true,"leafnode_urls":["127.0.0.1:17422"]} "#;
    const ROUTE: &str = r#"{"server_id":"N","version":"2.9.10","nonce":"R6nI","cluster":"abc","lnoc":true,"leafnode_urls":["127.0.0.1:17422"]} "#;

    #[test]
    fn the_port_that_was_reached_is_named_with_the_right_one() {
        assert!(greeting(LEAF.as_bytes()).is_ok());
        let error = |json: &str| greeting(json.as_bytes()).expect_err("another port");
        assert_eq!(error(CLIENT), LeafError::ClientPort);
        assert!(error(CLIENT).to_string().contains("7422"));
        let route = error(ROUTE).to_string();
        assert!(route.contains("route port") && route.contains("127.0.0.1:17422"));
        for nonsense in ["", "[]", "{\"port\":\"x\"}", &"[".repeat(10_000)] {
            assert!(
                matches!(error(nonsense), LeafError::Protocol(_)),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn the_answer_carries_a_signature_over_the_nonce() {
        let info = greeting(LEAF.as_bytes()).expect("a leafnode port");
        let keys = KeyPair::from_seed(&[3; 32]).expect("keys");
        let public = keys.public();
        let credentials = Credentials::nkey(keys);
        let connect = answer(&info, &own(None), &Wish::default(), &credentials).expect("an answer");
        assert_eq!(connect.nkey, Some(public.to_string()));
        assert_eq!(connect.lang, None);
        let mut without = info;
        without.nonce = None;
        assert_eq!(
            answer(&without, &own(None), &Wish::default(), &credentials),
            Err(LeafError::NoNonce)
        );
    }

    #[test]
    fn servers_of_one_cluster_refuse_each_other_on_both_sides() {
        let info = greeting(LEAF.as_bytes()).expect("a leafnode port");
        let none = Credentials::None;
        assert_eq!(
            answer(&info, &own(Some("abc")), &Wish::default(), &none),
            Err(LeafError::SameCluster("abc".to_owned()))
        );
        assert!(answer(&info, &own(Some("other")), &Wish::default(), &none).is_ok());
        let mut connect = Connect {
            cluster: Some("abc".to_owned()),
            ..Connect::default()
        };
        assert_eq!(
            judge(&connect, &own(Some("abc"))),
            Err(Refusal::SameCluster)
        );
        assert_eq!(judge(&connect, &own(Some("other"))), Ok(()));
        connect.cluster = Some(String::new());
        assert_eq!(judge(&connect, &own(Some(""))), Ok(()));
    }

    #[test]
    fn clients_and_the_server_itself_are_refused() {
        let connect = Connect {
            lang: Some("python3".to_owned()),
            ..Connect::default()
        };
        assert_eq!(judge(&connect, &own(None)), Err(Refusal::Client));
        let connect = Connect {
            server_id: Some("ME".to_owned()),
            ..Connect::default()
        };
        assert_eq!(judge(&connect, &own(None)), Err(Refusal::Myself));
    }
}
