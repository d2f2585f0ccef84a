//! What one sender remembers of the tree's answers.
//!
//! An answer is kept when its subject comes for the second time. A sender that goes through more subjects than it could remember
//! would otherwise make and drop an answer for each message, which costs more than to ask the tree.

use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::Conn;
use crate::limits::MATCH_CACHE_SUBJECTS;
use crate::sublist::{Matches, Sublist};

/// Answers of the tree, as long as it stays the same.
#[derive(Debug, Default)]
pub(super) struct Memory {
    generation: u64,
    /// The hasher needs no secret: only the sender itself could slow its own memory down.
    kept: FxHashMap<Box<[u8]>, Arc<Matches<Arc<Conn>>>>,
    /// Parts of the hashes of subjects that came last, by other parts of them; empty before the first.
    seen: Box<[u32]>,
    /// Room for the next answer that is not kept.
    room: Matches<Arc<Conn>>,
}

/// Who gets the messages to a subject.
pub(super) enum Answer {
    /// As it is remembered.
    Kept(Arc<Matches<Arc<Conn>>>),
    /// To be [given back](Memory::give_back).
    Once(Matches<Arc<Conn>>),
}

impl Deref for Answer {
    type Target = Matches<Arc<Conn>>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Kept(matches) => matches,
            Self::Once(matches) => matches,
        }
    }
}

impl Memory {
    /// Returns who gets messages to this subject.
    pub(super) fn matches(&mut self, tree: &Sublist<Arc<Conn>>, subject: &[u8]) -> Answer {
        let generation = tree.generation();
        if generation != self.generation {
            self.generation = generation;
            self.kept.clear();
        }
        if let Some(matches) = self.kept.get(subject) {
            return Answer::Kept(Arc::clone(matches));
        }
        let mut matches = std::mem::take(&mut self.room);
        tree.collect(subject, &mut matches);
        if !self.comes_again(subject) {
            return Answer::Once(matches);
        }
        if self.kept.len() >= MATCH_CACHE_SUBJECTS {
            self.kept.clear();
        }
        let matches = Arc::new(matches);
        self.kept.insert(subject.into(), Arc::clone(&matches));
        Answer::Kept(matches)
    }

    /// Takes the room of an answer back.
    pub(super) fn give_back(&mut self, answer: Answer) {
        if let Answer::Once(mut matches) = answer {
            matches.clear();
            self.room = matches;
        }
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
