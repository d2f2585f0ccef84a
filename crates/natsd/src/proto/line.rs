//! Taking a control line apart: blanks between fields, decimals, and pieces from either end.

/// The fields of a line that are left, separated by blanks or tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens<'a>(&'a [u8]);

const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

impl<'a> Tokens<'a> {
    /// Returns the fields of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns what is left, without the blanks around it.
    pub(crate) fn rest(self) -> &'a [u8] {
        let mut bytes = self.0;
        while let [first, rest @ ..] = bytes
            && is_blank(*first)
        {
            bytes = rest;
        }
        while let [rest @ .., last] = bytes
            && is_blank(*last)
        {
            bytes = rest;
        }
        bytes
    }

    /// Says whether an empty field comes first, as between two blanks.
    pub(crate) fn first_is_empty(self) -> bool {
        matches!(self.0, [first, second, ..] if is_blank(*first) && is_blank(*second))
    }

    /// Takes the last field away.
    pub(crate) fn pop(&mut self) -> Option<&'a [u8]> {
        let bytes = self.rest();
        if bytes.is_empty() {
            return None;
        }
        let start = bytes
            .iter()
            .rposition(|byte| is_blank(*byte))
            .map_or(0, |at| at + 1);
        let (rest, field) = bytes.split_at(start);
        self.0 = rest;
        Some(field)
    }

    /// Says whether no field is left.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.rest().is_empty()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut bytes = self.0;
        while let [first, rest @ ..] = bytes
            && is_blank(*first)
        {
            bytes = rest;
        }
        if bytes.is_empty() {
            self.0 = bytes;
            return None;
        }
        let end = bytes
            .iter()
            .position(|byte| is_blank(*byte))
            .unwrap_or(bytes.len());
        let (field, rest) = bytes.split_at(end);
        self.0 = rest;
        Some(field)
    }
}

/// Returns the unsigned decimal of at most nine digits that the bytes are, or nothing.
pub(crate) fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + usize::from(digit - b'0');
    }
    Some(value)
}
