//! Every cap on what a connection may cost, each with its reason. Where the reference server has a number of its own, ours
//! is the same, so that nobody who moves from it meets a new wall.

use std::time::Duration;

/// Longest message (header block and payload together) that is taken, in bytes, unless the embedder says otherwise. The
/// reference's default; clients read it from INFO.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// Longest control line of a client, in bytes, without its line end. The reference's default.
pub const MAX_CONTROL_LINE_BYTES: usize = 4096;

/// How many times longer than a client's the control line of a route or leafnode may be: it carries queue names, and INFO
/// and CONNECT of servers are long.
pub const LINK_CONTROL_LINE_FACTOR: usize = 16;

/// Most bytes that wait for one client before it is cut as a slow consumer. The reference's default.
pub const MAX_PENDING_BYTES: usize = 64 << 20;

/// Most bytes that wait for a route or leafnode. The reference has no such limit and would take all memory; a link that is
/// this far behind is lost already, and its peer asks again after it was closed.
pub const MAX_LINK_PENDING_BYTES: usize = 256 << 20;

/// Part of the pending limit above which publishers are slowed down, in percent.
pub const STALL_PERCENT: usize = 75;

/// Longest time that one read of a publisher waits for slow consumers. Long enough that a consumer that reads catches up,
/// short enough that one that does not read harms nobody.
pub const STALL_MAX: Duration = Duration::from_millis(10);

/// Most connections of all kinds at a time. The reference's default, and about what a process has file descriptors for.
pub const MAX_CONNECTIONS: usize = 65_536;

/// Most connections at a time that have not proved who they are, where proof is asked. Each costs a socket and a buffer for
/// the authentication timeout; a flood of them must not crowd out those who are in.
pub const MAX_UNAUTHENTICATED: usize = 256;

/// Most bytes of a control line before the connection has proved who it is. A CONNECT with a JWT has less than this.
pub const MAX_UNAUTHENTICATED_LINE_BYTES: usize = MAX_CONTROL_LINE_BYTES;

/// Most subscriptions of one client; a little over what a busy service of the reference's users has.
pub const MAX_SUBSCRIPTIONS: usize = 1_000_000;

/// Most tokens of a subject. The tree of subscriptions is as deep as this, and walks of it are recursive.
pub const MAX_SUBJECT_TOKENS: usize = 256;

/// Most reply subjects at a time to which a client may publish because it was asked; the oldest go first.
pub const MAX_RESPONSE_PERMISSIONS: usize = 4096;

/// How long a write may make no progress before its client is closed. The reference's default.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a new connection has to authenticate. The reference's default.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may be silent before it is pinged. The reference's default.
pub const PING_INTERVAL: Duration = Duration::from_secs(120);

/// Most unanswered pings. The reference's default.
pub const PINGS_OUTSTANDING_MAX: u32 = 2;

/// Longest time between two pings on a route: routes are pinged whether or not they carry traffic. The reference's number.
pub const ROUTE_PING_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// When a new client is pinged for the first time, which measures its round trip; the reference's number.
pub const FIRST_CLIENT_PING: Duration = Duration::from_secs(2);

/// When a new route or leafnode is pinged for the first time; the reference's number.
pub const FIRST_LINK_PING: Duration = Duration::from_secs(1);

/// Smallest buffer that a connection reads into, in bytes: what an idle connection costs.
pub const READ_BUFFER_MIN_BYTES: usize = 512;

/// Largest buffer that a connection reads into unless one message is larger, in bytes. More does not save system calls that
/// can be measured.
pub const READ_BUFFER_MAX_BYTES: usize = 64 << 10;

/// Subjects that a connection remembers the receivers of. The reference's number.
pub const MATCH_CACHE_SUBJECTS: usize = 512;

/// Payloads of at least this many bytes that go to several connections are copied once and shared; shorter ones are copied
/// to each, which costs less than the bookkeeping of a shared piece.
pub const SHARED_PAYLOAD_BYTES: usize = 4 << 10;

/// Largest piece of waiting output in one allocation, in bytes; so a connection's waiting bytes cost about what they count.
pub const OUTPUT_CHUNK_BYTES: usize = 64 << 10;

/// Longest message taken from a route, in bytes. Members of a cluster may each have their own payload limit and the reference
/// does not check again between them; this is the largest that it can be configured to.
pub const MAX_ROUTE_PAYLOAD_BYTES: usize = 64 << 20;

/// How long dialling a route or leafnode may take. The reference allows a second, which a link over mobile networks or a
/// tunnel that has yet to be made does not keep.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Shortest pause before a link is dialled again; the reference's number.
pub const DIAL_PAUSE: Duration = Duration::from_secs(1);

/// Most members that are dialled at a time because other members told of them. Clusters are small; this only bounds what a
/// member that lies can set off.
pub const MAX_LEARNED_DIALS: usize = 32;

/// Attempts to reach a member that another one told of and that does not answer; it may listen where only the other can reach it.
pub const LEARNED_ATTEMPTS: u32 = 10;

/// Longest pause between two attempts to reach such a member. The reference's number for routes with retries.
pub const LEARNED_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long a server without routes waits for a member of its cluster to come back before it is in a cluster of its own. A server that is
/// started anew is back sooner; who left for good is missed no longer than this.
pub const ABSENCE: Duration = Duration::from_secs(10);

/// Longest nonce that is signed, in characters. Servers make 15 to 32 of them; a signature under more could be meant for
/// something else.
pub const MAX_NONCE_CHARACTERS: usize = 64;

/// Most addresses that are kept of one member for its clients' INFO.
pub const MAX_MEMBER_URLS: usize = 16;

/// How long a server that was dialled may take to greet. The reference's number.
pub const LEAF_GREETING_TIMEOUT: Duration = Duration::from_secs(1);

/// Least time before the next attempt when only a person can mend what is wrong: a loop, two servers in one cluster, a
/// subject that is denied. The reference's number.
pub const LEAF_LONG_DELAY: Duration = Duration::from_secs(30);

/// Least time before the next attempt after one end found the other too old. The reference's number.
pub const LEAF_VERSION_DELAY: Duration = Duration::from_secs(5);

/// Most filters (with and without queue groups) that one leafnode link may want. A hub holds them all, and no mesh of the
/// reference's users comes near.
pub const MAX_LEAF_INTEREST: usize = 1_000_000;
