//! New repositories.
//!
//! The file is made beside its place and moved there when it is whole, so that nobody ever opens half of
//! one. It is in the journal mode that stock uses: in WAL mode it would be too short for stock to accept.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::open::harden;
use super::{
    Access, Error, Receipt, Repository, Result, SPECIAL_USERS, Visibility, password_secret, schema,
};
use crate::artifact::{CheckIn, Tag, TagKind, TreeDigest};
use crate::hash_policy::HashPolicy;
use crate::name::ProjectCode;
use crate::text::Text;
use crate::time::Timestamp;

/// Bytes per page of a new file; stock's.
const PAGE_BYTES: u32 = 4096;

/// What a new repository starts with.
#[derive(Clone, Debug)]
pub struct NewRepository<'a> {
    /// What all its clones will share; `None` for a clone that has yet to learn it.
    pub project_code: Option<ProjectCode>,
    /// What tells it from its clones.
    pub server_code: ProjectCode,
    /// The project's name for people.
    pub project_name: Option<&'a str>,
    /// Login of the first user, who may do everything.
    pub admin: &'a str,
    /// That user's password. It takes effect only with a project code, because the secret is bound to it.
    pub password: &'a str,
    /// Whether it starts with an empty check-in on `trunk`, as stock's do. A clone does not.
    pub initial_check_in: bool,
    /// The time of its making.
    pub now: Timestamp,
}

impl Repository {
    /// Creates a repository and opens it for reading and writing.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when something is at `path`; [`Error::NotFound`] when its directory is missing or
    /// cannot be written; [`Error::Sqlite`].
    pub fn create(path: impl AsRef<Path>, new: &NewRepository<'_>) -> Result<Self> {
        let path = path.as_ref();
        if path.symlink_metadata().is_ok() {
            return Err(Error::AlreadyExists(path.to_owned()));
        }
        let draft = Draft::beside(path, &new.server_code)?;
        write_schema(&draft.path)?;
        let mut repository = Self::open(&draft.path, Access::ReadWrite)?;
        repository.write(new.now, |tx| tx.fill(new))?;
        drop(repository);
        draft.publish(path)?;
        Self::open(path, Access::ReadWrite)
    }
}

impl super::Transaction<'_> {
    /// Writes everything but the tables.
    fn fill(&mut self, new: &NewRepository<'_>) -> Result<()> {
        let policy = HashPolicy::default().to_config().to_string();
        let settings = [
            ("rebuilt", schema::REBUILT_BY),
            ("hash-policy", &policy),
            ("autosync", "1"),
            ("localauth", "0"),
            ("timeline-plaintext", "1"),
            ("server-code", new.server_code.as_str()),
        ];
        for (name, value) in settings {
            self.set_config(name, value)?;
        }
        if let Some(name) = new.project_name {
            self.set_config("project-name", name)?;
        }
        self.put_user(new.admin, "s", "")?;
        if let Some(code) = &new.project_code {
            self.set_config("project-code", code.as_str())?;
            let secret = password_secret(code, new.admin, new.password);
            self.set_user_secret(new.admin, &secret)?;
        }
        for (login, capabilities, info) in SPECIAL_USERS {
            self.put_user(login, capabilities, info)?;
        }
        self.insert_fixed_tags()?;
        let [title, columns, query] = schema::ALL_TICKETS_REPORT;
        self.execute(
            "INSERT INTO reportfmt(title, mtime, cols, sqlcode) VALUES(?1, 0, ?2, ?3)",
            [title, columns, query],
        )?;
        if new.initial_check_in {
            self.set_receipt(Receipt::made_here(new.admin));
            self.store(&initial_check_in(new), Visibility::Public)?;
        }
        Ok(())
    }
}

impl super::Transaction<'_> {
    /// Gives the tags with fixed numbers those numbers.
    pub(crate) fn insert_fixed_tags(&mut self) -> Result<()> {
        for (tag, name) in schema::FixedTag::ALL {
            self.execute(
                "INSERT INTO tag(tagid, tagname) VALUES(?1, ?2)",
                params![tag.id(), name],
            )?;
        }
        Ok(())
    }
}

/// Returns the empty check-in that starts the branch `trunk`. Its R card keeps very old programs from taking it for
/// a control artifact.
fn initial_check_in(new: &NewRepository<'_>) -> Vec<u8> {
    let trunk = Some(Text::new(&b"trunk"[..]));
    CheckIn {
        baseline: None,
        comment: Some(Text::new(&b"initial empty check-in"[..])),
        date: new.now,
        files: Vec::new(),
        mimetype: None,
        parents: Vec::new(),
        cherrypicks: Vec::new(),
        checksum: Some(TreeDigest::default().finish()),
        tags: vec![
            Tag::of_self(TagKind::Propagate, "branch", trunk),
            Tag::of_self(TagKind::Propagate, "sym-trunk", None),
        ],
        user: Some(Text::new(new.admin.as_bytes())),
    }
    .to_bytes()
}

/// Makes the file a repository by its tables, and by saying of which generation they are.
fn write_schema(path: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.execute_batch(&format!(
        "PRAGMA page_size={PAGE_BYTES}; PRAGMA journal_mode=DELETE; PRAGMA application_id={};",
        schema::APPLICATION_ID
    ))?;
    harden(&conn)?;
    conn.execute_batch(&format!(
        "BEGIN; {} {} {} {}
         INSERT INTO config(name, value) VALUES('content-schema', '{}'), ('aux-schema', '{}');
         COMMIT;",
        schema::DURABLE,
        schema::DERIVED,
        schema::DERIVED_INDEXES,
        schema::DEFAULT_TICKET,
        schema::CONTENT_SCHEMA,
        schema::AUX_SCHEMA_MAX
    ))?;
    Ok(())
}

/// A file in the making; removed again unless it is published.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn beside(path: &Path, server_code: &ProjectCode) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{server_code}"));
        let draft = path.with_file_name(name);
        File::create_new(&draft).map_err(|_| Error::NotFound(path.to_owned()))?;
        Ok(Self { path: draft })
    }

    /// Moves the file to `path`, unless something is there by now.
    fn publish(self, path: &Path) -> Result<()> {
        let linked = fs::hard_link(&self.path, path);
        let published = match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // A file system without hard links: the check and the move are two steps there.
            Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(&self.path, path),
            Ok(()) => Ok(()),
        };
        published.map_err(|_| Error::AlreadyExists(path.to_owned()))?;
        if let Some(directory) = path.parent() {
            // Makes the name last; where directories cannot be opened, the system does it by itself.
            if let Ok(directory) = File::open(directory) {
                let _ = directory.sync_all();
            }
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
