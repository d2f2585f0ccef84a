//! The `config` table: settings and identity of a repository as named texts.

use rusqlite::{OptionalExtension, params};

use super::{Error, Repository, Result, Transaction};
use crate::hash_policy::HashPolicy;
use crate::name::ProjectCode;

impl Repository {
    /// Returns the value of a config entry, if it is set.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn config(&self, name: &str) -> Result<Option<String>> {
        let value = self
            .conn()
            .prepare_cached("SELECT CAST(value AS TEXT) FROM config WHERE name=?1")?
            .query_row([name], |row| row.get::<_, Option<String>>(0))
            .optional()?;
        Ok(value.flatten())
    }

    /// Returns a config entry as a whole number; `None` when it is unset or no number.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn config_number(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.config(name)?.and_then(|text| text.trim().parse().ok()))
    }

    /// Returns the code that all clones of this project share.
    ///
    /// # Errors
    /// [`Error::BadConfig`] when it is not set, as in a clone that has not heard from its server yet.
    pub fn project_code(&self) -> Result<ProjectCode> {
        self.code("project-code")
    }

    /// Returns the code that tells this clone from the others.
    ///
    /// # Errors
    /// [`Error::BadConfig`] when it is not set.
    pub fn server_code(&self) -> Result<ProjectCode> {
        self.code("server-code")
    }

    fn code(&self, name: &'static str) -> Result<ProjectCode> {
        self.config(name)?
            .and_then(|text| text.parse().ok())
            .ok_or(Error::BadConfig { name })
    }

    /// Returns which hash names new content here.
    ///
    /// Without a setting it follows from what is there, as stock decides it: SHA1 names only mean
    /// [`HashPolicy::Auto`].
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be read.
    pub fn hash_policy(&self) -> Result<HashPolicy> {
        let stored = self.config_number("hash-policy")?;
        if let Some(policy) = stored.and_then(HashPolicy::from_config) {
            return Ok(policy);
        }
        let only_sha1: bool = self
            .conn()
            .prepare_cached(
                "SELECT EXISTS(SELECT 1 FROM blob WHERE length(uuid)=40)
                    AND NOT EXISTS(SELECT 1 FROM blob WHERE length(uuid)>40)",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(if only_sha1 {
            HashPolicy::Auto
        } else {
            HashPolicy::Sha3
        })
    }
}

impl Transaction<'_> {
    /// Sets a config entry.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be written.
    pub fn set_config(&mut self, name: &str, value: &str) -> Result<()> {
        let seconds = self.now().unix_millis().div_euclid(1000);
        self.execute(
            "REPLACE INTO config(name, value, mtime) VALUES(?1, ?2, ?3)",
            params![name, value, seconds],
        )?;
        Ok(())
    }

    /// Removes a config entry; does nothing when it is not set.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when the file cannot be written.
    pub fn unset_config(&mut self, name: &str) -> Result<()> {
        self.execute("DELETE FROM config WHERE name=?1", [name])?;
        Ok(())
    }
}
