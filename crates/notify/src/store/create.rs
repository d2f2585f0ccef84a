//! New repositories, and the check-in that all of them share.

use std::path::Path;

use libfossil::artifact::{CheckIn, Tag, TagKind, TreeDigest};
use libfossil::db::{NewRepository, Receipt, Repository, Transaction, Visibility};
use libfossil::history::MAIN_BRANCH;
use libfossil::name::{HashName, ProjectCode};
use libfossil::text::Text;
use libfossil::time::Timestamp;

use super::StoreError;

/// The author of all check-ins; who wrote a message is in the message.
pub(super) const USER: &str = "notify";

/// What such a repository is called.
const PROJECT_NAME: &str = "Notify";

/// When the shared check-in says that it was made: 2000-01-01.
const FIRST_CHECK_IN: Timestamp = Timestamp::from_unix_millis(946_684_800_000);

/// What a new repository starts with.
#[derive(Debug, Clone)]
pub struct NewStore<'a> {
    /// What all repositories that are to exchange messages share.
    pub project_code: ProjectCode,
    /// What tells it from the others; random.
    pub server_code: ProjectCode,
    /// The password of its only user, should somebody serve it; random.
    pub password: &'a str,
}

/// Makes a repository without messages and opens it.
///
/// # Errors
/// [`StoreError::Repository`], among others when there is something at `path`.
pub fn create(path: &Path, new: &NewStore<'_>, now: Timestamp) -> Result<Repository, StoreError> {
    let mut repo = Repository::create(
        path,
        &NewRepository {
            project_code: Some(new.project_code),
            server_code: new.server_code,
            project_name: Some(PROJECT_NAME),
            admin: USER,
            password: new.password,
            initial_check_in: false,
            now,
        },
    )?;
    repo.write::<_, StoreError>(now, first_check_in)?;
    Ok(repo)
}

/// Returns the check-in on which all threads grow, after storing it if it is not there. It is the same artifact in every
/// repository, so that threads begun on different devices have one root.
pub(super) fn first_check_in(tx: &mut Transaction<'_>) -> Result<HashName, StoreError> {
    // A checksum over all files of a check-in would need the whole thread read for each message; and check-ins that have it
    // differ from those that do not.
    if tx.config("repo-cksum")?.as_deref() != Some("0") {
        tx.set_config("repo-cksum", "0")?;
    }
    let content = CheckIn {
        baseline: None,
        comment: Some(Text::new(&b"notify"[..])),
        date: FIRST_CHECK_IN,
        files: Vec::new(),
        mimetype: None,
        parents: Vec::new(),
        cherrypicks: Vec::new(),
        checksum: Some(TreeDigest::default().finish()),
        tags: vec![
            Tag::of_self(
                TagKind::Propagate,
                "branch",
                Some(Text::new(MAIN_BRANCH.as_bytes())),
            ),
            Tag::of_self(TagKind::Propagate, format!("sym-{MAIN_BRANCH}"), None),
        ],
        user: Some(Text::new(USER.as_bytes())),
    }
    .to_bytes();
    let name = HashName::sha3_of(&content);
    if tx.rid(&name)?.is_some() {
        return Ok(name);
    }
    tx.set_receipt(Receipt::made_here(USER));
    Ok(tx.store(&content, Visibility::Public)?.name)
}
