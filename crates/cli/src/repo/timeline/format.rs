//! Entries of the timeline in a form that the caller gives: a text with a letter after `%` for each fact, as with stock.

use libfossil::history::EventRow;
use libfossil::name::HashName;

use crate::output::printable;

/// Hash and comment.
pub(super) const ONELINE: &str = "%h %c";

/// What people look for first, a line each.
pub(super) const MEDIUM: &str = "Commit:   %h%nDate:     %d%nAuthor:   %a%nComment:  %c%n";

/// All that is known of an entry.
pub(super) const FULL: &str = "Commit:   %H%nDate:     %d%nAuthor:   %a%nComment:  %c%nBranch:   %b%nTags:     %t%nPhase:    %p%n";

/// Returns the form that a name stands for; any other text is a form itself.
pub(super) fn named(text: &str) -> &str {
    match text {
        "oneline" => ONELINE,
        "medium" => MEDIUM,
        "full" => FULL,
        form => form,
    }
}

/// Returns the entry in this form, with a line feed behind it. A letter that stands for nothing stays as it is.
pub(super) fn entry(form: &str, row: &EventRow, current: Option<&HashName>) -> String {
    let mut text = String::new();
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let mut letters = after.chars();
        match letters.next() {
            Some('%') | None => text.push('%'),
            Some('n') => text.push('\n'),
            Some(letter) => match fact(letter, row, current) {
                Some(fact) => text.push_str(&printable(&fact)),
                None => text.extend(['%', letter]),
            },
        }
        rest = letters.as_str();
    }
    text.push_str(rest);
    text.push('\n');
    text
}

fn fact(letter: char, row: &EventRow, current: Option<&HashName>) -> Option<String> {
    Some(match letter {
        'H' => row.name.to_string(),
        'h' => row.name.short().to_string(),
        'a' => row.user.clone(),
        'd' => {
            let time = row.time.to_string().replace('T', " ");
            time.get(..19).unwrap_or(&time).to_owned()
        }
        'c' => in_one_line(&row.comment),
        'b' => row.branch.clone().unwrap_or_default(),
        't' => row.names.join(", "),
        'p' => {
            super::marks(row, current)
                + if row.primary_children == 0 {
                    "*LEAF* "
                } else {
                    ""
                }
        }
        _ => return None,
    })
}

/// Returns the comment without line ends, all other spaces as they are.
fn in_one_line(comment: &str) -> String {
    let letters = comment.chars().filter(|letter| *letter != '\r');
    letters
        .map(|letter| match letter {
            '\n' | '\t' => ' ',
            other => other,
        })
        .collect()
}
