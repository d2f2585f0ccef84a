//! The outside of a structural artifact: an optional clear-text signature around it, the look of its first bytes, and the
//! checksum in its last card. All of it is cheap to test, which matters because most content is plain.

use super::checksum::Md5;
use super::error::ParseError;
use crate::limits::MAX_STRUCTURAL_BYTES;

/// Length of the last card: `Z`, a space, 32 digits, a newline.
const Z_CARD_BYTES: usize = 35;

/// A clear-text signature: how its header and its end start. The SSH form is that of Fossil 2.26 and later.
const SIGNATURES: [(&[u8], &[u8]); 2] = [
    (
        b"-----BEGIN PGP SIGNED MESSAGE-----",
        b"\n-----BEGIN PGP SIGNATURE-",
    ),
    (
        b"-----BEGIN SSH SIGNED MESSAGE-----",
        b"\n-----BEGIN SSH SIGNATURE-",
    ),
];

/// Returns whether content that starts with `prefix` might be structural. Two bytes are enough for most answers, fewer are
/// always answered with true.
#[must_use]
pub fn may_start_structural(prefix: &[u8]) -> bool {
    match prefix {
        [first, second, ..] => {
            (first.is_ascii_uppercase() && *second == b' ') || prefix.starts_with(b"--")
        }
        _ => true,
    }
}

/// Returns whether `content` might be structural, by a few of its bytes: false is certain.
#[must_use]
pub fn may_be_structural(content: &[u8]) -> bool {
    let Some(last_card) = content.last_chunk::<Z_CARD_BYTES>() else {
        return false;
    };
    if !content.ends_with(b"\n") {
        return false;
    }
    if content.starts_with(b"-") {
        return SIGNATURES
            .iter()
            .any(|(header, _)| content.starts_with(header));
    }
    may_start_structural(content) && last_card.starts_with(b"Z ")
}

/// The outside of an artifact whose checksum is still to be compared.
pub(super) struct Sealed<'a> {
    /// All cards.
    body: &'a [u8],
    /// What the checksum is over: all but the last card.
    text: &'a [u8],
    /// The digits in the last card.
    sum: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Returns the cards if their checksum is right.
    fn open(&self, computed: Md5) -> Result<&'a [u8], ParseError> {
        // As in stock Fossil the digits here, unlike elsewhere, must be lower case.
        if computed.to_hex() == *self.sum {
            Ok(self.body)
        } else {
            Err(ParseError::Checksum)
        }
    }
}

/// Returns the cards of `content`: what is inside a signature, if there is one. The look and the checksum are checked.
pub(super) fn open(content: &[u8]) -> Result<&[u8], ParseError> {
    let sealed = look(content)?;
    sealed.open(Md5::of(sealed.text))
}

/// Returns the cards of each content, as [`open`] does.
pub(super) fn open_each<'a>(
    contents: impl Iterator<Item = &'a [u8]>,
) -> Vec<Result<&'a [u8], ParseError>> {
    let looked: Vec<_> = contents.map(look).collect();
    let texts: Vec<&[u8]> = looked.iter().flatten().map(|sealed| sealed.text).collect();
    let mut sums = Md5::of_each(&texts).into_iter();
    let opened = looked.into_iter().map(|sealed| {
        let sealed = sealed?;
        sums.next()
            .map_or(Err(ParseError::Checksum), |sum| sealed.open(sum))
    });
    opened.collect()
}

/// Takes off a signature and finds the last card.
fn look(content: &[u8]) -> Result<Sealed<'_>, ParseError> {
    if !may_be_structural(content) {
        return Err(ParseError::NotStructural);
    }
    let body = inside_signature(content);
    let looks_right = matches!(body, [b'A'..=b'Z', b' ', ..]);
    let Some((text, z_card)) = body
        .split_last_chunk::<Z_CARD_BYTES>()
        .filter(|_| looks_right)
    else {
        return Err(ParseError::NotStructural);
    };
    let Some(sum) = z_card
        .strip_prefix(b"Z ")
        .and_then(|rest| rest.strip_suffix(b"\n"))
    else {
        return Err(ParseError::NotStructural);
    };
    if body.len() > MAX_STRUCTURAL_BYTES {
        return Err(ParseError::TooLarge(body.len()));
    }
    Ok(Sealed { body, text, sum })
}

/// Returns the signed text of `content`, or all of it if it is not signed or has no end of headers.
fn inside_signature(content: &[u8]) -> &[u8] {
    let Some((header, end)) = SIGNATURES
        .iter()
        .find(|(header, _)| content.starts_with(header))
    else {
        return content;
    };
    let start = memchr::memchr_iter(b'\n', content).find_map(|newline| {
        let before = content.get(header.len()..newline)?;
        (before.ends_with(b"\n") || before.ends_with(b"\n\r")).then_some(newline + 1)
    });
    let Some(body) = start.and_then(|start| content.get(start..)) else {
        return content;
    };
    // The newline in front of the end marker belongs to the body.
    match memchr::memmem::rfind(body, end) {
        Some(newline) => body.get(..=newline).unwrap_or(body),
        None => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(text: &[u8]) -> Vec<u8> {
        let sum = Md5::of(text).to_hex();
        [text, b"Z ", &sum, b"\n"].concat()
    }

    #[test]
    fn plain_content_is_told_by_a_few_bytes() {
        for content in [
            &b""[..],
            b"\n",
            b"int main(void)\n",
            b"C x\nno checksum but long enough for one, surely\n",
        ] {
            assert!(!may_be_structural(content), "{}", content.escape_ascii());
        }
        assert!(!may_start_structural(b"in"));
        assert!(may_start_structural(b"D "));
        assert!(may_start_structural(b"-----BEGIN PGP"));
    }

    #[test]
    fn the_checksum_decides() {
        let good = sealed(b"C x\nD 2026-01-01\n");
        assert_eq!(open(&good), Ok(good.as_slice()));
        let mut bad = good;
        bad[2] = b'y';
        assert_eq!(open(&bad), Err(ParseError::Checksum));
    }

    #[test]
    fn many_are_opened_as_each_is_alone() {
        let good = sealed(b"C x\nD 2026-01-01\n");
        let mut bad = good.clone();
        bad[2] = b'y';
        let long = sealed(&[b"C ", [b'x'; 500].as_slice(), b"\n"].concat());
        let contents = [&good, &bad, &b"plain".to_vec(), &long, &good];
        let contents = contents.map(Vec::as_slice);
        let opened = open_each(contents.into_iter());
        assert_eq!(opened, contents.map(open));
    }

    #[test]
    fn signatures_of_both_kinds_and_line_ends_are_taken_off() {
        let body = sealed(b"C x\nD 2026-01-01\n");
        for (kind, newline) in [("PGP", "\n"), ("PGP", "\r\n"), ("SSH", "\n")] {
            let head = format!(
                "-----BEGIN {kind} SIGNED MESSAGE-----{newline}Hash: SHA256{newline}{newline}"
            );
            let tail =
                format!("-----BEGIN {kind} SIGNATURE-----\nabc\n-----END {kind} SIGNATURE-----\n");
            let signed = [head.as_bytes(), &body, tail.as_bytes()].concat();
            assert_eq!(open(&signed), Ok(body.as_slice()));
        }
    }
}
