//! Expanding contents on all cores while one thread reads the file and uses the results.
//!
//! Each tree of deltas is the work of one thread, which passes its results on in order through a short queue of its own. The
//! reading thread takes the queues in the order of the plan, so the results arrive in that order whatever the threads do,
//! and what is in memory is bounded by the length of the queues.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;

use super::plan::{Scope, Step};
use crate::artifact::{self, Artifact, may_be_structural};
use crate::blob::{codec, delta};
use crate::crosslink::Manifest;
use crate::db::{Error, Repository, Result, Rid};
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::HashName;

/// Results that wait in the queue of one tree.
const QUEUE_RESULTS: usize = 64;

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

/// Some trees and the way back for what is found in them.
struct Job {
    trees: Vec<Vec<Load>>,
    scope: Scope,
    results: SyncSender<Outcome>,
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
    let (job_sender, job_receiver) = sync_channel::<Job>(workers);
    let job_receiver = Mutex::new(job_receiver);
    thread::scope(|threads| {
        // Dropped on every way out, which is what ends the threads.
        let job_sender = job_sender;
        for _ in 0..workers {
            threads.spawn(|| work(&job_receiver));
        }
        let mut trees = trees.iter();
        let mut queues: VecDeque<Receiver<Outcome>> = VecDeque::new();
        loop {
            while queues.len() < workers {
                let Some((job, results)) = next_job(repository(context), &mut trees, scope)? else {
                    break;
                };
                queues.push_back(results);
                if job_sender.send(job).is_err() {
                    break;
                }
            }
            let Some(queue) = queues.pop_front() else {
                return Ok(());
            };
            for outcome in queue {
                use_outcome(context, outcome)?;
            }
        }
    })
}

/// Reads the next trees from the file, enough to be worth a thread's while.
fn next_job<'p>(
    repo: &Repository,
    trees: &mut impl Iterator<Item = &'p Vec<Step>>,
    scope: Scope,
) -> Result<Option<(Job, Receiver<Outcome>)>> {
    let mut loads = Vec::new();
    let mut steps = 0;
    while steps < JOB_STEPS
        && let Some(tree) = trees.next()
    {
        steps += tree.len();
        let tree: Result<Vec<Load>> = tree.iter().map(|&step| load(repo, step)).collect();
        loads.push(tree?);
    }
    if loads.is_empty() {
        return Ok(None);
    }
    let (results, queue) = sync_channel(QUEUE_RESULTS);
    let job = Job {
        trees: loads,
        scope,
        results,
    };
    Ok(Some((job, queue)))
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

/// What each thread does: one job after the other, until there are no more or nobody wants the results.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        for tree in job.trees {
            if expand_tree(tree, job.scope, &job.results).is_none() {
                break;
            }
        }
    }
}

/// Expands the contents of a tree one after the other. Returns `None` when nobody wants the results any more.
fn expand_tree(tree: Vec<Load>, scope: Scope, results: &SyncSender<Outcome>) -> Option<()> {
    let mut texts: Vec<(Option<Bytes>, usize)> = Vec::with_capacity(tree.len());
    for load in tree {
        let Load { step, name, packed } = load;
        let source = step.source.and_then(|source| texts.get_mut(source));
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
        texts.push((kept, step.uses));
        if step.wanted {
            let outcome = inspect(step.rid, name, text, scope);
            results.send(outcome).ok()?;
        }
    }
    Some(())
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

fn inspect(rid: Rid, name: Option<HashName>, text: Result<Bytes>, scope: Scope) -> Outcome {
    let text = match (text, name) {
        (Ok(text), Some(name)) if scope == Scope::Everything && !name.names(&text) => {
            Err(Error::HashMismatch { name })
        }
        (text, _) => text,
    };
    let found = match text {
        Err(error) => Found::Damaged(error),
        Ok(text) if !may_be_structural(&text) => Found::Plain,
        Ok(text) => match artifact::parse(&text) {
            Ok(Artifact::CheckIn(check_in)) => Found::CheckIn(Box::new(Manifest::new(&check_in))),
            Ok(_) => Found::Structural(text.clone()),
            Err(_) => Found::Plain,
        },
    };
    Outcome { rid, found }
}
