//! `edgesync cat`: files as they are in a version.

use clap::Args;
use edgesync_agent::api;
use libfossil::db::Access;
use libfossil::history;
use libfossil::name::RepoPath;

use crate::error::{Failure, Kind, OrFail};
use crate::locate::{RepositoryArg, version_or_default};
use crate::output::{Output, printable};
use crate::repo::failure::database;

/// Print files as they are in a version
#[derive(Args)]
pub(crate) struct Cat {
    /// The files, by their paths in the repository
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// The version; otherwise the one checked out here, or the newest
    #[arg(short = 'r', long = "version", value_name = "VERSION")]
    version: Option<String>,

    #[command(flatten)]
    repository: RepositoryArg,
}

impl Cat {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let repository = self.repository.open(Access::ReadOnly)?;
        let rid = version_or_default(&repository, self.version.as_deref())?;
        let mut shapes = Vec::new();
        for name in &self.files {
            let path: RepoPath<'_> =
                RepoPath::new(name.as_bytes()).or_fail(Kind::Usage, printable(name))?;
            let (entry, content) = history::file(&repository, rid, &path)
                .map_err(database)?
                .ok_or_else(|| {
                    Failure::new(Kind::NotFound, format!("no file {path} in this version"))
                        .hint("edgesync ls shows the files")
                })?;
            if !out.json {
                out.bytes(&content)?;
                continue;
            }
            let text = std::str::from_utf8(&content)
                .ok()
                .filter(|text| !text.contains('\0'));
            shapes.push(api::FileContent {
                path: entry.path.to_str_lossy().into_owned(),
                hash: entry.name.to_string(),
                size: u64::try_from(content.len()).unwrap_or(u64::MAX),
                permissions: entry.permission.into(),
                binary: text.is_none(),
                text: text.map(str::to_owned),
                truncated: false,
            });
        }
        if out.json { out.json(&shapes) } else { Ok(()) }
    }
}
