//! New repositories, made for the app: with a first user and a password that is shown once.

use std::path::Path;

use libfossil::db::{Error as FileError, NewRepository, Repository, SPECIAL_USERS};
use libfossil::name::ProjectCode;

use super::file_error;
use crate::api::Error;
use crate::clock;
use crate::limits;
use crate::place;
use crate::text;

/// The login of a new repository's first user and the password.
#[derive(Clone)]
pub(crate) struct FirstUser {
    pub login: String,
    pub password: String,
}

/// Creates a repository at `path`. Blocks on the file.
///
/// # Errors
/// `conflict` when something is there already, `bad_request` for a path or name that cannot be, `repository` when the file
/// cannot be written.
pub(crate) fn create(
    path: &Path,
    project_name: Option<&str>,
    login: Option<&str>,
) -> Result<FirstUser, Error> {
    let login = check_login(login)?;
    if project_name.is_some_and(|name| {
        name.len() > limits::TEXT_FIELD_BYTES || name.chars().any(char::is_control)
    }) {
        return Err(Error::bad_request(
            "the project's name is too long or holds control characters",
        ));
    }
    let password = text::password().map_err(no_random)?;
    let code = || {
        text::random()
            .map(ProjectCode::from_random)
            .map_err(no_random)
    };
    let new = NewRepository {
        project_code: Some(code()?),
        server_code: code()?,
        project_name: project_name.filter(|name| !name.trim().is_empty()),
        admin: &login,
        password: &password,
        initial_check_in: true,
        now: clock::now(),
    };
    match Repository::create(path, &new) {
        Ok(_) => Ok(FirstUser { login, password }),
        Err(FileError::AlreadyExists(path) | FileError::NotFound(path)) => {
            Err(place::not_made(&path))
        }
        Err(error) => Err(file_error(&error)),
    }
}

/// Returns the wished login, or the name by which the system knows the user.
fn check_login(wish: Option<&str>) -> Result<String, Error> {
    let login = match wish.map(str::trim).filter(|login| !login.is_empty()) {
        Some(login) => login.to_owned(),
        None => system_user(),
    };
    if !is_login(&login) {
        return Err(Error::bad_request(
            "the user's name has to be a short word, and none of Fossil's own",
        ));
    }
    Ok(login)
}

fn is_login(login: &str) -> bool {
    let special = SPECIAL_USERS.iter().any(|(name, ..)| *name == login);
    !special
        && !login.is_empty()
        && login.len() <= 64
        && !login.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Returns the name by which the system knows the user.
pub(crate) fn system_user() -> String {
    let known = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    known
        .filter(|login| is_login(login))
        .unwrap_or_else(|| "admin".to_owned())
}

fn no_random(error: getrandom::Error) -> Error {
    Error::internal(format!("the system gives no random bytes: {error}"))
}
