//! `edgesync ci`: a check-in of named files.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use libfossil::artifact::Permission;
use libfossil::checkin::{self, Change, CheckInError, Committed, Date, NewCheckIn};
use libfossil::db::{Access, Repository, Visibility};
use libfossil::history::{branch_of, describe, resolve};
use libfossil::name::{HashName, RepoPath};
use libfossil::time::Timestamp;
use serde_json::json;

use crate::error::{Failure, Kind, OrFail, chain};
use crate::locate::{RepositoryArg, check_out_of, current_dir};
use crate::output::Output;
use crate::repo::failure::{database, unreadable, version};
use crate::repo::{now, parse_time, user};

/// Check in files
///
/// Files that are not named stay as they are in the version before, which is the newest of the branch. Names are those below
/// the check-out around here; without one, the path from the current folder is a file's name in the repository.
#[derive(Args)]
pub(crate) struct Ci {
    /// The files to put in; whether a file is executable or a symbolic link is kept
    #[arg(value_name = "FILE", required_unless_present_any = ["delete", "tag", "allow_empty"])]
    files: Vec<PathBuf>,

    /// What to say about it
    #[arg(
        short = 'm',
        long = "comment",
        visible_alias = "message",
        value_name = "TEXT",
        required_unless_present = "message_file"
    )]
    comment: Option<String>,

    /// Read what to say from this file
    #[arg(short = 'M', long, value_name = "FILE", conflicts_with = "comment")]
    message_file: Option<PathBuf>,

    /// A file to take out; may be given again
    #[arg(long, value_name = "FILE")]
    delete: Vec<PathBuf>,

    /// The branch to continue or to start
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,

    /// The version to stand on, even if others have followed it
    #[arg(long, value_name = "VERSION")]
    parent: Option<String>,

    /// A name for this version; may be given again
    #[arg(long, value_name = "NAME")]
    tag: Vec<String>,

    /// Who it is by; otherwise the default user
    #[arg(long, value_name = "LOGIN")]
    user_override: Option<String>,

    /// When it was, as YYYY-MM-DDTHH:MM:SS in UTC, later than the version before; otherwise now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    date_override: Option<Timestamp>,

    /// Keep it here: it is not sent in syncs
    #[arg(long)]
    private: bool,

    /// Make it even if nothing changes
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    repository: RepositoryArg,
}

impl Ci {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let mut repository = self.repository.open(Access::ReadWrite)?;
        let check_out = check_out_of(&repository)?;
        let folder = current_dir()?;
        let base = check_out.as_ref().map_or(folder.as_path(), |it| it.root());
        let base = base.canonicalize().or_fail(Kind::Failed, base.display())?;
        let shown = check_out.as_ref().and_then(|it| it.version().copied());
        let parent = match &self.parent {
            Some(name) => Some(named(&repository, name)?),
            None => continued(&repository, shown, self.branch.as_deref())?,
        };
        let user = match &self.user_override {
            Some(login) => login.clone(),
            None => user::acting(&repository)?,
        };
        let comment = self.comment()?;
        let new = NewCheckIn {
            parent,
            branch: self.branch.as_deref(),
            changes: self.changes(&base, repository.path())?,
            tags: self.tag.iter().map(String::as_str).collect(),
            date: self.date_override.map_or(Date::Now, Date::Exactly),
            visibility: if self.private {
                Visibility::Private
            } else {
                Visibility::Public
            },
            allow_empty: self.allow_empty,
            ..NewCheckIn::new(&user, &comment)
        };
        let made = checkin::commit(&mut repository, now(), &new).map_err(refused)?;
        if shown.is_some() {
            out.note(
                "the check-out here still shows the version before; `fossil update` brings it up",
            );
        }
        report(&made, out)
    }

    fn comment(&self) -> Result<String, Failure> {
        let comment = self.given_comment()?;
        if comment.trim().is_empty() {
            return Err(Failure::new(Kind::Usage, "the comment is empty")
                .hint("say what changes with -m TEXT"));
        }
        Ok(comment)
    }

    fn given_comment(&self) -> Result<String, Failure> {
        match (&self.comment, &self.message_file) {
            (Some(comment), _) => Ok(comment.clone()),
            (None, Some(path)) => Ok(fs::read_to_string(path)
                .or_fail(Kind::Failed, path.display())?
                .trim_end()
                .to_owned()),
            (None, None) => {
                Err(Failure::new(Kind::Usage, "a comment is missing").hint("say it with -m TEXT"))
            }
        }
    }

    fn changes(&self, base: &Path, repository: &Path) -> Result<Vec<Change>, Failure> {
        let repository = repository
            .canonicalize()
            .or_fail(Kind::Failed, repository.display())?;
        let put = self.files.iter().map(|file| {
            // Each version would hold all versions before it.
            if file.canonicalize().is_ok_and(|file| file == repository) {
                let message = format!("{} is the repository itself", file.display());
                return Err(Failure::new(Kind::Refused, message));
            }
            put(base, file)
        });
        let delete = self.delete.iter().map(|file| {
            Ok(Change::Delete {
                path: name_below(base, file)?,
            })
        });
        put.chain(delete).collect()
    }
}

fn report(made: &Committed, out: Output) -> Result<(), Failure> {
    let shape = json!({
        "hash": made.name.as_str(),
        "branch": made.branch,
        "parent": made.parent.as_ref().map(HashName::as_str),
    });
    out.print(&shape, |_| format!("New_Version: {}\n", made.name))
}

fn named(repository: &Repository, name: &str) -> Result<HashName, Failure> {
    let rid = resolve(repository, name).map_err(version)?;
    repository.name(rid).map_err(database)
}

/// Returns the version to stand on where none is named: the one that the check-out shows, if there is one. What others
/// have put on the same branch since must not be lost behind the files of an older version.
fn continued(
    repository: &Repository,
    shown: Option<HashName>,
    branch: Option<&str>,
) -> Result<Option<HashName>, Failure> {
    let Some(shown) = shown else { return Ok(None) };
    let Some(rid) = repository.rid(&shown).map_err(database)? else {
        return Ok(None);
    };
    let details = describe(repository, rid).map_err(version)?;
    let stays = branch.is_none_or(|branch| branch == details.branch);
    for child in details
        .children
        .iter()
        .filter(|child| stays && !child.merge)
    {
        if branch_of(repository, child.rid).map_err(database)? == details.branch {
            return Err(Failure::new(Kind::Refused, format!("the check-out here is not at the end of {}", details.branch))
                .hint("fossil update brings it there; --branch NAME starts a branch, --parent VERSION a fork"));
        }
    }
    Ok(Some(shown))
}

/// Returns the change that puts this file in as it is on the disk.
fn put(base: &Path, file: &Path) -> Result<Change, Failure> {
    let path = name_below(base, file)?;
    let about = fs::symlink_metadata(file).map_err(|error| unreadable(file, &error))?;
    let (content, permission) = if about.is_symlink() {
        let target = fs::read_link(file).or_fail(Kind::Failed, file.display())?;
        (
            Bytes::from(target.into_os_string().into_encoded_bytes()),
            Permission::Symlink,
        )
    } else if about.is_file() {
        let content = fs::read(file).map_err(|error| unreadable(file, &error))?;
        (
            Bytes::from(content),
            if is_executable(&about) {
                Permission::Executable
            } else {
                Permission::Regular
            },
        )
    } else {
        let hint = if about.is_dir() {
            "name the files in it one by one"
        } else {
            "only files and symbolic links can be checked in"
        };
        return Err(Failure::new(Kind::Usage, format!("{} is no file", file.display())).hint(hint));
    };
    Ok(Change::Put {
        path,
        content,
        permission,
    })
}

#[cfg(unix)]
fn is_executable(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o111 != 0
}

/// Other systems have no such mark.
#[cfg(not(unix))]
fn is_executable(_about: &fs::Metadata) -> bool {
    false
}

/// Returns the name that a file has in the repository: its path below `base`. Its folder is taken as it really is, so that no
/// symbolic link leads out; the file itself may be one.
fn name_below(base: &Path, file: &Path) -> Result<RepoPath<'static>, Failure> {
    let outside = || {
        Failure::new(
            Kind::Refused,
            format!("{} is outside {}", file.display(), base.display()),
        )
        .hint("run the command in the folder that the files are to be named from")
    };
    let name = file.file_name().ok_or_else(outside)?;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => current_dir()?,
    };
    let folder = existing_part(&folder)?;
    let below = folder.strip_prefix(base).map_err(|_| outside())?;
    let parts: Vec<&[u8]> = below
        .components()
        .map(Component::as_os_str)
        .chain(std::iter::once(name))
        .map(OsStr::as_encoded_bytes)
        .collect();
    RepoPath::new(parts.join(&b'/')).or_fail(Kind::Refused, file.display())
}

/// Returns the folder without symbolic links. Of one that is gone, as of a file to take out, the part that is there counts.
fn existing_part(folder: &Path) -> Result<PathBuf, Failure> {
    let folder = std::path::absolute(folder).or_fail(Kind::Failed, folder.display())?;
    for ancestor in folder.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let gone = folder.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(real.join(gone));
        }
    }
    Ok(folder)
}

fn refused(error: CheckInError) -> Failure {
    let message = chain(&error);
    match error {
        CheckInError::Repository(error) => database(error),
        CheckInError::Empty => {
            Failure::new(Kind::Failed, message).hint("--allow-empty makes it all the same")
        }
        CheckInError::UnknownParent(_) => Failure::new(Kind::NotFound, message),
        CheckInError::NoSuchFile(_) => {
            Failure::new(Kind::NotFound, message).hint("edgesync ls shows the files")
        }
        CheckInError::NoTip { .. } => {
            Failure::new(Kind::NotFound, message).hint("name one with --parent or --branch")
        }
        CheckInError::BranchExists(_) => {
            Failure::new(Kind::Conflict, message).hint("leave out --parent, or choose another name")
        }
        CheckInError::FileExists(_) | CheckInError::FileIsDirectory { .. } => {
            Failure::new(Kind::Conflict, message)
        }
        CheckInError::Closed { .. } => {
            Failure::new(Kind::Refused, message).hint("start another branch with --branch NAME")
        }
        CheckInError::BadTagName(_) => Failure::new(Kind::Usage, message)
            .hint("choose another name, without control characters and spaces around it"),
        CheckInError::NotLater { .. } => Failure::new(Kind::Refused, message)
            .hint("give a later time, or leave --date-override out"),
        CheckInError::RepeatedParent(_) => Failure::new(Kind::Usage, message),
        _ => Failure::new(Kind::Failed, message),
    }
}
