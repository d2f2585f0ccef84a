//! Writes the cards of an artifact and seals it with its checksum.

use super::checksum::Md5;
use super::control::Tag;
use crate::text::{Text, escape};
use crate::time::Timestamp;

/// An artifact in the making. Cards must be added in alphabetical order.
#[derive(Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Adds a card with arguments that need no escaping.
    pub(super) fn card<'b>(&mut self, letter: u8, arguments: impl IntoIterator<Item = &'b [u8]>) {
        self.out.push(letter);
        for argument in arguments {
            self.out.push(b' ');
            self.out.extend_from_slice(argument);
        }
        self.out.push(b'\n');
    }

    /// Adds a card with one argument, escaped, if there is one.
    pub(super) fn text(&mut self, letter: u8, text: Option<&Text<'_>>) {
        if let Some(text) = text {
            self.card(letter, [&*escape(text)]);
        }
    }

    pub(super) fn date(&mut self, date: Timestamp) {
        self.card(b'D', [date.to_string().as_bytes()]);
    }

    /// Adds the tags, in the order that is required of them.
    pub(super) fn tags(&mut self, tags: &[Tag<'_>]) {
        let mut sorted: Vec<&Tag<'_>> = tags.iter().collect();
        sorted.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        for tag in sorted {
            let name = [&[tag.kind.prefix()], &*escape(&tag.name)].concat();
            let target = tag
                .target
                .as_ref()
                .map_or(&b"*"[..], |target| target.as_bytes());
            let value = tag.value.as_deref().map(escape);
            self.card(b'T', [&*name, target].into_iter().chain(value.as_deref()));
        }
    }

    /// Adds the checksum and returns the artifact.
    pub(super) fn seal(mut self) -> Vec<u8> {
        let sum = Md5::of(&self.out).to_hex();
        self.card(b'Z', [&sum[..]]);
        self.out
    }
}
