//! Deciding what has to be expanded at all.
//!
//! Most artifacts are the contents of files, and the first few bytes show that they are nothing to cross-link. Those bytes
//! are found without expanding anything: a text's are at the start of its zlib stream, and a delta mostly begins with a copy
//! of its source's. What remains is laid out tree by tree, each content before the deltas on it. Trees whose contents are too long to be
//! expanded beside others are kept apart: a file can say of many rows that they hold a gigabyte each.

use std::collections::HashMap;

use super::heads::{self, Head};
use crate::artifact::may_start_structural;
use crate::db::{Repository, Result, Rid};
use crate::limits::{MAX_KEPT_SOURCES_BYTES, MAX_SHORT_BYTES};
use crate::name::HashName;

/// How many first bytes of a content are looked at: the longest mark of a signed artifact is shorter.
pub(super) const START_BYTES: usize = 16;

/// What is done with a content once it is expanded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Only what may be structural is looked at.
    Structural,
    /// Everything is expanded and compared with its name.
    Everything,
}

/// One content to expand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) rid: Rid,
    /// The step of the same tree that this one is a delta of.
    pub(crate) source: Option<usize>,
    /// How many later steps of the tree are deltas on this one.
    pub(crate) uses: usize,
    /// Whether it is of interest itself, or only as a source.
    pub(crate) wanted: bool,
    /// Length of the content.
    content_bytes: usize,
    /// Most bytes that expanding it takes, beside its source.
    work_bytes: usize,
}

/// Contents that are deltas on each other; sources come first.
pub(crate) type Tree = Vec<Step>;

/// What is to be expanded, and what was learnt on the way.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What can be expanded side by side.
    pub(crate) trees: Vec<Tree>,
    /// What needs so much memory that it must be expanded alone.
    pub(crate) long_trees: Vec<Tree>,
    /// Most bytes of contents that are kept for deltas on them in one of these.
    pub(crate) kept_bytes: usize,
    /// Rows whose column `size` says something else than their content.
    pub(crate) wrong_sizes: Vec<(Rid, usize)>,
    /// Rows with content that cannot be had: what they are a delta of is missing, or is a delta of them.
    pub(crate) unavailable: Vec<Rid>,
    /// All rows by name, those without content too.
    pub(crate) rows: HashMap<HashName, Rid>,
}

impl Plan {
    /// Looks at the start of every content in the repository.
    pub(crate) fn new(repo: &Repository, scope: Scope) -> Result<Self> {
        Self::within(repo, scope, Bounds::USUAL)
    }

    pub(super) fn within(repo: &Repository, scope: Scope, bounds: Bounds) -> Result<Self> {
        let heads = heads::read(repo)?;
        let mut plan = Self {
            kept_bytes: bounds.kept_bytes,
            ..Self::default()
        };
        let (mut children, roots) = relations(&heads);
        order_children(&mut children, &roots);
        let mut reached = vec![false; heads.len()];
        for root in roots {
            let mut tree = Vec::new();
            let mut todo = vec![(root, None, Vec::new())];
            while let Some((index, source, source_start)) = todo.pop() {
                let Some(head) = heads.get(index) else {
                    continue;
                };
                if let Some(reached) = reached.get_mut(index) {
                    *reached = true;
                }
                let start = head.beginning(&source_start);
                // What is damaged shows as such when it is expanded.
                let is_damaged = start.is_none();
                let (start, size) = start.unwrap_or_default();
                if !is_damaged && i64::try_from(size) != Ok(head.size) {
                    plan.wrong_sizes.push((head.rid, size));
                }
                let step = tree.len();
                tree.push(Step {
                    rid: head.rid,
                    source,
                    uses: 0,
                    wanted: scope == Scope::Everything || is_damaged || is_suspicious(&start, size),
                    content_bytes: size,
                    work_bytes: head.work_bytes(size),
                });
                let children = children.get(index).into_iter().flatten().rev();
                todo.extend(children.map(|&child| (child, Some(step), start.clone())));
            }
            let tree = prune(&tree);
            if tree.is_empty() {
                continue;
            }
            if bounds.allow(&tree) {
                plan.trees.push(tree);
            } else {
                plan.long_trees.push(tree);
            }
        }
        let lost = heads.iter().zip(reached);
        let lost = lost.filter(|(head, reached)| head.size >= 0 && !reached);
        plan.unavailable = lost.map(|(head, _)| head.rid).collect();
        let named = heads.iter().filter_map(|head| Some((head.name?, head.rid)));
        plan.rows = named.collect();
        Ok(plan)
    }

    /// Returns the rows that are of interest themselves.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Rid> {
        let steps = self.trees.iter().chain(&self.long_trees).flatten();
        steps.filter(|step| step.wanted).map(|step| step.rid)
    }
}

/// How much memory a tree may need to be expanded beside others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// For one content.
    pub(super) work_bytes: usize,
    /// For those that are kept because others are deltas on them.
    pub(super) kept_bytes: usize,
}

impl Bounds {
    pub(super) const USUAL: Self = Self {
        work_bytes: MAX_SHORT_BYTES,
        kept_bytes: MAX_KEPT_SOURCES_BYTES,
    };

    fn allow(self, tree: &[Step]) -> bool {
        let mut uses: Vec<usize> = tree.iter().map(|step| step.uses).collect();
        let mut kept_bytes = 0_usize;
        for step in tree {
            if step.work_bytes > self.work_bytes || kept_bytes > self.kept_bytes {
                return false;
            }
            if step.uses > 0 {
                kept_bytes = kept_bytes.saturating_add(step.content_bytes);
            }
            if let Some(index) = step.source
                && let (Some(uses), Some(source)) = (uses.get_mut(index), tree.get(index))
            {
                *uses = uses.saturating_sub(1);
                if *uses == 0 {
                    kept_bytes = kept_bytes.saturating_sub(source.content_bytes);
                }
            }
        }
        kept_bytes <= self.kept_bytes
    }
}

/// Returns for each row those that are deltas on it, and the rows that hold full text.
fn relations(heads: &[Head]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let position = |rid| {
        heads
            .binary_search_by_key(&rid, |head: &Head| head.rid)
            .ok()
    };
    let mut children = vec![Vec::new(); heads.len()];
    let mut roots = Vec::new();
    for (index, head) in heads
        .iter()
        .enumerate()
        .filter(|(_, head)| head.has_content)
    {
        match head.source {
            None => roots.push(index),
            Some(source) => {
                if let Some(siblings) = position(source).and_then(|at| children.get_mut(at)) {
                    siblings.push(index);
                }
            }
        }
    }
    (children, roots)
}

/// Puts the content that most others depend on last among the deltas on the same source.
///
/// Where a branch was merged, that is the way along the trunk. So a branch is done before the trunk is followed further back,
/// relatives come near each other however long the history is, and few contents wait for a last delta on them.
fn order_children(children: &mut [Vec<usize>], roots: &[usize]) {
    let mut order = Vec::with_capacity(children.len());
    let mut todo = roots.to_vec();
    while let Some(index) = todo.pop() {
        order.push(index);
        todo.extend(children.get(index).into_iter().flatten());
    }
    let mut weights = vec![1_usize; children.len()];
    for &index in order.iter().rev() {
        let Some(children) = children.get_mut(index) else {
            continue;
        };
        let weight_of = |child: &usize| weights.get(*child).copied().unwrap_or_default();
        children.sort_by_key(weight_of);
        let weight = 1 + children.iter().map(weight_of).sum::<usize>();
        if let Some(place) = weights.get_mut(index) {
            *place = weight;
        }
    }
}

/// Returns whether a content that starts so may be structural; if too little is known it may.
fn is_suspicious(start: &[u8], size: usize) -> bool {
    if start.len() < START_BYTES.min(size) {
        return true;
    }
    let signature = b"-----BEGIN ";
    may_start_structural(start) && (start.first() != Some(&b'-') || start.starts_with(signature))
}

/// Leaves out the steps that lead to nothing of interest.
fn prune(tree: &[Step]) -> Vec<Step> {
    let mut needed: Vec<bool> = tree.iter().map(|step| step.wanted).collect();
    for (index, step) in tree.iter().enumerate().rev() {
        if needed.get(index) == Some(&true)
            && let Some(source) = step.source
            && let Some(needed) = needed.get_mut(source)
        {
            *needed = true;
        }
    }
    let mut kept: Vec<Step> = Vec::new();
    let mut new_index = vec![0; tree.len()];
    for (index, step) in tree.iter().enumerate() {
        if needed.get(index) != Some(&true) {
            continue;
        }
        let source = step
            .source
            .and_then(|source| new_index.get(source).copied());
        if let Some(source) = source.and_then(|source| kept.get_mut(source)) {
            source.uses += 1;
        }
        if let Some(place) = new_index.get_mut(index) {
            *place = kept.len();
        }
        kept.push(Step { source, ..*step });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::order_children;

    #[test]
    fn what_most_depend_on_is_followed_last() {
        // From 0 a long chain leads over 1, 4 and 5, a short one over 2 and 6, and 3 is the end of its own.
        let mut children = [
            vec![1, 2, 3],
            vec![4],
            vec![6],
            vec![],
            vec![5],
            vec![],
            vec![],
        ];
        order_children(&mut children, &[0]);
        assert_eq!(children[0], [3, 2, 1]);
        assert_eq!(children[1], [4]);
    }
}
