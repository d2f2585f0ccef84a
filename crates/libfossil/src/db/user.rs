//! The `user` table: logins, password secrets and capability letters.

use std::fmt;

use rusqlite::{OptionalExtension, Row, params};

use super::{Repository, Result, Transaction};
use crate::name::{HashName, ProjectCode};

/// Logins that stand for groups of people. They never authenticate by password, and have these rights in
/// a repository made here: stock also lets `nobody` and `anonymous` clone and read.
pub const SPECIAL_USERS: [(&str, &str, &str); 4] = [
    ("anonymous", "", "Anon"),
    ("nobody", "", "Nobody"),
    ("developer", "ei", "Dev"),
    ("reader", "kptw", "Reader"),
];

/// One row of the `user` table.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Row number; what `rcvfrom` refers to.
    pub uid: i64,
    /// The name the person logs in with.
    pub login: String,
    /// The secret made by [`password_secret`], or a clear password; empty when the user cannot log in.
    pub secret: String,
    /// Capability letters.
    pub capabilities: String,
    /// Contact information, free text.
    pub info: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("uid", &self.uid)
            .field("login", &self.login)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// Returns the secret that stands for a password: it is bound to the project, so that it means nothing elsewhere.
#[must_use]
pub fn password_secret(project: &ProjectCode, login: &str, password: &str) -> String {
    let text = format!("{project}/{login}/{password}");
    HashName::sha1_of(text.as_bytes()).as_str().to_owned()
}

const COLUMNS: &str =
    "uid, coalesce(login,''), coalesce(pw,''), coalesce(cap,''), coalesce(info,'')";

fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        uid: row.get(0)?,
        login: row.get(1)?,
        secret: row.get(2)?,
        capabilities: row.get(3)?,
        info: row.get(4)?,
    })
}

impl Repository {
    /// Returns all users, by login.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be read.
    pub fn users(&self) -> Result<Vec<User>> {
        let mut query = self
            .conn()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM user ORDER BY login"))?;
        let users = query.query_map([], from_row)?;
        Ok(users.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the user with this login.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be read.
    pub fn user(&self, login: &str) -> Result<Option<User>> {
        let mut query = self
            .conn()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM user WHERE login=?1"))?;
        Ok(query.query_row([login], from_row).optional()?)
    }
}

impl Transaction<'_> {
    /// Adds a user, or changes rights and information of the one with that login. The password stays.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be written.
    pub fn put_user(&mut self, login: &str, capabilities: &str, info: &str) -> Result<()> {
        let seconds = self.now().unix_millis().div_euclid(1000);
        self.execute(
            "INSERT INTO user(login, pw, cap, info, mtime) VALUES(?1, '', ?2, ?3, ?4)
             ON CONFLICT(login) DO UPDATE SET cap=?2, info=?3, mtime=?4",
            params![login, capabilities, info, seconds],
        )?;
        Ok(())
    }

    /// Sets what the user proves to know at login: the result of [`password_secret`], or the empty text
    /// for "cannot log in". Returns whether there is such a user.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be written.
    pub fn set_user_secret(&mut self, login: &str, secret: &str) -> Result<bool> {
        let seconds = self.now().unix_millis().div_euclid(1000);
        let changed = self.execute(
            "UPDATE user SET pw=?2, cookie=NULL, cexpire=NULL, mtime=?3 WHERE login=?1",
            params![login, secret, seconds],
        )?;
        Ok(changed > 0)
    }

    /// Removes a user. Returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be written.
    pub fn remove_user(&mut self, login: &str) -> Result<bool> {
        Ok(self.execute("DELETE FROM user WHERE login=?1", [login])? > 0)
    }
}
