//! Texts of the timeline: bytes that go into the database as they are, hashes cut short, names made safe for HTML.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::db::{Repository, Result};
use crate::name::HashName;

/// Bytes to be stored as text, whether or not they are UTF-8: stock stores what artifacts say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a>(pub(crate) &'a [u8]);

impl ToSql for Words<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// How many digits of a hash are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    shown: usize,
    linked: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self::showing(10)
    }
}

impl Digits {
    /// Returns what the setting `hash-digits` asks for.
    pub(super) fn configured(repo: &Repository) -> Result<Self> {
        let setting = repo.config_number("hash-digits")?;
        let digits = setting.and_then(|digits| usize::try_from(digits).ok());
        Ok(digits.map_or_else(Self::default, Self::showing))
    }

    fn showing(digits: usize) -> Self {
        let shown = digits.clamp(6, 64);
        Self {
            shown,
            linked: (shown + 6).clamp(16, 64),
        }
    }

    /// Returns a link to an artifact in wiki form, `[target|shown]`, of what is or is not a hash.
    pub(super) fn link(self, name: &str) -> String {
        format!("[{}|{}]", self.target(name), self.short(name))
    }

    /// Returns the digits for people.
    pub(super) fn short(self, name: &str) -> &str {
        name.get(..self.shown).unwrap_or(name)
    }

    /// Returns the digits for addresses.
    pub(super) fn target(self, name: &str) -> &str {
        name.get(..self.linked).unwrap_or(name)
    }

    /// Returns a link to an artifact.
    pub(super) fn link_to(self, name: &HashName) -> String {
        self.link(name.as_str())
    }
}

/// Returns a text that shows as itself in HTML.
pub(super) fn html(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars().take_while(|&letter| letter != '\0') {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
