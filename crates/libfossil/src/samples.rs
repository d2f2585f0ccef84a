//! What unit tests of several rooms start from.

use std::path::Path;

use crate::db::{NewRepository, Repository};
use crate::name::ProjectCode;
use crate::time::Timestamp;

/// When everything in a test's repository begins.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

/// Makes a repository without a check-in: `r.fossil` in that folder.
pub(crate) fn repository(folder: &Path) -> Repository {
    let new = NewRepository {
        project_code: Some(ProjectCode::from_random([1; 20])),
        server_code: ProjectCode::from_random([2; 20]),
        project_name: None,
        admin: "ada",
        password: "secret",
        initial_check_in: false,
        now: NOW,
    };
    Repository::create(folder.join("r.fossil"), &new).expect("created")
}
