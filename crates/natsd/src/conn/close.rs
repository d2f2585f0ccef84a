//! Why a connection ends, and what its other end is told.

use std::fmt;

use crate::proto::ParseError;

/// What the owner of a key that was revoked is told. Who does not know it knows the beginning, which refusals have in common.
const REVOKED: &str = "Authorization Violation: this key was revoked";

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The other end closed it.
    Hangup,
    /// Reading failed.
    ReadFailed,
    /// Writing failed.
    WriteFailed,
    /// Writing made no progress for too long.
    WriteDeadline,
    /// More waited for it than may.
    SlowConsumer,
    /// What it sent is not the protocol.
    Protocol(ParseError),
    /// Its credentials are wrong, missing, or not valid any more.
    Unauthorized,
    /// It proved to have a key that was let in once and is so no more, which it is told.
    Revoked,
    /// It did not authenticate in time, or others pushed it out while it had not.
    AuthTimeout,
    /// It asked for a level of the protocol that there is not.
    ProtocolLevel,
    /// It wants to be told of missing responders but cannot read the message that tells.
    NoRespondersWithoutHeaders,
    /// It sent a header block without having said that it would.
    HeadersNotSupported,
    /// There are as many connections as there may be.
    TooManyConnections,
    /// It did not answer pings.
    Stale,
    /// A client came to the leafnode port.
    ClientOnLeafPort,
    /// A client came to the route port.
    ClientOnRoutePort,
    /// The other end sent an error.
    RemoteError,
    /// The other end does not accept our credentials.
    Refused,
    /// The other end has let our key in once, and does so no more.
    RevokedThere,
    /// Whom we dialled did not prove to be one that is let in here.
    NotTrusted,
    /// Another port was reached than one for such a link.
    WrongPort,
    /// Another connection to the same server exists.
    Duplicate,
    /// It leads back to this server itself.
    Myself,
    /// The other end is of another cluster.
    ClusterNameConflict,
    /// The other end has this server's name.
    NameConflict,
    /// The leafnode's cluster is this server's own.
    SameClusterName,
    /// Our cluster is called otherwise now, which the other end has to be told anew.
    ClusterRenamed,
    /// A message of this server would come back to it.
    Loop,
    /// The leafnode asked for a subject that it may not have.
    LinkPermission,
    /// The other end speaks something else than was expected of it.
    Handshake,
    /// The embedder closed it.
    Closed,
    /// The server shuts down.
    Shutdown,
}

impl Close {
    /// Returns what is sent in `-ERR`, if anything. Texts that name something are sent by whoever knows the name.
    pub(crate) fn told(self) -> Option<String> {
        let text = match self {
            Self::Protocol(error) => return Some(error.to_string()),
            Self::Unauthorized | Self::NotTrusted => "Authorization Violation",
            Self::Revoked => REVOKED,
            Self::AuthTimeout => "Authentication Timeout",
            Self::ProtocolLevel => "invalid client protocol",
            Self::NoRespondersWithoutHeaders => "no responders requires headers support",
            Self::HeadersNotSupported => "message headers not supported",
            Self::TooManyConnections => "maximum connections exceeded",
            Self::Stale => "Stale Connection",
            Self::ClientOnLeafPort => "attempted to connect to leaf node port",
            Self::ClientOnRoutePort => "attempted to connect to route port",
            Self::SameClusterName => "remote leafnode has same cluster name",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Returns what it means when the other end says this and it is about who we are.
    pub(crate) fn of_refusal(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        if lower.contains(&REVOKED.to_ascii_lowercase()) {
            Some(Self::RevokedThere)
        } else if lower.contains("authorization violation") || lower.contains("authentication") {
            Some(Self::Refused)
        } else {
            None
        }
    }

    /// Says whether the other end is sent an error, here or by whoever knows a name that it holds.
    pub(crate) fn is_told(self) -> bool {
        self.told().is_some()
            || matches!(
                self,
                Self::ClusterNameConflict
                    | Self::Duplicate
                    | Self::LinkPermission
                    | Self::Loop
                    | Self::Myself
                    | Self::NameConflict
            )
    }

    /// Says whether what waits to be written is of no use any more.
    pub(crate) fn discards(self) -> bool {
        matches!(
            self,
            Self::WriteFailed
                | Self::WriteDeadline
                | Self::SlowConsumer
                | Self::Hangup
                | Self::ReadFailed
        )
    }

    /// Says whether the other end broke a rule.
    pub(crate) fn is_violation(self) -> bool {
        self.told().is_some() && !matches!(self, Self::Stale | Self::TooManyConnections)
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.told() {
            return f.write_str(&text);
        }
        f.write_str(match self {
            Self::Hangup => "the other end closed the connection",
            Self::ReadFailed => "reading failed",
            Self::WriteFailed => "writing failed",
            Self::WriteDeadline => "the other end took no bytes for too long",
            Self::SlowConsumer => "the other end reads too slowly",
            Self::RemoteError => "the other end sent an error",
            Self::Refused => "the other end did not accept the credentials",
            Self::RevokedThere => "the other end has revoked this server's key",
            Self::WrongPort => "another port was reached than one for such a link",
            Self::ClusterRenamed => "the cluster has another name now",
            Self::Duplicate => "another connection to the same server exists",
            Self::Myself => "the connection leads back to this server",
            Self::ClusterNameConflict => "the other end is of another cluster",
            Self::NameConflict => "the other end has this server's name",
            Self::Loop => "the link would make a loop",
            Self::LinkPermission => "the leafnode asked for a subject that it may not have",
            Self::Handshake => "the other end is not the server that was expected",
            Self::Closed => "closed by this side",
            _ => "the server shuts down",
        })
    }
}
