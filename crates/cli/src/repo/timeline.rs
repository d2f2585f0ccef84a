//! `edgesync timeline`: what happened, newest first, in stock's words.

mod format;

use std::collections::HashSet;

use clap::Args;
use edgesync_agent::api;
use libfossil::db::{Access, Repository, Rid};
use libfossil::history::{
    Change, ChangedFile, EventKind, EventRow, Moment, Selection, Timeline as Events, branch_of,
    describe, recent, resolve,
};
use libfossil::name::HashName;
use libfossil::time::Timestamp;

use crate::error::{Failure, Kind};
use crate::locate::{RepositoryArg, checked_out, version_or_default};
use crate::output::{Output, printable};
use crate::repo::failure::{database, version};
use crate::repo::now;

/// Rows read from the repository at a time.
const PAGE_ROWS: usize = 200;

/// Columns before a comment's second line: those of the time.
const INDENT: usize = 9;

/// Show what happened, newest first
#[derive(Args)]
pub(crate) struct Timeline {
    /// before, after, ancestors (parents) or descendants (children), and of what: a version, `current`, `now`, or for the first two
    /// a date; a version or date alone means before it
    #[arg(value_names = ["WHEN", "VERSION|DATE"], num_args = 0..=2)]
    when: Vec<String>,

    /// At most N entries, or with -N at most N lines; 0 shows all
    #[arg(short = 'n', long, value_name = "N", default_value_t = -20, allow_negative_numbers = true)]
    limit: i64,

    /// Skip the first N entries
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,

    /// Only entries of this type: ci (check-ins), w (wiki), t (tickets), e (technotes), g (tags), f (forum), all
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = Kinds::parse)]
    kinds: Option<Kinds>,

    /// Only check-ins of this branch, and edits of their tags
    #[arg(short, long)]
    branch: Option<String>,

    /// Only those of the branch that the check-out here is on
    #[arg(short, long, conflicts_with = "branch")]
    current_branch: bool,

    /// Only check-ins that changed this file, or a file in this folder
    #[arg(short, long)]
    path: Option<String>,

    /// List the files that each check-in changed
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    form: Form,

    /// Wrap lines at N columns, 0 does not; otherwise at the terminal's width
    #[arg(short = 'W', long, value_name = "N")]
    width: Option<usize>,

    #[command(flatten)]
    repository: RepositoryArg,
}

/// How each entry is shown, if not in the usual words; at most one of these.
#[derive(Args)]
#[group(multiple = false)]
struct Form {
    /// Show only the hash and the comment of each entry
    #[arg(long)]
    oneline: bool,

    /// Show hash, date, author and comment of each entry, on a line each
    #[arg(long)]
    medium: bool,

    /// Show the whole hash, branch, tags and place in the graph of each entry too
    #[arg(long)]
    full: bool,

    /// Show each entry as this text, with %h or %H for its hash, %d date, %a author, %c comment, %b branch, %t tags, %p place in the graph, %n a new line, %% a percent sign; or oneline, medium, full
    #[arg(short = 'F', long, value_name = "TEXT")]
    format: Option<String>,
}

impl Form {
    /// Returns the text that stands for an entry, in the letters of `--format`.
    fn text(&self) -> Option<&str> {
        match self {
            Self { oneline: true, .. } => Some(format::ONELINE),
            Self { medium: true, .. } => Some(format::MEDIUM),
            Self { full: true, .. } => Some(format::FULL),
            Self { format, .. } => format.as_deref().map(format::named),
        }
    }
}

/// The entries that are asked for.
#[derive(Clone, Copy)]
enum Kinds {
    All,
    Only(EventKind),
}

impl Kinds {
    fn parse(letters: &str) -> Result<Self, String> {
        match EventKind::from_letters(letters) {
            Some(kind) => Ok(Self::Only(kind)),
            None if letters == "all" => Ok(Self::All),
            None => Err("it is one of ci, w, t, e, g, f, all".to_owned()),
        }
    }
}

/// How events lie to the point of reference.
#[derive(Clone, Copy)]
enum When {
    Before,
    After,
    Ancestors,
    Descendants,
}

impl When {
    /// The words for it; each may be cut short while only one begins so, as with stock.
    const WORDS: [(&str, Self); 6] = [
        ("before", Self::Before),
        ("after", Self::After),
        ("ancestors", Self::Ancestors),
        ("parents", Self::Ancestors),
        ("descendants", Self::Descendants),
        ("children", Self::Descendants),
    ];

    fn parse(word: &str) -> Result<Self, Failure> {
        let mut fit = Self::WORDS.iter().filter(|(it, _)| it.starts_with(word));
        match (fit.next(), fit.next()) {
            (Some((_, when)), None) if !word.is_empty() => Ok(*when),
            _ => Err(Failure::new(
                Kind::Usage,
                format!("not a place in time: {}", printable(word)),
            )
            .hint("it is one of before, after, ancestors, parents, descendants, children")),
        }
    }
}

/// Returns the moment that a date, `now`, `current` or a version stands for. A date means its beginning, as with stock.
fn moment(repository: &Repository, point: &str) -> Result<Moment, Failure> {
    if point == "now" {
        return Ok(Moment::At(now()));
    }
    if let Ok(time) = Timestamp::parse(point.as_bytes()) {
        return Ok(Moment::At(time));
    }
    let rid = match point {
        "current" => version_or_default(repository, None)?,
        name => resolve(repository, name).map_err(version)?,
    };
    Ok(Moment::Of(rid))
}

impl Timeline {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let repository = self.repository.open(Access::ReadOnly)?;
        let kind = match self.kinds {
            Some(Kinds::Only(kind)) => Some(kind),
            Some(Kinds::All) | None => None,
        };
        let wanted = self.wanted(&repository)?;
        if out.json {
            let events = Events::read(&repository, kind).map_err(database)?;
            let page = |offset| events.page(&repository, offset, PAGE_ROWS);
            let rows = self.rows(page, wanted.as_ref(), self.entries_max())?;
            return out.json(&api::Timeline {
                total: count(events.len()),
                offset: count(self.offset),
                lanes: events.lanes(),
                rows: rows.into_iter().map(Into::into).collect(),
            });
        }
        let page = |offset| recent(&repository, kind, offset, PAGE_ROWS);
        let rows = self.rows(page, wanted.as_ref(), self.entries_max().saturating_add(1))?;
        let current = checked_out(&repository)?;
        out.bytes(self.text(&repository, &rows, current.as_ref())?.as_bytes())
    }

    /// Returns how many entries can be shown at most: an entry has at least one line.
    fn entries_max(&self) -> usize {
        match self.limit {
            0 => usize::MAX,
            limit => usize::try_from(limit.unsigned_abs()).unwrap_or(usize::MAX),
        }
    }

    /// Returns the artifacts whose events fit all conditions; `None` when there are no conditions.
    fn wanted(&self, repository: &Repository) -> Result<Option<HashSet<Rid>>, Failure> {
        let branch = match &self.branch {
            Some(branch) => Some(branch.clone()),
            None if self.current_branch => Some(current_branch(repository)?),
            None => None,
        };
        let branch = branch.map(Selection::Branch);
        let path = self.path.clone().map(Selection::Path);
        let mut wanted: Option<HashSet<Rid>> = None;
        for selection in [branch, path, self.around(repository)?]
            .into_iter()
            .flatten()
        {
            let fit = selection.rows(repository).map_err(database)?;
            wanted = Some(match wanted {
                Some(before) => before.intersection(&fit).copied().collect(),
                None => fit,
            });
        }
        Ok(wanted)
    }

    /// Returns what WHEN and its point of reference ask for.
    fn around(&self, repository: &Repository) -> Result<Option<Selection>, Failure> {
        let (when, point) = match self.when.as_slice() {
            [] => return Ok(None),
            [point] => (When::Before, point),
            [when, point, ..] => (When::parse(when)?, point),
        };
        let moment = moment(repository, point)?;
        // Stock looks for no more relatives than it may show, and so shows no limit as reached.
        let max = self.entries_max();
        Ok(Some(match (when, moment) {
            (When::Before, moment) => Selection::Before(moment),
            (When::After, moment) => Selection::After(moment),
            (When::Ancestors, Moment::Of(of)) => Selection::Ancestors { of, max },
            (When::Descendants, Moment::Of(of)) => Selection::Descendants { of, max },
            (When::Ancestors | When::Descendants, Moment::At(_)) => {
                return Err(Failure::new(
                    Kind::Usage,
                    format!(
                        "a date has no ancestors and no descendants: {}",
                        printable(point)
                    ),
                )
                .hint("name a version, or ask for what is before or after the date"));
            }
        }))
    }

    /// Returns the rows asked for, at most `max`; `page` reads the next of them from an offset on.
    fn rows(
        &self,
        page: impl Fn(usize) -> libfossil::db::Result<Vec<EventRow>>,
        wanted: Option<&HashSet<Rid>>,
        max: usize,
    ) -> Result<Vec<EventRow>, Failure> {
        let mut rows = Vec::new();
        let mut skip = self.offset;
        for offset in (0..).step_by(PAGE_ROWS) {
            let found = page(offset).map_err(database)?;
            if found.is_empty() {
                break;
            }
            for row in found {
                if wanted.is_some_and(|wanted| !wanted.contains(&row.rid)) {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                if rows.len() == max {
                    return Ok(rows);
                }
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn text(
        &self,
        repository: &Repository,
        rows: &[EventRow],
        current: Option<&HashName>,
    ) -> Result<String, Failure> {
        let width = self.width.unwrap_or_else(terminal_width);
        let mut text = String::new();
        let mut day = String::new();
        let mut entries = 0;
        let mut lines = 0_u64;
        for row in rows {
            if self.limit < 0 && lines >= self.limit.unsigned_abs() {
                text.push_str(&format!(
                    "--- line limit ({}) reached ---\n",
                    self.limit.unsigned_abs()
                ));
                return Ok(text);
            }
            if self.limit > 0 && count(entries) >= self.limit.unsigned_abs() {
                text.push_str(&format!("--- entry limit ({}) reached ---\n", self.limit));
                return Ok(text);
            }
            let entry = if let Some(form) = self.form.text() {
                let mut entry = format::entry(form, row, current);
                entry.push_str(&self.changed_files(repository, row)?);
                entry
            } else {
                let mut entry = String::new();
                let time = row.time.to_string();
                let (date, clock) = time.split_once('T').unwrap_or((&time, ""));
                if date != day {
                    date.clone_into(&mut day);
                    entry.push_str(&format!("=== {date} ===\n"));
                }
                entry.push_str(&self.entry(repository, row, clock, current, width)?);
                entry
            };
            lines += count(entry.lines().count());
            entries += 1;
            text.push_str(&entry);
        }
        let end = if self.limit == 0 {
            "end of timeline"
        } else {
            "no more data"
        };
        text.push_str(&format!("+++ {end} ({entries}) +++\n"));
        Ok(text)
    }

    fn entry(
        &self,
        repository: &Repository,
        row: &EventRow,
        clock: &str,
        current: Option<&HashName>,
        width: usize,
    ) -> Result<String, Failure> {
        let clock = clock.get(..8).unwrap_or(clock);
        let marks = marks(row, current);
        let about = if row.names.is_empty() {
            String::new()
        } else {
            format!(" tags: {}", row.names.join(", "))
        };
        let words = format!("{marks}{} (user: {}{about})", comment_words(row), row.user);
        let mut text = wrapped(
            &format!("{clock} [{}] {}", row.name.short(), printable(&words)),
            width,
        );
        text.push_str(&self.changed_files(repository, row)?);
        Ok(text)
    }

    /// Returns the files that the entry changed, a line each, if they are asked for.
    fn changed_files(&self, repository: &Repository, row: &EventRow) -> Result<String, Failure> {
        if !self.verbose || row.kind != EventKind::CheckIn {
            return Ok(String::new());
        }
        let details = describe(repository, row.rid).map_err(version)?;
        let (files, _) = details
            .changed_files(repository, 0, usize::MAX)
            .map_err(database)?;
        Ok(files
            .iter()
            .map(|file| format!("   {}\n", printable(&changed_file_words(file))))
            .collect())
    }
}

/// Returns the branch of the version that is checked out here.
fn current_branch(repository: &Repository) -> Result<String, Failure> {
    let shown = match checked_out(repository)? {
        Some(name) => repository.rid(&name).map_err(database)?,
        None => None,
    };
    let rid = shown.ok_or_else(|| {
        Failure::new(Kind::NotFound, "this is no check-out of the repository")
            .hint("name the branch with --branch NAME")
    })?;
    branch_of(repository, rid).map_err(database)
}

/// Returns what stock says in stars about a check-in's place in the graph, and about anything that stays here.
fn marks(row: &EventRow, current: Option<&HashName>) -> String {
    let mut marks = String::new();
    if row.kind == EventKind::CheckIn {
        if row.merge {
            marks.push_str("*MERGE* ");
        }
        if row.primary_children > 1 {
            marks.push_str(if row.same_branch_children > 1 {
                "*FORK* "
            } else {
                "*BRANCH* "
            });
        }
        if current == Some(&row.name) {
            marks.push_str("*CURRENT* ");
        }
    }
    if row.private {
        marks.push_str("*UNPUBLISHED* ");
    }
    marks
}

/// Returns the comment in one line; of a wiki edit, what its first letter stands for.
fn comment_words(row: &EventRow) -> String {
    let words = row.comment.split_whitespace().collect::<Vec<_>>().join(" ");
    if row.kind != EventKind::Wiki {
        return words;
    }
    match words.split_at_checked(1) {
        Some(("+", name)) => format!("Add wiki page \"{name}\""),
        Some((":", name)) => format!("Edit to wiki page \"{name}\""),
        Some(("-", name)) => format!("Delete wiki page \"{name}\""),
        _ => words,
    }
}

/// Returns a changed file as stock lists it, with the former path where there is one.
fn changed_file_words(file: &ChangedFile) -> String {
    let word = match file.change {
        Change::Added => "ADDED",
        Change::Modified => "EDITED",
        Change::Deleted => "DELETED",
        Change::Renamed => "RENAMED",
    };
    match &file.old_path {
        Some(old) => format!("{word} {old} -> {}", file.path),
        None => format!("{word} {}", file.path),
    }
}

/// Breaks the text at spaces so that every line is shorter than `width`, unless that is 0; further lines are indented.
fn wrapped(text: &str, width: usize) -> String {
    if width <= INDENT {
        return format!("{text}\n");
    }
    let mut out = String::new();
    let mut column = 0;
    for (number, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length >= width {
            out.push('\n');
            out.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
}

/// Returns how many columns a line may have, 0 for any number.
fn terminal_width() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map_or(0, |(terminal_size::Width(columns), _)| {
        usize::from(columns).saturating_sub(1)
    })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn long_lines_break_at_spaces_and_are_indented() {
        let text = "18:22:45 [34f9a398bc] First files with a fairly long comment that will surely need to be wrapped";
        insta::assert_snapshot!(wrapped(text, 60), @r"
        18:22:45 [34f9a398bc] First files with a fairly long
                 comment that will surely need to be wrapped
        ");
        assert_eq!(wrapped(text, 0), format!("{text}\n"));
    }
}
