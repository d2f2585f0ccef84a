//! One level of the tree of filters with wildcards.

use std::collections::HashMap;
use std::sync::Arc;

use super::ends::Ends;
use super::{Changed, Matches, Subscription, Tally};
use crate::subject::tokens;

/// The subscriptions whose filters end here, and the branches by the next token.
#[derive(Debug)]
pub(super) struct Node<O> {
    /// Branches by literal tokens. Its hasher is keyed at random, since whoever may subscribe chooses the tokens.
    literal: Option<Box<Branches<O>>>,
    /// The branch of `*`.
    any: Option<Box<Node<O>>>,
    /// The branch of `>`, which has no further branches.
    rest: Option<Box<Node<O>>>,
    ends: Ends<O>,
}

type Branches<O> = HashMap<Box<[u8]>, Node<O>>;

impl<O> Node<O> {
    pub(super) fn new() -> Self {
        Self {
            literal: None,
            any: None,
            rest: None,
            ends: Ends::None,
        }
    }

    /// Says whether nothing ends here and nothing goes on.
    fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.literal.is_none() && self.any.is_none() && self.rest.is_none()
    }

    pub(super) fn insert(&mut self, sub: &Arc<Subscription<O>>) -> Tally {
        let mut node = self;
        for token in tokens(sub.filter.as_bytes()) {
            node = match token {
                b"*" => node.any.get_or_insert_with(|| Box::new(Self::new())),
                b">" => node.rest.get_or_insert_with(|| Box::new(Self::new())),
                token => {
                    let branches = node.literal.get_or_insert_default();
                    if !branches.contains_key(token) {
                        branches.insert(token.into(), Self::new());
                    }
                    match branches.get_mut(token) {
                        Some(branch) => branch,
                        None => return Tally::default(),
                    }
                }
            };
        }
        node.ends.insert(sub)
    }

    pub(super) fn remove(&mut self, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        self.remove_below(Some(sub.filter.as_bytes()), sub)
    }

    fn remove_below(&mut self, left: Option<&[u8]>, sub: &Arc<Subscription<O>>) -> Option<Tally> {
        let Some(left) = left else {
            return self.ends.remove(sub);
        };
        let (token, left) = first_token(left);
        match token {
            b"*" => remove_branch(&mut self.any, left, sub),
            b">" => remove_branch(&mut self.rest, left, sub),
            token => {
                let branches = self.literal.as_mut()?;
                let branch = branches.get_mut(token)?;
                let tally = branch.remove_below(left, sub)?;
                if branch.is_empty() {
                    branches.remove(token);
                }
                if branches.is_empty() {
                    self.literal = None;
                }
                Some(tally)
            }
        }
    }

    pub(super) fn reweigh(&mut self, sub: &Arc<Subscription<O>>, weight: u32) -> Option<Tally> {
        let mut node = self;
        for token in tokens(sub.filter.as_bytes()) {
            node = match token {
                b"*" => node.any.as_mut()?,
                b">" => node.rest.as_mut()?,
                token => node.literal.as_mut()?.get_mut(token)?,
            };
        }
        node.ends.reweigh(sub, weight)
    }

    pub(super) fn for_each(&self, each: &mut impl FnMut(&Changed<'_>)) {
        self.ends.for_each(each);
        let literal = self.literal.iter().flat_map(|branches| branches.values());
        let wild = self.any.iter().chain(&self.rest).map(AsRef::as_ref);
        for branch in literal.chain(wild) {
            branch.for_each(each);
        }
    }

    /// Adds whoever gets a message to a subject of which these tokens are left.
    pub(super) fn collect(&self, left: Option<&[u8]>, matches: &mut Matches<O>) {
        let Some(left) = left else {
            self.ends.take(matches);
            return;
        };
        if let Some(rest) = &self.rest {
            rest.ends.take(matches);
        }
        if self.any.is_none() && self.literal.is_none() {
            return;
        }
        let (token, left) = first_token(left);
        if let Some(any) = &self.any {
            any.collect(left, matches);
        }
        if let Some(branch) = self
            .literal
            .as_ref()
            .and_then(|branches| branches.get(token))
        {
            branch.collect(left, matches);
        }
    }
}

/// Removes from a branch of a wildcard, and the branch when nothing is left of it.
fn remove_branch<O>(
    branch: &mut Option<Box<Node<O>>>,
    left: Option<&[u8]>,
    sub: &Arc<Subscription<O>>,
) -> Option<Tally> {
    let node = branch.as_mut()?;
    let tally = node.remove_below(left, sub)?;
    if node.is_empty() {
        *branch = None;
    }
    Some(tally)
}

/// Splits the first token off; nothing is left after the last one.
fn first_token(subject: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'.', subject) {
        Some(dot) => {
            let (token, left) = subject.split_at(dot);
            (token, left.get(1..))
        }
        None => (subject, None),
    }
}
