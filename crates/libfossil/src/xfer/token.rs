//! The lowest layer of the sync language: splitting a line into tokens, and numbers.
//!
//! A line has at most [`MAX_TOKENS`] tokens, what follows is ignored; arguments are escaped so that each stays one token; numbers are unsigned decimals below 2^31. These rules are those of every Fossil since 1.0.

use crate::text;

/// Tokens of a line that are looked at; stock Fossil keeps as many.
pub(super) const MAX_TOKENS: usize = 6;

/// Returns whether `byte` separates tokens.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// The tokens of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    tokens: [&'a [u8]; MAX_TOKENS],
    count: usize,
}

impl<'a> Tokens<'a> {
    /// Splits `line` at white space.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let mut tokens: [&[u8]; MAX_TOKENS] = [&[]; MAX_TOKENS];
        let mut count = 0;
        let words = line
            .split(|byte| is_space(*byte))
            .filter(|word| !word.is_empty());
        for (slot, word) in tokens.iter_mut().zip(words) {
            *slot = word;
            count += 1;
        }
        Self { tokens, count }
    }

    /// Returns the tokens that are there.
    pub(super) fn as_slice(&self) -> &[&'a [u8]] {
        self.tokens.get(..self.count).unwrap_or_default()
    }
}

/// Reads an unsigned decimal of at most 2^31 − 1.
pub(super) fn parse_size(token: &[u8]) -> Option<u32> {
    let number = parse_i64(token)?;
    u32::try_from(number)
        .ok()
        .filter(|size| *size <= i32::MAX.unsigned_abs())
}

/// Reads an unsigned decimal that fits 63 bits (times of unversioned files).
pub(super) fn parse_i64(token: &[u8]) -> Option<i64> {
    if token.is_empty() || token.len() > 19 || !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// Escapes `text` into one token.
pub(super) fn escape(text: &str) -> String {
    String::from_utf8_lossy(&text::escape(text.as_bytes())).into_owned()
}

/// Returns the unescaped text of a token that must be UTF-8.
pub(super) fn unescape_text(token: &[u8]) -> Option<String> {
    String::from_utf8(text::unescape(token).into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaping_gives_one_token_and_back(text in any::<String>()) {
            let escaped = escape(&text);
            let tokens = Tokens::of(escaped.as_bytes());
            prop_assert_eq!(tokens.as_slice().len(), usize::from(!text.is_empty()));
            prop_assert_eq!(unescape_text(escaped.as_bytes()), Some(text));
        }

        #[test]
        fn any_line_splits_into_at_most_six_tokens(line in any::<Vec<u8>>()) {
            prop_assert!(Tokens::of(&line).as_slice().len() <= MAX_TOKENS);
        }

        #[test]
        fn sizes_are_unsigned_decimals_below_two_gigabytes(number in any::<u64>()) {
            let parsed = parse_size(number.to_string().as_bytes());
            prop_assert_eq!(parsed.map(u64::from), (number <= 2_147_483_647).then_some(number));
        }
    }

    #[test]
    fn hostile_numbers_are_no_sizes() {
        for token in [
            "",
            "-1",
            "+1",
            "0x10",
            "1e3",
            "2147483648",
            "99999999999999999999",
            "１",
            " 1",
        ] {
            assert_eq!(parse_size(token.as_bytes()), None, "{token:?}");
        }
        assert_eq!(parse_size(b"2147483647"), Some(2_147_483_647));
    }
}
