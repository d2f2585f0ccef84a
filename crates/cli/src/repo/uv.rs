//! `edgesync uv`: unversioned files, of which only the newest content is kept.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use libfossil::db::{self, Access, Repository, Transaction};
use libfossil::time::Timestamp;
use libfossil::uv::{UvFile, check_name};
use libfossil::xfer::client::Goal;
use serde_json::json;

use crate::error::{Failure, Kind, OrFail};
use crate::locate::RepositoryArg;
use crate::output::{Output, printable};
use crate::repo::failure::{database, unreadable};
use crate::repo::transfer::PeerArgs;
use crate::repo::{now, parse_time};

/// Keep files of which only the newest content matters
#[derive(Args)]
#[command(visible_alias = "unversioned")]
pub(crate) struct Uv {
    #[command(subcommand)]
    verb: UvVerb,
}

#[derive(Subcommand)]
enum UvVerb {
    /// Add files, or give those that are there new content
    Add {
        /// The files; a file's own name is its name here
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Another name for the one file
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Print the names of all files
    Ls {
        /// Show hash, time and sizes too
        #[arg(short = 'l')]
        long: bool,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// List all files with hash, time and sizes
    List {
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Print files
    Cat {
        /// The names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Write a file to the disk
    Export {
        /// The name
        name: String,
        /// Where to write it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Print the hash over all files, equal where the files are
    Hash {
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Exchange unversioned files, and nothing else, with a server or another file
    Sync {
        #[command(flatten)]
        peer: PeerArgs,
    },
    /// Remove files; the next sync removes them elsewhere too
    #[command(visible_aliases = ["remove", "delete"])]
    Rm {
        /// The names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Give files another time, so that they count as the newest in the next sync
    Touch {
        /// The names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        repository: RepositoryArg,
    },
}

/// The time that a change carries. Of two changes to one file, the one with the newer time counts.
#[derive(Args, Clone, Copy)]
struct At {
    /// When it was, as YYYY-MM-DDTHH:MM:SS in UTC; otherwise now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    mtime: Option<Timestamp>,
}

impl At {
    fn unix_seconds(self) -> i64 {
        self.mtime.unwrap_or_else(now).unix_seconds()
    }
}

impl Uv {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.verb {
            UvVerb::Add {
                files,
                name,
                at,
                repository,
            } => add(
                &mut repository.open(Access::ReadWrite)?,
                &files,
                name.as_deref(),
                at,
                out,
            ),
            UvVerb::Ls { long, repository } => list(&repository.open(Access::ReadOnly)?, long, out),
            UvVerb::List { repository } => list(&repository.open(Access::ReadOnly)?, true, out),
            UvVerb::Cat { names, repository } => {
                cat(&repository.open(Access::ReadOnly)?, &names, out)
            }
            UvVerb::Export {
                name,
                file,
                repository,
            } => export(&repository.open(Access::ReadOnly)?, &name, &file, out),
            UvVerb::Hash { repository } => hash(&repository.open(Access::ReadOnly)?, out),
            UvVerb::Sync { peer } => peer.exchange(
                "Sync",
                Goal {
                    unversioned: true,
                    ..Goal::default()
                },
                out,
            ),
            UvVerb::Rm {
                names,
                at,
                repository,
            } => {
                let mtime = at.unix_seconds();
                let mut repository = repository.open(Access::ReadWrite)?;
                change(&mut repository, &names, |tx, name| {
                    tx.delete_unversioned(name, mtime)
                })?;
                out.print(&json!({ "removed": names }), |_| String::new())
            }
            UvVerb::Touch {
                names,
                at,
                repository,
            } => {
                let mtime = at.unix_seconds();
                let mut repository = repository.open(Access::ReadWrite)?;
                change(&mut repository, &names, |tx, name| {
                    tx.touch_unversioned(name, mtime)
                })?;
                let shape = json!({ "touched": names, "time": seconds_words(mtime) });
                out.print(&shape, |_| String::new())
            }
        }
    }
}

fn add(
    repository: &mut Repository,
    files: &[PathBuf],
    name: Option<&str>,
    at: At,
    out: Output,
) -> Result<(), Failure> {
    if name.is_some() && files.len() != 1 {
        return Err(
            Failure::new(Kind::Usage, "--as names one file").hint("add the files one by one")
        );
    }
    let algorithm = repository.hash_policy().map_err(database)?.algorithm();
    let mut contents = Vec::new();
    for file in files {
        let name = match name {
            Some(name) => name.to_owned(),
            None => file.to_string_lossy().trim_start_matches("./").to_owned(),
        };
        check_name(&name).or_fail(Kind::Refused, file.display())?;
        let content = fs::read(file).map_err(|error| unreadable(file, &error))?;
        contents.push((
            name,
            libfossil::name::HashName::of(algorithm, &content),
            content,
        ));
    }
    let mtime = at.unix_seconds();
    repository
        .write(now(), |tx| {
            contents.iter().try_for_each(|(name, hash, content)| {
                tx.put_unversioned(name, mtime, hash, content)
            })
        })
        .map_err(database)?;
    let names: Vec<&String> = contents.iter().map(|(name, ..)| name).collect();
    out.print(&json!({ "added": names }), |_| String::new())
}

fn list(repository: &Repository, long: bool, out: Output) -> Result<(), Failure> {
    let files = repository.unversioned().map_err(database)?;
    let present: Vec<(&UvFile, &libfossil::name::HashName)> = files
        .iter()
        .filter_map(|file| Some((file, file.hash.as_ref()?)))
        .collect();
    if out.json {
        let shapes = present.iter().map(|(file, hash)| {
            json!({ "name": file.name, "hash": hash.as_str(), "size": file.size, "time": seconds_words(file.mtime) })
        });
        return out.json(&shapes.collect::<Vec<_>>());
    }
    let mut text = String::new();
    for (file, hash) in present {
        if long {
            let time = seconds_words(file.mtime).to_string().replace('T', " ");
            let stored = repository
                .unversioned_stored_bytes(&file.name)
                .map_err(database)?;
            let short = hash.as_str().get(..12).unwrap_or_default();
            text.push_str(&format!(
                "{short} {} {:>8} {stored:>8} ",
                time.get(..19).unwrap_or(&time),
                file.size
            ));
        }
        text.push_str(&format!("{}\n", printable(&file.name)));
    }
    out.bytes(text.as_bytes())
}

fn hash(repository: &Repository, out: Output) -> Result<(), Failure> {
    let hash = repository.unversioned_hash().map_err(database)?;
    out.print(&json!({ "hash": hash }), |_| format!("{hash}\n"))
}

fn seconds_words(seconds: i64) -> edgesync_agent::api::Time {
    edgesync_agent::api::Time::from_unix_millis(seconds.saturating_mul(1000))
}

fn cat(repository: &Repository, names: &[String], out: Output) -> Result<(), Failure> {
    let mut shapes = Vec::new();
    for name in names {
        let content = content(repository, name)?;
        if out.json {
            shapes.push(json!({ "name": name, "size": content.len(), "text": std::str::from_utf8(&content).ok() }));
        } else {
            out.bytes(&content)?;
        }
    }
    if out.json { out.json(&shapes) } else { Ok(()) }
}

fn export(
    repository: &Repository,
    name: &str,
    file: &std::path::Path,
    out: Output,
) -> Result<(), Failure> {
    fs::write(file, content(repository, name)?).or_fail(Kind::Failed, file.display())?;
    out.print(&json!({ "name": name, "path": file }), |_| String::new())
}

/// Makes one change to each of `names`, all of which have to be there.
fn change(
    repository: &mut Repository,
    names: &[String],
    make: impl Fn(&mut Transaction<'_>, &str) -> db::Result<()>,
) -> Result<(), Failure> {
    for name in names {
        let file = repository.unversioned_file(name).map_err(database)?;
        if file.is_none_or(|file| file.hash.is_none()) {
            return Err(missing(name));
        }
    }
    repository
        .write(now(), |tx| names.iter().try_for_each(|name| make(tx, name)))
        .map_err(database)
}

fn content(repository: &Repository, name: &str) -> Result<bytes::Bytes, Failure> {
    repository
        .unversioned_content(name)
        .map_err(database)?
        .ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Failure {
    Failure::new(
        Kind::NotFound,
        format!("no unversioned file {}", printable(name)),
    )
    .hint("edgesync uv ls shows all of them")
}
