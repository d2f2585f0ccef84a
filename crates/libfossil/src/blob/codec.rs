//! The packed form of content, on disk and on the wire alike: the unpacked length as four big-endian bytes, then one zlib
//! stream.
//!
//! The length is only what the sender says. It is checked against a cap and against what the stream could possibly hold
//! before any memory is set aside, and the stream must then give exactly that many bytes and end where the input ends.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::limits::MAX_INFLATE_RATIO;

/// Bytes of the length in front of the stream.
pub(crate) const HEADER_BYTES: usize = 4;

/// Content from this length on is given room for its packed form in one piece.
const LONG_BYTES: usize = 1 << 20;

/// Most bytes that an [`Unpacker`] gives at once.
const UNPACKED_PIECE_BYTES: usize = 128 << 10;

/// Why bytes could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Too short to hold a length.
    #[error("packed content is cut short")]
    Truncated,
    /// The declared length is over the caller's cap.
    #[error("packed content declares {declared} bytes, more than the {max} allowed")]
    TooLarge {
        /// The length that the packed content declares.
        declared: usize,
        /// The cap.
        max: usize,
    },
    /// The stream does not give as many bytes as declared.
    #[error("packed content declares {declared} bytes but holds another number")]
    WrongLength {
        /// The length that the packed content declares.
        declared: usize,
    },
    /// The zlib stream is malformed or its checksum is wrong.
    #[error("packed content is damaged")]
    Corrupt,
    /// Bytes follow the end of the stream.
    #[error("packed content is followed by {0} stray bytes")]
    Trailing(usize),
}

thread_local! {
    /// Setting up a state costs more than most contents do; one for each thread is reused for all its streams.
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), true));
}

/// Returns the packed form of `content`.
///
/// Content is at most [`crate::limits::MAX_CONTENT_BYTES`] long; a longer one could not declare its length.
#[must_use]
pub fn pack(content: &[u8]) -> Vec<u8> {
    pack_parts(&[content])
}

/// Returns the packed form of all `parts` together, as if they were one.
#[must_use]
pub fn pack_parts(parts: &[&[u8]]) -> Vec<u8> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let declared = u32::try_from(total).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(HEADER_BYTES + room_for_packed(total));
    out.extend_from_slice(&declared.to_be_bytes());
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let before = deflate.total_in();
                step(deflate, rest, &mut out, FlushCompress::None);
                rest = rest
                    .get(consumed(before, deflate.total_in())..)
                    .unwrap_or_default();
            }
        }
        while step(deflate, &[], &mut out, FlushCompress::Finish) != Status::StreamEnd {}
    });
    out
}

/// Returns how much room is made for content of `total` bytes once packed. What is long gets room for the worst case at once:
/// moving it costs more than room that is never touched.
fn room_for_packed(total: usize) -> usize {
    if total < LONG_BYTES {
        total / 2 + 64
    } else {
        total + total / 1000 + 64
    }
}

/// Deflates some of `input` into `out`, which is given room first.
fn step(deflate: &mut Compress, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Status {
    if out.capacity() - out.len() < 256 {
        out.reserve((input.len() / 2).max(256));
    }
    // Deflating fails only on a bad state, and this one is driven in order; ending the stream ends the caller's loop.
    deflate
        .compress_vec(input, out, flush)
        .unwrap_or(Status::StreamEnd)
}

/// Returns the distance of two totals, as a length in memory.
fn consumed(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

/// Returns the length that packed content says it has; nothing is checked.
///
/// # Errors
/// Fewer than four bytes.
pub fn declared_size(packed: &[u8]) -> Result<usize, CodecError> {
    let header = packed
        .first_chunk::<HEADER_BYTES>()
        .ok_or(CodecError::Truncated)?;
    usize::try_from(u32::from_be_bytes(*header)).map_err(|_| CodecError::Truncated)
}

/// Returns the content of `packed`, which may have at most `max` bytes.
///
/// # Errors
/// See [`CodecError`]; memory for more than the smaller of `max` and the declared length is never used.
pub fn unpack(packed: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    let declared = declared_size(packed)?;
    if declared > max {
        return Err(CodecError::TooLarge { declared, max });
    }
    let stream = packed.get(HEADER_BYTES..).unwrap_or_default();
    if declared > stream.len().saturating_mul(MAX_INFLATE_RATIO) {
        return Err(CodecError::WrongLength { declared });
    }
    // One byte more than declared, so that a stream with more in it shows.
    let mut out = Vec::with_capacity(declared + 1);
    let (status, used) = inflate(stream, &mut out)?;
    if out.len() != declared {
        return Err(CodecError::WrongLength { declared });
    }
    if status != Status::StreamEnd {
        return Err(CodecError::Truncated);
    }
    match stream.len().saturating_sub(used) {
        0 => Ok(out),
        stray => Err(CodecError::Trailing(stray)),
    }
}

/// Returns the first bytes of the content of `packed`, at most `count`, without inflating the rest.
///
/// # Errors
/// The beginning is damaged already. That none is reported says nothing about the rest.
pub fn peek(packed: &[u8], count: usize) -> Result<Vec<u8>, CodecError> {
    let wanted = declared_size(packed)?.min(count);
    let stream = packed.get(HEADER_BYTES..).unwrap_or_default();
    let mut out = Vec::with_capacity(wanted.min(stream.len().saturating_mul(MAX_INFLATE_RATIO)));
    inflate(stream, &mut out)?;
    out.truncate(wanted);
    Ok(out)
}

/// Unpacks content whose stream comes in pieces, without ever holding all of it.
#[derive(Debug)]
pub(crate) struct Unpacker {
    inflate: Decompress,
    declared: usize,
    given: usize,
    ended: bool,
    out: Vec<u8>,
}

impl Unpacker {
    /// Starts on content of `declared` bytes, of which there may be at most `max`.
    pub(crate) fn new(declared: usize, max: usize) -> Result<Self, CodecError> {
        if declared > max {
            return Err(CodecError::TooLarge { declared, max });
        }
        Ok(Self {
            inflate: Decompress::new(true),
            declared,
            given: 0,
            ended: false,
            out: Vec::with_capacity(UNPACKED_PIECE_BYTES),
        })
    }

    /// Takes the next piece of the stream, and gives what is in it to `take`.
    pub(crate) fn feed(
        &mut self,
        mut stream: &[u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), CodecError> {
        loop {
            if self.ended {
                return match stream.len() {
                    0 => Ok(()),
                    stray => Err(CodecError::Trailing(stray)),
                };
            }
            self.out.clear();
            let before = self.inflate.total_in();
            let status = self
                .inflate
                .decompress_vec(stream, &mut self.out, FlushDecompress::None)
                .map_err(|_| CodecError::Corrupt)?;
            let used = consumed(before, self.inflate.total_in());
            stream = stream.get(used..).unwrap_or_default();
            self.given = self.given.saturating_add(self.out.len());
            if self.given > self.declared {
                return Err(CodecError::WrongLength {
                    declared: self.declared,
                });
            }
            take(&self.out);
            self.ended = status == Status::StreamEnd;
            if !self.ended && used == 0 && self.out.is_empty() {
                return Ok(());
            }
        }
    }

    /// Ends the content.
    pub(crate) fn finish(self) -> Result<(), CodecError> {
        if !self.ended {
            return Err(CodecError::Truncated);
        }
        if self.given != self.declared {
            return Err(CodecError::WrongLength {
                declared: self.declared,
            });
        }
        Ok(())
    }
}

/// Inflates `stream` into the spare capacity of `out` and returns how that ended and how many bytes it took.
fn inflate(stream: &[u8], out: &mut Vec<u8>) -> Result<(Status, usize), CodecError> {
    INFLATE.with_borrow_mut(|inflate| {
        inflate.reset(true);
        let status = inflate
            .decompress_vec(stream, out, FlushDecompress::Finish)
            .map_err(|_| CodecError::Corrupt)?;
        Ok((status, consumed(0, inflate.total_in())))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn a_length_over_the_cap_is_refused_before_memory_is_taken() {
        let mut packed = pack(b"tiny");
        packed[..4].copy_from_slice(&[0xff; 4]);
        assert_eq!(
            unpack(&packed, MAX),
            Err(CodecError::TooLarge {
                declared: 0xffff_ffff,
                max: MAX
            })
        );
        assert_eq!(
            unpack(&packed, usize::MAX),
            Err(CodecError::WrongLength {
                declared: 0xffff_ffff
            })
        );
    }

    #[test]
    fn a_length_that_differs_from_the_content_is_refused() {
        for declared in [0_u32, 3, 5, 600] {
            let mut packed = pack(b"tiny");
            packed[..4].copy_from_slice(&declared.to_be_bytes());
            let declared = declared as usize;
            assert_eq!(
                unpack(&packed, MAX),
                Err(CodecError::WrongLength { declared }),
                "{declared}"
            );
        }
    }

    #[test]
    fn a_bomb_is_taken_up_to_the_cap_and_refused_over_it() {
        let packed = pack(&vec![0; MAX]);
        assert!(packed.len() < MAX / 900);
        assert_eq!(unpack(&packed, MAX).map(|content| content.len()), Ok(MAX));
        assert_eq!(
            unpack(&packed, MAX - 1),
            Err(CodecError::TooLarge {
                declared: MAX,
                max: MAX - 1
            })
        );
        let mut lying = packed;
        lying[..4].copy_from_slice(&16_u32.to_be_bytes());
        assert_eq!(
            unpack(&lying, MAX),
            Err(CodecError::WrongLength { declared: 16 })
        );
    }

    #[test]
    fn cut_changed_and_continued_streams_are_refused() {
        let packed = pack(b"some content that is long enough to be packed");
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end], MAX).is_err(), "cut at {end}");
        }
        let mut changed = packed.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        assert_eq!(unpack(&changed, MAX), Err(CodecError::Corrupt));
        let mut continued = packed;
        continued.push(0);
        assert_eq!(unpack(&continued, MAX), Err(CodecError::Trailing(1)));
    }

    #[test]
    fn a_peek_gives_only_the_beginning() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = pack(&content);
        assert_eq!(peek(&packed, 10), Ok(content[..10].to_vec()));
        assert_eq!(peek(&packed[..50], 2), Ok(content[..2].to_vec()));
        assert_eq!(peek(&pack(b"ab"), 10), Ok(b"ab".to_vec()));
    }

    proptest! {
        #[test]
        fn packing_is_undone_by_unpacking(content: Vec<u8>, repeat in 0..50_usize) {
            let content = content.repeat(repeat);
            prop_assert_eq!(unpack(&pack(&content), content.len()), Ok(content));
        }

        #[test]
        fn pieces_are_unpacked_like_the_whole(content: Vec<u8>, repeat in 0..50_usize, piece in 1..64_usize, cut in 0..8_usize) {
            let content = content.repeat(repeat);
            let packed = pack(&content);
            let stream = &packed[HEADER_BYTES..packed.len() - cut.min(packed.len() - HEADER_BYTES)];
            let mut unpacker = Unpacker::new(content.len(), MAX).expect("within the cap");
            let mut unpacked = Vec::new();
            for piece in stream.chunks(piece) {
                unpacker.feed(piece, |text| unpacked.extend_from_slice(text)).expect("a sound beginning");
            }
            let ended = unpacker.finish();
            if cut == 0 {
                prop_assert_eq!((ended, unpacked), (Ok(()), content));
            } else {
                prop_assert_eq!(ended, Err(CodecError::Truncated));
            }
        }

        #[test]
        fn parts_are_packed_like_the_whole(parts: Vec<Vec<u8>>) {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(unpack(&pack_parts(&slices), MAX), Ok(parts.concat()));
        }

        #[test]
        fn any_bytes_are_refused_or_unpacked_within_the_cap(bytes: Vec<u8>, small in 0..64_u32) {
            let mut framed = small.to_be_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            for input in [bytes, framed] {
                if let Ok(content) = unpack(&input, 100) {
                    prop_assert!(content.len() <= 100);
                }
                let _ = peek(&input, 8);
            }
        }

        #[test]
        fn a_flipped_bit_never_changes_the_content_unnoticed(content: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let mut packed = pack(&content);
            let at = at.index(packed.len());
            packed[at] ^= 1 << bit;
            if let Ok(unpacked) = unpack(&packed, MAX) {
                prop_assert_eq!(unpacked, content);
            }
        }
    }
}
