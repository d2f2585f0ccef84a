//! What tests of several rooms start from: one project, its repository, keys by number.

use std::path::Path;

use libfossil::db::{NewRepository, Repository};
use libfossil::name::ProjectCode;
use libfossil::time::Timestamp;

use crate::trust::Keys;

/// The project of [`repository`].
pub(crate) fn project() -> ProjectCode {
    ProjectCode::from_random([1; 20])
}

/// Makes a repository that every agent of a test could have cloned from the others.
pub(crate) fn repository(path: &Path) -> Repository {
    let new = NewRepository {
        project_code: Some(project()),
        server_code: ProjectCode::from_random([2; 20]),
        project_name: None,
        admin: "ada",
        password: "secret",
        initial_check_in: true,
        now: Timestamp::from_unix_millis(1_700_000_000_000),
    };
    Repository::create(path, &new).expect("created")
}

/// The keys of the agent with this number.
pub(crate) fn keys(seed: u8) -> Keys {
    Keys::from_secret(&[seed; 32]).expect("keys")
}
