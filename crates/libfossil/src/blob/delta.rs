//! Content expressed as its differences from other content, in Fossil's delta format.
//!
//! A delta is the target's length, a newline, then commands: `N@OFFSET,` copies from the source, `N:` is followed by that
//! many literal bytes, and `SUM;` ends it with a checksum of the target. Numbers are base 64, most significant digit first.
//! Applying checks everything, the checksum included; [`encode`] makes deltas that any Fossil applies.

mod encode;

pub use encode::encode;

use crate::limits::MAX_DELTA_NUMBER;

/// The digits of the base-64 numbers in deltas, by value.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/// Marks a byte that is no digit in [`VALUES`].
const NO_DIGIT: u8 = 0xff;

/// The value of each byte as a base-64 digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0_u8;
    while value < 64 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Why a delta could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// The delta ends before its checksum.
    #[error("the delta is cut short")]
    Truncated,
    /// No newline after the length of the target.
    #[error("the delta does not start with the length of its target")]
    NoLength,
    /// A number beyond [`MAX_DELTA_NUMBER`].
    #[error("the delta holds a number that is too large")]
    Overflow,
    /// The target would be longer than the caller allows.
    #[error("the delta declares {declared} bytes, more than the {max} allowed")]
    TooLarge {
        /// The length that the delta declares for its target.
        declared: usize,
        /// The cap.
        max: usize,
    },
    /// A byte that starts no command, or a copy without its comma.
    #[error("the delta holds an unknown command")]
    UnknownCommand,
    /// A copy from beyond the end of the source.
    #[error("the delta copies from beyond the end of its source")]
    PastSource,
    /// The commands give more or fewer bytes than the delta declares.
    #[error("the delta declares {declared} bytes but gives another number")]
    WrongLength {
        /// The length that the delta declares for its target.
        declared: usize,
    },
    /// The target is not the one that the delta was made for.
    #[error("the checksum of the delta does not match")]
    Checksum,
    /// Bytes follow the checksum.
    #[error("the delta is followed by {0} stray bytes")]
    Trailing(usize),
}

/// Returns the length of the target that `delta` declares; the rest of the delta is not looked at.
///
/// # Errors
/// No readable length at the start.
pub fn output_size(delta: &[u8]) -> Result<usize, DeltaError> {
    Commands { rest: delta }.length()
}

/// Returns the target that `delta` makes of `source`, which may have at most `max` bytes.
///
/// # Errors
/// See [`DeltaError`]; memory for more than the smaller of `max` and the declared length is never used.
pub fn apply(source: &[u8], delta: &[u8], max: usize) -> Result<Vec<u8>, DeltaError> {
    let mut commands = Commands { rest: delta };
    let declared = commands.length()?;
    if declared > max {
        return Err(DeltaError::TooLarge { declared, max });
    }
    // One command of a delta can copy the whole source, so this bounds the target without running the delta.
    if declared > delta.len().saturating_mul(source.len().max(1)) {
        return Err(DeltaError::WrongLength { declared });
    }
    let mut target = Vec::with_capacity(declared);
    loop {
        let bytes = match commands.next()? {
            Command::Copy { count, offset } => {
                let end = offset.checked_add(count).ok_or(DeltaError::PastSource)?;
                source.get(offset..end).ok_or(DeltaError::PastSource)?
            }
            Command::Literal(bytes) => bytes,
            Command::End { sum } => {
                if target.len() != declared {
                    return Err(DeltaError::WrongLength { declared });
                }
                if sum != checksum(&target) {
                    return Err(DeltaError::Checksum);
                }
                return match commands.rest.len() {
                    0 => Ok(target),
                    stray => Err(DeltaError::Trailing(stray)),
                };
            }
        };
        if bytes.len() > declared.saturating_sub(target.len()) {
            return Err(DeltaError::WrongLength { declared });
        }
        target.extend_from_slice(bytes);
    }
}

/// Returns the first bytes of the target, up to `count`, as far as they can be told from the first bytes of the delta and of
/// its source.
pub(crate) fn beginning(source_start: &[u8], delta_start: &[u8], count: usize) -> Vec<u8> {
    let mut commands = Commands { rest: delta_start };
    let mut start = Vec::new();
    if commands.length().is_err() {
        return start;
    }
    while start.len() < count {
        let known = match commands.next_start() {
            Some(Start::Copy { count, offset }) => {
                let known = source_start.get(offset..).unwrap_or_default();
                (known.get(..count).unwrap_or(known), count)
            }
            Some(Start::Literal { count, known }) => (known, count),
            None => break,
        };
        start.extend_from_slice(known.0);
        if known.0.len() < known.1 {
            break;
        }
    }
    start.truncate(count);
    start
}

/// Returns the sum, modulo 2^32, of `content` taken as big-endian 32-bit words and padded with zeroes.
#[must_use]
pub fn checksum(content: &[u8]) -> u32 {
    let (words, tail) = content.as_chunks::<4>();
    let sum = words.iter().fold(0_u32, |sum, word| {
        sum.wrapping_add(u32::from_be_bytes(*word))
    });
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    sum.wrapping_add(u32::from_be_bytes(last))
}

/// One command of a delta.
enum Command<'a> {
    Copy { count: usize, offset: usize },
    Literal(&'a [u8]),
    End { sum: u32 },
}

/// One command of a delta of which only the first bytes are at hand.
enum Start<'a> {
    Copy { count: usize, offset: usize },
    Literal { count: usize, known: &'a [u8] },
}

/// Reads a delta from front to back.
struct Commands<'a> {
    rest: &'a [u8],
}

impl<'a> Commands<'a> {
    /// Reads the length line.
    fn length(&mut self) -> Result<usize, DeltaError> {
        let length = self.number()?;
        match self.byte() {
            Ok(b'\n') => to_length(length),
            _ => Err(DeltaError::NoLength),
        }
    }

    fn next(&mut self) -> Result<Command<'a>, DeltaError> {
        let number = self.number()?;
        match self.byte()? {
            b'@' => {
                let offset = to_length(self.number()?)?;
                match self.byte()? {
                    b',' => Ok(Command::Copy {
                        count: to_length(number)?,
                        offset,
                    }),
                    _ => Err(DeltaError::UnknownCommand),
                }
            }
            b':' => {
                let (bytes, rest) = self
                    .rest
                    .split_at_checked(to_length(number)?)
                    .ok_or(DeltaError::Truncated)?;
                self.rest = rest;
                Ok(Command::Literal(bytes))
            }
            b';' => Ok(Command::End {
                sum: u32::try_from(number).map_err(|_| DeltaError::Overflow)?,
            }),
            _ => Err(DeltaError::UnknownCommand),
        }
    }

    /// Reads a command that may be cut short.
    fn next_start(&mut self) -> Option<Start<'a>> {
        let at_command = self.rest;
        let count = to_length(self.number().ok()?).ok()?;
        if self.byte().ok()? == b':' {
            let known = self.rest.get(..count).unwrap_or(self.rest);
            self.rest = self.rest.get(count..).unwrap_or_default();
            return Some(Start::Literal { count, known });
        }
        self.rest = at_command;
        match self.next().ok()? {
            Command::Copy { count, offset } => Some(Start::Copy { count, offset }),
            Command::Literal(_) | Command::End { .. } => None,
        }
    }

    /// Reads a number; as in stock Fossil no digits at all are zero.
    fn number(&mut self) -> Result<u64, DeltaError> {
        let mut number = 0_u64;
        while let Some((&byte, rest)) = self.rest.split_first() {
            let value = VALUES.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT);
            if value == NO_DIGIT {
                break;
            }
            number = number << 6 | u64::from(value);
            if number > u64::from(u32::MAX) {
                return Err(DeltaError::Overflow);
            }
            self.rest = rest;
        }
        Ok(number)
    }

    fn byte(&mut self) -> Result<u8, DeltaError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DeltaError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }
}

/// Returns `number` as a length or offset.
fn to_length(number: u64) -> Result<usize, DeltaError> {
    match usize::try_from(number) {
        Ok(length) if number <= MAX_DELTA_NUMBER => Ok(length),
        _ => Err(DeltaError::Overflow),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn a_delta_written_by_hand_is_applied() {
        // "world, " is literal, "hello" comes from offset 2.
        let sum = checksum(b"world, hello");
        let delta = [
            b"C\n7:world, 5@2,".to_vec(),
            encode::number_text(u64::from(sum)),
            b";".to_vec(),
        ]
        .concat();
        assert_eq!(apply(b"> hello", &delta, MAX), Ok(b"world, hello".to_vec()));
        assert_eq!(output_size(&delta), Ok(12));
    }

    #[test]
    fn malformed_deltas_are_refused_by_name() {
        use DeltaError as E;
        for (delta, error) in [
            (&b""[..], E::NoLength),
            (b"5", E::NoLength),
            (b"5 5:abcde0;", E::NoLength),
            (b"!\n", E::NoLength),
            (b"5\n", E::Truncated),
            (b"5\n5:abc", E::Truncated),
            (b"5\n5", E::Truncated),
            (b"5\n5@", E::Truncated),
            (b"5\n5@0", E::Truncated),
            (b"5\n5@0;", E::UnknownCommand),
            (b"5\n5!", E::UnknownCommand),
            (b"5\n5@1,0;", E::PastSource),
            (b"5\n6@0,0;", E::PastSource),
            (b"5\n1@~~~~~,0;", E::PastSource),
            (b"5\n1@3~~~~~,0;", E::Overflow),
            (b"5\n~~~~~~~~~~~~@0,0;", E::Overflow),
            (b"5\n5@~~~~~~~~~~~~,0;", E::Overflow),
            (b"5\n4@0,0;", E::WrongLength { declared: 5 }),
            (b"5\n5@0,1:x0;", E::WrongLength { declared: 5 }),
            (b"5\n5@0,0;", E::Checksum),
            (b"5\n5@0,;", E::Checksum),
            (b"5\n5:\0\0\0\0\x000;x", E::Trailing(1)),
            (
                b"~~~\n",
                E::TooLarge {
                    declared: 262_143,
                    max: 1000,
                },
            ),
        ] {
            assert_eq!(
                apply(b"abcde", delta, 1000),
                Err(error),
                "{}",
                delta.escape_ascii()
            );
        }
    }

    #[test]
    fn a_declared_length_that_no_delta_could_reach_takes_no_memory() {
        assert_eq!(
            apply(b"abc", b"1~~~~~\n0;", usize::MAX),
            Err(DeltaError::WrongLength {
                declared: 0x7fff_ffff
            })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_applied_within_the_cap(source: Vec<u8>, delta: Vec<u8>) {
            if let Ok(target) = apply(&source, &delta, 100) {
                prop_assert!(target.len() <= 100);
            }
        }

        #[test]
        fn any_commands_are_refused_or_applied_within_the_cap(
            source in prop::collection::vec(any::<u8>(), 0..40),
            delta in "[0-9A-F]{1,2}\n([0-9A-F]{1,2}(@[0-9A-F]{1,2},|:[a-z]{0,20})){0,8}[0-9A-Za-z~]{1,6};",
        ) {
            if let Ok(target) = apply(&source, delta.as_bytes(), 100) {
                prop_assert!(target.len() <= 100);
            }
        }

        #[test]
        fn a_changed_byte_never_changes_the_target_unnoticed(
            source in prop::collection::vec(any::<u8>(), 60..200),
            insert in prop::collection::vec(any::<u8>(), 1..20),
            at: prop::sample::Index,
            value: u8,
        ) {
            let target = [&source[..30], &insert, &source[30..]].concat();
            let mut delta = encode(&source, &target);
            let at = at.index(delta.len());
            delta[at] = value;
            if let Ok(applied) = apply(&source, &delta, MAX) {
                // The checksum is a sum of words: what a change of one byte can leave equal is only a move of whole words.
                prop_assert_eq!(checksum(&applied), checksum(&target));
            }
        }
    }
}
