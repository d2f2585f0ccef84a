//! What a stream is for. Each purpose is an ALPN of its own, so that a connection serves one of them and no other.

/// What streams carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Exchanges of Fossil's sync protocol. The Go product has the same ALPN.
    Xfer,
    /// A leafnode link between NATS servers. The Go product has the same ALPN.
    Leaf,
    /// A route between NATS servers of one cluster.
    Route,
    /// Pairing: the one that strangers reach.
    Pair,
    /// Lists of members.
    Members,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Xfer,
        Self::Leaf,
        Self::Route,
        Self::Pair,
        Self::Members,
    ];

    /// Returns the name under which TLS negotiates it.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Xfer => b"/edgesync/xfer/1",
            Self::Leaf => b"/edgesync/nats-leaf/1",
            Self::Route => b"/edgesync/nats-route/1",
            Self::Pair => b"/edgesync/pair/1",
            Self::Members => b"/edgesync/members/1",
        }
    }

    /// Returns the protocol of this name.
    pub(crate) fn of_alpn(alpn: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.alpn() == alpn)
    }

    /// Whether the Go product speaks it too, and opens its streams without our preamble.
    pub(crate) fn is_spoken_elsewhere(self) -> bool {
        matches!(self, Self::Xfer | Self::Leaf)
    }
}
