//! `edgesync config`: a repository's settings.

use clap::{Args, Subcommand};
use libfossil::db::{Access, Repository};
use serde_json::json;

use crate::error::{Failure, Kind};
use crate::locate::RepositoryArg;
use crate::output::{Output, printable};
use crate::repo::failure::database;
use crate::repo::now;

/// What may be set: Fossil's settings, and what a project says about itself. Anything else in the table of settings is
/// a repository's identity or its programs' own notes.
const SETTINGS: &[&str] = &[
    "access-log",
    "admin-log",
    "allow-symlinks",
    "auto-captcha",
    "auto-hyperlink",
    "auto-hyperlink-delay",
    "auto-hyperlink-mouseover",
    "auto-shun",
    "autosync",
    "autosync-tries",
    "backoffice-disable",
    "backoffice-logfile",
    "backoffice-nodelay",
    "binary-glob",
    "case-sensitive",
    "chat-alert-sound",
    "chat-initial-history",
    "chat-inline-images",
    "chat-keep-count",
    "chat-keep-days",
    "chat-poll-timeout",
    "chat-timeline-user",
    "clean-glob",
    "clearsign",
    "comment-format",
    "crlf-glob",
    "crnl-glob",
    "default-csp",
    "default-perms",
    "diff-binary",
    "diff-command",
    "dont-commit",
    "dont-push",
    "dotfiles",
    "editor",
    "email-admin",
    "email-listid",
    "email-renew-interval",
    "email-self",
    "email-send-command",
    "email-send-db",
    "email-send-dir",
    "email-send-method",
    "email-send-relayhost",
    "email-subname",
    "email-url",
    "empty-dirs",
    "encoding-glob",
    "exec-rel-paths",
    "fileedit-glob",
    "forbid-delta-manifests",
    "gdiff-command",
    "gmerge-command",
    "hash-digits",
    "hooks",
    "http-port",
    "https-login",
    "ignore-glob",
    "keep-glob",
    "large-file-size",
    "localauth",
    "lock-timeout",
    "main-branch",
    "mainmenu",
    "manifest",
    "max-cache-entry",
    "max-download",
    "max-download-time",
    "max-loadavg",
    "max-upload",
    "mimetypes",
    "mtime-changes",
    "mv-rm-files",
    "pgp-command",
    "preferred-diff-type",
    "project-description",
    "project-name",
    "proxy",
    "redirect-to-https",
    "relative-paths",
    "repo-cksum",
    "repolist-skin",
    "safe-html",
    "self-pw-reset",
    "self-register",
    "sitemap-extra",
    "ssh-command",
    "ssl-ca-location",
    "ssl-identity",
    "tcl",
    "tcl-setup",
    "tclsh",
    "th1-docs",
    "th1-hooks",
    "th1-setup",
    "th1-uri-regexp",
    "ticket-default-report",
    "timeline-utc",
    "user-color-map",
    "uv-sync",
    "web-browser",
];

/// Show and change a repository's settings
#[derive(Args)]
#[command(visible_alias = "settings")]
pub(crate) struct Config {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Subcommand)]
enum ConfigVerb {
    /// List all settings with their values
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Print the value of a setting
    Get {
        /// The setting
        name: String,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Change a setting
    Set {
        /// The setting
        name: String,
        /// Its new value
        value: String,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Forget a setting, so that its default counts again
    Unset {
        /// The setting
        name: String,
        #[command(flatten)]
        repository: RepositoryArg,
    },
}

impl Config {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.verb {
            ConfigVerb::Ls { repository } => list(&repository.open(Access::ReadOnly)?, out),
            ConfigVerb::Get { name, repository } => {
                get(&repository.open(Access::ReadOnly)?, &name, out)
            }
            ConfigVerb::Set {
                name,
                value,
                repository,
            } => {
                check_name(&name)?;
                let mut repository = repository.open(Access::ReadWrite)?;
                repository
                    .write(now(), |tx| tx.set_config(&name, &value))
                    .map_err(database)?;
                out.print(&shape(&name, Some(&value)), |_| String::new())
            }
            ConfigVerb::Unset { name, repository } => {
                check_name(&name)?;
                let mut repository = repository.open(Access::ReadWrite)?;
                repository
                    .write(now(), |tx| tx.unset_config(&name))
                    .map_err(database)?;
                out.print(&shape(&name, None), |_| String::new())
            }
        }
    }
}

fn list(repository: &Repository, out: Output) -> Result<(), Failure> {
    let mut values = Vec::with_capacity(SETTINGS.len());
    for name in SETTINGS {
        values.push((*name, repository.config(name).map_err(database)?));
    }
    if out.json {
        return out.json(
            &values
                .iter()
                .map(|(name, value)| shape(name, value.as_deref()))
                .collect::<Vec<_>>(),
        );
    }
    let lines: String = values
        .iter()
        .map(|(name, value)| match value {
            Some(value) => printable(&format!("{name:<20} (local)  {value}")) + "\n",
            None => format!("{name:<20}\n"),
        })
        .collect();
    out.bytes(lines.as_bytes())
}

fn get(repository: &Repository, name: &str, out: Output) -> Result<(), Failure> {
    check_name(name)?;
    let value = repository.config(name).map_err(database)?;
    if out.json {
        return out.json(&shape(name, value.as_deref()));
    }
    match value {
        Some(value) => out.line(value),
        None => Err(Failure::new(
            Kind::NotFound,
            format!("{name} is not set here, so its default counts"),
        )
        .hint(format!("edgesync config set {name} VALUE"))),
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if SETTINGS.contains(&name) {
        return Ok(());
    }
    Err(
        Failure::new(Kind::NotFound, format!("no such setting: {name}"))
            .hint("edgesync config ls shows all of them"),
    )
}

fn shape(name: &str, value: Option<&str>) -> serde_json::Value {
    json!({ "name": name, "value": value })
}
