//! Every cap on what a peer may cost, each with its reason.

use std::time::Duration;

/// Longest wait for a connection to a peer. A handshake through a relay takes well under a second; whoever is there answers by then, and who
/// asks may ask again.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Longest wait for a connection to a peer where somebody said that it may be. That is on the same network, where a handshake takes milliseconds; after
/// [`CONNECT`], both are over before whoever dials gives up, which is after ten seconds.
pub const CONNECT_HINTED: Duration = Duration::from_secs(3);

/// Longest wait for the handshake of a peer that dials.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Most handshakes under way at a time. Each costs a task and some kilobytes, for somebody who has proved nothing.
pub const MAX_HANDSHAKES: usize = 64;

/// How long a connection may be silent before it counts as dead: a peer that was killed is noticed within seconds, and a lost packet
/// or two does no harm beside [`KEEP_ALIVE`].
pub const IDLE: Duration = Duration::from_secs(6);

/// How often an idle connection shows that it lives. Three of them fit into [`IDLE`].
pub const KEEP_ALIVE: Duration = Duration::from_millis(1_800);

/// Most streams that a peer may have open on one connection. An exchange uses four at a time, a link one.
pub const MAX_STREAMS: u32 = 64;

/// Longest wait for the first bytes of a stream, which its opener writes at once.
pub const PREAMBLE: Duration = Duration::from_secs(10);

/// How long a connection for pairing may be without a stream. Anybody may make one, and who wants to be paired opens its stream at once.
pub const PAIR_IDLE: Duration = Duration::from_secs(5);

/// Most connections for pairing at once; anybody may make one. An agent talks with half as many.
pub const MAX_PAIRING: usize = 32;

/// Most accepted streams that wait for the agent to take them. Who opens more waits for their turn.
pub const ARRIVALS: usize = 64;

/// Most events that a slow reader may be behind before it misses the oldest.
pub const EVENTS: usize = 256;

/// Most addresses in a ticket. A laptop has a handful; a ticket has to fit into a QR code.
pub const MAX_TICKET_ADDRESSES: usize = 12;

/// Longest relay address in a ticket, in bytes.
pub const MAX_RELAY_URL_BYTES: usize = 200;

/// Longest ticket, in characters, so that a pasted novel is refused before it is decoded.
pub const MAX_TICKET_CHARS: usize = 1024;

/// How often the endpoint is looked after.
pub const LOOK: Duration = Duration::from_secs(5);

/// How much more the wall clock may have gone on than the processor's before the machine counts as having slept.
pub const SLEPT: Duration = Duration::from_secs(15);

/// How soon after the first word of a sleep that of another witness means the same sleep. The clocks are looked at within [`LOOK`].
pub const ONE_WAKING: Duration = Duration::from_secs(7);

/// How long every relay may be unreachable before the endpoint is made anew.
pub const RELAY_STALE: Duration = Duration::from_secs(60);

/// Longest wait for an endpoint's orderly end.
pub const CLOSE: Duration = Duration::from_secs(3);

/// How long an endpoint that is made anew waits for its port, which the system may hold on to for a moment.
pub const PORT: Duration = Duration::from_secs(2);
