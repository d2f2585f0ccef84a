//! Every limit of the bridge with its reason, and those that both ends of the bus share.

use std::time::Duration;

/// Largest reply of a remote that is read; as much as an agent takes in one request. Stock servers aim at 5,000,000 bytes.
pub const REPLY_BYTES: usize = 256 * 1024 * 1024;

/// Time for a TCP and TLS connection to a remote.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// Time without a byte from a remote. A stock server computes a reply for up to 30 s.
pub const REPLY_STALL: Duration = Duration::from_secs(90);

/// Time for one whole round trip; stock servers give up after the same time.
pub const ROUND_TRIP_DEADLINE: Duration = Duration::from_secs(600);

/// Redirects followed in one exchange; stock's number.
pub const REDIRECTS: usize = 20;

/// Room for headers in a message on the bus. Ours take about 600 bytes.
pub const BUS_HEADERS_BYTES: usize = 1536;

/// Body of a message on the bus. Longer ones hold up what others say on the same connection; a piece of 128 KiB of a large file fits with its
/// lines.
pub const BUS_BODY_BYTES: usize = 256 * 1024 - BUS_HEADERS_BYTES;

/// Time for the answer to a request on the bus. Storing the largest message takes seconds; an answer that is lost, because the other end has
/// just closed the repository, should not cost a minute.
pub const BUS_REPLY: Duration = Duration::from_secs(20);

/// Requests that one bridge makes of its server at once. A stock server runs one process for each.
pub(crate) const SERVER_REQUESTS: usize = 4;

/// Messages of one bridge that are worked on at once, those included that wait for the server.
pub(crate) const MESSAGES: usize = 32;

/// Time from a message on the bus to its answer, or to the promise of one: less than [`BUS_REPLY`], with room for the way.
pub const PROMISE: Duration = Duration::from_secs(12);

/// Time for the server's answer to who can't be promised one: the Go product waits 30 s. A stock server may take a little longer, and then the
/// reason reaches who asked, who asks again.
pub(crate) const ANSWER: Duration = Duration::from_secs(28);

/// Longest request or reply that travels in parts; as much as one request may have over HTTP.
pub const PARTS_BYTES: usize = REPLY_BYTES;

/// Messages in parts that a bridge holds at once, over all who use it; two of the longest.
pub(crate) const SHELF_BYTES: usize = 2 * PARTS_BYTES;

/// Messages in parts of one caller that a bridge holds at once. One exchange has one.
pub(crate) const SHELF_OF_ONE: usize = 4;

/// How long a part may be waited for before the message is dropped.
pub(crate) const PART_PATIENCE: Duration = Duration::from_secs(60);

/// Messages up to this length are read in passing; longer ones where they hold up nobody.
pub(crate) const QUICK_BYTES: usize = 256 * 1024;

/// Time for the server's answer to the question what it holds.
pub(crate) const PROBE: Duration = Duration::from_secs(30);

/// How often a server is asked what project it has that answers 400, as a new stock server does while it makes its tables.
pub(crate) const FIRST_TRIES: usize = 4;

/// Wait before it is asked again; its tables are made in milliseconds.
pub(crate) const FIRST_AGAIN: Duration = Duration::from_millis(300);

/// Wait before the server is asked what it holds after a request that may have changed it: several follow each other.
pub(crate) const SETTLE: Duration = Duration::from_millis(50);

/// Longest wait between two questions to a server that does not answer.
pub(crate) const PROBE_BACKOFF_MAX: Duration = Duration::from_secs(60);
