//! A made-up history as a git fast-import stream. The same numbers give the same bytes on every machine.
//!
//! It has the shape of a source tree that a few people work on: some hundred text files of some hundred lines, check-ins
//! that change a few lines in one to four of them, files that come and go, and short branches that are merged back.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;

/// Files at the start, and about how many there are from then on.
const FILES_FIRST: usize = 60;
const FILES_USUAL: usize = 300;

/// When the first check-in was made (2020-01-01), in seconds since 1970, and the most that passes until the next.
const EPOCH_S: u64 = 1_577_836_800;
const STEP_MAX_S: u64 = 7_200;

const WORDS: &[&str] = &[
    "address", "apply", "before", "block", "buffer", "channel", "check", "close", "copy", "count",
    "delta", "each", "empty", "entry", "error", "field", "first", "flag", "frame", "group",
    "handle", "hash", "header", "index", "input", "item", "key", "last", "length", "level",
    "limit", "line", "link", "list", "lock", "map", "mask", "merge", "message", "mode", "name",
    "next", "node", "offset", "open", "order", "output", "page", "parent", "path", "peer", "queue",
    "range", "read", "record", "reply", "request", "result", "return", "row", "send", "set",
    "size", "skip", "source", "start", "state", "stop", "store", "stream", "table", "tag",
    "target", "time", "token", "tree", "type", "update", "user", "value", "version", "wait",
    "width", "write",
];

/// A small random generator (SplitMix64): good enough to vary, fixed for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn line(&mut self) -> Rc<str> {
        let indent = "    ".repeat(self.below(4));
        let words: Vec<&str> = (0..3 + self.below(8))
            .map(|_| WORDS[self.below(WORDS.len())])
            .collect();
        format!("{indent}{}\n", words.join(" ")).into()
    }
}

type Lines = Rc<Vec<Rc<str>>>;

/// A line of development: its newest check-in and the files there.
#[derive(Clone)]
struct Branch {
    name: String,
    tip: u64,
    files: BTreeMap<String, Lines>,
}

/// Writes a history check-in by check-in; it may be continued in a second stream.
pub(crate) struct History {
    random: Random,
    trunk: Branch,
    /// The branch that is under way, with the files changed on it (`None`: deleted).
    side: Option<(Branch, BTreeMap<String, Option<Lines>>)>,
    check_ins: u64,
    files_made: usize,
    time_s: u64,
}

impl History {
    /// Returns the history before its first check-in.
    pub(crate) fn new() -> Self {
        Self {
            random: Random(2_021),
            trunk: Branch {
                name: "trunk".to_owned(),
                tip: 0,
                files: BTreeMap::new(),
            },
            side: None,
            check_ins: 0,
            files_made: 0,
            time_s: EPOCH_S,
        }
    }

    /// Writes the next `count` check-ins.
    ///
    /// # Errors
    /// What writing to `out` gives.
    pub(crate) fn write(&mut self, count: u64, out: &mut impl Write) -> io::Result<()> {
        for _ in 0..count {
            if self.check_ins == 0 {
                self.first(out)?;
            } else if let Some((side, changes)) = self
                .side
                .take_if(|(side, _)| side.tip > 0 && self.random.one_in(10))
            {
                self.merge(&side, changes, out)?;
            } else if self.side.is_none() && self.random.one_in(25) {
                let name = format!("branch-{}", self.check_ins);
                self.side = Some((
                    Branch {
                        name,
                        ..self.trunk.clone()
                    },
                    BTreeMap::new(),
                ));
                self.on_side(out)?;
            } else if self.side.is_some() && self.random.one_in(2) {
                self.on_side(out)?;
            } else {
                self.on_trunk(out)?;
            }
        }
        Ok(())
    }

    fn first(&mut self, out: &mut impl Write) -> io::Result<()> {
        let changes: BTreeMap<_, _> = (0..FILES_FIRST).map(|_| self.new_file()).collect();
        let name = self.trunk.name.clone();
        self.trunk.tip = self.check_in(&name, &[], &changes, out)?;
        apply(&mut self.trunk.files, changes);
        Ok(())
    }

    fn on_trunk(&mut self, out: &mut impl Write) -> io::Result<()> {
        let trunk = self.trunk.clone();
        let changes = self.changes(&trunk.files);
        self.trunk.tip = self.check_in(&trunk.name, &[trunk.tip], &changes, out)?;
        apply(&mut self.trunk.files, changes);
        Ok(())
    }

    fn on_side(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some((mut side, mut changed)) = self.side.take() else {
            return Ok(());
        };
        let changes = self.changes(&side.files);
        side.tip = self.check_in(&side.name, &[side.tip], &changes, out)?;
        changed.extend(changes.clone());
        apply(&mut side.files, changes);
        self.side = Some((side, changed));
        Ok(())
    }

    fn merge(
        &mut self,
        side: &Branch,
        mut changes: BTreeMap<String, Option<Lines>>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        // A file that is gone on both sides needs no deletion.
        changes.retain(|path, lines| lines.is_some() || self.trunk.files.contains_key(path));
        let name = self.trunk.name.clone();
        self.trunk.tip = self.check_in(&name, &[self.trunk.tip, side.tip], &changes, out)?;
        apply(&mut self.trunk.files, changes);
        Ok(())
    }

    /// Returns what the next check-in on top of `files` changes.
    fn changes(&mut self, files: &BTreeMap<String, Lines>) -> BTreeMap<String, Option<Lines>> {
        let mut changes = BTreeMap::new();
        for _ in 0..=self.random.below(4) {
            let at = self.random.below(files.len());
            if let Some((path, lines)) = files.iter().nth(at) {
                let lines = self.edited(lines);
                changes.insert(path.clone(), Some(lines));
            }
        }
        let growing = files.len() < FILES_USUAL;
        let (made, deleted) = if growing { (10, 120) } else { (40, 40) };
        if self.random.one_in(made) {
            changes.extend([self.new_file()]);
        }
        if self.random.one_in(deleted) {
            let at = self.random.below(files.len());
            changes.extend(files.keys().nth(at).map(|path| (path.clone(), None)));
        }
        changes
    }

    fn new_file(&mut self) -> (String, Option<Lines>) {
        self.files_made += 1;
        let folder = WORDS[self.random.below(12)];
        let name = WORDS[self.random.below(WORDS.len())];
        let lines = (0..40 + self.random.below(260))
            .map(|_| self.random.line())
            .collect();
        (
            format!("src/{folder}/{name}_{}.txt", self.files_made),
            Some(Rc::new(lines)),
        )
    }

    /// Returns the lines with a few of them changed, added or removed near one place.
    fn edited(&mut self, lines: &Lines) -> Lines {
        let mut lines = Vec::clone(lines);
        let at = self.random.below(lines.len());
        for _ in 0..=self.random.below(5) {
            let at = (at + self.random.below(8)).min(lines.len() - 1);
            let line = self.random.line();
            match self.random.below(4) {
                0 if lines.len() > 20 => drop(lines.remove(at)),
                1 => lines.insert(at, line),
                _ => lines[at] = line,
            }
        }
        Rc::new(lines)
    }

    /// Writes one check-in and returns its mark.
    fn check_in(
        &mut self,
        branch: &str,
        parents: &[u64],
        changes: &BTreeMap<String, Option<Lines>>,
        out: &mut impl Write,
    ) -> io::Result<u64> {
        self.check_ins += 1;
        self.time_s += 60 + self.random.next() % STEP_MAX_S;
        let (mark, time_s, user) = (self.check_ins, self.time_s, self.random.below(5));
        let words: Vec<&str> = (0..4 + self.random.below(8))
            .map(|_| WORDS[self.random.below(WORDS.len())])
            .collect();
        let comment = words.join(" ");
        writeln!(out, "commit refs/heads/{branch}\nmark :{mark}")?;
        writeln!(
            out,
            "committer user{user} <user{user}@example.org> {time_s} +0000"
        )?;
        writeln!(out, "data {}\n{comment}", comment.len())?;
        for (index, parent) in parents.iter().enumerate() {
            writeln!(
                out,
                "{} :{parent}",
                if index == 0 { "from" } else { "merge" }
            )?;
        }
        for (path, lines) in changes {
            let Some(lines) = lines else {
                writeln!(out, "D {path}")?;
                continue;
            };
            let size: usize = lines.iter().map(|line| line.len()).sum();
            writeln!(out, "M 100644 inline {path}\ndata {size}")?;
            for line in lines.iter() {
                out.write_all(line.as_bytes())?;
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        Ok(mark)
    }
}

fn apply(files: &mut BTreeMap<String, Lines>, changes: BTreeMap<String, Option<Lines>>) {
    for (path, lines) in changes {
        match lines {
            Some(lines) => drop(files.insert(path, lines)),
            None => drop(files.remove(&path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::History;

    fn stream(parts: &[u64]) -> String {
        let mut history = History::new();
        let mut out = Vec::new();
        for &count in parts {
            history
                .write(count, &mut out)
                .expect("a vector takes everything");
        }
        String::from_utf8(out).expect("words are ASCII")
    }

    #[test]
    fn a_history_is_the_same_each_time_and_in_parts() {
        assert_eq!(stream(&[300]), stream(&[300]));
        assert_eq!(stream(&[300]), stream(&[200, 100]));
    }

    #[test]
    fn a_history_has_branches_merges_and_deletions() {
        let stream = stream(&[2_000]);
        let count = |start: &str| {
            stream
                .lines()
                .filter(|line| line.starts_with(start))
                .count()
        };
        assert_eq!(count("commit "), 2_000);
        assert!(count("merge :") > 10, "{} merges", count("merge :"));
        assert!(count("commit refs/heads/branch-") > 100);
        assert!(count("D src/") > 5);
    }
}
