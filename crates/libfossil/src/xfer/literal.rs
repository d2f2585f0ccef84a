//! SQL literals, the form in which configuration travels: `'text'`, `x'hex'`, numbers and `NULL`, separated by white space.
//!
//! They are read as data: nothing of what arrives is ever made part of a statement.

use rusqlite::types::Value;

/// Most values in one `config` card; stock Fossil keeps as many.
const MAX_VALUES: usize = 24;

/// Returns the words of a `config` card: values, and names of columns as [`Word::Name`].
///
/// Nothing is returned when any of it is neither.
pub(super) fn read(mut text: &[u8]) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    loop {
        text = text.trim_ascii_start();
        if text.is_empty() {
            return Some(words);
        }
        if words.len() == MAX_VALUES {
            return None;
        }
        let (word, rest) = word(text)?;
        words.push(word);
        text = rest;
    }
}

/// One word of a `config` card.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A literal.
    Value(Value),
    /// A bare lower-case word.
    Name(String),
}

fn word(text: &[u8]) -> Option<(Word, &[u8])> {
    match text {
        [b'\'', rest @ ..] => {
            let (bytes, rest) = quoted(rest)?;
            Some((
                Word::Value(Value::Text(String::from_utf8(bytes).ok()?)),
                rest,
            ))
        }
        [b'x' | b'X', b'\'', rest @ ..] => {
            let (digits, rest) = quoted(rest)?;
            Some((Word::Value(Value::Blob(unhex(&digits)?)), rest))
        }
        _ => {
            let end = text
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(text.len());
            let (bare, rest) = text.split_at(end);
            Some((self::bare(std::str::from_utf8(bare).ok()?)?, rest))
        }
    }
}

/// Reads up to the closing quote; a doubled quote stands for one.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let end = memchr::memchr(b'\'', rest)?;
        let (part, after) = rest.split_at(end);
        out.extend_from_slice(part);
        match after {
            [b'\'', b'\'', more @ ..] => {
                out.push(b'\'');
                rest = more;
            }
            [_, more @ ..] => return Some((out, more)),
            [] => return None,
        }
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

fn bare(word: &str) -> Option<Word> {
    if word.eq_ignore_ascii_case("null") {
        return Some(Word::Value(Value::Null));
    }
    if word
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    {
        return Some(Word::Name(word.to_owned()));
    }
    if let Ok(number) = word.parse() {
        return Some(Word::Value(Value::Integer(number)));
    }
    let number: f64 = word.parse().ok()?;
    number
        .is_finite()
        .then_some(Word::Value(Value::Real(number)))
}

/// Appends `value` as a literal.
pub(super) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Real(number) => out.push_str(&format!("{number:?}")),
        Value::Text(text) => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        Value::Blob(bytes) => {
            out.push_str("x'");
            bytes
                .iter()
                .for_each(|byte| out.push_str(&format!("{byte:02x}")));
            out.push('\'');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            (-1e15..1e15).prop_map(Value::Real),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Blob),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in prop::collection::vec(values(), 0..MAX_VALUES)) {
            let mut text = String::new();
            for value in &values {
                write(&mut text, value);
                text.push(' ');
            }
            prop_assert_eq!(read(text.as_bytes()), Some(values.into_iter().map(Word::Value).collect()));
        }

        #[test]
        fn anything_is_read_without_panic(text in any::<Vec<u8>>()) {
            let _ = read(&text);
        }
    }

    #[test]
    fn expressions_and_open_quotes_are_refused() {
        for text in [
            "'open",
            "x'0",
            "x'zz'",
            "random()",
            "1;drop",
            "(select 1)",
            "inf",
        ] {
            let read = read(text.as_bytes());
            assert!(
                !matches!(read.as_deref(), Some([Word::Value(_)])),
                "{text}: {read:?}"
            );
        }
        assert_eq!(read("1 ".repeat(25).as_bytes()), None);
    }
}
