//! Text from others, made safe to show. A terminal would obey escape sequences, a notification daemon markup, and every screen the
//! marks that turn the reading direction; what is shown here says that they are there instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` with everything that would act on a screen written out: control characters as their pictures (`␛`), marks that
/// turn the reading direction or hide as `<U+202E>`. Line feeds and tabs stay.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    replaced(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// Returns `text` as [`shown`] does, on one line: runs of white space become a space.
#[must_use]
pub fn shown_on_a_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    replaced(&words.join(" "), acts).into_owned()
}

/// Returns `text` as [`shown`] does, for a reader of markup: what would open a tag or an entity is written as an entity.
#[must_use]
pub fn shown_in_markup(text: &str) -> String {
    shown(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Returns the first `max` bytes of `text`, or a little less so that no character is cut, and `…` when something is missing.
#[must_use]
pub fn excerpt(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    let start = text.get(..end).unwrap_or_default();
    format!("{}…", start.trim_end())
}

/// Returns whether a character would act on a screen instead of being shown.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn replaced(text: &str, replace: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&replace) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !replace(c) => out.push(c),
            '\u{7f}' => out.push('␡'),
            c if u32::from(c) < 0x20 => {
                // The pictures of the control characters stand in their order.
                out.extend(char::from_u32(0x2400 + u32::from(c)));
            }
            c => {
                // Writing into a string cannot fail.
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_is_written_out() {
        assert_eq!(shown("plain é 漢 👍\n\tx"), "plain é 漢 👍\n\tx");
        assert_eq!(shown("\u{1b}[31mred\u{7}\u{7f}"), "␛[31mred␇␡");
        assert_eq!(shown("a\u{202e}b\u{9b}"), "a<U+202E>b<U+009B>");
        assert_eq!(shown("1\r2"), "1␍2");
        assert_eq!(shown_on_a_line(" a\n\r\n b\u{1b}c "), "a b␛c");
        assert_eq!(shown_in_markup("<b>&\u{1b}"), "&lt;b&gt;&amp;␛");
    }

    #[test]
    fn an_excerpt_cuts_no_character() {
        assert_eq!(excerpt("short", 5), "short");
        assert_eq!(excerpt("ééééé", 9), "ééé…");
        assert_eq!(excerpt("one two three", 11), "one two…");
    }
}
