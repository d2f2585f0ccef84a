//! Expanding contents on all cores while one thread reads the file and uses the results.
//!
//! Each tree of deltas is expanded by one thread, because most contents need the one before them. What comes out is looked
//! into in batches, by a thread that has nothing else to do or else by the expanding one; so one long chain of versions keeps
//! all cores busy too. The outcomes pass through a short queue for each job, and the reading thread takes the queues in the
//! order of the plan: outcomes arrive in that order whatever the threads do, and what is in memory is bounded by the length
//! of the queues.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;

use super::plan::{Scope, Step};
use crate::artifact::{self, Artifact};
use crate::blob::{codec, delta};
use crate::crosslink::Manifest;
use crate::db::{Error, Repository, Result, Rid};
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::HashName;

/// Batches that wait in the queue of one job.
const QUEUE_BATCHES: usize = 4;

/// Contents of one batch, unless their bytes fill it first.
const BATCH_CONTENTS: usize = 32;

/// Bytes that fill a batch.
const BATCH_BYTES: usize = 1 << 20;

/// Steps of small trees that are handed out together.
const JOB_STEPS: usize = 128;

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
struct Load {
    step: Step,
    /// `None` when the name that the file has is no name.
    name: Option<HashName>,
    packed: Vec<u8>,
}

/// An expanded content that is to be looked into.
struct Expanded {
    rid: Rid,
    name: Option<HashName>,
    text: Result<Bytes>,
}

/// What a thread is asked to do.
enum Task {
    Expand(Job),
    Inspect(Inspection),
}

/// Some trees and the way back for what is found in them.
struct Job {
    trees: Vec<Vec<Load>>,
    scope: Scope,
    /// One receiver for each batch, in order.
    results: SyncSender<Receiver<Vec<Outcome>>>,
    /// Reaches a thread that waits for work.
    idle: SyncSender<Task>,
}

/// Contents to look into and the way back for what they are.
struct Inspection {
    batch: Vec<Expanded>,
    scope: Scope,
    result: SyncSender<Vec<Outcome>>,
}

/// Expands all trees, and calls `use_outcome` for each wanted row in order.
///
/// # Errors
/// What `use_outcome` returns; any of reading the file.
pub(crate) fn expand_all<C>(
    context: &mut C,
    repository: impl for<'c> Fn(&'c C) -> &'c Repository,
    trees: &[Vec<Step>],
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
        let mut trees = trees.iter();
        let mut queues: VecDeque<Receiver<Receiver<Vec<Outcome>>>> = VecDeque::new();
        loop {
            while queues.len() < workers {
                let Some(loads) = next_loads(repository(context), &mut trees)? else {
                    break;
                };
                let (results, queue) = sync_channel(QUEUE_BATCHES);
                queues.push_back(queue);
                let job = Job {
                    trees: loads,
                    scope,
                    results,
                    idle: sender.clone(),
                };
                if sender.send(Task::Expand(job)).is_err() {
                    break;
                }
            }
            let Some(queue) = queues.pop_front() else {
                return Ok(());
            };
            for outcome in queue.into_iter().flatten().flatten() {
                use_outcome(context, outcome)?;
            }
        }
    })
}

/// Reads the next trees from the file, enough to be worth a thread's while.
fn next_loads<'p>(
    repo: &Repository,
    trees: &mut impl Iterator<Item = &'p Vec<Step>>,
) -> Result<Option<Vec<Vec<Load>>>> {
    let mut loads = Vec::new();
    let mut steps = 0;
    while steps < JOB_STEPS
        && let Some(tree) = trees.next()
    {
        steps += tree.len();
        let tree: Result<Vec<Load>> = tree.iter().map(|&step| load(repo, step)).collect();
        loads.push(tree?);
    }
    Ok(Some(loads).filter(|loads| !loads.is_empty()))
}

fn load(repo: &Repository, step: Step) -> Result<Load> {
    let mut query = repo
        .conn()
        .prepare_cached("SELECT uuid, content FROM blob WHERE rid=?1")?;
    let mut rows = query.query([step.rid])?;
    let row = rows.next()?.ok_or(Error::UnknownRid(step.rid))?;
    let name = row.get_ref(0)?.as_bytes().unwrap_or_default();
    let packed = row.get_ref(1)?.as_bytes().unwrap_or_default();
    Ok(Load {
        step,
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
    fn run(mut self) -> Option<()> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        for tree in std::mem::take(&mut self.trees) {
            let mut expansion = Expansion::default();
            for load in tree {
                let wanted = load.step.wanted;
                let content = expansion.expand(load);
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
        self.results.send(outcomes).ok()?;
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

/// The contents of a tree that later ones are deltas on, with how many of these are still to come.
#[derive(Default)]
struct Expansion {
    texts: Vec<(Option<Bytes>, usize)>,
}

impl Expansion {
    /// Expands the next content of the tree.
    fn expand(&mut self, load: Load) -> Expanded {
        let Load { step, name, packed } = load;
        let source = step.source.and_then(|source| self.texts.get_mut(source));
        let source = source.map(|(text, uses)| {
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                text.take()
            } else {
                text.clone()
            }
        });
        let text = match (name, source) {
            (None, _) => Err(Error::BadName(step.rid)),
            (_, None) => unpack(step.rid, &packed),
            (Some(name), Some(None)) => Err(Error::Missing { name }),
            (_, Some(Some(source))) => apply(step.rid, &source, &packed),
        };
        let kept = text.as_ref().ok().filter(|_| step.uses > 0).cloned();
        self.texts.push((kept, step.uses));
        Expanded {
            rid: step.rid,
            name,
            text,
        }
    }
}

fn unpack(rid: Rid, packed: &[u8]) -> Result<Bytes> {
    let text = codec::unpack(packed, MAX_CONTENT_BYTES);
    text.map(Bytes::from)
        .map_err(|source| Error::Codec { rid, source })
}

fn apply(rid: Rid, source: &[u8], packed: &[u8]) -> Result<Bytes> {
    let change = unpack(rid, packed)?;
    let text = delta::apply(source, &change, MAX_CONTENT_BYTES);
    text.map(Bytes::from)
        .map_err(|source| Error::Delta { rid, source })
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
