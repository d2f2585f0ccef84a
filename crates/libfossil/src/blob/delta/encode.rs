//! Making deltas: finds in the source what the target repeats.
//!
//! The source is cut into blocks of [`BLOCK`] bytes that are indexed by a rolling hash. A window of the same size slides
//! over the target; where its hash meets that of a block, the match is grown in both directions and the best one is taken.
//! What both have in common at their start and end is taken beforehand: most versions of a file differ in few places.

use super::{DIGITS, checksum};

/// Bytes of a block. Shorter repetitions than this may go unnoticed.
const BLOCK: usize = 16;

/// Most blocks with the same hash that are tried at one place. Content that repeats itself (tables of zeroes) would
/// otherwise take time quadratic in its length.
const MAX_TRIES: usize = 32;

/// A match that is this long is taken without looking for a better one.
const LONG_ENOUGH: usize = 4096;

/// Factor of the rolling hash.
const FACTOR: u32 = 0x0101_9e35;

/// What the byte that leaves the window was multiplied by: `FACTOR` to the power of `BLOCK`.
const LEAVING: u32 = {
    let (mut power, mut n) = (1_u32, 0);
    while n < BLOCK {
        power = power.wrapping_mul(FACTOR);
        n += 1;
    }
    power
};

/// Returns a delta that makes `target` of `source`.
///
/// It is a valid delta whatever both are; with nothing in common it is a few bytes longer than `target`.
#[must_use]
pub fn encode(source: &[u8], target: &[u8]) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::with_capacity(64),
    };
    writer.number(target.len() as u64);
    writer.out.push(b'\n');

    let head = common_prefix(source, target);
    let head = if head >= BLOCK || head == target.len() {
        head
    } else {
        0
    };
    let (_, source_rest) = source.split_at(head);
    let (_, target_rest) = target.split_at(head);
    let tail = common_suffix(source_rest, target_rest);
    let tail = if tail >= BLOCK { tail } else { 0 };
    let middle = &target_rest[..target_rest.len() - tail];

    if head > 0 {
        writer.copy(head, 0);
    }
    if middle.len() < BLOCK || source.len() < BLOCK {
        writer.literal(middle);
    } else {
        Matcher::new(source).encode(middle, &mut writer);
    }
    if tail > 0 {
        writer.copy(tail, source.len() - tail);
    }
    writer.number(u64::from(checksum(target)));
    writer.out.push(b';');
    writer.out
}

/// Writes the commands of a delta.
struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn number(&mut self, number: u64) {
        let digits = digit_count(number);
        for place in (0..digits).rev() {
            let value = (number >> (6 * place)) & 63;
            self.out
                .push(DIGITS[usize::try_from(value).unwrap_or_default()]);
        }
    }

    fn copy(&mut self, count: usize, offset: usize) {
        self.number(count as u64);
        self.out.push(b'@');
        self.number(offset as u64);
        self.out.push(b',');
    }

    fn literal(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.number(bytes.len() as u64);
            self.out.push(b':');
            self.out.extend_from_slice(bytes);
        }
    }
}

/// Returns how many base-64 digits `number` has.
const fn digit_count(number: u64) -> u32 {
    let bits = u64::BITS - number.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(6) }
}

/// A stretch of the target that the source has too.
#[derive(Clone, Copy)]
struct Match {
    /// Where it starts in the target.
    target: usize,
    /// Where it starts in the source.
    source: usize,
    length: usize,
}

/// Marks the end of a chain of blocks.
const NONE: u32 = u32::MAX;

/// The blocks of a source, indexed by their hash.
struct Matcher<'a> {
    source: &'a [u8],
    /// The first block of each hash bucket.
    heads: Vec<u32>,
    /// For each block the next one in its bucket.
    nexts: Vec<u32>,
    /// How far a hash is shifted to give its bucket.
    shift: u32,
}

impl<'a> Matcher<'a> {
    fn new(source: &'a [u8]) -> Self {
        let (blocks, _) = source.as_chunks::<BLOCK>();
        let bits = usize::BITS - blocks.len().leading_zeros();
        let mut matcher = Self {
            source,
            heads: vec![NONE; 1 << bits],
            nexts: vec![NONE; blocks.len()],
            shift: u32::BITS - bits,
        };
        // Backwards, so that chains start with the earliest block.
        for (number, block) in blocks.iter().enumerate().rev() {
            let bucket = matcher.bucket(hash(block));
            let Ok(number32) = u32::try_from(number) else {
                continue;
            };
            matcher.nexts[number] = std::mem::replace(&mut matcher.heads[bucket], number32);
        }
        matcher
    }

    /// Returns the bucket of a hash: its upper bits, mixed.
    fn bucket(&self, hash: u32) -> usize {
        (hash.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }

    /// Writes commands that make `target`, which is at least a block long.
    fn encode(&self, target: &[u8], writer: &mut Writer) {
        // Everything before `done` is written, the window starts at `at`.
        let (mut done, mut at) = (0, 0);
        let mut rolling = hash(&target[..BLOCK]);
        loop {
            if let Some(found) = self.find(target, done, at, rolling) {
                writer.literal(&target[done..found.target]);
                writer.copy(found.length, found.source);
                done = found.target + found.length;
                at = done;
                match target.get(at..at + BLOCK) {
                    Some(window) => rolling = hash(window),
                    None => break,
                }
            } else {
                let Some(&entering) = target.get(at + BLOCK) else {
                    break;
                };
                rolling = rolling
                    .wrapping_mul(FACTOR)
                    .wrapping_add(u32::from(entering))
                    .wrapping_sub(LEAVING.wrapping_mul(u32::from(target[at])));
                at += 1;
            }
        }
        writer.literal(&target[done..]);
    }

    /// Returns the match around the window at `at` that saves most, if any saves something.
    fn find(&self, target: &[u8], done: usize, at: usize, rolling: u32) -> Option<Match> {
        let mut best: Option<(usize, Match)> = None;
        let mut block = self.heads[self.bucket(rolling)];
        for _ in 0..MAX_TRIES {
            if block == NONE {
                break;
            }
            let from = block as usize * BLOCK;
            block = self.nexts[block as usize];
            let forward = common_prefix(&self.source[from..], &target[at..]);
            if forward < BLOCK {
                continue;
            }
            let backward = common_suffix(&self.source[..from], &target[done..at]);
            let found = Match {
                target: at - backward,
                source: from - backward,
                length: forward + backward,
            };
            let cost = digit_count(found.length as u64) + digit_count(found.source as u64) + 2;
            let saved = found.length.saturating_sub(cost as usize);
            if best.is_none_or(|(most, _)| saved > most) {
                best = Some((saved, found));
            }
            if found.length >= LONG_ENOUGH {
                break;
            }
        }
        best.filter(|(saved, _)| *saved > 0).map(|(_, found)| found)
    }
}

/// Returns the rolling hash of a window.
fn hash(window: &[u8]) -> u32 {
    window.iter().fold(0, |hash, &byte| {
        hash.wrapping_mul(FACTOR).wrapping_add(u32::from(byte))
    })
}

/// Bytes that are compared at once.
const STRIDE: usize = 16;

/// Returns how many bytes `a` and `b` have in common at their start.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let strides = a
        .chunks_exact(STRIDE)
        .zip(b.chunks_exact(STRIDE))
        .take_while(|(a, b)| a == b)
        .count();
    let start = strides * STRIDE;
    start
        + a[start..]
            .iter()
            .zip(&b[start..])
            .take_while(|(a, b)| a == b)
            .count()
}

/// Returns how many bytes `a` and `b` have in common at their end.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (a, b) = (&a[a.len() - length..], &b[b.len() - length..]);
    let strides = a
        .rchunks_exact(STRIDE)
        .zip(b.rchunks_exact(STRIDE))
        .take_while(|(a, b)| a == b)
        .count();
    let end = length - strides * STRIDE;
    strides * STRIDE
        + a[..end]
            .iter()
            .rev()
            .zip(b[..end].iter().rev())
            .take_while(|(a, b)| a == b)
            .count()
}

/// Returns `number` in the digits of deltas.
#[cfg(test)]
pub(super) fn number_text(number: u64) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new() };
    writer.number(number);
    writer.out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{apply, output_size};
    use super::*;

    fn assert_round_trip(source: &[u8], target: &[u8]) -> usize {
        let delta = encode(source, target);
        assert_eq!(output_size(&delta), Ok(target.len()));
        assert_eq!(apply(source, &delta, target.len()).as_deref(), Ok(target));
        delta.len()
    }

    #[test]
    fn numbers_have_the_digits_of_the_format() {
        assert_eq!(number_text(0), b"0");
        assert_eq!(number_text(63), b"~");
        assert_eq!(number_text(64), b"10");
        assert_eq!(number_text(u64::from(u32::MAX)), b"3~~~~~");
    }

    #[test]
    fn equal_content_is_one_copy() {
        let text = b"the same text on both sides, of some length".repeat(20);
        assert!(assert_round_trip(&text, &text) < 20);
        assert!(assert_round_trip(b"short", b"short") < 20);
        assert!(assert_round_trip(b"", b"") < 20);
    }

    #[test]
    fn moved_blocks_are_found_again() {
        let source: Vec<u8> = (0..4000_u32)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_be_bytes())
            .collect();
        let (first, second) = source.split_at(7001);
        let target = [second, b"some words in between", first].concat();
        assert!(assert_round_trip(&source, &target) < 100);
    }

    #[test]
    fn content_without_anything_in_common_grows_by_a_few_bytes_only() {
        let target: Vec<u8> = (0..1000_u32)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_be_bytes())
            .collect();
        assert!(assert_round_trip(&[b'x'; 5000], &target) < target.len() + 24);
    }

    #[test]
    fn repetitive_content_is_tried_a_bounded_number_of_times() {
        let zeroes = vec![0; 1 << 20];
        let mut target = vec![0; 512 << 10];
        // A mark before each block's end keeps the matches short.
        for at in (0..target.len()).step_by(61) {
            target[at] = 1;
        }
        assert_round_trip(&zeroes, &target);
    }

    proptest! {
        #[test]
        fn applying_gives_the_target_back(source: Vec<u8>, target: Vec<u8>) {
            assert_round_trip(&source, &target);
        }

        #[test]
        fn edits_of_a_text_are_short_and_exact(
            words in prop::collection::vec("[a-d]{1,6}", 50..300),
            cut: prop::sample::Index,
            length in 0..40_usize,
            insert in "[a-z ]{0,40}",
        ) {
            let source = words.join(" ").into_bytes();
            let from = cut.index(source.len());
            let to = (from + length).min(source.len());
            let target = [&source[..from], insert.as_bytes(), &source[to..]].concat();
            let size = assert_round_trip(&source, &target);
            prop_assert!(size <= insert.len() + 2 * BLOCK + 40);
        }

        #[test]
        fn shuffled_pieces_are_exact(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let source = pieces.concat();
            let target: Vec<u8> = order.iter().flat_map(|index| index.get(&pieces).clone()).collect();
            assert_round_trip(&source, &target);
        }
    }
}
