//! The timeline: every event of a repository, newest first, read in pages and drawn with a graph.

use std::collections::HashMap;

use super::MAIN_BRANCH;
use super::events::{EventKind, EventRow, LaidOutLine, event};
use super::graph::{self, Graph, Line, Node};
use crate::db::{Repository, Result, Rid};

/// Order and graph of all events as they were when it was read; texts are read a page at a time.
#[derive(Debug)]
pub struct Timeline {
    rows: Vec<(Rid, EventKind)>,
    graph: Graph,
    branches: Vec<String>,
}

impl Timeline {
    /// Reads the order of all events of `kind`, or of all kinds, and lays out the graph.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
    pub fn read(repo: &Repository, kind: Option<EventKind>) -> Result<Self> {
        let rows = ordered(repo, kind)?;
        let place: HashMap<Rid, usize> = rows
            .iter()
            .enumerate()
            .map(|(row, (rid, _))| (*rid, row))
            .collect();
        let mut branches = Branches::default();
        let on = branches_of_all(repo, &mut branches)?;
        let parents = parents_of_all(repo, &place)?;
        let main = branches.number(MAIN_BRANCH);
        let nodes: Vec<Node> = rows
            .iter()
            .zip(parents)
            .map(|((rid, kind), parents)| match kind {
                EventKind::CheckIn => Node::CheckIn {
                    branch: on.get(rid).copied().unwrap_or(main),
                    parents,
                },
                _ => Node::Other,
            })
            .collect();
        let has_main = nodes
            .iter()
            .any(|node| matches!(node, Node::CheckIn { branch, .. } if *branch == main));
        let graph = graph::layout(&nodes, has_main.then_some(main));
        Ok(Self {
            rows,
            graph,
            branches: branches.names,
        })
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns how many columns the graph has.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        self.graph.lanes
    }

    /// Returns the row of the artifact `rid`, if it is on this timeline.
    #[must_use]
    pub fn position(&self, rid: Rid) -> Option<usize> {
        self.rows.iter().position(|(other, _)| *other == rid)
    }

    /// Reads at most `limit` rows from `offset` on. Rows that have vanished since are left out.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::db::Error::Sqlite) when the file cannot be read.
    pub fn page(&self, repo: &Repository, offset: usize, limit: usize) -> Result<Vec<EventRow>> {
        let mut page = Vec::new();
        for (at, (rid, _)) in self.rows.iter().enumerate().skip(offset).take(limit) {
            if let Some(row) = self.row(repo, at, *rid)? {
                page.push(row);
            }
        }
        Ok(page)
    }

    fn row(&self, repo: &Repository, at: usize, rid: Rid) -> Result<Option<EventRow>> {
        let Some(mut row) = event(repo, rid)? else {
            return Ok(None);
        };
        if let Some(layout) = self.graph.rows.get(at) {
            row.lane = layout.lane;
            row.lines = layout.lines.iter().map(|line| self.line(line)).collect();
        }
        Ok(Some(row))
    }

    fn line(&self, line: &Line) -> LaidOutLine {
        let branch = usize::try_from(line.branch).ok();
        LaidOutLine {
            from: line.from,
            to: line.to,
            branch: branch
                .and_then(|branch| self.branches.get(branch))
                .cloned()
                .unwrap_or_default(),
            kind: line.kind,
        }
    }
}

/// Numbers for branch names.
#[derive(Default)]
struct Branches {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Branches {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

fn ordered(repo: &Repository, kind: Option<EventKind>) -> Result<Vec<(Rid, EventKind)>> {
    let mut query = repo.conn().prepare_cached(
        "SELECT objid, type FROM event WHERE ?1 IS NULL OR type=?1 ORDER BY mtime DESC, objid DESC",
    )?;
    let found = query.query_map([kind.map(EventKind::letters)], |row| {
        Ok((
            row.get::<_, Rid>(0)?,
            row.get_ref(1)?
                .as_str()
                .ok()
                .and_then(EventKind::from_letters),
        ))
    })?;
    let mut rows = Vec::new();
    for row in found {
        // A newer program may know more kinds; they are none of ours to show.
        if let (rid, Some(kind)) = row? {
            rows.push((rid, kind));
        }
    }
    Ok(rows)
}

fn branches_of_all(repo: &Repository, branches: &mut Branches) -> Result<HashMap<Rid, u32>> {
    let mut query = repo.conn().prepare_cached(
        "SELECT rid, value FROM tagxref
          WHERE tagid=(SELECT tagid FROM tag WHERE tagname='branch') AND tagtype>0 AND value IS NOT NULL",
    )?;
    let mut rows = query.query([])?;
    let mut on = HashMap::new();
    while let Some(row) = rows.next()? {
        on.insert(row.get(0)?, branches.number(&row.get::<_, String>(1)?));
    }
    Ok(on)
}

/// Returns the rows of each row's parents, the primary one first.
fn parents_of_all(repo: &Repository, place: &HashMap<Rid, usize>) -> Result<Vec<Vec<usize>>> {
    let mut query = repo
        .conn()
        .prepare_cached("SELECT cid, pid FROM plink ORDER BY cid, isprim DESC, rowid")?;
    let mut links = query.query([])?;
    let mut parents = vec![Vec::new(); place.len()];
    while let Some(link) = links.next()? {
        let (child, parent): (Rid, Rid) = (link.get(0)?, link.get(1)?);
        if let (Some(child), Some(parent)) = (place.get(&child), place.get(&parent))
            && let Some(parents) = parents.get_mut(*child)
        {
            parents.push(*parent);
        }
    }
    Ok(parents)
}
