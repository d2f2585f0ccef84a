//! The work that both programs are given.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::ValueEnum;

use super::history::History;
use super::measure::{self, Cost};
use super::programs::{PASSWORD, Programs, Side, USER};
use super::report::{Round, Row};

/// Check-ins that the timeline shows.
const TIMELINE: &str = "1000";

/// What is measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Work {
    Clone,
    Serve,
    Rebuild,
    Sync,
    Push,
    Commit,
    Timeline,
}

/// A prepared repository and the means to measure on copies of it.
pub(crate) struct Bench<'a> {
    /// One line on the repository, for the report.
    pub(crate) subject: String,
    folder: &'a Path,
    programs: &'a Programs,
    rounds: u16,
    base: PathBuf,
    /// The base and check-ins on top of it that the base lacks, with their number.
    ahead: Option<(PathBuf, u64)>,
}

impl<'a> Bench<'a> {
    /// Prepares a made-up history of `check_ins`, and one that is `more` longer.
    ///
    /// # Errors
    /// When stock Fossil cannot import it.
    pub(crate) fn on_history(
        check_ins: u64,
        more: u64,
        folder: &'a Path,
        programs: &'a Programs,
        rounds: u16,
    ) -> anyhow::Result<Self> {
        eprintln!("making {check_ins} check-ins and {more} more; stock imports them");
        let (base, ahead) = (folder.join("base.fossil"), folder.join("ahead.fossil"));
        let (stream, marks) = (folder.join("stream"), folder.join("marks"));
        let mut history = History::new();
        let mut write = |count| -> anyhow::Result<()> {
            let mut out = BufWriter::new(File::create(&stream)?);
            history.write(count, &mut out)?;
            Ok(out.flush()?)
        };
        let import = |options: &[&str], marks_option: &str, repository: &Path| {
            let words = ["import", "--git", "--quiet"]
                .iter()
                .chain(options)
                .map(Path::new);
            programs.fossil(words.chain([Path::new(marks_option), &marks, repository, &stream]))
        };
        write(check_ins)?;
        import(&["--admin-user", USER], "--export-marks", &base)?;
        programs.fossil(
            ["user", "password", USER, PASSWORD, "-R"]
                .map(Path::new)
                .iter()
                .chain([&base.as_path()]),
        )?;
        fs::copy(&base, &ahead)?;
        write(more)?;
        import(&["--incremental"], "--import-marks", &ahead)?;
        fs::remove_file(&stream)?;
        let mut bench = Self::new(folder, programs, rounds, base)?;
        bench.ahead = Some((ahead, more));
        Ok(bench)
    }

    /// Prepares a copy of an existing repository, from which nothing is pushed.
    ///
    /// # Errors
    /// When it cannot be copied or is no repository.
    pub(crate) fn on_copy_of(
        file: &Path,
        folder: &'a Path,
        programs: &'a Programs,
        rounds: u16,
    ) -> anyhow::Result<Self> {
        let base = folder.join("base.fossil");
        fs::copy(file, &base).with_context(|| format!("cannot copy {}", file.display()))?;
        Self::new(folder, programs, rounds, base)
    }

    fn new(
        folder: &'a Path,
        programs: &'a Programs,
        rounds: u16,
        base: PathBuf,
    ) -> anyhow::Result<Self> {
        let mut bench = Self {
            subject: String::new(),
            folder,
            programs,
            rounds,
            base,
            ahead: None,
        };
        let check_ins = bench.programs.count(&bench.base, "event WHERE type='ci'")?;
        let artifacts = bench.programs.count(&bench.base, "blob")?;
        let mib = fs::metadata(&bench.base)?.len() >> 20;
        bench.subject = format!("{check_ins} check-ins, {artifacts} artifacts, {mib} MiB");
        eprintln!("{}", bench.subject);
        Ok(bench)
    }

    /// Does the work, both sides in turn, and returns a row for each. Without check-ins to push, a push has no row.
    ///
    /// # Errors
    /// The first failure of either side.
    pub(crate) fn measure(&self, works: &[Work]) -> anyhow::Result<Vec<Row>> {
        works
            .iter()
            .filter_map(|work| self.measure_one(*work).transpose())
            .collect()
    }

    fn measure_one(&self, work: Work) -> anyhow::Result<Option<Row>> {
        let row = match (work, &self.ahead) {
            (Work::Clone, _) => self.row("clone from stock", |side| self.clone_from_stock(side)),
            (Work::Serve, _) => self
                .row("serve a clone to stock (server's CPU and memory)", |side| {
                    self.serve_clone(side)
                }),
            (Work::Rebuild, _) => self.row("rebuild", |side| self.rebuild(side)),
            (Work::Sync, _) => self.row("sync with nothing new", |side| self.sync_nothing(side)),
            (Work::Push, None) => return Ok(None),
            (Work::Push, Some((ahead, more))) => self
                .row(&format!("push {more} check-ins to stock"), |side| {
                    self.push(side, ahead)
                }),
            (Work::Commit, _) => self.row("commit one changed file", |side| self.commit(side)),
            (Work::Timeline, _) => self.row(&format!("timeline of {TIMELINE}"), |side| {
                self.timeline(side)
            }),
        };
        row.map(Some)
    }

    fn row(&self, name: &str, work: impl Fn(Side) -> anyhow::Result<Cost>) -> anyhow::Result<Row> {
        let measure = |side, round| -> anyhow::Result<Cost> {
            let cost = work(side).with_context(|| format!("{name}, {side:?}"))?;
            let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
            eprintln!("{name}, round {round}, {side:?}: {wall:.3} s, CPU {cpu:.3} s");
            Ok(cost)
        };
        let mut rounds = Vec::new();
        for round in 1..=self.rounds {
            // Who comes first takes turns too: the second finds the disk and the processor as the first left them.
            let (stock, ours) = if round % 2 == 1 {
                let stock = measure(Side::Stock, round)?;
                (stock, measure(Side::Ours, round)?)
            } else {
                let ours = measure(Side::Ours, round)?;
                (measure(Side::Stock, round)?, ours)
            };
            rounds.push(Round { stock, ours });
        }
        Ok(Row::new(name, &rounds))
    }

    fn clone_from_stock(&self, side: Side) -> anyhow::Result<Cost> {
        let server = self.programs.serve(Side::Stock, &self.base)?;
        self.clone_of(side, &server.url())
    }

    fn serve_clone(&self, side: Side) -> anyhow::Result<Cost> {
        let server = self.programs.serve(side, &self.base)?;
        let client = self.clone_of(Side::Stock, &server.url())?;
        server.end(client)
    }

    fn clone_of(&self, side: Side, url: &str) -> anyhow::Result<Cost> {
        // Beside the served file it would wake the server, which watches that folder.
        let folder = self.fresh("clone")?;
        fs::create_dir(&folder)?;
        let file = folder.join("clone.fossil");
        let cost = match side {
            Side::Stock => self.run(side, &["clone", "--no-open", "--once", url], &file)?,
            Side::Ours => self.run(side, &["repo", "clone", url], &file)?,
        };
        self.expect_same_artifacts(&file, &self.base)?;
        Ok(cost)
    }

    fn rebuild(&self, side: Side) -> anyhow::Result<Cost> {
        let file = self.copy(&self.base, "rebuild.fossil")?;
        let cost = match side {
            Side::Stock => self.run(side, &["rebuild"], &file)?,
            Side::Ours => self.run(side, &["repo", "rebuild", "-R"], &file)?,
        };
        let check_ins = "event WHERE type='ci'";
        let (rebuilt, was) = (
            self.programs.count(&file, check_ins)?,
            self.programs.count(&self.base, check_ins)?,
        );
        ensure!(
            rebuilt == was,
            "{rebuilt} check-ins after the rebuild of {was}"
        );
        Ok(cost)
    }

    fn sync_nothing(&self, side: Side) -> anyhow::Result<Cost> {
        let server = self.programs.serve(Side::Stock, &self.base)?;
        let file = self.copy(&self.base, "same.fossil")?;
        let url = server.url_with_login();
        match side {
            Side::Stock => self.run(side, &["sync", &url, "--once", "-R"], &file),
            Side::Ours => self.run(side, &["repo", "sync", &url, "--once", "-R"], &file),
        }
    }

    fn push(&self, side: Side, ahead: &Path) -> anyhow::Result<Cost> {
        let target = self.copy(&self.base, "target.fossil")?;
        let source = self.copy(ahead, "source.fossil")?;
        let server = self.programs.serve(Side::Stock, &target)?;
        let url = server.url_with_login();
        let cost = match side {
            Side::Stock => self.run(side, &["push", &url, "--once", "-R"], &source)?,
            Side::Ours => self.run(side, &["repo", "push", &url, "--once", "-R"], &source)?,
        };
        drop(server);
        // Clusters made on the way may be on one side only, so check-ins are compared.
        let check_ins = "event WHERE type='ci'";
        let (pushed, expected) = (
            self.programs.count(&target, check_ins)?,
            self.programs.count(ahead, check_ins)?,
        );
        ensure!(
            pushed == expected,
            "the server has {pushed} check-ins after the push, not {expected}"
        );
        Ok(cost)
    }

    /// Stock commits from a checkout, which it has to look through; ours is given the file and needs none.
    fn commit(&self, side: Side) -> anyhow::Result<Cost> {
        let repository = self.copy(&self.base, "commit.fossil")?;
        let checkout = self.fresh("checkout")?;
        fs::create_dir(&checkout)?;
        let open = self
            .programs
            .command(Side::Stock, ["open", "--force"])
            .arg(&repository)
            .current_dir(&checkout)
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            open.status.success(),
            "stock cannot open: {}",
            String::from_utf8_lossy(&open.stderr)
        );
        let tree = self
            .programs
            .fossil(["ls", "-R"].map(Path::new).iter().chain([
                &repository.as_path(),
                &Path::new("-r"),
                &Path::new("trunk"),
            ]))?;
        let name = tree
            .lines()
            .next()
            .context("the newest check-in has no file")?;
        let mut text = fs::read(checkout.join(name))?;
        text.extend_from_slice(b"one more line\n");
        fs::write(checkout.join(name), text)?;
        let mut command = match side {
            Side::Stock => self
                .programs
                .command(side, ["commit", "-m", "one more line", "--no-warnings"]),
            Side::Ours => {
                let mut command = self
                    .programs
                    .command(side, ["repo", "ci", "-m", "one more line", "-R"]);
                command.arg(&repository).arg(name);
                command
            }
        };
        settle()?;
        let cost = measure::run(command.current_dir(&checkout))?;
        let check_ins = "event WHERE type='ci'";
        let (now, before) = (
            self.programs.count(&repository, check_ins)?,
            self.programs.count(&self.base, check_ins)?,
        );
        ensure!(
            now == before + 1,
            "{now} check-ins after a commit on {before}"
        );
        Ok(cost)
    }

    fn timeline(&self, side: Side) -> anyhow::Result<Cost> {
        match side {
            Side::Stock => self.run(
                side,
                &["timeline", "-n", TIMELINE, "-t", "ci", "-R"],
                &self.base,
            ),
            Side::Ours => self.run(
                side,
                &["repo", "timeline", "-n", TIMELINE, "-t", "ci", "-R"],
                &self.base,
            ),
        }
    }

    /// Runs one side on a file, which is the last word of its command.
    fn run(&self, side: Side, words: &[&str], file: &Path) -> anyhow::Result<Cost> {
        settle()?;
        measure::run(self.programs.command(side, words).arg(file))
    }

    /// Returns a path in the bench's folder with nothing there.
    fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.exists() {
            fs::remove_file(&path)?;
        }
        Ok(path)
    }

    fn copy(&self, file: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.fresh(name)?;
        fs::copy(file, &path)?;
        Ok(path)
    }

    fn expect_same_artifacts(&self, file: &Path, original: &Path) -> anyhow::Result<()> {
        let held = "blob WHERE size>=0";
        let (copied, was) = (
            self.programs.count(file, held)?,
            self.programs.count(original, held)?,
        );
        ensure!(copied == was, "the clone holds {copied} of {was} artifacts");
        Ok(())
    }
}

/// Lets the disk finish what came before, so that the next measurement does not pay for it.
fn settle() -> anyhow::Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}
