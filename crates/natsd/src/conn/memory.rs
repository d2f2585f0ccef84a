//! What one sender remembers of the tree's answers.
//!
//! An answer is kept when its subject comes for the second time. A sender that goes through more subjects than it could remember
//! would otherwise make and drop an answer for each message, which costs more than to ask the tree.

use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::Conn;
use crate::limits::MATCH_CACHE_SUBJECTS;
use crate::sublist::{Matches, Sublist};

/// Answers of the tree, as long as it stays the same.
#[derive(Debug, Default)]
pub(super) struct Memory {
    generation: u64,
    /// Where the answer for a subject is. The hasher needs no secret: only the sender itself could slow its own memory down.
    kept: FxHashMap<Box<[u8]>, usize>,
    answers: Vec<Matches<Arc<Conn>>>,
    /// Where the answer that was asked for last is, if it is kept, and its subject: many senders have one subject for all they say.
    last: Option<usize>,
    subject: Vec<u8>,
    /// Parts of the hashes of subjects that came last, by other parts of them; empty before the first.
    seen: Box<[u32]>,
    /// The last answer that is not kept.
    once: Matches<Arc<Conn>>,
}

impl Memory {
    /// Returns who gets messages to this subject.
    pub(super) fn matches(
        &mut self,
        tree: &Sublist<Arc<Conn>>,
        subject: &[u8],
    ) -> &Matches<Arc<Conn>> {
        let generation = tree.generation();
        if generation != self.generation {
            self.generation = generation;
            self.forget();
        }
        let at = match &self.last {
            Some(at) if self.subject == subject => Some(*at),
            _ => self.look_up(tree, subject),
        };
        at.and_then(|at| self.answers.get(at)).unwrap_or(&self.once)
    }

    /// Returns where the answer for a subject is kept. One that is not kept is the last one.
    fn look_up(&mut self, tree: &Sublist<Arc<Conn>>, subject: &[u8]) -> Option<usize> {
        let mut found = self.kept.get(subject).copied();
        if found.is_none() {
            self.once.clear();
            tree.collect(subject, &mut self.once);
            if !self.comes_again(subject) {
                return None;
            }
            if self.kept.len() >= MATCH_CACHE_SUBJECTS {
                self.forget();
            }
            let at = self.answers.len();
            self.answers.push(std::mem::take(&mut self.once));
            self.kept.insert(subject.into(), at);
            found = Some(at);
        }
        self.subject.clear();
        self.subject.extend_from_slice(subject);
        self.last = found;
        found
    }

    fn forget(&mut self) {
        self.kept.clear();
        self.answers.clear();
        self.last = None;
    }

    /// Says whether a subject was among those that came last, and notes that it came.
    fn comes_again(&mut self, subject: &[u8]) -> bool {
        if self.seen.is_empty() {
            self.seen = vec![0; MATCH_CACHE_SUBJECTS].into();
        }
        let [high, low] = {
            let hash = FxBuildHasher.hash_one(subject);
            [hash >> 32, hash & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0))
        };
        let places = self.seen.len();
        let place = usize::try_from(high).unwrap_or(0) % places;
        self.seen
            .get_mut(place)
            .is_some_and(|seen| std::mem::replace(seen, low) == low)
    }
}
