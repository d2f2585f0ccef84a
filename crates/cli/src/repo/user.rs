//! `edgesync user`: who may do what in a repository.

use clap::{Args, Subcommand};
use edgesync_agent::sync::Peer;
use libfossil::checkout::CheckOut;
use libfossil::db::{Access, Repository, SPECIAL_USERS, User as Person, password_secret};
use serde_json::json;

use crate::error::{Failure, Kind};
use crate::locate::{RepositoryArg, check_out_of};
use crate::output::{Output, printable};
use crate::password::PasswordSource;
use crate::repo::failure::database;
use crate::repo::{logins_of_environment, now};

/// The setting that names the user of the command line.
const DEFAULT_USER: &str = "default-user";

/// The rights of a new user where the repository does not say otherwise: those of `reader`.
const DEFAULT_CAPABILITIES: &str = "u";

/// Show and change users, their rights and passwords
#[derive(Args)]
pub(crate) struct User {
    #[command(subcommand)]
    verb: UserVerb,
}

#[derive(Subcommand)]
enum UserVerb {
    /// List all users
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Add a user
    New {
        /// The login
        login: String,
        /// Contact information
        contact: Option<String>,
        /// The password; better let the command ask for it, others see what is typed here
        password: Option<String>,
        /// What the user may do, in Fossil's letters; otherwise what the setting default-perms says
        #[arg(short, long, value_name = "LETTERS")]
        capabilities: Option<String>,
        #[command(flatten)]
        source: PasswordSource,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Show or set what a user may do, in Fossil's letters
    Capabilities {
        /// The login
        login: String,
        /// The new letters
        letters: Option<String>,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Show or set how a user is reached
    Contact {
        /// The login
        login: String,
        /// The new information
        contact: Option<String>,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Set a user's password
    Password {
        /// The login
        login: String,
        /// The password; better let the command ask for it, others see what is typed here
        password: Option<String>,
        #[command(flatten)]
        source: PasswordSource,
        #[command(flatten)]
        repository: RepositoryArg,
    },
    /// Show or set the user that check-ins made here are by
    Default {
        /// The login
        login: Option<String>,
        #[command(flatten)]
        repository: RepositoryArg,
    },
}

impl User {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.verb {
            UserVerb::List { repository } => list(&repository, out),
            UserVerb::New {
                login,
                contact,
                password,
                capabilities,
                source,
                repository,
            } => {
                let contact = contact.unwrap_or_default();
                add(
                    &repository,
                    &login,
                    &contact,
                    capabilities,
                    || given_or_asked(password, &source, &login),
                    out,
                )
            }
            UserVerb::Capabilities {
                login,
                letters,
                repository,
            } => capabilities(&repository, &login, letters, out),
            UserVerb::Contact {
                login,
                contact,
                repository,
            } => self::contact(&repository, &login, contact, out),
            UserVerb::Password {
                login,
                password,
                source,
                repository,
            } => set_password(
                &repository,
                &login,
                || given_or_asked(password, &source, &login),
                out,
            ),
            UserVerb::Default { login, repository } => default_user(&repository, login, out),
        }
    }
}

fn list(repository: &RepositoryArg, out: Output) -> Result<(), Failure> {
    let users = repository
        .open(Access::ReadOnly)?
        .users()
        .map_err(database)?;
    if out.json {
        return out.json(&users.iter().map(shape).collect::<Vec<_>>());
    }
    let lines: String = users
        .iter()
        .map(|user| printable(&format!("{:<12} {}", user.login, user.info)) + "\n")
        .collect();
    out.bytes(lines.as_bytes())
}

fn check_login(login: &str) -> Result<(), Failure> {
    if login.is_empty() || login.chars().any(char::is_control) {
        return Err(Failure::new(
            Kind::Usage,
            "a login is a name without control characters",
        ));
    }
    Ok(())
}

/// Fails when `login` can't be the one who may do everything: where it is no login, and where it is one of those whose
/// rights others have too.
pub(crate) fn check_admin(login: &str) -> Result<(), Failure> {
    let check = || {
        check_login(login)?;
        if SPECIAL_USERS.iter().any(|(special, ..)| *special == login) {
            return Err(Failure::new(
                Kind::Usage,
                format!("{login} can't be the first user: its rights are those of others too"),
            ));
        }
        Ok(())
    };
    check().map_err(|failure| failure.hint("name another with -A NAME"))
}

fn add(
    repository: &RepositoryArg,
    login: &str,
    contact: &str,
    capabilities: Option<String>,
    password: impl FnOnce() -> Result<String, Failure>,
    out: Output,
) -> Result<(), Failure> {
    let mut repository = repository.open(Access::ReadWrite)?;
    check_login(login)?;
    if repository.user(login).map_err(database)?.is_some() {
        return Err(
            Failure::new(Kind::Conflict, format!("there is a user {login} already")).hint(format!(
                "edgesync user password {login}, or edgesync user capabilities {login} LETTERS"
            )),
        );
    }
    let secret = secret(&repository, login, &password()?)?;
    let letters = match capabilities {
        Some(letters) => letters,
        None => repository
            .config("default-perms")
            .map_err(database)?
            .unwrap_or_else(|| DEFAULT_CAPABILITIES.to_owned()),
    };
    check_letters(&letters)?;
    repository
        .write(now(), |tx| {
            tx.put_user(login, &letters, contact)?;
            tx.set_user_secret(login, &secret)
        })
        .map_err(database)?;
    let user = existing(&repository, login)?;
    out.print(&shape(&user), |_| String::new())
}

fn capabilities(
    repository: &RepositoryArg,
    login: &str,
    letters: Option<String>,
    out: Output,
) -> Result<(), Failure> {
    let mut repository = repository.open(access_for(letters.as_ref()))?;
    let mut user = existing(&repository, login)?;
    if let Some(letters) = letters {
        check_letters(&letters)?;
        repository
            .write(now(), |tx| tx.put_user(login, &letters, &user.info))
            .map_err(database)?;
        user.capabilities = letters;
    }
    out.print(&shape(&user), |_| format!("{}\n", user.capabilities))
}

fn contact(
    repository: &RepositoryArg,
    login: &str,
    contact: Option<String>,
    out: Output,
) -> Result<(), Failure> {
    let mut repository = repository.open(access_for(contact.as_ref()))?;
    let mut user = existing(&repository, login)?;
    if let Some(contact) = contact {
        repository
            .write(now(), |tx| tx.put_user(login, &user.capabilities, &contact))
            .map_err(database)?;
        user.info = contact;
    }
    out.print(&shape(&user), |_| format!("{}\n", printable(&user.info)))
}

/// Returns what a command needs that shows what is, or sets what it is given.
fn access_for(new: Option<&String>) -> Access {
    if new.is_some() {
        Access::ReadWrite
    } else {
        Access::ReadOnly
    }
}

fn set_password(
    repository: &RepositoryArg,
    login: &str,
    password: impl FnOnce() -> Result<String, Failure>,
    out: Output,
) -> Result<(), Failure> {
    let mut repository = repository.open(Access::ReadWrite)?;
    let user = existing(&repository, login)?;
    let secret = secret(&repository, login, &password()?)?;
    repository
        .write(now(), |tx| tx.set_user_secret(login, &secret))
        .map_err(database)?;
    out.print(&shape(&user), |_| String::new())
}

fn default_user(
    repository: &RepositoryArg,
    login: Option<String>,
    out: Output,
) -> Result<(), Failure> {
    let login = match login {
        Some(login) => {
            let mut repository = repository.open(Access::ReadWrite)?;
            existing(&repository, &login)?;
            repository
                .write(now(), |tx| tx.set_config(DEFAULT_USER, &login))
                .map_err(database)?;
            login
        }
        None => acting(&repository.open(Access::ReadOnly)?)?,
    };
    out.print(&json!({ "login": login }), |_| format!("{login}\n"))
}

/// Returns the login that check-ins made here are by, found as stock finds it: the first that the repository knows among the
/// check-out's default user, the repository's, the environment's and the one of the remembered server.
pub(crate) fn acting(repository: &Repository) -> Result<String, Failure> {
    let check_out = check_out_of(repository)?;
    let chosen = check_out.as_ref().and_then(CheckOut::default_user);
    let stored = repository.config(DEFAULT_USER).map_err(database)?;
    let candidates = chosen
        .map(str::to_owned)
        .into_iter()
        .chain(stored)
        .chain(logins_of_environment())
        .chain(login_at_remembered_server(repository)?);
    for login in candidates {
        if repository.user(&login).map_err(database)?.is_some() {
            return Ok(login);
        }
    }
    Err(Failure::new(Kind::Failed, "it is not clear who you are")
        .hint("name a user of the repository: edgesync user default LOGIN"))
}

fn login_at_remembered_server(repository: &Repository) -> Result<Option<String>, Failure> {
    let remembered = repository.remembered_remote().map_err(database)?;
    let peer = remembered.and_then(|last| last.url.parse::<Peer>().ok());
    Ok(match peer {
        Some(Peer::Server(remote)) => remote.user().map(str::to_owned),
        _ => None,
    })
}

fn given_or_asked(
    given: Option<String>,
    source: &PasswordSource,
    login: &str,
) -> Result<String, Failure> {
    match given {
        Some(password) => Ok(password),
        None => source.new_password(&format!("Password for {login}")),
    }
}

fn secret(repository: &Repository, login: &str, password: &str) -> Result<String, Failure> {
    Ok(password_secret(
        &repository.project_code().map_err(database)?,
        login,
        password,
    ))
}

fn existing(repository: &Repository, login: &str) -> Result<Person, Failure> {
    repository.user(login).map_err(database)?.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("no such user: {login}"))
            .hint("edgesync user list shows all of them")
    })
}

fn check_letters(letters: &str) -> Result<(), Failure> {
    match letters
        .chars()
        .find(|letter| !letter.is_ascii_alphanumeric())
    {
        Some(wrong) => Err(Failure::new(
            Kind::Usage,
            format!("{wrong:?} is no capability letter"),
        )),
        None => Ok(()),
    }
}

fn shape(user: &Person) -> serde_json::Value {
    json!({
        "login": user.login,
        "capabilities": user.capabilities,
        "info": user.info,
        "has_password": !user.secret.is_empty(),
    })
}
