//! Every limit of the agent with its reason: what a request, a peer or a page may cost before it alone is refused.

use std::time::Duration;

pub(crate) use edgesync_bridge::limits::{
    BUS_BODY_BYTES, BUS_HEADERS_BYTES, BUS_REPLY, REDIRECTS, REPLY_BYTES, REPLY_STALL,
};

/// Largest body of an API request. All of them are a few short strings.
pub(crate) const API_BODY_BYTES: usize = 1024 * 1024;

/// Largest body of an `/xfer` request. Stock clients stop at 250,000 bytes unless one artifact alone is larger, and
/// artifacts of this size travel whole.
pub(crate) const XFER_BODY_BYTES: usize = 256 * 1024 * 1024;

/// Largest body of an `/xfer` request that does not tell its length before. Stock clients always do, so that these are strangers' or a proxy's.
pub(crate) const UNTOLD_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Connections served at once by one listener. For more, those give way that wait for a request.
pub(crate) const CONNECTIONS: usize = 128;

/// Connections that one address may hold at once; more are closed. Fossil clients hold one each, and a large office behind one
/// address shares these.
pub(crate) const CONNECTIONS_OF_ONE: usize = 32;

/// A body of an `/xfer` request up to this size is read without room among [`LARGE_BODIES_BYTES`]; nearly all are.
pub(crate) const SMALL_BODY_BYTES: usize = 1024 * 1024;

/// Larger `/xfer` bodies held in memory at once, over all connections; two of the largest.
pub(crate) const LARGE_BODIES_BYTES: usize = 2 * XFER_BODY_BYTES;

/// Larger bodies that one address may send at once, with those that wait for room; more are refused. So it keeps others waiting for two turns at most.
pub(crate) const LARGE_BODIES_OF_ONE: usize = 4;

/// An unpacked `/xfer` message up to this size is worked on without room among [`LARGE_MESSAGES_BYTES`]. As many of them as
/// there are repositories are worked on at once.
pub(crate) const SMALL_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Memory for larger messages and what is made of them, over all repositories. One that needs more is worked on alone.
pub(crate) const LARGE_MESSAGES_BYTES: usize = 512 * 1024 * 1024;

/// Time for a whole connection of a Fossil client. They close theirs after each reply.
pub(crate) const CLIENT_LIFETIME: Duration = Duration::from_secs(1800);

/// Longest head of a request: the longest address and a handful of headers. Each connection may hold twice as much.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// Time for a request's head, and for the next one on a kept connection.
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(15);

/// Time for the body of an API request.
pub(crate) const API_BODY_DEADLINE: Duration = Duration::from_secs(15);

/// Time without a byte of an `/xfer` body before the connection is given up.
pub(crate) const XFER_BODY_STALL: Duration = Duration::from_secs(30);

/// Time for a whole small `/xfer` body. What stock clients send at once takes as long on a line of 4 kbit/s.
pub(crate) const SMALL_BODY_DEADLINE: Duration = Duration::from_secs(600);

/// How long a small `/xfer` body may take its time when all places of its listener are taken. Most come at once; what a stock client sends at once comes in that time on
/// a line of 200 kbit/s.
pub(crate) const SMALL_BODY_GRACE: Duration = Duration::from_secs(10);

/// How long a larger `/xfer` body may take its time while it holds room that others wait for.
pub(crate) const LARGE_BODY_GRACE: Duration = Duration::from_secs(30);

/// How long it may take in all when others wait. The largest comes in that time on a line of 18 Mbit/s, those of a few megabytes on any.
pub(crate) const LARGE_BODY_TURN: Duration = Duration::from_secs(120);

/// How fast it must have come on the average after that: half of what a slow DSL line sends.
pub(crate) const LARGE_BODY_BYTES_PER_S: usize = 64 * 1024;

/// Longest wait between two tries at a failing remote.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// First wait after a failure.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// Pause between two looks at a repository's file while it is written: a commit touches it many times, and each look takes its lock for a
/// moment.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Quiet time after a look at a touched file before the last look at it: what was written may show only after the last touch.
pub(crate) const SETTLE: Duration = Duration::from_millis(50);

/// How long a poll may run before the state says `syncing`; shorter ones that bring nothing stay unseen.
pub(crate) const QUIET_POLL: Duration = Duration::from_millis(500);

/// Progress is shown at most this often.
pub(crate) const PROGRESS: Duration = Duration::from_millis(100);

/// A line is sent at least this often on the event stream.
pub(crate) const BEAT: Duration = Duration::from_secs(15);

/// A line is sent this often to who holds an offer. That nobody reads any more shows by a line that cannot be sent, so the offer outlives that by two of
/// them: a connection whose other end has only closed its sending half is kept.
pub(crate) const HELD_BEAT: Duration = Duration::from_secs(1);

/// Events kept for a slow listener; one that falls behind gets a whole status instead.
pub(crate) const EVENTS: usize = 256;

/// How long ended jobs stay listed.
pub(crate) const JOB_MEMORY: Duration = Duration::from_secs(600);

/// Jobs running at once.
pub(crate) const JOBS: usize = 8;

/// Readers of one repository at once.
pub(crate) const READERS: usize = 4;

/// Timeline rows in one answer.
pub(crate) const TIMELINE_ROWS: usize = 500;

/// Files of a check-in in one answer.
pub(crate) const CHECK_IN_FILES: usize = 1000;

/// Text of a file that is shown; more is cut.
pub(crate) const TEXT_BYTES: usize = 1024 * 1024;

/// Size of each side of a diff that is compared; larger ones are named, not shown.
pub(crate) const DIFF_BYTES: usize = 2 * 1024 * 1024;

/// Time for the comparison of one file. The comparison then becomes coarser, it does not fail.
pub(crate) const DIFF_DEADLINE: Duration = Duration::from_millis(500);

/// Lines of a diff in one answer.
pub(crate) const DIFF_LINES: usize = 20_000;

/// Time for counting added and deleted lines over all files of a check-in.
pub(crate) const COUNT_DEADLINE: Duration = Duration::from_millis(700);

/// Longest project name, user name or path in a request.
pub(crate) const TEXT_FIELD_BYTES: usize = 4096;

/// Nonces of signed requests that are remembered for a window: 200 requests a second by trusted agents.
pub(crate) const NONCES: usize = 131_072;

/// Requests of one project on the bus that are worked on at once; its thread does one after the other, the others are read and signed beside it.
pub(crate) const BUS_REQUESTS: usize = 4;

/// Quiet time between two events that only tell of a bridge's requests.
pub(crate) const BRIDGE_NEWS: Duration = Duration::from_millis(500);

/// The longest that one request waits for an answer; who wants to wait longer asks again.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Largest body of a phone's request: an answer in words.
pub(crate) const DEVICE_BODY_BYTES: usize = 128 * 1024;

/// The longest that a phone's request waits until a person has decided about its pairing.
pub(crate) const DEVICE_WAIT: Duration = Duration::from_secs(20);

/// How often it is looked whether an offer or a pairing is over.
pub(crate) const DEVICE_TICK: Duration = Duration::from_secs(1);

/// How long after a failure it is tried again to let phones in: a laptop comes back into its network.
pub(crate) const DEVICE_DOOR_AGAIN: Duration = Duration::from_secs(15);

/// How long a listener that was shut may hold its address.
pub(crate) const DEVICE_DOOR_SHUTS: Duration = Duration::from_secs(1);

/// How often it is written down that a phone was here.
pub(crate) const DEVICE_USE_NOTED: Duration = Duration::from_secs(60);

/// Longest sleep of the replication machine's driver. It is woken earlier by anything that is due.
pub(crate) const BUS_IDLE: Duration = Duration::from_secs(3600);

/// Time for telling peers that this agent or one of its repositories goes.
pub(crate) const BUS_FAREWELL: Duration = Duration::from_millis(500);

/// How long a link of the bus may be silent before it is pinged; three times that, and it has ended. A router that was switched off and on has forgotten
/// its links, some drop what they do not know without a word, and whoever waits for news on such a link waits until then. The reference waits two minutes.
pub(crate) const BUS_PING: Duration = Duration::from_secs(10);

/// Time for the servers of bridges to say what project they have before the bridges are ready. One that is away is used once it answers.
pub(crate) const BRIDGE_FIRST_LOOK: Duration = Duration::from_secs(3);

/// How long nothing may come of a connection to a NATS server beside the mesh before it is looked what answers there. Servers greet at once; the
/// client waits five seconds.
pub(crate) const UPSTREAM_QUIET: Duration = Duration::from_secs(1);

/// Agents without rights that are remembered, so that a person can choose one of them. With more, those heard longest ago are forgotten.
pub(crate) const STRANGERS: usize = 64;

/// How long a peer that is silent is shown, with the time when it was heard last: who closes a laptop in the evening finds it in the list next morning.
pub(crate) const GONE_SHOWN: Duration = Duration::from_secs(24 * 3600);

/// How far the wall's clock and the machine's may differ from before until times of the past are reckoned anew, in milliseconds: reading both takes some.
pub(crate) const CLOCK_STEP_MS: u64 = 1000;

/// Peers whose last sign of life is remembered, as many as a project has. With more, those heard longest ago are forgotten.
pub(crate) const SEEN: usize = edgesync_replica::limits::PEERS;

/// Less free space than this lets nothing work, in bytes.
pub(crate) const NO_SPACE_BYTES: u64 = 20 * 1024 * 1024;

/// Wait before a repository whose content could not be looked at, or that could not store what others sent, is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long an offer to pair counts: long enough to walk to the other device, short enough that a photo of it is worth nothing the same evening.
pub(crate) const OFFER_LIFE: Duration = Duration::from_secs(600);

/// Wrong tries until an offer is spent. A typed code has 59 bits.
pub(crate) const OFFER_TRIES: u8 = 5;

/// Time for people on both sides to compare and accept.
pub(crate) const DECISION_LIFE: Duration = Duration::from_secs(300);

/// How long a pairing that ended is still shown with its reason.
pub(crate) const ENDED_SHOWN: Duration = Duration::from_secs(120);

/// How far the wall's clock may be put back while an offer counts; clocks are corrected by seconds.
pub(crate) const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// How long a connection stays open so that the reason for its end is heard.
pub(crate) const REFUSAL_HEARD: Duration = Duration::from_secs(2);

/// Devices that wait to be paired at once; anybody who reaches the agent can knock.
pub(crate) const PENDING: usize = 8;

/// Relays that a person can name; each is a connection that stands.
pub(crate) const RELAYS: usize = 8;

/// How long a start waits for the tunnel to learn an address of its own before it says where it is.
pub(crate) const OWN_ADDRESS: Duration = Duration::from_secs(3);

/// Longest text of an offer. A ticket with many addresses has about 600 bytes; a QR code holds 2,953.
pub(crate) const OFFER_TEXT_BYTES: usize = 2048;

/// Longest name of a device.
pub(crate) const DEVICE_NAME_BYTES: usize = 64;

/// Longest record of a mesh; the longest that is written names a few projects.
pub(crate) const RECORD_BYTES: usize = 4096;

/// Records of one mesh: a few for each member that ever was.
pub(crate) const RECORDS: usize = 4096;

/// Quiet time between two hellos to the mesh; a change is told at once.
pub(crate) const MEMBER_BEAT: Duration = Duration::from_secs(60);

/// How long after a failure an agent is asked again whether it keeps a pairing whose end was not heard.
pub(crate) const DOUBT_AGAIN: Duration = Duration::from_secs(5);

/// How often it is looked whether this agent is at another place than it told; a laptop changes its network a few times a day.
pub(crate) const PLACE_LOOK: Duration = Duration::from_secs(5);

/// Age at which a member's catalogue is asked for again, for the sizes in it.
pub(crate) const CATALOGUE_LIFE: Duration = Duration::from_secs(600);

/// Repositories of one member that are listed.
pub(crate) const CATALOGUE: usize = 500;

/// Members with news that wait to be asked; others say hello again.
pub(crate) const MEMBER_PULLS: usize = 64;

/// Questions in a row to one member for its records; each answer brings hundreds.
pub(crate) const MEMBER_PAGES: usize = 32;

/// Time for a member's answer to a question for records.
pub(crate) const MEMBER_REPLY: Duration = Duration::from_secs(10);

/// Agents of one user on one machine that are looked at; people run two or three.
pub(crate) const NEIGHBOURS: usize = 64;

/// Agents of which it is kept what they say of themselves on a network; a household or an office has a few. Beyond that, trusted ones are kept.
pub(crate) const LAN_AGENTS: usize = 64;

/// Most addresses of one of them; a machine has one or two in each network.
pub(crate) const LAN_ADDRESSES: usize = 8;

/// Most records of other machines that are kept of what was said on a network. Printers, televisions and agents have a dozen each; beyond that somebody
/// fills the memory.
pub(crate) const LAN_RECORDS: i64 = 10_000;

/// Longest file in which one of them tells where it is, in bytes.
pub(crate) const NEIGHBOUR_BYTES: u64 = 4096;

/// Longest file in which one of them tells what it hosts, in bytes: room for some thousand paths.
pub(crate) const HOSTING_BYTES: u64 = 4 * 1024 * 1024;

/// Longest message of the exchange of records over a stream; the names of all records are one.
pub(crate) const MEMBER_FRAME_BYTES: usize = 512 * 1024;

/// Time for one message on a stream between agents that nobody has to think about.
pub(crate) const FRAME_STALL: Duration = Duration::from_secs(30);

/// Messages in one answer about what was stored; with bodies of usual length they come to less than a megabyte.
pub(crate) const STORED_MESSAGES: usize = 200;

/// Answers that a notification has as buttons; GNOME shows no more.
pub(crate) const NOTICE_BUTTONS: usize = 3;

/// Text of a message in a notification, in bytes; daemons show three to ten lines.
pub(crate) const NOTICE_TEXT_BYTES: usize = 400;

/// A sender's name in a notification's title, in bytes; what fits on a line beside the project.
pub(crate) const NOTICE_WHO_BYTES: usize = 48;

/// Notifications that are shown one by one within [`NOTICE_MS`]; one notice stands for those that are over. Senders on the bus have
/// smaller budgets of their own; this one is for programs of this machine.
pub(crate) const NOTICES: usize = 60;

/// Words of one sender that are shown one by one within [`NOTICE_MS`]; with the next one, one notice stands for all of them. So many fit on a screen
/// beside what a person does there. Questions are not among them: each waits for its own answer.
pub(crate) const NOTICES_OF_SENDER: usize = 5;

/// The time in which [`NOTICES`] are counted, in milliseconds.
pub(crate) const NOTICE_MS: i64 = 60_000;

/// Questions that are shown one by one when they come all at once, after quiet hours or at the start.
pub(crate) const NOTICES_AT_ONCE: usize = 5;

/// Notifications of words alone whose clicks are remembered.
pub(crate) const NOTICES_OF_WORDS: usize = 100;

/// How often an urgent notification is shown again until a person has seen it, in milliseconds.
pub(crate) const URGENT_AGAIN_MS: i64 = 60_000;

/// How many times it is shown in all: an hour, after which nobody is there.
pub(crate) const URGENT_TIMES: u32 = 60;

/// How long nobody uses a repository before the memory is given back that only makes reading it faster: up to 80 MB for each reader.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Clones of one name in one folder that get a number each.
pub(crate) const SAME_NAMES: u32 = 100;

/// Largest file of the log; there are two of them at most. It holds days of what an agent says that is in use, and fits into a report.
pub(crate) const LOG_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Lines of the log that the API shows; a person reads back some hundred.
pub(crate) const LOG_LINES: usize = 2000;

/// Memory for these lines.
pub(crate) const LOG_MEMORY_BYTES: usize = 2 * 1024 * 1024;

/// The most that one text in a line of the log may take; the reason of a failure is in its beginning.
pub(crate) const LOG_TEXT_BYTES: usize = 8 * 1024;

/// Longest frame before a message on a stream of the tunnel: a project, a kind, a length, or the words of a failure.
pub(crate) const STREAM_HEAD_BYTES: usize = 2048;

/// Bytes of a message that go into a stream at a time; each has its own time to go.
pub(crate) const STREAM_PIECE_BYTES: usize = 64 * 1024;

/// Requests on streams of the tunnel that are answered at a time, of all agents together. More would wait for the repositories' threads anyway.
pub(crate) const STREAM_REQUESTS: usize = 8;

/// How long exchanges with an agent go by the bus after a stream to it failed, so that not each of them waits for another failure.
pub(crate) const STREAM_AGAIN: Duration = Duration::from_secs(60);

/// How long it is told that another agent with this one's identity wanted a link. It dials again every few seconds while it runs.
pub(crate) const TWIN_SHOWN: Duration = Duration::from_secs(60);
