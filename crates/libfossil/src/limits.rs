//! Every cap on what bytes from outside may cost, each with its reason. A value over its cap is refused with a typed error
//! before memory is set aside for it.

/// Longest content of one artifact, in bytes.
///
/// SQLite refuses values over 1,000,000,000 bytes unless it is compiled otherwise, so nothing longer can be in a repository
/// that a stock build opens.
pub const MAX_CONTENT_BYTES: usize = 1_000_000_000;

/// Longest structural artifact (check-in, cluster, control and so on), in bytes.
///
/// A check-in spends about 130 bytes on a file, so this is room for half a million files in one version.
pub const MAX_STRUCTURAL_BYTES: usize = 64 << 20;

/// Most parents of one check-in. The widest merge known in public histories has 66.
pub const MAX_PARENTS: usize = 1_000;

/// Longest path of a file in a check-in, in bytes. Operating systems stop at 4,096; escapes and other systems get some room.
pub const MAX_PATH_BYTES: usize = 16 << 10;

/// Most bytes that one byte of a zlib stream can stand for: deflate's longest match (258 bytes) for its shortest code
/// (2 bits), rounded up. A declared length beyond this ratio is a lie that needs no inflating.
pub const MAX_INFLATE_RATIO: usize = 1_040;

/// Most bytes that expanding one content may take, packed, unpacked and applied, for other contents to be expanded beside it when all of a
/// repository is looked at. With a few dozen on their way between threads this is some hundred megabytes in the worst case.
pub const MAX_SHORT_BYTES: usize = 16 << 20;

/// Most bytes of contents that are kept for deltas on them while a tree of deltas is expanded, beside the newest one. The versions of a file
/// come one after the other, so that few are kept at all.
pub const MAX_KEPT_SOURCES_BYTES: usize = 64 << 20;

/// Longest length or offset in a delta; Fossil keeps them in signed 32-bit integers.
pub const MAX_DELTA_NUMBER: u64 = i32::MAX as u64;

/// Most bytes of files that are read to give a new check-in its optional checksum over all of them. Beyond it the check-in
/// goes without: hashing this much takes about a second, and the names of the files vouch for their content already.
pub const MAX_CHECKSUMMED_BYTES: u64 = 256 << 20;

/// Most bytes of contents of which only pieces are here, for one repository: two of the longest, so that one does not always drive out the other.
pub const MAX_PARTIAL_BYTES: u64 = 2 * MAX_CONTENT_BYTES as u64;

/// Most names that one message may say its sender holds before the rest is ignored. A stock client names with each request all that no
/// cluster names: after an import, all there is. The first million of them is looked up in a few seconds.
pub const MAX_NAMES: usize = 1_000_000;

/// Most artifacts that one request may ask for before the rest is ignored; what is ignored is asked for again. A stock client asks for
/// 200, or for twice as many as came with the last reply, and a reply of the usual 5,000,000 bytes holds some 50,000 at most.
pub const MAX_WISHES: usize = 100_000;

/// Most names that a client takes from one reply before the rest is ignored; the server says them again. A reply of 5,000,000 bytes
/// has room for 106,000.
pub const MAX_REPLIED_NAMES: usize = 200_000;

/// Most other cards in a reply before it is refused; 5,000,000 bytes hold half as many at the very most.
pub const MAX_REPLIED_CARDS: usize = 400_000;

/// Most names of unknown artifacts that one message may add. A stock client names at most what no cluster names, and a cluster at most 800.
pub const MAX_NEW_PHANTOMS: usize = 100_000;

/// Most names of unknown artifacts that a repository holds before further ones are ignored.
pub const MAX_PHANTOMS: usize = 1_000_000;

/// Most deltas that a repository keeps while their source is not here. Stock clients send the source within the same exchange, in a
/// request of 250,000 bytes, so that a few thousand wait at once.
pub const MAX_WAITING_DELTAS: usize = 10_000;

/// Most bytes of such deltas, packed.
pub const MAX_WAITING_BYTES: u64 = 256 << 20;

/// Most such deltas one on the other. The way to the source is walked for each of them.
pub const MAX_WAITING_CHAIN: usize = 250;

/// Most bytes that the deltas of one message may come to before the rest is asked for again. A few bytes of delta copy a long source
/// over and over; to hash and pack this much takes a second or two. The 200 artifacts that a stock client asks for at once come to
/// less unless they are longer than 600 KiB each.
pub const MAX_DELTA_OUTPUT_BYTES: u64 = 128 << 20;
