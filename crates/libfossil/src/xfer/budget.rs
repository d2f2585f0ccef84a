//! How long messages may be on transports that have a limit.

/// How long messages may be. The caller knows what its transport takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// A body is no longer than this, in bytes, when the other side understands [pieces](super::extension).
    pub usual: usize,
    /// A body for another peer is no longer than this. More than `usual`, so that one file alone may still get through.
    pub most: usize,
}

/// The smallest budget that is honoured, in bytes: a request's fixed lines and a piece worth its trip.
pub const MIN_BUDGET_BYTES: usize = 4096;

/// Longest piece of a content, in bytes.
pub(super) const MAX_PIECE_BYTES: u32 = 128 << 10;

/// Room that is left for the last lines of a message: where lists go on, time, project, random number.
const TAIL_BYTES: usize = 1024;

/// What stands before the first content of a message at most, unless that is a list.
pub(super) const HEAD_BYTES: usize = 1024;

impl Budget {
    /// Returns a budget with one limit for all.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        Self {
            usual: bytes,
            most: bytes,
        }
    }
}

/// Returns how long a message may grow before its last lines so that its body, packed or not, stays within `body_bytes`.
pub(super) fn room(body_bytes: usize) -> usize {
    let body = body_bytes.max(MIN_BUDGET_BYTES);
    // What cannot be packed becomes longer: a header of six bytes, five for each block of 16 KiB, and our length.
    body - body / 1024 - 64 - TAIL_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::codec;

    #[test]
    fn what_cannot_be_packed_stays_within_the_budget() {
        let mut state = 1_u64;
        for body in [MIN_BUDGET_BYTES, 65_536, 262_144] {
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .take(room(body) + TAIL_BYTES)
            .collect();
            assert!(codec::pack(&noise).len() <= body, "{body}");
        }
    }
}
