//! Reads the text of an artifact card by card and argument by argument.

use std::borrow::Cow;

use super::error::{Fault, ParseError};
use crate::text::unescape;

/// A position in the text of an artifact.
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    /// Whether the line of the current card has been read to its end.
    at_line_end: bool,
    /// The number of the current line, from 1.
    line: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            at_line_end: true,
            line: 0,
        }
    }

    /// Returns the letter of the next card, or nothing at the end of the text. The card before must be read to its end.
    pub(super) fn next_card(&mut self) -> Result<Option<u8>, ParseError> {
        if !self.at_line_end {
            return Err(self.error(Fault::ExtraArgument));
        }
        self.line += 1;
        match self.rest {
            [] => Ok(None),
            [letter, b' ', rest @ ..] => {
                (self.rest, self.at_line_end) = (rest, false);
                Ok(Some(*letter))
            }
            [letter, b'\n', rest @ ..] => {
                self.rest = rest;
                Ok(Some(*letter))
            }
            _ => Err(self.error(Fault::NotACard)),
        }
    }

    /// Returns the next argument of the card as it stands, if there is one. It may be empty.
    ///
    /// Stock Fossil takes a NUL byte for the end of an argument, like a space.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        if self.at_line_end {
            return None;
        }
        let Some(end) = memchr::memchr3(b' ', b'\n', 0, self.rest) else {
            self.at_line_end = true;
            return Some(std::mem::take(&mut self.rest));
        };
        let (token, rest) = self.rest.split_at(end);
        let (separator, rest) = rest.split_at(1);
        self.at_line_end = separator == b"\n";
        self.rest = rest;
        Some(token)
    }

    /// Returns the next argument, which must be there.
    pub(super) fn require(&mut self, card: u8) -> Result<&'a [u8], Fault> {
        self.next().ok_or(Fault::MissingArgument(char::from(card)))
    }

    /// Returns the next argument, which must be there, without its escapes.
    pub(super) fn require_text(&mut self, card: u8) -> Result<Cow<'a, [u8]>, Fault> {
        self.require(card).map(plain_text)
    }

    /// Returns the text of a `W` card, whose size is its only argument. The text has a newline after it, and another card.
    pub(super) fn sized_text(&mut self) -> Result<&'a [u8], Fault> {
        let size = self.require(b'W')?;
        if !self.at_line_end {
            return Err(Fault::ExtraArgument);
        }
        // As in stock Fossil, what follows the digits is not looked at.
        let size = size
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .try_fold(0_usize, |n, digit| {
                n.checked_mul(10)?.checked_add(usize::from(digit - b'0'))
            })
            .ok_or(Fault::TextLength)?;
        let (text, rest) = self.rest.split_at_checked(size).ok_or(Fault::TextLength)?;
        match rest {
            [b'\n', rest @ ..] if !rest.is_empty() => {
                self.rest = rest;
                self.line += memchr::memchr_iter(b'\n', text).count() + 1;
                Ok(until_nul(text))
            }
            _ => Err(Fault::TextLength),
        }
    }

    /// Returns `fault` with the number of the current line.
    pub(super) fn error(&self, fault: Fault) -> ParseError {
        ParseError::Line {
            line: self.line,
            fault,
        }
    }
}

/// Returns what stock Fossil keeps of a text: it ends at the first NUL byte.
fn until_nul(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text)
        .and_then(|end| text.get(..end))
        .unwrap_or(text)
}

/// Returns the text that the argument `token` stands for.
pub(super) fn plain_text(token: &[u8]) -> Cow<'_, [u8]> {
    match unescape(token) {
        Cow::Borrowed(text) => Cow::Borrowed(text),
        Cow::Owned(mut text) => {
            text.truncate(until_nul(&text).len());
            Cow::Owned(text)
        }
    }
}
