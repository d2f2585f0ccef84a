//! SHA3-256 (FIPS 202) of four texts at once, on processors with AVX2.
//!
//! A single text keeps a processor's vector units idle; contents come by the thousand when a repository is checked, so each step is
//! done for four of them. Elsewhere, and for texts of very unequal lengths, they are hashed one by one.

use pulp::x86::V3;
use pulp::{NullaryFnOnce, bytemuck, u64x4};

/// How many texts are worked on together.
const LANES: usize = 4;

/// Bytes that go in between two permutations.
const RATE_BYTES: usize = 136;

/// Words of the state that a block goes into.
const RATE_WORDS: usize = RATE_BYTES / 8;

/// What each round adds to the first word.
const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// One block of a text.
type Block = [u8; RATE_BYTES];

/// The raw hash of a text.
type Hash = [u8; 32];

/// A text in blocks.
struct Blocks<'t> {
    whole: &'t [Block],
    /// The end of the text with its padding.
    last: Block,
}

/// Four texts on their way through.
struct Together<'t>(V3, [Blocks<'t>; LANES]);

/// Returns the hash of each text, if the processor can do it faster than one by one.
pub(super) fn digests(texts: [&[u8]; LANES]) -> Option<[Hash; LANES]> {
    let longest = texts.iter().map(|text| text.len()).max()?;
    let total: usize = texts.iter().map(|text| text.len()).sum();
    // The permutation takes about as long for four texts as it does alone for one and a half.
    let pays = total / 2 >= longest;
    let simd = V3::try_new().filter(|_| pays)?;
    Some(simd.vectorize(Together(simd, texts.map(Blocks::new))))
}

impl<'t> Blocks<'t> {
    fn new(text: &'t [u8]) -> Self {
        let (whole, rest) = text.as_chunks();
        let mut last = [0; RATE_BYTES];
        for (to, from) in last.iter_mut().zip(rest.iter().chain(&[0x06])) {
            *to = *from;
        }
        if let Some(end) = last.last_mut() {
            *end |= 0x80;
        }
        Self { whole, last }
    }

    /// Returns a block by its position; after the last one, that again.
    #[inline(always)]
    fn get(&self, position: usize) -> &Block {
        self.whole.get(position).unwrap_or(&self.last)
    }
}

impl NullaryFnOnce for Together<'_> {
    type Output = [Hash; LANES];

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self(simd, texts) = self;
        let mut hashes = [[0; 32]; LANES];
        let mut state = [simd.splat_u64x4(0); 25];
        let blocks = texts.iter().map(|text| text.whole.len()).max();
        for position in 0..=blocks.unwrap_or_default() {
            let [a, b, c, d] = &texts;
            let words = [a, b, c, d].map(|text| text.get(position).as_chunks::<8>().0);
            let [a, b, c, d] = words;
            let words = a.iter().zip(b).zip(c.iter().zip(d));
            for (word, ((a, b), (c, d))) in state.iter_mut().take(RATE_WORDS).zip(words) {
                let input: u64x4 = bytemuck::cast([*a, *b, *c, *d].map(u64::from_le_bytes));
                *word = simd.xor_u64x4(*word, input);
            }
            permute(simd, &mut state);
            for (lane, (hash, text)) in hashes.iter_mut().zip(&texts).enumerate() {
                if text.whole.len() == position {
                    *hash = hash_in(&state, lane);
                }
            }
        }
        hashes
    }
}

/// Returns the hash that the first words of one lane are.
fn hash_in(state: &[u64x4; 25], lane: usize) -> Hash {
    let mut hash = [0; 32];
    let (places, _) = hash.as_chunks_mut();
    for (place, word) in places.iter_mut().zip(state) {
        let lanes: [u64; LANES] = bytemuck::cast(*word);
        *place = lanes.get(lane).copied().unwrap_or_default().to_le_bytes();
    }
    hash
}

/// Keccak-f[1600] on all lanes. Word (x, y) of the state is at x + 5y.
#[inline(always)]
fn permute(simd: V3, a: &mut [u64x4; 25]) {
    // Written out by macros, because a loop over the words would keep them out of registers.
    macro_rules! xor {
        ($a:expr, $b:expr) => {
            simd.xor_u64x4($a, $b)
        };
    }
    macro_rules! rotated {
        ($word:expr, 0) => {
            $word
        };
        ($word:expr, $by:literal) => {{
            let word = $word;
            let low = simd.shr_const_u64x4::<{ 64 - $by }>(word);
            simd.or_u64x4(simd.shl_const_u64x4::<$by>(word), low)
        }};
    }
    for round in ROUNDS {
        // Theta: each column's parity goes into the columns beside it.
        macro_rules! parities {
            ($($x:literal)*) => { [$({
                let upper = xor!(xor!(a[$x], a[$x + 5]), xor!(a[$x + 10], a[$x + 15]));
                xor!(upper, a[$x + 20])
            }),*] };
        }
        let parity = parities!(0 1 2 3 4);
        macro_rules! effects {
            ($($x:literal)*) => {
                [$(xor!(parity[($x + 4) % 5], rotated!(parity[($x + 1) % 5], 1))),*]
            };
        }
        let effect = effects!(0 1 2 3 4);
        // Rho and pi: each word is rotated by a number of its own and moves to another place.
        macro_rules! moved {
            ($($from:literal by $rotation:tt)*) => {
                [$(rotated!(xor!(a[$from], effect[$from % 5]), $rotation)),*]
            };
        }
        let b = moved!(
            0 by 0    6 by 44  12 by 43  18 by 21  24 by 14
            3 by 28   9 by 20  10 by 3   16 by 45  22 by 61
            1 by 1    7 by 6   13 by 25  19 by 8   20 by 18
            4 by 27   5 by 36  11 by 10  17 by 15  23 by 56
            2 by 62   8 by 55  14 by 39  15 by 41  21 by 2
        );
        // Chi: within each row, two words decide about the bits of a third. Iota: the round's own bits.
        macro_rules! mixed {
            ($($row:literal: $($x:literal)*;)*) => { $($(
                let others = simd.andnot_u64x4(b[$row + ($x + 1) % 5], b[$row + ($x + 2) % 5]);
                a[$row + $x] = xor!(b[$row + $x], others);
            )*)* };
        }
        mixed!(0: 0 1 2 3 4; 5: 0 1 2 3 4; 10: 0 1 2 3 4; 15: 0 1 2 3 4; 20: 0 1 2 3 4;);
        a[0] = xor!(a[0], simd.splat_u64x4(round));
    }
}

#[cfg(test)]
mod tests {
    use sha3::{Digest, Sha3_256};

    use super::{LANES, digests};

    #[test]
    fn four_texts_have_the_hashes_that_each_has_alone() {
        if pulp::x86::V3::try_new().is_none() {
            // Nothing is hashed together here.
            assert_eq!(digests([b""; LANES]), None);
            return;
        }
        let bytes: Vec<u8> = (0..=250).cycle().take(2000).collect();
        for start in 0..300 {
            let lengths = [start, start + 1, start + 135, start + 136];
            let texts = lengths.map(|length| &bytes[..length]);
            let expected = texts.map(|text| Sha3_256::digest(text).into());
            let pays = start * 4 + 272 >= (start + 136) * 2;
            assert_eq!(digests(texts), pays.then_some(expected), "{start}");
        }
        assert_eq!(digests([&bytes, b"", b"", b""]), None);
    }
}
