//! `edgesync verify` and `edgesync rebuild`: whether everything is what it should be, and putting right what can be recomputed.

use clap::Args;
use libfossil::db::Access;
use libfossil::rebuild::Trust;
use libfossil::verify::Problem;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::locate::GivenRepository;
use crate::output::Output;
use crate::repo::failure::database;
use crate::repo::now;

/// Read every artifact, compare it with its name, and look whether the tables fit
#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    repository: GivenRepository,
}

/// Compute anew what is derived from the artifacts
#[derive(Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    repository: GivenRepository,
}

impl Verify {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let repository = self.repository.open(Access::ReadOnly)?;
        let mut progress = out.progress("Verify");
        let verified = repository
            .verify(|done, total| progress.update(count(done), Some(count(total)), ""))
            .map_err(database)?;
        drop(progress);
        let name = |rid| {
            repository
                .name(rid)
                .map_or_else(|_| format!("row {rid}"), |name| name.to_string())
        };
        let problems: Vec<(Value, String)> = verified
            .problems
            .iter()
            .map(|problem| match problem {
                Problem::Content { rid, error } => {
                    let text = crate::error::chain(error);
                    (
                        json!({ "hash": name(*rid), "message": text }),
                        format!("{}: {text}", name(*rid)),
                    )
                }
                Problem::Table {
                    table,
                    complaint,
                    rows,
                    ..
                } => {
                    let shape = json!({ "table": table, "message": complaint, "rows": rows });
                    (shape, format!("table {table}: {complaint} ({rows} rows)"))
                }
                other => (
                    json!({ "message": format!("{other:?}") }),
                    format!("{other:?}"),
                ),
            })
            .collect();
        let shape = json!({
            "ok": problems.is_empty(),
            "artifacts": verified.artifacts,
            "structural": verified.structural,
            "problems": problems.iter().map(|(shape, _)| shape).collect::<Vec<_>>(),
        });
        out.print(&shape, |_| {
            let mut text: String = problems
                .iter()
                .map(|(_, words)| format!("{words}\n"))
                .collect();
            text.push_str(&format!(
                "{} artifacts checked: {} errors\n",
                verified.artifacts,
                problems.len()
            ));
            text
        })?;
        if problems.is_empty() {
            return Ok(());
        }
        if !out.json {
            out.note("hint: edgesync rebuild puts tables right; damaged artifacts come back with edgesync pull --verily");
        }
        Err(Failure::told())
    }
}

impl Rebuild {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let mut repository = self.repository.open(Access::ReadWrite)?;
        let mut progress = out.progress("Rebuild");
        let rebuilt = repository
            .rebuild(now(), Trust::Stored, |done, total| {
                progress.update(count(done), Some(count(total)), "");
            })
            .map_err(database)?;
        drop(progress);
        let damaged: Vec<String> = rebuilt
            .damaged
            .iter()
            .map(|(rid, _)| {
                repository
                    .name(*rid)
                    .map_or_else(|_| format!("row {rid}"), |name| name.to_string())
            })
            .collect();
        let shape = json!({ "artifacts": rebuilt.artifacts, "structural": rebuilt.structural, "damaged": damaged });
        out.print(&shape, |_| {
            let mut text: String = damaged
                .iter()
                .map(|name| format!("{name} is damaged and was left out\n"))
                .collect();
            text.push_str(&format!(
                "{} artifacts, {} of them structural\n",
                rebuilt.artifacts, rebuilt.structural
            ));
            text
        })?;
        if damaged.is_empty() {
            Ok(())
        } else {
            Err(Failure::told())
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
