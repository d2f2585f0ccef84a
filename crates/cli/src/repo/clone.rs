//! `edgesync clone`: a repository from elsewhere, in a new file here.

use std::path::PathBuf;

use clap::Args;
use edgesync_agent::sync::{Peer, clone_once};
use libfossil::db::{Access, Repository, SPECIAL_USERS};
use libfossil::xfer::client::{Goal, NewClone};

use crate::agent::clone as from_agent;
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::password::PasswordSource;
use crate::repo::failure::{database, exchange};
use crate::repo::transfer::{parse_peer, remember, report, shape};
use crate::repo::user::check_admin;
use crate::repo::{generated_password, login_of_environment};

/// Clone a repository
///
/// The file is there once it is complete. A clone that was cut off goes on where it was when the command is run again.
#[derive(Args)]
pub(crate) struct Clone {
    /// https://USER@HOST/PATH of a Fossil server, iroh:PEER/REPOSITORY of another agent as `peers --repos` lists it, nats://TOKEN@HOST:PORT/PROJECT-CODE of a bus, or the path of a repository
    url: String,

    /// The file to make
    file: PathBuf,

    /// The user who may do everything in the clone; otherwise the user of the URL, or your login
    #[arg(short = 'A', long, value_name = "NAME")]
    admin_user: Option<String>,

    /// Private check-ins too
    #[arg(long)]
    private: bool,

    /// Unversioned files too
    #[arg(short, long)]
    unversioned: bool,

    /// Do not remember the server for the next time
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    password: PasswordSource,
}

impl Clone {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        if self.url.starts_with(from_agent::SCHEME) {
            let plain =
                self.admin_user.is_none() && !self.private && !self.unversioned && !self.once;
            return if plain {
                from_agent::clone(&self.url, &self.file, out)
            } else {
                Err(Failure::new(
                    Kind::Usage,
                    "-A, --private, --unversioned and --once are not for the repository of another agent, which the running agent clones",
                ))
            };
        }
        let peer = parse_peer(&self.url, &self.password)?;
        let owner = NewClone {
            admin: self
                .admin_user
                .or_else(|| login_there(&peer))
                .or_else(login_of_environment)
                .unwrap_or_else(|| "root".to_owned()),
            password: generated_password()?,
        };
        check_admin(&owner.admin)?;
        let goal = Goal {
            pull: true,
            private: self.private,
            unversioned: self.unversioned,
            ..Goal::default()
        };
        let mut progress = out.progress("Clone");
        let summary = clone_once(&self.file, &peer, goal, &owner, |summary| {
            progress.update_exchange(summary);
        })
        .map_err(exchange)?;
        drop(progress);
        let mut repository = Repository::open(&self.file, Access::ReadWrite).map_err(database)?;
        if !self.once {
            remember(&mut repository, &peer)?;
        }
        let project = repository.project_code().map_err(database)?;
        let server = repository.server_code().map_err(database)?;
        if out.json {
            let mut value = shape(&peer, &summary);
            value["path"] = serde_json::json!(self.file);
            value["project_code"] = project.as_str().into();
            value["server_code"] = server.as_str().into();
            value["user"] = owner.admin.into();
            value["password"] = owner.password.into();
            return out.json(&value);
        }
        report("Clone", &peer, &summary, out)?;
        let NewClone { admin, password } = owner;
        out.bytes(format!("project-id: {project}\nserver-id:  {server}\nadmin-user: {admin} (password is \"{password}\")\n").as_bytes())
    }
}

/// Returns who one is to the server, who may do everything in the clone, as in stock's. The names that stand for
/// everybody are nobody's own.
fn login_there(peer: &Peer) -> Option<String> {
    let Peer::Server(remote) = peer else {
        return None;
    };
    let user = remote.user()?;
    let own = !SPECIAL_USERS.iter().any(|(login, ..)| *login == user);
    own.then(|| user.to_owned())
}
