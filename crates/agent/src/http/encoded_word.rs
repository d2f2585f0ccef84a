//! Encoded words, as RFC 2047 has them: how clients send letters beyond ASCII in headers that may hold none, and what ntfy reads too. What is
//! none stays as it is.

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// What such a word begins with.
const START: &str = "=?";

/// Returns `text` with its encoded words read.
pub(super) fn read(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    let mut follows_word = false;
    while let Some((before, from)) = rest.find(START).and_then(|at| rest.split_at_checked(at)) {
        let Some((word, after)) = word(from) else {
            let after = from.strip_prefix(START).unwrap_or_default();
            read.extend([before, START]);
            (rest, follows_word) = (after, false);
            continue;
        };
        // White space between two of them only keeps lines short.
        if !follows_word || !before.trim().is_empty() {
            read.push_str(before);
        }
        read.push_str(&word);
        (rest, follows_word) = (after, true);
    }
    read.push_str(rest);
    read
}

/// Reads the word that `text` begins with, and returns what follows it too.
fn word(text: &str) -> Option<(String, &str)> {
    let (charset, rest) = text.strip_prefix(START)?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (packed, rest) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => BASE64_STANDARD.decode(packed).ok()?,
        "Q" | "q" => from_q(packed)?,
        _ => return None,
    };
    // A language may stand behind the character set.
    let charset = charset.split('*').next().unwrap_or_default();
    let text = match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok()?,
        "iso-8859-1" => bytes.into_iter().map(char::from).collect(),
        _ => return None,
    };
    Some((text, rest))
}

/// Returns the bytes that the encoding Q means: `=` before two hexadecimal digits, `_` for a space.
fn from_q(packed: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(packed.len());
    let mut rest = packed.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'=' => {
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'_' => b' ',
            b'!'..=b'~' if byte != b'?' => byte,
            _ => return None,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_programs_are_read() {
        // Written by the library for mail of Python.
        for (written, text) in [
            ("=?iso-8859-1?q?Gr=F6=DFe?=", "Größe"),
            ("=?utf-8?q?a=5Fb_=3D=C3=A9=3F?=", "a_b =é?"),
            (
                "=?utf-8?b?5pel5pys6Kqe44Gu44K/44Kk44OI44Or?=",
                "日本語のタイトル",
            ),
            (
                "=?utf-8?b?QmFja3VwIGZlcnRpZzogw6TDtsO8IOKCrCDigJQgZ3LDtsOfZXIgYWxzIGVyd2Fy?= =?utf-8?b?dGV0LCB1bmQgbm9jaCB2aWVsIGzDpG5nZXI=?=",
                "Backup fertig: äöü € — größer als erwartet, und noch viel länger",
            ),
            ("Re: =?UTF-8?Q?caf=C3=A9?= closed", "Re: café closed"),
            ("=?utf-8*fr?q?=C3=A7a?=", "ça"),
        ] {
            assert_eq!(read(written), text);
        }
    }

    #[test]
    fn what_is_no_such_word_stays_as_it_is() {
        for text in [
            "",
            "plain é",
            "=?",
            "a =?utf-8?q?b",
            "=?utf-8?x?b?=",
            "=?koi8-r?b?5A==?=",
            "=?utf-8?b?!?=",
            "=?utf-8?q?=G0?=",
            "=?utf-8?q?=C3?=",
            "=?utf-8?q?a b?=",
            "=?=?=?=?",
        ] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("=?x =?utf-8?q?a?= =?x"), "=?x a =?x");
    }
}
