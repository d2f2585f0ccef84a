//! MD5 (RFC 1321) of many texts, four at a time.
//!
//! Each step of MD5 needs the one before it, so a single text leaves most of a processor idle. Here every step is done for four
//! texts at once on arrays of four words, which compilers turn into vector instructions that every processor of today has.

/// How many texts are worked on together.
const LANES: usize = 4;

/// Bytes that one round of steps takes in.
const BLOCK_BYTES: usize = 64;

/// What the length of the text takes up at the end of the last block.
const LENGTH_BYTES: usize = 8;

/// The state before the first block.
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// How far each of four steps in a row rotates, for each quarter of the steps.
const ROTATIONS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// What each step adds: the first 32 fractional bits of |sin(n)|, n from 1.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// One word of the state for each of `N` texts.
type Words<const N: usize> = [u32; N];

/// A text on its way through.
struct Lane<'t> {
    /// Which of the texts it is.
    index: usize,
    /// Its length in bytes.
    length: usize,
    /// The whole blocks that are still to come.
    blocks: &'t [[u8; BLOCK_BYTES]],
    /// What follows them.
    rest: &'t [u8],
    state: [u32; 4],
}

/// Returns the checksum of each text.
pub(super) fn digests(texts: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut sums = vec![[0; 16]; texts.len()];
    let mut waiting = texts.iter().enumerate();
    let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(LANES);
    loop {
        let free = LANES - lanes.len();
        let next = waiting.by_ref().take(free);
        lanes.extend(next.map(|(index, text)| Lane::new(index, text)));
        if lanes.is_empty() {
            return sums;
        }
        match <&mut [Lane<'_>; LANES]>::try_from(lanes.as_mut_slice()) {
            Ok(all) => advance(all),
            Err(_) => lanes.iter_mut().for_each(Lane::advance),
        }
        lanes.retain_mut(|lane| {
            let is_done = lane.blocks.is_empty();
            if is_done && let Some(sum) = sums.get_mut(lane.index) {
                *sum = lane.finish();
            }
            !is_done
        });
    }
}

impl<'t> Lane<'t> {
    fn new(index: usize, text: &'t [u8]) -> Self {
        let (blocks, rest) = text.as_chunks();
        Self {
            index,
            length: text.len(),
            blocks,
            rest,
            state: START,
        }
    }

    /// Takes in all whole blocks.
    fn advance(&mut self) {
        advance(std::array::from_mut(self));
    }

    /// Takes in the end of the text, with a set bit after it and its length in bits. Returns the checksum.
    fn finish(&self) -> [u8; 16] {
        let mut end = Vec::with_capacity(2 * BLOCK_BYTES);
        end.extend_from_slice(self.rest);
        end.push(0x80);
        let whole = (end.len() + LENGTH_BYTES).next_multiple_of(BLOCK_BYTES);
        end.resize(whole - LENGTH_BYTES, 0);
        let bits = (self.length as u64).wrapping_mul(8);
        end.extend_from_slice(&bits.to_le_bytes());
        let mut lane = Lane {
            blocks: end.as_chunks().0,
            rest: &[],
            ..*self
        };
        lane.advance();
        let mut sum = [0; 16];
        let (words, _) = sum.as_chunks_mut();
        for (bytes, word) in words.iter_mut().zip(lane.state) {
            *bytes = word.to_le_bytes();
        }
        sum
    }
}

/// Takes in as many blocks of each text as all of them have.
fn advance<const N: usize>(lanes: &mut [Lane<'_>; N]) {
    let count = lanes.iter().map(|lane| lane.blocks.len()).min();
    let count = count.unwrap_or_default();
    let mut state: [Words<N>; 4] =
        std::array::from_fn(|word| std::array::from_fn(|lane| lanes[lane].state[word]));
    let blocks: [&[[u8; BLOCK_BYTES]]; N] = std::array::from_fn(|lane| {
        let (now, later) = lanes[lane].blocks.split_at(count);
        lanes[lane].blocks = later;
        now
    });
    for at in 0..count {
        let mut message = [[0; N]; 16];
        for (lane, blocks) in blocks.iter().enumerate() {
            let (words, _) = blocks[at].as_chunks();
            for (word, bytes) in message.iter_mut().zip(words) {
                word[lane] = u32::from_le_bytes(*bytes);
            }
        }
        take_in(&mut state, &message);
    }
    for (index, lane) in lanes.iter_mut().enumerate() {
        lane.state = std::array::from_fn(|word| state[word][index]);
    }
}

/// Takes in one block of each text: four quarters of sixteen steps, which mix the state each by another function and go through
/// the block each in another order.
#[inline(always)]
fn take_in<const N: usize>(state: &mut [Words<N>; 4], message: &[Words<N>; 16]) {
    let before = *state;
    let [a, b, c, d] = state;
    // Written out, because a loop over the steps would keep the state out of registers.
    macro_rules! quarter {
        ($quarter:literal, $mix:expr, $order:expr, $($step:literal)*) => {$(
            let (mix, order): (fn(u32, u32, u32) -> u32, fn(usize) -> usize) = ($mix, $order);
            let (sine, rotation) = (SINES[16 * $quarter + $step], ROTATIONS[$quarter][$step % 4]);
            let input = &message[order($step) % 16];
            let mixed: Words<N> = std::array::from_fn(|lane| {
                let sum = a[lane]
                    .wrapping_add(mix(b[lane], c[lane], d[lane]))
                    .wrapping_add(sine)
                    .wrapping_add(input[lane]);
                b[lane].wrapping_add(sum.rotate_left(rotation))
            });
            (*a, *d, *c, *b) = (*d, *c, *b, mixed);
        )*};
        ($quarter:literal, $mix:expr, $order:expr) => {
            quarter!($quarter, $mix, $order, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
        };
    }
    quarter!(0, |b, c, d| d ^ (b & (c ^ d)), |step| step);
    quarter!(1, |b, c, d| c ^ (d & (b ^ c)), |step| 5 * step + 1);
    quarter!(2, |b, c, d| b ^ c ^ d, |step| 3 * step + 5);
    quarter!(3, |b, c, d| c ^ (b | !d), |step| 7 * step);
    for (word, before) in state.iter_mut().zip(&before) {
        *word = std::array::from_fn(|lane| word[lane].wrapping_add(before[lane]));
    }
}

#[cfg(test)]
mod tests {
    use md5::Digest;

    use super::digests;

    #[test]
    fn many_texts_have_the_checksums_that_each_has_alone() {
        let bytes: Vec<u8> = (0..=250).cycle().take(1000).collect();
        // Every place that a text can end at in a block, in an order that makes lanes end at different times.
        let texts: Vec<&[u8]> = (0..200).map(|n| &bytes[..(n * 37) % 331]).collect();
        for count in [0, 1, 3, 4, 5, texts.len()] {
            let expected: Vec<[u8; 16]> = texts[..count]
                .iter()
                .map(|text| md5::Md5::digest(text).into())
                .collect();
            assert_eq!(digests(&texts[..count]), expected);
        }
    }
}
