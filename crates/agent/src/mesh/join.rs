//! The address of another agent's listener, as `--join` takes it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use edgesync_tunnel::{PeerId, Ticket, TicketError};

use crate::trust::EndpointId;

/// What stands before a ticket or an id.
const TUNNEL: &str = "iroh:";

/// How another server is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its leaf.
    Leaf,
    /// As a member of its cluster.
    Route,
    /// Over the tunnel: as a leaf or a member, whichever this agent is.
    Tunnel,
}

/// `nats-leaf://HOST:PORT`, `nats-route://HOST:PORT`, or `iroh:TICKET` or `iroh:ID` for one that is reached over the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinUrl {
    way: Way,
    address: String,
    ticket: Option<Ticket>,
}

/// A text is no address of another agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinUrlError {
    /// Another scheme was given.
    #[error(
        "{0}: agents are joined by nats-leaf://HOST:PORT, nats-route://HOST:PORT or iroh:TICKET"
    )]
    Scheme(String),
    /// A port for clients was given. It may hold a login, which is not repeated.
    #[error(
        "{0}:// leads to a NATS server's port for clients: agents are joined by nats-leaf://HOST:PORT, nats-route://HOST:PORT or iroh:TICKET, and a NATS server that is no agent by --nats-upstream"
    )]
    Clients(String),
    /// There is a login, which is not repeated.
    #[error(
        "agents take no login in their address; a NATS server that wants one is joined by --nats-upstream"
    )]
    Login,
    /// What should be a ticket or an id is none.
    #[error("{0}")]
    Ticket(#[from] TicketError),
    /// There is no host or no port.
    #[error("{0}: HOST:PORT is expected; a running agent prints its own")]
    Address(String),
}

impl JoinUrl {
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Who is reached over the tunnel, and where.
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// Returns the address of an agent that listens here.
    pub(super) fn at(way: Way, address: SocketAddr) -> Self {
        Self {
            way,
            address: address.to_string(),
            ticket: None,
        }
    }

    /// Returns the address of an agent that is reached over the tunnel, of which the ticket or the id is given.
    ///
    /// # Errors
    /// [`JoinUrlError::Ticket`] when it is neither.
    pub fn over_tunnel(text: &str) -> Result<Self, JoinUrlError> {
        let ticket = match text.trim().parse::<PeerId>() {
            Ok(id) => Ticket::of(id),
            Err(_) => text.parse()?,
        };
        Ok(Self {
            way: Way::Tunnel,
            address: text.trim().to_ascii_lowercase(),
            ticket: Some(ticket),
        })
    }

    /// Returns the identity of who is reached over the tunnel; of others it is not known before they answer.
    pub fn peer(&self) -> Option<EndpointId> {
        let ticket = self.ticket.as_ref()?;
        Some(EndpointId::from(*ticket.peer.as_bytes()))
    }
}

impl FromStr for JoinUrl {
    type Err = JoinUrlError;

    fn from_str(text: &str) -> Result<Self, JoinUrlError> {
        if let Some(ticket) = text.strip_prefix(TUNNEL) {
            return Self::over_tunnel(ticket);
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| JoinUrlError::Scheme(text.to_owned()))?;
        let way = match scheme {
            "nats-leaf" => Way::Leaf,
            "nats-route" => Way::Route,
            "nats" | "tls" => return Err(JoinUrlError::Clients(scheme.to_owned())),
            _ if rest.contains('@') => return Err(JoinUrlError::Login),
            _ => return Err(JoinUrlError::Scheme(text.to_owned())),
        };
        if rest.contains('@') {
            return Err(JoinUrlError::Login);
        }
        let address = rest.strip_suffix('/').unwrap_or(rest);
        let good = |(host, port): (&str, &str)| {
            let host = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | '?' | '#');
            !host.is_empty()
                && !host.contains(odd)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if !address.rsplit_once(':').is_some_and(good) {
            return Err(JoinUrlError::Address(text.to_owned()));
        }
        Ok(Self {
            way,
            address: address.to_owned(),
            ticket: None,
        })
    }
}

impl fmt::Display for JoinUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.way {
            Way::Leaf => "nats-leaf://",
            Way::Route => "nats-route://",
            Way::Tunnel => TUNNEL,
        };
        write!(f, "{scheme}{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "nats-leaf://127.0.0.1:7422",
            "nats-route://[::1]:6222",
            "nats-leaf://studio.local:1",
            &format!("iroh:{}", "07".repeat(32)),
        ] {
            let url: JoinUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn a_ticket_says_who_is_joined() {
        let id = EndpointId::from([7; 32]);
        let ticket = Ticket::of(PeerId::from([7; 32])).to_string();
        for text in [ticket.clone(), ticket.to_uppercase(), id.to_string()] {
            let url: JoinUrl = format!("iroh:{text}").parse().expect("a ticket");
            assert_eq!((url.way(), url.peer()), (Way::Tunnel, Some(id)));
            assert_eq!(JoinUrl::over_tunnel(&text), Ok(url));
        }
        for bad in [
            "iroh:",
            "iroh:edgesync1",
            &format!("iroh:{}", &ticket[..40]),
        ] {
            let refused = bad.parse::<JoinUrl>();
            assert!(matches!(refused, Err(JoinUrlError::Ticket(_))), "{bad}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_right_form() {
        for text in ["", "h:1", "http://h:1"] {
            assert_eq!(
                text.parse::<JoinUrl>(),
                Err(JoinUrlError::Scheme(text.to_owned()))
            );
        }
        for text in [
            "nats-leaf://",
            "nats-leaf://h",
            "nats-leaf://h:0",
            "nats-leaf://h:x",
            "nats-leaf://h:1/x",
        ] {
            assert_eq!(
                text.parse::<JoinUrl>(),
                Err(JoinUrlError::Address(text.to_owned()))
            );
        }
    }
    #[test]
    fn a_nats_server_is_told_apart_and_its_login_is_not_repeated() {
        for text in [
            "nats://h:4222",
            "nats://ann:s3cret@h:4222",
            "tls://s3cret@h",
            "nats-leaf://ann:s3cret@h:7422",
            "nats-route://s3cret@h:6222",
            "https://ann:s3cret@h",
        ] {
            let told = text.parse::<JoinUrl>().expect_err(text).to_string();
            assert!(!told.contains("s3cret"), "{told}");
            assert!(told.contains("--nats-upstream"), "{told}");
        }
    }
}
