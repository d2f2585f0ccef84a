//! `edgesync new`: an empty repository for a new project.

use std::path::PathBuf;

use clap::Args;
use edgesync_agent::place;
use libfossil::db::{self, NewRepository, Repository};
use libfossil::name::ProjectCode;
use serde_json::json;

use crate::error::Failure;
use crate::output::Output;
use crate::repo::failure::database;
use crate::repo::user::check_admin;
use crate::repo::{generated_password, login_of_environment, now, random};

/// Create a repository for a new project
///
/// Prints the project's code and the first user's password, this once. Others get no rights until you give them some
/// (`edgesync user capabilities nobody gjorz` lets everyone read and clone).
#[derive(Args)]
#[command(visible_alias = "init")]
pub(crate) struct New {
    /// The file to make
    file: PathBuf,

    /// The first user, who may do everything; otherwise your login
    #[arg(short = 'A', long, value_name = "NAME")]
    admin_user: Option<String>,

    /// The project's name
    #[arg(long, value_name = "TEXT")]
    project_name: Option<String>,

    /// The project's description
    #[arg(long, value_name = "TEXT")]
    project_desc: Option<String>,
}

impl New {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let admin = self
            .admin_user
            .or_else(login_of_environment)
            .unwrap_or_else(|| "root".to_owned());
        check_admin(&admin)?;
        place::check(&self.file)?;
        let password = generated_password()?;
        let now = now();
        let new = NewRepository {
            project_code: Some(ProjectCode::from_random(random()?)),
            server_code: ProjectCode::from_random(random()?),
            project_name: self.project_name.as_deref(),
            admin: &admin,
            password: &password,
            initial_check_in: true,
            now,
        };
        let created = Repository::create(&self.file, &new);
        let mut repository = created.map_err(|error| match error {
            db::Error::AlreadyExists(path) | db::Error::NotFound(path) => {
                place::not_made(&path).into()
            }
            error => database(error),
        })?;
        if let Some(description) = &self.project_desc {
            repository
                .write(now, |tx| tx.set_config("project-description", description))
                .map_err(database)?;
        }
        let project = repository.project_code().map_err(database)?;
        let server = repository.server_code().map_err(database)?;
        let facts = json!({
            "path": self.file,
            "project_code": project.as_str(),
            "server_code": server.as_str(),
            "user": admin,
            "password": password,
        });
        out.print(&facts, |_| {
            format!("project-id: {project}\nserver-id:  {server}\nadmin-user: {admin} (initial password is \"{password}\")\n")
        })
    }
}
