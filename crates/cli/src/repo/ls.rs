//! `edgesync ls`: the files of a version.

use std::cmp::Reverse;
use std::collections::HashMap;

use clap::Args;
use edgesync_agent::api;
use libfossil::db::{Access, Repository};
use libfossil::history::{self, FileEntry};

use crate::error::{Failure, Kind};
use crate::locate::{RepositoryArg, version_or_default};
use crate::output::{Output, printable};
use crate::repo::failure::database;

/// List the files of a version
#[derive(Args)]
pub(crate) struct Ls {
    /// Only these files, and those in these folders
    paths: Vec<String>,

    /// The version; otherwise the one checked out here, or the newest
    #[arg(short = 'r', long = "version", value_name = "VERSION")]
    version: Option<String>,

    /// Show since when each file is as it is, and its size
    #[arg(short, long)]
    verbose: bool,

    /// Show since when each file is as it is
    #[arg(long)]
    age: bool,

    /// Sort by that, the newest first
    #[arg(short = 't')]
    by_time: bool,

    #[command(flatten)]
    repository: RepositoryArg,
}

impl Ls {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let repository = self.repository.open(Access::ReadOnly)?;
        let rid = version_or_default(&repository, self.version.as_deref())?;
        let mut files = history::files(&repository, rid).map_err(database)?;
        files.retain(|file| {
            self.paths.is_empty() || self.paths.iter().any(|path| lies_in(file, path))
        });
        if out.json {
            let entries: Result<Vec<_>, _> = files
                .iter()
                .map(|file| api::FileEntry::read(&repository, file))
                .collect();
            let hash = repository.name(rid).map_err(database)?.to_string();
            return out.json(&api::FileList {
                hash,
                files: entries.map_err(database)?,
            });
        }
        for path in &self.paths {
            if !files.iter().any(|file| lies_in(file, path)) {
                return Err(Failure::new(
                    Kind::NotFound,
                    format!("no file {} in this version", printable(path)),
                ));
            }
        }
        let since = if self.verbose || self.age || self.by_time {
            history::first_seen(&repository, rid).map_err(database)?
        } else {
            HashMap::new()
        };
        if self.by_time {
            files.sort_by_key(|file| Reverse(since.get(&file.name).copied()));
        } else {
            // Stock sorts without regard to case when a version is named.
            files.sort_by_cached_key(|file| file.path.to_str_lossy().to_lowercase());
        }
        let mut text = String::new();
        for file in &files {
            if self.verbose || self.age {
                let at = since
                    .get(&file.name)
                    .map_or_else(|| "-".to_owned(), |at| at.to_string().replace('T', " "));
                text.push_str(&format!("{:<19}  ", at.get(..19).unwrap_or(&at)));
            }
            if self.verbose {
                text.push_str(&format!("{:>7}  ", size_words(&repository, file)?));
            }
            text.push_str(&printable(&file.path.to_str_lossy()));
            text.push('\n');
        }
        out.bytes(text.as_bytes())
    }
}

fn lies_in(file: &FileEntry, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let own = file.path.to_str_lossy();
    own.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn size_words(repository: &Repository, file: &FileEntry) -> Result<String, Failure> {
    Ok(file
        .size(repository)
        .map_err(database)?
        .map_or_else(|| "-".to_owned(), |size| size.to_string()))
}
