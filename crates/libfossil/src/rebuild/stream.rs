//! Expanding contents on all cores while one thread reads the file and uses the results.
//!
//! Each tree of deltas is expanded by one thread, because most contents need the one before them. What comes out is looked
//! into in batches, by a thread that has nothing else to do or else by the expanding one; so one long chain of versions keeps
//! all cores busy too. The outcomes pass through a short queue for each job, and the reading thread takes the queues in the
//! order of the plan: outcomes arrive in that order whatever the threads do.
//!
//! What is in memory is bounded, whatever is in the file: packed contents reach a job in portions, of which it asks for the next when it
//! takes one; outcomes wait in the short queues; and trees of long contents are expanded one after the other by the reading thread, with
//! no other content at hand than a few that it needs ([`super::plan`] tells them apart).

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;

use super::expansion::Expansion;
use super::plan::{Plan, Scope, Step, Tree};
use crate::artifact::{self, Artifact};
use crate::crosslink::Manifest;
use crate::db::{Error, Repository, Result, Rid};
use crate::name::HashName;

/// Batches that wait in the queue of one job, and requests for portions among them.
const QUEUE: usize = 6;

/// Contents of one batch, unless their bytes fill it first.
const BATCH_CONTENTS: usize = 32;

/// Bytes that fill a batch.
const BATCH_BYTES: usize = 1 << 20;

/// Steps of small trees that are handed out together.
const JOB_STEPS: usize = 128;

/// Steps of one portion, unless their packed bytes fill it first.
const PORTION_STEPS: usize = 128;

/// Packed bytes that fill a portion.
const PORTION_BYTES: usize = 1 << 20;

/// Portions that lie ready for a job.
const PORTIONS: usize = 2;

/// What an expanded content turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    /// A check-in.
    CheckIn(Box<Manifest>),
    /// A structural artifact of another kind.
    Structural(Bytes),
    /// Nothing to cross-link.
    Plain,
    /// It cannot be expanded, or is not what its name says.
    Damaged(Error),
}

/// What was found in a row.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) rid: Rid,
    pub(crate) found: Found,
}

/// A step with what the file has for it.
pub(super) struct Load {
    pub(super) step: Step,
    /// Whether a tree begins with it.
    begins: bool,
    /// `None` when the name that the file has is no name.
    pub(super) name: Option<HashName>,
    pub(super) packed: Vec<u8>,
}

/// An expanded content that is to be looked into.
pub(super) struct Expanded {
    pub(super) rid: Rid,
    pub(super) name: Option<HashName>,
    pub(super) text: Result<Bytes>,
}

/// What a thread is asked to do.
enum Task {
    Expand(Job),
    Inspect(Inspection),
}

/// Some trees and the way back for what is found in them.
struct Job {
    portions: Receiver<Vec<Load>>,
    scope: Scope,
    results: SyncSender<Report>,
    /// Reaches a thread that waits for work.
    idle: SyncSender<Task>,
}

/// What a job says to the reading thread.
enum Report {
    /// It has taken a portion.
    Took,
    /// What is found in the next batch comes here.
    Batch(Receiver<Vec<Outcome>>),
}

/// The reading thread's end of a job.
struct Feed<'p> {
    trees: &'p [Tree],
    /// The step of the first tree that is sent next.
    next: usize,
    /// `None` when all is sent.
    portions: Option<SyncSender<Vec<Load>>>,
    results: Receiver<Report>,
}

/// Contents to look into and the way back for what they are.
struct Inspection {
    batch: Vec<Expanded>,
    scope: Scope,
    result: SyncSender<Vec<Outcome>>,
}

/// Expands what the plan says, and calls `use_outcome` for each wanted row in order.
///
/// # Errors
/// What `use_outcome` returns; any of reading the file.
pub(crate) fn expand_all<C>(
    context: &mut C,
    repository: impl for<'c> Fn(&'c C) -> &'c Repository,
    plan: &Plan,
    scope: Scope,
    mut use_outcome: impl FnMut(&mut C, Outcome) -> Result<()>,
) -> Result<()> {
    expand_beside(context, &repository, &plan.trees, scope, &mut use_outcome)?;
    for tree in &plan.long_trees {
        let kept_bytes = plan.kept_bytes;
        expand_alone(
            context,
            &repository,
            tree,
            kept_bytes,
            scope,
            &mut use_outcome,
        )?;
    }
    Ok(())
}

/// Expands trees on all cores.
fn expand_beside<C>(
    context: &mut C,
    repository: impl for<'c> Fn(&'c C) -> &'c Repository,
    mut trees: &[Tree],
    scope: Scope,
    mut use_outcome: impl FnMut(&mut C, Outcome) -> Result<()>,
) -> Result<()> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    // Without room in the channel a task is taken only by a thread that waits for one. There are never more jobs under way
    // than half of the threads, so one takes the next job soon, and none waits for another. The other half looks into what the jobs
    // expand: a job's own thread waits while the queue of its job is full, and must not keep a core idle then.
    let (sender, receiver) = sync_channel::<Task>(0);
    let receiver = Mutex::new(receiver);
    thread::scope(|threads| {
        // Dropped on every way out, as the jobs' own are when they end, which is what ends the threads.
        let sender = sender;
        for _ in 0..workers.saturating_mul(2) {
            threads.spawn(|| work(&receiver));
        }
        let mut feeds: VecDeque<Feed<'_>> = VecDeque::new();
        loop {
            while feeds.len() < workers && !trees.is_empty() {
                let (now, later) = trees.split_at(job_trees(trees));
                trees = later;
                let (feed, job) = Feed::of(now, scope, sender.clone());
                feeds.push_back(feed.begun(repository(context))?);
                if sender.send(Task::Expand(job)).is_err() {
                    break;
                }
            }
            let Some(mut feed) = feeds.pop_front() else {
                return Ok(());
            };
            while let Ok(report) = feed.results.recv() {
                match report {
                    Report::Took => feed.supply(repository(context))?,
                    Report::Batch(outcomes) => {
                        for outcome in outcomes.into_iter().flatten() {
                            use_outcome(context, outcome)?;
                        }
                    }
                }
            }
        }
    })
}

/// Returns how many of the next trees are worth a thread's while.
fn job_trees(trees: &[Tree]) -> usize {
    let mut steps = 0;
    let enough = trees.iter().position(|tree| {
        steps += tree.len();
        steps >= JOB_STEPS
    });
    enough.map_or(trees.len(), |last| last + 1)
}

/// Expands a tree of long contents on this thread.
fn expand_alone<C>(
    context: &mut C,
    repository: impl for<'c> Fn(&'c C) -> &'c Repository,
    tree: &Tree,
    kept_bytes: usize,
    scope: Scope,
    mut use_outcome: impl FnMut(&mut C, Outcome) -> Result<()>,
) -> Result<()> {
    let mut expansion = Expansion::default();
    for (index, step) in tree.iter().enumerate() {
        let repo = repository(context);
        let load = load(repo, *step, index == 0)?;
        let content = expansion.expand(load, |rid| repo.expand_afresh(rid));
        if step.wanted {
            for outcome in inspect(vec![content], scope) {
                use_outcome(context, outcome)?;
            }
        }
        expansion.give_up_over(kept_bytes);
    }
    Ok(())
}

impl<'p> Feed<'p> {
    fn of(trees: &'p [Tree], scope: Scope, idle: SyncSender<Task>) -> (Self, Job) {
        let (portions, taken) = sync_channel(PORTIONS);
        let (results, reports) = sync_channel(QUEUE);
        let job = Job {
            portions: taken,
            scope,
            results,
            idle,
        };
        let feed = Self {
            trees,
            next: 0,
            portions: Some(portions),
            results: reports,
        };
        (feed, job)
    }

    /// Lays the first portions ready.
    fn begun(mut self, repo: &Repository) -> Result<Self> {
        for _ in 0..PORTIONS {
            self.supply(repo)?;
        }
        Ok(self)
    }

    /// Reads the next portion from the file and hands it over; there is room for it.
    fn supply(&mut self, repo: &Repository) -> Result<()> {
        let mut portion = Vec::new();
        let mut bytes = 0;
        while portion.len() < PORTION_STEPS
            && bytes < PORTION_BYTES
            && let Some((tree, others)) = self.trees.split_first()
        {
            let Some(step) = tree.get(self.next) else {
                (self.trees, self.next) = (others, 0);
                continue;
            };
            let load = load(repo, *step, self.next == 0)?;
            self.next += 1;
            bytes += load.packed.len();
            portion.push(load);
        }
        if portion.is_empty() {
            self.portions = None;
        } else if let Some(portions) = &self.portions {
            // Fails only after a panic, which ends the job and is passed on when its thread is joined.
            let _ = portions.send(portion);
        }
        Ok(())
    }
}

fn load(repo: &Repository, step: Step, begins: bool) -> Result<Load> {
    let mut query = repo
        .conn()
        .prepare_cached("SELECT uuid, content FROM blob WHERE rid=?1")?;
    let mut rows = query.query([step.rid])?;
    let row = rows.next()?.ok_or(Error::UnknownRid(step.rid))?;
    let name = row.get_ref(0)?.as_bytes().unwrap_or_default();
    let packed = row.get_ref(1)?.as_bytes().unwrap_or_default();
    Ok(Load {
        step,
        begins,
        name: HashName::parse(name).ok(),
        packed: packed.to_vec(),
    })
}

/// What each thread does: one task after the other, until there can be no more.
fn work(tasks: &Mutex<Receiver<Task>>) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match task {
            Err(_) => return,
            Ok(Task::Inspect(inspection)) => inspection.run(),
            // Stopped in the middle when nobody wants the results any more.
            Ok(Task::Expand(job)) => drop(job.run()),
        }
    }
}

impl Inspection {
    fn run(self) {
        let Self {
            batch,
            scope,
            result,
        } = self;
        // Fails only when nobody wants the results any more.
        let _ = result.send(inspect(batch, scope));
    }
}

impl Job {
    /// Expands the trees one after the other. Returns `None` when nobody wants the results any more.
    fn run(self) -> Option<()> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        let mut expansion = Expansion::default();
        while let Ok(portion) = self.portions.recv() {
            self.results.send(Report::Took).ok()?;
            for load in portion {
                let wanted = load.step.wanted;
                if load.begins {
                    expansion = Expansion::default();
                }
                // Nothing is given up here.
                let content = expansion.expand(load, |rid| Err(Error::UnknownRid(rid)));
                if !wanted {
                    continue;
                }
                batch_bytes += content.text.as_ref().map_or(0, Bytes::len);
                batch.push(content);
                if batch.len() >= BATCH_CONTENTS || batch_bytes >= BATCH_BYTES {
                    self.hand_over(std::mem::take(&mut batch))?;
                    batch_bytes = 0;
                }
            }
        }
        self.hand_over(batch)
    }

    /// Has a batch looked into, elsewhere if a thread is idle.
    fn hand_over(&self, batch: Vec<Expanded>) -> Option<()> {
        let (result, outcomes) = sync_channel(1);
        self.results.send(Report::Batch(outcomes)).ok()?;
        let inspection = Inspection {
            batch,
            scope: self.scope,
            result,
        };
        let refused = self.idle.try_send(Task::Inspect(inspection));
        if let Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) = refused
            && let Task::Inspect(inspection) = task
        {
            inspection.run();
        }
        Some(())
    }
}

/// Looks into contents: first whether they are what their names say, then what they are.
fn inspect(batch: Vec<Expanded>, scope: Scope) -> Vec<Outcome> {
    let checked = check(batch, scope);
    let texts = checked.iter().flat_map(|(_, text)| text.as_deref());
    let mut parsed = artifact::parse_each(texts);
    let found: Vec<Found> = checked
        .iter()
        .map(|(_, text)| match text {
            // Replaced by the error itself below.
            Err(_) => Found::Plain,
            Ok(text) => match parsed.next() {
                Some(Ok(Artifact::CheckIn(check_in))) => {
                    Found::CheckIn(Box::new(Manifest::new(&check_in)))
                }
                Some(Ok(_)) => Found::Structural(text.clone()),
                Some(Err(_)) | None => Found::Plain,
            },
        })
        .collect();
    drop(parsed);
    let outcomes = checked.into_iter().zip(found);
    outcomes
        .map(|((rid, text), found)| Outcome {
            rid,
            found: text.map_or_else(Found::Damaged, |_| found),
        })
        .collect()
}

/// Returns the contents that are what their names say, as far as that is to be looked at.
fn check(batch: Vec<Expanded>, scope: Scope) -> Vec<(Rid, Result<Bytes>)> {
    let mut are_named = match scope {
        Scope::Structural => Vec::new(),
        Scope::Everything => {
            let named = batch
                .iter()
                .filter_map(|content| Some((content.name?, content.text.as_deref().ok()?)));
            HashName::each_names(&named.collect::<Vec<_>>())
        }
    }
    .into_iter();
    let checked = batch.into_iter().map(|content| {
        let Expanded { rid, name, text } = content;
        let text = match (text, name) {
            (Ok(_), Some(name)) if !are_named.next().unwrap_or(scope == Scope::Structural) => {
                Err(Error::HashMismatch { name })
            }
            (text, _) => text,
        };
        (rid, text)
    });
    checked.collect()
}
