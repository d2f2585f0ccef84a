//! Text as Fossil keeps it: bytes that are meant to be UTF-8 but need not be, and the backslash escaping that lets such
//! bytes be one token of a line. Old and imported histories hold Latin-1 comments and names; they are carried unharmed and
//! only shown with replacement characters.

use std::borrow::Cow;
use std::fmt;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// Bytes meant as text. Dereferences to the bytes; [`fmt::Display`] replaces what is no UTF-8.
///
/// As an SQL value it is bound as `TEXT`, byte for byte, as stock Fossil does.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(Cow<'a, [u8]>);

impl<'a> Text<'a> {
    /// Returns the text made of `bytes`.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the text that `escaped` stands for, see [`unescape`].
    #[must_use]
    pub fn from_escaped(escaped: &'a [u8]) -> Self {
        Self(unescape(escaped))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text as UTF-8, with replacement characters where it is not.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Returns the same text, no longer borrowing.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_str_lossy(), f)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

impl FromSql for Text<'static> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_bytes().map(|bytes| Self::new(bytes.to_vec()))
    }
}

/// The bytes that are escaped, each with the letter that follows its backslash.
const ESCAPES: [(u8, u8); 8] = [
    (b' ', b's'),
    (b'\n', b'n'),
    (b'\t', b't'),
    (b'\r', b'r'),
    (0x0b, b'v'),
    (0x0c, b'f'),
    (0, b'0'),
    (b'\\', b'\\'),
];

/// Returns the letter that stands for `byte` after a backslash, if `byte` needs one.
fn escape_letter(byte: u8) -> Option<u8> {
    ESCAPES
        .iter()
        .find(|(raw, _)| *raw == byte)
        .map(|(_, letter)| *letter)
}

/// Returns `raw` as one token of an artifact or message: white space, NUL and backslash are escaped.
#[must_use]
pub fn escape(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = raw.iter().position(|&byte| escape_letter(byte).is_some()) else {
        return Cow::Borrowed(raw);
    };
    let (clean, rest) = raw.split_at(first);
    let mut out = Vec::with_capacity(raw.len() + 16);
    out.extend_from_slice(clean);
    for &byte in rest {
        match escape_letter(byte) {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.push(byte),
        }
    }
    Cow::Owned(out)
}

/// Returns the bytes that the token `escaped` stands for.
///
/// As in stock Fossil a backslash before any other byte is dropped, and one at the very end stands for itself.
#[must_use]
pub fn unescape(escaped: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', escaped) else {
        return Cow::Borrowed(escaped);
    };
    let (clean, rest) = escaped.split_at(first);
    let mut out = Vec::with_capacity(escaped.len());
    out.extend_from_slice(clean);
    let mut bytes = rest.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(letter) = bytes.next() else {
            out.push(b'\\');
            break;
        };
        out.push(
            ESCAPES
                .iter()
                .find(|(_, l)| *l == letter)
                .map_or(letter, |(raw, _)| *raw),
        );
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_and_backslashes_are_escaped() {
        assert_eq!(
            &*escape(b"a b\\c\nd\t\r\x0b\x0c\0"),
            b"a\\sb\\\\c\\nd\\t\\r\\v\\f\\0"
        );
    }

    #[test]
    fn a_backslash_before_another_byte_is_dropped_and_a_last_one_stays() {
        assert_eq!(&*unescape(b"\\a\\q\\"), b"aq\\");
    }

    proptest! {
        #[test]
        fn escaping_is_undone_by_unescaping(raw: Vec<u8>) {
            let escaped = escape(&raw).into_owned();
            prop_assert!(!escaped.iter().any(|&b| b == 0 || b.is_ascii_whitespace() || b == 0x0b));
            prop_assert_eq!(&*unescape(&escaped), raw.as_slice());
        }

        #[test]
        fn any_token_can_be_unescaped(token: Vec<u8>) {
            prop_assert!(unescape(&token).len() <= token.len());
        }
    }
}
