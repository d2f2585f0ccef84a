//! `edgesync info`: what a repository or a check-in is.

use std::cmp::Reverse;
use std::path::Path;

use clap::Args;
use edgesync_agent::check_in;
use libfossil::checkout::CheckOut;
use libfossil::db::{Access, Repository};
use libfossil::history::{CheckInDetails, EventKind, Relative, count, describe, resolve};
use libfossil::time::Timestamp;
use serde_json::json;

use crate::error::Failure;
use crate::locate::{RepositoryArg, current_dir};
use crate::output::{Output, printable};
use crate::repo::failure::{database, is_file_name, version};

/// Digits of a hash that stock shows here.
const HASH_DIGITS: usize = 40;

/// Show what a repository or a check-in is
#[derive(Args)]
pub(crate) struct Info {
    /// A version, or a repository's file; otherwise the check-out here, or the repository
    #[arg(value_name = "VERSION|FILE")]
    what: Option<String>,

    #[command(flatten)]
    repository: RepositoryArg,
}

impl Info {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        if let Some(what) = &self.what
            && self.repository.repo.is_none()
            && (Path::new(what).is_file() || is_file_name(what))
        {
            let repository = Repository::open(what, Access::ReadOnly).map_err(database)?;
            return of_repository(&repository, None, out);
        }
        let repository = self.repository.open(Access::ReadOnly);
        let repository = repository.map_err(|failure| match &self.what {
            // What is there is meant, and why it is no repository says more.
            Some(what) if self.repository.repo.is_none() && Path::new(what).exists() => {
                Repository::open(what, Access::ReadOnly).map_or_else(database, |_| failure)
            }
            _ => failure,
        })?;
        match &self.what {
            Some(name) => {
                let rid = resolve(&repository, name).map_err(version)?;
                let details = describe(&repository, rid).map_err(version)?;
                if out.json {
                    return out.json(&check_in(&repository, details.name.as_str())?);
                }
                out.bytes(words(&repository, &details, "hash:")?.as_bytes())
            }
            None if self.repository.repo.is_none() => {
                let check_out = CheckOut::around(&current_dir()?).map_err(database)?;
                of_repository(&repository, check_out.as_ref(), out)
            }
            None => of_repository(&repository, None, out),
        }
    }
}

fn of_repository(
    repository: &Repository,
    check_out: Option<&CheckOut>,
    out: Output,
) -> Result<(), Failure> {
    let name = repository.config("project-name").map_err(database)?;
    let code = repository.project_code().map_err(database)?;
    let check_ins = count(repository, EventKind::CheckIn).map_err(database)?;
    let path = repository
        .path()
        .canonicalize()
        .unwrap_or_else(|_| repository.path().to_owned());
    let shown = match check_out.and_then(CheckOut::version) {
        Some(version) => repository.rid(version).map_err(database)?,
        None => None,
    };
    if out.json {
        return out.json(&json!({
            "path": path,
            "project_name": name,
            "project_code": code.as_str(),
            "check_ins": check_ins,
            "check_out": check_out.map(|it| json!({ "root": it.root(), "hash": it.version().map(ToString::to_string) })),
        }));
    }
    let mut text = format!(
        "project-name: {}\n",
        printable(name.as_deref().unwrap_or("<unnamed>"))
    );
    if let Some(check_out) = check_out {
        text.push_str(&format!("repository:   {}\n", path.display()));
        text.push_str(&format!("local-root:   {}/\n", check_out.root().display()));
    }
    text.push_str(&format!("project-code: {code}\n"));
    if let Some(rid) = shown {
        let details = describe(repository, rid).map_err(version)?;
        text.push_str(&words(repository, &details, "checkout:")?);
    }
    text.push_str(&format!("check-ins:    {check_ins}\n"));
    out.bytes(text.as_bytes())
}

/// Returns a check-in in stock's words, its own hash under `label`.
fn words(
    repository: &Repository,
    details: &CheckInDetails,
    label: &str,
) -> Result<String, Failure> {
    let line = |label: &str, hash: &str, time: Timestamp| {
        let time = time.to_string().replace('T', " ");
        format!(
            "{label:<13} {} {} UTC\n",
            hash.get(..HASH_DIGITS).unwrap_or(hash),
            time.get(..19).unwrap_or(&time)
        )
    };
    let mut text = line(label, details.name.as_str(), details.time);
    let families = [
        (&details.parents, "parent:", "merged-from:"),
        (&details.children, "child:", "merged-into:"),
    ];
    for (relatives, usual, by_merge) in families {
        for (relative, time) in in_stocks_order(repository, relatives) {
            let label = if relative.merge { by_merge } else { usual };
            text.push_str(&line(label, relative.name.as_str(), time));
        }
    }
    text.push_str(&format!(
        "{:<13} {}\n",
        "tags:",
        printable(&details.names.join(", "))
    ));
    let comment = details
        .comment
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    text.push_str(&format!(
        "{:<13} {} (user: {})\n",
        "comment:",
        printable(&comment),
        printable(&details.user)
    ));
    Ok(text)
}

/// Returns the relatives whose time is known, as they are more than names: merges last, the newest of each kind first.
fn in_stocks_order<'d>(
    repository: &Repository,
    relatives: &'d [Relative],
) -> Vec<(&'d Relative, Timestamp)> {
    let timed = relatives.iter().filter_map(|relative| {
        let own = describe(repository, relative.rid).ok()?;
        Some((relative, own.time))
    });
    let mut ordered: Vec<_> = timed.collect();
    ordered.sort_by_key(|(relative, time)| (relative.merge, Reverse(*time), relative.rid));
    ordered
}
