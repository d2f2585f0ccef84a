//! `edgesync hub serve`: the agent on a server that others come to. As `sync start`, with a server's defaults, and with the file made when it is
//! not there.

use std::path::Path;

use clap::{Args, Subcommand};
use edgesync_agent::sync::clone_once;
use libfossil::auth::Capabilities;
use libfossil::db::{Access, NewRepository, Repository};
use libfossil::name::ProjectCode;
use libfossil::xfer::client::{Goal, NewClone};

use crate::agent::start::{self, Start, machine_name};
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::password::PasswordSource;
use crate::repo::failure::{database, exchange};
use crate::repo::transfer::parse_peer;
use crate::repo::{generated_password, login_of_environment, now, random};

/// The user that everyone is who shows no login.
const NOBODY: &str = "nobody";

/// Run an agent on a server, for others to come to
#[derive(Args)]
pub(crate) struct Hub {
    #[command(subcommand)]
    verb: HubVerb,
}

#[derive(Subcommand)]
enum HubVerb {
    Serve(Box<Serve>),
}

/// Run the agent as a hub in the foreground
///
/// As `sync start`, but a hub by default, and leaves come to port 7422 of all interfaces. They are let in by their keys: --trust, or the mesh.
#[derive(Args)]
#[command(
    mut_arg("nats_role", |arg| arg.default_value("hub")),
    mut_arg("leaf_listen", |arg| arg.default_value("0.0.0.0:7422"))
)]
struct Serve {
    #[command(flatten)]
    start: Start,

    /// The name of this hub; otherwise that of the machine with -hub behind it
    #[arg(
        long,
        value_name = "NAME",
        env = "EDGESYNC_NAME",
        conflicts_with = "peer_id"
    )]
    name: Option<String>,

    /// What everyone may do in the repositories without a login or key, in Fossil's letters; set at each start, otherwise left as it is
    #[arg(long, value_name = "CAPS", env = "EDGESYNC_NOBODY_CAPS")]
    nobody_caps: Option<String>,

    /// The code of the project: a file that is not there is made for it, one that is there has to have it
    #[arg(long, value_name = "HEX40", env = "EDGESYNC_PROJECT_CODE")]
    project_code: Option<ProjectCode>,

    /// Clone the file from this Fossil server when it is not there
    #[arg(
        long,
        value_name = "URL",
        env = "EDGESYNC_SEED_FROM_UPSTREAM",
        hide_env_values = true
    )]
    seed_from_upstream: Option<String>,
}

impl Hub {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let HubVerb::Serve(serve) = self.verb;
        serve.run(out)
    }
}

impl Serve {
    fn run(self, out: Output) -> Result<(), Failure> {
        let Self {
            start: flags,
            name,
            nobody_caps,
            project_code,
            seed_from_upstream,
        } = self;
        let named = flags.names_itself();
        let mut config = flags.config()?;
        if let Some(name) = name {
            config.peer_id = name;
        } else if let Some(machine) = machine_name().filter(|_| !named) {
            let host = machine.split('.').next().unwrap_or_default();
            config.peer_id = format!("{host}-hub");
        }
        if project_code.is_some() || seed_from_upstream.is_some() {
            let [file] = config.repositories.as_slice() else {
                let one = "--project-code and --seed-from-upstream are about one file";
                return Err(Failure::new(Kind::Usage, one).hint("name it with -R FILE"));
            };
            make(
                file,
                project_code.as_ref(),
                seed_from_upstream.as_deref(),
                out,
            )?;
        }
        if let Some(letters) = nobody_caps {
            for file in &config.repositories {
                let_everyone(file, &letters)?;
            }
        }
        start::run(config, out)
    }
}

/// Makes the file when it is not there, and sees that it has this project's code.
fn make(
    file: &Path,
    code: Option<&ProjectCode>,
    seed: Option<&str>,
    out: Output,
) -> Result<(), Failure> {
    let is_new = !file.exists();
    if is_new {
        let admin = login_of_environment().unwrap_or_else(|| "root".to_owned());
        let password = generated_password()?;
        match (seed, code) {
            (Some(url), _) => clone(url, file, &NewClone { admin, password }, out)?,
            (None, Some(code)) => {
                // Nobody is told the password: `edgesync user password` sets one.
                let new = NewRepository {
                    project_code: Some(*code),
                    server_code: ProjectCode::from_random(random()?),
                    project_name: None,
                    admin: &admin,
                    password: &password,
                    // The project has its first check-in elsewhere.
                    initial_check_in: false,
                    now: now(),
                };
                Repository::create(file, &new).map_err(database)?;
            }
            (None, None) => {}
        }
    }
    let Some(code) = code else { return Ok(()) };
    let there = Repository::open(file, Access::ReadOnly).and_then(|it| it.project_code());
    let there = there.map_err(database)?;
    if there == *code {
        return Ok(());
    }
    let place = file.display();
    if is_new {
        // Made a moment ago, and of no use to anyone.
        let _ = std::fs::remove_file(file);
    }
    Err(Failure::new(
        Kind::Conflict,
        format!("{place}: this is project {there}, not {code}"),
    )
    .hint("give the code of that project, or another file"))
}

fn clone(url: &str, file: &Path, owner: &NewClone, out: Output) -> Result<(), Failure> {
    let peer = parse_peer(url, &PasswordSource::default())?;
    let goal = Goal {
        pull: true,
        ..Goal::default()
    };
    let mut progress = out.progress("Clone");
    let done = clone_once(file, &peer, goal, owner, |summary| {
        progress.update_exchange(summary);
    });
    done.map(drop).map_err(exchange)
}

/// Gives everyone these rights in a repository.
fn let_everyone(file: &Path, letters: &str) -> Result<(), Failure> {
    let capabilities = Capabilities::from_letters(letters);
    if !letters.bytes().all(|letter| letter.is_ascii_alphanumeric())
        || capabilities.may_administer()
    {
        return Err(Failure::new(
            Kind::Usage,
            format!("--nobody-caps {letters}: these are no rights for everyone"),
        )
        .hint("g lets everyone clone, gio clone, read and write"));
    }
    let mut repository = Repository::open(file, Access::ReadWrite).map_err(database)?;
    let nobody = repository.user(NOBODY).map_err(database)?;
    let info = nobody.map_or_else(|| "Nobody".to_owned(), |nobody| nobody.info);
    repository
        .write(now(), |tx| tx.put_user(NOBODY, letters, &info))
        .map_err(database)
}
