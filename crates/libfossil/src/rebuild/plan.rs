//! Deciding what has to be expanded at all.
//!
//! Most artifacts are the contents of files, and the first few bytes show that they are nothing to cross-link. Those bytes
//! are found without expanding anything: a text's are at the start of its zlib stream, and a delta mostly begins with a copy
//! of its source's. What remains is laid out tree by tree, each content before the deltas on it.

use std::collections::{HashMap, HashSet};

use rusqlite::MAIN_DB;
use rusqlite::blob::Blob;

use crate::artifact::may_start_structural;
use crate::blob::{codec, delta};
use crate::db::{Repository, Result, Rid};

/// How many first bytes of a content are looked at: the longest mark of a signed artifact is shorter.
const START_BYTES: usize = 16;

/// How many bytes of a delta are unpacked to learn how its target begins.
const DELTA_START_BYTES: usize = 64;

/// How many bytes of the packed form are read for that. More are read where these do not suffice.
const PACKED_START_BYTES: usize = 256;

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
}

/// What is to be expanded, and what was learnt on the way.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Trees of deltas; within each, sources come first.
    pub(crate) trees: Vec<Vec<Step>>,
    /// Rows whose column `size` says something else than their content.
    pub(crate) wrong_sizes: Vec<(Rid, usize)>,
    /// Rows with content that cannot be had: what they are a delta of is missing, or is a delta of them.
    pub(crate) unavailable: Vec<Rid>,
}

struct Row {
    rid: Rid,
    size: i64,
    has_content: bool,
    children: Vec<usize>,
}

impl Plan {
    /// Looks at the start of every content in the repository.
    pub(crate) fn new(repo: &Repository, scope: Scope) -> Result<Self> {
        let (mut rows, roots) = read_rows(repo)?;
        order_children(&mut rows, &roots);
        let mut plan = Self::default();
        let mut reached = HashSet::new();
        let mut starts = match rows.iter().find(|row| row.has_content) {
            Some(row) => Starts::open(repo, row.rid)?,
            None => return Ok(plan),
        };
        for root in roots {
            let mut tree = Vec::new();
            let mut todo = vec![(root, None, Vec::new())];
            while let Some((index, source, source_start)) = todo.pop() {
                let Some(row) = rows.get(index) else { continue };
                reached.insert(row.rid);
                let start = starts.of(row.rid, source.is_some(), &source_start)?;
                // What is damaged shows as such when it is expanded.
                let is_damaged = start.is_none();
                let (start, size) = start.unwrap_or_default();
                if !is_damaged && i64::try_from(size) != Ok(row.size) {
                    plan.wrong_sizes.push((row.rid, size));
                }
                let step = tree.len();
                tree.push(Step {
                    rid: row.rid,
                    source,
                    uses: 0,
                    wanted: scope == Scope::Everything || is_damaged || is_suspicious(&start, size),
                });
                let children = row.children.iter().rev();
                todo.extend(children.map(|&child| (child, Some(step), start.clone())));
            }
            let tree = prune(&tree);
            if !tree.is_empty() {
                plan.trees.push(tree);
            }
        }
        let lost = rows
            .iter()
            .filter(|row| row.size >= 0 && !reached.contains(&row.rid));
        plan.unavailable = lost.map(|row| row.rid).collect();
        Ok(plan)
    }

    /// Returns the rows that are of interest themselves.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Rid> {
        let steps = self.trees.iter().flatten();
        steps.filter(|step| step.wanted).map(|step| step.rid)
    }
}

/// Returns all rows with their deltas, and the positions of those that hold full text.
fn read_rows(repo: &Repository) -> Result<(Vec<Row>, Vec<usize>)> {
    let mut query = repo.conn().prepare(
        "SELECT rid, size, srcid, size>=0 AND typeof(content)='blob'
           FROM blob LEFT JOIN delta USING(rid) ORDER BY rid",
    )?;
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    let mut positions = HashMap::new();
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        let rid: Rid = row.get(0)?;
        positions.insert(rid, rows.len());
        sources.push(row.get::<_, Option<Rid>>(2)?);
        rows.push(Row {
            rid,
            size: row.get(1)?,
            has_content: row.get(3)?,
            children: Vec::new(),
        });
    }
    let mut roots = Vec::new();
    for (index, source) in sources.into_iter().enumerate() {
        let has_content = rows.get(index).is_some_and(|row| row.has_content);
        match source {
            None if has_content => roots.push(index),
            Some(source) if has_content => {
                let source = positions.get(&source).and_then(|&at| rows.get_mut(at));
                if let Some(source) = source {
                    source.children.push(index);
                }
            }
            _ => {}
        }
    }
    Ok((rows, roots))
}

/// Puts the content that most others depend on last among the deltas on the same source.
///
/// Where a branch was merged, that is the way along the trunk. So a branch is done before the trunk is followed further back,
/// relatives come near each other however long the history is, and few contents wait for a last delta on them.
fn order_children(rows: &mut [Row], roots: &[usize]) {
    let mut order = Vec::with_capacity(rows.len());
    let mut todo = roots.to_vec();
    while let Some(index) = todo.pop() {
        order.push(index);
        let children = rows.get(index).map(|row| row.children.as_slice());
        todo.extend_from_slice(children.unwrap_or_default());
    }
    let mut weights = vec![1_usize; rows.len()];
    for &index in order.iter().rev() {
        let Some(row) = rows.get_mut(index) else {
            continue;
        };
        let weight_of = |child: &usize| weights.get(*child).copied().unwrap_or_default();
        row.children.sort_by_key(weight_of);
        let weight = 1 + row.children.iter().map(weight_of).sum::<usize>();
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

/// Reads the first bytes of contents.
struct Starts<'r> {
    content: Blob<'r>,
    buffer: Vec<u8>,
}

impl<'r> Starts<'r> {
    fn open(repo: &'r Repository, rid: Rid) -> Result<Self> {
        let content = repo
            .conn()
            .blob_open(MAIN_DB, "blob", "content", rid.get(), true)?;
        Ok(Self {
            content,
            buffer: Vec::new(),
        })
    }

    /// Returns how a content begins, as far as that can be told, and its length; `None` if its packed form is damaged.
    fn of(
        &mut self,
        rid: Rid,
        is_delta: bool,
        source_start: &[u8],
    ) -> Result<Option<(Vec<u8>, usize)>> {
        self.content.reopen(rid.get())?;
        let wanted = if is_delta {
            DELTA_START_BYTES
        } else {
            START_BYTES
        };
        let whole = self.content.len();
        let mut start = self.unpacked(PACKED_START_BYTES.min(whole), wanted)?;
        if start.is_none() && whole > PACKED_START_BYTES {
            start = self.unpacked(whole, wanted)?;
        }
        let size = match &start {
            Some(start) if is_delta => delta::output_size(start).ok(),
            _ => codec::declared_size(&self.buffer).ok(),
        };
        let start = start.map(|start| {
            if is_delta {
                delta::beginning(source_start, &start, START_BYTES)
            } else {
                start
            }
        });
        Ok(start.zip(size))
    }

    /// Unpacks the first `wanted` bytes out of the first `packed` bytes of the packed form.
    fn unpacked(&mut self, packed: usize, wanted: usize) -> Result<Option<Vec<u8>>> {
        self.buffer.resize(packed, 0);
        self.content.read_at_exact(&mut self.buffer, 0)?;
        Ok(codec::peek(&self.buffer, wanted).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, order_children};
    use crate::db::Rid;

    #[test]
    fn what_most_depend_on_is_followed_last() {
        let row = |children: &[usize]| Row {
            rid: Rid::new(1),
            size: 0,
            has_content: true,
            children: children.to_vec(),
        };
        // From 0 a long chain leads over 1, 4 and 5, a short one over 2 and 6, and 3 is the end of its own.
        let mut rows = [
            row(&[1, 2, 3]),
            row(&[4]),
            row(&[6]),
            row(&[]),
            row(&[5]),
            row(&[]),
            row(&[]),
        ];
        order_children(&mut rows, &[0]);
        assert_eq!(rows[0].children, [3, 2, 1]);
        assert_eq!(rows[1].children, [4]);
    }
}
