//! The layout of a timeline's graph: which column each check-in's dot has, and which strokes join one row to the next.
//!
//! A pure function over all check-ins, newest first. Columns are stable: a line of descent keeps its column until it reaches its
//! parent, a column is used again once it is free, and column 0 belongs to the main branch alone.

/// One row of a timeline, as the layout sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A check-in, which has a dot.
    CheckIn {
        /// Which branch it is on; equal numbers are equal branches.
        branch: u32,
        /// Rows of its parents, the primary one first. Rows not below this one cannot be drawn to and are left out.
        parents: Vec<usize>,
    },
    /// Anything else: lines pass it by.
    Other,
}

/// What a stroke stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// From a check-in to its primary parent.
    Parent,
    /// From a check-in to one that was merged into it.
    Merge,
}

/// A stroke between the middle of one row and the middle of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// Column at the upper row.
    pub from: u32,
    /// Column at the lower row.
    pub to: u32,
    /// The branch that gives the stroke its colour.
    pub branch: u32,
    /// What it stands for.
    pub kind: LineKind,
}

/// Where one row's dot is, and the strokes from this row to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowLayout {
    /// Column of the dot; rows that are no check-in have none.
    pub lane: Option<u32>,
    /// Strokes to the next row, leftmost first.
    pub lines: Vec<Line>,
}

/// A whole graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// One layout a row.
    pub rows: Vec<RowLayout>,
    /// How many columns are needed.
    pub lanes: u32,
}

/// A column in use: a line on its way down to `target`.
#[derive(Clone, Copy, Debug)]
struct Lane {
    target: usize,
    branch: u32,
    kind: LineKind,
}

/// Returns the layout of `nodes`, newest first. `main` is the branch that has column 0 to itself.
///
/// Takes time proportional to rows times the columns in use.
#[must_use]
pub fn layout(nodes: &[Node], main: Option<u32>) -> Graph {
    let mut sketch = Sketch {
        main,
        lanes: Vec::new(),
        strokes: Vec::new(),
    };
    let mut rows: Vec<RowLayout> = Vec::with_capacity(nodes.len());
    for (row, node) in nodes.iter().enumerate() {
        let lane = match node {
            Node::CheckIn { branch, .. } => Some(sketch.arrive(row, *branch)),
            Node::Other => None,
        };
        let lines = sketch.strokes_into(row, lane);
        if let Some(above) = rows.last_mut() {
            above.lines = lines;
        }
        sketch.pass();
        if let (Node::CheckIn { branch, parents }, Some(lane)) = (node, lane) {
            let below = |parent: &&usize| {
                **parent > row && matches!(nodes.get(**parent), Some(Node::CheckIn { .. }))
            };
            let primary = parents.first().filter(below);
            let merged = parents.iter().skip(1).filter(below);
            sketch.depart(lane, *branch, primary.copied(), merged.copied(), nodes);
        }
        rows.push(RowLayout {
            lane: lane.map(column),
            lines: Vec::new(),
        });
    }
    let widest = rows
        .iter()
        .flat_map(|row| {
            row.lane
                .into_iter()
                .chain(row.lines.iter().map(|line| line.from.max(line.to)))
        })
        .max();
    Graph {
        rows,
        lanes: widest.map_or(0, |lane| lane + 1),
    }
}

fn column(lane: usize) -> u32 {
    u32::try_from(lane).unwrap_or(u32::MAX)
}

/// The state between two rows.
struct Sketch {
    main: Option<u32>,
    /// Columns, `None` where free.
    lanes: Vec<Option<Lane>>,
    /// Strokes that leave the row above: starting column, and the column (with what runs in it) that they join.
    strokes: Vec<(usize, usize, Lane)>,
}

impl Sketch {
    /// Gives the check-in at `row` its column and ends all lines that were on their way to it. The lines' last strokes are
    /// still in `strokes`.
    fn arrive(&mut self, row: usize, branch: u32) -> usize {
        let expecting = |lane: &Option<Lane>| lane.is_some_and(|lane| lane.target == row);
        let own = |lane: &Option<Lane>| {
            lane.is_some_and(|lane| {
                lane.target == row && lane.branch == branch && lane.kind == LineKind::Parent
            })
        };
        let first = usize::from(self.main.is_some());
        let main_column_is_free = self
            .lanes
            .first()
            .is_none_or(|lane| lane.is_none() || expecting(lane));
        let chosen = if self.main == Some(branch) && main_column_is_free {
            0
        } else {
            let outside = || self.lanes.iter().enumerate().skip(first);
            outside()
                .find(|(_, lane)| own(lane))
                .or_else(|| outside().find(|(_, lane)| expecting(lane)))
                .map_or_else(|| self.free(first), |(at, _)| at)
        };
        for lane in &mut self.lanes {
            if expecting(lane) {
                *lane = None;
            }
        }
        chosen
    }

    /// Returns the strokes from the row above into `row`, whose dot is in column `dot`.
    fn strokes_into(&self, row: usize, dot: Option<usize>) -> Vec<Line> {
        let mut lines: Vec<Line> = self
            .strokes
            .iter()
            .map(|&(from, to, lane)| {
                let to = if lane.target == row {
                    dot.unwrap_or(to)
                } else {
                    to
                };
                Line {
                    from: column(from),
                    to: column(to),
                    branch: lane.branch,
                    kind: lane.kind,
                }
            })
            .collect();
        lines.sort_by_key(|line| (line.from, line.to));
        lines.dedup();
        lines
    }

    /// Lets every line in use go straight on to the next row.
    fn pass(&mut self) {
        self.strokes.clear();
        self.strokes.extend(
            self.lanes
                .iter()
                .enumerate()
                .filter_map(|(at, lane)| lane.map(|lane| (at, at, lane))),
        );
    }

    /// Starts the lines from a dot in column `dot` down to its parents.
    fn depart(
        &mut self,
        dot: usize,
        branch: u32,
        primary: Option<usize>,
        merged: impl Iterator<Item = usize>,
        nodes: &[Node],
    ) {
        if let Some(target) = primary {
            let lane = Lane {
                target,
                branch,
                kind: LineKind::Parent,
            };
            self.occupy(dot, lane);
            self.strokes.push((dot, dot, lane));
        }
        for target in merged.filter(|target| Some(*target) != primary) {
            let branch = match nodes.get(target) {
                Some(Node::CheckIn { branch, .. }) => *branch,
                _ => branch,
            };
            let lane = Lane {
                target,
                branch,
                kind: LineKind::Merge,
            };
            let joined = self
                .lanes
                .iter()
                .position(|lane| lane.is_some_and(|lane| lane.target == target));
            let to = joined.unwrap_or_else(|| {
                let at = self.free(usize::from(self.main.is_some()));
                self.occupy(at, lane);
                at
            });
            self.strokes.push((dot, to, lane));
        }
    }

    /// Returns the first free column at or after `first`.
    fn free(&self, first: usize) -> usize {
        (first..self.lanes.len())
            .find(|&at| self.lanes.get(at).is_some_and(Option::is_none))
            .unwrap_or_else(|| self.lanes.len().max(first))
    }

    fn occupy(&mut self, at: usize, lane: Lane) {
        if self.lanes.len() <= at {
            self.lanes.resize(at + 1, None);
        }
        if let Some(slot) = self.lanes.get_mut(at) {
            *slot = Some(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_in(branch: u32, parents: &[usize]) -> Node {
        Node::CheckIn {
            branch,
            parents: parents.to_vec(),
        }
    }

    fn lanes(nodes: &[Node]) -> Vec<Option<u32>> {
        layout(nodes, Some(0))
            .rows
            .iter()
            .map(|row| row.lane)
            .collect()
    }

    #[test]
    fn a_straight_line_stays_in_one_column() {
        let nodes = [check_in(0, &[1]), Node::Other, check_in(0, &[])];
        // A row that is no check-in is no parent either.
        assert_eq!(lanes(&nodes), [Some(0), None, Some(0)]);
        let nodes = [check_in(0, &[2]), Node::Other, check_in(0, &[])];
        let graph = layout(&nodes, Some(0));
        let straight = Line {
            from: 0,
            to: 0,
            branch: 0,
            kind: LineKind::Parent,
        };
        assert_eq!(graph.rows[0].lines, [straight]);
        assert_eq!(graph.rows[1].lines, [straight]);
        assert_eq!(graph.lanes, 1);
    }

    #[test]
    fn the_main_branch_keeps_column_zero_and_others_reuse_theirs() {
        let nodes = [
            check_in(1, &[2]),
            check_in(0, &[3]),
            check_in(1, &[3]),
            check_in(0, &[5]),
            check_in(2, &[5]),
            check_in(0, &[]),
        ];
        assert_eq!(
            lanes(&nodes),
            [Some(1), Some(0), Some(1), Some(0), Some(1), Some(0)]
        );
    }

    #[test]
    fn a_merge_is_drawn_to_what_was_merged() {
        let nodes = [check_in(0, &[2, 1]), check_in(1, &[2]), check_in(0, &[])];
        let graph = layout(&nodes, Some(0));
        assert_eq!(
            graph.rows[0].lines,
            [
                Line {
                    from: 0,
                    to: 0,
                    branch: 0,
                    kind: LineKind::Parent
                },
                Line {
                    from: 0,
                    to: 1,
                    branch: 1,
                    kind: LineKind::Merge
                },
            ]
        );
        assert_eq!(
            graph.rows[1].lines.last(),
            Some(&Line {
                from: 1,
                to: 0,
                branch: 1,
                kind: LineKind::Parent
            })
        );
    }

    #[test]
    fn a_fork_on_the_main_branch_gets_a_column_of_its_own() {
        let nodes = [check_in(0, &[2]), check_in(0, &[2]), check_in(0, &[])];
        assert_eq!(lanes(&nodes), [Some(0), Some(1), Some(0)]);
    }

    /// Follows the strokes from `child` and returns whether one of the ways ends in the dot of `parent`, never
    /// touching a dot on its way.
    fn is_joined(graph: &Graph, child: usize, parent: usize) -> bool {
        let mut at: Vec<u32> = graph.rows[child].lane.into_iter().collect();
        for row in child..parent {
            if row > child {
                at.retain(|column| Some(*column) != graph.rows[row].lane);
            }
            at = graph.rows[row]
                .lines
                .iter()
                .filter(|line| at.contains(&line.from))
                .map(|line| line.to)
                .collect();
        }
        graph.rows[parent]
            .lane
            .is_some_and(|lane| at.contains(&lane))
    }

    prop_compose! {
        fn histories()(rows in 2_usize..60)(
            steps in prop::collection::vec((0_u32..5, prop::collection::vec(1_usize..12, 0..3), prop::bool::weighted(0.1)), rows),
        ) -> Vec<Node> {
            let rows = steps.len();
            steps
                .into_iter()
                .enumerate()
                .map(|(row, (branch, steps, other))| {
                    if other {
                        return Node::Other;
                    }
                    let parents = steps.into_iter().map(|step| row + step).filter(|parent| *parent < rows).collect();
                    Node::CheckIn { branch, parents }
                })
                .collect()
        }
    }

    proptest! {
        #[test]
        fn every_parent_is_joined_and_no_line_runs_through_a_foreign_dot(nodes in histories(), main in prop::option::of(0_u32..5)) {
            let graph = layout(&nodes, main);
            for (row, node) in nodes.iter().enumerate() {
                let Node::CheckIn { parents, .. } = node else { continue };
                for parent in parents {
                    if matches!(nodes[*parent], Node::CheckIn { .. }) {
                        prop_assert!(is_joined(&graph, row, *parent), "{row} to {parent}: {graph:?}");
                    }
                }
            }
            for (row, pair) in graph.rows.windows(2).enumerate() {
                // A stroke that arrives at a dot belongs to that row; one that leaves a dot was started there.
                let (above, below) = (&pair[0], &pair[1]);
                for line in &above.lines {
                    let goes_on = below.lines.iter().any(|next| next.from == line.to);
                    prop_assert!(goes_on || below.lane == Some(line.to), "row {row}: {line:?} ends in the air");
                }
            }
        }
    }
}
