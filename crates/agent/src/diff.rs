//! Compares two versions of a file for people: hunks with some lines around each change, and inside changed lines the words
//! that differ. Every step has a budget; over it the answer becomes coarser or says that it was cut, it never hangs.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use similar::{Algorithm, ChangeTag, DiffOp, DiffTag, InlineChange, TextDiff};

use crate::api::{DiffLine, Hunk, LineKind, Span};
use crate::limits;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Content with a NUL byte in its first bytes is no text; git and stock Fossil judge alike.
const PROBE_BYTES: usize = 8192;

/// Replacements with more lines than this are shown without the words that differ: nobody compares them word by word.
const REFINED_LINES: usize = 100;

/// A comparison for people.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub binary: bool,
    pub truncated: bool,
    pub hunks: Vec<Hunk>,
}

/// Lines added and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub additions: u64,
    pub deletions: u64,
}

/// Returns whether `content` is no text.
pub(crate) fn is_binary(content: &[u8]) -> bool {
    memchr::memchr(0, content.get(..PROBE_BYTES).unwrap_or(content)).is_some()
}

/// Returns `content` as text. What is not UTF-8 is read as Latin-1, so that different bytes stay different letters.
pub(crate) fn as_text(content: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(content) {
        Ok(text) => text.into(),
        Err(_) => content
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
            .into(),
    }
}

/// Compares `old` with `new`; a missing side is empty.
pub(crate) fn compare(old: &[u8], new: &[u8]) -> Comparison {
    if is_binary(old) || is_binary(new) {
        return Comparison {
            binary: true,
            ..Comparison::default()
        };
    }
    if old.len().max(new.len()) > limits::DIFF_BYTES {
        return Comparison {
            truncated: true,
            ..Comparison::default()
        };
    }
    let (old, new) = (as_text(old), as_text(new));
    let deadline = Instant::now() + limits::DIFF_DEADLINE;
    let diff = lines(&old, &new, deadline);
    let mut comparison = Comparison::default();
    let mut room = limits::DIFF_LINES;
    for group in diff.grouped_ops(CONTEXT) {
        let length = group
            .iter()
            .map(|op| op.old_range().len().max(op.new_range().len()))
            .fold(0, usize::saturating_add);
        let Some(left) = room.checked_sub(length) else {
            comparison.truncated = true;
            break;
        };
        room = left;
        comparison.hunks.push(hunk(&diff, &group, deadline));
    }
    comparison
}

/// Counts the lines added and deleted, or returns `None` when a side is no text or too large.
pub(crate) fn count(old: &[u8], new: &[u8], budget: Duration) -> Option<Counts> {
    if is_binary(old) || is_binary(new) || old.len().max(new.len()) > limits::DIFF_BYTES {
        return None;
    }
    let (old, new) = (as_text(old), as_text(new));
    let diff = lines(&old, &new, Instant::now() + budget);
    let mut counts = Counts {
        additions: 0,
        deletions: 0,
    };
    for op in diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal) {
        counts.additions += op.new_range().len() as u64;
        counts.deletions += op.old_range().len() as u64;
    }
    Some(counts)
}

fn lines<'a>(old: &'a str, new: &'a str, deadline: Instant) -> TextDiff<'a, 'a, str> {
    TextDiff::configure()
        .algorithm(Algorithm::Histogram)
        .deadline(deadline)
        .diff_lines(old, new)
}

fn hunk<'a>(diff: &TextDiff<'a, 'a, str>, group: &[DiffOp], deadline: Instant) -> Hunk {
    let span = |range: fn(&DiffOp) -> std::ops::Range<usize>| {
        let start = group.first().map_or(0, |op| range(op).start);
        let end = group.last().map_or(0, |op| range(op).end);
        let length = end.saturating_sub(start) as u64;
        (
            if length == 0 {
                start as u64
            } else {
                start as u64 + 1
            },
            length,
        )
    };
    let (old_start, old_lines) = span(DiffOp::old_range);
    let (new_start, new_lines) = span(DiffOp::new_range);
    let lines = group
        .iter()
        .flat_map(|op| changes(diff, op, deadline))
        .collect();
    Hunk {
        old_start,
        old_lines,
        new_start,
        new_lines,
        lines,
    }
}

/// Returns the lines of one step of the comparison.
fn changes<'a>(diff: &TextDiff<'a, 'a, str>, op: &DiffOp, deadline: Instant) -> Vec<DiffLine> {
    let small = op.old_range().len().max(op.new_range().len()) <= REFINED_LINES;
    if op.tag() == DiffTag::Replace && small && Instant::now() < deadline {
        diff.iter_inline_changes_deadline(op, Some(deadline))
            .map(|change| refined(&change))
            .collect()
    } else {
        let whole = |value: &str| {
            vec![Span {
                text: value.to_owned(),
                changed: false,
            }]
        };
        diff.iter_changes(op)
            .map(|change| {
                line(
                    change.tag(),
                    change.old_index(),
                    change.new_index(),
                    whole(change.value()),
                )
            })
            .collect()
    }
}

fn refined(change: &InlineChange<'_, str>) -> DiffLine {
    let spans = change
        .iter_strings_lossy()
        .map(|(changed, text): (bool, Cow<'_, str>)| Span {
            text: text.into_owned(),
            changed,
        });
    line(
        change.tag(),
        change.old_index(),
        change.new_index(),
        spans.collect(),
    )
}

fn line(tag: ChangeTag, old: Option<usize>, new: Option<usize>, mut spans: Vec<Span>) -> DiffLine {
    let newline = spans.last().is_some_and(|span| span.text.ends_with('\n'));
    if let Some(last) = spans.last_mut() {
        let text = last.text.strip_suffix('\n').unwrap_or(&last.text);
        last.text.truncate(text.len());
    }
    spans.retain(|span| !span.text.is_empty());
    let kind = match tag {
        ChangeTag::Equal => LineKind::Context,
        ChangeTag::Insert => LineKind::Add,
        ChangeTag::Delete => LineKind::Delete,
    };
    let number = |index: Option<usize>| index.map(|index| index as u64 + 1);
    DiffLine {
        kind,
        old: number(old),
        new: number(new),
        spans,
        newline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &DiffLine) -> String {
        line.spans.iter().map(|span| span.text.as_str()).collect()
    }

    #[test]
    fn a_carriage_return_is_part_of_the_line_that_it_makes_another() {
        let comparison = compare(b"one\r\ntwo\r\n", b"one\ntwo\r\n");
        let lines: Vec<_> = comparison.hunks[0]
            .lines
            .iter()
            .map(|line| (line.kind, text(line)))
            .collect();
        assert_eq!(
            lines,
            [
                (LineKind::Delete, "one\r".into()),
                (LineKind::Add, "one".into()),
                (LineKind::Context, "two\r".into())
            ]
        );
    }

    #[test]
    fn changed_lines_are_shown_with_their_numbers_and_the_words_that_differ() {
        let comparison = compare(
            b"one\ntwo is here\nthree\n",
            b"one\ntwo was here\nthree\nfour",
        );
        assert_eq!(comparison.hunks.len(), 1);
        let hunk = &comparison.hunks[0];
        assert_eq!(
            (
                hunk.old_start,
                hunk.old_lines,
                hunk.new_start,
                hunk.new_lines
            ),
            (1, 3, 1, 4)
        );
        let lines: Vec<_> = hunk
            .lines
            .iter()
            .map(|line| (line.kind, line.old, line.new, text(line)))
            .collect();
        assert_eq!(
            lines[0],
            (LineKind::Context, Some(1), Some(1), "one".into())
        );
        assert_eq!(
            lines[1],
            (LineKind::Delete, Some(2), None, "two is here".into())
        );
        assert_eq!(
            lines[2],
            (LineKind::Add, None, Some(2), "two was here".into())
        );
        assert_eq!(lines[4], (LineKind::Add, None, Some(4), "four".into()));
        let changed: Vec<_> = hunk.lines[2]
            .spans
            .iter()
            .filter(|span| span.changed)
            .map(|span| span.text.as_str())
            .collect();
        assert_eq!(changed, ["was"]);
        assert!(hunk.lines[3].newline && !hunk.lines[4].newline);
    }

    #[test]
    fn a_new_file_is_all_additions_and_starts_at_line_zero_before() {
        let comparison = compare(b"", b"a\nb\n");
        let hunk = &comparison.hunks[0];
        assert_eq!(
            (
                hunk.old_start,
                hunk.old_lines,
                hunk.new_start,
                hunk.new_lines
            ),
            (0, 0, 1, 2)
        );
        assert_eq!(
            count(b"", b"a\nb\n", Duration::from_secs(1)),
            Some(Counts {
                additions: 2,
                deletions: 0
            })
        );
        assert!(compare(b"same\n", b"same\n").hunks.is_empty());
    }

    #[test]
    fn what_is_no_text_or_too_large_is_named_and_not_compared() {
        let binary = compare(b"a\0b", b"a");
        assert!(binary.binary && binary.hunks.is_empty());
        let large = vec![b'x'; limits::DIFF_BYTES + 1];
        let comparison = compare(&large, b"");
        assert!(comparison.truncated && comparison.hunks.is_empty());
        assert_eq!(count(&large, b"", Duration::from_secs(1)), None);
    }

    #[test]
    fn two_large_files_without_a_common_line_are_cut() {
        let side = |mark: char| {
            (0..limits::DIFF_LINES + 10)
                .map(|n| format!("{mark}{n}\n"))
                .collect::<String>()
        };
        let comparison = compare(side('a').as_bytes(), side('b').as_bytes());
        assert!(comparison.truncated);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_compared_all_the_same() {
        let comparison = compare(b"caf\xe9\n", b"caf\xe8\n");
        assert_eq!(comparison.hunks.len(), 1);
    }
}
