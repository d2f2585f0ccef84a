//! Looking whether a repository is sound: every content is read, hashed and compared with its name, and what the derived
//! tables say is held against it.
//!
//! Nothing is locked while the contents are read, so that others can work meanwhile. What looks wrong because it changed
//! just then is looked at again before it is reported.

use rusqlite::params;

use crate::db::schema::FixedTag;
use crate::db::{Error, Repository, Result, Rid};
use crate::rebuild::plan::{Plan, Scope};
use crate::rebuild::stream::{self, Found, Outcome};

/// What is wrong with a repository.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A content cannot be expanded, or is not what its name says.
    Content {
        /// The row.
        rid: Rid,
        /// Why.
        error: Error,
    },
    /// Rows of a table contradict the artifacts; a rebuild puts them right.
    Table {
        /// The table.
        table: &'static str,
        /// What is wrong with the rows.
        complaint: &'static str,
        /// How many there are.
        rows: usize,
    },
}

/// The result of looking at a whole repository.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Artifacts with content.
    pub artifacts: usize,
    /// Structural artifacts among them.
    pub structural: usize,
    /// What is wrong; nothing, in a sound repository.
    pub problems: Vec<Problem>,
}

/// Table, complaint, and a query that counts the rows concerned. `?1` is the number of the branch tag.
const TABLE_CHECKS: [(&str, &str, &str); 11] = [
    (
        "phantom",
        "does not list just the artifacts without content",
        "SELECT (SELECT count(*) FROM blob WHERE size<0 AND rid NOT IN (SELECT rid FROM phantom))
              + (SELECT count(*) FROM phantom WHERE rid NOT IN (SELECT rid FROM blob WHERE size<0))",
    ),
    (
        "delta",
        "refers to a row that is not there",
        "SELECT count(*) FROM delta WHERE rid NOT IN (SELECT rid FROM blob)
             OR srcid NOT IN (SELECT rid FROM blob)",
    ),
    (
        "delta",
        "makes a public artifact depend on a private one",
        "SELECT count(*) FROM delta WHERE srcid IN (SELECT rid FROM private)
            AND rid NOT IN (SELECT rid FROM private)",
    ),
    (
        "private",
        "lists what is not there",
        "SELECT count(*) FROM private WHERE rid NOT IN (SELECT rid FROM blob)",
    ),
    (
        "unclustered",
        "lists what is private or not there",
        "SELECT count(*) FROM unclustered WHERE rid NOT IN (SELECT rid FROM blob)
             OR rid IN (SELECT rid FROM private)",
    ),
    (
        "event",
        "has a line for what is not there",
        "SELECT count(*) FROM event WHERE objid NOT IN (SELECT rid FROM blob WHERE size>=0)",
    ),
    (
        "plink",
        "links what is not there",
        "SELECT count(*) FROM plink WHERE cid NOT IN (SELECT rid FROM blob)
             OR (pid<>0 AND pid NOT IN (SELECT rid FROM blob))",
    ),
    (
        "mlink",
        "links what is not there",
        "SELECT count(*) FROM mlink WHERE mid NOT IN (SELECT objid FROM event WHERE type='ci')
             OR fnid NOT IN (SELECT fnid FROM filename)
             OR (fid>0 AND fid NOT IN (SELECT rid FROM blob))
             OR (pid>0 AND pid NOT IN (SELECT rid FROM blob))",
    ),
    (
        "tagxref",
        "tags what is not there",
        "SELECT count(*) FROM tagxref WHERE rid NOT IN (SELECT rid FROM blob)
             OR tagid NOT IN (SELECT tagid FROM tag)",
    ),
    (
        "leaf",
        "lists a check-in that goes on",
        "SELECT count(*) FROM leaf WHERE EXISTS (SELECT 1 FROM plink WHERE pid=leaf.rid AND
             coalesce((SELECT value FROM tagxref WHERE tagid=?1 AND rid=pid), 'trunk') =
             coalesce((SELECT value FROM tagxref WHERE tagid=?1 AND rid=cid), 'trunk'))",
    ),
    (
        "leaf",
        "lacks the end of a branch",
        "SELECT count(*) FROM tagxref AS x WHERE tagid=?1 AND tagtype>0
            AND rid NOT IN (SELECT rid FROM leaf)
            AND NOT EXISTS (SELECT 1 FROM plink WHERE pid=x.rid AND x.value =
                coalesce((SELECT value FROM tagxref WHERE tagid=?1 AND rid=cid), 'trunk'))",
    ),
];

/// What a look at the contents is going through.
struct Work<'r> {
    repo: &'r Repository,
    report: Verified,
    without_line: usize,
    without_parents: usize,
}

impl Repository {
    /// Looks whether the repository is sound. `progress` hears how many of how many contents are done.
    ///
    /// # Errors
    /// Any that keeps the looking itself from going on; what is wrong with the repository is in the result.
    pub fn verify(&self, mut progress: impl FnMut(usize, usize)) -> Result<Verified> {
        let plan = Plan::new(self, Scope::Everything)?;
        let total = plan.wanted().count();
        let mut work = Work {
            repo: self,
            report: Verified::default(),
            without_line: 0,
            without_parents: 0,
        };
        for rid in &plan.unavailable {
            work.look_again(*rid);
        }
        let mut done = 0;
        stream::expand_all(
            &mut work,
            |work| work.repo,
            &plan,
            Scope::Everything,
            |work, outcome| {
                done += 1;
                progress(done, total);
                work.take(outcome)
            },
        )?;
        work.report.artifacts = total;
        let Work {
            mut report,
            without_line,
            without_parents,
            ..
        } = work;
        report.complain("blob", "has a wrong size", plan.wrong_sizes.len());
        report.complain("event", "lacks the line of a check-in", without_line);
        report.complain("plink", "lacks the parents of a check-in", without_parents);
        for (table, complaint, sql) in TABLE_CHECKS {
            let mut query = self.conn().prepare(sql)?;
            let branch = [FixedTag::Branch.id()];
            let rows: i64 = if query.parameter_count() == 0 {
                query.query_row([], |row| row.get(0))?
            } else {
                query.query_row(branch, |row| row.get(0))?
            };
            report.complain(table, complaint, usize::try_from(rows).unwrap_or_default());
        }
        Ok(report)
    }
}

impl Verified {
    fn complain(&mut self, table: &'static str, complaint: &'static str, rows: usize) {
        if rows > 0 {
            self.problems.push(Problem::Table {
                table,
                complaint,
                rows,
            });
        }
    }
}

impl Work<'_> {
    fn take(&mut self, outcome: Outcome) -> Result<()> {
        let Outcome { rid, found } = outcome;
        match found {
            Found::Plain => return Ok(()),
            Found::Structural(_) => {}
            Found::Damaged(_) => {
                self.look_again(rid);
                return Ok(());
            }
            Found::CheckIn(manifest) => {
                let has_line = self
                    .repo
                    .conn()
                    .prepare_cached("SELECT 1 FROM event WHERE objid=?1 AND type='ci'")?
                    .exists([rid])?;
                let is_orphan = self
                    .repo
                    .conn()
                    .prepare_cached("SELECT 1 FROM orphan WHERE rid=?1")?
                    .exists([rid])?;
                self.without_line += usize::from(!has_line && !is_orphan);
                let has_parents = self
                    .repo
                    .conn()
                    .prepare_cached(
                        "SELECT 1 FROM plink WHERE cid=?1
                         UNION ALL SELECT 1 FROM tagxref WHERE rid=?1 AND tagid=?2",
                    )?
                    .exists(params![rid, FixedTag::Parent.id()])?;
                let is_child = !manifest.parents.is_empty();
                self.without_parents += usize::from(is_child && !has_parents && !is_orphan);
            }
        }
        self.report.structural += 1;
        Ok(())
    }

    /// Reads a content by itself, and reports it if it is wrong still.
    fn look_again(&mut self, rid: Rid) {
        if let Err(error) = self.repo.content_afresh(rid) {
            self.report.problems.push(Problem::Content { rid, error });
        }
    }
}
